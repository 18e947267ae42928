"""Fits in bins: one after the other, on one compilation, each from good starts, each kept when it is done."""

import json
import os
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxpwa._checks import ConvergenceWarning, JaxpwaWarning
from jaxpwa._processes import process_count
from jaxpwa._progress import progress_bar
from jaxpwa._types import Intensity
from jaxpwa.engine.processes import exchange
from jaxpwa.farms.tasks import check_executor, run_all
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.many import check_settings, fit_one, worth_compiling
from jaxpwa.inference.parameters import Parameter
from jaxpwa.inference.result import FitResult
from jaxpwa.spectrum.asked import analysis_of, check_names, chosen_bins, cost_maker, empty_fit, name_of
from jaxpwa.spectrum.binned_fits import BinFit, BinnedFits
from jaxpwa.spectrum.bins import Bin, cut
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
    executor: Executor | None = None,
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
    executor
        Bins are fitted there, such as in a `process_pool`, all at the same time, which needs ``carry=False``; what
        `farm` says of executors holds. Files in the folder are written here, as bins come back. None: in this process.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.
    **settings
        Further keywords of `jaxpwa.fit`, but for ``throw`` and ``checkpoint``.

    Returns
    -------
    BinnedFits
        Bins in order, those without a result included.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of this form, no bin has a result, or ``folder`` holds another analysis, or other bins in
        one process of a run than in another; if bins that carry results over are to be fitted in an executor.

    Warns
    -----
    ConvergenceWarning
        Once, if a bin has no valid result, starts failed, or tasks of an executor did.
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
    check_settings(settings, "fit_bins", "folder keeps each bin when it is done")
    check_executor(executor)
    if executor is not None and carry:
        msg = "an executor needs carry=False: bins that start where a neighbour ended are fitted one after the other."
        raise ValueError(msg)
    make_cost = cost_maker(model, cost, tables)
    cut_bins = cut(tables, edges, by, n_generated)
    how = Starts.make(start, fixed, starts, carry, seed, spread, powers_of(model) if scale else {})
    parameters = how.table(max(cut_bins, key=lambda b: b.n_data)).names
    check_names(parameters)
    of_waves = Waves.make(model, waves, groups, pairs, cost)
    run = _Run(make_cost, how, settings, not callable(cost), min_events, how.most(len(cut_bins)), of_waves)
    chosen = chosen_bins(bins, len(cut_bins))
    kept = None
    if folder is not None:
        kept = BinFolder.opened(folder, analysis_of(model, cost, cut_bins, by, parameters))
    found: dict[int, BinFit] = {}
    for bin_ in cut_bins:
        fit = run.at_hand(bin_, kept, bin_.number in chosen)
        if fit is not None:
            found[bin_.number] = fit
    _check_same_bins(found)
    if executor is not None:
        found |= _apart(run, [b for b in cut_bins if b.number not in found], kept, executor, progress)
    else:
        with progress_bar("bins", len(cut_bins) - len(found), " bins", progress) as bar:
            for bin_, neighbour in _in_order(cut_bins, chosen, carry, found):
                if bin_.number not in found:
                    fit = run.kept(run.fit(bin_, neighbour), bin_, kept)
                    found[bin_.number] = run.with_waves(fit, bin_)
                    bar.update(1)
    edges = np.array([b.low for b in cut_bins] + [cut_bins[-1].high])
    done = BinnedFits(edges, tuple(found[b.number] for b in cut_bins), name_of(by), time.perf_counter() - began)
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
    of_waves: Waves | None

    def at_hand(self, bin_: Bin, folder: BinFolder | None, is_chosen: bool) -> BinFit | None:
        """Return what there is of a bin without a fit: why there is none, or what a folder holds; else None."""
        empty = empty_fit(bin_)
        fewest = len(self.how.table(bin_).free) if self.min_events is None else self.min_events
        reason = bin_.why_not(fewest, self.is_usual)
        if reason:
            empty = replace(empty, reason=reason)
            if folder is not None:
                folder.write(empty, {})
            return empty
        there = None if folder is None else folder.read(bin_.number, self._key(bin_))
        if there is not None and self._still_so(there, bin_):
            return self.with_waves(there, bin_)
        if is_chosen:
            return None
        return replace(empty, reason="not among the bins to fit" + (", and not in the folder" if folder else ""))

    def fit(self, bin_: Bin, neighbour: FitResult | None = None) -> BinFit:
        """Fit a bin."""
        empty = empty_fit(bin_)
        try:
            cost, table = self.how.bind(self.make_cost(bin_), bin_)
        except ValueError as error:
            return replace(empty, reason=f"the cost can't be made: {error}", failures={0: str(error)})
        tables, carried = self.how.tables(cost, bin_, table, neighbour)
        together = worth_compiling(self.n_starts)
        near = None if carried is None else tables[carried].values
        minima, failures = fit_one(cost, tables, self.settings, together, lambda: None)
        reason = "" if minima else f"every start failed; the first: {next(iter(failures.values()))}"
        return replace(
            empty, n_starts=len(tables), minima=settled(minima, table, near), failures=failures, reason=reason
        )

    def __call__(self, bin_: Bin) -> BinFit:
        """Fit a bin on its own, in a worker."""
        return self.with_waves(self.fit(bin_), bin_)

    def kept(self, fit: BinFit, bin_: Bin, folder: BinFolder | None) -> BinFit:
        """Keep a finished bin."""
        if folder is not None and fit.minima:
            folder.write(fit, self._key(bin_))
        return fit

    def with_waves(self, fit: BinFit, bin_: Bin) -> BinFit:
        """Return a bin with its yields and phases."""
        if self.of_waves is None or fit.result is None:
            return fit
        return replace(fit, derived=self.of_waves.of(bin_, fit.result))

    def _key(self, bin_: Bin) -> dict[str, str]:
        """Return what makes a finished bin the one that is wanted."""
        settings = json.dumps({name: repr(value) for name, value in self.settings.items()}, sort_keys=True)
        starts = self.how.key(self.how.table(bin_))
        return {"events": bin_.fingerprint(), "starts": starts, "settings": settings}

    def _still_so(self, there: BinFit, bin_: Bin) -> bool:
        """Tell whether the cost is what it was where a kept fit ended: the model's code may have changed."""
        try:
            cost, table = self.how.bind(self.make_cost(bin_), bin_)
        except ValueError:
            return False
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


