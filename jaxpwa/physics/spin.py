r"""Spherical harmonics, Wigner's d and D functions, Clebsch-Gordan coefficients.

Angular momenta and projections are numbers such as 1, 0.5 or 1.5, known when the formula is written; angles are arrays
in rad. Phases are those of Condon and Shortley. Rotations are active, by Euler angles about z, y and z:

.. math:: D^j_{m_1 m_2}(\alpha, \beta, \gamma)
          = \langle j m_1 | e^{-i \alpha J_z} e^{-i \beta J_y} e^{-i \gamma J_z} | j m_2 \rangle
          = e^{-i m_1 \alpha}\, d^j_{m_1 m_2}(\beta)\, e^{-i m_2 \gamma}

References
----------
E. P. Wigner, Group Theory and its Application to the Quantum Mechanics of Atomic Spectra (1959), ch. 15: the sum for d.
NIST Digital Library of Mathematical Functions, section 18.9(i): the recurrence of Jacobi's polynomials.
"""

from fractions import Fraction
from math import comb, factorial, sqrt
from typing import Any, NamedTuple

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating, root


def _doubled(value: Any, what: str) -> int:
    """Return twice an integer or half-integer, exactly."""
    twice = 2 * float(value) if np.ndim(value) == 0 and not isinstance(value, (str, complex)) else np.nan
    if not np.isfinite(twice) or twice != round(twice):
        msg = f"{what} must be a whole or half-whole number, got {value!r}."
        raise ValueError(msg)
    return round(twice)


def _checked(j: Any, *projections: tuple[str, Any], name: str = "j") -> tuple[int, ...]:
    """Return twice j and twice its projections, or say which of them can't be."""
    two_j = _doubled(j, name)
    if two_j < 0:
        msg = f"{name} must not be negative, got {j!r}."
        raise ValueError(msg)
    out = [two_j]
    for what, value in projections:
        two_m = _doubled(value, what)
        if abs(two_m) > two_j or (two_j - two_m) % 2:
            msg = f"{what} must be one of -{name}, -{name} + 1, ..., {name}: got {what}={value!r} for {name}={j!r}."
            raise ValueError(msg)
        out.append(two_m)
    return tuple(out)


def _jacobi(n: int, a: int, b: int, x: jax.Array) -> jax.Array:
    """Jacobi's polynomial of degree ``n`` by its recurrence, DLMF (18.9.1) with (18.9.2), stable on [-1, 1]."""
    before, here = jnp.ones_like(x), (a + 1) + (a + b + 2) * (x - 1) / 2
    if n == 0:
        return before
    for k in range(1, n):
        s = 2 * k + a + b
        scale = 2 * (k + 1) * (k + a + b + 1) * s
        slope = (s + 1) * (s + 2) * s / scale
        shift = (a * a - b * b) * (s + 1) / scale
        back = 2 * (k + a) * (k + b) * (s + 2) / scale
        before, here = here, (slope * x + shift) * here - back * before
    return here


class _Half(NamedTuple):
    """Half an angle: sine and cosine, their squares, and the cosine of the whole angle."""

    sine: jax.Array
    cosine: jax.Array
    sine_squared: jax.Array
    cosine_squared: jax.Array
    whole: jax.Array


def _of_angle(beta: jax.Array) -> _Half:
    # cos(beta / 2) as a sine is 0 and not 6e-17 at pi.
    sine, cosine = jnp.sin(beta / 2), jnp.sin((np.pi - beta) / 2)
    return _Half(sine, cosine, sine**2, cosine**2, cosine**2 - sine**2)


def _of_cosine(c: jax.Array) -> _Half:
    sine_squared, cosine_squared = (1 - c) / 2, (1 + c) / 2
    return _Half(root(sine_squared), root(cosine_squared), sine_squared, cosine_squared, c)


