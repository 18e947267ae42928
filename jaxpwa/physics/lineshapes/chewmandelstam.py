r"""Chew and Mandelstam's function: two-body phase space that is analytic in :math:`s`.

.. math:: \Sigma_l(s) = \frac{s - s_+}{\pi} \int_{s_+}^\infty
          \frac{\rho(s')\, F_l^2(s')}{(s' - s_+)(s' - s - i0)}\, ds', \quad s_\pm = (m_1 \pm m_2)^2

with the phase-space factor :math:`\rho` of `phase_space_factor` and the barrier :math:`F_l` of `blatt_weisskopf`. Its
imaginary part on the upper side of the cut is :math:`\rho F_l^2`: it takes the place of :math:`i \rho F_l^2` in the
denominator of an amplitude, and its real part is what causality demands of such an imaginary part. Unlike
:math:`i \rho F_l^2` it has no pole at :math:`s = 0` nor below the threshold.

References
----------
G. F. Chew, S. Mandelstam, Phys. Rev. 119 (1960) 467.
R. L. Workman et al. (Particle Data Group), Review of Particle Physics (2022), section Resonances; there with
:math:`\rho / 16 \pi` in place of :math:`\rho`.
"""

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.kinematics.breakup import breakup_momentum_squared, phase_space_factor
from jaxpwa.physics.lineshapes.barriers import (
    ONE_FERMI,
    blatt_weisskopf_squared,
    checked_momentum,
    denominator,
    denominator_at,
)

# Where a power series takes over from the closed form, and its length: 0.03^10 / 21 = 3e-17.
_SMALL, _TERMS = 0.03, 10

# With 80 nodes the integral is right to 4e-12 of itself for l up to 8 and barriers of 0.05 to 4 GeV.
_NODES = 80


def _ratio(w: jax.Array, rest: jax.Array) -> jax.Array:
    """Return artanh(sqrt w) / sqrt w for |w| <= 1, given also 1 - w; smooth at 0."""
    small = jnp.abs(w) < _SMALL
    series = jnp.polyval(1 / (2 * jnp.arange(_TERMS - 1, -1, -1, dtype=w.dtype) + 1), jnp.where(small, w, 0))
    w, rest = jnp.where(small, 0.5, w), jnp.where(small, 0.5, rest)
    if jnp.iscomplexobj(w):
        root = jnp.sqrt(w)
        return jnp.where(small, series, (jnp.log(1 + root) - jnp.log(rest) / 2) / root)
    root = jnp.sqrt(jnp.abs(w))
    above = (jnp.log1p(root) - jnp.log(jnp.where(w > 0, rest, 1)) / 2) / root
    return jnp.where(small, series, jnp.where(w > 0, above, jnp.arctan(root) / root))


def _slope_of_ratio(w: jax.Array, rest: jax.Array) -> jax.Array:
    """Return the derivative of `_ratio`."""
    small = jnp.abs(w) < _SMALL
    n = np.arange(_TERMS, 0, -1)
    series = jnp.polyval(jnp.asarray(n / (2 * n + 1), w.dtype), jnp.where(small, w, 0))
    w, rest = jnp.where(small, 0.5, w), jnp.where(small, 0.5, rest)
    return jnp.where(small, series, (1 / rest - _ratio(w, rest)) / (2 * w))


