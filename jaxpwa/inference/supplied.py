r"""Costs of intensities that JAX can't trace: C++ behind ctypes, torch, numpy in worker processes.

An `IntensitySource` computes the intensities, a `SuppliedTerm` is one sum over them, and `jaxpwa.Cost` makes a cost of
such terms that adds with any other and goes into `jaxpwa.fit`. The sums are JAX's, in float64; derivatives come from
the source where it has them, else MINUIT takes differences.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import first_bad, known, numbers_per
from jaxpwa.engine.supplied import SuppliedSum, padded_length
from jaxpwa.inference.summands import NEUTRAL, SUMMANDS, faults_of, log_intensity


class IntensitySource(ABC):
    """Intensities from code of the user's own.

    Subclasses say how many events they have and compute. Arrays may be numpy or JAX, of float64 or float32. They may
    be longer than their part if they go on with the neutral value of the sum, `SuppliedTerm.neutral`: buffers of
    `buffer_length` rows share compiled code between data of similar lengths, and those aligned to 64 bytes are read
    without a copy.

    Attributes
    ----------
    sizes
        Events in each part, in the order of the events.
    has_gradient
        Whether `pullback` works.
    why_no_gradient
        Why it returned NaN, for messages.
    """

    sizes: tuple[int, ...]
    has_gradient: bool = False
    why_no_gradient: str = ""

    @staticmethod
    def buffer_length(n_events: int) -> int:
        """Return a length worth allocating for this many events."""
        return padded_length(n_events)

    @property
    def n_events(self) -> int:
        """Number of events."""
        return sum(self.sizes)

    @abstractmethod
    def launch(self, params: Any, keep: bool) -> Any:
        """Start to compute the intensities.

        Parameters
        ----------
        params
            What the caller of the cost gave: a dict of floats, or what `SuppliedTerm.pack` makes.
        keep
            Whether `pullback` will follow.

        Returns
        -------
        Whatever `collect` needs.
        """

    @abstractmethod
    def collect(self, running: Any) -> Sequence[Any]:
        """Wait for the intensities and return one array per part, ``(events of the part,)`` or longer."""

    def pullback(self, slopes: Sequence[jax.Array]) -> np.ndarray:
        r"""Return :math:`\sum_e s_e\, \partial I_e / \partial p` for the parameters of the last `launch`.

        Parameters
        ----------
        slopes
            One array per part, as long as what `collect` returned.

        Returns
        -------
        One number per parameter, in the order of ``params``; NaN where there turns out to be none.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class _Started:
    """What a source has started; it is the source's own, so nobody looks into it."""

    by_source: Any


