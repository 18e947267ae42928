"""W2, six interfering waves with 550 000 events: likelihood, gradient, fit, with and without what is computed once.

    python -m benchmarks.w2                 prints times and ratios, and writes results/w2.json

Times are medians of turns in one process.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp
from benchmarks.timing import medians

WAVES = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


def harmonic(ell, m, c, phi):
    """Spherical harmonics with the Condon-Shortley phase, as a textbook has them."""
    s = jnp.sqrt(1 - c**2)
    theta = {
        (0, 0): jnp.sqrt(1 / (4 * jnp.pi)) * jnp.ones_like(c),
        (1, 0): jnp.sqrt(3 / (4 * jnp.pi)) * c,
        (1, 1): -jnp.sqrt(3 / (8 * jnp.pi)) * s,
        (2, 0): jnp.sqrt(5 / (16 * jnp.pi)) * (3 * c**2 - 1),
        (2, 1): -jnp.sqrt(15 / (8 * jnp.pi)) * s * c,
        (2, 2): jnp.sqrt(15 / (32 * jnp.pi)) * s**2,
    }
    return theta[ell, m] * jnp.exp(1j * m * phi)


def intensity(p, d):
    total = p["re00"] * harmonic(0, 0, d["c"], d["phi"])
    for ell, m in WAVES[1:]:
        total = total + (p[f"re{ell}{m}"] + 1j * p[f"im{ell}{m}"]) * harmonic(ell, m, d["c"], d["phi"])
    return jnp.abs(total) ** 2


def truth():
    rng = np.random.default_rng(11)
    names = ["re00"] + [f"{part}{ell}{m}" for ell, m in WAVES[1:] for part in ("re", "im")]
    return dict(zip(names, rng.uniform(-1, 1, len(names)) + (np.arange(len(names)) == 0), strict=True))


def sample(n_data, n_mc):
    """Events of the model behind a detector that loses forward events, and accepted Monte Carlo."""
    rng = np.random.default_rng(12)

    def flat(n):
        table = {"c": rng.uniform(-1, 1, n), "phi": rng.uniform(-np.pi, np.pi, n)}
        kept = rng.uniform(size=n) < 0.85 - 0.25 * table["c"] * np.cos(table["phi"])
        return {name: v[kept] for name, v in table.items()}

    mc = flat(int(n_mc * 1.18))
    n_generated = int(n_mc * 1.18)
    mc = {name: v[:n_mc] for name, v in mc.items()}
    values = truth()
    events = flat(12 * n_data)
    mask, _ = jp.rejection_sample(1, intensity, values, events)
    data = {name: v[mask][:n_data] for name, v in events.items()}
    scale = np.sqrt(len(data["c"]) * n_generated / jp.evaluate(intensity, values, mc).sum())
    return data, mc, n_generated, {name: scale * v for name, v in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-data", type=int, default=50_000)
    parser.add_argument("--n-mc", type=int, default=500_000)
    options = parser.parse_args()
    data, mc, n_generated, best = sample(options.n_data, options.n_mc)
    start = {name: 0.9 * v + 0.03 * best["re00"] for name, v in best.items()}

    began = time.perf_counter()
    fast = jp.ExtendedNLL(intensity, data, mc, n_generated)
    first = jp.fit(fast, start)
    results = {"first fit, build and compilation included": time.perf_counter() - began}
    warm = []
    for _ in range(5):
        began = time.perf_counter()
        jp.fit(fast, start)
        warm.append(time.perf_counter() - began)
    results["warm fit"] = float(np.median(warm))
    print(fast.explain())
    plain = jp.ExtendedNLL(intensity, data, mc, n_generated, precompute=False, normalization="direct")
    direct = jp.ExtendedNLL(intensity, data, mc, n_generated, normalization="direct")

    def at(k):
        return {name: v * (1 + 1e-7 * (k % 89)) for name, v in start.items()}

    costs = {"everything": fast, "stored, direct sums": direct, "plain": plain}
    functions = {f"value, {name}": lambda k, c=c: c(at(k)) for name, c in costs.items()}
    functions |= {f"gradient, {name}": lambda k, c=c: c.value_and_grad(at(k)) for name, c in costs.items()}
    results |= medians(functions)
    values = [c(start) for c in costs.values()]
    assert max(values) - min(values) < 1e-9 * abs(values[0])
    for name, seconds in results.items():
        print(f"{name:45} {1e3 * seconds:10.3f} ms")
    print(f"fit: {first.fval:.4f} in {first.calls}")
    out = Path(__file__).parent / "results"
    out.mkdir(exist_ok=True)
    (out / "w2.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
