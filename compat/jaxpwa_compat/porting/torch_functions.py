"""torch's functions and methods of tensors by name, on JAX values."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp

_SAME_NAME = (
    "sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh asin acos atan asinh acosh atanh atan2 "
    "arctan2 exp exp2 expm1 log log2 log10 log1p sqrt floor ceil trunc sign isnan isinf isfinite real imag angle "
    "maximum minimum fmax fmin remainder fmod hypot logical_and logical_or logical_not logical_xor where deg2rad "
    "rad2deg nan_to_num reciprocal positive negative subtract multiply divide true_divide floor_divide less less_equal "
    "greater greater_equal not_equal bitwise_and bitwise_or bitwise_xor bitwise_not matmul einsum outer inner vdot dot "
    "prod mean any all cumsum cumprod cross heaviside copysign float_power logaddexp sinc diff "
    "zeros_like ones_like full_like broadcast_to moveaxis swapaxes tile tensordot kron sum isclose interp conj square"
).split()
_OTHER_NAME = {
    "neg": "negative", "mul": "multiply", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
    "gt": "greater", "ge": "greater_equal", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "invert": "invert", "mm": "matmul", "mv": "matmul", "bmm": "matmul", "ger": "outer", "mod": "remainder",
    "floordiv": "floor_divide", "conj_physical": "conj", "empty_like": "zeros_like", "round": "round",
    "movedim": "moveaxis", "swapdims": "swapaxes", "concat": "concatenate", "concatenate": "concatenate",
    "cat": "concatenate", "stack": "stack", "hstack": "hstack", "vstack": "vstack", "dstack": "dstack",
    "column_stack": "column_stack", "amax": "max", "amin": "min", "fix": "trunc",
}  # fmt: skip
_SPECIAL = {
    "erf": jsp.erf, "erfc": jsp.erfc, "erfinv": jsp.erfinv, "lgamma": jsp.gammaln, "gammaln": jsp.gammaln,
    "digamma": jsp.digamma, "psi": jsp.digamma, "i0": jsp.i0, "i0e": jsp.i0e, "i1": jsp.i1, "i1e": jsp.i1e,
    "xlogy": jsp.xlogy, "xlog1py": jsp.xlog1py, "sigmoid": jax.nn.sigmoid, "expit": jax.nn.sigmoid, "relu": jax.nn.relu,
    "softplus": jax.nn.softplus, "logit": jsp.logit, "ndtr": jsp.ndtr, "entr": jsp.entr,
}  # fmt: skip


def _shape(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def _expand(x: Any, *sizes: Any) -> Any:
    shape = _shape(sizes)
    old = (1,) * (len(shape) - x.ndim) + x.shape
    return jnp.broadcast_to(x, tuple(o if n == -1 else n for n, o in zip(shape, old, strict=True)))


def _repeat(x: Any, *times: Any) -> Any:
    return jnp.tile(x, _shape(times))


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    end = end_dim % x.ndim
    return jnp.reshape(x, x.shape[:start_dim] + (-1,) + x.shape[end + 1 :])


def _squeeze(x: Any, axis: Any = None) -> Any:
    if axis is None:
        return jnp.squeeze(x)
    axes = [a for a in (axis if isinstance(axis, tuple) else (axis,)) if x.shape[a] == 1]
    return jnp.squeeze(x, tuple(axes))


def _div(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    quotient = jnp.divide(a, b)
    return {None: lambda q: q, "floor": jnp.floor, "trunc": jnp.trunc}[rounding_mode](quotient)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    return jnp.clip(x, min, max)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, p: Any = None) -> Any:
    return jnp.linalg.norm(x, p if ord is None else ord, axis, keepdims)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(jnp, name) for name in _SAME_NAME},
    **{name: getattr(jnp, other) for name, other in _OTHER_NAME.items()},
    **_SPECIAL,
    "add": lambda a, b, alpha=1: a + b if alpha == 1 else a + alpha * b,
    "sub": lambda a, b, alpha=1: a - b if alpha == 1 else a - alpha * b,
    "rsub": lambda a, b: b - a,
    "rdiv": lambda a, b: b / a,
    "rtruediv": lambda a, b: b / a,
    "div": _div,
    "truediv": jnp.divide,
    "rsqrt": lambda x: 1 / jnp.sqrt(x),
    "clamp": _clamp,
    "clip": _clamp,
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "complex": lambda re, im: re + 1j * im,
    "polar": lambda radius, angle: radius * jnp.exp(1j * angle),
    "view_as_complex": lambda x: x[..., 0] + 1j * x[..., 1],
    "view_as_real": lambda z: jnp.stack([jnp.real(z), jnp.imag(z)], -1),
    "unsqueeze": jnp.expand_dims,
    "squeeze": _squeeze,
    "reshape": lambda x, *sizes: jnp.reshape(x, _shape(sizes)),
    "view": lambda x, *sizes: jnp.reshape(x, _shape(sizes)),
    "flatten": _flatten,
    "ravel": jnp.ravel,
    "transpose": jnp.swapaxes,
    "t": lambda x: x.T,
    "permute": lambda x, *axes: jnp.transpose(x, _shape(axes)),
    "expand": _expand,
    "expand_as": lambda x, other: jnp.broadcast_to(x, other.shape),
    "view_as": lambda x, other: jnp.reshape(x, other.shape),
    "repeat": _repeat,
    "masked_fill": lambda x, mask, value: jnp.where(mask, value, x),
    "norm": _norm,
    "vector_norm": _norm,
    "select": lambda x, axis, index: jnp.take(x, index, axis),
    "narrow": lambda x, axis, start, length: jax.lax.slice_in_dim(x, start, start + length, axis=axis),
    "unbind": lambda x, axis=0: tuple(jnp.moveaxis(x, axis, 0)),
}
"""Take JAX values; ``dim`` and ``keepdim`` arrive as ``axis`` and ``keepdims``."""
