"""Stand-ins for arrays: they look like numpy's (and a pandas column's) to the user's code and hold JAX values."""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
import pandas as pd

import jax.numpy as jnp

from jaxpwa_compat.porting import calls
from jaxpwa_compat.porting.trace import current, refuse
from jaxpwa_compat.porting.values import EVENT_BY_EVENT, Traced, cast, is_operand, result

_LONGEST_LOOP = 512
"""Longest axis that a loop may run over: each turn is traced anew, and events are far more."""

_BRANCH = (
    "Values are not known when the function is compiled: write numpy.where(condition, a, b) instead of if, while, "
    "and, or; leave checks of the data out of the amplitude."
)
_IN_PLACE = "Arrays can't be changed in place: build a list and join it (numpy.array, numpy.stack), or use numpy.where."
_TO_ARRAY = (
    "Make arrays of lists (numpy.array, numpy.stack) instead of filling them, look up values with "
    "numpy.take(table, index), interpolate with numpy.interp; what needs another library, compute it beforehand."
)
_NO_NUMBER = "Keep it as it is: operators and numpy functions take it."


class Face(Traced):
    """What stand-ins for arrays and for tensors have in common."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> Any:
        """Lengths of the axes."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.value.ndim

    @property
    def dtype(self) -> Any:
        """Type of the elements."""
        return self.value.dtype

    @property
    def real(self) -> Any:
        """Real part."""
        return result((self,), jnp.real(self.value))

    @property
    def imag(self) -> Any:
        """Imaginary part."""
        return result((self,), jnp.imag(self.value))

    @property
    def T(self) -> Any:
        """Axes in reverse order."""
        return result((self,), self.value.T)

    def __len__(self) -> int:
        if not self.shape:
            msg = "len() of unsized object"
            raise TypeError(msg)
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if len(self) > _LONGEST_LOOP or current().starts_with_events(self.value):
            refuse(
                "a loop runs over the events", "Write it for all events at once, with operators and numpy functions."
            )
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, index: Any) -> Any:
        return calls.take(self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        refuse("an array that depends on events or parameters is changed in place", _IN_PLACE)

    def __bool__(self) -> NoReturn:
        refuse("a branch (if, while, and, or, assert) depends on the values of events or parameters", _BRANCH)

    def __float__(self) -> NoReturn:
        refuse("a value that depends on events or parameters is made a Python number or put into an array", _IN_PLACE)

    __int__ = __complex__ = __float__

    def __index__(self) -> NoReturn:
        refuse("a value that depends on events or parameters is used as an index", "Write numpy.take(table, index).")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        refuse(
            "values that depend on events or parameters are put into an array or passed to a function that JAX lacks",
            _TO_ARRAY,
        )

    def __jax_array__(self) -> Any:
        return self.value

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}{list(self.shape)})"

    def __round__(self, digits: int = 0) -> Any:
        return calls.call("round", (self, digits))

    def __pow__(self, exponent: Any) -> Any:
        return calls.power(self, exponent)

    def __abs__(self) -> Any:
        return calls.modulus(self)

    def item(self, *index: Any) -> NoReturn:
        """Refuse: there is no Python number to return."""
        refuse(".item() asks for a Python number of a value that depends on events or parameters", _NO_NUMBER)

    def tolist(self) -> NoReturn:
        """Refuse: there are no Python numbers to return."""
        refuse(".tolist() asks for Python numbers of values that depend on events or parameters", _NO_NUMBER)


def _operator(name: str, *, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def operate(self: Any, other: Any) -> Any:
        if not is_operand(other):
            return NotImplemented
        return calls.call(name, (other, self) if reflected else (self, other))

    return operate


for _symbol, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "divmod": "divmod", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
}.items():  # fmt: skip
    setattr(Face, f"__{_symbol}__", _operator(_name))
    setattr(Face, f"__r{_symbol}__", _operator(_name, reflected=True))
Face.__rpow__ = _operator("power", reflected=True)  # type: ignore[attr-defined]
for _symbol, _name in {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}.items():  # fmt: skip
    setattr(Face, f"__{_symbol}__", _operator(_name))
for _symbol, _name in {"neg": "negative", "pos": "positive", "invert": "invert"}.items():
    setattr(Face, f"__{_symbol}__", lambda self, _name=_name: calls.call(_name, (self,)))

