"""The base of all stand-ins, and the way between them and the JAX values that they hold."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import jax
import jax.numpy as jnp

from jaxpwa_compat.parts import is_tensor
from jaxpwa_compat.porting.trace import current, refuse

EVENT_BY_EVENT = (
    "jaxpwa cuts the events into blocks and spreads them over devices, so every event must be treated alone: compute "
    "such numbers beforehand (in __init__, or as a column)."
)


_SINGLE = ("float32", "complex64", "float16", "bfloat16")


class Traced:
    """A JAX value that the user's code takes for an array.

    Parameters
    ----------
    value
        Array or tracer.
    squared
        Gives the square of the modulus, where the value is the modulus of a complex number.
    is_whole
        The value is a column of whole numbers; jaxpwa hands out columns as floating-point numbers.
    """

    __slots__ = ("is_whole", "squared", "value")
    __jaxpwa_traced__ = True
    precedence = 0

    def __init__(self, value: Any, squared: Callable[[], Any] | None = None, *, is_whole: bool = False):
        self.value = value
        self.squared = squared
        self.is_whole = is_whole

    @classmethod
    def of(cls, value: Any) -> "Traced":
        """Give a result the face that results of calculations with this one have."""
        return cls(value)


class StandIn:
    """Base of what stands for a function, type or module of a library in the user's code."""


class TypeStandIn(StandIn):
    """Base of what stands for a type such as `float` or `numpy.complex128` in the user's code.

    Parameters
    ----------
    kind
        The type itself.
    """

    def __init__(self, kind: type):
        self.kind = kind


def host_tensor(tensor: Any) -> np.ndarray:
    """Return the numbers of a torch tensor, lazily conjugated and negated ones resolved."""
    return tensor.detach().resolve_conj().resolve_neg().cpu().numpy()


def traced_in(values: Any) -> Iterator[Traced]:
    """Yield the stand-ins in arguments, those inside lists, tuples and dicts included."""
    if isinstance(values, Traced):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from traced_in(value)
    elif isinstance(values, dict):
        yield from traced_in(list(values.values()))


def unwrap(value: Any) -> Any:
    """Replace stand-ins by what they stand for, inside lists, tuples and dicts too."""
    if isinstance(value, Traced):
        return value.value
    if isinstance(value, TypeStandIn):
        return value.kind
    if type(value) in (list, tuple):
        return type(value)(unwrap(part) for part in value)
    if type(value) is dict:
        return {key: unwrap(part) for key, part in value.items()}
    if is_tensor(value):
        return host_tensor(value)
    return value.to_numpy() if isinstance(value, pd.Series) else value


def is_operand(value: Any) -> bool:
    """Tell whether a value can be calculated with."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufc"
    if isinstance(value, (list, tuple)):
        return all(is_operand(part) for part in value)
    return isinstance(value, (Traced, bool, int, float, complex, np.number, np.bool_, jax.Array, pd.Series))


def result(inputs: Any, value: Any) -> Any:
    """Give arrays that came out of a calculation the face of what went in.

    Parameters
    ----------
    inputs
        The stand-ins that went in, at least one.
    value
        What came out; arrays in lists and tuples are looked at one by one.

    Raises
    ------
    PortingError
        In the trial run, if the events went in and did not come out, or came out as two axes.
    """
    if isinstance(value, (list, tuple)):
        parts = [result(inputs, part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if not isinstance(value, jax.Array):
        return value
    trace = current()
    if value.dtype.name in _SINGLE and not any(i.value.dtype.name in _SINGLE for i in inputs):
        trace.is_single = True
    had_events = any(trace.has_events(i.value) for i in inputs)
    if had_events and value.shape.count(trace.n_events) != 1:
        refuse("a value is made of several events, or of some of them", EVENT_BY_EVENT)
    return max((type(i) for i in inputs), key=lambda face: face.precedence).of(value)


def cast(value: Traced, dtype: Any) -> Any:
    """Convert to another type; complex numbers lose their imaginary part as in numpy."""
    target = np.dtype(dtype.kind if isinstance(dtype, TypeStandIn) else dtype)
    if target.kind not in "biufc":
        refuse(f"values are turned into {target}, which is no type of numbers", "Keep numbers.")
    array = value.value
    if jnp.iscomplexobj(array) and target.kind != "c":
        array = jnp.real(array) if target.kind != "b" else array
    return result((value,), array.astype(target))
