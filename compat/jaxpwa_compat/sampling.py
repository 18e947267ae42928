"""Markov chains with emcee."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxpwa_compat.base import Likelihood


def _emcee() -> Any:
    try:
        import emcee
    except ModuleNotFoundError:
        msg = "mcmc needs the package 'emcee': pip install 'jaxpwa[mcmc]'."
        raise ModuleNotFoundError(msg) from None
    return emcee


class _LogProbability:
    """Log-likelihood plus log-prior of an array of parameters; -inf where either is not a number."""

    def __init__(self, names: list[str], likelihood: Any, limits: np.ndarray, prior: Callable | None):
        self.names, self.limits, self.prior = names, limits, prior
        # The likelihood itself warns at every point outside of its support; a chain just does not go there.
        self.value = likelihood.quiet if isinstance(likelihood, Likelihood) else likelihood

    def __call__(self, x: np.ndarray) -> float:
        if np.any(x < self.limits[:, 0]) or np.any(x > self.limits[:, 1]):
            return -np.inf
        params = dict(zip(self.names, x.tolist(), strict=True))
        log_prior = 0.0 if self.prior is None else float(self.prior(params))
        if not np.isfinite(log_prior):
            return -np.inf
        total = float(self.value(params)) + log_prior
        return total if np.isfinite(total) else -np.inf


def mcmc(
    parlist: Sequence[str],
    likelihood: Any,
    nwalker: int = 20,
    prior: Any = 1,
    nsteps: int = 100,
    startpars: Any = None,
    parlimits: Any = None,
    emceemoves: Any = None,
    progress: bool = True,
) -> Any:
    """Sample the posterior of a likelihood with emcee.

    Parameters
    ----------
    parlist
        Names of the parameters.
    likelihood
        A likelihood with ``is_minimizer=False``, or a function of a dict that returns a log-likelihood: of a cost of
        jaxpwa, ``lambda p: -cost(p)``.
    nwalker
        Number of walkers.
    prior
        1: flat within the limits; or a function of a dict that returns the logarithm of the prior.
    nsteps
        Steps of each walker.
    startpars
        Where the walkers start, ``(nwalker, parameters)``; needed.
    parlimits
        ``(lower, upper)`` of each parameter, as a list in their order or a dict by name; None: no limits.
    emceemoves
        A move of emcee; None: ``GaussianMove(0.05, mode="vector")``.
    progress
        Whether to show a bar.

    Returns
    -------
    emcee.EnsembleSampler
        After the run; ``get_chain()`` has the shape ``(nsteps, nwalker, parameters)``. arviz takes it as
        ``arviz_base.from_emcee(sampler, var_names=parlist)``.

    Raises
    ------
    ValueError
        If the likelihood is to be minimised, starts or limits do not fit, or all walkers start where the posterior
        is 0.
    TypeError
        If ``prior`` is neither 1 nor a function.
    ModuleNotFoundError
        If emcee is not installed.
    """
    emcee = _emcee()
    names = [str(name) for name in parlist]
    if isinstance(likelihood, Likelihood) and likelihood.is_minimizer:
        msg = "mcmc maximises: build the likelihood with is_minimizer=False (sweighted: a positive multiplier)."
        raise ValueError(msg)
    if not callable(prior) and prior != 1:
        msg = f"prior must be 1 (flat within parlimits) or a function of a dict, the log of the prior, got {prior!r}."
        raise TypeError(msg)
    start = np.empty(0) if startpars is None else np.asarray(startpars, np.float64)
    if start.shape != (nwalker, len(names)):
        got = "none" if startpars is None else f"shape {start.shape}"
        msg = (
            f"startpars must give every walker its start, shape ({nwalker}, {len(names)}), got {got}. For instance: "
            "best + 1e-3 * np.random.randn(nwalker, len(parlist))."
        )
        raise ValueError(msg)
    log_probability = _LogProbability(names, likelihood, _limits(parlimits, names), prior if callable(prior) else None)
    if not np.isfinite([log_probability(start[i]) for i in range(nwalker)]).any():
        msg = "startpars: the posterior is 0 at every walker's start (outside parlimits, or an intensity of 0)."
        raise ValueError(msg)
    moves = emcee.moves.GaussianMove(0.05, mode="vector") if emceemoves is None else emceemoves
    sampler = emcee.EnsembleSampler(nwalker, len(names), log_probability, moves=moves)
    with np.errstate(invalid="ignore"):  # a walker that starts outside compares -inf with -inf until it gets in
        sampler.run_mcmc(start, nsteps, progress=progress, skip_initial_state_check=True)
    return sampler


def _limits(parlimits: Any, names: list[str]) -> np.ndarray:
    """Return ``(parameters, 2)``."""
    if parlimits is None:
        return np.tile([-np.inf, np.inf], (len(names), 1))
    if isinstance(parlimits, dict):
        unknown = [name for name in parlimits if name not in names]
        if unknown:
            msg = f"parlimits names {', '.join(map(str, unknown))}, not in parlist: {', '.join(names)}."
            raise ValueError(msg)
        parlimits = [parlimits.get(name, (-np.inf, np.inf)) for name in names]
    limits = np.asarray(parlimits, np.float64)
    if limits.shape != (len(names), 2) or not np.all(limits[:, 0] < limits[:, 1]):
        msg = f"parlimits must be one (lower, upper) for each of {', '.join(names)}, got {parlimits!r}."
        raise ValueError(msg)
    return limits
