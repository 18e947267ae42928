"""Fits in bins: one after the other, on one compilation, each from good starts, each kept when it is done."""

import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxpwa._checks import ConvergenceWarning, JaxpwaWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa._types import Intensity
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.likelihoods import ExtendedNLL, UnbinnedNLL
from jaxpwa.inference.many import fit_one, worth_compiling
from jaxpwa.inference.parameters import Parameter, ParameterTable
from jaxpwa.inference.result import FitResult
from jaxpwa.spectrum.binned_fits import COLUMNS, BinFit, BinnedFits
from jaxpwa.spectrum.bins import ACCEPTED, DATA, GENERATED, Bin, cut
from jaxpwa.spectrum.folder import BinFolder
from jaxpwa.spectrum.starts import Starts, powers_of, settled
from jaxpwa.spectrum.waves import Waves

Start = Mapping[str, float | Parameter] | FitResult
MakeCost = Callable[[Bin], Cost]


def fit_bins(
    model: Intensity,
    tables: Mapping[str, Any],
    edges: Any,
    *,
    start: Start | Callable[[Bin], Start],
    by: Any = "mass",
    n_generated: Any = None,
    cost: str | MakeCost = "extended",
    fixed: str | Iterable[str] = (),
    starts: int = 1,
    carry: bool = True,
    seed: Any = None,
    spread: float = 1.0,
    scale: bool = True,
    min_events: int | None = None,
    waves: bool | None = None,
    groups: Mapping[str, Any] | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    derive: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
    folder: str | os.PathLike | None = None,
    bins: Iterable[int] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> BinnedFits:
    r"""Fit every bin of a spectrum on its own: a mass-independent fit.

    Tables are cut at ``edges``, and each bin gets the cost

    .. math:: -\sum_e w_e \ln I(p, x_e) + \frac{1}{N_{gen}} \sum_m w_m I(p, x_m)

    of its own events, its own accepted Monte Carlo and its own number of generated events: the acceptance is that of
    the bin. Bins are fitted one after the other and share their compiled code. A bin that can't be fitted, such as an
    empty one, has a row with the reason, and does not end the others.

    Where the fits start: ``starts`` counts each bin's own, ``start`` and others at random around it; with ``carry`` the
    fit of the bin with most events goes outward on both sides, and each bin starts at its neighbour's best result
    as well. So ``starts=0`` is carrying alone, ``carry=False`` random starts alone. Of solutions that are equally good,
    as mirror images are, the one that goes on from the neighbour comes first.

    Parameters
    ----------
    model
        ``intensity(params, data) -> (events,)``, such as a sum of waves.
    tables
        Events by name: ``"data"``, ``"accepted_mc"``, and, where there is a detector, ``"generated_mc"``. With a
        ``cost`` of your own: whatever it takes.
    edges
        At least two numbers, strictly rising, ``(bins + 1,)``, as of `jaxpwa.bin_by_edges`.
    start
        Start values by name, as `jaxpwa.fit` takes them, or a function of the `Bin` that returns such.
    by
        The column to cut, which all tables have. Or, by name of the table, its column or one number per event.
    n_generated
        Events generated in each bin, ``(bins,)``. None: those of ``generated_mc``; without such a table as many
        as ``accepted_mc`` has.
    cost
        ``"extended"``; ``"unbinned"``: `jaxpwa.UnbinnedNLL` with ``accepted_mc`` as ``normalization_mc``; or a
        function ``cost(bin)`` that returns a cost: a simultaneous fit, constraints, other keywords.
    fixed
        Names to fix besides.
    starts
        Starts of each bin's own, not counting the one that is carried over.
    carry
        Start at the neighbour's result, too.
    seed
        A whole number or a JAX key; needed for random starts.
    spread
        Width of random starts, as of `jaxpwa.random_starts`.
    scale
        Multiply the couplings of a composed model (backgrounds by the square) by what makes it expect as many events
        as the bin has, at every start; limits of couplings are scaled like ``start``. So `start` can be
        ``model.start()``. Not done for plain functions, and where a coupling is fixed at another value than 0.
    min_events
        Bins with fewer events are left out. None: as many as there are free parameters.
    waves
        Add yields, corrected for acceptance, and phases of waves to the table, with errors: columns ``yield S0+``,
        ``yield total``, ``phase S0+ - D2+`` (rad). None: where the model is composed of waves and ``cost`` is no
        function. Yields need ``generated_mc``, or that nothing is lost.
    groups
        Coherent subsets by name, whose yields are wanted too: ``{"D+": ["D0+", "D1+", "D2+"]}``.
    pairs
        Pairs of waves whose phases are wanted. None: each wave with the reference of its coherent sum.
    derive
        Functions of the parameters by name of a column, as `BinnedFits.derive` takes them.
    folder
        Where to keep each bin when it is done. Run again, bins whose events, starts and settings are the same, and
        whose cost still is what it was, are read and not fitted.
    bins
        Numbers of the bins to fit; others are read from the folder or left out. So jobs can share the work.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.
    **settings
        Further keywords of `jaxpwa.fit`, but for ``throw``.

    Returns
    -------
    BinnedFits
        Bins in order, those without a result included.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of this form, no bin has a result, or ``folder`` holds another analysis.

    Warns
    -----
    ConvergenceWarning
        Once, if a bin has no valid result or starts failed.
    JaxpwaWarning
        If a file in the folder is damaged, or was made with another model.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> from jaxpwa.spectrum import fit_bins
    >>> rng = np.random.default_rng(1)
    >>> def density(p, d):
    ...     return p["n"] * (1 + p["a"] * d["z"])
    >>> flat = {"mass": rng.uniform(1.0, 1.4, 8000), "z": rng.uniform(-1, 1, 8000)}
    >>> seen = flat["z"] > rng.uniform(-3, 1, 8000)
    >>> data = {name: values[seen] for name, values in flat.items()}
    >>> fits = fit_bins(density, {"data": data, "accepted_mc": flat}, [1.0, 1.2, 1.4], start={"n": 900, "a": 0.1})
    >>> fits.to_pandas()[["low", "high", "n_data", "n", "n error"]].round(1)
         low  high  n_data       n  n error
    bin
    0    1.0   1.2    2933  2947.3     54.4
    1    1.2   1.4    3027  3034.8     55.2
    """
    began = time.perf_counter()
    if "throw" in settings:
        msg = "fit_bins has no throw: look at the results' valid, one fit that fails does not end the others."
        raise TypeError(msg)
    make_cost = _cost_maker(model, cost, tables)
    cut_bins = cut(tables, edges, by, n_generated)
    how = Starts.make(start, fixed, starts, carry, seed, spread, powers_of(model) if scale else {})
    parameters = how.table(max(cut_bins, key=lambda b: b.n_data)).names
    _check_names(parameters)
    of_waves = Waves.make(model, waves, groups, pairs, cost)
    run = _Run(make_cost, how, settings, not callable(cost), min_events, how.most(len(cut_bins)))
    chosen = _chosen(bins, len(cut_bins))
    kept = None
    if folder is not None:
        kept = BinFolder.opened(folder, _analysis(model, cost, cut_bins, by, parameters))
    found: dict[int, BinFit] = {}
    with progress_bar("bins", len(chosen), " bins", progress) as bar:
        for bin_, neighbour in _in_order(cut_bins, chosen, carry, found):
            fit = run.fit(bin_, neighbour, kept, bin_.number in chosen)
            derived = of_waves.of(bin_, fit.result) if of_waves is not None and fit.result is not None else {}
            found[bin_.number] = replace(fit, derived=derived)
            bar.update(bin_.number in chosen)
    edges = np.array([b.low for b in cut_bins] + [cut_bins[-1].high])
    done = BinnedFits(edges, tuple(found[b.number] for b in cut_bins), _name(by), time.perf_counter() - began)
    if not len(done):
        why = next(fit.reason for fit in done.bins if fit.number in chosen)
        msg = f"no bin has a result; the first: {done.problem or why}"
        raise ValueError(msg)
    if done.problem:
        warnings.warn(done.problem, ConvergenceWarning, stacklevel=2)
    return done.derive(derive) if derive else done


@dataclass(frozen=True, eq=False)
class _Run:
    """All that the fit of a bin takes besides the bin."""

    make_cost: MakeCost
    how: Starts
    settings: dict[str, Any]
    is_usual: bool
    min_events: int | None
    n_starts: int

    def fit(self, bin_: Bin, neighbour: FitResult | None, kept: BinFolder | None, is_chosen: bool) -> BinFit:
        """Read a bin, or fit it and keep it."""
        empty = BinFit(bin_.number, bin_.low, bin_.high, bin_.n_data, bin_.sum_of_weights, bin_.acceptance)
        fewest = len(self.how.table(bin_).free) if self.min_events is None else self.min_events
        reason = bin_.why_not(fewest, self.is_usual)
        if reason:
            empty = replace(empty, reason=reason)
            if kept is not None:
                kept.write(empty, {})
            return empty
        if not is_chosen and kept is None:
            return replace(empty, reason="not among the bins to fit")
        try:
            cost, table = self.how.bind(self.make_cost(bin_), bin_)
        except ValueError as error:
            return replace(empty, reason=f"the cost can't be made: {error}", failures={0: str(error)})
        key = {} if kept is None else self._key(bin_, table)
        there = None if kept is None else kept.read(bin_.number, key)
        if there is not None and _still_so(cost, table, there, bin_):
            return there
        if not is_chosen:
            return replace(empty, reason="not among the bins to fit, and not in the folder")
        tables, carried = self.how.tables(cost, bin_, table, neighbour)
        together = worth_compiling(self.n_starts)
        near = None if carried is None else tables[carried].values
        minima, failures = fit_one(cost, tables, self.settings, together, lambda: None)
        reason = "" if minima else f"every start failed; the first: {next(iter(failures.values()))}"
        fit = replace(
            empty, n_starts=len(tables), minima=settled(minima, table, near), failures=failures, reason=reason
        )
        if kept is not None and minima:
            kept.write(fit, key)
        return fit

    def _key(self, bin_: Bin, table: ParameterTable) -> dict[str, str]:
        """Return what makes a finished bin the one that is wanted."""
        settings = json.dumps({name: repr(value) for name, value in self.settings.items()}, sort_keys=True)
        return {"events": bin_.fingerprint(), "starts": self.how.key(table), "settings": settings}


def _still_so(cost: Cost, table: ParameterTable, there: BinFit, bin_: Bin) -> bool:
    """Tell whether the cost is what it was where a kept fit ended: the model's code may have changed."""
    result = there.result
    if result is None or not set(table.names) <= set(result.values):
        return False
    value = cost._compute(np.array([result.values[name] for name in table.names]), 0)[0]
    same = 1e-5 if any(t.dtype == "float32" for t in bin_.tables.values()) else 1e-9
    if abs(value - result.fval) <= same * (abs(result.fval) + cost.ndata):
        return True
    text = f"bin {there.number} was fitted with another model (the cost is {value!r} and was {result.fval!r})"
    warnings.warn(f"{text}: it is fitted again.", JaxpwaWarning, stacklevel=4)
    return False


def _cost_maker(model: Intensity, cost: Any, tables: Any) -> Any:
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


def _chosen(bins: Any, n_bins: int) -> frozenset[int]:
    """Return the numbers of the bins to fit."""
    if bins is None:
        return frozenset(range(n_bins))
    numbers = [bins] if isinstance(bins, (int, np.integer)) else list(bins)
    wrong = [n for n in numbers if not isinstance(n, (int, np.integer)) or not 0 <= n < n_bins]
    if wrong or not numbers:
        msg = f"bins must be numbers of bins, from 0 to {n_bins - 1}, got {known(map(repr, wrong or numbers))}."
        raise ValueError(msg)
    return frozenset(int(n) for n in numbers)


def _in_order(
    bins: Sequence[Bin], chosen: frozenset[int], carry: bool, found: Mapping[int, BinFit]
) -> Iterator[tuple[Bin, FitResult | None]]:
    """Yield bins in the order of fitting, each with its neighbour's result, once that is in ``found``."""
    if not carry:
        yield from ((bin_, None) for bin_ in bins)
        return
    centre = max(chosen, key=lambda i: (bins[i].n_data, -i))
    for chain in (bins[centre:], bins[:centre][::-1]):
        last = found[centre].result if centre in found and found[centre].is_valid else None
        for bin_ in chain:
            yield bin_, last
            fit = found[bin_.number]
            last = fit.result if fit.is_valid else last


def _name(by: Any) -> str:
    """Return what is cut, for tables and messages."""
    if isinstance(by, Mapping):
        by = by.get(DATA)
    return by if isinstance(by, str) else "values"


def _analysis(model: Any, cost: Any, bins: Sequence[Bin], by: Any, parameters: Iterable[str]) -> dict[str, Any]:
    """Return what all bins of an analysis have in common."""
    names = list(getattr(model, "names", ())) or getattr(model, "__qualname__", type(model).__qualname__)
    return {
        "edges": [b.low for b in bins] + [bins[-1].high],
        "by": _name(by),
        "model": names,
        "parameters": list(parameters),
        "cost": cost if isinstance(cost, str) else getattr(cost, "__qualname__", type(cost).__qualname__),
    }


def _check_names(names: Iterable[str]) -> None:
    """Refuse parameters that have the name of a column of the table."""
    taken = [name for name in names if name in COLUMNS or name.removesuffix(" error") in COLUMNS]
    if taken:
        msg = f"parameters can't have the name of a column of the table of results: {known(taken)}. Rename them."
        raise ValueError(msg)
