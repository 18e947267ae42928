"""Values of an intensity for a sample."""

from typing import Any

import numpy as np

from jaxpwa._progress import progress_bar
from jaxpwa._types import Intensity, Params
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.model import ModelInfo, ModelRef, column_specs, inspect_model, pack_parameters
from jaxpwa.engine.pointwise import all_values, chunks


def prepared(
    intensity: Intensity, params: Params, data: Any, *, complex_allowed: bool
) -> tuple[Dataset, ModelRef, ModelInfo, tuple[str, ...], np.ndarray]:
    """Check the three arguments against each other, before any work."""
    dataset = as_dataset(data, "data")
    model = ModelRef(intensity)
    specs = column_specs(dataset)
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
        A `Dataset` or anything that makes one. Weights are not applied.
    devices
        None: as many as the events keep busy. Else a number or a sequence of JAX devices.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    Values in the order of the events, shape ``(events,)``, on the host.

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
    with progress_bar("evaluate", dataset.n_events, "event", progress) as bar:
        running = chunks(model, info, names, theta, dataset, devices=devices)
        return all_values(running, dataset.n_events, info.dtype, bar.update)