def _check_same_bins(found: dict[int, BinFit]) -> None:
    """Refuse a folder that the processes of a run see differently: they would wait for each other in different fits."""
    if process_count() > 1 and len({tuple(row) for row in exchange(_bits(found)).tolist()}) > 1:
        msg = "folder holds other bins in one process than in another: all must see the same folder, or none."
        raise ValueError(msg)


def _bits(found: dict[int, BinFit]) -> np.ndarray:
    """Return one row of whole numbers, the same for the same bins with the same results."""
    values = [(number, None if fit.result is None else fit.result.fval) for number, fit in sorted(found.items())]
    return np.array([len(found), zlib.crc32(repr(values).encode())], np.int64)


def _apart(
    run: _Run, bins: Sequence[Bin], folder: BinFolder | None, executor: Executor, progress: bool | None
) -> dict[int, BinFit]:
    """Fit bins in an executor, each on its own."""
    if not bins:
        return {}
    farmed = run_all(
        run,
        bins,
        executor,
        len(bins),
        what="bins",
        whose="the model, cost or start of fit_bins",
        unit=" bins",
        label=lambda k: f"bin {bins[k].number}",
        on_result=lambda k, fit: run.kept(fit, bins[k], folder),
        progress=progress,
    )
    lost = {k: f"its task failed: {failure.reason}" for k, failure in farmed.failures.items()}
    without = {bins[k].number: replace(empty_fit(bins[k]), reason=why, failures={0: why}) for k, why in lost.items()}
    return {bins[k].number: fit for k, fit in farmed.items()} | without


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
