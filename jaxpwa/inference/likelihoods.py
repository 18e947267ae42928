r"""Likelihoods and chi-squared.

========================  =============================================================  ============
cost                      minimises                                                      use it when
========================  =============================================================  ============
`UnbinnedNLL`             :math:`-\sum_e w_e \ln I(x_e)`                                 I is a density
`UnbinnedNLL` with MC     :math:`-\sum_e w_e \ln [I(x_e) / \langle I \rangle_{MC}]`      only the shape matters
`ExtendedNLL`             :math:`-\sum_e w_e \ln I(x_e) + \frac{1}{N}\sum_{MC} w I(x)`   yields matter too
`BinnedNLL`               Poisson deviance / 2                                           counts in bins
`ChiSquared`              :math:`\sum_b [(I(x_b) - y_b)/\sigma_b]^2`                     values with errors
`GaussianConstraint`      :math:`(p-\mu)^T C^{-1} (p-\mu) / 2`                           outside knowledge
========================  =============================================================  ============

All are negative log-likelihoods with ``errordef`` 0.5, but chi-squared with 1. No factor 2, no offset.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad, numbers_per
from jaxpwa._types import Intensity
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.integrals import Integrals
from jaxpwa.engine.prepare import Settings
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.summands import log_intensity, plain_intensity, poisson_deviance, squared_pull
from jaxpwa.inference.terms import EventTerm


def _names(parameters: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(parameters, str):
        msg = f"parameters must be a sequence of names, got the string {parameters!r}: write [{parameters!r}]."
        raise TypeError(msg)
    return None if parameters is None else tuple(parameters)


def _settings(precompute: bool, memory_budget: float | None, normalization: str = "auto") -> Settings:
    """Read the keywords that say what may be done to make a cost faster."""
    if not isinstance(precompute, bool):
        msg = f"precompute must be True or False, got {precompute!r}."
        raise TypeError(msg)
    if memory_budget is not None and not memory_budget >= 0:
        msg = f"memory_budget must be a number of bytes, or None for a quarter of the memory, got {memory_budget!r}."
        raise ValueError(msg)
    if normalization not in ("auto", "direct"):
        msg = f"normalization must be 'auto' or 'direct', got {normalization!r}."
        raise ValueError(msg)
    return Settings(precompute, None if memory_budget is None else int(memory_budget), normalization == "auto")


def _common(names: tuple[str, ...] | None, devices: Devices, settings: Settings) -> dict[str, Any]:
    """Return what the terms of one likelihood share."""
    return {"parameters": names, "devices": devices, "settings": settings, "likelihood": object()}


def _label(kind: str, intensity: Intensity) -> str:
    return f"{kind}({getattr(intensity, '__name__', type(intensity).__name__)})"


def _column(values: Any, data: Dataset, what: str) -> np.ndarray:
    """Return one finite number per row, given as an array or as the name of a column."""
    array = data.numbers(values) if isinstance(values, str) else np.asarray(values)
    array = numbers_per("row", array, what, data.n_events)
    bad = ~np.isfinite(array)
    if bad.any():
        msg = f"{what} must be finite: row {first_bad(bad)} is {array[first_bad(bad)]}."
        raise ValueError(msg)
    return array


def _events(events: Any, what: str) -> Dataset | FileDataset:
    return events if isinstance(events, FileDataset) else as_dataset(events, what)


def _monte_carlo(events: Any, what: str) -> Dataset | FileDataset | Integrals:
    return events if isinstance(events, Integrals) else _events(events, what)


def _check_sum(weights: float) -> None:
    if not weights > 0:
        msg = f"the weights of normalization_mc must have a positive sum, got {weights}."
        raise ValueError(msg)


def _sum_over(
    intensity: Intensity, mc: Dataset | FileDataset | Integrals, what: str, common: dict[str, Any], **form: Any
) -> EventTerm:
    """Return the sum of the intensity over Monte Carlo, or over what stands for it."""
    if isinstance(mc, Integrals):
        kept = {name: common[name] for name in ("parameters", "likelihood")}
        return EventTerm.from_integrals(intensity, mc, what, **kept, **form)
    return EventTerm.make(intensity, mc, what, plain_intensity, **form, **common)


class UnbinnedNLL(Cost):
    r"""Unbinned negative log-likelihood of a density.

    .. math:: -\sum_e w_e \ln I(p, x_e)

    or, with ``normalization_mc``,

    .. math:: -\sum_e w_e \ln \frac{I(p, x_e)}{\sum_m w_m I(p, x_m) / \sum_m w_m}

    Parameters
    ----------
    intensity
        ``intensity(params, data) -> (events,)``, real and positive. Without ``normalization_mc`` it must be a
        normalised density: a scale factor in it changes the value, and the fit.
    data
        A `Dataset`, what makes one, or events in files (`Dataset.from_files`).
    normalization_mc
        Monte Carlo that is flat in phase space and passed the same reconstruction as the data, or `Integrals` over
        it. A scale factor of the intensity then cancels: fix one.
    parameters
        Names of the parameters, in the order wanted. None: found by looking at what the intensity reads.
    devices
        None: as many as the events keep busy. Else a number or a sequence of JAX devices.
    precompute
        Compute what depends on events alone once, and store it; False: at every call.
    memory_budget
        Most bytes to store; None: a quarter of the memory of the host, or of the devices.
    normalization
        ``"auto"``: where the intensity is of second degree in what is stored, sums over Monte Carlo go over a few
        pseudo-events with the same moments, once that has agreed with the sum over all; ``"direct"``: never.

    Raises
    ------
    ValueError, TypeError
        If names, shapes or types do not fit, columns that the intensity reads are not finite, or no event
        counts.

    Examples
    --------
    >>> import jax.numpy as jnp, jaxpwa as jp
    >>> cost = jp.UnbinnedNLL(lambda p, d: p["b"] * jnp.exp(-p["a"] * d["x"]), {"x": [1.0, 2.0]})
    >>> round(cost({"b": 3.0, "a": 0.5}), 12)
    -0.697224577336
    """

    def __init__(
        self,
        intensity: Intensity,
        data: Any,
        *,
        normalization_mc: Any = None,
        parameters: Sequence[str] | None = None,
        devices: Devices = None,
        precompute: bool = True,
        memory_budget: float | None = None,
        normalization: str = "auto",
    ):
        names = _names(parameters)
        settings = _settings(precompute, memory_budget, normalization)
        common = _common(names, devices, settings)
        terms = [EventTerm.make(intensity, _events(data, "data"), "data", log_intensity, scale=-1.0, **common)]
        if normalization_mc is not None:
            mc, w = _monte_carlo(normalization_mc, "normalization_mc"), terms[0].data.sum_of_weights
            if isinstance(mc, Dataset):
                _check_sum(mc.sum_of_weights)
            term = _sum_over(intensity, mc, "normalization_mc", common, scale=w, log=True)
            total = (mc if isinstance(mc, Integrals) else term.data).sum_of_weights
            _check_sum(total)
            terms.append(replace(term, offset=-w * np.log(total)))
        super().__init__(terms, 0.5, terms[0].total.n_events, _label("UnbinnedNLL", intensity))


class ExtendedNLL(Cost):
    r"""Extended unbinned negative log-likelihood.

    .. math:: -\sum_e w_e \ln I(p, x_e) + \frac{1}{N_{gen}} \sum_m w_m I(p, x_m)

    At the minimum the second term is the number of events, :math:`\sum_e w_e`.

    Parameters
    ----------
    intensity, data, parameters, devices, precompute, memory_budget, normalization
        As in `UnbinnedNLL`; the scale of the intensity is now the yield.
    accepted_mc
        Monte Carlo that is flat in phase space and passed the detector and the reconstruction, or `Integrals` over it.
    n_generated
        Events generated to get ``accepted_mc``. None: as many as ``accepted_mc`` has. 1 means one.

    Raises
    ------
    ValueError, TypeError
        As `UnbinnedNLL`, and if ``n_generated`` is not a positive number.
    """

    def __init__(
        self,
        intensity: Intensity,
        data: Any,
        accepted_mc: Any,
        n_generated: float | None = None,
        *,
        parameters: Sequence[str] | None = None,
        devices: Devices = None,
        precompute: bool = True,
        memory_budget: float | None = None,
        normalization: str = "auto",
    ):
        names = _names(parameters)
        data, mc = _events(data, "data"), _monte_carlo(accepted_mc, "accepted_mc")
        number = mc.n_events if n_generated is None else n_generated
        if not isinstance(number, (int, float, np.integer, np.floating)) or not 0 < number < np.inf:
            msg = f"n_generated must be a positive number, the events generated, got {n_generated!r}."
            raise ValueError(msg)
        common = _common(names, devices, _settings(precompute, memory_budget, normalization))
        terms = [
            EventTerm.make(intensity, data, "data", log_intensity, scale=-1.0, **common),
            _sum_over(intensity, mc, "accepted_mc", common, scale=1.0 / float(number)),
        ]
        super().__init__(terms, 0.5, terms[0].total.n_events, _label("ExtendedNLL", intensity))


class BinnedNLL(Cost):
    r"""Poisson negative log-likelihood of counts in bins, relative to a perfect model.

    .. math:: \sum_b w_b [\mu_b - n_b + n_b \ln(n_b / \mu_b)], \quad \mu_b = I(p, x_b)

    which is half the deviance: twice its minimum follows a chi-squared distribution for large counts.

    Parameters
    ----------
    intensity
        ``intensity(params, bins) -> (bins,)``: the expected number of events in each bin.
    bins
        One row per bin: a `Dataset` or what makes one, with what the intensity reads (centres, widths ...).
    counts
        Observed numbers, ``(bins,)``, not negative, or the name of a column. Any number type.
    parameters, devices, precompute, memory_budget
        As in `UnbinnedNLL`.

    Raises
    ------
    ValueError, TypeError
        As `UnbinnedNLL`, and if counts are negative or all zero.

    References
    ----------
    S. Baker and R. D. Cousins, Nucl. Instrum. Meth. 221 (1984) 437, the Poisson likelihood chi-square.
    """

    def __init__(
        self,
        intensity: Intensity,
        bins: Any,
        counts: Any,
        *,
        parameters: Sequence[str] | None = None,
        devices: Devices = None,
        precompute: bool = True,
        memory_budget: float | None = None,
    ):
        bins = as_dataset(bins, "bins")
        n = _column(counts, bins, "counts")
        if (n < 0).any():
            msg = f"counts must not be negative: row {first_bad(n < 0)} is {n[first_bad(n < 0)]}."
            raise ValueError(msg)
        if not n.any():
            msg = "counts are 0 in every bin: there is nothing to fit."
            raise ValueError(msg)
        term = EventTerm.make(
            intensity,
            bins,
            "bins",
            poisson_deviance,
            parameters=_names(parameters),
            scale=1.0,
            extras=(n,),
            devices=devices,
            settings=_settings(precompute, memory_budget),
        )
        super().__init__([term], 0.5, term.total.n_events, _label("BinnedNLL", intensity))


class ChiSquared(Cost):
    r"""Chi-squared of measured values with known errors.

    .. math:: \sum_b w_b \left[\frac{I(p, x_b) - y_b}{\sigma_b}\right]^2

    The divisor is the square of ``sigma``. (PyPWA divides by the error as given; `jaxpwa_compat` does that.)

    Parameters
    ----------
    intensity
        ``intensity(params, points) -> (points,)``: the expected values.
    points
        One row per point: a `Dataset` or what makes one.
    observed
        Measured values, ``(points,)``, or the name of a column.
    sigma
        Their standard deviations, ``(points,)``, positive, or the name of a column. A bin without events has no
        such error: leave it out, or use `BinnedNLL`.
    parameters, devices, precompute, memory_budget
        As in `UnbinnedNLL`.

    Raises
    ------
    ValueError, TypeError
        As `UnbinnedNLL`, and if a ``sigma`` is not positive.
    """

    def __init__(
        self,
        intensity: Intensity,
        points: Any,
        observed: Any,
        sigma: Any,
        *,
        parameters: Sequence[str] | None = None,
        devices: Devices = None,
        precompute: bool = True,
        memory_budget: float | None = None,
    ):
        points = as_dataset(points, "points")
        y = _column(observed, points, "observed")
        s = _column(sigma, points, "sigma")
        if (s <= 0).any():
            msg = (
                f"sigma must be positive: row {first_bad(s <= 0)} is {s[first_bad(s <= 0)]}. "
                "Leave empty bins out, or fit the counts with BinnedNLL."
            )
            raise ValueError(msg)
        term = EventTerm.make(
            intensity,
            points,
            "points",
            squared_pull,
            parameters=_names(parameters),
            scale=1.0,
            extras=(y, s),
            devices=devices,
            settings=_settings(precompute, memory_budget),
        )
        super().__init__([term], 1.0, term.total.n_events, _label("ChiSquared", intensity))
