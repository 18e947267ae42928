"""What results cost, in turns in one process: weighted errors, bootstrap, profiles, and BLAS on one thread.

python -m benchmarks.results
"""

import warnings
from contextlib import contextmanager

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp
from benchmarks.timing import medians
from jaxpwa.inference import fit as fitting


def scaled(p, d):
    return p["n"] * jnp.exp(-d["x"] / p["tau"]) * (1 + p["a"] * d["c"] ** 2)


START = {"n": 100.0, "tau": 2.0, "a": 0.5}


def sample(n, seed):
    rng = np.random.default_rng(seed)
    return {"x": rng.exponential(2.0, n), "c": rng.uniform(-1, 1, n)}


def costs(n):
    rng = np.random.default_rng(3)
    mc = {"x": rng.uniform(0, 15, 2 * n), "c": rng.uniform(-1, 1, 2 * n)}
    data = jp.Dataset(sample(n, 1), rng.uniform(-0.2, 2.0, n))
    return jp.ExtendedNLL(scaled, data, mc)


@contextmanager
def many_blas_threads():
    """Take away what fits do about BLAS."""
    kept = fitting.one_blas_thread
    fitting.one_blas_thread = fitting.nullcontext
    try:
        yield
    finally:
        fitting.one_blas_thread = kept


def main():
    warnings.simplefilter("ignore")
    print(f"{'events':>8s}  what" + " " * 44 + "ms    ratio")
    for n in (2_000, 20_000, 200_000):
        cost = costs(n)
        result = jp.fit(cost, START)

        def unguarded(k, cost=cost):
            with many_blas_threads():
                jp.fit(cost, START, covariance="hessian")

        times = medians(
            {
                "fit, errors by the Hessian": lambda k, c=cost: jp.fit(c, START, covariance="hessian"),
                "fit, asymptotic errors": lambda k, c=cost: jp.fit(c, START),
                "fit, SumW2 errors": lambda k, c=cost: jp.fit(c, START, covariance="sumw2"),
                "fit, BLAS left to its threads": unguarded,
                "bootstrap, per sample": lambda k, c=cost, r=result: jp.bootstrap(k, c, r, 64, progress=False),
                "profile, per point": lambda k, c=cost, r=result: jp.profile(c, r, "tau", points=31, progress=False),
            },
            rounds=7,
            budget=120.0,
        )
        times["bootstrap, per sample"] /= 64
        times["profile, per point"] /= 31
        first = times["fit, errors by the Hessian"]
        for what, seconds in times.items():
            print(f"{n:8d}  {what:40s}{1e3 * seconds:10.2f}{seconds / first:9.2f}")


if __name__ == "__main__":
    main()
