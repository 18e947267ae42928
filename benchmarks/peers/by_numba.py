"""By hand in numba, W1: value, and value with the gradient derived on paper, as one would write them for speed.

``--variant gradient`` gives MINUIT the gradient in fits.
"""

import numpy as np

from benchmarks.peers.runner import main
from benchmarks.workloads import W1_LOWER, W1_NAMES, W1_START


def kernels():
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def value(x, y, a1, a2, a3, a4):
        total = 0.0
        for i in numba.prange(len(x)):
            u, v = (x[i] - a1) / a2, (y[i] - a3) / a4
            total -= np.log(np.exp(-(u * u + v * v)) / (a2 * a4))
        return total

    @numba.njit(parallel=True, fastmath=True)
    def both(x, y, a1, a2, a3, a4):
        total = su = sv = suu = svv = 0.0
        for i in numba.prange(len(x)):
            u, v = (x[i] - a1) / a2, (y[i] - a3) / a4
            total -= np.log(np.exp(-(u * u + v * v)) / (a2 * a4))
            su += u
            sv += v
            suu += u * u
            svv += v * v
        n = len(x)
        return total, np.array([-2 * su / a2, (n - 2 * suu) / a2, -2 * sv / a4, (n - 2 * svv) / a4])

    return value, both


class Gauss:
    compiled: tuple = ()

    def __init__(self, x: np.ndarray, y: np.ndarray, variant: str = ""):
        Gauss.compiled = Gauss.compiled or kernels()
        self._value, self._both = Gauss.compiled
        self._xy, self._gives_gradient = (x, y), variant == "gradient"

    def point(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return values

    def value(self, p: tuple[float, ...]) -> float:
        return self._value(*self._xy, *p)

    def gradient(self, p: tuple[float, ...]) -> tuple[float, np.ndarray]:
        return self._both(*self._xy, *p)

    def fit(self) -> float:
        from iminuit import Minuit

        gradient = (lambda *p: self.gradient(p)[1]) if self._gives_gradient else None
        minuit = Minuit(lambda *p: self.value(p), *W1_START, name=W1_NAMES, grad=gradient)
        minuit.errordef = Minuit.LIKELIHOOD
        for name, low in zip(W1_NAMES, W1_LOWER, strict=True):
            minuit.limits[name] = (low, None)
        minuit.migrad()
        assert minuit.valid
        return minuit.fval


w1 = Gauss

if __name__ == "__main__":
    main("benchmarks.peers.by_numba", ("numba", "iminuit"))
