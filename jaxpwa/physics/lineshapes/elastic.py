r"""Elastic waves of light mesons: the rho of Gounaris and Sakurai, the K pi S wave of LASS.

Signs and units are those of `jaxpwa.physics.lineshapes.breitwigner`; numerators are not.

References
----------
G. J. Gounaris, J. J. Sakurai, Phys. Rev. Lett. 21 (1968) 244.
J. P. Lees et al. (BaBar), Phys. Rev. D 86 (2012) 032013: its use in fits of the pion's form factor.
D. Aston et al. (LASS), Nucl. Phys. B 296 (1988) 493.
B. Aubert et al. (BaBar), Phys. Rev. D 78 (2008) 034023: the generalised form of the K pi S wave.
"""

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.kinematics.breakup import breakup_momentum
from jaxpwa.physics.lineshapes.breitwigner import breit_wigner, nominal_phase_space, same_precision
from jaxpwa.physics.lineshapes.chewmandelstam import chew_mandelstam

CHARGED_PION = 0.13957039
"""Mass of the charged pion, GeV, in the Review of Particle Physics (2022)."""


def gounaris_sakurai(
    mass: ArrayLike, mass0: ArrayLike, width: ArrayLike, pion_mass: ArrayLike = CHARGED_PION
) -> jax.Array:
    r"""Line shape of a rho meson that decays to two pions, with the mass shift that its width causes.

    .. math:: A(m) &= \frac{m_0^2 + d\, m_0 \Gamma_0}{m_0^2 - s + f(s) - i m_0 \Gamma_0 (k / k_0)^3 (m_0 / m)},
              \quad s = m^2, \; k(s) = \tfrac{1}{2} \sqrt{s - 4 m_\pi^2} \\
              f(s) &= \Gamma_0 \frac{m_0^2}{k_0^3} \left[ k^2 \big(h(s) - h(m_0^2)\big)
              + (m_0^2 - s)\, k_0^2\, h'(m_0^2) \right], \quad
              h(s) = \frac{2}{\pi} \frac{k}{m} \ln \frac{m + 2k}{2 m_\pi} \\
              d &= \frac{3}{\pi} \frac{m_\pi^2}{k_0^2} \ln \frac{m_0 + 2 k_0}{2 m_\pi} + \frac{m_0}{2 \pi k_0}
              - \frac{m_\pi^2 m_0}{\pi k_0^3}

    Parameters
    ----------
    mass
        Invariant mass of the two pions, GeV; complex ones are on the physical sheet.
    mass0, width
        :math:`m_0`, where the phase shift is 90 degrees, and the width :math:`\Gamma_0` there, GeV.
    pion_mass
        :math:`m_\pi`, GeV, the same for both.

    Returns
    -------
    Complex, the shape of ``mass``, without dimension: 1 at mass 0, as a form factor is. Analytic in :math:`s`, real
    and smooth below the threshold. Where ``mass0`` lies below the threshold, :math:`|k_0|` is taken.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.elastic import gounaris_sakurai
    >>> abs(gounaris_sakurai([0.0, 0.7, 0.775], 0.775, 0.149)).round(4)
    Array([1.    , 4.5837, 5.68  ], dtype=float64)
    """
    mass, mass0, width, pion_mass = same_precision(mass, mass0, width, pion_mass)
    s, s0, four = mass**2, mass0**2, 4 * pion_mass**2
    nominal = nominal_phase_space(mass0, pion_mass, pion_mass, 0, 1.0)
    square0, scale = (s0 - four) / 4, 8 * width / (mass0 * nominal**3)
    h0, _ = _loop(s0, pion_mass)
    # k0^2 h'(s0) = h0 (1/8 - k0^2 / 2 s0) + k0^2 / 2 pi s0
    slope = h0 * (1 / 8 - square0 / (2 * s0)) + square0 / (2 * np.pi * s0)
    real, imaginary = _loop(s, pion_mass)
    square = (s - four) / 4
    below = s0 - s + scale * (square * (real + 1j * imaginary - h0) + (s0 - s) * slope)
    # The same at s = 0, where h is 1 / pi.
    return (s0 + scale * (s0 * slope - four / 4 * (1 / np.pi - h0))) / below


