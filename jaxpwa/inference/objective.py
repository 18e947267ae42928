"""A cost as the plain functions of an array that minimisers call, with their calls counted."""

from collections.abc import Callable

import numpy as np

from jaxpwa.inference.cost import Cost

_FEW = 8


class Objective:
    """Value, gradient and Hessian of a bound cost at an array of parameters.

    Where the cost is not finite, minimisers get a finite value well above any seen and no slope: they step
    back, where NaN or infinity would derail them.

    Attributes
    ----------
    n_value, n_gradient, n_hessian
        Calls made so far.
    n_forbidden
        Calls at points where the cost is not finite.
    """

    def __init__(self, cost: Cost, on_call: Callable[[float], object] | None = None):
        self._cost = cost
        self._on_call = on_call
        self._worst = -np.inf
        self._last: dict[int, tuple[bytes, list]] = {}
        self.n_value = self.n_gradient = self.n_hessian = self.n_forbidden = 0

    def _seen(self, value: float, finite: bool) -> float:
        """Return the value to hand on."""
        if not finite:
            self.n_forbidden += 1
            top = self._worst if np.isfinite(self._worst) else 0.0
            value = top + 1.0 + abs(top)
        elif value > self._worst:
            self._worst = value
        if self._on_call is not None:
            self._on_call(value)
        return value

    def _at(self, x: np.ndarray, order: int) -> tuple[list, bool]:
        """Return the cost and its derivatives at ``x``, and whether they had to be computed.

        The last point of each order is kept: stages of a fit hand their end points on.
        """
        x = np.asarray(x, np.float64)
        key = x.tobytes()
        for known_order, (known_key, out) in self._last.items():
            if known_order >= order and known_key == key:
                return out, False
        out = self._cost._compute(x, order)
        self._last[order] = (key, out)
        return out, True

    def value(self, x: np.ndarray) -> float:
        """Return the cost."""
        # A fit needs a value or two: not worth compiling a function for, besides that of value and gradient.
        out, new = self._at(x, 1 if self.n_value < _FEW else 0)
        self.n_value += new
        return self._seen(out[0], bool(np.isfinite(out[0])))

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the cost and its gradient, ``(n,)``."""
        out, new = self._at(x, 1)
        self.n_gradient += new
        value, gradient = out[:2]
        finite = bool(np.isfinite(value) and np.isfinite(gradient).all())
        return self._seen(value, finite), gradient.copy() if finite else np.zeros_like(gradient)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradient, ``(n,)``."""
        return self.value_and_gradient(x)[1]

    def exact(self, x: np.ndarray, order: int) -> list:
        """Return value, gradient and Hessian as far as ``order`` goes, finite or not."""
        out, new = self._at(x, order)
        self.n_gradient += new and order == 1
        self.n_hessian += new and order == 2
        if self._on_call is not None:
            self._on_call(out[0])
        return out[: order + 1]

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Return the Hessian, ``(n, n)``; the unit matrix where it is not finite."""
        matrix = self.exact(x, 2)[2]
        return matrix if np.isfinite(matrix).all() else np.eye(len(matrix))

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian, ``(n,)``."""
        return np.diag(self.hessian(x)).copy()