def _small_d(two_j: int, two_m1: int, two_m2: int, half: _Half) -> jax.Array:
    """Return d of an angle."""
    # The symmetries d_{m1 m2} = (-1)^(m1 - m2) d_{m2 m1} = d_{-m2 -m1} lead to m2 >= |m1|, where powers are positive.
    sign = 1
    if abs(two_m1) > abs(two_m2):
        two_m1, two_m2 = two_m2, two_m1
        sign = (-1) ** ((two_m1 - two_m2) // 2)
    if two_m2 < 0:
        two_m1, two_m2 = -two_m1, -two_m2
        sign *= (-1) ** ((two_m1 - two_m2) // 2)
    a, b, n = (two_m2 - two_m1) // 2, (two_m2 + two_m1) // 2, (two_j - two_m2) // 2
    scale = sign * sqrt(comb(two_j - n, n + a) / comb(n + b, b))
    d = scale * _jacobi(n, a, b, half.whole)
    # Even powers by the squares, whose slopes are finite where those of the roots are not.
    for power, single, square in ((a, half.sine, half.sine_squared), (b, half.cosine, half.cosine_squared)):
        d = d * square ** (power // 2) * (single if power % 2 else 1)
    # At the ends the recurrence is off by some units in the last place; its slope is right.
    if a == 0:
        d = jnp.where(half.sine == 0, d + jax.lax.stop_gradient(sign - d), d)
    if b == 0:
        d = jnp.where(half.cosine == 0, d + jax.lax.stop_gradient(sign * (-1) ** n - d), d)
    return d


def wigner_small_d(j: float, m1: float, m2: float, beta: ArrayLike) -> jax.Array:
    r"""Wigner's small d function.

    .. math:: d^j_{m_1 m_2}(\beta) = \langle j m_1 | e^{-i \beta J_y} | j m_2 \rangle

    Parameters
    ----------
    j
        Whole or half-whole, not negative; checked to 1e-13 up to 10.
    m1, m2
        Projections, of ``-j, ..., j``.
    beta
        Angle, rad, any shape.

    Returns
    -------
    Real, the shape of ``beta``. Exact at 0 and at pi, with a finite gradient everywhere.

    Raises
    ------
    ValueError
        If ``j`` is not (half-)whole or negative, or a projection is none of ``-j, ..., j``.

    Examples
    --------
    >>> from jaxpwa.physics.spin import wigner_small_d
    >>> round(float(wigner_small_d(0.5, 0.5, -0.5, 0.6)), 12)  # -sin(0.3)
    -0.295520206661
    """
    two_j, two_m1, two_m2 = _checked(j, ("m1", m1), ("m2", m2))
    beta = floating(beta)
    return _small_d(two_j, two_m1, two_m2, _of_angle(beta))


def wigner_small_d_of_cosine(j: float, m1: float, m2: float, cosine: ArrayLike) -> jax.Array:
    r"""Wigner's small d function of the cosine of an angle in [0, pi].

    Parameters
    ----------
    j, m1, m2
        As in `wigner_small_d`.
    cosine
        :math:`\cos\beta`, in [-1, 1], any shape; what rounding carries beyond counts as the end.

    Returns
    -------
    Real, the shape of ``cosine``. Where the derivative with respect to the cosine is infinite, at the ends, the
    gradient is 0.

    Raises
    ------
    ValueError
        As `wigner_small_d`.
    """
    two_j, two_m1, two_m2 = _checked(j, ("m1", m1), ("m2", m2))
    c = floating(cosine)
    # What rounding carries beyond keeps the slope of the end.
    c = c + jax.lax.stop_gradient(jnp.clip(c, -1, 1) - c)
    return _small_d(two_j, two_m1, two_m2, _of_cosine(c))


def wigner_d(j: float, m1: float, m2: float, alpha: ArrayLike, beta: ArrayLike, gamma: ArrayLike) -> jax.Array:
    r"""Wigner's D function.

    .. math:: D^j_{m_1 m_2}(\alpha, \beta, \gamma) = e^{-i m_1 \alpha}\, d^j_{m_1 m_2}(\beta)\, e^{-i m_2 \gamma}

    Parameters
    ----------
    j, m1, m2
        As in `wigner_small_d`.
    alpha, beta, gamma
        Euler angles about z, y and z, rad, of shapes that broadcast.

    Returns
    -------
    Complex, of the common shape.

    Raises
    ------
    ValueError
        As `wigner_small_d`.
    """
    d = wigner_small_d(j, m1, m2, beta)
    phase = -(float(m1) * jnp.asarray(alpha) + float(m2) * jnp.asarray(gamma))
    return d * jnp.exp(1j * phase)


def spherical_harmonic(l: int, m: int, costheta: ArrayLike, phi: ArrayLike) -> jax.Array:
    r"""Spherical harmonic with the phase of Condon and Shortley.

    .. math:: Y_l^m(\theta, \phi) = \sqrt{\frac{2l + 1}{4\pi}}\, d^l_{m0}(\theta)\, e^{i m \phi}

    Parameters
    ----------
    l, m
        Whole numbers, ``|m| <= l``.
    costheta
        Cosine of the polar angle, in [-1, 1], any shape.
    phi
        Azimuth, rad.

    Returns
    -------
    Complex, of the common shape. Its square is normalised over the sphere. Where the derivative with respect to
    ``costheta`` is infinite, at the poles for odd ``m``, the gradient is 0.

    Raises
    ------
    ValueError
        If ``l`` or ``m`` is not whole, or ``|m| > l``.

    Examples
    --------
    >>> from jaxpwa.physics.spin import spherical_harmonic
    >>> complex(spherical_harmonic(1, 1, 0.0, 0.0)).real.__round__(12)  # -sqrt(3 / 8 pi)
    -0.345494149471
    """
    two_l, two_m = _checked(l, ("m", m), name="l")
    if two_l % 2:
        msg = f"l must be a whole number, got {l!r}."
        raise ValueError(msg)
    c = floating(costheta)
    d = _small_d(two_l, two_m, 0, _of_cosine(c))
    return sqrt((two_l + 1) / (4 * np.pi)) * d * jnp.exp(1j * (two_m // 2) * jnp.asarray(phi))


def real_spherical_harmonic(l: int, m: int, costheta: ArrayLike, phi: ArrayLike) -> jax.Array:
    r"""Real combination of spherical harmonics of equal ``|m|``, normalised as they are.

    .. math::

        Y_{l0}, \qquad \sqrt 2\, (-1)^m \operatorname{Re} Y_l^m \; (m > 0), \qquad
        \sqrt 2\, (-1)^m \operatorname{Im} Y_l^{|m|} \; (m < 0)

    Parameters
    ----------
    l, m, costheta, phi
        As in `spherical_harmonic`.

    Returns
    -------
    Real, of the common shape: the harmonics of chemistry, of which ``l = 1`` with ``m = 1, -1, 0`` is proportional to
    x, y and z.

    Raises
    ------
    ValueError
        As `spherical_harmonic`.
    """
    y = spherical_harmonic(l, abs(m), costheta, phi)
    if m == 0:
        return y.real
    return sqrt(2) * (-1) ** abs(m) * (y.real if m > 0 else y.imag)


def clebsch_gordan(j1: float, m1: float, j2: float, m2: float, j: float, m: float) -> float:
    r"""Clebsch-Gordan coefficient :math:`\langle j_1 m_1\, j_2 m_2 | j m \rangle`.

    Parameters
    ----------
    j1, m1, j2, m2
        The momenta that are coupled, and their projections.
    j, m
        What they are coupled to.

    Returns
    -------
    Real, correctly rounded from exact fractions; 0 where ``m`` is not ``m1 + m2`` or ``j`` is not in the triangle of
    ``j1`` and ``j2``.

    Raises
    ------
    ValueError
        If a momentum is not (half-)whole or negative, or a projection is none of ``-j, ..., j``.

    Notes
    -----
    By Racah's sum (G. Racah, Phys. Rev. 62 (1942) 438), in whole numbers.

    Examples
    --------
    >>> from jaxpwa.physics.spin import clebsch_gordan
    >>> clebsch_gordan(1, 0, 1, 0, 2, 0)  # sqrt(2 / 3)
    0.816496580927726
    """
    a, al = _checked(j1, ("m1", m1), name="j1")
    b, be = _checked(j2, ("m2", m2), name="j2")
    c, ga = _checked(j, ("m", m))
    if al + be != ga or not abs(a - b) <= c <= a + b or (a + b + c) % 2:
        return 0.0

    def fact(two_n: int) -> int:
        return factorial(two_n // 2)

    triangle = Fraction(fact(a + b - c) * fact(a - b + c) * fact(-a + b + c), fact(a + b + c + 2))
    under_root = (
        (c + 1) * triangle * fact(a + al) * fact(a - al) * fact(b + be) * fact(b - be) * fact(c + ga) * fact(c - ga)
    )
    total = Fraction(0)
    first = max(0, b - c - al, a - c + be)
    for two_k in range(first, min(a + b - c, a - al, b + be) + 1, 2):
        below = fact(two_k) * fact(a + b - c - two_k) * fact(a - al - two_k)
        below *= fact(b + be - two_k) * fact(c - b + al + two_k) * fact(c - a - be + two_k)
        total += Fraction((-1) ** (two_k // 2), below)
    sign = 1 if total >= 0 else -1
    return sign * sqrt(under_root * total**2)


def wigner_3j(j1: float, j2: float, j3: float, m1: float, m2: float, m3: float) -> float:
    r"""Wigner's 3j symbol.

    .. math:: \begin{pmatrix} j_1 & j_2 & j_3 \\ m_1 & m_2 & m_3 \end{pmatrix}
              = \frac{(-1)^{j_1 - j_2 - m_3}}{\sqrt{2 j_3 + 1}} \langle j_1 m_1\, j_2 m_2 | j_3\, {-m_3} \rangle

    Parameters
    ----------
    j1, j2, j3
        Three momenta.
    m1, m2, m3
        Their projections.

    Returns
    -------
    Real; 0 where the projections do not add up to 0 or the momenta make no triangle.

    Raises
    ------
    ValueError
        As `clebsch_gordan`.
    """
    a, b = _doubled(j1, "j1"), _doubled(j2, "j2")
    c, third = _checked(j3, ("m3", m3), name="j3")
    value = clebsch_gordan(j1, m1, j2, m2, j3, -m3)
    return (-1) ** ((a - b - third) // 2) * value / sqrt(c + 1) if value else 0.0
