"""Simulation by rejection sampling."""

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import EnvelopeExceededWarning, first_bad
from jaxpwa._processes import is_main
from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa._types import Intensity, Params
from jaxpwa.engine.blocks import gather
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.pieces import Events, in_step, is_streamed, share_of
from jaxpwa.engine.pointwise import Values, chunks, one_ahead, value_range
from jaxpwa.engine.processes import exchange
from jaxpwa.simulation.evaluate import prepared


@dataclass(frozen=True)
class SimulationReport:
    """What rejection sampling did.

    Attributes
    ----------
    n_generated, n_accepted
        Events tried and events kept.
    maximum
        The intensity (times weight) that is kept with certainty.
    largest
        The largest intensity (times weight) met.
    n_above
        Events above ``maximum``: kept, but fewer than the model has there.
    """

    n_generated: int
    n_accepted: int
    maximum: float
    largest: float
    n_above: int

    @property
    def efficiency(self) -> float:
        """Fraction of events kept."""
        return self.n_accepted / self.n_generated

    def __str__(self) -> str:
        above = f", {self.n_above} above the maximum" if self.n_above else ""
        return (
            f"kept {self.n_accepted} of {self.n_generated} events ({100 * self.efficiency:.3f} %), "
            f"maximum {self.maximum:.6g}, largest intensity {self.largest:.6g}{above}"
        )


class _Tally:
    """The mask in the making of the events from ``first`` on, and what was met on the way."""

    def __init__(self, first: int, n_events: int):
        self.first = first
        self.mask = np.empty(n_events, bool)
        self.largest = 0.0
        self.n_above = 0

    def look(self, raw: jax.Array, values: Callable[[], np.ndarray], start: int, ceiling: float = np.inf) -> None:
        """Take note of the range of a chunk's intensities, and look at them one by one where it is odd."""
        smallest, largest = value_range(raw)
        if not (smallest >= 0 and largest < np.inf):
            _refuse(values(), start)
        self.largest = max(self.largest, largest)
        if largest > ceiling:
            self.n_above += int(np.count_nonzero(values() > ceiling))

    def keep(self, kept: jax.Array, cuts: np.ndarray, start: int) -> int:
        """Copy who survives of the events from ``start`` on, and return how many were drawn."""
        n, row = int(cuts[-1]), start - self.first
        gather(kept, cuts, self.mask[row : row + n])
        return n


def _refuse(values: np.ndarray, start: int) -> None:
    """Raise for intensities that can't be sampled, naming the first of them."""
    bad = ~(np.isfinite(values) & (values >= 0))
    first = first_bad(bad)
    kind = "negative" if values[first] < 0 else "NaN or infinite"
    msg = (
        f"intensity is {kind} for event {start + first} ({values[first]}); "
        f"{int(bad.sum())} of the {len(values)} events from {start} on can't be sampled."
    )
    raise ValueError(msg)


def _above_zero(largest: float, n_events: int) -> float:
    """Return the largest intensity, which must be above 0."""
    if largest <= 0:
        msg = f"intensity is 0 for all {n_events} events, so there is nothing to sample."
        raise ValueError(msg)
    return largest


class _Draw:
    """Who survives, chunk by chunk.

    Parameters
    ----------
    run
        Starts a pass over the events.
    words
        The key.
    data
        The events.
    bar
        Tells the progress.
    """

    def __init__(self, run: Callable[[], Any], words: np.ndarray, data: Events, bar: Any):
        self.run, self.words, self.data, self.bar = run, words, data, bar
        first, stop = share_of(data)
        self.tally = _Tally(first, stop - first)

    def below_largest(self) -> float:
        """Draw against the largest intensity of a table, which must be known first: values wait on the devices."""
        tally = self.tally
        waiting = [Values.of(chunk) for chunk in self.run()]
        for values, raw in [(v, v.launch_range()) for v in waiting]:
            tally.look(raw, lambda v=values: gather(v.values, v.cuts), values.start)
        ceiling = _above_zero(tally.largest, self.data.n_events)
        for values, kept in [(v, v.launch_rejection(self.words, ceiling)) for v in waiting]:
            self.bar.update(tally.keep(kept, values.cuts, values.start))
        return ceiling

    def below_largest_in_files(self) -> float:
        """Draw against the largest intensity in files, in two passes: no values are kept, however many events."""
        tally = self.tally
        with in_step(self.data), closing(self.run()) as running:
            for values, raw in one_ahead((v, v.launch_range()) for v in map(Values.of, running)):
                tally.look(raw, lambda v=values: gather(v.values, v.cuts), values.start)
                self.bar.update(int(values.cuts[-1]))
        ceiling = _above_zero(float(exchange(tally.largest).max()), self.data.n_events)
        with in_step(self.data), closing(self.run()) as running:
            for values, kept in one_ahead(
                (v, v.launch_rejection(self.words, ceiling)) for v in map(Values.of, running)
            ):
                self.bar.update(tally.keep(kept, values.cuts, values.start))
        return ceiling

    def below(self, ceiling: float) -> None:
        """Draw against a maximum known beforehand, in one pass, one chunk always ahead."""
        tally, words = self.tally, self.words
        with in_step(self.data), closing(self.run()) as running:
            for chunk, kept, raw in one_ahead((chunk, *chunk.launch_simulation(words, ceiling)) for chunk in running):
                tally.look(raw, lambda c=chunk: gather(c.launch_values(), c.events.cuts), chunk.start, ceiling)
                self.bar.update(tally.keep(kept, chunk.events.cuts, chunk.start))

    def report(self, ceiling: float) -> SimulationReport:
        """Return what was done in all processes together."""
        tally, n_events = self.tally, self.data.n_events
        found = np.array([[np.count_nonzero(tally.mask), tally.n_above, tally.largest]])
        if is_streamed(self.data):
            found = exchange(found[0])
        largest = _above_zero(float(found[:, 2].max()), n_events)
        return SimulationReport(n_events, int(found[:, 0].sum()), ceiling, largest, int(found[:, 1].sum()))


