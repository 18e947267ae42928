"""Fits of a signal fraction and of shapes to many small groups of events at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from jaxpwa.engine.devices import over_events
from jaxpwa.engine.model import ModelRef

_POINTS = 8
_MOST_PANELS = 1024
_SAME_INTEGRAL = 1e-6
_MOST_STEPS = 100
_BOUND = 1e-9


class Quadrature(NamedTuple):
    """Nodes and weights of an integral over the discriminating variable."""

    nodes: np.ndarray
    weights: np.ndarray


def panels(low: float, high: float, n: int) -> Quadrature:
    """Return Gauss-Legendre nodes and weights on ``n`` panels of equal width."""
    x, w = np.polynomial.legendre.leggauss(_POINTS)
    half = (high - low) / (2 * n)
    middles = low + half * (2 * np.arange(n) + 1)
    return Quadrature((middles[:, None] + half * x).ravel(), np.tile(half * w, n))


def density_of(model: ModelRef, shapes: dict[str, Any], m: Any) -> jax.Array:
    """Return a density, not normalised, at ``m``: one number per entry."""
    m = jnp.asarray(m, jnp.result_type(float))
    return jnp.broadcast_to(jnp.asarray(model.function(shapes, m), m.dtype), m.shape)


def fitting_quadrature(
    model: ModelRef, what: str, shapes: dict[str, float], limits: tuple[float, float], highest: float
) -> Quadrature:
    """Return the fewest nodes that integrate a density, whose highest value at an event is known, or say why not."""
    low, high = limits
    n, before = 8, np.nan
    while n <= _MOST_PANELS:
        rule = panels(low, high, n)
        values = np.asarray(density_of(model, shapes, rule.nodes))
        bad = ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            msg = (
                f"{what} must be finite and not negative in range ({low:.6g}, {high:.6g}): it is {values[bad][0]:.6g} "
                f"at {rule.nodes[bad][0]:.6g}."
            )
            raise ValueError(msg)
        integral = float(values @ rule.weights)
        # Between nodes that are far apart a narrow peak is lost, but not to the events.
        seen = values.max() > 0.5 * highest
        if seen and integral > 0 and abs(integral - before) <= _SAME_INTEGRAL * integral:
            return rule
        n, before = 2 * n, integral
    if before == 0:
        msg = f"{what} is 0 in all of range ({low:.6g}, {high:.6g})."
        raise ValueError(msg)
    msg = f"{what} is too narrow or not smooth enough to be integrated over range ({low:.6g}, {high:.6g})."
    raise ValueError(msg)


class LocalFits(NamedTuple):
    """What fits of groups find; the group's own event is its first."""

    quality: jax.Array
    error: jax.Array
    influence: jax.Array
    parameters: jax.Array
    converged: jax.Array
    at_bound: jax.Array


def _fit_fractions(start: jax.Array, densities: tuple[jax.Array, jax.Array]) -> LocalFits:
    """Maximise ``sum ln(f s + (1 - f) b)``, concave in f, over [0, 1] by Newton's steps between brackets.

    Parameters
    ----------
    start
        A fraction in (0, 1).
    densities
        Signal and background, normalised, ``(groups, k)`` each; not both 0.
    """
    s, b = densities

    def pulls(f: jax.Array) -> jax.Array:
        return (s - b) / (f[:, None] * s + (1 - f[:, None]) * b)

    # The slope at 0 is +inf where an event can't be background, which is no maximum at 0.
    zero = jnp.zeros(len(s), s.dtype)
    at_zero = pulls(zero).sum(1) <= 0
    at_one = ~at_zero & (pulls(zero + 1).sum(1) >= 0)
    tolerance = 4 * jnp.finfo(s.dtype).eps

    def step(state: tuple) -> tuple:
        f, low, high, n, done = state
        r = pulls(f)
        slope, curvature = r.sum(1), (r**2).sum(1)
        low, high = jnp.where(slope > 0, f, low), jnp.where(slope > 0, high, f)
        newton = f + slope / jnp.where(curvature > 0, curvature, 1.0)
        new = jnp.where((newton > low) & (newton < high), newton, 0.5 * (low + high))
        new = jnp.where(done, f, new)
        return new, low, high, n + 1, done | (jnp.abs(new - f) <= tolerance)

    initial = (zero + start, zero, zero + 1, 0, at_zero | at_one)
    f, _, _, _, done = lax.while_loop(lambda x: (x[3] < _MOST_STEPS) & ~x[4].all(), step, initial)
    f = jnp.where(at_zero, 0.0, jnp.where(at_one, 1.0, f))
    r = pulls(f)
    curvature = (r**2).sum(1)
    known = curvature > 0
    own = f * s[:, 0] + (1 - f) * b[:, 0]
    slope = s[:, 0] * b[:, 0] / own**2
    per_weight = jnp.where(known & ~(at_zero | at_one), slope / jnp.where(known, curvature, 1.0), 0.0)
    error = jnp.where(known, slope / jnp.sqrt(jnp.where(known, curvature, 1.0)), jnp.nan)
    influence = per_weight[:, None] * r
    return LocalFits(f * s[:, 0] / own, error, influence, f[:, None], done & known, at_zero | at_one)


@lru_cache(maxsize=64)
def fraction_fits(mesh: Mesh) -> Callable[..., LocalFits]:
    """Return the compiled fits of fractions, groups split over the mesh."""
    return over_events(mesh, _fit_fractions, 1, 1)


