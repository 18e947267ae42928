"""One copy of an amplitude with its block of events; runs in this process, in a thread or in a worker process."""

import sys
from typing import Any

import numpy as np

from jaxpwa_compat.habits import explain


def name_of(amplitude: Any) -> str:
    """Return what messages call an amplitude."""
    return type(amplitude).__name__


def tensor_type() -> type | None:
    """Return `torch.Tensor` where somebody has imported torch."""
    return getattr(sys.modules.get("torch"), "Tensor", None)


def is_tensor(values: Any) -> bool:
    """Tell whether this is a tensor of torch itself, without importing torch."""
    kind = tensor_type()
    return kind is not None and isinstance(values, kind)


class Part:
    """An amplitude that is set up with its block.

    Parameters
    ----------
    amplitude
        The copy that belongs to this part; `setup` is called once, here.
    block
        Its events.
    n_events
        How many.
    number
        Number of the part, set as ``THREAD``.
    any_shape
        Whether `calculate` may return something else than one value per event.

    Attributes
    ----------
    why_no_gradient
        Reason, once a gradient was asked for and could not be had.
    """

    def __init__(self, amplitude: Any, block: Any, n_events: int, number: int, any_shape: bool = False):
        self.amplitude = amplitude
        self.n_events = n_events
        self.any_shape = any_shape
        self.why_no_gradient = ""
        self._graph: Any = None
        amplitude.THREAD = number
        try:
            amplitude.setup(block)
        except Exception as error:
            raise explain(error)  # noqa: B904

    def values(self, params: Any, keep: bool = False) -> Any:
        """Return the intensities ``(events,)``: a real numpy array, or a real torch tensor without history.

        Parameters
        ----------
        params
            Goes to `calculate` as it is.
        keep
            Whether `pullback` will follow (torch only).

        Raises
        ------
        TypeError, ValueError
            If they are not one real number per event.
        """
        self._graph = None
        if self.amplitude.USE_TORCH:
            from jaxpwa_compat import tensors

            if keep and not self.why_no_gradient:
                try:
                    result, leaves = tensors.with_history(self._calculate, params)
                    self._graph = self._checked(result), leaves
                    return self._graph[0].detach()
                except Exception as error:  # whatever user code raises when given tensors for numbers
                    self.why_no_gradient = f"{type(error).__name__}: {error}"
            with tensors.no_history():
                result = self._calculate(params)
            if not is_tensor(result):
                msg = (
                    f"{name_of(self.amplitude)} has USE_TORCH = True, so calculate must return a torch tensor, "
                    f"got {type(result).__name__}. Set USE_TORCH = False for numpy."
                )
                raise TypeError(msg)
            return self._checked(result).detach()
        return self._checked(self._calculate(params))

    def pullback(self, slopes: Any) -> np.ndarray:
        """Return the gradient ``(parameters,)`` of ``sum(slopes * values)``; NaN where there is none."""
        from jaxpwa_compat import tensors

        if self._graph is None:
            return np.full(1, np.nan)
        (result, leaves), self._graph = self._graph, None
        return tensors.pull_back(result, leaves, slopes)

    def _calculate(self, params: Any) -> Any:
        try:
            return self.amplitude.calculate(params)
        except Exception as error:
            raise explain(error)  # noqa: B904

    def _checked(self, result: Any) -> Any:
        """Refuse anything but one real number per event."""
        who = f"{name_of(self.amplitude)}.calculate"
        if is_tensor(result):
            from jaxpwa_compat import tensors

            result = tensors.real(result, who)
        else:
            result = np.asarray(result.to_numpy() if hasattr(result, "to_numpy") else result)
            if result.dtype.kind == "c":
                msg = f"{who} must return real intensities, got {result.dtype}: take abs(amplitude)**2."
                raise TypeError(msg)
            if result.dtype.kind not in "fiub":
                msg = f"{who} must return real numbers, got {result.dtype} ({type(result).__name__})."
                raise TypeError(msg)
        if self.any_shape and tuple(result.shape) != (self.n_events,):
            return self._as_sum(result)
        if tuple(result.shape) != (self.n_events,):
            hint = " Is there a sum over events in it?" if tuple(result.shape) == () else ""
            msg = (
                f"{who} must return one value per event, shape ({self.n_events},), got shape "
                f"{tuple(result.shape)}.{hint}"
            )
            raise ValueError(msg)
        return result

    def _as_sum(self, result: Any) -> Any:
        """Return values ``(events,)`` of the same sum: it in the first place, then zeros."""
        if is_tensor(result):
            return result.new_zeros(self.n_events).index_add(0, result.new_zeros(1).long(), result.sum().reshape(1))
        out = np.zeros(self.n_events)
        out[0] = np.sum(result, dtype=np.float64)
        return out
