"""What PyPWA's likelihoods share, and how their arguments are read."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import jaxpwa
from jaxpwa import SuppliedTerm
from jaxpwa_compat.parts import name_of
from jaxpwa_compat.sources import Slot, open_sources


def _array_of(names: tuple[str, ...], theta: np.ndarray) -> np.ndarray:
    return theta.copy()


class Likelihood(jaxpwa.Cost):
    """What PyPWA's likelihoods share: call with parameters of any form, `close`, ``with``.

    Attributes
    ----------
    TYPE
        ``"LIKELIHOOD"``, ``"CHI_SQUARED"`` or ``"OTHER"``.
    """

    TYPE = "LIKELIHOOD"

    def _start(self, slots: Sequence[Slot], processes: Any) -> list[Any]:
        """Set up the amplitudes, and remember how to end what runs them."""
        self._close = lambda: None
        sources, self._close = open_sources(slots, processes)
        return sources

    def _become(self, terms: Sequence[SuppliedTerm], sign: float, n_events: int, amplitude: Any) -> None:
        """Become the cost; ``sign`` is -1 for a value that is to be maximised."""
        errordef = 0.5 if self.TYPE == "LIKELIHOOD" else 1.0
        jaxpwa.Cost.__init__(self, terms, errordef, n_events, f"{type(self).__name__}({name_of(amplitude)})")
        self._sign = sign
        self._supplied = tuple(terms)

    def __call__(self, params: Any = None) -> np.float64:
        """Compute the value.

        Parameters
        ----------
        params
            What `calculate` shall get: a dict, an array, or None.

        Returns
        -------
        The value, float64.

        Warns
        -----
        jaxpwa.JaxpwaWarning
            If it is not finite: the message names the first event at fault. A log-likelihood is infinite where an
            intensity is 0, and NaN where one is negative or NaN.
        """
        value = self.quiet(params)
        if not np.isfinite(value):
            faults = [text for term in self._supplied for _, text in term.faults_at(params)]
            msg = f"{self._label} is {value}: {'; '.join(faults) or 'the sum overflows'}, at {params}."
            warnings.warn(msg, jaxpwa.JaxpwaWarning, stacklevel=2)
        return np.float64(value)

    @property
    def is_minimizer(self) -> bool:
        """Whether smaller values are better."""
        return self._sign > 0

    def quiet(self, params: Any) -> float:
        """Compute the value as a call does, without words where it is not finite."""
        return self._sign * self._value_at(params)

    def _value_at(self, params: Any) -> float:
        running = [term.launch_at(params) for term in self._supplied]
        parts = [term.collect_value(raw) for term, raw in zip(self._supplied, running, strict=True)]
        return float(sum(parts))

    def bind(self, names: Sequence[str]) -> jaxpwa.Cost:
        """Return the cost for named parameters, which is what is fitted; refused where it is to be maximised."""
        self._refuse_to_minimise()
        return super().bind(names)

    def taking_arrays(self) -> jaxpwa.Cost:
        """Return the same cost for an amplitude that takes its parameters as an array."""
        self._refuse_to_minimise()
        terms = [term.taking(_array_of) for term in self._supplied]
        return jaxpwa.Cost(terms, self.errordef, self.ndata, self._label)

    def _refuse_to_minimise(self) -> None:
        if self._sign < 0:
            msg = (
                f"{self._label} is to be maximised (is_minimizer=False, or a positive multiplier), for mcmc for "
                "instance; to fit it build it with is_minimizer=True."
            )
            raise ValueError(msg)

    def __add__(self, other: Any) -> Any:
        self._refuse_to_minimise()
        return super().__add__(other)

    def close(self) -> None:
        """End worker processes and threads; nothing happens the second time."""
        self._close()

    def __enter__(self) -> "Likelihood":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def n_generated_from(generated_length: Any, n_mc: int) -> float:
    """Return the events generated; PyPWA's 1 means as many as were accepted."""
    good = isinstance(generated_length, (int, float, np.integer, np.floating)) and not isinstance(
        generated_length, bool
    )
    if not good or not 0 < generated_length < np.inf:
        msg = (
            "generated_length must be the number of events generated, or 1 for as many as monte_carlo has, "
            f"got {generated_length!r}."
        )
        raise ValueError(msg)
    return float(n_mc if generated_length == 1 else generated_length)


def numbers_per_event(values: Any, what: str, n_events: int) -> np.ndarray | None:
    """Return one number per event, paired by position; PyPWA's users give arrays, Series and tensors."""
    if values is None:
        return None
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    if array.ndim == 0:
        return np.full(n_events, float(array))
    if array.ndim != 1 or len(array) != n_events:
        msg = f"{what} must have one entry per event: got shape {array.shape} for {n_events} events."
        raise ValueError(msg)
    return array.astype(np.float64)
