r"""Decays into three particles: invariant masses and the Dalitz plot. Angles are in `threebody_angles`.

Particles are numbered 1, 2 and 3, what they come from 0. A pair is named by its spectator, and its particles keep the
cyclic order: (2, 3) for 1, (3, 1) for 2, (1, 2) for 3. Invariant masses squared go by the same number,

.. math:: \sigma_1 = (p_2 + p_3)^2, \quad \sigma_2 = (p_3 + p_1)^2, \quad \sigma_3 = (p_1 + p_2)^2, \qquad
          \sigma_1 + \sigma_2 + \sigma_3 = m_0^2 + m_1^2 + m_2^2 + m_3^2

so that three of them hold the mass :math:`m_0`, event by event. Functions take all three as ``sigma``, GeV², of shapes
that broadcast, and ``masses``, those of the particles 1, 2 and 3, GeV.

References
----------
JPAC, M. Mikhasenko et al., Phys. Rev. D 101 (2020) 034033, arXiv:1910.04566: numbers and order.
T. W. B. Kibble, Phys. Rev. 117 (1960) 1159: the edge of the Dalitz plot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating, root
from jaxpwa.physics.kinematics._threebody import checked_number, kibble_of_squares, pair_of, squares_by_number
from jaxpwa.physics.kinematics._vectors import FourVector, four_vectors
from jaxpwa.physics.kinematics.breakup import kallen
from jaxpwa.physics.kinematics.fourvectors import invariant_mass_squared


class Invariants(NamedTuple):
    """Invariant masses squared of the pairs (2, 3), (3, 1) and (1, 2), GeV², ``(events,)`` each."""

    sigma1: jax.Array
    sigma2: jax.Array
    sigma3: jax.Array


def pair(spectator: int) -> tuple[int, int]:
    """Particles of the pair that is named by its spectator, in cyclic order.

    Parameters
    ----------
    spectator
        1, 2 or 3.

    Returns
    -------
    (2, 3), (3, 1) or (1, 2).

    Raises
    ------
    ValueError
        If there is no such particle.
    """
    return pair_of(checked_number("spectator", spectator))


def invariants(p1: FourVector, p2: FourVector, p3: FourVector) -> Invariants:
    """Invariant masses squared of the three pairs.

    Parameters
    ----------
    p1, p2, p3
        Four-vectors ``(events, 4)``, GeV, in any frame.

    Returns
    -------
    sigma1, sigma2, sigma3
        ``(events,)`` each, GeV².

    Raises
    ------
    ValueError
        If shapes do not go together.
    """
    a, b, c = four_vectors(p1=p1, p2=p2, p3=p3)
    return Invariants(*(invariant_mass_squared(p4) for p4 in (b + c, c + a, a + b)))


def invariants_of_angle(
    mass: ArrayLike, masses: Sequence[ArrayLike], spectator: int, sigma: ArrayLike, costheta: ArrayLike
) -> Invariants:
    r"""All three invariants from the mass and the decay angle of one pair.

    Parameters
    ----------
    mass
        :math:`m_0`, GeV.
    masses
        Of the three particles, GeV.
    spectator
        k, the particle that is not in the pair.
    sigma
        :math:`\sigma_k`, GeV², between :math:`(m_i + m_j)^2` and :math:`(m_0 - m_k)^2`.
    costheta
        :math:`\cos\theta_{ij}` as `cos_theta` has it.

    Returns
    -------
    sigma1, sigma2, sigma3
        Of the common shape, GeV².

    Raises
    ------
    ValueError
        If there is no such spectator.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.threebody import invariants_of_angle
    >>> [round(float(s), 6) for s in invariants_of_angle(3.0, (0.5, 0.2, 0.1), 3, 4.0, 0.0)]
    [2.414012, 2.885987, 4.0]
    """
    i, j = pair(spectator)
    k = checked_number("spectator", spectator)
    m = {n + 1: floating(value) ** 2 for n, value in enumerate(masses)}
    m[0] = floating(mass) ** 2
    s = {k: floating(sigma)}
    momenta = root(kallen(m[0], m[k], s[k])) * root(kallen(s[k], m[i], m[j]))
    energies = (s[k] + m[i] - m[j]) * (m[0] - s[k] - m[k])
    s[j] = m[i] + m[k] + (energies + momenta * costheta) / (2 * s[k])
    s[i] = m[0] + m[1] + m[2] + m[3] - s[k] - s[j]
    return Invariants(*jnp.broadcast_arrays(s[1], s[2], s[3]))


def kibble(sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike]) -> jax.Array:
    r"""Kibble's function, positive inside of the Dalitz plot and 0 on its edge.

    .. math:: \Phi = 4 \det(p_a \cdot p_b) = 4\, m_0^2\, |\vec p_1 \times \vec p_2|^2
              = x_1 x_2 x_3 - m_1^2 x_1^2 - m_2^2 x_2^2 - m_3^2 x_3^2 + 4 m_1^2 m_2^2 m_3^2,
              \qquad x_k = 2 p_i \cdot p_j = \sigma_k - m_i^2 - m_j^2

    Parameters
    ----------
    sigma
        The three invariants, GeV².
    masses
        Of the three particles, GeV.

    Returns
    -------
    GeV⁶, of the common shape; :math:`\sigma_1 \sigma_2 \sigma_3` for massless particles.

    Raises
    ------
    ValueError
        If there are not three of them.
    """
    return kibble_of_squares(*squares_by_number(sigma, masses))


def is_inside_dalitz(sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike]) -> jax.Array:
    """Whether events lie in the Dalitz plot, its edge included.

    Parameters
    ----------
    sigma
        The three invariants, GeV², whose sum gives the mass of the decaying particle.
    masses
        Of the three particles, GeV.

    Returns
    -------
    Booleans of the common shape.

    Raises
    ------
    ValueError
        If there are not three of them.
    """
    s, m = squares_by_number(sigma, masses)
    m1, m2, m3 = (floating(value) for value in masses)
    # Kibble's function is positive in the regions of scattering too.
    real = (s[1] >= (m2 + m3) ** 2) & (s[2] >= (m3 + m1) ** 2) & (s[3] >= (m1 + m2) ** 2)
    return real & (m[0] >= (m1 + m2 + m3) ** 2) & (kibble_of_squares(s, m) >= 0)


def dalitz_boundary(
    mass: float, masses: Sequence[float], *, axes: tuple[int, int] = (1, 2), points: int = 401
) -> tuple[jax.Array, jax.Array]:
    r"""Edge of the Dalitz plot as a closed curve, to draw.

    Parameters
    ----------
    mass
        Of the decaying particle, GeV.
    masses
        Of the three particles, GeV.
    axes
        Spectators that say which two invariants are wanted: (1, 2) for :math:`\sigma_1` and :math:`\sigma_2`.
    points
        How many, at least 3; the last is the first.

    Returns
    -------
    x, y
        ``(points,)`` each, GeV²: invariants of the two pairs.

    Raises
    ------
    ValueError
        If the axes are not two different spectators, there are too few points, or the decay is not possible.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.threebody import dalitz_boundary
    >>> x, y = dalitz_boundary(1.8648, (0.4976, 0.1396, 0.1396), axes=(2, 3))
    >>> bool(abs(x.max() - (1.8648 - 0.1396) ** 2) < 1e-4)
    True
    """
    first, second = (checked_number("axes", axis) for axis in axes)
    if first == second or points < 3:
        msg = f"axes must be two different spectators and points at least 3, got {axes!r} and {points!r}."
        raise ValueError(msg)
    if mass < sum(masses):
        msg = f"mass must be at least {sum(masses):.6g} GeV, that of the three particles together, got {mass!r}."
        raise ValueError(msg)
    i, j = pair(first)
    low, high = (masses[i - 1] + masses[j - 1]) ** 2, (mass - masses[first - 1]) ** 2
    turn = np.linspace(0, 2 * np.pi, points)
    # Points crowd at both ends, where the curve is steep.
    x = low + (high - low) * np.sin(turn / 2) ** 2
    sigma = invariants_of_angle(mass, masses, first, x, np.where(turn <= np.pi, 1.0, -1.0))
    return jnp.asarray(x), sigma[second - 1]


@dataclass(frozen=True)
class ThreeBodyDecay:
    """Masses and spins of a decay into three particles, and where its events have their invariant masses.

    Attributes
    ----------
    mass
        Of the decaying particle, GeV; None takes it from the three invariant masses of each event.
    masses
        Of particles 1, 2 and 3, GeV.
    spin
        Of the decaying particle.
    spins
        Of particles 1, 2 and 3.
    columns
        Names of the columns with the invariant masses of the pairs (2, 3), (3, 1) and (1, 2), GeV. If ``mass`` is given
        events need but two of them.

    Raises
    ------
    ValueError
        If there are not three of each, a spin is not (half-)whole, or half-whole ones do not come in pairs.
    """

    mass: float | None
    masses: tuple[float, float, float]
    spin: float = 0
    spins: tuple[float, float, float] = (0, 0, 0)
    columns: tuple[str, str, str] = ("m23", "m31", "m12")

    def __post_init__(self) -> None:
        for what in ("masses", "spins", "columns"):
            value = tuple(getattr(self, what))
            if len(value) != 3:
                msg = f"{what} must have three entries, one per particle, got {len(value)}."
                raise ValueError(msg)
            object.__setattr__(self, what, value)
        spins = (self.spin, *self.spins)
        if any(s < 0 or (2 * s) % 1 for s in spins) or sum(spins) % 1:
            msg = f"spins must be 0, 0.5, 1, ... and add up to a whole number, got {self.spin} to {self.spins}."
            raise ValueError(msg)

    def spin_of(self, particle: int) -> float:
        """Spin of a particle.

        Parameters
        ----------
        particle
            1, 2, 3, or 0 for the decaying one.

        Returns
        -------
        0, 0.5, 1, ...
        """
        return float((self.spin, *self.spins)[checked_number("particle", particle, 0)])

    def helicities(self, particle: int) -> tuple[float, ...]:
        """Helicities that a particle can have.

        Parameters
        ----------
        particle
            1, 2, 3, or 0 for the decaying one, which has spin projections.

        Returns
        -------
        From the highest down, only the first and the last for a massless particle.
        """
        j = self.spin_of(particle)
        every = tuple(j - n for n in range(round(2 * j) + 1))
        massless = particle > 0 and self.masses[particle - 1] == 0
        return (j, -j) if massless and j else every

    def invariants(self, data: Mapping[str, Any]) -> Invariants:
        """Invariant masses squared of events.

        Parameters
        ----------
        data
            Columns ``(events,)`` by name.

        Returns
        -------
        sigma1, sigma2, sigma3
            ``(events,)`` each, GeV².

        Raises
        ------
        ValueError
            If columns are missing.
        """
        found = {name: floating(data[name]) ** 2 for name in self.columns if name in data}
        missing = [name for name in self.columns if name not in found]
        if len(missing) > (self.mass is not None):
            least = "two" if self.mass is not None else "all (as the decay has no mass of its own)"
            msg = f"events need {least} of the columns {', '.join(self.columns)}; {', '.join(missing)} are missing."
            raise ValueError(msg)
        for name in missing:
            first, second = found.values()
            found[name] = self.mass**2 + sum(m**2 for m in self.masses) - first - second  # type: ignore[operator]
        return Invariants(*(found[name] for name in self.columns))
