"""Calls of numpy's functions with stand-ins among the arguments, done by `jax.numpy`."""

from collections.abc import Callable
from typing import Any

import numpy as np

import jax.numpy as jnp

from jaxpwa_compat.porting import special
from jaxpwa_compat.porting.trace import current, note, refuse
from jaxpwa_compat.porting.values import EVENT_BY_EVENT, Traced, cast, result, traced_in, unwrap

_IGNORED = ("casting", "order", "subok", "copy", "like", "signature", "requires")
_JOINING = {
    "array", "asarray", "stack", "concatenate", "concat", "vstack", "hstack", "dstack", "column_stack", "block",
    "select", "broadcast_arrays", "meshgrid", "linalg.multi_dot", "einsum", "choose",
}  # fmt: skip
_OF_ARRAYS = {
    "dot", "inner", "outer", "vdot", "cross", "kron", "where", "interp", "polyval", "clip", "average", "isclose",
    "allclose", "fmax", "fmin", "trapezoid",
}  # fmt: skip
_KEEP_LENGTH = {
    "sort", "argsort", "cumsum", "cumprod", "nancumsum", "nancumprod", "flip", "flipud", "roll", "gradient", "rot90",
    "convolve", "unwrap", "cumulative_sum", "cumulative_prod", "fft.fft", "fft.ifft",
}  # fmt: skip
_OF_WHOLE = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift", "gcd", "lcm", "choose"}
_TABLES = {"interp": slice(1, 3), "searchsorted": slice(0, 1), "digitize": slice(1, 2)}
_IN_PLACE = {"copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis"}
_SELECTING = {"extract", "compress", "nonzero", "flatnonzero", "argwhere", "unique", "delete", "where"}
_SELECTION = (
    "The number of events that remain is not known when the function is compiled: give the others the value 0 with "
    "numpy.where(condition, value, 0), or select the events before."
)


def _scimath(name: str) -> Callable[[Any], Any]:
    return lambda x: getattr(jnp, name)(x + 0j)


def _same(x: Any, dtype: Any = None) -> Any:
    return jnp.asarray(x, dtype)


def _array(x: Any, dtype: Any = None, ndmin: int = 0) -> Any:
    return jnp.array(x, dtype, ndmin=ndmin)


def _clip(x: Any, a_min: Any = None, a_max: Any = None, **limits: Any) -> Any:
    return jnp.clip(x, limits.get("min", a_min), limits.get("max", a_max))


def _choose(index: Any, choices: Any, mode: str = "raise") -> Any:
    # Errors can't be raised from compiled code; the comparison with the original has seen the sample.
    return jnp.choose(index, choices, mode="clip" if mode == "raise" else mode)


_OWN: dict[str, Callable[..., Any]] = {
    "choose": _choose,
    "array": _array, "asarray": _same, "asanyarray": _same, "ascontiguousarray": _same, "asfortranarray": _same,
    "require": _same, "clip": _clip, "row_stack": jnp.vstack,
    **{f"{home}.{name}": _scimath(name) for name in ("sqrt", "log", "arccos", "arcsin")
       for home in ("emath", "lib.scimath")},
}  # fmt: skip


def call(name: str, args: Any, kwargs: Any = None) -> Any:
    """Call a function of numpy by its name, with at least one stand-in among the arguments.

    Raises
    ------
    PortingError
        If there is no such function in JAX, it writes into an array, or it mixes events.
    """
    kwargs = {key: value for key, value in (kwargs or {}).items() if key not in _IGNORED}
    if any(out is not None for out in _as_tuple(kwargs.pop("out", None))) or name in _IN_PLACE:
        refuse(f"numpy.{name} writes its result into an array", "Use the value that it returns, without out=.")
    if name in ("abs", "absolute", "square", "power", "pow") and not kwargs:
        return modulus(args[0]) if name[0] == "a" else power(args[0], args[1] if name[0] == "p" else 2)
    is_ufunc = isinstance(getattr(np, name, None), np.ufunc)
    if is_ufunc and kwargs.pop("where", True) is not True:
        refuse(f"numpy.{name} with where= leaves values undefined", "Write numpy.where(condition, a, b).")
    found = list(traced_in([args, kwargs]))
    _check_order(name, args, kwargs)
    if name in _SELECTING and not (name == "where" and len(args) + len(kwargs) > 1):
        refuse(f"numpy.{name} selects events", _SELECTION)
    if name in _OF_WHOLE:
        args = tuple(cast(a, int) if isinstance(a, Traced) and a.is_whole else a for a in args)
    if name == "take" and len(args) > 1 and isinstance(args[1], Traced) and args[1].is_whole:
        args = (args[0], cast(args[1], int), *args[2:])
    arrays = [_argument(name, value, every=is_ufunc or name in _OF_ARRAYS) for value in args]
    return result(found, _counterpart(name)(*arrays, **{k: _argument(name, v) for k, v in kwargs.items()}))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _argument(name: str, value: Any, *, every: bool = False) -> Any:
    """Unwrap an argument, and make an array of a list where JAX wants one."""
    raw = unwrap(value)
    if isinstance(value, (list, tuple)) and name not in _JOINING and (every or any(True for _ in traced_in(value))):
        return jnp.array(raw)
    return raw


def _counterpart(name: str) -> Callable[..., Any]:
    if name in _OWN:
        return _OWN[name]
    found: Any = jnp
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None or not callable(found):
        refuse(
            f"numpy.{name} has no counterpart in JAX for values that depend on events or parameters",
            "Write it with other numpy functions, or compute it beforehand from numbers that do not depend on them.",
        )
    return found