@dataclass(frozen=True)
class ShapeModel:
    """Densities whose shapes are fitted too.

    Attributes
    ----------
    signal, background
        Functions ``(shapes, m)``, not normalised.
    names
        Of the shape parameters.
    mesh
        Devices.
    """

    signal: ModelRef
    background: ModelRef
    names: tuple[str, ...]
    mesh: Mesh

    def densities(self, shapes: jax.Array, m: jax.Array, rule: Quadrature) -> tuple[jax.Array, jax.Array]:
        """Return normalised signal and background at ``m``."""
        by_name = {name: shapes[i] for i, name in enumerate(self.names)}
        values = []
        for model in (self.signal, self.background):
            integral = density_of(model, by_name, rule.nodes) @ rule.weights
            values.append(density_of(model, by_name, m) / integral)
        return values[0], values[1]

    def log_density(self, parameters: jax.Array, m: jax.Array, rule: Quadrature) -> jax.Array:
        """Return the logarithm of the mixture; parameters are the fraction and the shapes."""
        s, b = self.densities(parameters[1:], m, rule)
        return jnp.log(parameters[0] * s + (1 - parameters[0]) * b)

    def quality(self, parameters: jax.Array, m: jax.Array, rule: Quadrature) -> jax.Array:
        """Return the probability that an event at ``m`` is signal."""
        s, b = self.densities(parameters[1:], m, rule)
        return parameters[0] * s / (parameters[0] * s + (1 - parameters[0]) * b)


def _inside(theta: jax.Array) -> jax.Array:
    """Return parameters with the fraction ``sin^2`` of the first: smooth, and never outside [0, 1]."""
    return theta.at[0].set(jnp.sin(theta[0]) ** 2)


def _descend(objective: Callable[[jax.Array], jax.Array], start: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Minimise by damped Newton's steps along the eigenvectors of the Hessian; return the end and whether it is one."""

    def gradient_and_both(theta: jax.Array) -> tuple:
        value, slope = jax.value_and_grad(objective)(theta)
        return slope, (value, slope)

    def all_three(theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        hessian, (value, slope) = jax.jacfwd(gradient_and_both, has_aux=True)(theta)
        return value, slope, hessian

    def step(state: tuple) -> tuple:
        theta, (value, slope, hessian), damping, n, _ = state
        scale, axes = jnp.linalg.eigh(hessian)
        scale = jnp.maximum(jnp.abs(scale), 1e-10 * jnp.max(jnp.abs(scale)) + jnp.finfo(scale.dtype).tiny)
        along = axes.T @ slope
        # The distance from the minimum as the quadratic sees it, which damping does not change.
        distance = jnp.sum(along**2 / scale)
        trial = theta - axes @ (along / (scale * (1 + damping)))
        there = all_three(trial)
        good = jnp.isfinite(there[0]) & jnp.isfinite(there[2]).all() & (there[0] <= value + 1e-12 * jnp.abs(there[0]))
        done = (n > 0) & (distance < jnp.finfo(value.dtype).eps * (1 + jnp.abs(value)))
        new = jax.tree.map(lambda a, b: jnp.where(good, a, b), (trial, there), (theta, (value, slope, hessian)))
        damping = jnp.where(good, damping / 10, jnp.maximum(4 * damping, 1.0))
        return *new, damping, n + 1, done

    # The first step goes nowhere, and finds the derivatives at the start.
    nothing = jnp.full_like(start[0], jnp.inf), jnp.zeros_like(start), jnp.eye(len(start), dtype=start.dtype)
    initial = (start, nothing, jnp.ones_like(start[0]), 0, jnp.zeros((), bool))
    theta, _, _, _, done = lax.while_loop(lambda x: (x[3] < _MOST_STEPS) & ~x[4], step, initial)
    return theta, done


def _fit_shapes(model: ShapeModel, start: jax.Array, rule: Quadrature, m: jax.Array) -> LocalFits:
    """Fit fraction and shapes to each group, ``m`` of shape ``(groups, k)``."""

    def one(m: jax.Array) -> LocalFits:
        theta, converged = _descend(lambda t: -model.log_density(_inside(t), m, rule).sum(), start)
        end = _inside(theta)
        at_bound = (end[0] < _BOUND) | (end[0] > 1 - _BOUND)
        hessian = jax.hessian(lambda p: -model.log_density(p, m, rule).sum())(end)
        scores = jax.jacfwd(lambda p: model.log_density(p, m, rule))(end)
        slope = jax.grad(lambda p: model.quality(p, m[0], rule))(end)
        usable = jnp.isfinite(hessian).all() & jnp.isfinite(scores).all() & jnp.isfinite(slope).all()
        scale, axes = jnp.linalg.eigh(jnp.where(usable, hessian, jnp.eye(len(end))))
        positive = usable & (scale[0] > 1e-12 * scale[-1])
        along = axes.T @ jnp.where(usable, slope, 0.0) / jnp.where(positive, scale, 1.0)
        influence = jnp.where(positive & ~at_bound, jnp.where(usable, scores, 0.0) @ (axes @ along), 0.0)
        # At a bound shapes may be anybody's guess: the error is that of the fraction alone.
        variance = jnp.where(at_bound, slope[0] ** 2 / hessian[0, 0], slope @ (axes @ along))
        error = jnp.where(positive | at_bound, jnp.sqrt(variance), jnp.nan)
        return LocalFits(
            model.quality(end, m[0], rule), error, influence, end, converged & (positive | at_bound), at_bound
        )

    return jax.vmap(one)(m)


@lru_cache(maxsize=64)
def shape_fits(model: ShapeModel) -> Callable[..., LocalFits]:
    """Return the compiled fits of fraction and shapes, groups split over the mesh."""

    def local(start: jax.Array, rule: Quadrature, m: jax.Array) -> LocalFits:
        return _fit_shapes(model, start, rule, m)

    return over_events(model.mesh, local, 2, 1)
