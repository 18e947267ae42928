r"""Sums over events, with gradient and Hessian taken inside the block.

A sum :math:`S(p) = \sum_e w_e\, g(I(p, x_e))` is the one thing that a likelihood needs from its events.
Each device loops over its blocks and differentiates *within* a block, so that nothing of event length is
ever written to memory; the devices' parts are added on the host.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from jaxpwa.engine.blocks import Arrays, PlacedEvents, spread
from jaxpwa.engine.devices import EVENTS, assemble, is_shared, over_events
from jaxpwa.engine.model import ModelRef
from jaxpwa.engine.precompute import Plan, simplified
from jaxpwa.engine.processes import rows_of

# Rows times parameters: 64 rows of pseudo-events with 11 parameters take 0.16 ms with second derivatives and 0.08
# without, and it takes 0.2 s to compile the latter.
_FEW = 1024

Summand = Callable[[jax.Array, tuple[jax.Array, ...], jax.Array], jax.Array]
"""``g(intensity, extras, real) -> (block,)``, all of block length; 0, with a finite derivative, where ``real``
is False (padding). A module-level function, so that its identity can be a key of the compiled code."""


@dataclass(frozen=True)
class SumSpec:
    """All that the compiled code of a sum depends on, besides the shapes of its arguments."""

    model: ModelRef
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    summand: Summand
    single: bool
    mesh: Mesh
    block: int
    plan: Plan | None = None
    layout: str = ""


def block_terms(spec: SumSpec, theta: jax.Array, columns: tuple, extras: tuple, real: jax.Array) -> jax.Array:
    """Return what each row of a block adds, its weight left out, ``(block,)``; ``real`` tells events from padding."""
    # Parameters take the columns' precision, or float32 columns would be computed in float64.
    values = theta.astype(jnp.float32) if spec.single else theta

    def model(numbers: tuple, columns: tuple) -> jax.Array:
        params = dict(zip(spec.parameters, numbers, strict=True))
        return spec.model.function(params, dict(zip(spec.columns, columns, strict=True)))

    numbers = tuple(values[i] for i in range(len(spec.parameters)))
    if spec.plan is None:
        intensity = simplified(model, numbers, columns)
    else:
        intensity = spec.plan.intensity(numbers, columns, spec.layout)
    return spec.summand(intensity.astype(jnp.result_type(float)), extras, real)


def _block_sum(spec: SumSpec, theta: jax.Array, events: tuple, real: jax.Array) -> jax.Array:
    """Sum one block."""
    columns, extras, weights = events
    terms = block_terms(spec, theta, columns, extras, real)
    return jnp.sum(terms if weights is None else weights * terms)


def derivatives_of(spec: SumSpec, order: int) -> Callable[..., tuple[jax.Array, ...]]:
    """Return the block's sum with its derivatives up to this order."""

    def value(theta: jax.Array, *rest: Any) -> jax.Array:
        return _block_sum(spec, theta, *rest)

    if order == 0:
        return lambda *args: (value(*args),)
    if order == 1:
        return jax.value_and_grad(value)

    def gradient_and_both(theta: jax.Array, *rest: Any) -> tuple:
        s, g = jax.value_and_grad(value)(theta, *rest)
        return g, (s, g)

    def all_three(*args: Any) -> tuple[jax.Array, ...]:
        hessian, (s, g) = jax.jacfwd(gradient_and_both, has_aux=True)(*args)
        return s, g, hessian

    return all_three


