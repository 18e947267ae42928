r"""Line shapes of a resonance: Breit and Wigner's and its relatives.

.. math:: A(m) = \frac{1}{m_0^2 - m^2 - i m_0 \Gamma(m)}, \quad \mathrm{GeV}^{-2}

With this sign phases rise with mass. There is no numerator: multiply by `breit_wigner_normalisation` or by
``mass0 * width`` for one. Barrier factors of production and decay belong to the wave and are not included either
(`blatt_weisskopf`). `multichannel` and `elastic`, beside this, have more shapes, with the same sign.

Masses and widths are in GeV; ``mass`` is the invariant mass of a pair, real, mostly ``(events,)``, and the parameters
are numbers, which may be traced.

References
----------
R. L. Workman et al. (Particle Data Group), Review of Particle Physics (2022), section Resonances.
J. D. Jackson, Nuovo Cim. 34 (1964) 1644: the mass-dependent width.
"""

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.kinematics.breakup import breakup_momentum_squared, real_breakup_momentum
from jaxpwa.physics.lineshapes.barriers import ONE_FERMI, blatt_weisskopf_squared


def same_precision(*values: ArrayLike) -> list[jax.Array]:
    """Return values as arrays of the precision that they would have in an expression, real ones real.

    Parameters
    ----------
    values
        Numbers and arrays.

    Returns
    -------
    As many arrays.
    """
    arrays = [floating(value) for value in values]
    real = jnp.finfo(jnp.result_type(*arrays)).dtype
    return [a.astype(jnp.result_type(real, jnp.complex64) if jnp.iscomplexobj(a) else real) for a in arrays]


def open_phase_space(mass: ArrayLike, m1: ArrayLike, m2: ArrayLike, l: int, q_scale: ArrayLike) -> jax.Array:
    r"""Phase space of an open channel with its barrier, :math:`\rho F_l^2`.

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    m1, m2
        Masses of the two, GeV.
    l
        Their orbital angular momentum, 0 to 8.
    q_scale
        :math:`q_R` of the barrier `blatt_weisskopf`, GeV.

    Returns
    -------
    Real, the shape of ``mass``, 0 below the threshold.
    """
    mass = floating(mass)
    q = real_breakup_momentum(mass, m1, m2)
    return 2 * q / mass * blatt_weisskopf_squared(l, (q / q_scale) ** 2)


def nominal_phase_space(mass0: ArrayLike, m1: ArrayLike, m2: ArrayLike, l: int, q_scale: ArrayLike) -> jax.Array:
    r"""Phase space with its barrier, :math:`\rho F_l^2`, at the nominal mass of a resonance.

    Parameters
    ----------
    mass0
        Mass of the resonance, GeV.
    m1, m2, l, q_scale
        As in `open_phase_space`.

    Returns
    -------
    Real, above 0: of :math:`|q|` where the resonance lies below the threshold, and tiny at the threshold itself.
    """
    mass0 = floating(mass0)
    squared = jnp.abs(breakup_momentum_squared(mass0**2, m1, m2))
    # Small, but with squares that are not 0.
    tiny = float(jnp.finfo(squared.dtype).tiny) ** 0.25
    zero = squared == 0
    q = jnp.sqrt(jnp.where(zero, 1, squared))
    return jnp.where(zero, tiny, 2 * q / mass0 * blatt_weisskopf_squared(l, squared / q_scale**2))


def breit_wigner(mass: ArrayLike, mass0: ArrayLike, width: ArrayLike) -> jax.Array:
    r"""Breit and Wigner's line shape with a constant width.

    .. math:: A(m) = \frac{1}{m_0^2 - m^2 - i m_0 \Gamma}

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    mass0, width
        Mass and width of the resonance, GeV. The width may also be an array of the shape of ``mass``, one that depends
        on it.

    Returns
    -------
    Complex, the shape of ``mass``, GeV⁻².

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.breitwigner import breit_wigner
    >>> complex(breit_wigner(1.5, 1.5, 0.2)).imag.__round__(12)  # 1 / (1.5 * 0.2)
    3.333333333333
    """
    mass, mass0 = floating(mass), floating(mass0)
    return 1 / (mass0**2 - mass**2 - 1j * mass0 * width)


