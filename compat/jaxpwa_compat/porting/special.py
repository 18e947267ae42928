"""Functions of `scipy.special` on JAX values, the spherical harmonics among them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import jax.numpy as jnp
import jax.scipy.special as jsp

from jaxpwa_compat.porting.trace import refuse


def _orders(name: str, *orders: Any) -> list[np.ndarray]:
    """Return the orders of a function as arrays of whole numbers."""
    whole = []
    for order in orders:
        try:
            array = np.asarray(order)
        except Exception:  # a tracer's own error says less than the line below
            refuse(
                f"the orders of scipy.special.{name} depend on events or parameters",
                "Orders must be whole numbers that are known when the function is compiled.",
            )
        if not np.array_equal(array, np.round(array)):
            refuse(f"scipy.special.{name} is asked for an order that is no whole number", "Use whole orders.")
        whole.append(array.astype(int))
    return whole


def _for_each(function: Callable[..., Any], orders: list[np.ndarray], arguments: tuple[Any, ...]) -> Any:
    """Evaluate for arrays of orders, broadcast against the arguments as in scipy."""
    if all(order.size == 1 for order in orders):
        value = function(*(int(order.ravel()[0]) for order in orders), *arguments)
        shape = jnp.broadcast_shapes(value.shape, *(order.shape for order in orders))
        return jnp.broadcast_to(value, shape)
    shape = np.broadcast_shapes(*(o.shape for o in orders), *(jnp.shape(a) for a in arguments))
    orders = [o.reshape((1,) * (len(shape) - o.ndim) + o.shape) for o in np.broadcast_arrays(*orders)]
    arguments = tuple(jnp.reshape(a, (1,) * (len(shape) - jnp.ndim(a)) + jnp.shape(a)) for a in arguments)
    axis = next(k for k, length in enumerate(orders[0].shape) if length > 1)
    pieces = []
    for k in range(shape[axis]):
        picked = [np.take(o, [k], axis) for o in orders]
        inside = tuple(a if a.shape[axis] == 1 else a[(slice(None),) * axis + (slice(k, k + 1),)] for a in arguments)
        pieces.append(_for_each(function, picked, inside))
    full = shape[:axis] + (1,) + shape[axis + 1 :]
    return jnp.concatenate([jnp.broadcast_to(piece, full) for piece in pieces], axis)


def _legendre_part(degree: int, order: int, x: Any) -> Any:
    r"""Return the normalised associated Legendre function without its factor :math:`\sin^m\theta`.

    A polynomial in the cosine, by the recursion of Holmes and Featherstone, J. Geodesy 76 (2002) 279, eqs. 11-12 with
    the factor left out as in their section 2.2: no cancellation, and derivatives are finite at the poles. Phase of
    Condon and Shortley.
    """
    start = math.sqrt((2 * order + 1) / (4 * math.pi))
    for k in range(1, order + 1):
        start *= -math.sqrt((2 * k - 1) / (2 * k))
    before, now = jnp.zeros_like(x), jnp.full_like(x, start)
    for n in range(order + 1, degree + 1):
        a = math.sqrt((2 * n - 1) * (2 * n + 1) / ((n - order) * (n + order)))
        b = math.sqrt((2 * n + 1) * (n + order - 1) * (n - order - 1) / ((n - order) * (n + order) * (2 * n - 3)))
        before, now = now, a * x * now - (b * before if b else 0)
    return now


def _harmonic(degree: int, order: int, polar: Any, azimuth: Any) -> Any:
    """Return a spherical harmonic; for orders that do not exist NaN or 0, as in scipy."""
    size = abs(order)
    polar, azimuth = jnp.asarray(polar, float), jnp.asarray(azimuth, float)
    if degree < 0 or size > degree:
        shape = jnp.broadcast_shapes(polar.shape, azimuth.shape)
        return jnp.full(shape, complex(math.nan, math.nan) if degree < 0 else 0j)
    sine = jnp.sin(polar)
    # The positive root of 1 - cos^2, as in scipy for angles outside [0, pi] too, with a slope at 0.
    modulus = _legendre_part(degree, size, jnp.cos(polar)) * jnp.where(sine < 0, -sine, sine) ** size
    if order < 0 and size % 2:
        modulus = -modulus
    return modulus * jnp.exp(1j * order * azimuth)


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Any:
    """Return spherical harmonics for known degree and order; polar angle, then azimuth."""
    if diff_n:
        refuse("scipy.special.sph_harm_y is asked for derivatives (diff_n)", "Leave diff_n out.")
    return _for_each(_harmonic, _orders("sph_harm_y", n, m), (theta, phi))


def lpmv(m: Any, v: Any, x: Any) -> Any:
    """Return associated Legendre functions of known order and degree."""

    def one(order: int, degree: int, x: Any) -> Any:
        size = abs(order)
        if size > degree:
            return jnp.zeros_like(x)
        scale = math.sqrt(4 * math.pi / (2 * degree + 1))
        ratio = math.exp(0.5 * (math.lgamma(degree + size + 1) - math.lgamma(degree - size + 1)))
        sine = (1 - x * x) ** (size // 2) * (jnp.sqrt(1 - x * x) if size % 2 else 1)
        value = scale * _legendre_part(degree, size, x) * sine
        return value * ratio if order >= 0 else value / ratio * (-1) ** size

    return _for_each(one, _orders("lpmv", m, v), (jnp.asarray(x, float),))


def eval_legendre(n: Any, x: Any) -> Any:
    """Return Legendre polynomials of known degree."""

    def one(degree: int, x: Any) -> Any:
        return math.sqrt(4 * math.pi / (2 * degree + 1)) * _legendre_part(degree, 0, x)

    return _for_each(one, _orders("eval_legendre", n), (jnp.asarray(x, float),))


def voigt_profile(x: Any, sigma: Any, gamma: Any) -> Any:
    """Return the convolution of a Gauss and a Cauchy distribution, for sigma > 0."""
    width = sigma * math.sqrt(2)
    return jnp.real(jsp.wofz((x + 1j * gamma) / width)) / (width * math.sqrt(math.pi))


_OWN: dict[str, Callable[..., Any]] = {
    "sph_harm_y": sph_harm_y, "lpmv": lpmv, "eval_legendre": eval_legendre, "voigt_profile": voigt_profile,
    "expm1": jnp.expm1, "log1p": jnp.log1p, "cbrt": jnp.cbrt, "exp2": jnp.exp2, "exp10": lambda x: 10.0**x,
    "radian": lambda d, m, s: jnp.deg2rad(d + m / 60 + s / 3600), "cosdg": lambda x: jnp.cos(jnp.deg2rad(x)),
    "sindg": lambda x: jnp.sin(jnp.deg2rad(x)), "psi": jsp.digamma, "sinc": jnp.sinc,
}  # fmt: skip


def find(name: str) -> Callable[..., Any] | None:
    """Return the function of JAX values for a name in `scipy.special`, or None."""
    return _OWN.get(name) or getattr(jsp, name, None)