def _s_wave(s: jax.Array, m1: jax.Array, m2: jax.Array) -> jax.Array:
    """Return the function for l = 0, 0 at the threshold, on the physical sheet."""
    # With u = (s - s_-) / (s - s_+) and k(u) = artanh(sqrt u) / sqrt u, which is analytic but for the cut u > 1, that
    # is s > s_+, the textbook's formula reads pi/2 Sigma = u0 k(u0) - k(u) + s_- (k(u) - k(u0)) / s, u0 = s_- / s_+.
    # For |u| > 1 it is k(u) = k(1/u) / u - i pi/2 / sqrt u, and the last term adds up to i rho. For equal masses s_-
    # is 0 and only -k(u) is left.
    above, below, four = (m1 + m2) ** 2, (m1 - m2) ** 2, 4 * m1 * m2
    inner = jnp.abs(s - below) <= jnp.abs(s - above)
    top, bottom = jnp.where(inner, below - s, above - s), jnp.where(inner, above - s, below - s)
    k = _ratio(top / bottom, jnp.where(inner, four, -four) / bottom)
    k = jnp.where(inner, k, k * top / bottom)
    rho = jnp.where(inner, 0, 1j * phase_space_factor(jnp.where(inner, 2 * above, s), m1, m2))
    if m1 is m2:
        return rho - 2 / np.pi * k
    u0, rest0 = below / above, four / above
    k0 = _ratio(u0, rest0)
    # Near s = 0 the difference of the k is the integral of the slope, by Gauss and Legendre.
    zero = jnp.abs(s) < 0.05 * above
    u, rest = (below - jnp.where(zero, s, 0)) / (above - jnp.where(zero, s, 0)), four / (above - jnp.where(zero, s, 0))
    nodes, weights = (jnp.asarray(a, above.dtype) for a in np.polynomial.legendre.leggauss(4))
    share = ((nodes + 1) / 2).reshape((1,) * u.ndim + (4,))
    between = [a[..., None] + share * (b - a)[..., None] for a, b in ((u0 + 0 * u, u), (rest0 + 0 * rest, rest))]
    mean = jnp.sum(_slope_of_ratio(*between) * weights.reshape(share.shape) / 2, axis=-1)
    last = jnp.where(zero, -u0 * rest * mean, below * (k - k0) / jnp.where(zero, 1, s))
    return rho + 2 / np.pi * (u0 * k0 - k + last)


