"""jaxpwa itself, in the same harness as the others.

``--variant`` of W2: ``direct`` sums over all Monte Carlo events, ``plain`` stores nothing either. Of simulation:
``one call`` draws all events at once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp
from benchmarks.peers.runner import main
from benchmarks.workloads import W1_LOWER, W1_NAMES, W1_START, W2_NAMES, WAVES, Waves, harmonic, w1_point


def gauss(p, d):
    u, v = (d["x"] - p["A1"]) / p["A2"], (d["y"] - p["A3"]) / p["A4"]
    return jnp.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])


def six_waves(p, d):
    total = p["re00"] * harmonic(0, 0, d["c"], d["phi"], jnp)
    for ell, m in WAVES[1:]:
        total = total + (p[f"re{ell}{m}"] + 1j * p[f"im{ell}{m}"]) * harmonic(ell, m, d["c"], d["phi"], jnp)
    return jnp.abs(total) ** 2


class Fit:
    def __init__(self, cost: Any, start: dict[str, Any]):
        self.cost, self.start = cost, start
        self.value, self.gradient, self.hessian = cost, cost.value_and_grad, cost.hessian

    def point(self, values: tuple[float, ...]) -> dict[str, float]:
        return dict(zip(self.start, values, strict=True))

    def fit(self) -> float:
        result = jp.fit(self.cost, self.start)
        assert result.valid
        return result.fval


def w1(x: np.ndarray, y: np.ndarray, devices: int | None = None) -> Fit:
    start = {n: jp.Parameter(value, lower=low) for n, value, low in zip(W1_NAMES, W1_START, W1_LOWER, strict=True)}
    return Fit(jp.UnbinnedNLL(gauss, {"x": x, "y": y}, devices=devices), start)


def w2(sample: Waves, variant: str = "", devices: int | None = None, dtype: str = "float64") -> Fit:
    data, mc = (
        jp.Dataset(dict(zip(("c", "phi"), part, strict=True)), dtype=dtype) for part in (sample.data, sample.mc)
    )
    settings: dict[str, Any] = {"normalization": "direct"} if variant else {}
    if variant == "plain":
        settings["precompute"] = False
    cost = jp.ExtendedNLL(six_waves, data, mc, sample.n_generated, devices=devices, **settings)
    return Fit(cost, dict(zip(W2_NAMES, sample.start, strict=True)))


def simulate(x: np.ndarray, y: np.ndarray, variant: str = "") -> Callable[[int], Any]:
    truth = dict(zip(W1_NAMES, w1_point(0), strict=True))
    tables = [{"x": x[i : i + 10**6], "y": y[i : i + 10**6]} for i in range(0, len(x), 10**6)]

    def bin_by_bin(k: int) -> list[np.ndarray]:
        top = max(jp.evaluate(gauss, truth, table).max() for table in tables)
        return [jp.rejection_sample(k, gauss, truth, table, maximum=top)[0] for table in tables]

    def at_once(k: int) -> np.ndarray:
        return jp.rejection_sample(k, gauss, truth, {"x": x, "y": y})[0]

    return at_once if variant == "one call" else bin_by_bin


if __name__ == "__main__":
    main("benchmarks.peers.by_jaxpwa", ("jaxpwa",))
