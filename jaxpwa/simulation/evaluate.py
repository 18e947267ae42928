"""Values of an intensity for a sample."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np

from jaxpwa._progress import progress_bar
from jaxpwa._types import Intensity, Params
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.model import ModelInfo, ModelRef, column_specs, inspect_model, pack_parameters
from jaxpwa.engine.pieces import Events, as_events, in_step, share_of, some_of
from jaxpwa.engine.pointwise import all_values, chunks


def parameters_of(result: Any) -> Mapping[str, Any]:
    """Return parameters by name, given as such or as the result of a fit."""
    params = result if isinstance(result, Mapping) else getattr(result, "values", None)
    if not isinstance(params, Mapping):
        msg = f"result must be a FitResult, or parameter values by name, got {type(result).__name__}."
        raise TypeError(msg)
    return params


def prepared(
    intensity: Intensity, params: Params, data: Any, *, complex_allowed: bool
) -> tuple[Events, ModelRef, ModelInfo, tuple[str, ...], np.ndarray]:
    """Check the three arguments against each other, before any work."""
    dataset = as_events(data, "data")
    model = ModelRef(intensity)
    specs = column_specs(some_of(dataset))
    info = inspect_model(model, specs, complex_allowed=complex_allowed)
    names = info.parameters
    if names is None:
        names = tuple(params)
        info = inspect_model(model, specs, names, complex_allowed=complex_allowed)
    return dataset, model, info, names, pack_parameters(params, names, model.name)


def evaluate(
    intensity: Intensity,
    params: Params,
    data: Any,
    *,
    devices: Devices = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Compute an intensity, or an amplitude, for every event.

    Parameters
    ----------
    intensity
        ``intensity(params, data) -> (events,)``, written with `jax.numpy`; real, or complex for an amplitude.
    params
        Numbers by name; names that the intensity does not read are ignored.
    data
        A `Dataset` or anything that makes one, or a `FileDataset`, of which pieces pass through memory one after the
        other. Weights are not applied.
    devices
        None: as many as the events keep busy. Else a number or a sequence of JAX devices.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    Values in the order of the events, shape ``(events,)``, on the host. Where several processes take part, each has
    those of all events; of a `FileDataset`, those of its own slice, in the order of the processes.

    Raises
    ------
    ValueError, TypeError
        If names, shapes or types do not fit; before any event is touched.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> jp.evaluate(lambda p, d: p["a"] * d["x"] ** 2, {"a": 2.0}, {"x": [1, 2, 3]}).tolist()
    [2.0, 8.0, 18.0]
    """
    dataset, model, info, names, theta = prepared(intensity, params, data, complex_allowed=True)
    first, stop = share_of(dataset)
    with progress_bar("evaluate", stop - first, "event", progress) as bar, in_step(dataset):
        with closing(chunks(model, info, names, theta, dataset, devices=devices)) as running:
            values = all_values(running, stop - first, info.dtype, bar.update, first)
    return values
