r"""Yields of waves, corrected for acceptance.

.. math::

    Y_k = \frac{1}{N_{gen}} \sum_{\text{generated}} w\, I_k, \qquad
    Y_k^{acc} = \frac{1}{N_{gen}} \sum_{\text{accepted}} w\, I_k

with :math:`I_k` the intensity of wave k alone: the scale of `jaxpwa.ExtendedNLL`, whose minimum has as many events
accepted, of all waves together, as the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.engine.pieces import Events
from jaxpwa.inference import report
from jaxpwa.inference.propagate import Estimate
from jaxpwa.results._integrals import Fitted, PartSums, error_of, estimate, sample
from jaxpwa.results._parts import Subset, chosen, is_composed

_TOTAL = "total"


@dataclass(frozen=True, eq=False)
class Yields:
    """Numbers of events of waves and of coherent subsets, and in all.

    Indexing gives one with its error: ``yields["D2+"]``, ``yields["total"]``.

    Attributes
    ----------
    names
        Waves, then groups, then ``"total"``, ``n`` in all. Waves that interfere don't add up to the total.
    values, errors
        Yields corrected for acceptance, ``(n,)``, and their standard deviations from the parameters.
    covariance
        ``(n, n)``.
    mc_errors
        What the finite number of generated events adds to the errors, ``(n,)``; not in ``errors``.
    accepted, accepted_errors, accepted_covariance, accepted_mc_errors
        The same of what was observed; None without ``accepted_mc``.
    """

    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray
    mc_errors: np.ndarray
    accepted: np.ndarray | None = None
    accepted_errors: np.ndarray | None = None
    accepted_covariance: np.ndarray | None = None
    accepted_mc_errors: np.ndarray | None = None

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.names:
            msg = f"there is no yield of {name!r}; there are {known(self.names)}."
            raise KeyError(msg)
        k = self.names.index(name)
        return estimate(self.values[k], self.covariance[k, k])

    @property
    def efficiency(self) -> np.ndarray | None:
        """Accepted over corrected yields, ``(n,)``; None without ``accepted_mc``."""
        if self.accepted is None:
            return None
        return self.accepted / np.where(self.values == 0, np.nan, self.values)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per wave or group, and the total.

        Returns
        -------
        Columns ``name``, ``yield``, ``error``, ``mc_error``; with ``accepted_mc`` also ``accepted``,
        ``accepted_error``, ``accepted_mc_error``, ``efficiency``.
        """
        columns: dict[str, Any] = {"name": self.names, "yield": self.values, "error": self.errors}
        columns["mc_error"] = self.mc_errors
        if self.accepted is not None:
            columns |= {"accepted": self.accepted, "accepted_error": self.accepted_errors}
            columns |= {"accepted_mc_error": self.accepted_mc_errors, "efficiency": self.efficiency}
        return pd.DataFrame(columns)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header, rows = ["yield", "corrected", "MC error"], []
        efficiency = self.efficiency
        if efficiency is not None:
            header += ["accepted", "efficiency"]
        for k, name in enumerate(self.names):
            row = [name, report.with_error(self.values[k], self.errors[k]), f"{self.mc_errors[k]:.2g}"]
            if self.accepted is not None and self.accepted_errors is not None and efficiency is not None:
                row += [report.with_error(self.accepted[k], self.accepted_errors[k]), f"{efficiency[k]:.4f}"]
            rows.append(row)
        return header, rows

    def __str__(self) -> str:
        return report.text_table(*self._table())

    def _repr_html_(self) -> str:
        return report.html_table(*self._table())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def yields(
    result: Any,
    model: Any,
    generated_mc: Any,
    *,
    n_generated: float | None = None,
    accepted_mc: Any = None,
    n_observed: float | tuple[float, float] | None = None,
    names: Sequence[str] | Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Yields:
    r"""Compute yields of waves, corrected for acceptance, and their errors by exact gradients.

    .. math:: Y_k = \frac{1}{N_{gen}} \sum_{\text{generated}} w\, I_k

    Parameters
    ----------
    result
        A `FitResult` of an `ExtendedNLL`, whose parameters tell the scale; or of another cost, with ``n_observed``. Or
        parameter values by name, which have no errors.
    model
        What was Fitted, composed of waves (`jaxpwa.physics`).
    generated_mc
        Events as they were generated, before the detector, flat in phase space; weights count. Events in files
        (`Dataset.from_files`) are read piece by piece.
    n_generated
        What the fit's `ExtendedNLL` was given: the events generated to get its accepted Monte Carlo. None: as many as
        ``generated_mc`` has. Where that is a part of them only, give it weights that make up for the rest.
    accepted_mc
        Those of them that passed the detector: yields as observed are computed besides.
    n_observed
        Events of data, without background, where the scale of the intensity is not determined by the fit
        (`UnbinnedNLL`). Yields are then

        .. math:: Y_k = N_{obs} \sum_{\text{generated}} w\, I_k \Big/ \sum_{\text{accepted}} w\, I

        and without ``accepted_mc`` every event counts as accepted. Its error is the root of the number, or the second
        of two numbers, for weighted data ``(sum of weights, root of the sum of squared weights)``.
    names, groups
        Waves and coherent subsets, as in `fit_fractions`.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    Record of yields
        Errors are of the first order, from the parameters (and ``n_observed``) alone. The statistics of the Monte Carlo
        is in ``mc_errors``, :math:`[\sum w^2 I^2 - (\sum w I)^2 / N_{gen}]^{1/2} / N_{gen}`, for each sample by itself:
        in ratios, such as efficiencies and yields by ``n_observed``, a part of it cancels.

    Raises
    ------
    TypeError, ValueError
        If a name fits nothing or occurs twice, a parameter has no value, numbers are not positive, the fit does not
        determine the scale, or ``model`` is of one piece.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.physics import Background, CoherentSum, IncoherentSum, Wave
    >>> from jaxpwa.results import yields
    >>> wave = Wave("S", lambda p, d: d["x"])
    >>> model = IncoherentSum([CoherentSum("signal", [wave]), Background("flat", lambda p, d: 1 + 0 * d["x"])])
    >>> x = np.linspace(0, 1, 1001)
    >>> found = yields(model.start({"S": 30.0, "flat": 50.0}), model, {"x": x}, accepted_mc={"x": x[x < 0.5]},
    ...                n_generated=1001)
    >>> found.to_pandas()[["name", "yield", "accepted"]].round(1)
        name  yield  accepted
    0      S  300.2      37.4
    1   flat   50.0      25.0
    2  total  350.2      62.3
    """
    fit = Fitted.of(result)
    if not is_composed(model):
        name = getattr(model, "__name__", type(model).__name__)
        msg = f"model must be composed of waves with names, got {name}; for one number see result.propagate."
        raise TypeError(msg)
    generated = sample(generated_mc, "generated_mc")
    accepted = None if accepted_mc is None else sample(accepted_mc, "accepted_mc")
    number = _positive(generated.n_events if n_generated is None else n_generated, "n_generated")
    observed = _observed(result, n_observed)
    rows, more = chosen(model, names, "names"), chosen(model, groups or {}, "groups")
    labels = [*rows, *more, _TOTAL]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        msg = f"names, groups and 'total' must all be different: {known(twice)} occur more than once; label them."
        raise ValueError(msg)
    subsets: list[Subset] = [*rows.values(), *more.values(), None]
    corrected = _sums(model, subsets, fit, generated, "generated_mc", number, progress)
    seen = None if accepted is None else _sums(model, subsets, fit, accepted, "accepted_mc", number, progress)
    if observed is not None:
        whole = corrected if seen is None else seen
        scale = observed[0], whole[0][-1], whole[1][-1]
        corrected = _scaled(corrected, *scale)
        seen = None if seen is None else _scaled(seen, *scale)
    relative = 0.0 if observed is None else (observed[1] / observed[0]) ** 2
    found = (_with_covariance(sums, fit, relative) for sums in (corrected, seen) if sums is not None)
    return Yields(tuple(labels), *(item for record in found for item in record))


_Summed = tuple[np.ndarray, np.ndarray, np.ndarray]


def _sums(
    model: Any,
    subsets: Sequence[Subset],
    fit: Fitted,
    mc: Events,
    what: str,
    number: float,
    progress: bool | None,
) -> _Summed:
    """Return yields, gradients, and errors from the number of events."""
    sums = PartSums(model, subsets, fit, mc, what)
    found, gradients = sums.run(1.0 / number, progress)
    variance = sums.squares(1.0 / number**2) - found**2 / number
    return found, gradients, np.sqrt(np.maximum(variance, 0.0))


def _scaled(summed: _Summed, n_observed: float, total: float, slope: np.ndarray) -> _Summed:
    """Return sums and gradients relative to a total, times the number of events observed."""
    if not total > 0:
        msg = f"the integral of the whole intensity must be positive, got {total:.6g}."
        raise ValueError(msg)
    values, gradients, mc_errors = summed
    scale = n_observed / total
    return scale * values, scale * (gradients - np.outer(values, slope) / total), scale * mc_errors


def _with_covariance(summed: _Summed, fit: Fitted, relative: float) -> tuple[np.ndarray, ...]:
    """Return values, errors, covariance and errors of Monte Carlo; ``relative`` is the variance of the common scale."""
    values, gradients, mc_errors = summed
    v = fit.covariance_of(gradients) + relative * np.outer(values, values)
    return values, error_of(v), v, mc_errors


def _positive(number: Any, what: str) -> float:
    if not isinstance(number, (int, float, np.integer, np.floating)) or not 0 < number < np.inf:
        msg = f"{what} must be a positive number, got {number!r}."
        raise ValueError(msg)
    return float(number)


def _observed(result: Any, n_observed: Any) -> tuple[float, float] | None:
    """Return the number of events observed and its error, or None where the fit tells the scale."""
    if n_observed is not None:
        number, error = n_observed if isinstance(n_observed, (tuple, list)) else (n_observed, None)
        number = _positive(number, "n_observed")
        return number, np.sqrt(number) if error is None else _positive(error, "the error of n_observed")
    cost = str(getattr(result, "cost", ""))
    if "UnbinnedNLL" in cost and "ExtendedNLL" not in cost:
        msg = "an UnbinnedNLL fit does not determine the scale of the intensity: give n_observed, the events of data."
        raise ValueError(msg)
    return None
