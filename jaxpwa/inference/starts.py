"""Where fits start: what the user gives, read against the cost, and random starts."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa._random import key_words
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.parameters import Parameter, ParameterTable
from jaxpwa.inference.result import FitResult


def bind_to_start(cost: Any, start: Any, fixed: str | Iterable[str]) -> tuple[Cost, ParameterTable]:
    """Read the start values and order the cost's parameters like them."""
    if not isinstance(cost, Cost):
        msg = (
            f"cost must be a jaxpwa cost such as UnbinnedNLL(intensity, data), got {type(cost).__name__}. "
            "An intensity alone has no data to fit."
        )
        raise TypeError(msg)
    if isinstance(start, FitResult):
        start = start.start_values
    table = ParameterTable.make(start, fixed)
    tied = [name for name in table.names if name in cost._tied]
    if tied:
        msg = f"start names {known(tied)}, which the cost ties to other parameters: leave it out."
        raise ValueError(msg)
    try:
        return cost.bind(table.names), table
    except ValueError as error:
        msg = f"start does not fit the cost: {error}"
        raise ValueError(msg) from None


def random_starts(
    key_or_seed: Any, start: Mapping[str, float | Parameter] | FitResult, n: int, *, spread: float = 1.0
) -> list[dict[str, Parameter]]:
    """Draw start values around a given one, to look for several minima with `fit_many`.

    A parameter with two limits is drawn evenly between them. Any other is drawn from a normal distribution around its
    start value, whose width is ``spread`` times the value (times 1 where that is 0), reflected at its limit if it has
    one. Fixed parameters keep their values.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key: the same one gives the same starts.
    start
        Numbers or `Parameter` by name, or an earlier `FitResult`.
    n
        How many, at least 1. The first one is ``start`` itself.
    spread
        Relative width, positive.

    Returns
    -------
    ``n`` starts, each a dict from names to `Parameter`.

    Raises
    ------
    TypeError, ValueError
        If the key, the start, ``n`` or ``spread`` is not of this form.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> first, second = jp.random_starts(1, {"m": jp.Parameter(1.2, lower=1.0, upper=1.5), "a": 3.0}, 2)
    >>> first["a"].value, 1.0 < second["m"].value < 1.5
    (3.0, True)
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        msg = f"n must be a whole number of starts, at least 1, got {n!r}."
        raise ValueError(msg)
    if not isinstance(spread, (int, float, np.integer, np.floating)) or not 0 < spread < np.inf:
        msg = f"spread must be a positive number, got {spread!r}."
        raise ValueError(msg)
    table = ParameterTable.make(start.start_values if isinstance(start, FitResult) else start)
    rng = np.random.default_rng(key_words(key_or_seed))
    low, high, centre = table.lower, table.upper, table.values
    bounded = np.isfinite(low) & np.isfinite(high)
    width = spread * np.where(centre != 0, np.abs(centre), 1.0)
    out = [table.at(centre)]
    for _ in range(n - 1):
        normal = centre + width * rng.normal(size=len(centre))
        normal = np.where(normal < low, 2 * low - normal, normal)
        normal = np.where(normal > high, 2 * high - normal, normal)
        even = rng.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0))
        out.append(table.at(np.where(table.fixed, centre, np.where(bounded, even, normal))))
    return out
