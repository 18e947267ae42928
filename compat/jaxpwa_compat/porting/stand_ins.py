"""What the user's code finds under the names `numpy`, `math`, `scipy.special`, `numexpr`, `torch`, `float`, `complex`.

A stand-in calls the library itself as long as no argument depends on events or parameters.
"""

import builtins
import cmath
import math
import sys
from collections.abc import Callable
from functools import lru_cache, reduce
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special
from numpy import polynomial

import jax.numpy as jnp

from jaxpwa_compat.porting import calls, expressions, splines, tables, tensors
from jaxpwa_compat.porting.trace import note, refuse
from jaxpwa_compat.porting.values import StandIn, Traced, TypeStandIn, cast, result, traced_in, unwrap
from jaxpwa_compat.tables import pandas_to_numpy, to_contiguous

_MATH = {"fabs": "abs", "fsum": "sum", "phase": "angle"}
_MATH_SPECIAL = {"gamma": "gamma", "lgamma": "gammaln", "erf": "erf", "erfc": "erfc"}


def plain(value: Any) -> Any:
    """Put types in place of their stand-ins, for calls of the libraries themselves."""
    if isinstance(value, TypeStandIn):
        return value.kind
    if type(value) in (list, tuple) and any(isinstance(part, (TypeStandIn, list, tuple)) for part in value):
        return type(value)(plain(part) for part in value)
    return value


