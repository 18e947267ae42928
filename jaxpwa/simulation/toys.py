"""Samples of a given size, drawn from a model or from the result of a fit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad
from jaxpwa._processes import process_index
from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa._types import Intensity
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.pieces import as_events, in_step, names_of_numbers, pieces_of, rows_in_budget, rows_of_all, share_of
from jaxpwa.engine.processes import exchange
from jaxpwa.simulation.evaluate import evaluate, parameters_of
from jaxpwa.simulation.rejection import given_maximum, rejection_sample

# Tried and kept events tell how many to try next; a batch is never larger or smaller than this.
_LEAST, _MOST = 10_000, 2_000_000
_HEADROOM = 1.1


def simulate(
    key_or_seed: Any,
    model: Intensity,
    result: Any,
    events: Any,
    n_events: int | None = None,
    *,
    maximum: float | None = None,
    devices: Devices = None,
    progress: bool | None = None,
) -> Dataset:
    """Draw events from a model at fitted or given parameters; they have weight one.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key: the same one gives the same events.
    model
        ``intensity(params, data) -> (events,)``, real and not negative.
    result
        A `FitResult`, or numbers by name.
    events
        What to draw from: events generated flat in phase space (or with weights that make them so), in memory or in
        files (`FileDataset`); or a function ``events(seed, n)`` that generates ``n`` of them, such as one made of
        `jaxpwa.physics.generate_production`.
    n_events
        How many events are wanted. None: as many as a table yields; a function needs a number.
    maximum
        Largest intensity times weight. None: the largest met; from a function, where a larger one turns up later, the
        events kept before are thinned out to match.
    devices, progress
        As in `evaluate`.

    Returns
    -------
    Dataset
        The events kept, with all their columns, in memory; the same in every process. Of files all columns of numbers,
        in the type that `FileDataset` reads them in: whole numbers become real ones, exact up to 2**53.

    Raises
    ------
    ValueError, TypeError
        As `rejection_sample`; if a table yields fewer events than wanted; if a function is given without ``n_events``,
        or generates no events, or none with an intensity above 0; if ``result`` is neither a fit nor a mapping.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> def flat(seed, n):
    ...     return {"x": np.random.default_rng(seed).uniform(0, 1, n)}
    >>> toy = jp.simulate(1, lambda p, d: 1 + p["a"] * d["x"], {"a": 2.0}, flat, 10_000)
    >>> len(toy), round(float(toy["x"].mean()), 2)  # 7/12
    (10000, 0.58)
    """
    params = parameters_of(result)
    if n_events is not None and (
        isinstance(n_events, bool) or not isinstance(n_events, (int, np.integer)) or n_events < 1
    ):
        msg = f"n_events must be a whole number of events, at least 1, got {n_events!r}."
        raise ValueError(msg)
    if callable(events):
        if n_events is None:
            msg = "n_events must say how many events are wanted from a function that generates them."
            raise ValueError(msg)
        ceiling = given_maximum(maximum)
        return _from_function(key_words(key_or_seed), model, params, events, n_events, ceiling, devices, progress)
    table = as_events(events, "events")
    mask, report = rejection_sample(key_or_seed, model, params, table, maximum, devices=devices, progress=progress)
    n_kept = report.n_accepted
    chosen = np.arange(n_kept)
    if n_events is not None:
        if n_kept < n_events:
            msg = f"{n_kept} of {report.n_generated} events are kept, {n_events} are wanted: generate more events."
            raise ValueError(msg)
        # Tables may be sorted: the first so many would be no fair sample.
        rng = np.random.default_rng([*key_words(key_or_seed), 1])
        chosen = np.sort(rng.choice(n_kept, n_events, replace=False))
    kept = np.flatnonzero(mask)
    if isinstance(table, FileDataset):
        return _from_files(table, kept, chosen, progress)
    return table.select(kept[chosen]).with_weights(None)


def _from_files(files: FileDataset, kept: np.ndarray, chosen: np.ndarray, progress: bool | None) -> Dataset:
    """Read events of files, those ``chosen`` of the ones ``kept``, of which each process has its own."""
    before = int(exchange(len(kept))[: process_index()].sum())
    start, stop = share_of(files)
    mine = start + kept[chosen[(chosen >= before) & (chosen < before + len(kept))] - before]
    names = names_of_numbers(files.head)
    found = [{name: files.head.numbers(name)[:0] for name in names}]
    with in_step(files), progress_bar("read", stop - start, "event", progress) as bar:
        for first, piece in pieces_of(files, names, start, stop, rows_in_budget(files, names)):
            rows = mine[slice(*np.searchsorted(mine, (first, first + piece.n_events)))] - first
            found.append({name: piece.numbers(name)[rows] for name in names})
            bar.update(piece.n_events)
    columns = {name: rows_of_all(np.concatenate([part[name] for part in found])) for name in names}
    return Dataset(columns, dtype=files.dtype)


def _from_function(
    words: np.ndarray,
    model: Intensity,
    params: Mapping[str, Any],
    generate: Callable[[int, int], Any],
    n_events: int,
    maximum: float | None,
    devices: Devices,
    progress: bool | None,
) -> Dataset:
    """Generate batches until enough events are kept."""
    rng = np.random.default_rng(words)
    ceiling, largest = maximum or 0.0, 0.0
    parts: list[Dataset] = []
    heights: list[np.ndarray] = []  # intensity over the uniform number: kept where above the maximum
    size, tried, asked = max(_LEAST, min(_MOST, 4 * n_events)), 0, 0
    with progress_bar("simulate", n_events, "event", progress) as bar:
        while True:
            batch = as_dataset(generate(int(rng.integers(2**31)), size), "what events(seed, n) returns")
            values = evaluate(model, params, batch, devices=devices, progress=False) * batch.weights
            _check(values, maximum)
            largest = max(largest, float(values.max(initial=0.0)))
            if maximum is None and largest > ceiling:
                ceiling = _HEADROOM * largest
            height = values / np.maximum(rng.uniform(size=len(values)), np.finfo(float).tiny)
            hit = height > ceiling
            parts.append(batch.select(hit).with_weights(None))
            heights.append(height[hit])
            tried, asked = tried + len(values), asked + size
            n_kept = int(sum(np.count_nonzero(h > ceiling) for h in heights))
            bar.update(0)
            if n_kept >= n_events:
                break
            if largest == 0 and asked >= 100 * _LEAST:
                msg = f"intensity is 0 for all of {tried} events that were generated: there is nothing to draw."
                if not tried:
                    msg = f"events(seed, n) must return n events, got none of the {asked} asked for."
                raise ValueError(msg)
            rate = max(n_kept, 1) / max(tried, 1)
            size = int(np.clip(1.2 * (n_events - n_kept) / rate, _LEAST, _MOST))
        bar.update(n_events)
    masks = [h > ceiling for h in heights]
    columns = {
        name: np.concatenate([part[name][mask] for part, mask in zip(parts, masks, strict=True)])[:n_events]
        for name in parts[0]
    }
    return Dataset(columns, dtype=parts[0].dtype)


def _check(values: np.ndarray, maximum: float | None) -> None:
    """Refuse intensities that can't be drawn from."""
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        first = first_bad(bad)
        msg = f"intensity times weight must be finite and not negative: event {first} of a batch has {values[first]}."
        raise ValueError(msg)
    if maximum is not None and values.max(initial=0.0) > maximum:
        msg = (
            f"an intensity of {values.max():.6g} is above the maximum given, {maximum:.6g}: pass a larger one, or none."
        )
        raise ValueError(msg)