def _shard_sum(spec: SumSpec, order: int, theta: jax.Array, arrays: Arrays) -> tuple[jax.Array, ...]:
    """Loop over the blocks of one shard that hold events."""
    columns, extras, weights, n_here = arrays
    n, block = n_here[0], spec.block
    row = jnp.arange(block, dtype=jnp.int32)
    function = derivatives_of(spec, order)
    n_par = len(spec.parameters)
    zeros = [jnp.zeros((n_par,) * k, jnp.result_type(float)) for k in range(order + 1)]

    def body(i: jax.Array, total: tuple) -> tuple:
        events = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, i * block, block), (columns, extras, weights))
        return jax.tree.map(jnp.add, total, function(theta, events, row < n - i * block))

    return lax.fori_loop(0, (n + block - 1) // block, body, tuple(zeros))


def _shard_sum_at(spec: SumSpec, thetas: jax.Array, n_points: jax.Array, arrays: Arrays) -> jax.Array:
    """Sum one shard, with gradients, at many points: ``(points, 1 + n)``; each block is read once for all of them."""
    columns, extras, weights, n_here = arrays
    n, block = n_here[0], spec.block
    row = jnp.arange(block, dtype=jnp.int32)
    function = derivatives_of(spec, 1)
    on_cpu = spec.mesh.devices.flat[0].platform == "cpu"

    def body(i: jax.Array, total: jax.Array) -> jax.Array:
        events = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, i * block, block), (columns, extras, weights))

        def at(theta: jax.Array) -> jax.Array:
            value, gradient = function(theta, events, row < n - i * block)
            return jnp.concatenate([value[None], gradient])

        if not on_cpu:
            return total + jax.vmap(at)(thetas)
        # Point after point keeps a block's intermediates in the cache, and leaves out points that nobody asked for.
        return lax.fori_loop(0, n_points, lambda k, t: t.at[k].add(at(thetas[k])), total)

    return lax.fori_loop(0, (n + block - 1) // block, body, jnp.zeros((len(thetas), 1 + thetas.shape[1])))


def _sharded(spec: SumSpec, local: Callable[..., Any]) -> Callable[..., Any]:
    return jax.shard_map(
        local,
        mesh=spec.mesh,
        in_specs=(PartitionSpec(), PartitionSpec(EVENTS)),
        out_specs=PartitionSpec(EVENTS),
        # The dynamic trip count of the loop differs between devices, which the checker can't follow.
        check_vma=False,
    )


@lru_cache(maxsize=256)
def compiled_sum(spec: SumSpec, order: int) -> Any:
    """Return the compiled sum: ``(theta, arrays) -> (devices, 1 + n + n**2)``, one packed row per device.

    Where the mesh spans processes, the parameters follow in each row.

    One array, since every array fetched costs tens of microseconds; one row per device and no reduction
    across them, since that costs more than adding the rows on the host.
    """

    def local(theta: jax.Array, arrays: Arrays) -> jax.Array:
        parts = _shard_sum(spec, order, theta, arrays)
        # Processes must agree on the parameters: each sees those of all.
        asked = (theta,) if is_shared(spec.mesh) else ()
        return jnp.concatenate([p.ravel() for p in (*parts, *asked)])[None]

    return over_events(spec.mesh, local, 1, 1, rows=True)


@lru_cache(maxsize=64)
def compiled_sum_at(spec: SumSpec) -> Callable[[np.ndarray, np.integer, Arrays], jax.Array]:
    """Return the sum at many points: ``(thetas, n_points, arrays) -> (devices, points, 1 + n)``."""
    return over_events(spec.mesh, lambda *args: _shard_sum_at(spec, *args)[None], 2, 1, rows=True)


def traceable_sum(spec: SumSpec) -> Callable[[jax.Array, Arrays], jax.Array]:
    """Return the same sum as a function for the user's own JAX code, differentiable twice.

    The loop has a dynamic length, which reverse mode can't cross: the derivatives are those taken inside
    the block, given to JAX as the rule of the function.
    """

    def total(order: int) -> Callable[..., tuple]:
        def run(theta: jax.Array, arrays: Arrays) -> tuple:
            parts = _sharded(spec, lambda t, a: jax.tree.map(lambda x: x[None], _shard_sum(spec, order, t, a)))
            return jax.tree.map(lambda x: x.sum(0), parts(theta, arrays))

        return run

    @jax.custom_jvp
    def value_and_gradient(theta: jax.Array, arrays: Arrays) -> tuple:
        return total(1)(theta, arrays)

    def second(primals: tuple, tangents: tuple) -> tuple:
        value, gradient, hessian = total(2)(*primals)
        step = _materialize(tangents[0], primals[0])
        return (value, gradient), (gradient @ step, hessian @ step)

    value_and_gradient.defjvp(second, symbolic_zeros=True)

    @jax.custom_jvp
    def value(theta: jax.Array, arrays: Arrays) -> jax.Array:
        return total(0)(theta, arrays)[0]

    def first(primals: tuple, tangents: tuple) -> tuple:
        s, gradient = value_and_gradient(*primals)
        return s, gradient @ _materialize(tangents[0], primals[0])

    value.defjvp(first, symbolic_zeros=True)
    return value


def _materialize(tangent: Any, primal: jax.Array) -> jax.Array:
    return tangent if isinstance(tangent, jax.Array) else jnp.zeros_like(primal)


@dataclass(frozen=True)
class EventSum:
    """A sum over events that are placed.

    Attributes
    ----------
    spec
        What is summed, and how it is compiled.
    events
        The events on the devices.
    """

    spec: SumSpec
    events: PlacedEvents

    def to_compile(self, orders: Iterable[int]) -> list[Callable[[], object]]:
        """Return what compiles the sums of these orders that never ran; it computes nothing."""
        nothing = assemble([np.zeros(1, np.int32)] * self.spec.mesh.devices.size, self.spec.mesh)
        theta, arrays = np.zeros(len(self.spec.parameters)), (*self.events.arrays[:3], nothing)

        def compiling(function: Any) -> Callable[[], object]:
            return lambda: function(theta, arrays)

        functions = [compiled_sum(self.spec, order) for order in sorted({self._computed(order) for order in orders})]
        return [compiling(f) for f in functions if not f._cache_size()]

    @property
    def n_events(self) -> int:
        """Number of events that count."""
        return self.events.n_events

    @property
    def n_summed(self) -> int:
        """Number of events that are added."""
        return self.n_events

    @property
    def path(self) -> str:
        """How a sum over these events, when they stand for others, is taken, in words."""
        return f"integrals, {self.n_events} pseudo-events"

    @property
    def arrays(self) -> Arrays:
        """What the traceable function takes."""
        return self.events.arrays

    @property
    def devices(self) -> set[Any]:
        """The devices that compute."""
        return set(self.spec.mesh.devices.flat)

    def on(self, mesh: Mesh) -> "EventSum":
        """Return the same sum on a mesh with more devices."""
        return EventSum(replace(self.spec, mesh=mesh), spread(self.events, mesh))

    def traceable(self) -> Callable[[jax.Array, Arrays], jax.Array]:
        """Return the sum for the user's own JAX code."""
        return traceable_sum(self.spec)

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> jax.Array:
        """Start the computation and return at once.

        Parameters
        ----------
        theta
            Parameters, ``(n,)``; or, with ``n_points``, ``(points, n)``, of which the first so many matter.
        order
            Derivatives wanted; 1 for many points.
        n_points
            None, or how many points.
        """
        if n_points is not None:
            return compiled_sum_at(self.spec)(theta, np.int32(n_points), self.events.arrays)
        return compiled_sum(self.spec, self._computed(order))(theta, self.events.arrays)

    def values(self, points: Iterable[np.ndarray], order: int = 0) -> list[float]:
        """Return the sum at some points, by the code that computes so many derivatives."""
        return [float(self.collect(self.launch(point, order), order)[0]) for point in points]

    def _computed(self, order: int) -> int:
        """Return the derivatives that are computed: for few rows second ones cost less than compiling without them."""
        return 2 if order == 1 and self.spec.block * len(self.spec.parameters) <= _FEW else order

    def collect(self, raw: jax.Array | list[np.ndarray], order: int) -> list[np.ndarray]:
        """Wait for the result: value, gradient ``(n,)``, Hessian ``(n, n)``, as far as ``order`` goes.

        For many points each has their axis in front.
        """
        rows = rows_of(raw)
        n = len(self.spec.parameters)
        if n and rows[0].ndim == 2 and is_shared(self.spec.mesh):
            check_agreement(np.stack([row[0, -n:] for row in rows]), self.spec.parameters)
        return unpacked(total_of(rows), n, order)


def total_of(rows: list[np.ndarray]) -> np.ndarray:
    """Add the rows of all devices, in their order."""
    packed = rows[0][0]
    for row in rows[1:]:
        packed = packed + row[0]
    return packed


def unpacked(packed: np.ndarray, n: int, order: int) -> list[np.ndarray]:
    """Return value, gradient and Hessian from their row, as far as ``order`` goes."""
    parts = [packed[..., 0]]
    if order > 0:
        parts.append(packed[..., 1 : 1 + n])
    if order > 1:
        parts.append(packed[..., 1 + n : 1 + n + n * n].reshape(*packed.shape[:-1], n, n))
    return parts


def check_agreement(asked: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse a sum that processes took at different parameters, ``(processes or devices, n)``.

    Raises
    ------
    RuntimeError
        In all of them.
    """
    differ = (asked != asked[0]).any(axis=0)
    if differ.any():
        first = int(np.argmax(differ))
        name, values = names[first], " or ".join(sorted({repr(float(v)) for v in asked[:, first]}))
        msg = (
            f"the processes of this run ask for different parameters: {name} is {values}. All must run the same script "
            "with the same start, seeds and versions."
        )
        raise RuntimeError(msg)
