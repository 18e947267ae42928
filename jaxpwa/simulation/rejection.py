"""Simulation by rejection sampling."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import EnvelopeExceededWarning, first_bad
from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa._types import Intensity, Params
from jaxpwa.engine.blocks import gather
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.pointwise import Chunk, Values, chunks, one_ahead, value_range
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
    """The mask in the making, and what was met on the way."""

    def __init__(self, n_events: int):
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

    def ceiling(self) -> float:
        """Return the largest intensity met; there must be one above 0."""
        if self.largest <= 0:
            msg = f"intensity is 0 for all {len(self.mask)} events, so there is nothing to sample."
            raise ValueError(msg)
        return self.largest


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


def _sample_below_largest(running: Iterator[Chunk], words: np.ndarray, tally: _Tally, bar: Any) -> float:
    """Draw against the largest intensity of the sample, which must be known first: values wait on the devices."""
    waiting = [Values.of(chunk) for chunk in running]
    for values, raw in [(v, v.launch_range()) for v in waiting]:
        tally.look(raw, lambda v=values: gather(v.values, v.cuts), values.start)
    ceiling = tally.ceiling()
    for values, kept in [(v, v.launch_rejection(words, ceiling)) for v in waiting]:
        n = int(values.cuts[-1])
        gather(kept, values.cuts, tally.mask[values.start : values.start + n])
        bar.update(n)
    return ceiling


def _sample_below(ceiling: float, running: Iterator[Chunk], words: np.ndarray, tally: _Tally, bar: Any) -> None:
    """Draw against a maximum known beforehand, in one pass, one chunk always ahead."""
    for chunk, kept, raw in one_ahead((chunk, *chunk.launch_simulation(words, ceiling)) for chunk in running):
        tally.look(raw, lambda c=chunk: gather(c.launch_values(), c.events.cuts), chunk.start, ceiling)
        gather(kept, chunk.events.cuts, tally.mask[chunk.rows])
        bar.update(chunk.events.n_events)
    tally.ceiling()


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
        weight one.
    maximum
        The intensity that is kept with certainty: one number, or several of which the largest counts, such
        as the maxima of all bins that are simulated separately. None: the largest in this sample.
    devices, progress
        As in `evaluate`.

    Returns
    -------
    mask : numpy.ndarray
        Which events are kept, bool, shape ``(events,)``.
    report : SimulationReport
        How many, and with which maximum.

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
    ceiling = given_maximum(maximum)
    tally = _Tally(n_events)
    with progress_bar("simulate", n_events, "event", progress) as bar:
        running = chunks(model, info, names, theta, dataset, weighted=True, devices=devices)
        if ceiling is None:
            ceiling = _sample_below_largest(running, words, tally, bar)
        else:
            _sample_below(ceiling, running, words, tally, bar)
    mask, largest, n_above = tally.mask, tally.largest, tally.n_above
    if n_above:
        msg = (
            f"{n_above} of {n_events} events have an intensity above the maximum {ceiling:.6g} "
            f"(largest: {largest:.6g}): the sample lacks events there. Pass a larger maximum."
        )
        warnings.warn(msg, EnvelopeExceededWarning, stacklevel=2)
    return mask, SimulationReport(n_events, int(np.count_nonzero(mask)), ceiling, largest, n_above)


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
