"""What an intensity reads and returns, found by tracing it once before any work is done.

The trace costs a few milliseconds and answers at the first door: which parameters and columns are read,
whether the result is one real number per event, and whether each event's value depends on that event
alone. The last is what lets events be cut into blocks, shards and padded at will.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.engine.eventwise import TRACED_EVENTS, check_eventwise
from jaxpwa.engine.identity import identity


class ModelRef:
    """A callable that is compared by what it computes (see `jaxpwa.engine.identity`)."""

    __slots__ = ("_hash", "_key", "function")

    def __init__(self, function: Callable[..., Any], what: str = "an intensity", arguments: str = "(params, data)"):
        _check_callable(function, f"{what} must be a function of {arguments}", 1 + arguments.count(","))
        self.function = function
        self._key = identity(function)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelRef) and self._hash == other._hash and self._key == other._key

    @property
    def name(self) -> str:
        """What messages call it."""
        return getattr(self.function, "__name__", type(self.function).__name__)


def _check_callable(function: Any, what: str, n_arguments: int) -> None:
    """Refuse what can't be called with so many arguments."""
    if not callable(function) or isinstance(function, type):
        msg = f"{what}, got {'the class ' + function.__name__ if isinstance(function, type) else repr(function)[:60]}."
        raise TypeError(msg)
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        number = "these two" if n_arguments == 2 else "this one"
        msg = f"{what}, but {name}{inspect.signature(function)} can't be called with {number}."
        raise TypeError(msg) from None
    except ValueError:  # a builtin without a signature
        return


class AllNamesNeeded(Exception):
    """The model looks at its parameters as a whole, so their names can't be found out from it."""


class Recorder(Mapping):
    """A mapping that notes which names are read."""

    def __init__(self, value: Callable[[str], Any]):
        self.value = value
        self.read: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        value = self.value(name)
        self.read[name] = None
        return value

    def _whole(self, *_: Any) -> Any:
        raise AllNamesNeeded

    def __getattr__(self, name: str) -> Any:
        msg = f"parameters and columns are read by name in brackets, p[{name!r}] or d[{name!r}], not as attributes."
        raise AttributeError(msg)

    __iter__ = __len__ = __contains__ = get = keys = items = values = _whole  # type: ignore[assignment]
    __or__ = __ror__ = _whole


class _ColumnRecorder(Recorder):
    """Columns by name; a model that iterates over them reads them all."""

    def __init__(self, columns: dict[str, Any], what: str):
        def column(name: str) -> Any:
            if name not in columns:
                msg = f"{what} reads column {name!r}, which the data do not have; columns: {known(columns)}."
                raise _UnknownName(msg)
            return columns[name]

        super().__init__(column)
        self.columns = columns

    def _all(self) -> dict[str, Any]:
        self.read.update(dict.fromkeys(self.columns))
        return self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, name: object) -> bool:
        # What a model has asked for must be there when it runs: asking counts as reading.
        if name in self.columns:
            self.read[str(name)] = None
        return name in self.columns

    def __or__(self, other: Any) -> Any:
        return self._all() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._all()

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.columns else default

    def keys(self) -> Any:
        return self._all().keys()

    def items(self) -> Any:
        return self._all().items()

    def values(self) -> Any:
        return self._all().values()


class _UnknownName(ValueError):
    """A parameter or column that does not exist; its message is complete."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model reads and returns.

    Attributes
    ----------
    parameters
        Names of the parameters in the order of first use, or None: the model takes them as a whole and
        they are known only when values are given.
    columns
        Names of the columns read.
    dtype
        Type of the values per event.
    """

    parameters: tuple[str, ...] | None
    columns: tuple[str, ...]
    dtype: np.dtype


ColumnSpecs = tuple[tuple[str, tuple[int, ...], str], ...]
"""Name, shape of one event and dtype of each column on offer."""


@lru_cache(maxsize=256)
def inspect_model(
    model: ModelRef, columns: ColumnSpecs, parameters: tuple[str, ...] | None = None, *, complex_allowed: bool = False
) -> ModelInfo:
    """Trace a model once and check what it returns.

    Parameters
    ----------
    model
        ``model(params, data) -> (events,)``.
    columns
        The columns that the data have.
    parameters
        The parameters' names where they are known; the model may read fewer.
    complex_allowed
        Whether complex values per event will do (amplitudes, in `jaxpwa.evaluate`).

    Raises
    ------
    ValueError
        If the model reads a name that does not exist, returns another shape, or mixes events.
    TypeError
        If it can't be traced or returns no numbers of the right kind.
    """
    what = model.name
    single = jnp.float32 if any(d in ("float32", "complex64") for *_, d in columns) else jnp.float64
    seen: dict[str, Any] = {}

    def traced(scalar: jax.Array, arrays: dict[str, jax.Array]) -> Any:
        data = _ColumnRecorder(arrays, what)

        def parameter(name: str) -> jax.Array:
            if parameters is not None and name not in parameters:
                msg = f"{what} reads parameter {name!r}, which is not among those given: {known(parameters)}."
                raise _UnknownName(msg)
            return scalar * 1

        if parameters is None:
            params: Any = Recorder(parameter)
            try:
                result = model.function(params, data)
                names = tuple(params.read)
            except AllNamesNeeded:
                seen["names"] = None
                return jnp.zeros(TRACED_EVENTS)
        else:
            params = {name: parameter(name) for name in parameters}
            try:
                result = model.function(params, data)
            except KeyError as error:
                msg = f"{what} reads parameter {error}, which is not among those given: {known(parameters)}."
                raise _UnknownName(msg) from None
            names = parameters
        seen["names"], seen["columns"] = names, tuple(data.read)
        return result

    structs = {name: jax.ShapeDtypeStruct((TRACED_EVENTS, *shape), dtype) for name, shape, dtype in columns}
    try:
        jaxpr, result = jax.make_jaxpr(traced, return_shape=True)(jax.ShapeDtypeStruct((), single), structs)
    except _UnknownName as error:
        raise ValueError(str(error)) from None
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        raise TypeError(_untraceable(what, error)) from error
    except TypeError as error:
        if "incompatible shapes" in str(error) and str(TRACED_EVENTS) in str(error):
            raise ValueError(_closed_over(what, error)) from error
        raise
    except ValueError as error:
        if "broadcast" in str(error) and str(TRACED_EVENTS) in str(error):
            raise ValueError(_closed_over(what, error)) from error
        raise
    if seen["names"] is None:
        return ModelInfo(None, tuple(n for n, *_ in columns), np.dtype(np.float64))
    _check_result(what, result, complex_allowed)
    check_eventwise(what, jaxpr.jaxpr)
    return ModelInfo(seen["names"], seen["columns"], np.dtype(result.dtype))


