"""Sums over Monte Carlo of the intensity of parts of a model, with gradients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa._progress import progress_bar
from jaxpwa.data.dataset import as_dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.integrals import Integrals
from jaxpwa.engine.model import ModelRef, column_specs, inspect_model, pack_parameters
from jaxpwa.engine.pieces import Events
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.propagate import Estimate
from jaxpwa.inference.summands import plain_intensity
from jaxpwa.inference.terms import EventTerm
from jaxpwa.inference.traceable import event_terms
from jaxpwa.results._parts import Subset, parts_of, sums_of, with_switches, zeros_for


def squared_intensity(intensity: jax.Array, extras: tuple, real: jax.Array) -> jax.Array:
    """``I**2``."""
    return jnp.where(real, intensity, 0.0) ** 2


@dataclass(frozen=True)
class Fitted:
    """Where a fit ended.

    Attributes
    ----------
    values
        Parameters by name.
    covariance
        In their order.
    """

    values: dict[str, float]
    covariance: np.ndarray

    @classmethod
    def of(cls, result: Any) -> "Fitted":
        """Read a fit, or plain values, which have no errors."""
        if isinstance(result, Mapping):
            theta = pack_parameters(result, tuple(result), "result")
            return cls(dict(zip(result, theta.tolist(), strict=True)), np.zeros((len(theta), len(theta))))
        if not isinstance(getattr(result, "values", None), Mapping) or not hasattr(result, "covariance"):
            msg = f"result must be a FitResult, or parameter values by name, got {type(result).__name__}."
            raise TypeError(msg)
        return cls(dict(result.values), np.asarray(result.covariance, np.float64))

    @property
    def certain(self) -> dict[str, float]:
        """Parameters without errors, where there are others; plain values go with the code of a fit."""
        if not self.covariance.any():
            return {}
        return {n: v for (n, v), row in zip(self.values.items(), self.covariance, strict=True) if not row.any()}

    def covariance_of(self, jacobian: np.ndarray) -> np.ndarray:
        """Return the covariance of what has this Jacobian."""
        return jacobian @ self.covariance @ jacobian.T


def sample(events: Any, what: str) -> Events:
    """Return Monte Carlo as a `Dataset`, or as it is where it stays in files."""
    if isinstance(events, Integrals):
        msg = f"{what} must be events: integrals are those of the whole intensity, and tell nothing of its parts."
        raise TypeError(msg)
    return events if isinstance(events, FileDataset) else as_dataset(events, what)


def error_of(covariance: np.ndarray) -> np.ndarray:
    """Return standard deviations; rounding below 0 counts as 0."""
    return np.sqrt(np.maximum(np.diag(covariance), 0.0))


def estimate(value: float, variance: float) -> Estimate:
    """Return one number with its error."""
    variance = float(np.maximum(variance, 0.0))
    return Estimate(float(value), float(np.sqrt(variance)), np.array([[variance]]))


Setting = Mapping[str, float]
"""Parameters that have other values than those of the fit: what is on and off."""


class _Sums:
    """Sum over one sample at many settings, of one compilation."""

    def __init__(self, intensity: Callable, fit: Fitted, mc: Events, what: str, settings: Sequence[Setting]):
        self._fit, self._mc, self._what, self._intensity = fit, mc, what, intensity
        self.settings = settings
        self._set = set().union(*settings)
        self._given = inspect_model(ModelRef(intensity), column_specs(mc)).parameters
        self._names = tuple(fit.values) if self._given is None else self._given
        missing = [n for n in self._names if n not in fit.values and n not in self._set]
        if missing:
            name = getattr(intensity, "__name__", type(intensity).__name__)
            msg = (
                f"{name} needs parameter {known(missing)}, which the result does not have; it has {known(fit.values)}."
            )
            raise ValueError(msg)

    def _cost(self, summand: Callable, scale: float) -> Cost:
        parameters = self._names if self._given is None else None
        term = EventTerm.make(self._intensity, self._mc, self._what, summand, parameters=parameters, scale=scale)
        cost = Cost([term], 0.5, term.total.n_events, f"the integral over {self._what}").bind(self._names)
        certain = {n: v for n, v in self._fit.certain.items() if n in self._names and n not in self._set}
        return cost.holding(certain)

    def _theta(self, setting: Setting) -> np.ndarray:
        at = {**self._fit.values, **setting}
        return np.array([at[n] for n in self._names])

    def run(self, scale: float, tick: Callable[[], object]) -> tuple[np.ndarray, np.ndarray]:
        """Return sums ``(settings,)`` and gradients ``(settings, n)`` in the parameters of the fit."""
        cost = self._cost(plain_intensity, scale)
        cost._compile((1,))
        # The first parameters decide how sums are taken: those of the fit, with everything on.
        cost._compute(self._theta({n: self._fit.values.get(n, 1.0) for n in self._set}), 1)
        every = list(self._fit.values)
        sums, gradients = np.zeros(len(self.settings)), np.zeros((len(self.settings), len(every)))
        thetas = [self._theta(setting) for setting in self.settings]
        # Files are read once for all settings.
        at_once = cost._compute_at(np.array(thetas), len(thetas)) if _is_streamed(cost) else None
        for k, (setting, theta) in enumerate(zip(self.settings, thetas, strict=True)):
            value, gradient = cost._compute(theta, 1) if at_once is None else (at_once[0][k], at_once[1][k])
            moving = np.array([n in self._fit.values and n not in setting for n in self._names])
            if not np.isfinite(value) or not np.isfinite(gradient[moving]).all():
                msg = f"the sum over {self._what} or its gradient is not finite: {cost._explain(theta)[0]}."
                raise ValueError(msg)
            index = [every.index(n) for n, free in zip(self._names, moving, strict=True) if free]
            sums[k], gradients[k, index] = value, gradient[moving]
            tick()
        return sums, gradients

    def squares(self, scale: float) -> np.ndarray:
        r"""Return :math:`\sum w^2 I^2`, scaled, for each setting."""
        cost = self._cost(squared_intensity, scale)
        cost = cost._with(_terms=tuple(term.with_squared_weights() for term in event_terms(cost._terms)))
        thetas = np.array([self._theta(setting) for setting in self.settings])
        if _is_streamed(cost):
            return cost._compute_at(thetas, len(thetas))[0]
        return np.array([cost._compute(theta, 0)[0] for theta in thetas])


def _is_streamed(cost: Cost) -> bool:
    return any(term.is_streamed for term in event_terms(cost._terms))


class PartSums:
    """Sums over one sample of the intensity of sets of parts.

    Parameters
    ----------
    model
        A composed model.
    subsets
        Sets of parts, each of them on alone.
    fit
        Where.
    mc, what
        The sample, and what it is called.
    """

    def __init__(self, model: Any, subsets: Sequence[Subset], fit: Fitted, mc: Events, what: str):
        columns = column_specs(mc)
        self._runs: list[_Sums]
        if sums_of(model) is None or inspect_model(ModelRef(model), columns).parameters is None:
            names = [
                None if s is None else dict.fromkeys(part[1] for part in parts_of(model) if part in s) for s in subsets
            ]
            models = [model if kept is None else model.only(*kept) for kept in names]
            self._runs = [_Sums(one, fit, mc, what, [{}]) for one in models]
            return
        settings = zeros_for(model, subsets, columns)
        if settings is None:
            model, settings = with_switches(model, subsets)
        self._runs = [_Sums(model, fit, mc, what, settings)]

    def run(self, scale: float, progress: bool | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums ``(subsets,)`` and their gradients ``(subsets, n)`` in the parameters of the fit."""
        return _run(self._runs, scale, progress)

    def squares(self, scale: float) -> np.ndarray:
        r"""Return :math:`\sum w^2 I^2`, scaled, ``(subsets,)``."""
        return np.concatenate([sums.squares(scale) for sums in self._runs])


def function_sums(
    functions: Sequence[Callable], fit: Fitted, mc: Events, what: str, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of several intensities ``(functions,)`` and their gradients ``(functions, n)``."""
    return _run([_Sums(function, fit, mc, what, [{}]) for function in functions], scale, None)


def _run(runs: Sequence[_Sums], scale: float, progress: bool | None) -> tuple[np.ndarray, np.ndarray]:
    with progress_bar("integrals", sum(len(sums.settings) for sums in runs), " sums", progress) as bar:
        found = [sums.run(scale, bar.update) for sums in runs]
    return np.concatenate([s for s, _ in found]), np.concatenate([g for _, g in found])
