"""What a fit ended with, judged and written down."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.inference.basin import Verdict
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.parameters import ParameterTable
from jaxpwa.inference.result import FitResult, versions
from jaxpwa.inference.ties import with_tied
from jaxpwa.inference.traceable import event_terms
from jaxpwa.inference.weak import weak_directions_of
from jaxpwa.inference.weighted import is_uncorrected

# Of the Hessian in units in which its diagonal is 1: errors are a thousand times longer than one by one.
_WEAK = 1e-6


@dataclass(frozen=True)
class Outcome:
    """The end of a fit.

    Attributes
    ----------
    verdict
        On the end point.
    problem
        Why it is no minimum, or empty.
    kind
        Of its covariance.
    minos
        Asymmetric errors by name.
    settings
        Of the fit.
    calls, seconds
        How often the cost was computed, by kind, and for how long.
    """

    verdict: Verdict
    problem: str
    kind: str
    minos: dict[str, tuple[float, float]]
    settings: dict[str, Any]
    calls: dict[str, int]
    seconds: float


def written_down(cost: Cost, table: ParameterTable, minuit: Any, outcome: Outcome) -> FitResult:
    """Return the record of a fit."""
    verdict = outcome.verdict
    names, n = np.array(table.names), len(table.names)
    covariance = np.full((n, n), np.nan) if verdict.covariance is None else verdict.covariance
    x = np.array(minuit.values)
    tied, covariance = with_tied(cost._terms, x, covariance) if cost._tied else ({}, covariance)
    errors = np.sqrt(np.diag(covariance))
    errors[:n][verdict.at_limit] = np.nan
    errors[:n][table.fixed] = 0.0
    values = dict(zip(table.names, x.tolist(), strict=True)) | tied
    limited = np.isfinite(table.lower) | np.isfinite(table.upper)
    return FitResult(
        values=values,
        errors=dict(zip(values, errors.tolist(), strict=True)),
        covariance=covariance,
        fval=float(verdict.value),
        errordef=cost.errordef,
        ndata=cost.ndata,
        edm=float(verdict.edm),
        valid=not outcome.problem,
        message=outcome.problem or _success(cost, names[verdict.at_limit], outcome),
        fixed=tuple(names[table.fixed].tolist()),
        at_limit=tuple(names[verdict.at_limit].tolist()),
        limits={table.names[i]: (float(table.lower[i]), float(table.upper[i])) for i in np.flatnonzero(limited)},
        minos=outcome.minos,
        calls=outcome.calls,
        cost=cost._label,
        seconds=outcome.seconds,
        covariance_kind=outcome.kind,
        tied=tuple(tied),
        definition=tuple(term.formula for term in cost._terms),
        settings=outcome.settings,
        versions=versions(),
        _samples=cache(lambda: tuple(term.described() for term in event_terms(cost._terms))),
        minuit=minuit,
    )


def _success(cost: Cost, at_limit: np.ndarray, outcome: Outcome) -> str:
    """Say what was found, and what its errors are."""
    kind = outcome.kind
    parts = ["minimum found"]
    if "resumed" in outcome.settings:
        parts.append("going on from a checkpoint")
    if len(at_limit):
        parts.append(f"{known(at_limit)} at a limit: no error there, and other errors hold for it fixed")
    if kind != "hessian":
        but = ", those of MINOS are the cost's" if outcome.minos else ""
        parts.append(f"events have weights: errors by the {kind} formula{but}")
    elif is_uncorrected(cost, kind):
        parts.append("events have weights, and errors take them for numbers of events")
    return ", ".join(parts)


def problem_of(minuit: Any, table: ParameterTable, verdict: Verdict, scale: float) -> str:
    """Say why the point is no valid minimum, or return an empty string."""
    far = np.abs(np.array(minuit.values)) > 1e8 * np.maximum(1.0, np.abs(table.values))
    finite = all(np.isfinite(v).all() for v in (verdict.value, verdict.gradient, verdict.hessian))
    if verdict.reason and (far.any() or not finite):
        ends = known((f"{n}={v:.3g}" for n, v in zip(table.names, minuit.values, strict=True)), 8)
        return (
            f"{verdict.reason} at {ends}, where the fit ended. If the cost falls without end, the intensity is no "
            "density: use normalization_mc or ExtendedNLL, or fix its scale. Limits keep parameters in range."
        )
    if verdict.reason:
        return f"{verdict.reason}. Look at start values, limits and whether parameters can stand in for each other."
    # Migrad's goal is 0.002 * tolerance * errordef, and MINUIT accepts ten times that.
    if not verdict.edm < 0.02 * scale:
        state = minuit.fmin
        limit = " The limit of calls was reached." if state is not None and state.has_reached_call_limit else ""
        return (
            f"the estimated distance to the minimum is {verdict.edm:.3g}, above {0.02 * scale:.3g}.{limit} "
            "Try other start values, a larger max_calls or strategy=2."
        )
    return ""


def hardly_determined(table: ParameterTable, verdict: Verdict, errordef: float) -> str:
    """Say which parameters a valid fit determines only together, or return an empty string."""
    moving = np.flatnonzero(~table.fixed & ~verdict.at_limit)
    if verdict.hessian is None or not len(moving) or not np.isfinite(verdict.hessian).all():
        return ""
    names = [table.names[i] for i in moving]
    weak = weak_directions_of(verdict.hessian[np.ix_(moving, moving)], names, _WEAK, errordef)
    if not weak:
        return ""
    first, *others = weak
    parts = known((f"{size:+.2f} {name}" for name, size in first.parts.items()), 6)
    more = f", and {len(others)} more" if others else ""
    return (
        f"hardly determines a combination of parameters ({parts}, in units of their single errors){more}: errors there "
        f"are {first.inflation:.2g} times longer. Fix one of them, tie them, or add a constraint; "
        "jaxpwa.weak_directions lists all."
    )