def _nodes(l: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return q / q_R, weights for integrals over it, F^2, and rows of the polynomial in `_with_barrier`."""
    x, weights = np.polynomial.legendre.leggauss(_NODES)
    x, weights = (x + 1) / 2, weights / 2
    ratio, weights = 2 * x / (1 - x), 2 * weights / (1 - x) ** 2
    d = np.array(denominator(l)[::-1], float)
    powers = ratio[:, None] ** (2 * np.arange(l + 1))
    value = powers @ d
    parts = np.cumsum(powers * d, axis=1)[:, :l] * powers[:, :l][:, ::-1]
    return ratio, weights, d.sum() * powers[:, l] / value, d.sum() * parts / value[:, None]


def _with_barrier(s: jax.Array, m1: jax.Array, m2: jax.Array, l: int, q_scale: ArrayLike) -> jax.Array:
    """Return the function for l > 0, 0 at the threshold, on the physical sheet."""
    threshold, pseudo = (m1 + m2) ** 2, (m1 - m2) ** 2
    ratio, weights, barrier, rows = (jnp.asarray(a, s.real.dtype) for a in _nodes(l))
    # rho(s') ds' / (s' - s_+) at the nodes.
    q = ratio * q_scale
    e1, e2 = jnp.sqrt(m1**2 + q**2), jnp.sqrt(m2**2 + q**2)
    nodes = (e1 + e2) ** 2
    excess = 2 * q**2 * (1 + (m1**2 + m2**2 + q**2) / (e1 * e2 + m1 * m2))
    weights = 4 * q**2 * (e1 + e2) / (e1 * e2 * excess) * weights * q_scale
    # Far from the cut that integral as it stands; on it and near it Sigma_l = F^2 Sigma_0 and the integral with
    # F^2(s') - F^2(s), where s' - s goes out and leaves a polynomial in z = (q / q_R)^2 over the denominator of F^2.
    z = breakup_momentum_squared(jnp.where(s == 0, 2 * threshold, s), m1, m2) / q_scale**2
    far = (s.real <= pseudo) | ((z.real < -0.5) & (jnp.abs(z.imag) < -z.real))
    across = (1,) * z.ndim + (_NODES,)
    shifted = nodes.reshape(across) - jnp.where(far, s, 0)[..., None]
    plain = jnp.sum((weights * barrier).reshape(across) / shifted, axis=-1)
    at, z = jnp.where(far, 2 * threshold, s), jnp.where(far, 1, z)
    first, second = (weights @ rows)[::-1], (weights / nodes @ rows)[::-1]
    below = denominator_at(l, z) * 4 * q_scale**2
    rest = (jnp.polyval(first, z) - threshold * pseudo / at * jnp.polyval(second, z)) / below
    near = jnp.where(far, 0, blatt_weisskopf_squared(l, z) * _s_wave(at, m1, m2))
    return near + (s - threshold) / np.pi * jnp.where(far, plain, rest)


def chew_mandelstam(
    s: ArrayLike,
    m1: ArrayLike,
    m2: ArrayLike,
    l: int = 0,
    q_scale: ArrayLike = ONE_FERMI,
    *,
    subtraction: ArrayLike | None = None,
    sheet: int = 1,
) -> jax.Array:
    r"""Chew and Mandelstam's function, to be used as :math:`i \rho F_l^2` is.

    .. math:: \Sigma_0(s) = \frac{1}{\pi} \left[
              \frac{2 q}{\sqrt s} \ln \frac{m_1^2 + m_2^2 - s + 2 \sqrt s\, q}{2 m_1 m_2}
              - (m_1^2 - m_2^2) \left( \frac{1}{s} - \frac{1}{(m_1 + m_2)^2} \right) \ln \frac{m_1}{m_2} \right]

    For ``l`` above 0 the integral at the head of this module, by quadrature.

    Parameters
    ----------
    s
        Invariant mass squared, GeV², any shape, real or complex. Real values, and complex ones without an imaginary
        part, are on the upper side of the cut.
    m1, m2
        Masses, GeV, both above 0: for ``l = 0`` of shapes that broadcast with ``s``, else numbers.
    l
        Orbital angular momentum, 0 to 8.
    q_scale
        :math:`q_R` of the barrier, GeV, a number; without meaning for ``l = 0``.
    subtraction
        Where the real part is to be 0, GeV², real; the threshold if not given. Common are the pseudo-threshold
        ``(m1 - m2)**2`` and the square of a resonance's mass, which keeps that mass as it is in a denominator
        ``m0**2 - s - g**2 * chew_mandelstam(s, ...)``.
    sheet
        1 is the physical sheet; 2 is the one reached from its upper half through the cut, where poles of resonances
        are: :math:`\Sigma - 2 i \rho F_l^2`.

    Returns
    -------
    Complex, of the common shape. :math:`\mathrm{Im}\, \Sigma_l = \rho F_l^2` above the threshold, 0 below it.
    Smooth also at the pseudo-threshold and at ``s = 0``; the slope at the threshold, infinite for ``l = 0``, is given
    as that of the finite part. Right to 1e-14 for ``l = 0``; for ``l`` above 0 and real ``s`` to 1e-11 of itself as
    long as the lighter mass is above a fiftieth of ``q_scale``.

    Raises
    ------
    ValueError
        If ``l`` is not one of 0 to 8, or ``sheet`` neither 1 nor 2.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.chewmandelstam import chew_mandelstam
    >>> chew_mandelstam([0.0, 0.8, 1.2], 0.493677, 0.493677).round(4)
    Array([-0.6366+0.j    , -0.3374+0.j    , -0.1279+0.4331j], dtype=complex128)
    """
    if sheet not in (1, 2):
        msg = f"sheet must be 1 or 2, got {sheet!r}."
        raise ValueError(msg)
    s = floating(s)
    real = jnp.finfo(jnp.result_type(s, m1, m2, q_scale)).dtype
    same = m1 is m2
    m1, m2, q_scale = (jnp.asarray(x, real) for x in (m1, m2, q_scale))
    m2 = m1 if same else m2

    def on_first_sheet(s: jax.Array) -> jax.Array:
        return _s_wave(s, m1, m2) if checked_momentum(l) == 0 else _with_barrier(s, m1, m2, l, q_scale)

    value = on_first_sheet(s)
    if subtraction is not None:
        value = value - on_first_sheet(floating(subtraction)).real
    if sheet == 2:
        z = breakup_momentum_squared(s, m1, m2) / q_scale**2
        value = value - 2j * phase_space_factor(s, m1, m2) * blatt_weisskopf_squared(l, z)
    return value