_METHODS = (
    "sum prod mean std var min max argmin argmax all any cumsum cumprod dot take trace clip round conj conjugate "
    "transpose swapaxes squeeze ravel repeat diagonal"
).split()
_MIXING_METHODS = ("sort", "argsort", "argpartition", "partition", "nonzero", "searchsorted")
_PANDAS_OPERATORS = {
    "add": "add", "sub": "subtract", "subtract": "subtract", "mul": "multiply", "multiply": "multiply",
    "div": "divide", "truediv": "divide", "divide": "divide", "mod": "remainder", "eq": "equal", "ne": "not_equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip


class TracedArray(Face):
    """The stand-in for numpy arrays and pandas columns."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if not all(is_operand(value) for value in inputs):
            return NotImplemented
        return calls.ufunc(ufunc, method, inputs, out, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return calls.function(function, args, kwargs)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.value.size

    @property
    def values(self) -> "TracedArray":
        """The same, as `Series.values` gives it."""
        return self

    @property
    def array(self) -> "TracedArray":
        """The same, as `Series.array` gives it."""
        return self

    @property
    def index(self) -> NoReturn:
        """Refuse: events are paired by position."""
        refuse("the index of a column is read", "Events are paired by position here; leave the index out.")

    loc = iloc = at = iat = index

    def to_numpy(self, *_: Any, **options: Any) -> Any:
        """Return the same."""
        return self if options.get("dtype") is None else self.astype(options["dtype"])

    def copy(self, *_: Any, **__: Any) -> "TracedArray":
        """Return the same, as nothing can change it."""
        return self

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """Return the values in another type."""
        return cast(self, dtype)

    def view(self, *kind: Any) -> Any:
        """Return the same; another type of the same bytes is refused."""
        if kind and kind != (np.ndarray,):
            refuse(".view() reads the bytes of an array as another type", "Use .astype, .real and .imag.")
        return self

    def reshape(self, *shape: Any, **_: Any) -> Any:
        """Return the values in another shape."""
        return calls.call("reshape", (self, shape[0] if len(shape) == 1 else shape))

    def flatten(self, *_: Any) -> Any:
        """Return the values along one axis."""
        return calls.call("ravel", (self,))

    def abs(self) -> Any:
        """Return the modulus."""
        return calls.modulus(self)

    def pow(self, exponent: Any) -> Any:
        """Return the power, as `Series.pow` does."""
        return calls.power(self, exponent)

    def apply(self, function: Callable[[Any], Any], *args: Any, **kwargs: Any) -> Any:
        """Apply a function of one element to all of them at once."""
        return function(self, *args, **kwargs)

    map = apply

    def where(self, condition: Any, other: Any = np.nan) -> Any:
        """Keep the values where a condition holds, as `Series.where` does."""
        return calls.call("where", (condition, self, other))

    def between(self, low: Any, high: Any) -> Any:
        """Tell which values lie between two others, these included."""
        return (self >= low) & (self <= high)  # type: ignore[operator]

    def fillna(self, value: Any) -> Any:
        """Replace NaN."""
        return calls.call("where", (calls.call("isnan", (self,)), value, self))

    def fill(self, value: Any) -> NoReturn:
        """Refuse."""
        refuse("an array that depends on events or parameters is changed in place", _IN_PLACE)

    put = resize = itemset = fill

    def __getattr__(self, name: str) -> Any:
        # What numpy and pandas do not have either is an honest no to `hasattr`.
        if name.startswith("__") or not (hasattr(np.ndarray, name) or hasattr(pd.Series, name)):
            msg = f"arrays have no attribute {name!r}"
            raise AttributeError(msg)
        if name in _MIXING_METHODS:
            refuse(f".{name}() puts events in order or looks for some of them", EVENT_BY_EVENT)
        refuse(f".{name} is not known for values that depend on events or parameters", "Use a numpy function.")


def _method(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return calls.call(name, (self, *args), kwargs)

    method.__name__ = name
    return method


for _name in _METHODS:
    setattr(TracedArray, _name, _method("conj" if _name == "conjugate" else _name))
for _symbol, _name in _PANDAS_OPERATORS.items():
    setattr(TracedArray, _symbol, _method(_name))


def wrap(value: Any) -> Any:
    """Give a column or parameter the face of an array."""
    return value if isinstance(value, Traced) else TracedArray(jnp.asarray(value))
