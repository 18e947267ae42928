"""Background subtracted by a sample of it, with negative weights."""

from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.data.dataset import Dataset, as_dataset


def subtract(data: Any, background: Any, scale: float = 1.0) -> Dataset:
    r"""Join the data with a sample of its background, which gets negative weights.

    .. math:: \sum_e w_e\, h(x_e) \;\to\; \sum_{e \in data} w_e\, h(x_e) - s \sum_{e \in background} w_e\, h(x_e)

    for every sum that a cost takes: its expectation is that of the signal alone. For side bands in time or mass,
    empty-target runs, simulated background.

    Parameters
    ----------
    data
        Events of signal and background: a `Dataset` or what makes one. Weights it has are kept.
    background
        Events of background alone, with the same columns. Weights it has are multiplied by ``-scale``.
    scale
        Background events in the data per (weighted) event in the sample, positive: 1 / 8 for eight side bands that
        are each as wide as the signal's. It is taken as known exactly; for its own error, repeat the fit with
        ``scale`` moved by that.

    Returns
    -------
    Dataset
        The events of the data first, with its columns, their order and its ``dtype``.

    Raises
    ------
    ValueError
        If columns differ (they are named) in name or in shape per event, or ``scale`` is not positive.

    Notes
    -----
    The inverse Hessian of such a cost is no covariance: events that are subtracted take part in it with the wrong sign.
    The asymptotic covariance holds, :math:`H^{-1} (\sum_e w_e^2 g_e g_e^T) H^{-1}`, `jaxpwa.fit`'s own where data are
    weighted.

    Examples
    --------
    >>> from jaxpwa.weights import subtract
    >>> signal = subtract({"x": [1.0, 2.0, 3.0]}, {"x": [2.5, 0.5]}, scale=0.5)
    >>> signal["x"].tolist(), signal.weights.tolist()
    ([1.0, 2.0, 3.0, 2.5, 0.5], [1.0, 1.0, 1.0, -0.5, -0.5])
    """
    data, background = as_dataset(data, "data"), as_dataset(background, "background")
    if isinstance(scale, (bool, str)) or np.ndim(scale) or not 0 < scale < np.inf:
        msg = f"scale must be a positive number, background events in the data per event in the sample, got {scale!r}."
        raise ValueError(msg)
    missing = [name for name in data if name not in background]
    unknown = [name for name in background if name not in data]
    if missing or unknown:
        parts = [f"background lacks {known(missing)}"] * bool(missing) + [f"data lack {known(unknown)}"] * bool(unknown)
        msg = f"data and background must have the same columns: {'; '.join(parts)}. Leave out what no model reads."
        raise ValueError(msg)
    for name in data:
        shapes = data[name].shape[1:], background[name].shape[1:]
        if shapes[0] != shapes[1]:
            msg = f"column {name!r} must have one shape per event: {shapes[0]} in data, {shapes[1]} in background."
            raise ValueError(msg)
    columns = {name: np.concatenate([data[name], background[name]]) for name in data}
    weights = np.concatenate([data.weights, -float(scale) * background.weights])
    return Dataset(columns, weights, dtype=data.dtype)


def scale_weights(weights: Any) -> np.ndarray:
    r"""Multiply weights by the number that makes their sum that of as many events as they are worth.

    .. math:: w_e \;\to\; \alpha\, w_e, \quad \alpha = \frac{\sum_e w_e}{\sum_e w_e^2}

    so that :math:`\sum_e \alpha w_e = (\sum_e w_e)^2 / \sum_e w_e^2`, the effective number of events. It makes the
    inverse Hessian of a weighted likelihood about as large as it should be, and is for tools that know no other
    covariance. It is exact for a yield, and for other parameters only if weights have nothing to do with the events'
    scores. `jaxpwa.fit` needs none of it where data are weighted: in the asymptotic covariance
    :math:`H^{-1} (\sum_e w_e^2 g_e g_e^T) H^{-1}` a common factor of the weights drops out.

    For an extended likelihood multiply the cost and not the weights, ``cost * alpha``, or the yield is multiplied too.

    Parameters
    ----------
    weights
        Real numbers, ``(events,)``, of positive sum.

    Returns
    -------
    Array ``(events,)``, float64.

    Raises
    ------
    ValueError
        If weights are not finite numbers of this shape, or their sum is not positive.

    References
    ----------
    The factor is ``alpha`` in TF-PWA's likelihoods.

    Examples
    --------
    >>> from jaxpwa.weights import scale_weights
    >>> scale_weights([1.0, 1.0, 1.0, -0.5]).round(4).tolist()
    [0.7692, 0.7692, 0.7692, -0.3846]
    """
    array = np.asarray(weights)
    if array.dtype.kind not in "fiub" or array.ndim != 1 or not np.isfinite(array).all():
        msg = f"weights must be finite real numbers of shape (events,), got {array.dtype} of shape {array.shape}."
        raise ValueError(msg)
    array = array.astype(np.float64)
    if not array.sum() > 0:
        msg = f"weights must have a positive sum, got {array.sum():.6g}."
        raise ValueError(msg)
    return array * (array.sum() / (array**2).sum())