def rejection_sample(
    key_or_seed: Any,
    intensity: Intensity,
    params: Params,
    data: Any,
    maximum: Any = None,
    *,
    devices: Devices = None,
    progress: bool | None = None,
) -> tuple[np.ndarray, SimulationReport]:
    """Draw which events of a generated sample a model keeps.

    Event :math:`e` is kept where :math:`u_e I_{max} < w_e I(p, x_e)`, with :math:`u_e` uniform in [0, 1) and
    a function of the key and of the event's position only: the same key gives the same mask on any number
    of devices.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key.
    intensity
        ``intensity(params, data) -> (events,)``, real and not negative.
    params
        Numbers by name; names that the intensity does not read are ignored.
    data
        Generated events. Weights, where given, multiply the intensity, so that the events kept have
        weight one. Of a `FileDataset`, pieces pass through memory one after the other; the mask is that of the same
        events in memory.
    maximum
        The intensity that is kept with certainty: one number, or several of which the largest counts, such
        as the maxima of all bins that are simulated separately. None: the largest in this sample; files are then read
        twice.
    devices, progress
        As in `evaluate`.

    Returns
    -------
    mask : numpy.ndarray
        Which events are kept, bool, shape ``(events,)``. Where several processes take part, each has that of all
        events; of a `FileDataset`, that of its own slice, in the order of the processes.
    report : SimulationReport
        How many, and with which maximum: those of all processes together.

    Raises
    ------
    ValueError
        If an intensity is negative, NaN or infinite (the first such event is named), all are zero, the sample is
        empty, or the maximum is not positive.

    Warns
    -----
    EnvelopeExceededWarning
        If intensities exceed the maximum given, with their number.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> mask, report = jp.rejection_sample(1, lambda p, d: p["a"] * d["x"], {"a": 2.0}, {"x": [0.0, 0.0, 1.0]})
    >>> mask.tolist(), report.n_accepted
    ([False, False, True], 1)
    """
    words = key_words(key_or_seed)
    dataset, model, info, names, theta = prepared(intensity, params, data, complex_allowed=False)
    n_events = dataset.n_events
    if n_events == 0:
        msg = "data must have events to sample from, got none."
        raise ValueError(msg)
    ceiling, streamed = given_maximum(maximum), is_streamed(dataset)
    first, stop = share_of(dataset)
    passes = 2 if streamed and ceiling is None else 1
    run = partial(chunks, model, info, names, theta, dataset, weighted=True, devices=devices)
    with progress_bar("simulate", passes * (stop - first), "event", progress) as bar:
        draw = _Draw(run, words, dataset, bar)
        if ceiling is None:
            ceiling = draw.below_largest_in_files() if streamed else draw.below_largest()
        else:
            draw.below(ceiling)
    report = draw.report(ceiling)
    if report.n_above and is_main():
        msg = (
            f"{report.n_above} of {n_events} events have an intensity above the maximum {ceiling:.6g} "
            f"(largest: {report.largest:.6g}): the sample lacks events there. Pass a larger maximum."
        )
        warnings.warn(msg, EnvelopeExceededWarning, stacklevel=2)
    return draw.tally.mask, report


def given_maximum(maximum: Any) -> float | None:
    """Return the largest of the maxima given."""
    if maximum is None:
        return None
    try:
        values = np.asarray(maximum, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.size == 0 or not np.all(np.isfinite(values)) or values.max() <= 0:
        msg = f"maximum must be positive and finite (one number or several), got {maximum!r}."
        raise ValueError(msg)
    return float(values.max())
