"""Do errors cover? Toys of fits with weights: efficiency, negative samples, sWeights, Q-factors.

The number of toys is 1000, a quarter of that where local fits have shapes; JAXPWA_TOYS asks for another. Tolerances
follow it.
"""

import os

import numpy as np
import pytest

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.weights import q_factors, subtract, sweights

TOYS = int(os.environ.get("JAXPWA_TOYS", "1000"))

N_SIGNAL, N_BACKGROUND = 1500, 1200
TRUTH = {"n": float(N_SIGNAL), "a": 1.5}
FLAT = {"x": (np.arange(1000) + 0.5) / 500 - 1}
CENTRE, SIGMA, LOW, HIGH = 0.78, 0.012, 0.7, 0.86

pytestmark = pytest.mark.slow


def intensity(p, d):
    """``n`` events, of ``1 + a x^2`` in the cosine x."""
    return p["n"] * (1 + p["a"] * d["x"] ** 2) / (1 + p["a"] / 3)


def shape(p, d):
    return 1 + p["a"] * d["x"] ** 2


def peak(p, m):
    return jnp.exp(-0.5 * ((m - CENTRE) / SIGMA) ** 2)


def moving_peak(p, m):
    return jnp.exp(-0.5 * ((m - CENTRE - p["shift"] * SIGMA) / SIGMA) ** 2)


def flat(p, m):
    return 1.0


def cosines(rng, n, a):
    """``n`` cosines of density ``1 + a x^2``, a > -1."""
    out = np.empty(0)
    while len(out) < n:
        x = rng.uniform(-1, 1, 3 * n)
        out = np.concatenate([out, x[rng.uniform(0, 1 + max(a, 0), 3 * n) < 1 + a * x**2]])
    return out[:n]


def fitted(data, influence=None):
    """Yield and shape, each with its error."""
    r = jp.fit(jp.ExtendedNLL(intensity, data, FLAT), {"n": 1400.0, "a": 1.0}, influence=influence, progress=False)
    return {name: (r.values[name], r.errors[name]) for name in TRUTH}


def mixed(rng):
    """Signal in a peak, and background that is flat in mass and has fewer events at the ends of x."""
    n, b = rng.poisson(N_SIGNAL), rng.poisson(N_BACKGROUND)
    x = np.concatenate([cosines(rng, n, TRUTH["a"]), cosines(rng, b, -0.7)])
    m = np.concatenate([np.clip(rng.normal(CENTRE, SIGMA, n), LOW, HIGH), rng.uniform(LOW, HIGH, b)])
    return {"x": x, "m": m}


def with_efficiency(rng):
    """Events are lost, and those left have weights of one over the efficiency."""
    x = cosines(rng, rng.poisson(N_SIGNAL), TRUTH["a"])
    efficiency = 0.55 + 0.4 * x
    kept = rng.uniform(size=len(x)) < efficiency
    return fitted(jp.Dataset({"x": x[kept]}, 1 / efficiency[kept]))


def with_negative_sample(rng):
    """Background is subtracted by a sample of it that is twice as large."""
    background = {"x": cosines(rng, rng.poisson(2 * N_BACKGROUND), -0.7)}
    return fitted(subtract({"x": mixed(rng)["x"]}, background, scale=0.5))


def with_normalised_shape(rng):
    """The same, in a likelihood of the shape alone."""
    background = {"x": cosines(rng, rng.poisson(2 * N_BACKGROUND), -0.7)}
    data = subtract({"x": mixed(rng)["x"]}, background, scale=0.5)
    r = jp.fit(jp.UnbinnedNLL(shape, data, normalization_mc=FLAT), {"a": 1.0}, progress=False)
    return {"a": (r.values["a"], r.errors["a"])}


def with_sweights(rng):
    """Background is subtracted by sWeights of the mass."""
    events = mixed(rng)
    signal = np.exp(-0.5 * ((events["m"] - CENTRE) / SIGMA) ** 2) / np.sqrt(2 * np.pi) / SIGMA
    sw = sweights({"signal": signal, "flat": np.full(len(signal), 1 / (HIGH - LOW))})["signal"]
    return fitted(jp.Dataset({"x": events["x"]}, sw.weights), sw)


def with_q_factors(rng):
    """Background is subtracted by Q-factors of neighbours in x."""
    events = mixed(rng)
    q = q_factors(events, ["x"], "m", peak, flat, (LOW, HIGH), k=150, progress=False)
    return fitted(jp.Dataset({"x": events["x"]}, q.weights), q)


def with_q_factors_and_a_shape(rng):
    """The same, where each local fit finds the peak's place too."""
    events = mixed(rng)
    start = {"fraction": 0.5, "shift": 0.0}
    q = q_factors(events, ["x"], "m", moving_peak, flat, (LOW, HIGH), k=200, start=start, progress=False)
    return fitted(jp.Dataset({"x": events["x"]}, q.weights), q)


def pulls_of(toy, n_toys, seed):
    """Mean and width of the pulls, by parameter."""
    found = [toy(np.random.default_rng([seed, number])) for number in range(n_toys)]
    pulls = {name: np.array([(r[name][0] - TRUTH[name]) / r[name][1] for r in found]) for name in found[0]}
    return {name: (p.mean(), p.std(ddof=1)) for name, p in pulls.items()}


@pytest.mark.parametrize(
    ("toy", "n_toys"),
    [
        (with_efficiency, TOYS),
        (with_negative_sample, TOYS),
        (with_normalised_shape, TOYS),
        (with_sweights, TOYS),
        (with_q_factors, TOYS),
        (with_q_factors_and_a_shape, TOYS // 4),
    ],
)
def test_pulls_are_standard(toy, n_toys):
    pulls = pulls_of(toy, n_toys, 1)
    print(toy.__name__, {name: f"mean {mean:.3f}, width {width:.3f}" for name, (mean, width) in pulls.items()})
    for name, (mean, width) in pulls.items():
        assert mean == pytest.approx(0, abs=max(0.1, 3.5 / np.sqrt(n_toys))), name
        assert width == pytest.approx(1, abs=max(0.05, 3.5 / np.sqrt(2 * n_toys))), name
