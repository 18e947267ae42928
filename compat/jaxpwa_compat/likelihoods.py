r"""PyPWA's likelihoods, over amplitudes of its style.

====================================  ============================================================================
class                                 value, ``is_minimizer=True``
====================================  ============================================================================
`LogLikelihood`                       :math:`-\sum q\, b \ln I`
`LogLikelihood` with ``monte_carlo``  :math:`-[\sum q \ln I - \frac{1}{N_{gen}} \sum_{MC} I]`
`sweightedLogLikelihood`              ``multiplier`` :math:`[\sum s \ln I - \frac{1}{N_{gen}} \sum_{MC} w I]`
`ChiSquared`                          :math:`\sum (I - b)^2 / b`, or :math:`\sum (I - y)^2 / e`: variances, no errors
`EmptyLikelihood`                     :math:`\sum` of what `calculate` returns
====================================  ============================================================================

All are costs of jaxpwa: `jaxpwa.fit` takes them, and they add with constraints.
"""

import multiprocessing
import warnings
from typing import Any

import numpy as np

import jaxpwa
from jaxpwa import SuppliedTerm
from jaxpwa_compat.base import Likelihood, n_generated_from, numbers_per_event
from jaxpwa_compat.sources import Slot

CORES = multiprocessing.cpu_count()


class LogLikelihood(Likelihood):
    r"""Log-likelihood, plain or extended.

    .. math:: -\sum_e q_e b_e \ln I(x_e) \quad\text{or}\quad
              -\Big[\sum_e q_e \ln I(x_e) - \frac{1}{N_{gen}} \sum_{MC} I(x)\Big]

    Without ``monte_carlo`` nothing normalises the intensity: it must be a density.

    Parameters
    ----------
    amplitude
        `NestedFunction`; copied for processes, threads and the Monte Carlo.
    data
        Structured array, DataFrame, ParticlePool, dict of arrays, torch tensor: `setup` gets blocks of this type.
    monte_carlo
        Accepted Monte Carlo, flat in phase space; makes the likelihood extended.
    binned
        Factor :math:`b` per event, ``(events,)``. Ignored with ``monte_carlo``, with a warning.
    quality_factor
        Factor :math:`q` per event, ``(events,)``, paired by position.
    generated_length
        :math:`N_{gen}`. 1 means as many as ``monte_carlo`` has; for a true 1 use `jaxpwa.ExtendedNLL`, or 1 + 1e-12.
    is_minimizer
        False: the value has the opposite sign, to be maximised.
    num_of_processes
        Parts that the events are split into, for ``USE_MP`` and ``USE_THREADS``; 0: none.

    Raises
    ------
    ValueError, TypeError
        If lengths, weights or intensities do not fit.
    WorkerError
        If a worker process ends. What `setup` and `calculate` raise arrives with its own type.
    """

    def __init__(
        self,
        amplitude: Any,
        data: Any,
        monte_carlo: Any = None,
        binned: Any = None,
        quality_factor: Any = None,
        generated_length: Any = 1,
        is_minimizer: bool = True,
        num_of_processes: int = CORES,
    ):
        slots = [Slot(amplitude, data, "data", "log")]
        if monte_carlo is not None:
            slots.append(Slot(amplitude, monte_carlo, "monte_carlo", own=False))
            if binned is not None:
                msg = "binned is ignored where monte_carlo is given; use quality_factor."
                warnings.warn(msg, jaxpwa.JaxpwaWarning, stacklevel=2)
                binned = None
        sizes = [slot.count() for slot in slots]
        q = numbers_per_event(quality_factor, "quality_factor", sizes[0])
        b = numbers_per_event(binned, "binned", sizes[0])
        weights = q if b is None else b if q is None else q * b
        n_generated = None if monte_carlo is None else n_generated_from(generated_length, sizes[1])
        sources = self._start(slots, num_of_processes)
        terms = [SuppliedTerm.make(sources[0], "log", scale=-1.0, weights=weights)]
        if n_generated is not None:
            terms.append(SuppliedTerm.make(sources[1], "intensity", scale=1 / n_generated, what="monte_carlo"))
        self._become(terms, 1.0 if is_minimizer else -1.0, sizes[0], amplitude)


