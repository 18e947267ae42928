"""Whether a traced intensity treats every event alone, which is what lets events be cut and spread at will."""

from collections.abc import Iterator
from typing import Any

from jax.extend import core as jex_core

# A number of events that no axis of a model has by chance, so that the events axis shows in every shape.
TRACED_EVENTS = 7919

# Primitives that keep the events axis and yet mix events.
_MIXING = {"sort", "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "rev", "reduce_window", "fft"}


def _has_events(atom: Any) -> bool:
    return TRACED_EVENTS in getattr(atom.aval, "shape", ())


def check_eventwise(what: str, jaxpr: Any) -> None:
    """Refuse operations whose result for one event depends on other events."""
    for eqn in jaxpr.eqns:
        inner = list(_inner_jaxprs(eqn))
        for sub in inner:
            check_eventwise(what, sub)
        if inner and not _carries_over_events(eqn):
            continue
        has = any(_has_events(v) for v in eqn.invars)
        kept = any(_has_events(v) for v in eqn.outvars)
        if has and (not kept or inner or _mixes_along_events(eqn)):
            where = _line(eqn)
            msg = (
                f"{what} must treat every event alone, but {eqn.primitive.name}{where} combines events. "
                "Events are cut into blocks and spread over devices, so such a result would change with them: "
                "compute it beforehand and pass it as a number or a column."
            )
            raise ValueError(msg)


def _inner_jaxprs(eqn: Any) -> Iterator[Any]:
    """Yield the jaxprs that an equation calls: of jit, scan, cond, custom derivatives."""
    for param in eqn.params.values():
        for value in param if isinstance(param, (tuple, list)) else (param,):
            if isinstance(value, jex_core.ClosedJaxpr):
                yield value.jaxpr
            elif isinstance(value, jex_core.Jaxpr):
                yield value


def _carries_over_events(eqn: Any) -> bool:
    """Tell whether an equation is a scan that goes from event to event with a memory."""
    return eqn.primitive.name == "scan" and eqn.params["length"] == TRACED_EVENTS and eqn.params["num_carry"] > 0


def _mixes_along_events(eqn: Any) -> bool:
    """Tell whether a primitive that keeps the events axis works along it."""
    if eqn.primitive.name not in _MIXING:
        return False
    shape = eqn.invars[0].aval.shape
    params = eqn.params
    axes = params.get("dimensions", params.get("dimension", params.get("axis")))
    axes = axes if isinstance(axes, tuple) else (axes,)
    return any(a is None or shape[a] == TRACED_EVENTS for a in axes)


def user_line(eqn: Any) -> tuple[str, str] | None:
    """Return ``line 3 of file.py`` and the function of the user's line that made an equation, where JAX kept it."""
    try:
        frames = [f for f in eqn.source_info.traceback.frames if "/jax/" not in f.file_name]
        frame = next(f for f in frames if "/jaxpwa/engine/" not in f.file_name)
    except (AttributeError, StopIteration):
        return None
    return f"line {frame.line_num} of {frame.file_name.rsplit('/', 1)[-1]}", frame.function_name.rsplit(".", 1)[-1]


def _line(eqn: Any) -> str:
    found = user_line(eqn)
    return f" ({found[0]}, in {found[1]})" if found else ""