@dataclass(frozen=True, eq=False)
class SuppliedTerm:
    r"""``scale * sum_e w_e g(I_e)``, with intensities from an `IntensitySource`.

    Parameters
    ----------
    source
        Where they come from.
    kind
        What is summed: ``"log"`` (:math:`\ln I`), ``"intensity"`` (:math:`I`), ``"pull"``
        (:math:`[(I - y)/\sigma]^2` with ``extras = (y, sigma)``).
    scale
        Factor of the sum.
    weights
        ``(events,)``, or None. Events of weight 0 take no part.
    extras
        Further columns ``(events,)``.
    what
        What messages call the events.

    Raises
    ------
    ValueError, TypeError
        If there is no such kind, or weights or extras do not fit the events.
    """

    source: IntensitySource
    total: SuppliedSum
    scale: float
    what: str
    pack: Callable[[tuple[str, ...], np.ndarray], Any] | None = None
    names: tuple[str, ...] | None = None
    index: np.ndarray | None = None

    @classmethod
    def make(
        cls,
        source: IntensitySource,
        kind: str,
        *,
        scale: float,
        weights: Any = None,
        extras: Sequence[Any] = (),
        what: str = "data",
    ) -> "SuppliedTerm":
        """Describe a sum; the parameters are those of the class."""
        if kind not in SUMMANDS:
            msg = f"kind must be one of {known(SUMMANDS)}, got {kind!r}."
            raise ValueError(msg)
        n = source.n_events
        columns = [_numbers(e, f"extras[{i}] of {what}", n) for i, e in enumerate(extras)]
        w = None if weights is None else _numbers(weights, f"weights of {what}", n)
        total = SuppliedSum(SUMMANDS[kind], source.sizes, tuple(columns), w)
        return cls(source, total, float(scale), what)

    @staticmethod
    def neutral(kind: str) -> float:
        """Return the intensity that adds nothing to a sum of this kind."""
        return NEUTRAL[kind]

    derivatives = property(lambda self: int(self.source.has_gradient), doc="How many exact derivatives there are.")

    why_no_gradient = property(lambda self: self.source.why_no_gradient, doc="What the source says of it.")

    @property
    def parameters(self) -> tuple[str, ...] | None:
        """Names of the parameters; None until they are bound: all that are given go to the source."""
        return self.names

    def bind(self, names: tuple[str, ...]) -> "SuppliedTerm":
        """Take all of ``names`` as parameters, unless they were bound before."""
        own = names if self.names is None else self.names
        return replace(self, names=own, index=np.array([names.index(n) for n in own], np.intp))

    def taking(self, pack: Callable[[tuple[str, ...], np.ndarray], Any]) -> "SuppliedTerm":
        """Return the same term whose source gets ``pack(names, array)`` instead of a dict."""
        return replace(self, pack=pack)

    def times(self, factor: float) -> "SuppliedTerm":
        """Return this term multiplied by a number."""
        return replace(self, scale=self.scale * factor)

    def _packed(self, theta: np.ndarray) -> Any:
        """Return parameters as the source takes them: a dict of floats, unless it was told otherwise."""
        names, own = self.names or (), theta[self.index]
        return dict(zip(names, own.tolist(), strict=True)) if self.pack is None else self.pack(names, own)

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> Any:
        """Start the source; at one point only."""
        return self.launch_at(self._packed(theta), order)

    def launch_at(self, params: Any, order: int = 0) -> Any:
        """Start the source at parameters of any form that it takes."""
        return _Started(self.source.launch(params, order > 0))

    def collect(self, raw: Any, order: int, out: list[np.ndarray]) -> None:
        """Wait for the intensities and add the term, with its gradient, to ``out``."""
        arrays = self.source.collect(raw.by_source)
        value = self.total.launch(arrays)
        if order > 0:
            gradient = self.scale * np.asarray(self.source.pullback(self.total.slopes(arrays)))
            out[1][self.index] += gradient
        out[0] += self.scale * self.total.collect(value)

    def collect_value(self, raw: Any) -> float:
        """Wait for the intensities and return the term."""
        return self.scale * self.total.collect(self.total.launch(self.source.collect(raw.by_source)))

    def traceable(self) -> Callable:
        """Refuse: there is nothing to trace."""
        msg = (
            "the intensities of this cost are computed outside of JAX, so it can't be a function for JAX code. "
            "Write the intensity with jax.numpy; jaxpwa_compat.to_jax ports PyPWA-style classes."
        )
        raise TypeError(msg)

    @property
    def formula(self) -> str:
        """The term as text."""
        what = f"{self.total.summand.__name__} over {self.what}, from {type(self.source).__name__}"
        return f"{self.scale!r} * sum of w {what}"

    def explain(self) -> str:
        """Say where the intensities come from."""
        return f"{self.what}, {self.source.n_events} events: intensities from {type(self.source).__name__}"

    def faults(self, theta: np.ndarray) -> list[tuple[str, str]]:
        """Return what is wrong with the intensities, as (kind, sentence)."""
        return self.faults_at(self._packed(theta))

    def faults_at(self, params: Any) -> list[tuple[str, str]]:
        """Return what is wrong with the intensities at parameters of any form."""
        arrays = self.source.collect(self.source.launch(params, False))
        parts = [np.asarray(a)[:n] for a, n in zip(arrays, self.source.sizes, strict=True)]
        values = np.concatenate(parts) if len(parts) > 1 else parts[0]
        counted = np.ones(len(values), bool) if self.total.weights is None else self.total.weights != 0
        return faults_of(values, counted, self.total.summand is log_intensity, self.what)


def _numbers(values: Any, what: str, n_events: int) -> np.ndarray:
    """Return finite float64 numbers ``(events,)``, paired with the events by position."""
    array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    array = numbers_per("event", array, what, n_events)
    bad = ~np.isfinite(array)
    if bad.any():
        msg = f"{what} must be finite: event {first_bad(bad)} has {array[first_bad(bad)]}."
        raise ValueError(msg)
    return array