class sweightedLogLikelihood(Likelihood):
    r"""Extended log-likelihood with weights on both sides.

    .. math:: m \Big[\sum_e s_e \ln I(x_e) - \frac{1}{N_{gen}} \sum_{MC} w\, I(x)\Big]

    Parameters
    ----------
    amplitude, data, num_of_processes
        As in `LogLikelihood`.
    monte_carlo
        Accepted Monte Carlo; needed.
    sweight
        :math:`s` per event, ``(events,)``; negative ones are fine.
    mcweight
        :math:`w` per Monte Carlo event.
    generated_length
        :math:`N_{gen}`; 1 means as many as ``monte_carlo`` has, whatever their weights.
    multiplier
        :math:`m`; :math:`-\sum s / \sum s^2` gives errors that account for the weights. Positive: to be maximised.

    Raises
    ------
    ValueError, TypeError, WorkerError
        As `LogLikelihood`, and without ``monte_carlo``.
    """

    def __init__(
        self,
        amplitude: Any,
        data: Any,
        monte_carlo: Any = None,
        sweight: Any = None,
        mcweight: Any = None,
        generated_length: Any = 1,
        multiplier: float = -1,
        num_of_processes: int = CORES,
    ):
        if monte_carlo is None:
            msg = "sweightedLogLikelihood needs monte_carlo; without it use LogLikelihood with quality_factor."
            raise ValueError(msg)
        if not np.isfinite(multiplier) or multiplier == 0:
            msg = f"multiplier must be a number other than 0, such as -sum(s) / sum(s**2), got {multiplier!r}."
            raise ValueError(msg)
        slots = [Slot(amplitude, data, "data", "log"), Slot(amplitude, monte_carlo, "monte_carlo", own=False)]
        n, n_mc = (slot.count() for slot in slots)
        s = numbers_per_event(sweight, "sweight", n)
        w = numbers_per_event(mcweight, "mcweight", n_mc)
        n_generated = n_generated_from(generated_length, n_mc)
        size = abs(float(multiplier))
        sources = self._start(slots, num_of_processes)
        terms = [
            SuppliedTerm.make(sources[0], "log", scale=-size, weights=s),
            SuppliedTerm.make(sources[1], "intensity", scale=size / n_generated, weights=w, what="monte_carlo"),
        ]
        self._become(terms, -1.0 if multiplier > 0 else 1.0, n, amplitude)


class ChiSquared(Likelihood):
    r"""Chi-squared as PyPWA defines it.

    .. math:: \sum_e \frac{(I(x_e) - b_e)^2}{b_e} \quad\text{or}\quad \sum_e \frac{(I(x_e) - y_e)^2}{e_e}

    The divisor is ``event_errors`` as given, not its square: **give variances**.

    Parameters
    ----------
    amplitude, data, is_minimizer, num_of_processes
        As in `LogLikelihood`.
    binned
        :math:`b`, ``(events,)``; wins over the other two. Entries of 0 are left out, with a warning.
    event_errors, expected_values
        :math:`e`, positive, and :math:`y`, ``(events,)``.

    Raises
    ------
    ValueError, TypeError, WorkerError
        As `LogLikelihood`, and if neither is given, or divisors are negative or all zero.
    """

    TYPE = "CHI_SQUARED"

    def __init__(
        self,
        amplitude: Any,
        data: Any,
        binned: Any = None,
        event_errors: Any = None,
        expected_values: Any = None,
        is_minimizer: bool = True,
        num_of_processes: int = CORES,
    ):
        slot = Slot(amplitude, data, "data", "pull")
        n = slot.count()
        if binned is not None:
            observed = divisor = numbers_per_event(binned, "binned", n)
            name = "binned"
        elif event_errors is not None and expected_values is not None:
            observed = numbers_per_event(expected_values, "expected_values", n)
            divisor = numbers_per_event(event_errors, "event_errors", n)
            name = "event_errors"
        else:
            msg = "ChiSquared needs binned (Binned), or both event_errors and expected_values (Expected/Errors)."
            raise ValueError(msg)
        assert divisor is not None
        empty = divisor == 0
        if not np.all(divisor >= 0) or empty.all():
            first = int(np.argmin(divisor))
            msg = f"{name} must be positive, as the divisor of chi-squared: event {first} has {divisor[first]}."
            raise ValueError(msg)
        if empty.any():
            msg = f"{name} is 0 for {int(empty.sum())} of {n} events (first: {int(np.argmax(empty))}): left out."
            warnings.warn(msg, jaxpwa.JaxpwaWarning, stacklevel=2)
        sigma = np.sqrt(np.where(empty, 1.0, divisor))
        sources = self._start([slot], num_of_processes)
        weights = np.where(empty, 0.0, 1.0) if empty.any() else None
        term = SuppliedTerm.make(sources[0], "pull", scale=1.0, weights=weights, extras=(observed, sigma))
        self._become([term], 1.0 if is_minimizer else -1.0, n - int(empty.sum()), amplitude)


class EmptyLikelihood(Likelihood):
    r"""Sum of what `calculate` returns, for likelihoods of one's own.

    .. math:: \sum_e I(x_e)

    Parameters
    ----------
    amplitude, data, num_of_processes
        As in `LogLikelihood`; `calculate` may also return a sum over its block.

    Raises
    ------
    ValueError, TypeError, WorkerError
        As `LogLikelihood`.
    """

    TYPE = "OTHER"

    def __init__(self, amplitude: Any, data: Any, num_of_processes: int = CORES):
        slot = Slot(amplitude, data, "data", any_shape=True)
        sources = self._start([slot], num_of_processes)
        self._become([SuppliedTerm.make(sources[0], "intensity", scale=1.0)], 1.0, slot.count(), amplitude)
