"""What `fit_bins` is asked for, read and checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa._types import Intensity
from jaxpwa.inference.likelihoods import ExtendedNLL, UnbinnedNLL
from jaxpwa.spectrum.binned_fits import COLUMNS, BinFit
from jaxpwa.spectrum.bins import ACCEPTED, DATA, GENERATED, Bin


def cost_maker(model: Intensity, cost: Any, tables: Any) -> Any:
    """Return what makes the cost of a bin, once its tables are there."""
    if callable(cost):
        return cost
    if cost not in ("extended", "unbinned"):
        msg = f"cost must be 'extended', 'unbinned' or a function cost(bin), got {cost!r}."
        raise ValueError(msg)
    names = tuple(tables) if isinstance(tables, Mapping) else (DATA, ACCEPTED)
    usual = (DATA, ACCEPTED, GENERATED)
    if not {DATA, ACCEPTED} <= set(names) <= set(usual):
        msg = (
            f"tables must hold 'data' and 'accepted_mc', and may hold 'generated_mc', got {known(map(repr, names))}. "
            "Other tables need a function cost(bin)."
        )
        raise ValueError(msg)
    if cost == "extended":
        return lambda bin_: ExtendedNLL(model, bin_[DATA], bin_[ACCEPTED], bin_.n_generated)
    return lambda bin_: UnbinnedNLL(model, bin_[DATA], normalization_mc=bin_[ACCEPTED])


def chosen_bins(bins: Any, n_bins: int) -> frozenset[int]:
    """Return the numbers of the bins to fit."""
    if bins is None:
        return frozenset(range(n_bins))
    numbers = [bins] if isinstance(bins, (int, np.integer)) else list(bins)
    wrong = [n for n in numbers if not isinstance(n, (int, np.integer)) or not 0 <= n < n_bins]
    if wrong or not numbers:
        msg = f"bins must be numbers of bins, from 0 to {n_bins - 1}, got {known(map(repr, wrong or numbers))}."
        raise ValueError(msg)
    return frozenset(int(n) for n in numbers)


def name_of(by: Any) -> str:
    """Return what is cut, for tables and messages."""
    if isinstance(by, Mapping):
        by = by.get(DATA)
    return by if isinstance(by, str) else "values"


def analysis_of(model: Any, cost: Any, bins: Sequence[Bin], by: Any, parameters: Iterable[str]) -> dict[str, Any]:
    """Return what all bins of an analysis have in common."""
    names = list(getattr(model, "names", ())) or getattr(model, "__qualname__", type(model).__qualname__)
    return {
        "edges": [b.low for b in bins] + [bins[-1].high],
        "by": name_of(by),
        "model": names,
        "parameters": list(parameters),
        "cost": cost if isinstance(cost, str) else getattr(cost, "__qualname__", type(cost).__qualname__),
    }


def check_names(names: Iterable[str]) -> None:
    """Refuse parameters that have the name of a column of the table."""
    taken = [name for name in names if name in COLUMNS or name.removesuffix(" error") in COLUMNS]
    if taken:
        msg = f"parameters can't have the name of a column of the table of results: {known(taken)}. Rename them."
        raise ValueError(msg)


def empty_fit(bin_: Bin) -> BinFit:
    """Return what is known of a bin before it is fitted."""
    return BinFit(bin_.number, bin_.low, bin_.high, bin_.n_data, bin_.sum_of_weights, bin_.acceptance)
