"""Torch, the one place that imports it: histories for gradients, and tensors to and from JAX through DLPack."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxpwa_compat.parts import is_tensor


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        msg = "an amplitude with USE_TORCH = True needs the package 'torch': pip install 'jaxpwa[torch]'."
        raise ModuleNotFoundError(msg) from None
    return torch


@contextmanager
def no_history() -> Iterator[None]:
    """Let torch compute without keeping what a gradient would need."""
    with _torch().no_grad():
        yield


def with_history(calculate: Callable[[Any], Any], params: Any) -> tuple[Any, list[Any]]:
    """Call a function with its parameters as tensors that remember.

    Parameters
    ----------
    calculate
        Function of the parameters.
    params
        Dict of numbers, whose values become scalar tensors of float64, or an array, which becomes one tensor.

    Returns
    -------
    The result, and the tensors whose gradient can be asked for.

    Raises
    ------
    TypeError
        If the result does not depend on the parameters by operations that torch has followed.
    """
    torch = _torch()
    if isinstance(params, Mapping):
        given: Any = {k: torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for k, v in params.items()}
        leaves = list(given.values())
    else:
        given = torch.tensor(np.asarray(params, np.float64), requires_grad=True)
        leaves = [given]
    with warnings.catch_warnings(), torch.enable_grad():
        # A parameter taken out as a number is found by comparing the gradient with differences.
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True to a scalar")
        result = calculate(given)
    if not getattr(result, "requires_grad", False):
        msg = "the result does not depend on the parameters by operations that torch follows"
        raise TypeError(msg)
    return result, leaves


def pull_back(result: Any, leaves: list[Any], slopes: Any) -> np.ndarray:
    """Return the gradient ``(parameters,)``, float64, of ``sum(slopes * result)`` with respect to the leaves."""
    torch = _torch()
    if not is_tensor(slopes):
        slopes = torch.from_dlpack(slopes)
    slopes = slopes[: result.shape[0]].to(device=result.device, dtype=result.dtype)
    found = torch.autograd.grad(result, leaves, grad_outputs=slopes, allow_unused=True)
    parts = [np.zeros(leaf.numel()) if g is None else g.detach().cpu().numpy() for g, leaf in zip(found, leaves)]  # noqa: B905
    return np.concatenate([np.asarray(p, np.float64).ravel() for p in parts])


def real(tensor: Any, who: str) -> Any:
    """Return a tensor of float64 or float32 without pending views; whole numbers and bool become float64.

    Raises
    ------
    TypeError
        If it is complex.
    """
    torch = _torch()
    if tensor.is_complex():
        msg = f"{who} must return real intensities, got {tensor.dtype}: take abs(amplitude)**2."
        raise TypeError(msg)
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.dtype not in (torch.float64, torch.float32):
        tensor = tensor.to(torch.float64 if tensor.device.type != "mps" else torch.float32)
    return tensor


def to_jax_array(tensor: Any) -> Any:
    """Hand a tensor to JAX: the same memory where both can use the device, else through the host.

    Warns
    -----
    jaxpwa.PerformanceWarning
        If the events have to go through the host.
    """
    from jax import dlpack

    import jaxpwa

    tensor = tensor.contiguous()
    if tensor.device.type in ("cpu", "cuda"):
        try:
            return dlpack.from_dlpack(tensor)
        except (RuntimeError, ValueError, TypeError, BufferError) as error:
            if tensor.device.type == "cpu":
                return tensor.numpy()
            reason = str(error).split("\n")[0]
    else:
        reason = "JAX can't use its memory"
    msg = (
        f"intensities on torch's device {str(tensor.device)!r} go to JAX through the host at every call ({reason}). "
        "A JAX with support for this device avoids the copies."
    )
    warnings.warn(msg, jaxpwa.PerformanceWarning, stacklevel=2)
    return tensor.cpu().numpy()
