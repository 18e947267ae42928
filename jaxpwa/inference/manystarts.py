"""What many fits are asked for: costs by label, and where those of each start."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from jaxpwa._checks import known
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.result import FitResult


def labelled_costs(costs: Any) -> dict[Any, Cost]:
    """Return costs by label."""
    if isinstance(costs, Cost):
        return {0: costs}
    if isinstance(costs, Mapping):
        labelled = dict(costs)
    elif isinstance(costs, Iterable):
        labelled = dict(enumerate(costs))
    else:
        msg = f"costs must be a cost, or a sequence or mapping of costs, got {type(costs).__name__}."
        raise TypeError(msg)
    if not labelled:
        msg = "costs must hold at least one cost, got none."
        raise ValueError(msg)
    return labelled


def in_order(start: Any, names: tuple[str, ...], number: int) -> Any:
    """Return a start with its parameters in the order of the first one."""
    values = start.start_values if isinstance(start, FitResult) else start
    if not isinstance(values, Mapping):
        return values
    if set(values) != set(names):
        msg = f"start {number} names other parameters than the first: {known(values)}; expected {known(names)}."
        raise ValueError(msg)
    return {name: values[name] for name in names}


def _is_start(value: Any) -> bool:
    """Tell whether this is one start, and not a mapping or sequence of them."""
    if isinstance(value, FitResult):
        return True
    return isinstance(value, Mapping) and not any(isinstance(v, (Mapping, FitResult, list)) for v in value.values())


def starts_of(starts: Any, labelled: dict[Hashable, Cost]) -> dict[Hashable, list[Any]]:
    """Return the starts of each cost."""
    if _is_start(starts):
        return {label: [starts] for label in labelled}
    if isinstance(starts, Mapping):
        missing = [label for label in labelled if label not in starts]
        unknown = [label for label in starts if label not in labelled]
        if missing or unknown:
            msg = (
                f"starts by cost must have the keys of costs: {known(map(repr, labelled))}; "
                f"missing: {known(map(repr, missing))}; unknown: {known(map(repr, unknown))}."
            )
            raise ValueError(msg)
        return {label: _listed(starts[label]) for label in labelled}
    listed = _listed(starts)
    return dict.fromkeys(labelled, listed)


def _listed(starts: Any) -> list[Any]:
    if _is_start(starts):
        return [starts]
    if isinstance(starts, (str, bytes)) or not isinstance(starts, Iterable):
        msg = f"starts must be a start, or a sequence of starts, got {type(starts).__name__}."
        raise TypeError(msg)
    listed = list(starts)
    if not listed:
        msg = "starts must hold at least one start, got none."
        raise ValueError(msg)
    return listed
