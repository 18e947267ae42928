"""Simulation by rejection sampling, for amplitudes of PyPWA's style."""

import multiprocessing
import warnings
from typing import Any

import numpy as np
import pandas as pd

import jaxpwa
from jaxpwa_compat.sources import Slot, open_sources


def process_user_function(
    amplitude: Any, data: Any, params: Any = None, processes: int = multiprocessing.cpu_count()
) -> tuple[np.ndarray, float]:
    """Compute intensities and their maximum.

    Parameters
    ----------
    amplitude
        `NestedFunction`.
    data
        As for `jaxpwa_compat.LogLikelihood`.
    params
        Goes to `calculate` as it is.
    processes
        Parts that the events are split into; 0: none.

    Returns
    -------
    intensities
        ``(events,)``, in the order of the events.
    maximum
        The largest of them.

    Raises
    ------
    ValueError, TypeError
        If intensities are not one real number per event, are negative, NaN or infinite (naming the first event).
    """
    slot = Slot(amplitude, data, "data")
    slot.count()
    (source,), close = open_sources([slot], processes)
    try:
        arrays = source.collect(source.launch(params, False))
        values = np.concatenate([np.asarray(a)[:n] for a, n in zip(arrays, source.sizes, strict=True)])
    finally:
        close()
    _check(values)
    return values, float(values.max())


def _check(values: np.ndarray) -> None:
    """Refuse intensities that can't be sampled."""
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        first = int(np.argmax(bad))
        word = "negative" if values[first] < 0 else "NaN or infinite"
        msg = (
            f"intensity is {word} for {int(bad.sum())} of {len(values)} events (first: event {first}, "
            f"{values[first]}): these can't be sampled."
        )
        raise ValueError(msg)


def make_rejection_list(intensities: Any, max_value: Any, *, seed: Any = None) -> Any:
    """Draw which events are kept: those with ``I / maximum > u``, with ``u`` uniform in [0, 1).

    Parameters
    ----------
    intensities
        ``(events,)``: array or Series.
    max_value
        A number, or several of which the largest counts, such as the maxima of several files.
    seed
        None: numpy's global generator, as in PyPWA, one draw per event. A number or a JAX key: jaxpwa's simulator,
        the same mask on every machine.

    Returns
    -------
    Bool ``(events,)``; a Series with the same index for a Series.

    Raises
    ------
    ValueError
        If an intensity is negative, NaN or infinite, or the maximum is not positive.

    Warns
    -----
    jaxpwa.EnvelopeExceededWarning
        If intensities exceed the maximum.
    """
    values = np.asarray(intensities, np.float64)
    if values.ndim != 1 or not len(values):
        msg = f"intensities must have shape (events,) with at least one event, got shape {values.shape}."
        raise ValueError(msg)
    _check(values)
    maxima = _numbers(max_value)
    if maxima.size == 0 or not np.isfinite(maxima).all() or maxima.max() <= 0:
        msg = f"max_value must be positive and finite, one number or several, got {max_value!r}."
        raise ValueError(msg)
    maximum = float(maxima.max())
    # jaxpwa's simulator says how many exceed the maximum; here numpy draws, for masks equal to PyPWA's.
    if seed is None:
        mask = values / maximum > np.random.rand(len(values))  # noqa: NPY002
        _say_what_exceeds(values, maximum)
    else:
        mask, _ = jaxpwa.rejection_sample(seed, _intensity, {}, {"intensity": values}, maximum=maximum)
    return pd.Series(mask, intensities.index) if isinstance(intensities, pd.Series) else mask


def _numbers(values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def _intensity(params: Any, data: Any) -> Any:
    return data["intensity"]


def _say_what_exceeds(values: np.ndarray, maximum: float) -> None:
    above = int(np.count_nonzero(values > maximum * (1 + 1e-12)))
    if above:
        msg = (
            f"{above} of {len(values)} events have an intensity above max_value {maximum:.6g} (largest: "
            f"{values.max():.6g}): the sample lacks events there. Use the maximum of all files."
        )
        warnings.warn(msg, jaxpwa.EnvelopeExceededWarning, stacklevel=3)


def monte_carlo_simulation(
    amplitude: Any,
    data: Any,
    params: Any = None,
    processes: int = multiprocessing.cpu_count(),
    *,
    seed: Any = None,
) -> np.ndarray:
    """Draw which events of a generated sample an amplitude keeps, relative to the largest intensity in it.

    Parameters
    ----------
    amplitude, data, params, processes
        As in `process_user_function`.
    seed
        As in `make_rejection_list`.

    Returns
    -------
    Bool array ``(events,)``, in the order of the events for any number of processes.

    Raises
    ------
    ValueError, TypeError
        As `process_user_function`.
    """
    intensities, maximum = process_user_function(amplitude, data, params, processes)
    return make_rejection_list(intensities, maximum, seed=seed)
