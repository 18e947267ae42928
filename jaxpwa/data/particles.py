"""Four-vectors of named particles, event by event."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

import equinox as eqx

from jaxpwa._checks import check_length, known
from jaxpwa.data.columns import as_rows
from jaxpwa.data.dataset import table_columns

COMPONENTS = ("E", "px", "py", "pz")


def particle_name(identity: int) -> str:
    """Return the name of a Geant3 id, as the ``particle`` package has it.

    Raises
    ------
    ModuleNotFoundError
        If that package is not installed.
    """
    try:
        from particle import Geant3ID, InvalidParticle, Particle, ParticleNotFound
        from particle.exceptions import MatchingIDNotFound
    except ModuleNotFoundError:
        msg = "names of particles need the package 'particle': pip install 'jaxpwa[particles]'."
        raise ModuleNotFoundError(msg) from None
    try:
        return Particle.from_pdgid(Geant3ID(identity).to_pdgid()).name
    except (MatchingIDNotFound, ParticleNotFound, InvalidParticle):
        return f"unknown ({identity})"


class ParticleTable(eqx.Module):
    """The particles of each event, the same kinds in every event.

    Parameters
    ----------
    particles
        One ``(id, charge, p4)`` per particle, in the file's order: Geant3 id and charge (whole numbers), and
        four-vectors ``(events, 4)``, ``(E, px, py, pz)`` in GeV.

    Attributes
    ----------
    ids, charges
        One per particle.
    p4
        One array ``(events, 4)`` per particle, float64.

    Raises
    ------
    ValueError
        If there are no particles or shapes differ.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> table = jp.ParticleTable([(1, 0, np.ones((5, 4))), (14, 1, np.ones((5, 4)))])
    >>> len(table), table.n_particles, table.by_id(14)[0].shape
    (5, 2, (5, 4))
    """

    ids: tuple[int, ...] = eqx.field(static=True)
    charges: tuple[int, ...] = eqx.field(static=True)
    p4: tuple[np.ndarray, ...]

    def __init__(self, particles: Iterable[tuple[int, int, Any]]):
        rows = list(particles)
        if not rows:
            msg = "a ParticleTable must have at least one particle."
            raise ValueError(msg)
        vectors = [np.asarray(p4, np.float64) for _, _, p4 in rows]
        for number, p4 in enumerate(vectors, 1):
            if p4.ndim != 2 or p4.shape[1] != 4:
                msg = f"four-vectors must have shape (events, 4), (E, px, py, pz); particle {number} has {p4.shape}."
                raise ValueError(msg)
            check_length(f"particle {number}", len(p4), "event", len(vectors[0]))
        self.ids = tuple(int(i) for i, _, _ in rows)
        self.charges = tuple(int(c) for _, c, _ in rows)
        self.p4 = tuple(vectors)

    def __len__(self) -> int:
        return len(self.p4[0])

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self)

    @property
    def n_particles(self) -> int:
        """Number of particles per event."""
        return len(self.p4)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the particles, from the ``particle`` package: ``gamma``, ``p``, ``pi+`` ..."""
        return tuple(particle_name(i) for i in self.ids)

    def __iter__(self) -> Iterator[tuple[int, int, np.ndarray]]:
        return iter(zip(self.ids, self.charges, self.p4, strict=True))

    def by_id(self, identity: int) -> tuple[np.ndarray, ...]:
        """Return the four-vectors ``(events, 4)`` of every particle of this Geant3 id, in the file's order.

        Raises
        ------
        ValueError
            If there is none.
        """
        found = tuple(p4 for i, p4 in zip(self.ids, self.p4, strict=True) if i == identity)
        if not found:
            msg = f"no particle of id {identity}; the table has ids {known(map(str, self.ids))}."
            raise ValueError(msg)
        return found

    def by_name(self, name: str) -> tuple[np.ndarray, ...]:
        """Return the four-vectors ``(events, 4)`` of every particle of this name, in the file's order.

        Raises
        ------
        ValueError
            If there is none.
        """
        names = self.names
        if name not in names:
            msg = f"no particle named {name!r}; the table has {known(names)}."
            raise ValueError(msg)
        return tuple(p4 for n, p4 in zip(names, self.p4, strict=True) if n == name)

    def select(self, rows: Any) -> "ParticleTable":
        """Take some of the events: a boolean mask (list, array or Series), indices, or a slice.

        Raises
        ------
        ValueError
            If a mask has another length than the table.
        """
        rows = as_rows(rows, len(self))
        return ParticleTable((i, c, p4[rows]) for i, c, p4 in self)

    def to_columns(self) -> dict[str, np.ndarray]:
        """Return plain columns ``E_1, px_1, py_1, pz_1, E_2, ...``, each ``(events,)``, numbered as in the file."""
        return {
            f"{component}_{number}": p4[:, i]
            for number, p4 in enumerate(self.p4, 1)
            for i, component in enumerate(COMPONENTS)
        }

    @classmethod
    def from_columns(cls, table: Any, ids: Iterable[int], charges: Iterable[int]) -> "ParticleTable":
        """Build a table from columns named as `to_columns` names them.

        Parameters
        ----------
        table
            Dict of arrays, DataFrame, structured array or Dataset.
        ids, charges
            Geant3 id and charge of each particle, in order.

        Raises
        ------
        ValueError
            If a column is missing.
        """
        columns = table_columns(table)
        ids, charges = list(ids), list(charges)
        check_length("charges", len(charges), "particle", len(ids))
        particles = []
        for number, (identity, charge) in enumerate(zip(ids, charges, strict=True), 1):
            wanted = [f"{component}_{number}" for component in COMPONENTS]
            missing = [n for n in wanted if n not in columns]
            if missing:
                msg = f"particle {number} needs the columns {known(wanted)}; missing: {known(missing)}."
                raise ValueError(msg)
            particles.append((identity, charge, np.stack([columns[n] for n in wanted], axis=1)))
        return cls(particles)

    def __repr__(self) -> str:
        kinds = known(f"{i} (charge {c:+d})" for i, c in zip(self.ids, self.charges, strict=True))
        return f"ParticleTable({len(self)} events of {self.n_particles} particles: {kinds})"
