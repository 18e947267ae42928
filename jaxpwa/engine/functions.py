"""Functions of parameters alone: ties and penalties."""

from collections.abc import Callable
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa.engine.model import AllNamesNeeded, ModelRef, Recorder


class ParameterFunction(ModelRef):
    """``function(params) -> number``, compared by what it computes.

    Parameters
    ----------
    function
        Written with `jax.numpy`; reads parameters by name in brackets.
    what
        What messages call it.

    Attributes
    ----------
    reads
        Names of the parameters, in the order of first use.

    Raises
    ------
    TypeError
        If it can't be called or traced, looks at its parameters as a whole, or returns no real number.
    """

    __slots__ = ("reads",)

    def __init__(self, function: Callable[[Any], Any], what: str):
        super().__init__(function, what, "(params)")
        self.reads = _names_read(function, what)


def _names_read(function: Callable[[Any], Any], what: str) -> tuple[str, ...]:
    seen: dict[str, tuple[str, ...]] = {}

    def traced(scalar: jax.Array) -> Any:
        params = Recorder(lambda name: scalar * 1)
        result = function(params)
        seen["names"] = tuple(params.read)
        return result

    number = jax.ShapeDtypeStruct((), jnp.result_type(float))
    try:
        result = jax.eval_shape(traced, number)
    except AllNamesNeeded:
        msg = f"{what} must read parameters by name in brackets, like p['a']: its names can't be found out otherwise."
        raise TypeError(msg) from None
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        line = str(error).split("\n")[0]
        msg = f"{what} can't be compiled by JAX: {line} Write it with jax.numpy, without float() or if on values."
        raise TypeError(msg) from error
    shape, kind = getattr(result, "shape", None), np.dtype(getattr(result, "dtype", object)).kind
    if shape != () or kind not in "fiu":
        found = type(result).__name__ if shape is None else f"{result.dtype} of shape {shape}"
        msg = f"{what} must return one real number, got {found}."
        raise TypeError(msg)
    return seen["names"]