def _check_order(name: str, args: Any, kwargs: Any) -> None:
    """Refuse what works along the events and keeps their number."""
    if any(current().has_events(part.value) for part in traced_in(list(args[_TABLES.get(name, slice(0, 0))]))):
        refuse(f"numpy.{name} looks up values in a table made of events", EVENT_BY_EVENT)
    if name not in _KEEP_LENGTH or not isinstance(args[0], Traced) or not current().has_events(args[0].value):
        return
    shape = args[0].value.shape
    axis = kwargs.get("axis", -1 if name in ("sort", "argsort", "unwrap") else None)
    if axis is None or shape[axis] == current().n_events:
        refuse(f"numpy.{name} works along the events", EVENT_BY_EVENT)


def modulus(x: Any) -> Any:
    """Return the modulus, which knows its square: that of a complex number needs no root."""
    if not isinstance(x, Traced):
        return modulus(call("array", (x,)))
    if not jnp.iscomplexobj(x.value):
        return result((x,), jnp.abs(x.value))
    z = x.value
    return type(x)(jnp.abs(z), lambda: jnp.real(z) ** 2 + jnp.imag(z) ** 2)


def power(base: Any, exponent: Any) -> Any:
    """Return a power; whole exponents become products, one half a square root."""
    found = list(traced_in([base, exponent]))
    if isinstance(exponent, (int, float, np.integer, np.floating)) and isinstance(base, Traced):
        if exponent == 2 and base.squared is not None:
            return result(found, base.squared())
        if exponent == 0.5 and jnp.issubdtype(base.value.dtype, jnp.inexact):
            return result(found, jnp.sqrt(base.value))
        if float(exponent).is_integer() and abs(exponent) <= 64 and jnp.issubdtype(base.value.dtype, jnp.inexact):
            return result(found, base.value ** int(exponent))
    return result(found, jnp.power(_argument("power", base, every=True), _argument("power", exponent, every=True)))


def take(x: Traced, index: Any) -> Any:
    """Return the elements of an index."""
    parts = index if isinstance(index, tuple) else (index,)
    plain = []
    for part in parts:
        if isinstance(part, Traced):
            if part.value.dtype == bool:
                refuse("events are selected by a condition on their values", _SELECTION)
            part = cast(part, int).value if part.is_whole else part.value
        plain.append(np.asarray(part) if isinstance(part, list) else part)
    first = next((p for p in plain if p is not None), None)
    picked = first.step not in (None, 1) if isinstance(first, slice) else hasattr(first, "shape")
    if picked and current().starts_with_events(x.value):
        refuse("events are picked by their position", EVENT_BY_EVENT)
    return result((x,), x.value[tuple(plain)])


def ufunc(function: Any, method: str, inputs: Any, out: Any, options: Any) -> Any:
    """Do what numpy hands over: a universal function, or one of its methods, of stand-ins."""
    name = function.__name__
    if getattr(np, name, None) is not function:
        if method != "__call__" or any(o is not None for o in _as_tuple(out)):
            refuse(f"{name}.{method} with these arguments has no counterpart in JAX", "Write it with numpy functions.")
        return call_special(name, inputs, options)
    note(f"numpy.{name}")
    if method != "__call__":
        return _ufunc_method(name, method, inputs, out, options)
    value = call(name, inputs, options)
    target = _as_tuple(out)[0]
    # `total += x` arrives here: Python binds the name to what is returned, which has the type of `total`.
    if isinstance(target, np.ndarray) and target.dtype.kind in "fc" and isinstance(value, Traced):
        return result((value,), jnp.broadcast_to(value.value, target.shape).astype(target.dtype))
    return value


def _ufunc_method(name: str, method: str, inputs: Any, out: Any, options: Any) -> Any:
    if method == "at" or any(o is not None for o in _as_tuple(out)):
        refuse(f"numpy.{name}.{method} writes into an array", "Use numpy.where, or numpy.add(a, b) for all elements.")
    function = getattr(getattr(jnp, name, None), method, None)
    if function is None:
        refuse(f"numpy.{name}.{method} has no counterpart in JAX", "Write it with other numpy functions.")
    found = list(traced_in(list(inputs)))
    options = {k: v for k, v in options.items() if k not in _IGNORED}
    return result(found, function(*(_argument(name, v, every=True) for v in inputs), **unwrap(options)))


def call_special(name: str, args: Any, kwargs: Any) -> Any:
    """Call a function of `scipy.special` by its name."""
    note(f"scipy.special.{name}")
    function = special.find(name)
    if function is None:
        refuse(
            f"scipy.special.{name} has no counterpart in JAX for values that depend on events or parameters",
            "Compute it beforehand from numbers that do not depend on them, or as a column of the data.",
        )
    found = list(traced_in([args, kwargs]))
    if name in ("softmax", "log_softmax") and any(current().has_events(i.value) for i in found):
        refuse(f"scipy.special.{name} combines events", EVENT_BY_EVENT)
    return result(found, function(*(_argument(name, v, every=True) for v in args), **unwrap(kwargs)))


def function_name(function: Any) -> str | None:
    """Return the path of one of numpy's functions under `numpy`, such as ``linalg.norm``."""
    name = getattr(function, "__name__", "")
    for home in ("", "linalg", "fft", "emath", "lib.scimath"):
        found: Any = np
        for part in [*home.split(".")] if home else []:
            found = getattr(found, part, None)
        if getattr(found, name, None) is function:
            return f"{home}.{name}" if home else name
    return None


def function(target: Any, args: Any, kwargs: Any) -> Any:
    """Do what numpy hands over: one of its functions, with stand-ins among the arguments."""
    name = function_name(target) or getattr(target, "__name__", "?")
    note(f"numpy.{name}")
    return call(name, args, kwargs)
