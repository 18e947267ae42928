r"""Line shapes without a model: values at given masses, and what lies between them.

A shape is :math:`\sum_k B_k(x)\, v_k` with parameters :math:`v_k`, its values at the knots, and functions :math:`B_k`
of the data alone. It is linear in its parameters: sums over Monte Carlo of an intensity with such waves become
integrals, as those of waves of fixed shape do.

References
----------
E. M. Aitala et al. (E791), Phys. Rev. D 73 (2006) 032004: an S wave as a spline.
C. de Boor, A Practical Guide to Splines (1978), ch. IV.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.waves.wave import Coupling

ENDS = ("natural", "not-a-knot")


def _checked(what: str, knots: Any, least: int) -> np.ndarray:
    """Return rising numbers, known when the formula is written."""
    try:
        knots = np.asarray(knots, float)
    except TypeError:
        msg = f"{what} must be numbers that are known when the model is written, got {type(knots).__name__}: {knots}."
        raise TypeError(msg) from None
    if knots.ndim != 1 or len(knots) < least:
        msg = f"{what} must be a list of at least {least} numbers, got shape {knots.shape}."
        raise ValueError(msg)
    if not np.all(np.isfinite(knots)) or np.any(np.diff(knots) <= 0):
        msg = f"{what} must be finite and rise from each to the next, got {knots.tolist()}."
        raise ValueError(msg)
    return knots


def _combined(basis: Sequence[jax.Array], values: Any, what: str) -> jax.Array:
    """Return the sum of products; as single terms, which keeps a model quadratic in what is stored."""
    try:
        count = len(values)
    except TypeError:
        count = None
    if count != len(basis):
        got = "a single number" if count is None else str(count)
        msg = f"values must be {len(basis)}, one per {what}, got {got}."
        raise ValueError(msg)
    total = basis[0] * values[0]
    for part, value in zip(basis[1:], values[1:], strict=True):
        total = total + part * value
    return total


def _interval(x: jax.Array, knots: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return the interval's number, its length, and the shares of its two ends; the outer intervals have no end."""
    number = jnp.clip(jnp.searchsorted(jnp.asarray(knots, x.dtype), x, side="right") - 1, 0, len(knots) - 2)
    length = jnp.asarray(np.diff(knots), x.dtype)[number]
    share = (x - jnp.asarray(knots, x.dtype)[number]) / length
    return number, length, 1 - share, share


def _hats(x: jax.Array, knots: np.ndarray) -> list[jax.Array]:
    number, _, left, right = _interval(x, knots)
    return [jnp.where(number == k, left, jnp.where(number == k - 1, right, 0.0)) for k in range(len(knots))]


def _second_derivatives(knots: np.ndarray, ends: str) -> np.ndarray:
    """Return the matrix that makes second derivatives at the knots of values there."""
    n, h = len(knots), np.diff(knots)
    left, right = np.zeros((n, n)), np.zeros((n, n))
    for k in range(1, n - 1):
        left[k, k - 1 : k + 2] = h[k - 1] / 6, (h[k - 1] + h[k]) / 3, h[k] / 6
        right[k, k - 1 : k + 2] = 1 / h[k - 1], -1 / h[k - 1] - 1 / h[k], 1 / h[k]
    if ends == "natural":
        left[0, 0] = left[-1, -1] = 1
    else:
        # One polynomial on the first two intervals, and one on the last two.
        left[0, :3] = h[1], -h[0] - h[1], h[0]
        left[-1, -3:] = h[-1], -h[-1] - h[-2], h[-2]
    return np.linalg.solve(left, right)


def _cardinal_splines(x: jax.Array, knots: np.ndarray, ends: str) -> list[jax.Array]:
    number, length, left, right = _interval(x, knots)
    curvature = jnp.asarray(_second_derivatives(knots, ends), x.dtype)
    lower, upper = (left**3 - left) * length**2 / 6, (right**3 - right) * length**2 / 6
    bent = (lower * curvature[:, k][number] + upper * curvature[:, k][number + 1] for k in range(len(knots)))
    return [hat + part for hat, part in zip(_hats(x, knots), bent, strict=True)]


def piecewise_constant(x: ArrayLike, edges: Any, values: Any) -> jax.Array:
    """Shape that is constant in bins.

    Parameters
    ----------
    x
        Where, mostly an invariant mass ``(events,)``, GeV.
    edges
        Edges of the bins, rising, numbers known when the model is written. A bin has its lower edge, the last one its
        upper edge, too.
    values
        One per bin, real or complex; may be traced.

    Returns
    -------
    The shape of ``x``; 0 outside the bins.

    Raises
    ------
    TypeError, ValueError
        If edges are traced or do not rise, or there are not as many values as bins.
    """
    x, edges = floating(x), _checked("edges", edges, 2)
    above = [x >= edge for edge in edges]
    last = x <= edges[-1]
    bins = [above[k] & (last if k == len(edges) - 2 else ~above[k + 1]) for k in range(len(edges) - 1)]
    return _combined([jnp.where(bin_, jnp.ones_like(x), 0) for bin_ in bins], values, "bin")


