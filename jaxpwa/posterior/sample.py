"""From a fit to chains: what is sampled, where chains start, how long they warm up."""

import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import ConvergenceWarning, JaxpwaWarning, known
from jaxpwa._extras import needs
from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.result import FitResult, versions
from jaxpwa.inference.ties import TiedTerm
from jaxpwa.inference.weighted import unscaled
from jaxpwa.posterior.nuts import Unstartable, Walkers, compiled
from jaxpwa.posterior.record import Posterior
from jaxpwa.posterior.transforms import Line

# Chains side by side wait for the longest trajectory of each draw: 1.0 to 2.9 times the gradients, for Gaussians of up
# to 30 parameters. That pays where a gradient is all overhead, and where a device is not busy with one point.
_FEW_NUMBERS = 1 << 17


def sample_posterior(
    key_or_seed: Any,
    cost: Cost,
    result: FitResult,
    *,
    draws: int = 1000,
    warmup: int = 200,
    chains: int = 4,
    fixed: str | Iterable[str] = (),
    target_accept: float = 0.8,
    progress: bool | None = None,
) -> Posterior:
    r"""Sample a posterior, started at a fit, by the No-U-Turn sampler.

    .. math:: p(\theta) \propto e^{-C(\theta)}

    with the cost :math:`C`, or half of it for chi-squared. The prior is flat in the parameters, within their limits;
    any other one is a term of the cost: ``cost + jaxpwa.GaussianConstraint("mass", 0.775, 0.001)``. A parameter without
    limits that the data leave free has no posterior. Limited parameters are sampled on the whole line, with the
    Jacobian in the density; `jaxpwa.FitResult.at_limit` ones take part. Draws move in units of the fit's errors, and
    only the step size is left to be found in the warm-up.

    Weighted data are no sample of independent events: scale such a cost first (``cost * (w.sum() / (w**2).sum())``),
    or the draws are as narrow or wide as the errors of the Hessian, not those of the data; a warning says so.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key: the same one gives the same draws, on the same devices.
    cost
        What was fitted, or the same with further terms in the same parameters.
    result
        The fit: start, errors, limits, and fixed parameters.
    draws
        Draws of each chain that are kept, at least 4.
    warmup
        Draws of each chain before that, in which the step size is found, at least 20.
    chains
        How many; two or more can be compared with each other.
    fixed
        Names to hold at the fit's values besides.
    target_accept
        Mean acceptance that is aimed at, between 0 and 1. Larger ones take smaller steps.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    Posterior
        The draws, with what is known of their quality.

    Raises
    ------
    TypeError
        If cost or result is none, or the cost has no exact derivatives: emcee needs none, see the example.
    ValueError
        If they do not fit each other, the fit has no positive definite covariance, or a number is out of range.
    ModuleNotFoundError
        If blackjax or arviz-stats is not installed.

    Warns
    -----
    JaxpwaWarning
        If data have weights and the cost has not that factor.
    ConvergenceWarning
        For divergences, chains that disagree, and few effective draws: `Posterior.problem` says what to do.

    Notes
    -----
    The sampler is blackjax's multinomial NUTS with trajectories of up to 1023 steps, and dual averaging for the
    step size, whose geometric mean over the chains is used. A mass matrix measured in the warm-up in place of the
    fit's covariance took more gradients per effective draw, with those of the warm-up, in five of six problems
    (a Gaussian, a sample of 2499 events, parameters near and at limits), and an eighth fewer in one (an amplitude of
    seven parameters with 60 events).

    Examples
    --------
    >>> import numpy as np, jax.numpy as jnp, jaxpwa as jp
    >>> from jaxpwa.posterior import sample_posterior
    >>> def decay(p, d):
    ...     return jnp.exp(-d["t"] / p["tau"]) / p["tau"]
    >>> cost = jp.UnbinnedNLL(decay, {"t": np.random.default_rng(1).exponential(2.0, 400)})
    >>> result = jp.fit(cost, {"tau": jp.Parameter(1.0, lower=0.0)})
    >>> posterior = sample_posterior(1, cost, result)
    >>> rate = posterior.propagate(lambda p: 1 / p["tau"])
    >>> rate.shape, bool(abs(rate.mean() - 1 / result.values["tau"]) < 0.005)
    ((4, 1000), True)

    A cost of any kind, also without derivatives, by emcee (``parlimits`` are its limits)::

        from jaxpwa_compat import mcmc

        names = list(result.values)
        start = np.random.default_rng(1).multivariate_normal(list(result.values.values()), result.covariance, 20)
        sampler = mcmc(names, lambda p: -cost(p), 20, nsteps=2000, startpars=start)
        chains = arviz_base.from_emcee(sampler, var_names=names)
    """
    began = time.perf_counter()
    for what, number, least in (("draws", draws, 4), ("warmup", warmup, 20), ("chains", chains, 1)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
            msg = f"{what} must be a whole number, at least {least}, got {number!r}."
            raise ValueError(msg)
    if not 0 < target_accept < 1:
        msg = f"target_accept must be between 0 and 1, got {target_accept!r}."
        raise ValueError(msg)
    words = key_words(key_or_seed)
    if isinstance(cost, Cost) and unscaled(cost):
        msg = (
            f"data of {cost._label} have weights, which sampling takes for numbers of events: draws are as wide as the "
            "errors of the Hessian. Sample cost * (w.sum() / (w**2).sum())."
        )
        warnings.warn(msg, JaxpwaWarning, stacklevel=2)
    cost, free, held = _bound(cost, result, fixed)
    for package in ("blackjax", "arviz_stats"):
        needs(package, "mcmc", "sample_posterior")
    line = Line.at_fit(cost, result, free)
    function, arrays = cost.holding(held).as_function()
    factor = 0.5 / cost.errordef
    code = compiled(lambda p, a: -factor * function(p, a), free, line.limits, held, float(target_accept))
    rng = np.random.default_rng(words)
    keys = rng.integers(0, 2**32, (chains, 2), dtype=np.uint32)
    with progress_bar("sampling", chains * (warmup + draws), " draws", progress) as bar:
        walkers = Walkers(code, line, arrays, keys, _groups(chains, arrays), bar.update)
        try:
            walkers.start(rng.normal(size=(chains, len(free))))
        except Unstartable:
            msg = f"the cost has no finite value and gradient near the fit: {cost._explain(_array(cost, result))[0]}."
            raise ValueError(msg) from None
        before = walkers.walk(warmup, searching=True)
        step_size = walkers.settle()
        drawn = walkers.walk(draws, searching=False)
    posterior = Posterior(
        samples={name: np.ascontiguousarray(drawn.x[..., i]) for i, name in enumerate(free)},
        log_density=drawn.log_density,
        fixed=held,
        limits={name: result.limits[name] for name in free if name in result.limits},
        diverging=drawn.diverging,
        acceptance=drawn.acceptance,
        steps=drawn.steps,
        depth=drawn.depth,
        energy=drawn.energy,
        step_size=step_size,
        warmup=int(warmup),
        calls={"warmup": int(before.steps.sum()), "draws": int(drawn.steps.sum())},
        cost=cost._label,
        seconds=time.perf_counter() - began,
        versions={**versions(), "blackjax": version("blackjax")},
    )
    ties = [term.ties for term in cost._terms if isinstance(term, TiedTerm)]
    if ties:
        tied = posterior.propagate(lambda p: {n: v for t in ties for n, v in t.values(p).items() if n in t.tied})
        posterior = replace(posterior, samples={**posterior.samples, **tied})
    if posterior.problem:
        warnings.warn(f"sampling {cost._label}: {posterior.problem}", ConvergenceWarning, stacklevel=2)
    return posterior


def _array(cost: Cost, result: FitResult) -> np.ndarray:
    return np.array([result.values[name] for name in cost.parameters or ()])


def _bound(cost: Any, result: Any, fixed: str | Iterable[str]) -> tuple[Cost, tuple[str, ...], dict[str, float]]:
    """Return the cost in the result's order, the names that are sampled, and the values of the others."""
    if not isinstance(cost, Cost):
        msg = f"cost must be a jaxpwa cost such as UnbinnedNLL(intensity, data), got {type(cost).__name__}."
        raise TypeError(msg)
    if not isinstance(result, FitResult):
        msg = f"result must be that of jaxpwa.fit, got {type(result).__name__}."
        raise TypeError(msg)
    if cost.derivatives < 2:
        msg = (
            f"{cost._label} has no exact derivatives, which the sampler moves by: its intensities are computed outside "
            "of JAX. emcee needs none: jaxpwa_compat.mcmc(names, lambda p: -cost(p), startpars=...); or port the "
            "intensity, jaxpwa_compat.to_jax ports PyPWA-style classes."
        )
        raise TypeError(msg)
    names = tuple(name for name in result.names if name not in result.tied)
    held = [*result.fixed, *([fixed] if isinstance(fixed, str) else fixed)]
    unknown = [name for name in held if name not in names]
    if unknown:
        msg = f"fixed names unknown parameter {known(unknown)}; the fit has: {known(names)}."
        raise ValueError(msg)
    try:
        cost = cost.bind(names)
    except ValueError as error:
        msg = f"result does not fit the cost: {error}"
        raise ValueError(msg) from None
    free = tuple(name for name in names if name not in held)
    if not free:
        msg = "all parameters are fixed: there is nothing to sample."
        raise ValueError(msg)
    return cost, free, {name: result.values[name] for name in names if name in held}


def _groups(chains: int, arrays: tuple) -> list[np.ndarray]:
    """Return which chains walk side by side: all, or one after the other."""
    leaves = jax.tree.leaves(arrays)
    on_cpu = all(device.platform == "cpu" for leaf in leaves for device in leaf.devices())
    if on_cpu and sum(leaf.size for leaf in leaves) > _FEW_NUMBERS:
        return [np.array([i]) for i in range(chains)]
    return [np.arange(chains)]