def breit_wigner_normalisation(mass0: ArrayLike, width: ArrayLike) -> jax.Array:
    r"""Numerator that gives a narrow resonance the area 1: :math:`\sqrt{m_0 \Gamma / \pi}`, GeV.

    .. math:: \int \left| \frac{\sqrt{m_0 \Gamma / \pi}}{m_0^2 - s - i m_0 \Gamma} \right|^2 ds = 1,
              \quad s \in (-\infty, \infty)

    Parameters
    ----------
    mass0, width
        Mass and width of the resonance, GeV, not negative.

    Returns
    -------
    Real, of the common shape. AmpTools and laddu up to 0.15 have it in their Breit-Wigner functions, with a barrier
    factor of the decay.
    """
    return jnp.sqrt(floating(mass0) * width / np.pi)


def mass_dependent_width(
    mass: ArrayLike,
    mass0: ArrayLike,
    width: ArrayLike,
    m1: ArrayLike,
    m2: ArrayLike,
    l: int = 0,
    q_scale: ArrayLike = ONE_FERMI,
) -> jax.Array:
    r"""Width of a resonance with one two-body channel.

    .. math:: \Gamma(m) = \Gamma_0\, \frac{m_0}{m}\, \frac{q}{q_0} \left( \frac{F_l(q)}{F_l(q_0)} \right)^2

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    mass0, width
        Mass and width :math:`\Gamma_0 = \Gamma(m_0)` of the resonance, GeV.
    m1, m2
        Masses of the decay products, GeV.
    l
        Their orbital angular momentum, 0 to 8.
    q_scale
        :math:`q_R` of the barrier `blatt_weisskopf`, GeV.

    Returns
    -------
    Real, the shape of ``mass``, GeV; 0 below the threshold. Where the resonance lies below it, :math:`|q_0|` is taken;
    at the threshold itself, where there is no such width, the value is very large and finite.

    Raises
    ------
    ValueError
        If ``l`` is not one of 0 to 8.
    """
    mass, mass0, width, m1, m2, q_scale = same_precision(mass, mass0, width, m1, m2, q_scale)
    return width * (open_phase_space(mass, m1, m2, l, q_scale) / nominal_phase_space(mass0, m1, m2, l, q_scale))


def relativistic_breit_wigner(
    mass: ArrayLike,
    mass0: ArrayLike,
    width: ArrayLike,
    m1: ArrayLike,
    m2: ArrayLike,
    l: int = 0,
    q_scale: ArrayLike = ONE_FERMI,
) -> jax.Array:
    r"""Breit and Wigner's line shape with the width of `mass_dependent_width`.

    .. math:: A(m) = \frac{1}{m_0^2 - m^2 - i m_0 \Gamma(m)}

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    mass0, width
        Mass and width of the resonance, GeV.
    m1, m2
        Masses of the decay products, GeV.
    l
        Their orbital angular momentum, 0 to 8.
    q_scale
        :math:`q_R` of the barrier `blatt_weisskopf`, GeV.

    Returns
    -------
    Complex, the shape of ``mass``, GeV⁻²; real below the threshold, where the width is 0 (`multichannel_breit_wigner`
    continues an S wave instead). Of a resonance exactly at the threshold almost 0, the limit of the formula.

    Raises
    ------
    ValueError
        If ``l`` is not one of 0 to 8.

    Examples
    --------
    A rho meson with the usual numerators: an amplitude and its barrier in the decay.

    >>> from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf
    >>> from jaxpwa.physics.kinematics.breakup import real_breakup_momentum
    >>> from jaxpwa.physics.lineshapes.breitwigner import relativistic_breit_wigner
    >>> mass = np.array([0.7, 0.775])
    >>> amplitude = relativistic_breit_wigner(mass, 0.775, 0.149, 0.13957, 0.13957, l=1)
    >>> amplitude *= 0.775 * 0.149 * blatt_weisskopf(1, real_breakup_momentum(mass, 0.13957, 0.13957))
    >>> abs(amplitude).round(4)
    Array([0.9043, 1.2414], dtype=float64)
    """
    return breit_wigner(mass, mass0, mass_dependent_width(mass, mass0, width, m1, m2, l, q_scale))


