"""tensorwaves with its JAX backend: sympy expressions, cached where they depend on events alone, MINUIT.

Its own likelihood always normalises, so sums are estimators built as its own are: a compiled intensity, log and sum
outside of it, ``jax.grad`` through both. Its gradient comes without the value. ``--variant gradient`` gives MINUIT
the gradient in fits.
"""

import logging
from typing import Any

import numpy as np

from benchmarks.peers.runner import main
from benchmarks.workloads import W1_LOWER, W1_NAMES, W1_START, W2_NAMES, WAVES, Waves


class Fit:
    def __init__(self, estimator: Any, start: dict[str, float], lower: dict[str, float], variant: str):
        self._estimator, self._start, self._lower = estimator, start, lower
        self._gives_gradient = variant == "gradient"

    def point(self, values: tuple[float, ...]) -> dict[str, float]:
        return dict(zip(self._start, values, strict=True))

    def value(self, p: dict[str, float]) -> float:
        return float(self._estimator(p))

    def gradient(self, p: dict[str, float]) -> list[float]:
        return [float(v) for v in self._estimator.gradient(p).values()]

    def fit(self) -> float:
        import tensorwaves.optimizer.minuit as optimizer

        def limit(minuit: Any) -> None:
            for name, low in self._lower.items():
                minuit.limits[name] = (low, None)

        for name in ("tensorwaves", "tensorwaves.optimizer.minuit"):
            logging.getLogger(name).setLevel(logging.ERROR)
        minuit = optimizer.Minuit2(
            use_analytic_gradient=self._gives_gradient, minuit_modifier=limit, migrad_args={"ncall": 20_000}
        )
        result = minuit.optimize(self._estimator, self._start).specifics
        assert result.valid
        return result.fval


def estimator(function: Any, data: dict[str, Any], mc: dict[str, Any] | None, n_generated: int) -> Any:
    """Return -sum ln I over data + sum of I over Monte Carlo / events generated."""
    from tensorwaves.estimator import gradient_creator
    from tensorwaves.function._backend import find_function
    from tensorwaves.interface import Estimator

    total, log = find_function("sum", "jax"), find_function("log", "jax")

    class NLL(Estimator):
        def __init__(self) -> None:
            self._gradient = gradient_creator(self.__call__, "jax")

        def __call__(self, p: Any) -> Any:
            function.update_parameters(p)
            value = -total(log(function(data)))
            return value if mc is None else value + total(function(mc)) / n_generated

        def gradient(self, p: Any) -> Any:
            return self._gradient(p)

    return NLL()


def on_device(names: tuple[str, str], columns: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    return {name: jnp.asarray(column) for name, column in zip(names, columns, strict=True)}


def w1(x: np.ndarray, y: np.ndarray, variant: str = "") -> Fit:
    import sympy as sp
    from tensorwaves.function.sympy import create_parametrized_function

    data = on_device(("x", "y"), (x, y))
    sx, sy, a1, a2, a3, a4 = sp.symbols(("x", "y", *W1_NAMES))
    intensity = 1 / (a2 * a4) * sp.exp(-(((sx - a1) / a2) ** 2 + ((sy - a3) / a4) ** 2))
    function = create_parametrized_function(intensity, dict(zip((a1, a2, a3, a4), W1_START, strict=True)), "jax")
    start, lower = dict(zip(W1_NAMES, W1_START, strict=True)), dict(zip(W1_NAMES, W1_LOWER, strict=True))
    return Fit(estimator(function, data, None, 1), start, lower, variant)


def w2(sample: Waves, variant: str = "") -> Fit:
    import sympy as sp
    from tensorwaves.estimator import create_cached_function

    names = ("c", "phi")
    data, mc = on_device(names, sample.data), on_device(names, sample.mc)
    c, phi = sp.symbols(names, real=True)
    p = {name: sp.Symbol(name, real=True) for name in W2_NAMES}
    s, pi = sp.sqrt(1 - c**2), sp.pi
    theta = {
        (0, 0): sp.sqrt(1 / (4 * pi)),
        (1, 0): sp.sqrt(3 / (4 * pi)) * c,
        (1, 1): -sp.sqrt(3 / (8 * pi)) * s,
        (2, 0): sp.sqrt(5 / (16 * pi)) * (3 * c**2 - 1),
        (2, 1): -sp.sqrt(15 / (8 * pi)) * s * c,
        (2, 2): sp.sqrt(15 / (32 * pi)) * s**2,
    }
    # Real symbols, and real and imaginary part apart: sympy's complex code is slower.
    real: Any = 0
    imaginary: Any = 0
    for ell, m in WAVES:
        a, b = p[f"re{ell}{m}"], p.get(f"im{ell}{m}", 0)
        cosine, sine = theta[ell, m] * sp.cos(m * phi), theta[ell, m] * sp.sin(m * phi)
        real, imaginary = real + a * cosine - b * sine, imaginary + a * sine + b * cosine
    start = dict(zip(W2_NAMES, sample.start, strict=True))
    values = {p[name]: value for name, value in start.items()}
    function, transform = create_cached_function(real**2 + imaginary**2, values, "jax", list(values))
    return Fit(estimator(function, transform(data), transform(mc), sample.n_generated), start, {}, variant)


if __name__ == "__main__":
    main("benchmarks.peers.by_tensorwaves", ("tensorwaves", "jax", "sympy", "iminuit"))
