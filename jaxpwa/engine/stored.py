"""Stored columns: computed on the devices, shard by shard and block by block, from the columns that are there."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from jaxpwa.engine.blocks import Arrays, PlacedEvents, gather
from jaxpwa.engine.devices import over_events
from jaxpwa.engine.precompute import Plan
from jaxpwa.engine.processes import rows_of


def _shapes(plan: Plan) -> list[tuple[tuple[int, ...], np.dtype]]:
    """Return shape per event and type of each real column of the full layout."""
    shapes = []
    for node, kind in zip(plan.stored, plan.full_layout, strict=True):
        real = np.zeros((), node.aval.dtype).real.dtype
        shapes += [(node.aval.shape[1:], real)] * (2 if kind == "c" else 1)
    return shapes


@lru_cache(maxsize=128)
def _compiled(plan: Plan, mesh: Mesh, block: int, single: bool) -> Callable[[np.ndarray, Arrays], tuple]:
    """Return ``(theta, arrays) -> columns of the full layout, and whether each has anything but zeros``."""

    def local(theta: jax.Array, arrays: Arrays) -> tuple:
        columns, _, _, n_here = arrays
        values = theta.astype(jnp.float32) if single else theta
        numbers = tuple(values[i] for i in range(theta.shape[0]))

        def body(i: jax.Array, state: tuple) -> tuple:
            out, used = state
            part = [lax.dynamic_slice_in_dim(c, i * block, block) for c in columns]
            results = plan.compute(numbers, part)
            out = tuple(lax.dynamic_update_slice_in_dim(o, r, i * block, 0) for o, r in zip(out, results, strict=True))
            return out, used | jnp.stack([jnp.any(r != 0) for r in results])

        shapes, n_rows = _shapes(plan), columns[0].shape[0]
        start = tuple(jnp.zeros((n_rows, *shape), dtype) for shape, dtype in shapes)
        blocks = (n_here[0] + block - 1) // block
        out, used = lax.fori_loop(0, blocks, body, (start, jnp.zeros(len(shapes), bool)))
        return out, used[None]

    return over_events(mesh, local, 1, 1, rows=(False, True))


def store_all(plan: Plan, events: PlacedEvents, single: bool) -> PlacedEvents:
    """Return the same events with stored columns in the full layout, nothing held fixed."""
    theta = np.zeros(len(plan.graph.parameters))
    columns, _ = _compiled(plan, events.mesh, events.block, single)(theta, events.arrays)
    return replace(events, arrays=(tuple(columns), *events.arrays[1:]))


def store(plan: Plan, events: PlacedEvents, theta: np.ndarray, single: bool) -> tuple[PlacedEvents, str]:
    """Return the same events with stored real columns in place of those that the model reads, and their layout.

    Parameters
    ----------
    plan
        What to store.
    events
        Events with the columns that the model reads.
    theta
        Parameters; only those that the plan holds fixed matter.
    single
        Whether the model works in float32.
    """
    columns, used = _compiled(plan, events.mesh, events.block, single)(theta, events.arrays)
    some = iter(np.any(np.concatenate(rows_of(used)), axis=0).tolist())
    source, kept, layout = iter(columns), [], ""
    for kind in plan.full_layout:
        if kind == "x":
            next(some)
            kept.append(next(source))
            layout += kind
            continue
        re, im, has_re, has_im = next(source), next(source), next(some), next(some)
        kept += [re, im] if has_re and has_im else [im] if has_im else [re]
        layout += "c" if has_re and has_im else "i" if has_im else "r"
    return replace(events, arrays=(tuple(kept), *events.arrays[1:])), layout


def stored_rows(plan: Plan, events: PlacedEvents, single: bool, layout: str) -> tuple[np.ndarray, ...]:
    """Return what is stored in a layout, on the host, ``(events, ...)`` each; nothing is held fixed.

    Raises
    ------
    ValueError
        If the plan stores other values than the layout has.
    """
    kinds = [(full, kind) for full, kind in zip(plan.full_layout, layout, strict=False)]
    if len(plan.full_layout) != len(layout) or any((full == "x") != (kind == "x") for full, kind in kinds):
        msg = "other values are stored"
        raise ValueError(msg)
    source, kept = iter(store_all(plan, events, single).arrays[0]), []
    for full, kind in kinds:
        parts = [next(source)] if full == "x" else [next(source), next(source)]
        kept += parts if kind in "xc" else [parts["ri".index(kind)]]
    return tuple(gather(column, events.cuts) for column in kept)


def as_stored(plan: Plan, columns: tuple[jax.Array, ...]) -> str | None:
    """Return the layout if the columns that a model reads are, as they are, what a plan stores; else None."""
    same = len(columns) == len(plan.stored) and plan.is_trivial and tuple(plan.stored) == plan.graph.columns
    return "x" * len(columns) if same and "c" not in plan.full_layout else None
