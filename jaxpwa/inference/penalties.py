"""The parts of costs that depend on parameters alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._types import Params
from jaxpwa.engine.functions import ParameterFunction


@dataclass(frozen=True, eq=False)
class GaussianTerm:
    """``scale * (p - mean)^T P (p - mean) / 2`` with ``P`` the inverse covariance."""

    parameters: tuple[str, ...]
    mean: np.ndarray
    precision: np.ndarray
    scale: float
    index: np.ndarray
    derivatives = 2

    def bind(self, names: tuple[str, ...]) -> "GaussianTerm":
        """Find this term's parameters among ``names``."""
        return replace(self, index=np.array([names.index(n) for n in self.parameters], np.intp))

    def times(self, factor: float) -> "GaussianTerm":
        """Return this term multiplied by a number."""
        return replace(self, scale=self.scale * factor)

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> np.ndarray:
        """Return the distance from the mean."""
        return theta[..., self.index] - self.mean

    def collect(self, raw: np.ndarray, order: int, out: list[np.ndarray]) -> None:
        """Add the term, with its derivatives, to ``out``."""
        pull = self.scale * raw @ self.precision
        out[0] += 0.5 * np.sum(raw * pull, axis=-1)
        if order > 0:
            out[1][..., self.index] += pull
        if order > 1:
            out[2][np.ix_(self.index, self.index)] += self.scale * self.precision

    def traceable(self) -> Callable[[Params, tuple], jax.Array]:
        """Return the term as a function of parameters by name."""

        def term(params: Params, arrays: tuple) -> jax.Array:
            r = jnp.stack([jnp.asarray(params[n], jnp.result_type(float)) for n in self.parameters]) - self.mean
            return 0.5 * self.scale * r @ self.precision @ r

        return term

    @property
    def formula(self) -> str:
        """The term as text, numbers to all digits."""
        what = f"(p - {self.mean.tolist()}) {self.precision.tolist()} (p - mean) / 2"
        return f"{self.scale!r} * {what} of {', '.join(self.parameters)}"

    def explain(self) -> str:
        """Say what it is."""
        return f"penalty on {', '.join(self.parameters)}"

    def faults(self, theta: np.ndarray) -> list[tuple[str, str]]:
        """Return nothing: a penalty is finite wherever the parameters are."""
        return []


@lru_cache(maxsize=128)
def _compiled(function: ParameterFunction, order: int) -> Callable[[np.ndarray], tuple[jax.Array, ...]]:
    """Return the compiled function of an array, with derivatives up to ``order``."""

    def value(theta: jax.Array) -> jax.Array:
        number = function.function(dict(zip(function.reads, theta, strict=True)))
        return jnp.asarray(number, jnp.result_type(float))

    functions = (value, jax.grad(value), jax.hessian(value))[: order + 1]
    return jax.jit(lambda theta: tuple(f(theta) for f in functions))


@dataclass(frozen=True, eq=False)
class PenaltyTerm:
    """``scale * function(p)``."""

    function: ParameterFunction
    scale: float
    index: np.ndarray
    derivatives = 2

    parameters = property(lambda self: self.function.reads, doc="Names of the parameters.")

    def bind(self, names: tuple[str, ...]) -> "PenaltyTerm":
        """Find this term's parameters among ``names``."""
        return replace(self, index=np.array([names.index(n) for n in self.parameters], np.intp))

    def times(self, factor: float) -> "PenaltyTerm":
        """Return this term multiplied by a number."""
        return replace(self, scale=self.scale * factor)

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> Any:
        """Start the function; at many points where ``n_points`` is given."""
        compiled, own = _compiled(self.function, order), theta[..., self.index]
        return compiled(own) if n_points is None else [compiled(point) for point in own]

    def collect(self, raw: Any, order: int, out: list[Any]) -> None:
        """Add the term, with its derivatives, to ``out``."""
        if isinstance(raw, list):
            for k, parts in enumerate(raw):
                out[0][k] += self.scale * float(parts[0])
                out[1][k, self.index] += self.scale * np.asarray(parts[1])
            return
        out[0] += self.scale * float(raw[0])
        if order > 0:
            out[1][self.index] += self.scale * np.asarray(raw[1])
        if order > 1:
            out[2][np.ix_(self.index, self.index)] += self.scale * np.asarray(raw[2])

    def traceable(self) -> Callable[[Params, tuple], jax.Array]:
        """Return the term as a function of parameters by name."""
        return lambda params, arrays: self.scale * jnp.asarray(self.function.function(params), jnp.result_type(float))

    @property
    def formula(self) -> str:
        """The term as text."""
        return f"{self.scale!r} * {self.function.name}({', '.join(self.parameters)})"

    def explain(self) -> str:
        """Say what it is."""
        return f"penalty on {', '.join(self.parameters)}: {self.function.name}"

    def faults(self, theta: np.ndarray) -> list[tuple[str, str]]:
        """Return what is wrong with the value, as (kind, sentence)."""
        value = float(_compiled(self.function, 0)(theta[self.index])[0])
        return [] if np.isfinite(value) else [("nan", f"penalty {self.function.name} is {value}")]
