"""The particles of a reaction, event by event."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxpwa_compat.vectors.components import as_count, as_rows
from jaxpwa_compat.vectors.four import FourVector
from jaxpwa_compat.vectors.particle import Particle

if TYPE_CHECKING:
    from jaxpwa import ParticleTable

PROTON_MASS = 0.9382720813
"""Mass of the proton, GeV, as PyPWA has it (CODATA 2014)."""

_PHOTON, _PROTON = 1, 14


class ParticlePool:
    """The particles of every event, the same kinds in every event.

    Parameters
    ----------
    particle_list
        `Particle` objects with equal numbers of events. They are kept, not copied.

    Raises
    ------
    TypeError
        If one is no `Particle`.
    ValueError
        If there are none, or their numbers of events differ.

    Notes
    -----
    ``len(pool)`` is the number of particles and iteration goes over particles; ``pool[...]`` picks events.
    The kinematics are those of photoproduction off a proton at rest, gamma p -> X p: the beam is the first photon
    (id 1), the recoil the first proton (id 14), X everything else.
    """

    def __init__(self, particle_list: Iterable[Particle]):
        particles = list(particle_list)
        if not particles:
            msg = "a ParticlePool must have at least one Particle, got none."
            raise ValueError(msg)
        for number, particle in enumerate(particles, 1):
            if not isinstance(particle, Particle):
                msg = (
                    f"a ParticlePool takes Particles, number {number} is {type(particle).__name__}. "
                    "Particle(id, charge, four_vector) makes one."
                )
                raise TypeError(msg)
        counts = [len(particle) for particle in particles]
        if len(set(counts)) > 1:
            msg = f"the particles of a pool must have equal numbers of events, got {', '.join(map(str, counts))}."
            raise ValueError(msg)
        self._particles = particles

    @classmethod
    def from_table(cls, table: "ParticleTable") -> "ParticlePool":
        """Copy a `jaxpwa.ParticleTable`, particles in its order."""
        return cls(Particle(identity, charge, *p4.T) for identity, charge, p4 in table)

    def to_table(self) -> "ParticleTable":
        """Copy into a `jaxpwa.ParticleTable`, particles in this order."""
        from jaxpwa import ParticleTable

        return ParticleTable(
            (p.id, p.charge, np.stack([np.atleast_1d(v) for v in (p.e, p.x, p.y, p.z)], axis=1))
            for p in self._particles
        )

    def __len__(self) -> int:
        """Return the number of particles."""
        return len(self._particles)

    @property
    def particle_count(self) -> int:
        """Number of particles per event."""
        return len(self._particles)

    @property
    def event_count(self) -> int:
        """Number of events."""
        return len(self._particles[0])

    @property
    def stored(self) -> list[Particle]:
        """The particles themselves, in order, in a new list."""
        return list(self._particles)

    def __iter__(self) -> Iterator[Particle]:
        return iter(self._particles)

    def iter_particles(self) -> Iterator[Particle]:
        """Iterate over the particles, all events each."""
        return iter(self._particles)

    def iter_events(self) -> Iterator["ParticlePool"]:
        """Iterate over the events: pools of one event, whose components are single numbers."""
        return (self[event] for event in range(self.event_count))

    def __getitem__(self, item: Any) -> "ParticlePool":
        """Pick events: a whole number, a slice, a boolean mask (paired by position) or event numbers.

        Returns
        -------
        A new pool of copies.

        Raises
        ------
        TypeError
            If it is nothing of these.
        ValueError
            If a mask has another length.
        IndexError
            If there is no such event.
        """
        if isinstance(item, str):
            msg = f"a ParticlePool picks events, not names: get_particles_by_name({item!r})."
            raise TypeError(msg)
        rows = as_rows(item, self.event_count)
        return ParticlePool(particle[rows] for particle in self._particles)

    def split(self, count: int) -> list["ParticlePool"]:
        """Split the events into parts, in order; lengths differ by at most one, as in `numpy.array_split`.

        Raises
        ------
        TypeError, ValueError
            If ``count`` is no whole number, or below 1.
        """
        parts = np.array_split(np.arange(self.event_count), as_count("number of parts", count, 1))
        return [self[rows] for rows in parts]

    def _found(self, particles: list[Particle], nothing: str) -> list[Particle]:
        if not particles:
            there = ", ".join(f"{p.id} ({p.name})" for p in self._particles)
            msg = f"No particles found! {nothing}; the pool has {there}."
            raise ValueError(msg)
        return particles

    def get_particles_by_id(self, particle_id: int) -> list[Particle]:
        """Return the particles of this Geant3 id, in order.

        Raises
        ------
        ValueError
            If there are none.
        """
        return self._found([p for p in self._particles if p.id == particle_id], f"None has id {particle_id!r}")

    def get_particles_by_name(self, particle_name: str) -> list[Particle]:
        """Return the particles of this name, in order.

        Parameters
        ----------
        particle_name
            Geant3's name, as `Particle.name` has it: ``Proton``. Or, if the package ``particle`` is installed, that
            of `jaxpwa.ParticleTable`: ``p``.

        Raises
        ------
        ValueError
            If there are none.
        """
        names = [p.name for p in self._particles]
        if particle_name not in names:
            try:
                from jaxpwa import ParticleTable

                names = list(ParticleTable((p.id, p.charge, np.empty((0, 4))) for p in self._particles).names)
            except ModuleNotFoundError:
                pass
        found = [p for p, name in zip(self._particles, names, strict=True) if name == particle_name]
        return self._found(found, f"None has the name {particle_name!r}")

    def get_event_mass(self) -> Any:
        """Invariant mass of X, ``(events,)``, GeV: of the sum of all but the first photon and the first proton.

        Raises
        ------
        ValueError
            If nothing else is there.
        """
        ids = [p.id for p in self._particles]
        outside = {ids.index(i) for i in (_PHOTON, _PROTON) if i in ids}
        system = [p for number, p in enumerate(self._particles) if number not in outside]
        total: FourVector = sum(
            self._found(system, "X has no particles besides beam photon and recoil proton"), FourVector(0)
        )
        return total.get_mass()

    def get_s(self) -> Any:
        r"""Mandelstam s of beam and target, ``(events,)``, GeV².

        .. math:: s = (p_{beam} + p_{target})^2 = (E_\gamma + m_p)^2 - |\vec p_\gamma|^2

        Raises
        ------
        ValueError
            If there is no photon.
        """
        beam = self.get_particles_by_id(_PHOTON)[0]
        return (beam.e + PROTON_MASS) ** 2 - beam._momentum_squared()

    def get_t(self) -> Any:
        r"""Mandelstam t between target and recoil proton, ``(events,)``, GeV², negative.

        .. math:: t = (p_{recoil} - p_{target})^2 = (E_p - m_p)^2 - |\vec p_p|^2

        Raises
        ------
        ValueError
            If there is no proton.
        """
        recoil = self.get_particles_by_id(_PROTON)[0]
        return (recoil.e - PROTON_MASS) ** 2 - recoil._momentum_squared()

    def get_t_prime(self) -> Any:
        r"""Momentum transfer beyond what the masses require, ``(events,)``, GeV², at most 0 up to rounding.

        .. math:: t' = t - t_0, \quad
                  t_0 = \left(\frac{m_X^2}{2 \sqrt s}\right)^2 - (p_\gamma^{cm} - p_X^{cm})^2, \quad
                  p_\gamma^{cm} = \frac{s - m_p^2}{2 \sqrt s}, \quad
                  p_X^{cm} = \frac{\sqrt{(s - (m_X + m_p)^2)(s - (m_X - m_p)^2)}}{2 \sqrt s}

        Raises
        ------
        ValueError
            If photon, proton or X are missing.

        Notes
        -----
        t_0, the t of X going forward, is the physical t closest to 0. The sign is that of t, negative; others quote
        ``|t| - |t|_min``, minus this. Below the threshold of X p, and where the mass of X is NaN, it is NaN.

        References
        ----------
        Particle Data Group, review of kinematics, two-body reactions: t_0 and t_1, for m_1 = 0 and m_2 = m_4 = m_p.
        """
        s, mass = self.get_s(), self.get_event_mass()
        with np.errstate(invalid="ignore"):
            twice_root = 2 * np.sqrt(s)
            beam = (s - PROTON_MASS**2) / twice_root
            # Two roots, not one of the product: far below threshold both factors are negative.
            system = np.sqrt(s - (mass + PROTON_MASS) ** 2) * np.sqrt(s - (mass - PROTON_MASS) ** 2) / twice_root
            return self.get_t() - (mass * mass / twice_root) ** 2 + (beam - system) ** 2

    def __repr__(self) -> str:
        kinds = ", ".join(f"{p.id} {p.name}" for p in self._particles)
        return f"ParticlePool({self.event_count} events of {self.particle_count} particles: {kinds})"