def linear_interpolation(x: ArrayLike, knots: Any, values: Any) -> jax.Array:
    """Shape of straight lines between knots.

    Parameters
    ----------
    x
        Where, mostly an invariant mass ``(events,)``, GeV.
    knots
        Where the values are, rising, two or more, numbers known when the model is written.
    values
        One per knot, real or complex; may be traced.

    Returns
    -------
    The shape of ``x``. Outside the knots the first and the last line go on.

    Raises
    ------
    TypeError, ValueError
        If knots are traced or do not rise, or there are not as many values.
    """
    return _combined(_hats(floating(x), _checked("knots", knots, 2)), values, "knot")


def cubic_spline(x: ArrayLike, knots: Any, values: Any, ends: str = "natural") -> jax.Array:
    """Cubic spline through values at knots, with two continuous derivatives.

    Parameters
    ----------
    x
        Where, mostly an invariant mass ``(events,)``, GeV.
    knots
        Where the values are, rising, numbers known when the model is written: two or more for natural ends, else four.
    values
        One per knot, real or complex; may be traced.
    ends
        ``"natural"``: the second derivative is 0 at both ends. ``"not-a-knot"``: the third derivative is continuous at
        the second knot and at the last but one.

    Returns
    -------
    The shape of ``x``. Outside the knots the first and the last polynomial go on.

    Raises
    ------
    TypeError, ValueError
        If knots are traced or do not rise, there are not as many values, or ``ends`` is none of the two.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.freeshapes import cubic_spline
    >>> cubic_spline([0.5, 1.0, 2.5], [0, 1, 2, 3], [0.0, 1.0, 8.0, 27.0], ends="not-a-knot").round(6)  # x^3
    Array([ 0.125,  1.   , 15.625], dtype=float64)
    """
    if ends not in ENDS:
        msg = f"ends must be 'natural' or 'not-a-knot', got {ends!r}."
        raise ValueError(msg)
    knots = _checked("knots", knots, 2 if ends == "natural" else 4)
    return _combined(_cardinal_splines(floating(x), knots, ends), values, "knot")


_KINDS: dict[str, Callable[[ArrayLike, Any, Any], jax.Array]] = {
    "constant": piecewise_constant,
    "linear": linear_interpolation,
    "cubic": cubic_spline,
}


@dataclass(frozen=True)
class FreeShape:
    """A complex line shape whose values at knots are parameters of the fit.

    Called with parameters and masses it gives the amplitude: a factor of a wave is
    ``lambda p, d: shape(p, d["mass"])``. The real and imaginary parts are interpolated, in both forms.

    Parameters
    ----------
    name
        What its parameters are called after: value k is the `Coupling` of the name ``name[k]``, with parameters
        ``name[k].re`` and ``name[k].im``, or ``name[k].abs`` and ``name[k].arg`` (rad).
    knots
        Masses, GeV, rising; for ``"constant"`` the edges of bins.
    kind
        ``"cubic"``: `cubic_spline` with natural ends; ``"linear"``: `linear_interpolation`; ``"constant"``:
        `piecewise_constant`, with one value less than edges.
    form
        ``"cartesian"`` or ``"polar"``.

    Raises
    ------
    TypeError, ValueError
        If knots are traced or do not rise, the name is blank, or ``kind`` or ``form`` is unknown.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.freeshapes import FreeShape
    >>> shape = FreeShape("S", (0.8, 1.0, 1.2))
    >>> params = shape.start([0, 1j, 1])
    >>> sorted(params)[:3]
    ['S[0].im', 'S[0].re', 'S[1].im']
    >>> complex(shape(params, 1.1)).real.__round__(6)
    0.40625
    """

    name: str
    knots: Any
    kind: str = "cubic"
    form: str = "cartesian"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            msg = f"kind of {self.name!r} must be 'constant', 'linear' or 'cubic', got {self.kind!r}."
            raise ValueError(msg)
        object.__setattr__(self, "knots", tuple(_checked("knots", self.knots, 2).tolist()))
        Coupling(self.name, self.form)

    @property
    def couplings(self) -> tuple[Coupling, ...]:
        """The values at the knots, or in the bins."""
        count = len(self.knots) - (self.kind == "constant")
        return tuple(Coupling(f"{self.name}[{k}]", self.form) for k in range(count))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, two per value."""
        return tuple(name for coupling in self.couplings for name in coupling.parameters)

    def __call__(self, params: Mapping[str, Any], mass: ArrayLike) -> jax.Array:
        """Return the amplitude, complex, the shape of ``mass``."""
        return _KINDS[self.kind](mass, self.knots, [coupling(params) for coupling in self.couplings])

    def start(self, values: Any) -> dict[str, float]:
        """Return parameters at which it has values.

        Parameters
        ----------
        values
            Complex numbers, one per knot or bin, or a function of mass, taken at the knots or the middle of the bins.

        Returns
        -------
        Parameter values by name.

        Raises
        ------
        ValueError
            If there are not as many values as knots or bins.
        """
        knots = np.array(self.knots)
        if callable(values):
            values = values((knots[1:] + knots[:-1]) / 2 if self.kind == "constant" else knots)
        values = np.asarray(values, complex)
        if values.shape != (len(self.couplings),):
            msg = f"values of {self.name!r} must be {len(self.couplings)}, got shape {values.shape}."
            raise ValueError(msg)
        return {name: x for c, v in zip(self.couplings, values, strict=True) for name, x in c.start(complex(v)).items()}