def _untraceable(what: str, error: Exception) -> str:
    reason = str(error).split("\n")[0]
    return (
        f"{what} can't be compiled by JAX: {reason} Inside an intensity use jax.numpy for numpy, "
        "jnp.where for if on event values, and no float(), .item() or np functions of parameters or data."
    )


def _closed_over(what: str, error: Exception) -> str:
    reason = str(error).split("\n")[0].replace(str(TRACED_EVENTS), "events")
    return (
        f"{what} must work for any number of events: {reason} Arrays with one entry per event belong "
        "into the data as columns, not into the function."
    )


def _check_result(what: str, result: Any, complex_allowed: bool) -> None:
    """Refuse anything but one number per event."""
    if not hasattr(result, "shape"):
        msg = f"{what} must return one array (events,), got {type(result).__name__}."
        raise TypeError(msg)
    if result.shape != (TRACED_EVENTS,):
        shape = str(result.shape).replace(str(TRACED_EVENTS), "events")
        hint = " Is there a sum over events in it?" if result.shape == () else ""
        msg = f"{what} must return one value per event, shape (events,), got shape {shape}.{hint}"
        raise ValueError(msg)
    if jnp.issubdtype(result.dtype, jnp.complexfloating):
        if not complex_allowed:
            msg = f"{what} must return a real intensity, got {result.dtype}: take abs(amplitude)**2."
            raise TypeError(msg)
    elif not (jnp.issubdtype(result.dtype, jnp.floating) or jnp.issubdtype(result.dtype, jnp.integer)):
        msg = f"{what} must return real numbers, got {result.dtype}."
        raise TypeError(msg)


def column_specs(data: Any, names: Sequence[str] | None = None) -> ColumnSpecs:
    """Describe columns as a model will see them, in the order of ``names``; None: all, but for text.

    Of events in files the first few tell (``head``).
    """
    data = getattr(data, "head", data)
    if names is not None:
        known_columns = {spec[0]: spec for spec in column_specs(data)}
        return tuple(known_columns[name] for name in names if name in known_columns)
    wide = "complex64" if data.dtype == "float32" else "complex128"
    return tuple(
        (name, values.shape[1:], wide if values.dtype.kind == "c" else data.dtype)
        for name, values in data.columns.items()
        if values.dtype.kind in "fiubcO"
    )


def in_double(specs: ColumnSpecs) -> ColumnSpecs:
    """Return the same columns in double precision."""
    wide = {"float32": "float64", "complex64": "complex128"}
    return tuple((name, shape, wide.get(str(dtype), dtype)) for name, shape, dtype in specs)


def pack_parameters(params: Any, names: tuple[str, ...], what: str) -> np.ndarray:
    """Put parameters given by name into an array in the order of ``names``.

    Raises
    ------
    TypeError
        If ``params`` is no mapping or holds something other than real numbers.
    ValueError
        If a name is missing or a value is NaN.
    """
    if not isinstance(params, Mapping):
        msg = (
            f"params must map names to numbers, like {{{names[0]!r}: 1.0}}, got {type(params).__name__}."
            if names
            else f"params must map names to numbers, got {type(params).__name__}."
        )
        raise TypeError(msg)
    missing = [name for name in names if name not in params]
    if missing:
        msg = f"{what} needs parameter {known(missing)}; given: {known(params)}."
        raise ValueError(msg)
    try:
        theta = np.array([params[name] for name in names], np.float64)
    except (TypeError, ValueError):
        theta = np.empty(0)
    if theta.shape != (len(names),):
        for name in names:
            if np.ndim(params[name]) != 0 or np.iscomplexobj(params[name]):
                msg = (
                    f"parameter {name!r} must be one real number, got {params[name]!r}. "
                    "A complex coupling is two parameters, its real and its imaginary part."
                )
                raise TypeError(msg)
            try:
                float(params[name])
            except (TypeError, ValueError):
                msg = f"parameter {name!r} must be one real number, got {params[name]!r}."
                raise TypeError(msg) from None
    if np.isnan(theta).any():
        msg = f"parameter {names[int(np.argmax(np.isnan(theta)))]!r} is NaN."
        raise ValueError(msg)
    return theta
