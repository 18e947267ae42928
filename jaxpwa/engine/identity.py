"""When two callables compute the same, so that compiled code can be kept, and when it can't be.

Code is compiled from what a function refers to at that moment. In a notebook such things change: a global number, a
helper defined anew, an attribute of an object. And a lambda written in a loop is a new object each time though it
computes the same. So a callable is known by its code and by what that refers to (defaults, closure, globals and
attributes, and those of helper functions of the same package), not by its address. Arrays, dicts and lists count as
changed when they are replaced, not when they are changed in place. A frozen record, such as a sum of waves, is known by
its type and by what is in its fields, each looked at where it comes from.
"""

from collections.abc import Hashable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_PLAIN = (bool, int, complex, str, bytes, type(None))


class _ById:
    """An object compared by its address, and kept alive so that no other takes the address."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and self.thing is other.thing


def identity(thing: Any) -> Hashable:
    """Return what a callable is known by."""
    return _identity(thing, None, {})


def _identity(thing: Any, home: str | None, seen: dict[int, Hashable]) -> Hashable:
    """Return what a thing is known by; ``home`` is the package looked into, or None for the thing's own."""
    if isinstance(thing, _PLAIN):
        return type(thing), thing
    if isinstance(thing, float):
        return float, thing.hex()
    if isinstance(thing, tuple):
        return (tuple, *(_identity(part, home, seen) for part in thing))
    if isinstance(thing, (ModuleType, type)):
        return _ById(thing)
    if id(thing) in seen:
        return seen[id(thing)]
    if isinstance(thing, partial):
        inside = (thing.args, tuple(sorted(thing.keywords.items())))
        return "partial", _identity(thing.func, home, seen), _identity(inside, home or "", seen)
    if isinstance(thing, MethodType):
        return "method", _identity(thing.__func__, home, seen), _identity(thing.__self__, home, seen)
    if _is_record(thing):
        inside = ((field.name, _identity(getattr(thing, field.name), None, seen)) for field in fields(thing))
        return "record", _ById(type(thing)), *inside
    module = (getattr(thing, "__module__", None) or "").split(".")[0]
    if home is not None and module != home:
        return _ById(thing)
    # Within itself a thing is known by its address; met again elsewhere, as a shape that waves share, by what it is.
    seen[id(thing)] = _ById(thing)
    if isinstance(thing, FunctionType):
        seen[id(thing)] = _of_function(thing, module, seen)
    elif callable(thing) and isinstance(getattr(thing, "__dict__", None), dict):
        attributes = ((name, _identity(value, module, seen)) for name, value in sorted(vars(thing).items()))
        seen[id(thing)] = ("object", _ById(thing), *attributes)
    return seen[id(thing)]


def _is_record(thing: Any) -> bool:
    return is_dataclass(thing) and type(thing).__dataclass_params__.frozen  # type: ignore[attr-defined]


def _of_function(function: FunctionType, home: str, seen: dict[int, Hashable]) -> Hashable:
    used = ((n, function.__globals__[n]) for n in sorted(set(_names(function.__code__))) if n in function.__globals__)
    return (
        "function",
        function.__code__,
        tuple(_identity(value, home, seen) for value in _cells(function)),
        tuple(_identity(value, home, seen) for value in function.__defaults__ or ()),
        tuple((n, _identity(v, home, seen)) for n, v in sorted((function.__kwdefaults__ or {}).items())),
        tuple((name, _identity(value, home, seen)) for name, value in used),
    )


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global names that code refers to, functions inside it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet filled
            yield None
