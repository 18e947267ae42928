"""Expressions in strings, as numexpr takes them, compiled to JAX by their syntax tree."""

import ast
import operator
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from jaxpwa_compat.porting import calls
from jaxpwa_compat.porting.trace import current, note, refuse
from jaxpwa_compat.porting.values import StandIn, Traced, cast, traced_in, unwrap

_ADVICE = "Write it with numpy functions, or as an expression that numexpr and JAX both know."
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert,
}  # fmt: skip
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_SAME_NAME = set(
    "where sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh hypot log log1p log10 log2 "
    "exp expm1 sqrt floor ceil trunc round sign fmod maximum minimum isnan isfinite isinf signbit copysign nextafter "
    "ones_like".split()
)
_REDUCTIONS = {"sum": "sum", "prod": "prod", "min": "min", "max": "max"}


def _numpy(name: str, *args: Any, **kwargs: Any) -> Any:
    if any(True for _ in traced_in(args)):
        return calls.call(name, args, kwargs)
    return getattr(np, name)(*args, **kwargs)


def _as_complex(value: Any) -> Any:
    return cast(value, complex) if isinstance(value, Traced) else np.asarray(value, complex)


def _modulus(value: Any) -> Any:
    """Return the modulus: of complex numbers a complex one, of whole numbers a floating-point one, as numexpr does."""
    kind = np.dtype(getattr(value, "dtype", float)).kind
    return _as_complex(abs(value)) if kind == "c" else abs(value) * 1.0


_OWN: dict[str, Callable[..., Any]] = {
    "abs": _modulus, "absolute": _modulus, "complex": lambda re, im: _as_complex(re) + 1j * im,
    "real": lambda z: _as_complex(z).real, "imag": lambda z: _as_complex(z).imag,
    "fmod": lambda a, b: _numpy("fmod", a * 1.0, b * 1.0),
    "conj": lambda z: _numpy("conj", _as_complex(z)),
}  # fmt: skip


@lru_cache(maxsize=512)
def _tree(expression: str) -> ast.expr:
    return ast.parse(expression.strip(), mode="eval").body


@lru_cache(maxsize=512)
def _names(expression: str) -> tuple[str, ...]:
    """Return the variables of an expression in alphabetical order, as numexpr does."""
    tree = _tree(expression)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
    return tuple(sorted(names))


def compiled(expression: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression by walking its syntax tree.

    Parameters
    ----------
    expression
        In numexpr's language.
    variables
        Stand-ins, arrays and numbers by name.

    Raises
    ------
    PortingError
        If it has something that numexpr's language does not have in JAX.
    """

    def walk(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, complex)):
            return node.value
        if isinstance(node, ast.Name):
            return variables[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return _BINARY[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            return _UNARY[type(node.op)](walk(node.operand))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            return _COMPARE[type(node.ops[0])](walk(node.left), walk(node.comparators[0]))
        if isinstance(node, ast.Attribute) and node.attr in ("real", "imag"):
            return _OWN[node.attr](walk(node.value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return called(node.func.id, node)
        refuse(f"numexpr expression {expression!r}: {ast.unparse(node)!r} has no counterpart in JAX", _ADVICE)

    def called(name: str, node: ast.Call) -> Any:
        args = [walk(arg) for arg in node.args]
        if name in _OWN and not node.keywords:
            return _OWN[name](*args)
        if name in _SAME_NAME and not node.keywords:
            return _numpy(name, *args)
        if name in _REDUCTIONS:
            return _numpy(_REDUCTIONS[name], *args, **{str(k.arg): walk(k.value) for k in node.keywords})
        refuse(f"numexpr expression {expression!r}: {ast.unparse(node)!r} has no counterpart in JAX", _ADVICE)

    return walk(_tree(expression))


def _variables(expression: str, local_dict: Any, global_dict: Any, frame: Any) -> dict[str, Any]:
    """Find the values of an expression's names where numexpr looks: the first dict, then the second."""
    first = frame.f_locals if local_dict is None else local_dict
    second = frame.f_globals if global_dict is None else global_dict
    return {name: first[name] if name in first else second[name] for name in _names(expression)}


class Evaluate(StandIn):
    """Stands for `numexpr.evaluate`, `numexpr.re_evaluate` and `numexpr.validate`.

    Parameters
    ----------
    real
        The function of numexpr.
    """

    def __init__(self, real: Any):
        self._real = real
        self.__name__ = real.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate an expression with the variables of the calling frame, or those given."""
        name = self.__name__
        if name == "re_evaluate":
            expression = current().expression
            names = ("local_dict", "global_dict")
        else:
            expression, args = (args[0], args[1:]) if args else (kwargs.pop("ex"), ())
            names = ("local_dict", "global_dict", "out", "order", "casting")
        options = {**dict(zip(names, args, strict=False)), **kwargs}
        dicts = options.pop("local_dict", None), options.pop("global_dict", None)
        if not isinstance(expression, str):
            refuse(f"numexpr.{name} is given no string", "Pass the expression as a string.")
        variables = _variables(expression, *dicts, sys._getframe(1))
        current().expression = expression
        if not any(True for _ in traced_in(variables)):
            values = {key: unwrap(value) for key, value in variables.items()}
            return self._real(*([] if name == "re_evaluate" else [expression]), values, {}, **options)
        if options.get("out") is not None:
            refuse("numexpr.evaluate writes its result into an array", "Use the value that it returns, without out=.")
        note(f"numexpr {expression!r}")
        return None if name == "validate" else compiled(expression, variables)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Expression(StandIn):
    """Stands for `numexpr.NumExpr`: an expression compiled beforehand, called with its variables in order."""

    def __init__(self, real: Any):
        self._real = real
        self.__name__ = "NumExpr"

    def __call__(self, ex: Any, signature: Any = (), **options: Any) -> Callable[..., Any]:
        """Compile an expression."""
        real = self._real(ex, signature, **options)
        names = tuple(name for name, _ in signature) or _names(ex)

        def evaluate(*args: Any, **kwargs: Any) -> Any:
            if not any(True for _ in traced_in(args)):
                return real(*args, **kwargs)
            note(f"numexpr {ex!r}")
            return compiled(ex, dict(zip(names, args, strict=True)))

        return evaluate


def replacements(numexpr: Any) -> list[tuple[Any, str, Any]]:
    """Return what stands for numexpr's functions."""
    table = [(getattr(numexpr, name), name, Evaluate(getattr(numexpr, name))) for name in ("evaluate", "re_evaluate")]
    table.append((numexpr.validate, "validate", Evaluate(numexpr.validate)))
    return [*table, (numexpr.NumExpr, "NumExpr", Expression(numexpr.NumExpr))]
