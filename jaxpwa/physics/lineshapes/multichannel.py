r"""Line shapes of a resonance with several two-body channels.

.. math:: A(m) = \frac{1}{m_0^2 - m^2 - i \sum_c g_c^2\, \rho_c(m)\, F_{l_c}^2(m)}

Signs and units are those of `jaxpwa.physics.lineshapes.breitwigner`.

References
----------
S. M. Flatté, Phys. Lett. B 63 (1976) 224.
R. L. Workman et al. (Particle Data Group), Review of Particle Physics (2022), section Resonances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.kinematics.breakup import phase_space_factor
from jaxpwa.physics.lineshapes.barriers import ONE_FERMI
from jaxpwa.physics.lineshapes.breitwigner import nominal_phase_space, open_phase_space


@dataclass(frozen=True)
class DecayChannel:
    r"""A two-body channel of a resonance.

    Attributes
    ----------
    m1, m2
        Masses of the two, GeV.
    coupling
        :math:`g`, GeV, a real number: the partial width at a mass :math:`m` is :math:`g^2 \rho F_l^2 / m_0`.
    l
        Orbital angular momentum, 0 to 8.
    q_scale
        :math:`q_R` of the barrier, GeV; without meaning for ``l = 0``.
    """

    m1: Any
    m2: Any
    coupling: Any
    l: int = 0
    q_scale: Any = ONE_FERMI

    @classmethod
    def of_width(
        cls,
        mass0: ArrayLike,
        width: ArrayLike,
        m1: ArrayLike,
        m2: ArrayLike,
        l: int = 0,
        q_scale: ArrayLike = ONE_FERMI,
    ) -> "DecayChannel":
        """Return the channel that has a partial width at the mass of the resonance.

        Parameters
        ----------
        mass0, width
            Mass of the resonance and its partial width there, GeV, not negative.
        m1, m2, l, q_scale
            As above.

        Returns
        -------
        A `DecayChannel`. Where the resonance lies below the threshold, the coupling is that of the absolute momentum.
        """
        nominal = nominal_phase_space(mass0, m1, m2, l, q_scale)
        return cls(m1, m2, jnp.sqrt(floating(mass0) * width / nominal), l, q_scale)

    def phase_space(self, mass: ArrayLike) -> jax.Array:
        r"""Return :math:`\rho F_l^2`.

        Parameters
        ----------
        mass
            Invariant mass, GeV.

        Returns
        -------
        Complex, the shape of ``mass``. Below the threshold, down to the pseudo-threshold :math:`|m_1 - m_2|`, an S
        wave is continued, positive imaginary; other waves, whose barrier has poles there, are 0.
        """
        mass = floating(mass)
        if self.l == 0:
            rho = phase_space_factor(mass**2, self.m1, self.m2)
            return jnp.where(mass > jnp.abs(floating(self.m1) - self.m2), rho, 0)
        return open_phase_space(mass, self.m1, self.m2, self.l, self.q_scale) + 0j


def multichannel_breit_wigner(mass: ArrayLike, mass0: ArrayLike, channels: Sequence[DecayChannel]) -> jax.Array:
    r"""Breit and Wigner's line shape with a width that is the sum over channels.

    .. math:: A(m) = \frac{1}{m_0^2 - m^2 - i \sum_c g_c^2\, \rho_c(m)\, F_{l_c}^2(m)}

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    mass0
        Mass of the resonance, GeV: where the real part is 0, if all S waves are open there.
    channels
        One `DecayChannel` or more. Closed S waves move the mass, on the physical sheet.

    Returns
    -------
    Complex, the shape of ``mass``, GeV⁻². The amplitude that feeds channel c has :math:`g_c F_{l_c}` in front.

    Raises
    ------
    TypeError, ValueError
        If there is no channel, or it is something else.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.multichannel import DecayChannel, multichannel_breit_wigner
    >>> pi, eta, kaon = 0.13957, 0.547862, 0.493677
    >>> a2 = [DecayChannel.of_width(1.318, 0.018, pi, eta, l=2), DecayChannel.of_width(1.318, 0.006, kaon, kaon, l=2)]
    >>> round(float(1 / multichannel_breit_wigner(1.318, 1.318, a2).imag / 1.318), 12)
    0.024
    """
    channels = tuple(channels)
    if not channels:
        msg = "channels must hold at least one DecayChannel, got none."
        raise ValueError(msg)
    for channel in channels:
        if not isinstance(channel, DecayChannel):
            msg = f"channels must be DecayChannel records, got {type(channel).__name__}."
            raise TypeError(msg)
    mass, mass0 = floating(mass), floating(mass0)
    return 1 / (mass0**2 - mass**2 - 1j * sum(c.coupling**2 * c.phase_space(mass) for c in channels))


def flatte(mass: ArrayLike, mass0: ArrayLike, couplings: Sequence[Any], pairs: Sequence[tuple[Any, Any]]) -> jax.Array:
    r"""Flatté's line shape: S-wave channels, continued below their thresholds.

    .. math:: A(m) = \frac{1}{m_0^2 - m^2 - i (g_1^2 \rho_1 + g_2^2 \rho_2 + \ldots)}

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    mass0
        Mass of the resonance, GeV.
    couplings
        :math:`g_c`, GeV, real, one per channel. For couplings that have the dimension of a width and stand in
        :math:`m_0 (g_1 \rho_1 + \ldots)`, take the root of ``mass0 * g``.
    pairs
        Masses ``(m1, m2)`` of the channels, GeV, as many.

    Returns
    -------
    Complex, the shape of ``mass``, GeV⁻². Below its threshold :math:`\rho_c` is positive imaginary: on the physical
    sheet a closed channel adds to the real part of the denominator.

    Raises
    ------
    ValueError
        If there are not as many pairs as couplings, or none.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.multichannel import flatte
    >>> pi, eta, kaon = 0.13957, 0.547862, 0.493677
    >>> abs(flatte([0.95, 0.99, 1.03], 0.98, [0.35, 0.35], [(pi, eta), (kaon, kaon)])).round(3)
    Array([ 8.333, 10.94 ,  6.432], dtype=float64)
    """
    if len(couplings) != len(pairs):
        msg = f"pairs must be as many as couplings, got {len(pairs)} for {len(couplings)}."
        raise ValueError(msg)
    channels = [DecayChannel(m1, m2, g) for g, (m1, m2) in zip(couplings, pairs, strict=True)]
    return multichannel_breit_wigner(mass, mass0, channels)