class FunctionStandIn(StandIn):
    """Stands for one function of a library.

    Parameters
    ----------
    real
        The function itself.
    path
        What reports and refusals call it.
    traced
        ``traced(args, kwargs)`` does the same with stand-ins among the arguments.
    """

    def __init__(self, real: Any, path: str, traced: Callable[[Any, Any], Any]):
        self._real = real
        self._path = path
        self._traced = traced
        self.__name__ = getattr(real, "__name__", path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, or its counterpart in JAX."""
        if any(True for _ in traced_in([args, kwargs])):
            note(self._path)
            return self._traced(args, kwargs)
        return self._real(*(plain(a) for a in args), **{key: plain(value) for key, value in kwargs.items()})

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not isinstance(self._real, np.ufunc) or not callable(found):
            return found

        def method(args: Any, kwargs: Any) -> Any:
            return calls.ufunc(self._real, name, args, kwargs.pop("out", None), kwargs)

        return FunctionStandIn(found, f"{self._path}.{name}", method)


class TypeOfNumbers(TypeStandIn):
    """Stands for a type of numbers: converts stand-ins, and serves as dtype and in `isinstance`."""

    @property
    def dtype(self) -> np.dtype:
        """What numpy makes of the type."""
        return np.dtype(self.kind)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Convert to the type."""
        if not any(True for _ in traced_in([args, kwargs])):
            return self.kind(*args, **kwargs)
        note(self.kind.__name__)
        if self.kind is complex and len(args) == 2:
            return args[0] + 1j * args[1]
        (value,) = args
        if self.kind in (float, complex) and value.ndim:
            refuse(f"{self.kind.__name__}() of an array that depends on events", "Leave it out.")
        return cast(value, self.kind)

    def __instancecheck__(self, value: Any) -> bool:
        if not isinstance(value, Traced):
            return isinstance(value, self.kind)
        if isinstance(value, tables.TracedTable):
            return issubclass(value.__class__, self.kind)
        if self.kind is np.ndarray:
            return value.value.ndim > 0
        return value.value.ndim == 0 and jnp.iscomplexobj(value.value) == issubclass(self.kind, complex)

    def __subclasscheck__(self, other: type) -> bool:
        return issubclass(other, self.kind)

    def __or__(self, other: Any) -> Any:
        return self.kind | plain(other)

    def __ror__(self, other: Any) -> Any:
        return plain(other) | self.kind

    def __eq__(self, other: object) -> bool:
        return self.kind == (other.kind if isinstance(other, TypeStandIn) else other)

    def __hash__(self) -> int:
        return hash(self.kind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)


class PolynomialStandIn(StandIn):
    """Stands for a polynomial of `numpy.polynomial`, or for a class of such.

    Parameters
    ----------
    real
        The polynomial or the class.
    """

    def __init__(self, real: Any):
        self._real = real

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a polynomial, or evaluate it."""
        if isinstance(self._real, type):
            return stand_in(self._real(*args, **kwargs))
        if not any(True for _ in traced_in(args)):
            return self._real(*args, **kwargs)
        offset, scale = self._real.mapparms()
        return _POLYNOMIALS[type(self._real)](offset + scale * args[0], self._real.coef)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if not callable(value):
            return stand_in(value)
        return lambda *args, **kwargs: stand_in(value(*map(_real, args), **kwargs))

    def __add__(self, other: Any) -> Any:
        return stand_in(self._real + _real(other))

    def __mul__(self, other: Any) -> Any:
        return stand_in(self._real * _real(other))


def _real(value: Any) -> Any:
    return value._real if isinstance(value, PolynomialStandIn) else value


_POLYNOMIALS: dict[type, Callable[[Any, Any], Any]] = {
    polynomial.Polynomial: polynomial.polynomial.polyval, polynomial.Chebyshev: polynomial.chebyshev.chebval,
    polynomial.Legendre: polynomial.legendre.legval, polynomial.Laguerre: polynomial.laguerre.lagval,
    polynomial.Hermite: polynomial.hermite.hermval, polynomial.HermiteE: polynomial.hermite_e.hermeval,
}  # fmt: skip


class Elementwise(StandIn):
    """Stands for `numpy.vectorize` of a function: it gets all events at once.

    Parameters
    ----------
    function
        The function of one element.
    options
        Those of `numpy.vectorize`.
    """

    def __init__(self, function: Callable[..., Any], options: Any = ()):
        self.function = function
        self.options = dict(options)
        self._real = np.vectorize(function, **self.options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return (self.function if any(True for _ in traced_in([args, kwargs])) else self._real)(*args, **kwargs)


class Joiner(StandIn):
    """Stands for `numpy.c_` and `numpy.r_`."""

    def __init__(self, real: Any, name: str):
        self._real = real
        self._name = name

    def __getitem__(self, parts: Any) -> Any:
        if not any(True for _ in traced_in(parts)):
            return self._real[parts]
        return calls.call(self._name, (list(parts) if isinstance(parts, tuple) else [parts],))


class ModuleStandIn(StandIn):
    """Stands for a module: what is read from it is replaced where needed.

    Parameters
    ----------
    module
        The module itself.
    """

    def __init__(self, module: ModuleType):
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if not self._module.__name__.startswith("jax.") or isinstance(value, (type, ModuleType)) or not callable(value):
            return stand_in(value)
        return FunctionStandIn(value, f"{self._module.__name__}.{name}", _of_jax(value))


def _extreme(name: str) -> Callable[[Any, Any], Any]:
    def traced(args: Any, kwargs: Any) -> Any:
        if kwargs:
            refuse(f"{name}() with key or default is given values that depend on events or parameters", "Leave it out.")
        return reduce(lambda a, b: calls.call(f"{name}imum", (a, b)), list(args[0]) if len(args) == 1 else args)

    return traced


SHADOWED: dict[str, Any] = {
    "float": TypeOfNumbers(float),
    "complex": TypeOfNumbers(complex),
    "max": FunctionStandIn(builtins.max, "max", _extreme("max")),
    "min": FunctionStandIn(builtins.min, "min", _extreme("min")),
}
"""Builtins that would refuse stand-ins though they need not."""


def _of_numpy(path: str) -> Callable[[Any, Any], Any]:
    return lambda args, kwargs: calls.call(path, args, kwargs)


def _of_jax(function: Any) -> Callable[[Any, Any], Any]:
    return lambda args, kwargs: result(list(traced_in([args, kwargs])), function(*unwrap(args), **unwrap(kwargs)))


def _of_special(name: str) -> Callable[[Any, Any], Any]:
    return lambda args, kwargs: calls.call_special(name, args, kwargs)


def _of_math(name: str, *, is_complex: bool) -> Callable[[Any, Any], Any]:
    def traced(args: Any, kwargs: Any) -> Any:
        if name in _MATH_SPECIAL:
            return calls.call_special(_MATH_SPECIAL[name], args, kwargs)
        if is_complex:
            args = tuple(cast(a, complex) if isinstance(a, Traced) else a for a in args)
        if name == "log" and len(args) == 2:
            return calls.call("log", args[:1]) / calls.call("log", (args[1] + 0.0,))
        if name in ("polar", "rect"):
            found = list(traced_in(args))
            values = [a.value if isinstance(a, Traced) else a for a in args]
            if name == "polar":
                return result(found, (jnp.abs(values[0]), jnp.angle(values[0])))
            return result(found, values[0].real * jnp.exp(1j * values[1].real))
        return calls.call(_MATH.get(name, name), args, kwargs)

    return traced


@lru_cache(maxsize=2)
def _known(with_torch: bool, with_numexpr: bool) -> dict[int, tuple[Any, Any]]:
    """Return the stand-ins of all functions that are replaced, by the address of the function."""
    table: dict[int, tuple[Any, Any]] = {}

    def add(real: Any, path: str, traced: Callable[[Any, Any], Any]) -> None:
        table.setdefault(id(real), (real, FunctionStandIn(real, path, traced)))

    for home, module in {"": np, "linalg.": np.linalg, "fft.": np.fft, "emath.": np.emath}.items():
        for name in dir(module):
            value = getattr(module, name)
            if isinstance(value, np.ufunc) or (callable(value) and not isinstance(value, type) and name[0] != "_"):
                add(value, f"numpy.{home}{name}", _of_numpy(home + name))
    for name in dir(scipy.special):
        value = getattr(scipy.special, name)
        if callable(value) and not isinstance(value, type) and name[0] != "_":
            add(value, f"scipy.special.{name}", _of_special(name))
    for module in (math, cmath):
        for name in dir(module):
            value = getattr(module, name)
            if callable(value) and name[0] != "_":
                add(value, f"{module.__name__}.{name}", _of_math(name, is_complex=module is cmath))
    add(to_contiguous, "to_contiguous", lambda args, kwargs: tables.contiguous(*args, **kwargs))
    add(pandas_to_numpy, "pandas_to_numpy", lambda args, kwargs: tables.structured(*args, **kwargs))
    for real, _path, replacement in [
        *(expressions.replacements(sys.modules["numexpr"]) if with_numexpr else []),
        *(tensors.replacements(sys.modules["torch"]) if with_torch else []),
    ]:
        table[id(real)] = (real, replacement)
    return table


def stand_in(value: Any) -> Any:
    """Return what stands for a module, function or type in the user's code; the thing itself where nothing must."""
    if isinstance(value, ModuleType):
        root = value.__name__.split(".")[0]
        whole = root in ("math", "cmath", "numexpr", "jaxpwa_compat", "PyPWA") or value.__name__ in _MODULES
        return ModuleStandIn(value) if whole else value
    if value in _POLYNOMIALS if isinstance(value, type) else type(value) in _POLYNOMIALS:
        return PolynomialStandIn(value)
    if isinstance(value, splines.KINDS):
        return splines.Spline(value)
    if isinstance(value, type) and issubclass(value, splines.KINDS):
        return lambda *args, **kwargs: splines.Spline(value(*args, **kwargs))
    if value is np.c_ or value is np.r_:
        return Joiner(value, "column_stack" if value is np.c_ else "hstack")
    if value is np.vectorize:
        return lambda function, **options: Elementwise(function, options)
    if isinstance(value, type):
        is_number = value in (float, complex, np.ndarray) or issubclass(value, np.number)
        return TypeOfNumbers(value) if is_number else value
    if callable(value):
        found = _known("torch" in sys.modules, "numexpr" in sys.modules).get(id(value))
        if found is not None and found[0] is value:
            return found[1]
    return value


_MODULES = {
    "numpy", "numpy.lib", "numpy.linalg", "numpy.fft", "numpy.emath", "numpy.lib.scimath", "scipy", "scipy.special",
    "numpy.polynomial", *(f"numpy.polynomial.{kind.__module__.rsplit('.', 1)[-1]}" for kind in _POLYNOMIALS),
    "scipy.interpolate", "jax.numpy", "jax.numpy.linalg", "jax.scipy.special", "jax.nn", "jax.lax",
    "torch", "torch.linalg", "torch.special", "torch.cuda",
}  # fmt: skip
