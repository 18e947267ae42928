"""Stand-ins for torch's tensors. torch itself is not imported here: it is used where the user's code has done so."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

import jax.numpy as jnp

from jaxpwa_compat.parts import is_tensor
from jaxpwa_compat.porting import calls
from jaxpwa_compat.porting.torch_functions import FUNCTIONS
from jaxpwa_compat.porting.trace import current, note, refuse
from jaxpwa_compat.porting.traced import Face, TracedArray
from jaxpwa_compat.porting.values import StandIn, Traced, result, traced_in, unwrap

_IGNORED = ("device", "layout", "pin_memory", "requires_grad", "non_blocking", "memory_format", "copy", "out", "input")
_TYPES = {
    "double": "float64", "float": "float32", "half": "float16", "cdouble": "complex128", "cfloat": "complex64",
    "int": "int32", "long": "int64", "bool": "bool",
}  # fmt: skip
_SAME = (
    "cpu cuda detach clone contiguous requires_grad_ resolve_conj resolve_neg data coalesce pin_memory share_memory_ "
    "retain_grad detach_"
).split()
_IN_PLACE = (
    "Tensors can't be changed in place: use what the function without underscore returns, torch.where, or torch.stack "
    "of a list."
)
_ORDERED = ("sort", "argsort", "topk", "cummax", "cummin", "median", "flip", "roll", "unique", "histc", "quantile")


def _torch() -> Any:
    return sys.modules["torch"]


def _dtype_name(dtype: Any) -> str:
    return str(np.dtype(unwrap(dtype))) if not str(dtype).startswith("torch.") else str(dtype).removeprefix("torch.")


def _cast(x: Traced, name: str) -> Any:
    array = x.value
    if jnp.iscomplexobj(array) and not name.startswith(("complex", "bool")):
        array = jnp.real(array)
    return result((TracedTensor(x.value),), array.astype(name))


class TracedTensor(Face):
    """The stand-in for tensors."""

    __slots__ = ()
    precedence = 1

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        return calls.ufunc(ufunc, method, tuple(unwrap(i) if is_tensor(i) else i for i in inputs), out, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return calls.function(function, args, kwargs)

    @property
    def dtype(self) -> Any:
        """Type of the elements, torch's."""
        return getattr(_torch(), str(self.value.dtype))

    @property
    def shape(self) -> Any:
        """Lengths of the axes, as torch gives them."""
        return _torch().Size(self.value.shape)

    @property
    def device(self) -> Any:
        """The CPU: where the values really are is up to JAX."""
        return _torch().device("cpu")

    @property
    def is_cuda(self) -> bool:
        """False: devices are JAX's affair."""
        return False

    @property
    def requires_grad(self) -> bool:
        """False: gradients are JAX's affair."""
        return False

    def size(self, dim: int | None = None) -> Any:
        """Return the lengths of the axes, or of one."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Return the number of axes."""
        return self.value.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self.value.size

    def is_complex(self) -> bool:
        """Tell whether the elements are complex."""
        return bool(jnp.iscomplexobj(self.value))

    def numpy(self, **_: Any) -> TracedArray:
        """Return the values with the face of a numpy array."""
        return TracedArray(self.value)

    def to(self, *target: Any, dtype: Any = None, **_: Any) -> Any:
        """Return the values in another type; devices are ignored."""
        for part in (*target, dtype):
            if isinstance(part, TracedTensor) or is_tensor(part):
                part = part.dtype
            if str(part).startswith("torch."):
                return _cast(self, _dtype_name(part))
        return self

    def type(self, dtype: Any = None) -> Any:
        """Return the values in another type."""
        return self.to(dtype)

    def backward(self, *_: Any, **__: Any) -> Any:
        """Refuse: derivatives are JAX's affair."""
        refuse("torch is asked for derivatives", "Leave them out: jaxpwa has exact ones of the whole likelihood.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(_torch().Tensor, name):
            msg = f"tensors have no attribute {name!r}"
            raise AttributeError(msg)
        if name in _SAME:
            return self if name == "data" else lambda *_, **__: self
        if name in _TYPES:
            return lambda *_, **__: _cast(self, _TYPES[name])
        return lambda *args, **kwargs: call(name, (self, *args), kwargs)


def _torch_function(cls: Any, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    return call(getattr(function, "__name__", str(function)), args, kwargs or {})


# torch looks for this on everything that it is given; with arrays of numpy's kind it calculates too.
Face.__torch_function__ = classmethod(_torch_function)  # type: ignore[attr-defined]


def call(name: str, args: Any, kwargs: Any) -> Any:
    """Call a function of torch, or a method of tensors, with stand-ins among the arguments.

    Raises
    ------
    PortingError
        If there is no such function here, or it changes a tensor in place.
    """
    bare = name.strip("_") if name.startswith("__") else name.removeprefix("special_").removeprefix("linalg_")
    if bare in ("setitem", "delitem") or bare.endswith("_") or kwargs.get("out") is not None:
        refuse(f"torch's {name} changes a tensor in place", _IN_PLACE)
    note(f"torch.{bare}")
    # `total += x` of a tensor arrives here; Python binds the name to what is returned.
    bare = bare[1:] if bare in ("iadd", "isub", "imul", "idiv", "itruediv", "ipow") else bare
    args = (kwargs["input"], *args) if "input" in kwargs else args
    if "other" in kwargs:
        args = (*args, kwargs["other"])
    kwargs = {key: value for key, value in kwargs.items() if key not in (*_IGNORED, "other")}
    found = [TracedTensor(i.value) for i in traced_in([args, kwargs])]
    if bare in ("abs", "absolute", "pow", "rpow", "square", "getitem"):
        return _with_modulus(bare, args, found)
    function = FUNCTIONS.get(bare)
    if function is None or (bare in ("max", "min", "sort")):
        order = " puts events in order" if bare in _ORDERED else " has no counterpart here"
        refuse(
            f"torch.{bare}{order}", "Write it with other functions of torch on whole tensors, or compute it beforehand."
        )
    options: dict[Any, Any] = {
        {"dim": "axis", "keepdim": "keepdims"}.get(key, key): value for key, value in unwrap(kwargs).items()
    }
    if "dtype" in options:
        options["dtype"] = _dtype_name(options["dtype"])
    if bare in ("cumsum", "cumprod") and any(current().starts_with_events(f.value) for f in found):
        refuse(f"torch.{bare} works along the events", calls.EVENT_BY_EVENT)
    return result(found, function(*unwrap(list(args)), **options))


def _with_modulus(name: str, args: Any, found: Sequence[Traced]) -> Any:
    """Do what knows of squares of moduli, and indexing."""
    first = args[0] if isinstance(args[0], Traced) else TracedTensor(jnp.asarray(unwrap(args[0])))
    if name == "getitem":
        return calls.take(TracedTensor(first.value), args[1])
    if name in ("abs", "absolute"):
        return calls.modulus(TracedTensor(first.value))
    if name == "rpow":
        return result(found, jnp.power(*unwrap([args[1], args[0]])))
    exponent = 2 if name == "square" else args[1]
    return calls.power(TracedTensor(first.value, first.squared), unwrap(exponent))


def _made(args: Any, kwargs: Any) -> Any:
    """Make a tensor of values that depend on events or parameters."""
    data = args[0] if args else kwargs["data" if "data" in kwargs else "obj"]
    tensor = TracedTensor(jnp.asarray(unwrap(data)) if isinstance(data, Traced) else jnp.array(unwrap(data)))
    dtype = kwargs.get("dtype")
    if dtype is not None:
        return _cast(tensor, _dtype_name(dtype))
    # torch makes single precision of Python's numbers; the port keeps them as they are.
    if not isinstance(data, Traced) or not data.value.ndim:
        current().is_single = current().is_single or str(_torch().get_default_dtype()) == "torch.float32"
    return tensor


class TorchFunction(StandIn):
    """Stands for one function of torch."""

    def __init__(self, real: Any, traced: Callable[[Any, Any], Any]):
        self._real = real
        self._traced = traced
        self.__name__ = real.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, or its counterpart in JAX."""
        if any(True for _ in traced_in([args, kwargs])):
            note(f"torch.{self.__name__}")
            return self._traced(args, kwargs)
        plain = {key: unwrap(value) if isinstance(value, StandIn) else value for key, value in kwargs.items()}
        return self._real(*args, **plain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def replacements(torch: Any) -> list[tuple[Any, str, Any]]:
    """Return what stands for torch's functions that do not ask stand-ins themselves."""
    table: list[tuple[Any, str, Any]] = []
    for name in ("from_numpy", "tensor", "as_tensor", "asarray"):
        table.append((getattr(torch, name), name, TorchFunction(getattr(torch, name), _made)))
    for name in FUNCTIONS:
        real = getattr(torch, name, None)
        if real is not None and callable(real) and not isinstance(real, type):
            table.append((real, name, TorchFunction(real, lambda a, k, _name=name: call(_name, a, k))))
    return table


@lru_cache(maxsize=1)
def _host_mode(torch: Any) -> Any:
    def on_host(value: Any) -> Any:
        kind = value.type if isinstance(value, torch.device) else value if isinstance(value, str) else ""
        return torch.device("cpu") if kind.split(":")[0] in ("cuda", "mps", "xpu") else value

    class OnHost(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.Tensor.cuda:
                return args[0]
            return func(*map(on_host, args), **{key: on_host(value) for key, value in (kwargs or {}).items()})

    return OnHost


@contextmanager
def on_this_machine() -> Iterator[None]:
    """Send torch to the CPU where there is no CUDA device, so that amplitudes written for one can be run."""
    torch = sys.modules.get("torch")
    if torch is None or torch.cuda.is_available():
        yield
        return
    mode: AbstractContextManager[Any] = _host_mode(torch)()
    with mode:
        yield
