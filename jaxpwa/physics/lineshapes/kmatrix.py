r"""Coupled two-body channels with the K matrix, and production by a P vector.

.. math:: K_{ij}(s) = \sum_\alpha \frac{g_{\alpha i}\, g_{\alpha j}}{m_\alpha^2 - s} + c_{ij}, \quad
          T = (1 - K \Sigma)^{-1} K, \quad F = (1 - K \Sigma)^{-1} P, \quad
          P_i(s) = \sum_\alpha \frac{\beta_\alpha\, g_{\alpha i}}{m_\alpha^2 - s} + b_i

The diagonal :math:`\Sigma` holds what the channels' loops are: :math:`i \rho_i`, which makes the textbook's
:math:`T = (1 - i K \rho)^{-1} K`, or `chew_mandelstam`, which has the same imaginary part and is analytic. Real and
symmetric :math:`K` makes :math:`\mathrm{Im}\, T = T^\dagger\, \mathrm{Im} \Sigma\; T`: unitarity.

The functions here take numbers for every event, so that barriers and other factors may be in them; `KMatrix` of
`jaxpwa.physics.lineshapes.coupledchannels` adds those. None of them divides by :math:`m_\alpha^2 - s`: with
:math:`V = (1 - c \Sigma)^{-1} g^T`, the couplings dressed by the background, it is

.. math:: F = V M^{-1} \big(\beta + V^T \Sigma\, b\big) + (1 - c \Sigma)^{-1} b, \quad
          T = V M^{-1} V^T + (1 - c \Sigma)^{-1} c, \quad
          M_{\alpha \beta} = (m_\alpha^2 - s)\, \delta_{\alpha \beta} - \big(g\, \Sigma V\big)_{\alpha \beta}

where :math:`M` is the inverse of the poles' propagator and as regular at :math:`s = m_\alpha^2` as anywhere.

References
----------
S. U. Chung et al., Ann. Phys. (Leipzig) 507 (1995) 404.
I. J. R. Aitchison, Nucl. Phys. A 189 (1972) 417: the P vector.
"""

from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating

# Up to this size Cramer's rule is faster than LAPACK, value and gradient; above it gradients of sums of products grow.
_CRAMER = 3


def as_array(x: Any) -> Any:
    """Return numbers, some of which may be traced, as an array of NumPy or else of JAX.

    Parameters
    ----------
    x
        A number, an array, or lists of numbers.

    Returns
    -------
    An array of JAX if ``x`` is one or holds one, else of NumPy.
    """
    if isinstance(x, (np.ndarray, jax.Array)):
        return x
    return jnp.asarray(x) if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(x)) else np.asarray(x)


def as_numbers(x: Any, like: jax.Array) -> jax.Array:
    """Return an array of JAX; numbers of Python and NumPy take the precision of another array.

    Parameters
    ----------
    x
        As in `as_array`.
    like
        The array whose precision is taken.

    Returns
    -------
    An array of JAX, complex where ``x`` is.
    """
    x = as_array(x)
    if isinstance(x, jax.Array):
        return x
    real = jnp.zeros((), like.dtype).real.dtype
    return jnp.asarray(x, jnp.result_type(real, jnp.complex64) if jnp.iscomplexobj(x) else real)


def _raised(x: jax.Array, ndim: int) -> jax.Array:
    """Put axes of length 1 in front."""
    return jnp.expand_dims(x, tuple(range(ndim - x.ndim)))


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiply small matrices; sums of products are faster than batches of matrix products."""
    return sum(a[..., :, k, None] * b[..., None, k, :] for k in range(a.shape[-1]))  # pyright: ignore[reportReturnType]


def _solve(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return ``a^-1 b`` of small square matrices ``(..., n, n)`` and columns ``(..., n, k)``."""
    n = a.shape[-1]
    if n > _CRAMER:
        batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return jnp.linalg.solve(jnp.broadcast_to(a, (*batch, n, n)), jnp.broadcast_to(b, (*batch, *b.shape[-2:])))
    e = [[a[..., i, j, None] for j in range(n)] for i in range(n)]
    if n == 1:
        return b / a
    if n == 2:
        cofactors = [[e[1][1], -e[1][0]], [-e[0][1], e[0][0]]]
    else:
        after = [(1, 2), (2, 0), (0, 1)]
        cofactors = [[e[k][m] * e[q][r] - e[k][r] * e[q][m] for m, r in after] for k, q in after]
    determinant = sum(e[0][j] * cofactors[0][j] for j in range(n))
    rows = [sum(cofactors[j][i] * b[..., j, :] for j in range(n)) / determinant for i in range(n)]
    return jnp.stack(rows, axis=-2)


class _Dressed:
    """``u``, the inverse of 1 - c Sigma, and the matrices V and M of the module's head."""

    def __init__(self, s: jax.Array, masses: Any, couplings: Any, loops: Any, background: Any) -> None:
        g, loops, masses = (as_numbers(x, s) for x in (couplings, loops, masses))
        n_poles, n = g.shape[-2:]
        ndim = s.ndim + 2
        g, self.loops, one = _raised(g, ndim), _raised(loops, s.ndim + 1), _raised(jnp.eye(n, dtype=loops.dtype), ndim)
        self.u, self.v = one, jnp.swapaxes(g, -1, -2)
        if background is not None:
            self.u = _solve(one - _raised(as_numbers(background, s), ndim) * self.loops[..., None, :], one)
            self.v = _product(self.u, self.v)
        gap = _raised(masses**2, s.ndim + 1) - s[..., None]
        diagonal = gap[..., None] * _raised(jnp.eye(n_poles, dtype=gap.dtype), ndim)
        self.m = diagonal - _product(g, self.loops[..., None] * self.v)