def bugg_breit_wigner(
    mass: ArrayLike, mass0: ArrayLike, width: ArrayLike, slope: ArrayLike, adler_zero: ArrayLike
) -> jax.Array:
    r"""Bugg's line shape of broad scalars, with an Adler zero and an exponential in the width.

    .. math:: A(m) = \frac{1}{m_0^2 - s - i m_0 \Gamma_0\, \dfrac{s - s_A}{m_0^2 - s_A}\, e^{-\gamma s}}, \quad s = m^2

    Parameters
    ----------
    mass
        Invariant mass, GeV, above the threshold: the formula has no phase space.
    mass0, width
        :math:`m_0` and :math:`\Gamma_0`, GeV; the width at ``mass0`` is :math:`\Gamma_0 e^{-\gamma m_0^2}`.
    slope
        :math:`\gamma`, GeV⁻².
    adler_zero
        :math:`s_A`, GeV²; :math:`m_K^2 - m_\pi^2 / 2` for kaon and pion.

    Returns
    -------
    Complex, the shape of ``mass``, GeV⁻².

    Notes
    -----
    As in LHCb's analysis of :math:`\Lambda_c^+ \to p K^- \pi^+`, Phys. Rev. D 108 (2023) 012023, for the K(700) and
    the K(1430).
    """
    mass, mass0 = floating(mass), floating(mass0)
    s = mass**2
    slope, adler_zero = floating(slope), floating(adler_zero)
    return breit_wigner(mass, mass0, width * (s - adler_zero) / (mass0**2 - adler_zero) * jnp.exp(-slope * s))


def nonresonant_exponential(mass: ArrayLike, slope: ArrayLike) -> jax.Array:
    r"""Amplitude of decays without a resonance: :math:`e^{-\alpha m^2}`.

    Parameters
    ----------
    mass
        Invariant mass of a pair, GeV.
    slope
        :math:`\alpha`, GeV⁻².

    Returns
    -------
    Real, the shape of ``mass``, 1 at mass 0. As in A. Garmash et al. (Belle), Phys. Rev. D 71 (2005) 092003.
    """
    return jnp.exp(-floating(slope) * floating(mass) ** 2)


def production_phase_space(
    mass: ArrayLike, s: ArrayLike, m1: ArrayLike, m2: ArrayLike, target_mass: ArrayLike
) -> jax.Array:
    r"""Phase space and flux of the photoproduction of a pair: the factor of an intensity.

    .. math:: \kappa(m, s) = \frac{1}{2 (4\pi)^5} \frac{\sqrt{\lambda(m^2, m_1^2, m_2^2)}}{m\, (s - m_N^2)^2}

    Parameters
    ----------
    mass
        Invariant mass of the pair, GeV.
    s
        Square of the energy of photon and target, GeV², ``(events,)`` or a number.
    m1, m2
        Masses of the pair, GeV.
    target_mass
        :math:`m_N`, GeV.

    Returns
    -------
    Real, the shape of ``mass``, GeV⁻³; 0 below the threshold. An amplitude takes its root, laddu's
    ``PhaseSpaceFactor``. The paper is V. Mathieu et al. (JPAC), Phys. Rev. D 100 (2019) 054017.
    """
    momentum = floating(mass) * open_phase_space(mass, m1, m2, 0, 1.0)
    return momentum / (2 * (4 * np.pi) ** 5 * (floating(s) - floating(target_mass) ** 2) ** 2)
