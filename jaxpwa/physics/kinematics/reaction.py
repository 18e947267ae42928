"""Whole reactions, beam + target -> system + recoil: particles by role, t', production plane, van Hove's plot."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa._checks import known
from jaxpwa.physics._arrays import floating, root
from jaxpwa.physics.kinematics._vectors import (
    FourVector,
    ThreeVector,
    arctan2,
    cross,
    direction,
    four_vectors,
    per_event,
    product,
    three_vector,
)
from jaxpwa.physics.kinematics.breakup import real_breakup_momentum
from jaxpwa.physics.kinematics.fourvectors import Mandelstam, invariant_mass, mandelstam
from jaxpwa.physics.kinematics.frames import Frame, adair_frame, gottfried_jackson_frame, helicity_frame, rest_frame


def t_limits(
    s: ArrayLike, beam_mass: ArrayLike, target_mass: ArrayLike, system_mass: ArrayLike, recoil_mass: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    r"""Limits of Mandelstam's t: that of a system going forward in the centre of mass, and of one going backward.

    .. math:: t_{0, 1} = \left(\frac{m_b^2 - m_X^2 - m_t^2 + m_r^2}{2 \sqrt s}\right)^2 - (p_b \mp p_X)^2

    Parameters
    ----------
    s
        ``(events,)`` or a number, GeV², positive.
    beam_mass, target_mass, system_mass, recoil_mass
        :math:`m_b, m_t, m_X, m_r`, GeV: ``(events,)`` or numbers.

    Returns
    -------
    t_0, t_1
        GeV², of the common shape, ``t_1 <= t <= t_0``: the physical t of smallest and of largest momentum transfer,
        often written :math:`-|t|_{min}` and :math:`-|t|_{max}`. t_0 can be positive, where masses change at both
        vertices. Below a threshold the momentum counts as 0, with slope 0.

    References
    ----------
    Particle Data Group, review of kinematics, two-body reactions.
    """
    given = (floating(v) for v in (s, beam_mass, target_mass, system_mass, recoil_mass))
    s, b, t, x, r = jnp.broadcast_arrays(*given)
    energy = jnp.sqrt(s)
    p_in, p_out = real_breakup_momentum(energy, b, t), real_breakup_momentum(energy, x, r)
    between = ((b**2 - x**2 - t**2 + r**2) / (2 * energy)) ** 2
    return between - (p_in - p_out) ** 2, between - (p_in + p_out) ** 2


def t_prime(
    t: ArrayLike,
    s: ArrayLike,
    beam_mass: ArrayLike,
    target_mass: ArrayLike,
    system_mass: ArrayLike,
    recoil_mass: ArrayLike,
) -> jax.Array:
    r"""Momentum transfer above its minimum, :math:`t' = |t| - |t|_{min} = t_0 - t`, with `t_limits`.

    Parameters
    ----------
    t
        ``(events,)``, GeV², negative in most reactions.
    s
        ``(events,)`` or a number, GeV².
    beam_mass, target_mass, system_mass, recoil_mass
        ``(events,)`` or numbers, GeV.

    Returns
    -------
    ``(events,)``, GeV²; not negative in the physical region. Others have the opposite sign, :math:`t - t_0`.

    Examples
    --------
    A system of 1.2 GeV produced off protons by photons of 8.5 GeV:

    >>> from jaxpwa.physics.kinematics.reaction import t_prime
    >>> m, energy = 0.938272, 8.5
    >>> round(float(t_prime(-0.3, m * m + 2 * m * energy, 0.0, m, 1.2, m)), 6)
    0.292021
    """
    forward, _ = t_limits(s, beam_mass, target_mass, system_mass, recoil_mass)
    forward, t = jnp.broadcast_arrays(forward, floating(t))
    return forward - t


def polarisation_angle(
    beam: FourVector, recoil: FourVector, angle: ArrayLike | None = None, *, vector: ThreeVector | None = None
) -> jax.Array:
    r"""Angle from the production plane to the linear polarisation of the beam, about the beam.

    .. math:: \Phi = \operatorname{atan2}(\hat y \cdot \vec\epsilon,\ \hat b \cdot (\vec\epsilon \times \hat y)),
              \quad \hat y \propto \vec p_{beam} \times (-\vec p_{recoil})

    Parameters
    ----------
    beam, recoil
        Four-vectors ``(events, 4)``, GeV, where the target is at rest or moves along the beam: in the laboratory, or
        in the centre of mass.
    angle
        Of the polarisation, from the x axis of the laboratory towards its y axis; one number or ``(events,)``, rad.
        For a beam along z.
    vector
        The polarisation as a vector transverse to the beam, ``(events, 3)`` or ``(3,)``, of any length but 0; in place
        of the angle.

    Returns
    -------
    ``(events,)``, in [-pi, pi] rad. The system has azimuth ``angle - Phi``. Where recoil and beam are collinear there
    is no plane, and the angle is 0 with gradient 0.

    Raises
    ------
    TypeError
        Unless there is either an angle or a vector.

    Notes
    -----
    As GlueX has it. The intensity depends on 2 Phi only.
    """
    if (angle is None) == (vector is None):
        msg = "polarisation_angle must have either an angle or a vector: got " + ("none." if angle is None else "both.")
        raise TypeError(msg)
    beam, recoil = four_vectors(beam=beam, recoil=recoil)
    if vector is not None:
        polarisation = three_vector("vector", vector)
    elif angle is not None:
        a = per_event("angle", angle, beam)
        polarisation = jnp.stack([jnp.cos(a), jnp.sin(a), jnp.zeros_like(a)], axis=-1)
    y = cross(beam[..., 1:], -recoil[..., 1:])
    return arctan2(product(y, polarisation), product(direction(beam[..., 1:]), cross(polarisation, y)))


def production_plane_angle(beam: FourVector, recoil: FourVector) -> jax.Array:
    """Azimuth of the produced system about the beam, from the x axis of the laboratory.

    Parameters
    ----------
    beam, recoil
        As in `polarisation_angle`, the beam not along x.

    Returns
    -------
    ``(events,)``, in [-pi, pi] rad: for a beam along z, the azimuth opposite to the recoil's. `polarisation_angle` is
    the angle of the polarisation minus this one.
    """
    return -polarisation_angle(beam, recoil, vector=(1.0, 0.0, 0.0))


def van_hove(first: FourVector, second: FourVector, third: FourVector, beam: FourVector) -> tuple[jax.Array, jax.Array]:
    r"""Polar coordinates of a three-body final state in van Hove's longitudinal plot.

    .. math:: q_1 = \sqrt{\tfrac23}\, r \sin\omega, \quad q_2 = \sqrt{\tfrac23}\, r \sin(\omega + \tfrac{2\pi}{3}),
              \quad q_3 = \sqrt{\tfrac23}\, r \sin(\omega + \tfrac{4\pi}{3})

    Parameters
    ----------
    first, second, third
        Four-vectors of all particles of the final state, ``(events, 4)``, GeV.
    beam
        ``(events, 4)``, GeV.

    Returns
    -------
    omega, r
        ``(events,)`` each: rad, in [0, 2 pi), and GeV. Where all three move across the beam, omega is 0.

    Notes
    -----
    :math:`q_i` are the momenta along the beam in the centre of mass of the three; their sum is 0, and
    :math:`r^2 = q_1^2 + q_2^2 + q_3^2`. For example, first backward and the other two forward is
    :math:`\tfrac43\pi < \omega < \tfrac53\pi`. Cartesian coordinates are :math:`(r \cos\omega, r \sin\omega)`.

    References
    ----------
    L. van Hove, Nucl. Phys. B9 (1969) 331.
    """
    first, second, third, beam = four_vectors(first=first, second=second, third=third, beam=beam)
    frame = rest_frame(first + second + third, z=lambda see: see(beam))
    q1, q2, q3 = (frame.see(p)[..., 3] for p in (first, second, third))
    omega = arctan2(float(np.sqrt(3)) * q1, q2 - q3)
    return jnp.where(omega < 0, omega + 2 * np.pi, omega), root(q1**2 + q2**2 + q3**2)


def _is_number(value: Any) -> bool:
    """Whether a value is one number, as a mass is."""
    return not isinstance(value, (tuple, list)) and np.ndim(value) == 0


class Reaction(eqx.Module):
    """The particles of a reaction by their roles: a beam on a target makes a system, which decays, and a recoil.

    Parameters
    ----------
    beam, recoil
        Four-vectors, ``(events, 4)``, GeV; all in one frame.
    daughters
        Four-vectors by name: what the system decays to.
    target
        Four-vectors; or the mass of a target at rest, GeV; or None: what energy and momentum leave.

    Attributes
    ----------
    beam, target, recoil
        ``(events, 4)``.
    daughters
        ``(events, 4)`` each.

    Raises
    ------
    ValueError
        If there are no daughters, or shapes do not go together.

    Notes
    -----
    A pytree, of use inside ``jit``, ``grad`` and ``vmap``. Angles of several daughters are those of their sum.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.fourvectors import four_vector_from_mass
    >>> from jaxpwa.physics.kinematics.reaction import Reaction
    >>> event = Reaction(
    ...     beam=[8.747, 0.0, 0.0, 8.747],
    ...     recoil=four_vector_from_mass(1.007, 0.119, 0.374, 0.222),
    ...     daughters={
    ...         "K1": four_vector_from_mass(0.498, -0.112, 0.293, 3.081),
    ...         "K2": four_vector_from_mass(0.498, -0.007, -0.667, 5.446),
    ...     },
    ... )
    >>> costheta, phi = event.helicity_angles("K1")
    >>> f"{costheta:.6f} {phi:.6f} {event.polarisation_angle(0.05708078):.6f}"
    '-0.461118 -2.657463 1.935930'
    """

    beam: jax.Array
    target: jax.Array
    recoil: jax.Array
    daughters: dict[str, jax.Array]

    def __init__(
        self,
        *,
        beam: FourVector,
        recoil: FourVector,
        daughters: Mapping[str, FourVector],
        target: FourVector | ArrayLike | None = None,
    ):
        if not daughters:
            msg = "daughters must have at least one name and its four-vectors, got none."
            raise ValueError(msg)
        named: dict[str, Any] = {f"daughter {name!r}": p4 for name, p4 in daughters.items()}
        if target is not None:
            named["target"] = (target, 0.0, 0.0, 0.0) if _is_number(target) else target
        arrays = dict(zip(["beam", "recoil", *named], four_vectors(beam=beam, recoil=recoil, **named), strict=True))
        self.beam, self.recoil = arrays["beam"], arrays["recoil"]
        self.daughters = {name: arrays[f"daughter {name!r}"] for name in daughters}
        self.target = arrays["target"] if target is not None else self.system + self.recoil - self.beam

    def p4(self, *names: str) -> jax.Array:
        """Four-vectors of a daughter, or of the sum of several.

        Parameters
        ----------
        names
            One or more names of daughters.

        Returns
        -------
        ``(events, 4)``, GeV.

        Raises
        ------
        ValueError
            If a name is unknown or there is none.
        """
        unknown = [name for name in names if name not in self.daughters]
        if unknown or not names:
            msg = f"unknown daughter {unknown[0]!r}" if unknown else "one or more daughters must be named"
            msg += f"; the daughters are: {known(self.daughters)}."
            raise ValueError(msg)
        total = self.daughters[names[0]]
        for name in names[1:]:
            total = total + self.daughters[name]
        return total

    @property
    def system(self) -> jax.Array:
        """Sum of all daughters, ``(events, 4)``, GeV."""
        return self.p4(*self.daughters)

    def mandelstam(self) -> Mandelstam:
        """Return s, t and u, ``(events,)`` each, GeV²: see `jaxpwa.physics.kinematics.fourvectors.mandelstam`."""
        return mandelstam(self.beam, self.target, self.system, self.recoil)

    def t_prime(self) -> jax.Array:
        """Return t' = t_0 - t, ``(events,)``, GeV², for the masses of each event: see `t_prime`."""
        masses = (invariant_mass(p4) for p4 in (self.beam, self.target, self.system, self.recoil))
        variables = self.mandelstam()
        return t_prime(variables.t, variables.s, *masses)

    def helicity_frame(self) -> Frame:
        """Return the helicity frame of the system."""
        return helicity_frame(self.system, self.recoil, self.beam)

    def gottfried_jackson_frame(self) -> Frame:
        """Return the Gottfried-Jackson frame of the system."""
        return gottfried_jackson_frame(self.system, self.recoil, self.beam)

    def adair_frame(self) -> Frame:
        """Return the Adair frame of the system."""
        return adair_frame(self.system, self.recoil, self.beam)

    def helicity_angles(self, *names: str) -> tuple[jax.Array, jax.Array]:
        """Return cos(theta) and phi of the named daughters' sum, ``(events,)`` each, in the helicity frame."""
        return self.helicity_frame().angles(self.p4(*names))

    def gottfried_jackson_angles(self, *names: str) -> tuple[jax.Array, jax.Array]:
        """Return cos(theta) and phi of the named daughters' sum, ``(events,)`` each, in the Gottfried-Jackson frame."""
        return self.gottfried_jackson_frame().angles(self.p4(*names))

    def adair_angles(self, *names: str) -> tuple[jax.Array, jax.Array]:
        """Return cos(theta) and phi of the named daughters' sum, ``(events,)`` each, in the Adair frame."""
        return self.adair_frame().angles(self.p4(*names))

    def polarisation_angle(self, angle: ArrayLike | None = None, *, vector: ThreeVector | None = None) -> jax.Array:
        """Return Phi, ``(events,)``, rad, for an angle or a vector of polarisation: see `polarisation_angle`."""
        return polarisation_angle(self.beam, self.recoil, angle, vector=vector)

    def production_plane_angle(self) -> jax.Array:
        """Return the azimuth of the system about the beam, ``(events,)``, rad: see `production_plane_angle`."""
        return production_plane_angle(self.beam, self.recoil)