def _loop(s: jax.Array, pion_mass: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return h - i k / m in two parts, the second 0 below the threshold, where the first goes on."""
    if jnp.iscomplexobj(s):
        return -chew_mandelstam(s, pion_mass, pion_mass) / 2, jnp.zeros(s.shape, s.real.dtype)
    # Real masses in real numbers: derivatives of complex logarithms and roots take long to compile.
    four = 4 * pion_mass**2
    m, is_open, edge = jnp.sqrt(jnp.where(s > 0, s, 1.0)), s > four, s == four
    k = jnp.where(edge, 0.0, jnp.sqrt(jnp.where(edge, 1.0, jnp.abs(s - four)) / 4))
    above = 2 / np.pi * jnp.log((m + 2 * jnp.where(is_open, k, 0.0)) / (2 * pion_mass))
    closed = 2 / np.pi * jnp.arctan2(m, 2 * k)
    real = jnp.where(s > 0, k / m * jnp.where(is_open, above, closed), 1 / np.pi)
    return real, jnp.where(is_open, -k / m, 0.0)


def rho_omega_mixing(mass: ArrayLike, omega_mass: ArrayLike, omega_width: ArrayLike, mixing: ArrayLike) -> jax.Array:
    r"""Factor of a rho's line shape for its mixing with the omega.

    .. math:: 1 + \delta\, \frac{s}{m_\omega^2 - s - i m_\omega \Gamma_\omega}, \quad s = m^2

    Parameters
    ----------
    mass
        Invariant mass of the two pions, GeV.
    omega_mass, omega_width
        Mass and width of the omega, GeV.
    mixing
        :math:`\delta`, a complex number, of absolute value near 0.002 in :math:`e^+ e^- \to \pi^+ \pi^-`.

    Returns
    -------
    Complex, the shape of ``mass``; 1 at mass 0, so that a form factor stays 1 there.
    """
    mass = floating(mass)
    return 1 + floating(mixing) * mass**2 * breit_wigner(mass, omega_mass, omega_width)


def _phases(
    mass: ArrayLike, mass0: ArrayLike, width: ArrayLike, a: ArrayLike, r: ArrayLike, m1: ArrayLike, m2: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return m sin(delta) e^(i delta) / q of background and resonance, and q / m."""
    mass, mass0, width, a, r, m1, m2 = same_precision(mass, mass0, width, a, r, m1, m2)
    q = breakup_momentum(mass, m1, m2)
    strength = 2 * mass0 * width / nominal_phase_space(mass0, m1, m2, 0, 1.0)
    background = a * mass / (1 + a * r * q**2 / 2 - 1j * a * q)
    return background, strength / (mass0**2 - mass**2 - 1j * strength * q / mass), q / mass


def lass(
    mass: ArrayLike, mass0: ArrayLike, width: ArrayLike, a: ArrayLike, r: ArrayLike, m1: ArrayLike, m2: ArrayLike
) -> jax.Array:
    r"""S wave of kaon and pion: a resonance on top of an effective-range background, both elastic.

    .. math:: A(m) &= \frac{m}{q \cot\delta_B - i q} + e^{2 i \delta_B}
              \frac{m_0 \Gamma_0 \frac{m_0}{q_0}}{m_0^2 - m^2 - i m_0 \Gamma_0 \frac{q}{m} \frac{m_0}{q_0}}
              = \frac{m}{q} \sin(\delta_B + \delta_R)\, e^{i (\delta_B + \delta_R)} \\
              \cot\delta_B &= \frac{1}{a q} + \frac{r q}{2}

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    mass0, width
        Mass and width :math:`\Gamma_0` of the K(1430), GeV.
    a, r
        Scattering length and effective range, GeV⁻¹.
    m1, m2
        Masses of kaon and pion, GeV.

    Returns
    -------
    Complex, the shape of ``mass``, without dimension. Elastic: :math:`|q A / m| = |\sin\delta|`; LASS found it so up
    to the threshold of K and eta', about 1.45 GeV. It is continued below the threshold, where it is ``a * mass`` and
    what the resonance adds. Where the resonance lies below the threshold, :math:`|q_0|` is taken.
    """
    background, resonance, rho = _phases(mass, mass0, width, a, r, m1, m2)
    return background + (1 + 2j * rho * background) * resonance


def generalised_lass(
    mass: ArrayLike,
    mass0: ArrayLike,
    width: ArrayLike,
    a: ArrayLike,
    r: ArrayLike,
    m1: ArrayLike,
    m2: ArrayLike,
    *,
    background: ArrayLike = 1.0,
    background_phase: ArrayLike = 0.0,
    resonance: ArrayLike = 1.0,
    resonance_phase: ArrayLike = 0.0,
) -> jax.Array:
    r"""S wave of kaon and pion with free sizes and phases of background and resonance, for decays of heavy mesons.

    .. math:: A(m) = B \sin(\delta_B + \phi_B)\, e^{i (\delta_B + \phi_B)}
              + R \sin(\delta_R + \phi_R)\, e^{i (\delta_R + \phi_R)}\, e^{2 i (\delta_B + \phi_B)}

    with the phase shifts of `lass`.

    Parameters
    ----------
    mass, mass0, width, a, r, m1, m2
        As in `lass`.
    background, background_phase
        :math:`B` and :math:`\phi_B`, rad.
    resonance, resonance_phase
        :math:`R` and :math:`\phi_R`, rad.

    Returns
    -------
    Complex, the shape of ``mass``, without dimension. It is a scattering amplitude, without the factor :math:`m / q`
    of `lass`: with the sizes 1 and phases 0 it is ``q / mass`` times that. (GooFit multiplies by :math:`m / q`.)
    """
    first, second, rho = _phases(mass, mass0, width, a, r, m1, m2)
    # exp(2i (delta + phi)) of each; sin(x) e^(ix) = (e^(2ix) - 1) / 2i
    turned = (1 + 2j * rho * first) * jnp.exp(2j * floating(background_phase))
    other = (1 + 2j * rho * second) * jnp.exp(2j * floating(resonance_phase))
    return floating(background) * (turned - 1) / 2j + floating(resonance) * turned * (other - 1) / 2j
