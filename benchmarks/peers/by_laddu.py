"""laddu with its jit backend: expressions, its own L-BFGS-B, its own normalization integrals where they apply.

laddu's ``nll`` is -2 ln L: halved here. It has extended likelihoods only, so W1 gets one Monte Carlo event of weight
1e-12. ``--variant cpu`` takes the backend without compilation.
"""

import os
from typing import Any

import numpy as np

from benchmarks.peers.runner import main
from benchmarks.workloads import W1_LOWER, W1_START, W2_NAMES, WAVES, Waves


class Fit:
    def __init__(self, model: Any, data: Any, accepted_mc: Any, start: dict[str, float], variant: str):
        import laddu as ld

        execution = ld.Execution(variant, threads=len(os.sched_getaffinity(0)), precision="f64")
        term = ld.ExtendedNLL(model, data=data, accepted_mc=accepted_mc)
        self._likelihood = ld.Likelihood([term], execution=execution)
        self._names, self._start = list(start), start

    def point(self, values: tuple[float, ...]) -> list[float]:
        by_name = dict(zip(self._names, values, strict=True))
        return [by_name[name] for name in self._likelihood.parameter_names]

    def value(self, p: list[float]) -> float:
        return self._likelihood.nll(p) / 2

    def gradient(self, p: list[float]) -> tuple[float, Any]:
        return self._likelihood.value_and_gradient(p)

    def fit(self) -> float:
        result = self._likelihood.fit(self.point(tuple(self._start.values())))
        assert result.converged
        return result.objective / 2


def events(columns: dict[str, np.ndarray], weights: np.ndarray | None = None) -> Any:
    import laddu as ld

    return ld.Dataset.from_arrays(p4s={}, scalars=columns, weights=weights)


def w1(x: np.ndarray, y: np.ndarray, variant: str = "jit") -> Fit:
    import laddu as ld

    limits = [(low, None) for low in W1_LOWER]
    a1, a2, a3, a4 = (ld.parameter(f"A{i}", initial=1.0, bounds=b) for i, b in enumerate(limits, 1))
    u, v = (ld.scalar("x") - a1) / a2, (ld.scalar("y") - a3) / a4
    one = events({"x": np.array([9.0]), "y": np.array([10.0])}, np.array([1e-12]))
    start = {f"A{i}": value for i, value in enumerate(W1_START, 1)}
    return Fit(ld.Model((-(u * u + v * v)).exp() / (a2 * a4)), events({"x": x, "y": y}), one, start, variant)


def w2(sample: Waves, variant: str = "jit") -> Fit:
    import laddu as ld

    start = dict(zip(W2_NAMES, sample.start, strict=True))
    p = {name: ld.parameter(name, initial=value) for name, value in start.items()}
    amplitude = None
    for ell, m in WAVES:
        v = p["re00"] if ell == 0 else ld.complex(p[f"re{ell}{m}"], p[f"im{ell}{m}"])
        wave = v * ld.spherical_harmonic(ell, m, costheta=ld.scalar("c"), phi=ld.scalar("phi"))
        amplitude = wave if amplitude is None else amplitude + wave
    data = events(dict(zip(("c", "phi"), sample.data, strict=True)))
    weights = np.full(len(sample.mc[0]), 1 / sample.n_generated)
    mc = events(dict(zip(("c", "phi"), sample.mc, strict=True)), weights)
    return Fit(ld.Model(amplitude.norm_sqr()), data, mc, start, variant)


if __name__ == "__main__":
    main("benchmarks.peers.by_laddu", ("laddu",))
