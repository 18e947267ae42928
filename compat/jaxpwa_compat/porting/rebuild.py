"""Fresh copies of the user's objects, classes and functions whose global names lead to stand-ins."""

import builtins
import copy
import functools
import sys
import sysconfig
from abc import ABCMeta
from collections.abc import Callable
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from jaxpwa_compat.amplitudes import NestedFunction
from jaxpwa_compat.porting.stand_ins import SHADOWED, Elementwise, stand_in
from jaxpwa_compat.porting.trace import USER_CODE
from jaxpwa_compat.porting.values import StandIn

_LIBRARIES = {
    "jaxpwa", "jaxpwa_compat", "jax", "jaxlib", "numpy", "scipy", "pandas", "torch", "numexpr", "equinox", "PyPWA",
    "builtins", "abc", "typing", "matplotlib", "iminuit",
}  # fmt: skip
_LIBRARY_PATHS = tuple({sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")})
_LEFT_OUT = ("__dict__", "__weakref__")


class ModuleView:
    """Stands for a module of the user's: what is read from it is rebuilt.

    Parameters
    ----------
    module
        The module itself.
    rebuild
        Rebuilds a value.
    """

    def __init__(self, module: ModuleType, rebuild: Callable[[Any], Any]):
        self._module = module
        self._rebuild = rebuild

    def __getattr__(self, name: str) -> Any:
        return self._rebuild(getattr(self._module, name))


class Rebuilder:
    """Copies an object with everything of the user's that it refers to; one copy per thing.

    Parameters
    ----------
    home
        Top-level package of the user's class: its code counts as the user's wherever it is installed.
    """

    def __init__(self, home: str):
        self._home = None if home in _LIBRARIES else home
        self._done: dict[int, tuple[Any, Any]] = {}
        self._globals: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._waiting: list[Callable[[], None]] = []
        self._depth = 0

    def __call__(self, value: Any) -> Any:
        """Return a copy of a value."""
        self._depth += 1
        try:
            copied = self._copy(value)
            while self._depth == 1 and self._waiting:
                self._waiting.pop()()
        finally:
            self._depth -= 1
        return copied

    def _keep(self, value: Any, copied: Any) -> Any:
        self._done[id(value)] = (value, copied)
        return copied

    def _copy(self, value: Any) -> Any:
        if id(value) in self._done:
            return self._done[id(value)][1]
        if isinstance(value, StandIn) and not isinstance(value, Elementwise):
            return value
        if isinstance(value, (str, bytes, int, float, complex, type(None))):
            return value
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value) if self._is_users_class(value) else stand_in(value)
        if isinstance(value, ModuleType):
            replaced = stand_in(value)
            own = replaced is value and self._is_users(value.__name__, getattr(value, "__file__", None))
            return self._keep(value, ModuleView(value, self)) if own else replaced
        if isinstance(value, ModuleView):
            return self._keep(value, ModuleView(value._module, self))
        return self._instance(value)

    def _instance(self, value: Any) -> Any:
        replaced = stand_in(value)
        if replaced is not value or isinstance(value, BuiltinFunctionType):
            return replaced
        kind = type(value)
        if kind is np.ndarray:
            return self._keep(value, value.copy() if value.dtype.kind != "O" else copy.deepcopy(value))
        if kind in (list, dict, set):
            return self._container(value)
        if kind in (tuple, frozenset):
            return self._keep(value, kind(self(part) for part in value))
        if kind is MethodType:
            return MethodType(self(value.__func__), self(value.__self__))
        if kind in (staticmethod, classmethod):
            return self._keep(value, kind(self(value.__func__)))
        if kind is property:
            return self._keep(value, property(self(value.fget), self(value.fset), self(value.fdel), value.__doc__))
        if kind is functools.partial:
            return self._keep(value, functools.partial(self(value.func), *self(value.args), **self(value.keywords)))
        if kind is functools.cached_property:
            copied = functools.cached_property(self(value.func))
            copied.attrname = value.attrname
            return self._keep(value, copied)
        if kind is np.vectorize:
            options = {"otypes": value.otypes, "excluded": value.excluded, "signature": value.signature}
            return self._keep(value, Elementwise(self(value.pyfunc), options))
        if kind is Elementwise:
            return self._keep(value, Elementwise(self(value.function), value.options))
        inner = self._wrapped(value)
        if inner is not None:
            return self._keep(value, self(inner))
        if self._is_users_class(kind) or isinstance(value, NestedFunction):
            return self._object(value)
        try:
            return self._keep(value, copy.deepcopy(value))
        except Exception:  # what can't be copied (a lock, an open file, a module's C object) is shared
            return self._keep(value, value)

    @staticmethod
    def _wrapped(value: Any) -> Any:
        """Return the function inside a cache or numba, which would not let stand-ins through."""
        if isinstance(value, functools._lru_cache_wrapper):
            return value.__wrapped__
        inner = getattr(type(value), "py_func", None) and value.py_func
        return inner if isinstance(inner, FunctionType) else None

    def _container(self, value: Any) -> Any:
        copied = self._keep(value, type(value)())
        if isinstance(value, dict):
            copied.update({self(key): self(part) for key, part in value.items()})
        elif isinstance(value, list):
            copied.extend(self(part) for part in value)
        else:
            copied.update(self(part) for part in value)
        return copied

    def _object(self, value: Any) -> Any:
        kind = self._class(type(value)) if self._is_users_class(type(value)) else type(value)
        try:
            copied = self._keep(value, object.__new__(kind))
        except TypeError:  # a subclass of dict, list and the like
            copied = self._keep(value, copy.copy(value))
        for base in type(value).__mro__:
            slots = vars(base).get("__slots__", ())
            for name in _attribute_names(base, slots):
                if name not in _LEFT_OUT and hasattr(value, name):
                    object.__setattr__(copied, name, self(getattr(value, name)))
        if hasattr(value, "__dict__"):
            vars(copied).update({name: self(part) for name, part in vars(value).items()})
        return copied

    def _is_users(self, module: str, path: str | None) -> bool:
        """Tell the user's modules from libraries: those of the class's own package, and what is not installed."""
        root = module.split(".")[0]
        if root == self._home:
            return True
        if root in _LIBRARIES or root in sys.stdlib_module_names:
            return False
        return root == "__main__" or (path is not None and not str(Path(path)).startswith(_LIBRARY_PATHS))

    def _is_users_class(self, kind: type) -> bool:
        module = getattr(kind, "__module__", "")
        path = getattr(sys.modules.get(module), "__file__", None)
        return (
            type(kind) in (type, ABCMeta)
            and not issubclass(kind, (BaseException, tuple))
            and (self._is_users(module, path))
        )

    def _class(self, kind: type) -> type:
        if id(kind) in self._done:
            return self._done[id(kind)][1]
        bases = tuple(self._class(base) if self._is_users_class(base) else base for base in kind.__bases__)
        left_out = {*_LEFT_OUT, *_attribute_names(kind, vars(kind).get("__slots__", ()))}
        abstract = ("_abc_impl", "__abstractmethods__")
        namespace = {name: part for name, part in vars(kind).items() if name not in left_out and name not in abstract}
        copied = self._keep(kind, type(kind)(kind.__name__, bases, {
            name: part for name, part in namespace.items() if name in ("__slots__", "__module__", "__qualname__")
        }))  # fmt: skip
        for name, part in namespace.items():
            if name not in ("__slots__", "__module__", "__qualname__", "__doc__"):
                setattr(copied, name, self(part))
        if isinstance(kind, ABCMeta):
            copied.__abstractmethods__ = kind.__abstractmethods__  # type: ignore[attr-defined]
        return copied

    def _function(self, function: FunctionType) -> Any:
        replaced = stand_in(function)
        code = function.__code__
        if replaced is not function:
            return replaced
        if not self._is_users(function.__module__ or "", code.co_filename):
            return function
        names = self._namespace(function)
        cells = tuple(self._cell(cell) for cell in function.__closure__ or ())
        copied = self._keep(function, FunctionType(code, names, function.__name__, None, cells))
        copied.__qualname__, copied.__module__ = function.__qualname__, function.__module__
        self._waiting.append(lambda: self._finish(function, copied))
        return copied

    def _finish(self, function: FunctionType, copied: FunctionType) -> None:
        """Rebuild what a function refers to, once the classes that it may refer to exist."""
        copied.__defaults__ = self(function.__defaults__)
        copied.__kwdefaults__ = self(function.__kwdefaults__)
        vars(copied).update({k: self(v) for k, v in vars(function).items() if k != "__wrapped__"})
        original, names = function.__globals__, copied.__globals__
        for name in _names(function.__code__):
            if name in original:
                names[name] = self(original[name])

    def _namespace(self, function: FunctionType) -> dict[str, Any]:
        original = function.__globals__
        if id(original) not in self._globals:
            builtin = {**vars(builtins), **SHADOWED, "__import__": lambda *a, **k: self(builtins.__import__(*a, **k))}
            self._globals[id(original)] = (original, {**original, USER_CODE: True, "__builtins__": builtin})
        return self._globals[id(original)][1]

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) in self._done:
            return self._done[id(cell)][1]
        copied = self._keep(cell, CellType())

        def fill() -> None:
            try:
                copied.cell_contents = self(cell.cell_contents)
            except ValueError:  # an empty cell
                return

        self._waiting.append(fill)
        return copied


def _attribute_names(kind: type, slots: Any) -> list[str]:
    """Return the names under which slots are found: private ones carry the name of their class."""
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    owner = kind.__name__.lstrip("_")
    return [f"_{owner}{n}" if n.startswith("__") and not n.endswith("__") else n for n in names]


def _names(code: CodeType) -> set[str]:
    """Return the global names that code refers to, functions inside it included."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
