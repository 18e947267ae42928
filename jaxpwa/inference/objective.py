"""A cost as the plain functions of an array that minimisers call, with their calls counted."""

import warnings
from collections.abc import Callable

import numpy as np

from jaxpwa._checks import JaxpwaWarning
from jaxpwa.inference.cost import Cost

# A value by the function of value and gradient takes some 10 ns more per event than by its own, whose compilation takes
# 0.1 s or more: worth it from so many values times events on.
_WORTH_COMPILING = 8_000_000
_MOST, _LEAST = 64, 8
# Relative step of the check of a gradient, what it may differ by, and the rounding of float32 intensities.
_STEP = 1e-4
_DIFFERENCE = 1e-2
_ROUNDING = 1e-9


class Objective:
    """Value, gradient and Hessian of a bound cost at an array of parameters.

    Where the cost is not finite, minimisers get a finite value well above any seen and no slope: they step
    back, where NaN or infinity would derail them.

    Parameters
    ----------
    cost
        Bound to the parameters of the array.
    on_call
        Called with each point and its value, infinite where the cost is not finite.
    compute
        What gives value and derivatives in place of the cost.

    Attributes
    ----------
    derivatives
        How many exact derivatives the cost has.
    n_value, n_gradient, n_hessian
        Calls made so far.
    n_forbidden
        Calls at points where the cost is not finite.
    """

    def __init__(
        self,
        cost: Cost,
        on_call: Callable[[np.ndarray, float], object] | None = None,
        compute: Callable[[np.ndarray, int], list] | None = None,
    ):
        self._cost = cost
        self._compute = cost._compute if compute is None else compute
        self.derivatives = cost.derivatives
        self._on_call = on_call
        self._worst = -np.inf
        self._last: dict[int, tuple[bytes, list]] = {}
        self.n_value = self.n_gradient = self.n_hessian = self.n_forbidden = 0

    def use(self, cost: Cost) -> None:
        """Go on with another cost of the same value, which may have other derivatives."""
        self._cost, self._compute = cost, cost._compute
        self._last.clear()

    @property
    def calls(self) -> dict[str, int]:
        """Calls made so far, by kind."""
        return {
            "value": self.n_value,
            "gradient": self.n_gradient,
            "hessian": self.n_hessian,
            "not finite": self.n_forbidden,
        }

    def _seen(self, x: np.ndarray, value: float, finite: bool) -> float:
        """Return the value to hand on."""
        if self._on_call is not None:
            self._on_call(x, value if finite else np.inf)
        if not finite:
            self.n_forbidden += 1
            top = self._worst if np.isfinite(self._worst) else 0.0
            value = top + 1.0 + abs(top)
        elif value > self._worst:
            self._worst = value
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
        out = self._compute(x, order)
        self._last[order] = (key, out)
        return out, True

    def value(self, x: np.ndarray) -> float:
        """Return the cost."""
        # A fit needs some tens of values, besides gradients: not worth compiling a function for if events are few.
        few = min(_MOST, max(_LEAST, _WORTH_COMPILING // max(1, self._cost._n_summed)))
        out, new = self._at(x, 1 if self.derivatives == 2 and self.n_value < few else 0)
        self.n_value += new
        return self._seen(x, out[0], bool(np.isfinite(out[0])))

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the cost and its gradient, ``(n,)``."""
        out, new = self._at(x, 1)
        self.n_gradient += new
        value, gradient = out[:2]
        finite = bool(np.isfinite(value) and np.isfinite(gradient).all())
        return self._seen(x, value, finite), gradient.copy() if finite else np.zeros_like(gradient)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradient, ``(n,)``."""
        return self.value_and_gradient(x)[1]

    def check_gradient(self, x: np.ndarray, free: np.ndarray) -> None:
        """Compare a gradient that came from outside of JAX with a difference of values; drop it if it is not right.

        Warns
        -----
        JaxpwaWarning
            If it is dropped.
        """
        if self.derivatives != 1 or not len(free):
            return
        gradient = self._compute(x, 1)[1]
        # Signs that alternate keep contributions from cancelling where they often have equal ones.
        step = np.zeros(len(x))
        step[free] = _STEP * np.where(x[free] != 0, np.abs(x[free]), 1.0) * np.where(np.arange(len(free)) % 2, -1, 1)
        up, down = (self._compute(x + s * step, 0)[0] for s in (1, -1))
        difference, expected = up - down, 2 * gradient @ step
        allowed = _DIFFERENCE * np.abs(2 * gradient * step).sum() + _ROUNDING * (abs(up) + abs(down))
        if np.isfinite(gradient).all() and (not np.isfinite(difference) or abs(difference - expected) <= allowed):
            return
        self.derivatives = 0
        reason = self._cost._why_no_gradient() or "calculate() may take parameters out as plain numbers"
        msg = (
            f"the gradient that came with the intensities of {self._cost._label} is not that of the value ({reason}): "
            f"along one direction {expected:.6g} against {difference:.6g}. MINUIT takes differences of values instead."
        )
        warnings.warn(msg, JaxpwaWarning, stacklevel=3)

    def exact(self, x: np.ndarray, order: int) -> list:
        """Return value, gradient and Hessian as far as ``order`` goes, finite or not."""
        out, new = self._at(x, order)
        self.n_gradient += new and order == 1
        self.n_hessian += new and order == 2
        if self._on_call is not None:
            self._on_call(x, out[0] if np.isfinite(out[0]) else np.inf)
        return out[: order + 1]

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Return the Hessian, ``(n, n)``; the unit matrix where it is not finite."""
        matrix = self.exact(x, 2)[2]
        return matrix if np.isfinite(matrix).all() else np.eye(len(matrix))

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian, ``(n,)``."""
        return np.diag(self.hessian(x)).copy()
