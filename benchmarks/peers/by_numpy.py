"""By hand in numpy, one process: W1 as the formula stands, W2 with its sum over Monte Carlo as one 6 x 6 matrix."""

from collections.abc import Callable

import numpy as np

from benchmarks.peers.runner import main
from benchmarks.workloads import W2_NAMES, WAVES, Waves, harmonic, w1_intensity, w2_complex


class Gauss:
    def __init__(self, x: np.ndarray, y: np.ndarray):
        self._xy = x, y

    def point(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return values

    def value(self, p: tuple[float, ...]) -> float:
        return -np.log(w1_intensity(*self._xy, *p)).sum()


class Interference:
    """Six waves: the Monte Carlo's part of the likelihood is V* M V with M = sum Y* Y / generated."""

    def __init__(self, sample: Waves):
        self._y = np.stack([harmonic(*wave, *sample.data) for wave in WAVES], 1)
        self._y_conj = self._y.conj().T.copy()
        self._matrix = np.zeros((len(WAVES), len(WAVES)), complex)
        for i in range(0, len(sample.mc[0]), 50_000):
            part = np.stack([harmonic(*wave, *(column[i : i + 50_000] for column in sample.mc)) for wave in WAVES], 1)
            self._matrix += part.conj().T @ part
        self._matrix /= sample.n_generated
        self._start = sample.start

    def point(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return values

    def value(self, p: tuple[float, ...]) -> float:
        v = w2_complex(p)
        a = self._y @ v
        return -np.log(a.real**2 + a.imag**2).sum() + (v.conj() @ self._matrix @ v).real

    def gradient(self, p: tuple[float, ...]) -> tuple[float, np.ndarray]:
        v = w2_complex(p)
        a = self._y @ v
        value = -np.log(a.real**2 + a.imag**2).sum() + (v.conj() @ self._matrix @ v).real
        g = 2 * (self._matrix @ v - self._y_conj @ (1 / a.conj()))
        return value, np.concatenate([[g[0].real], np.stack([g[1:].real, g[1:].imag], 1).ravel()])

    def fit(self) -> float:
        from iminuit import Minuit

        minuit = Minuit(lambda *p: self.value(p), *self._start, name=W2_NAMES, grad=lambda *p: self.gradient(p)[1])
        minuit.errordef = Minuit.LIKELIHOOD
        minuit.migrad(ncall=20_000)
        assert minuit.valid
        return minuit.fval


w1, w2 = Gauss, Interference


def simulate(x: np.ndarray, y: np.ndarray) -> Callable[[int], list[np.ndarray]]:
    rng = np.random.default_rng(1)
    cuts = [slice(i, i + 10**6) for i in range(0, len(x), 10**6)]

    def masks(k: int) -> list[np.ndarray]:
        values = [w1_intensity(x[s], y[s], 10.0, 3.0, 10.0, 3.0) for s in cuts]
        top = max(v.max() for v in values)
        return [v > top * rng.random(len(v)) for v in values]

    return masks


if __name__ == "__main__":
    main("benchmarks.peers.by_numpy", ("numpy",))