def k_matrix(s: ArrayLike, masses: ArrayLike, couplings: ArrayLike, background: ArrayLike | None = None) -> jax.Array:
    r"""K matrix.

    .. math:: K_{ij}(s) = \sum_\alpha \frac{g_{\alpha i}\, g_{\alpha j}}{m_\alpha^2 - s} + c_{ij}

    Parameters
    ----------
    s
        Invariant mass squared, GeV², any shape ``(...)``, real or complex.
    masses
        :math:`m_\alpha`, ``(n_poles,)``, GeV.
    couplings
        :math:`g_{\alpha i}`, ``(n_poles, n_channels)`` or one for every event ``(..., n_poles, n_channels)``, GeV.
    background
        :math:`c_{ij}`, symmetric, ``(n_channels, n_channels)`` or ``(..., n_channels, n_channels)``; none if not given.

    Returns
    -------
    ``(..., n_channels, n_channels)``, infinite where ``s`` is the square of a mass: `t_matrix` and `f_vector` are not.
    """
    s = floating(s)
    g, m = _raised(as_numbers(couplings, s), s.ndim + 2), as_numbers(masses, s)
    gap = _raised(m**2, s.ndim + 1) - s[..., None]
    poles = _product(jnp.swapaxes(g, -1, -2), g / gap[..., None])
    return poles if background is None else poles + _raised(as_numbers(background, s), s.ndim + 2)


def t_matrix(
    s: ArrayLike,
    masses: ArrayLike,
    couplings: ArrayLike,
    loops: ArrayLike,
    background: ArrayLike | None = None,
) -> jax.Array:
    r"""Scattering amplitude, :math:`T = (1 - K \Sigma)^{-1} K`.

    Parameters
    ----------
    s, masses, couplings, background
        As in `k_matrix`.
    loops
        :math:`\Sigma_i`, ``(..., n_channels)``: ``1j * phase_space_factor(...)`` or ``chew_mandelstam(...)``.

    Returns
    -------
    Complex, ``(..., n_channels, n_channels)``, symmetric, finite also where ``s`` is the square of a mass; there a pole
    without any coupling gives NaN.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.kmatrix import t_matrix
    >>> complex(t_matrix(1.0, [1.0], [[0.5]], [0.8j])[0, 0])  # i / rho at the mass of a single pole
    1.25j
    """
    s = floating(s)
    p = _Dressed(s, masses, couplings, loops, background)
    poles = _product(p.v, _solve(p.m, jnp.swapaxes(p.v, -1, -2)))
    return poles if background is None else poles + _product(p.u, _raised(as_numbers(background, s), p.u.ndim))


def f_vector(
    s: ArrayLike,
    masses: ArrayLike,
    couplings: ArrayLike,
    loops: ArrayLike,
    betas: ArrayLike,
    background: ArrayLike | None = None,
    production: ArrayLike | None = None,
    *,
    channel: int | None = None,
) -> jax.Array:
    r"""Production amplitude, :math:`F = (1 - K \Sigma)^{-1} P`.

    Parameters
    ----------
    s, masses, couplings, background
        As in `k_matrix`.
    loops
        As in `t_matrix`.
    betas
        :math:`\beta_\alpha`, complex, ``(n_poles,)``: how much of each pole is produced.
    production
        :math:`b_i`, complex, ``(n_channels,)`` or ``(..., n_channels)``: production not by poles; none if not given.
    channel
        Index of the only channel that is wanted: less work.

    Returns
    -------
    Complex, ``(..., n_channels)``, or ``(...)`` of one channel; finite where ``s`` is the square of a mass. Below all
    thresholds but one its phase is that of the scattering amplitude if ``betas`` and ``production`` are real (Watson's
    theorem).

    Notes
    -----
    It is linear in ``betas`` and ``production``; what multiplies them is computed without them, so that it is computed
    once per event in a fit that leaves the rest fixed.
    """
    p = _Dressed(floating(s), masses, couplings, loops, background)
    here = slice(None) if channel is None else slice(channel, channel + 1)
    # M is symmetric, so that V M^-1 is the transpose of M^-1 V^T.
    response = jnp.swapaxes(_solve(p.m, jnp.swapaxes(p.v[..., here, :], -1, -2)), -1, -2)
    value = jnp.sum(response * _raised(as_numbers(betas, response), response.ndim), axis=-1)
    if production is not None:
        direct = p.u[..., here, :] + _product(response, jnp.swapaxes(p.v, -1, -2)) * p.loops[..., None, :]
        b = as_numbers(production, response)[..., None, :]
        value = value + jnp.sum(direct * _raised(b, direct.ndim), axis=-1)
    return value if channel is None else value[..., 0]
