"""The common behaviour of costs: values, derivatives, sums, and what to say when a value is not finite."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import JaxpwaWarning, known
from jaxpwa._processes import together
from jaxpwa._settings import warn_if_32_bit
from jaxpwa._threads import run_side_by_side
from jaxpwa._types import Params
from jaxpwa.engine.integrals import Integrals
from jaxpwa.engine.model import pack_parameters
from jaxpwa.engine.processes import rows_met
from jaxpwa.inference.penalties import GaussianTerm, PenaltyTerm
from jaxpwa.inference.portable import reduced
from jaxpwa.inference.summands import plain_intensity
from jaxpwa.inference.supplied import SuppliedTerm
from jaxpwa.inference.terms import EventTerm
from jaxpwa.inference.ties import TiedTerm, tied_names
from jaxpwa.inference.traceable import as_function, event_terms

Term = EventTerm | GaussianTerm | PenaltyTerm | SuppliedTerm | TiedTerm


class Cost:
    """A function of the parameters to be minimised, with exact derivatives.

    Made by `jaxpwa.UnbinnedNLL` and its siblings. Costs add: ``total = cost_a + cost_b`` shares parameters
    of equal names. A cost times a number is a cost. Negative log-likelihoods have ``errordef`` 0.5, chi-squared
    has 1; in a sum of both, chi-squared enters as ``chi2 / 2``, which is its negative log-likelihood.

    Parameters
    ----------
    terms
        The sums that it is made of, such as `jaxpwa.SuppliedTerm`; the classes above make their own.
    errordef
        0.5 or 1.
    ndata
        Events of data that count.
    label
        What messages call it.

    Attributes
    ----------
    errordef
        By how much the cost rises at one standard deviation: 0.5 or 1.
    ndata
        Events (or bins) of data that count; Monte Carlo does not.
    """

    def __init__(self, terms: Sequence[Term], errordef: float, ndata: int, label: str):
        warn_if_32_bit()
        self._terms = tuple(terms)
        self.errordef = errordef
        self.ndata = ndata
        self._label = label
        self._bound: dict[tuple[str, ...], Cost] = {}
        names: dict[str, None] = {}
        for term in self._terms:
            names.update(dict.fromkeys(term.parameters or ()))
        self._known = tuple(names)
        self._tied = tied_names(self._terms, names)
        self._open = any(term.parameters is None for term in self._terms)
        if not self._open:
            self._terms = tuple(term.bind(self._known) for term in self._terms)

    @property
    def parameters(self) -> tuple[str, ...] | None:
        """Names of the parameters in the order of derivatives.

        None where an intensity takes its parameters as a whole (iterates over them): they are then those
        that are given, in that order.
        """
        return None if self._open else self._known

    @property
    def derivatives(self) -> int:
        """How many exact derivatives there are: 2, or fewer with intensities from outside of JAX."""
        return min((term.derivatives for term in self._terms), default=2)

    @property
    def _n_summed(self) -> int:
        """Events, or pseudo-events, that a value is summed over."""
        return sum(t.total.n_summed for t in event_terms(self._terms))

    def _why_no_gradient(self) -> str:
        """Say why intensities from outside came without a gradient."""
        return next((t.why_no_gradient for t in self._terms if isinstance(t, SuppliedTerm) and t.why_no_gradient), "")

    def _need(self, order: int, what: str) -> None:
        """Refuse derivatives that there are not."""
        if self.derivatives < order:
            msg = (
                f"{self._label} has no exact {what}: its intensities are computed outside of JAX. jaxpwa.fit lets "
                "MINUIT take differences; jaxpwa_compat.to_jax ports PyPWA-style classes."
            )
            raise TypeError(msg)

    def bind(self, names: Sequence[str]) -> "Cost":
        """Return the same cost with its parameters in this order.

        Raises
        ------
        ValueError
            If a parameter is missing, unknown, or named twice.
        """
        names = tuple(names)
        if names == self.parameters:
            return self
        if names not in self._bound:
            missing = [n for n in self._known if n not in names]
            if missing:
                msg = f"parameter {known(missing)} is missing; given: {known(names)}."
                raise ValueError(msg)
            unknown = [] if self._open else [n for n in names if n not in self._known]
            if unknown:
                msg = f"unknown parameter {known(unknown)}; this cost depends on: {known(self._known)}."
                raise ValueError(msg)
            terms = tuple(term.bind(names) for term in self._terms)
            self._bound[names] = self._with(_terms=terms, _known=names, _open=False)
        return self._bound[names]

    def _at(self, params: Params) -> tuple["Cost", np.ndarray]:
        """Return the bound cost and the parameters as an array."""
        cost = self
        if not isinstance(params, dict):
            params = dict(params) if hasattr(params, "keys") else params
        if self._tied and isinstance(params, dict):
            params = {name: value for name, value in params.items() if name not in self._tied}
        if self._open or (isinstance(params, dict) and len(params) != len(self._known)):
            pack_parameters(params, self._known, "the cost")
            cost = self.bind(tuple(params))
        return cost, pack_parameters(params, cost._known, "the cost")

    def _add(self, theta: np.ndarray, order: int, n_points: int | None, out: list[Any]) -> None:
        """Add all terms to ``out``; all are started before the first is waited for."""
        with together():
            running: list[Any] = [term.launch(theta, order, n_points) for term in self._terms]
            for term, raw in zip(self._terms, rows_met(running), strict=True):
                term.collect(raw, order, out)

    def _compute(self, theta: np.ndarray, order: int) -> list[Any]:
        """Return value, gradient and Hessian, as far as ``order`` goes, for bound parameters."""
        n = len(theta)
        out: list[Any] = [0.0, np.zeros(n), np.zeros((n, n))][: order + 1]
        self._add(theta, order, None, out)
        out[0] = float(out[0])
        return out

    def _compile(self, orders: Sequence[int]) -> None:
        """Compile what computes derivatives of these orders, side by side on the cores, where it never ran."""
        run_side_by_side([task for t in event_terms(self._terms) for task in t.total.to_compile(orders)])

    def _compute_at(self, thetas: np.ndarray, n_points: int) -> tuple[np.ndarray, np.ndarray]:
        """Return values ``(points,)`` and gradients ``(points, n)``, of which the first ``n_points`` are computed."""
        out = [np.zeros(len(thetas)), np.zeros(thetas.shape)]
        self._add(thetas, 1, n_points, out)
        return out[0], out[1]

    def _explain(self, theta: np.ndarray) -> tuple[str, bool]:
        """Say why the value is not finite, and whether it is infinite for zero intensities only."""
        faults = [fault for term in self._terms for fault in term.faults(theta)]
        names = known((f"{n}={v:.6g}" for n, v in zip(self._known, theta, strict=True)), 8)
        reason = "; ".join(text for _, text in faults) or "sums overflow"
        return f"{reason}, at {names}", bool(faults) and all(kind == "zero" for kind, _ in faults)

    def _checked(self, theta: np.ndarray, out: list[Any], stacklevel: int) -> list[Any]:
        """Let a finite value pass; say what is wrong with any other."""
        if np.isfinite(out[0]):
            return out
        message, only_zeros = self._explain(theta)
        if not only_zeros:
            msg = f"the cost is not finite: {message}."
            raise ValueError(msg)
        warnings.warn(f"the cost is infinite: {message}.", JaxpwaWarning, stacklevel=stacklevel)
        out[0] = float("inf")
        return out

    def __call__(self, params: Params) -> float:
        """Compute the cost.

        Parameters
        ----------
        params
            Numbers by name.

        Returns
        -------
        The value, float64; ``inf``, with a warning that names the events, where an intensity of the data is 0.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or intensities are negative, NaN or infinite: the message names
            the first event.
        """
        cost, theta = self._at(params)
        return cost._checked(theta, cost._compute(theta, 0), 3)[0]

    def value_and_grad(self, params: Params) -> tuple[float, dict[str, float]]:
        """Compute the cost and its exact gradient, by name; errors as in a call, TypeError where there is none."""
        self._need(1, "gradient")
        cost, theta = self._at(params)
        value, gradient = cost._checked(theta, cost._compute(theta, 1), 3)
        by_name = dict(zip(cost._known, gradient.tolist(), strict=True))
        return value, {name: by_name[name] for name in params if name not in self._tied}

    def hessian(self, params: Params) -> np.ndarray:
        """Compute the exact second derivatives, ``(n, n)``, in the order of ``params``; errors as for the gradient."""
        self._need(2, "second derivatives")
        cost, theta = self._at(params)
        matrix = cost._checked(theta, cost._compute(theta, 2), 3)[2]
        order = [cost._known.index(n) for n in params if n not in self._tied]
        return matrix[np.ix_(order, order)]

    def explain(self) -> str:
        """Say what is stored, how sums over Monte Carlo are taken, and why not more is done.

        Returns
        -------
        Text, one paragraph per sum over events. Whether sums go over pseudo-events is decided at the first call.
        """
        return "\n".join([repr(self), *(term.explain() for term in self._terms)])

    def integrals(self, params: Params) -> Integrals:
        """Return the integrals over its Monte Carlo: they can be saved, and stand in for it in a cost.

        Parameters
        ----------
        params
            Numbers by name, typical ones: the sums over pseudo-events and over all events must agree there.

        Raises
        ------
        ValueError
            If the cost has no sum over Monte Carlo or several (take them from the costs that were added), or the
            sum goes over all events: the message says why.
        """
        cost, theta = self._at(params)
        sums = [t for t in cost._terms if isinstance(t, EventTerm) and t.total.spec.summand is plain_intensity]
        if len(sums) != 1:
            msg = f"{self._label} has {len(sums)} sums over Monte Carlo; integrals are those of one."
            raise ValueError(msg)
        return sums[0].integrals(theta)

    def holding(self, values: Mapping[str, float]) -> "Cost":
        """Return a cost that is the same as long as these parameters have these values, and may be faster.

        Parameters
        ----------
        values
            Parameters that don't change, by name: what depends on them and on events alone is computed once, too.

        Raises
        ------
        ValueError
            If a name is unknown.
        """
        unknown = [n for n in values if n not in self._known]
        if unknown:
            msg = f"unknown parameter {known(unknown)}; this cost depends on: {known(self._known)}."
            raise ValueError(msg)
        held = {name: float(value) for name, value in values.items()}
        terms = tuple(t.holding(held) if isinstance(t, (EventTerm, TiedTerm)) else t for t in self._terms)
        if all(a is b for a, b in zip(terms, self._terms, strict=True)):
            return self
        return self._with(_terms=terms)

    def _with(self, **changes: Any) -> "Cost":
        """Return a cost with other terms or names."""
        cost = object.__new__(Cost)
        cost.__dict__.update(self.__dict__ | changes | {"_bound": {}})
        return cost

    def tied(self, **functions: Callable[[Params], Any]) -> "Cost":
        """Return the cost with parameters that are functions of others.

        Parameters
        ----------
        **functions
            ``name=function`` for each parameter to tie: ``function(params)`` reads other parameters by name in
            brackets, also such as the cost did not have, or tied ones that come before it, and returns a number.

        Returns
        -------
        A cost of the parameters that are left free. A fit of it reports the tied ones, too, with their errors.

        Raises
        ------
        ValueError, TypeError
            If a name is unknown, nothing is left free, or a function can't be traced.

        Examples
        --------
        >>> import jaxpwa as jp
        >>> cost = jp.GaussianConstraint(["a", "b"], [1.0, 5.0], [0.1, 0.1])
        >>> jp.fit(cost.tied(b=lambda p: 2 * p["a"]), {"a": 0.0}).values
        {'a': 2.2, 'b': 4.4}
        """
        return Cost([TiedTerm.make(self, functions)], self.errordef, self.ndata, self._label)

    def as_function(self) -> tuple[Callable[[Params, Any], jax.Array], tuple]:
        """Return the cost for the user's own JAX code: samplers, optimisers, transformations.

        Returns
        -------
        function
            ``function(params, arrays)``: traceable scalar, twice differentiable in ``params`` (a dict of scalars).
        arrays
            The events on the devices. Pass them on as an argument of your jitted function, not closed over.

        Raises
        ------
        ValueError
            If the names of the parameters are not known: `bind` them first.
        TypeError
            If intensities are computed outside of JAX.
        """
        return as_function(self)

    def __add__(self, other: Any) -> "Cost":
        if not isinstance(other, Cost):
            return NotImplemented
        a, b = self, other
        if a.errordef != b.errordef:
            a, b = a._as_log_likelihood(), b._as_log_likelihood()
        return Cost((*a._terms, *b._terms), a.errordef, a.ndata + b.ndata, f"{self._label} + {other._label}")

    def __radd__(self, other: Any) -> "Cost":
        return self if isinstance(other, int) and other == 0 else NotImplemented  # sum([cost_a, cost_b]) starts from 0

    def __mul__(self, factor: Any) -> "Cost":
        """Multiply by a positive number; ``errordef`` stays, so that errors shrink with its square root."""
        if not isinstance(factor, (int, float, np.integer, np.floating)):
            return NotImplemented
        if not 0 < factor < np.inf:
            msg = f"a cost can be multiplied by a positive number only, got {factor}."
            raise ValueError(msg)
        label = f"{factor:.6g} * ({self._label})"
        return Cost([term.times(float(factor)) for term in self._terms], self.errordef, self.ndata, label)

    __rmul__ = __mul__

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def _as_log_likelihood(self) -> "Cost":
        """Return chi-squared as the negative log-likelihood that it is twice of."""
        if self.errordef == 0.5:
            return self
        return Cost([term.times(0.5) for term in self._terms], 0.5, self.ndata, self._label)

    def __repr__(self) -> str:
        names = "as given" if self._open else known(self._known)
        return f"<{self._label}: {self.ndata} entries, errordef {self.errordef}; parameters: {names}>"
