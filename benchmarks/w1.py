"""W1, the two-dimensional Gauss: evaluation, ten fits, simulation and memory, against kernels written by hand.

    python -m benchmarks.w1                 prints ratios and writes results/w1.json
    python -m benchmarks.w1 --peers DIR     also runs the peers' scripts of DIR whose packages are installed

Times are medians of turns in one process. Ratios below 1 are in favour of jaxpwa.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import medians, peak_memory_mb

SIZES = (70_000, 1_000_000, 10_000_000)
NAMES = ("A1", "A2", "A3", "A4")


def flat(n):
    rng = np.random.default_rng(20251125)
    return 20 * rng.random(n), 20 * rng.random(n)


def point(k):
    e = 1e-6 * (k % 97)
    return 10 + e, 3 + e, 10 - e, 3 - e


def model():
    import jax.numpy as jnp

    def intensity(p, d):
        u, v = (d["x"] - p["A1"]) / p["A2"], (d["y"] - p["A3"]) / p["A4"]
        return jnp.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])

    return intensity


def numba_kernels():
    """Value, and value with gradient, as one would write them by hand for speed."""
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


def numpy_value(x, y, a1, a2, a3, a4):
    return -np.sum(np.log(1 / (a2 * a4) * np.exp(-(((x - a1) / a2) ** 2) - ((y - a3) / a4) ** 2)))


def evaluation(n):
    """Whole Python calls, dicts of parameters included."""
    import jaxpwa as jp

    x, y = flat(n)
    value, both = numba_kernels()
    cost = jp.UnbinnedNLL(model(), {"x": x, "y": y})
    named = [dict(zip(NAMES, point(k), strict=True)) for k in range(97)]
    assert abs(cost(named[0]) / numpy_value(x, y, *point(0)) - 1) < 1e-12
    assert np.allclose(list(cost.value_and_grad(named[5])[1].values()), both(x, y, *point(5))[1], rtol=1e-8, atol=1e-4)
    functions = {
        "numpy": lambda k: numpy_value(x, y, *point(k)),
        "numba": lambda k: value(x, y, *point(k)),
        "numba, gradient": lambda k: both(x, y, *point(k)),
        "jaxpwa": lambda k: cost(named[k % 97]),
        "jaxpwa, gradient": lambda k: cost.value_and_grad(named[k % 97]),
        "jaxpwa, Hessian": lambda k: cost.hessian(named[k % 97]),
    }
    return medians(functions)


def devices(n):
    import jax

    import jaxpwa as jp

    x, y = flat(n)
    intensity, counts = model(), sorted({1, jax.device_count()})
    costs = {c: jp.UnbinnedNLL(intensity, {"x": x, "y": y}, devices=c) for c in counts}
    named = [dict(zip(NAMES, point(k), strict=True)) for k in range(97)]
    functions = {}
    for c, cost in costs.items():
        functions[f"value, {c} devices"] = lambda k, cost=cost: cost(named[k % 97])
        functions[f"gradient, {c} devices"] = lambda k, cost=cost: cost.value_and_grad(named[k % 97])
    return medians(functions)


def bins():
    rng = np.random.default_rng(7)
    out = []
    for _ in range(10):
        x, y, u = 20 * rng.random(1_000_000), 20 * rng.random(1_000_000), rng.random(1_000_000)
        keep = np.exp(-(((x - 10) / 3) ** 2) - ((y - 10) / 3) ** 2) > u
        out.append((x[keep], y[keep]))
    return out


def ten_fits(tool):
    """Ten fits from (1, 1, 1, 1), with building the cost and all compilation; run in a fresh process."""
    samples, times, minima = bins(), [], []
    if tool == "jaxpwa":
        import jaxpwa as jp

        intensity = model()
        start = {n: jp.Parameter(1.0, lower=low) for n, low in zip(NAMES, (0.1, 1, 0.1, 1), strict=True)}
    else:
        from iminuit import Minuit

        value, both = numba_kernels()
    for x, y in samples:
        began = time.perf_counter()
        if tool == "jaxpwa":
            result = jp.fit(jp.UnbinnedNLL(intensity, {"x": x, "y": y}), start)
            assert result.valid
            minima.append(result.fval)
        else:
            gradient = (lambda *p, x=x, y=y: both(x, y, *p)[1]) if tool == "numba, gradient" else None
            minuit = Minuit(lambda *p, x=x, y=y: value(x, y, *p), 1.0, 1.0, 1.0, 1.0, name=NAMES, grad=gradient)
            minuit.errordef = Minuit.LIKELIHOOD
            for name, low in zip(NAMES, (0.1, 1, 0.1, 1), strict=True):
                minuit.limits[name] = (low, None)
            minuit.migrad()
            assert minuit.valid
            minima.append(minuit.fval)
        times.append(time.perf_counter() - began)
    return {"first": times[0], "later": statistics.median(times[1:]), "all": sum(times), "minima": minima}


def simulation():
    """Intensities of ten bins of a million, their common maximum, and ten masks."""
    import jaxpwa as jp

    x, y = flat(10_000_000)
    tables = [{"x": x[i : i + 10**6], "y": y[i : i + 10**6]} for i in range(0, 10**7, 10**6)]
    intensity, truth = model(), dict(zip(NAMES, point(0), strict=True))
    rng = np.random.default_rng(1)

    def by_jaxpwa(k):
        maxima = [jp.evaluate(intensity, truth, t).max() for t in tables]
        return [jp.rejection_sample(k, intensity, truth, t, maximum=maxima)[0] for t in tables]

    def by_jaxpwa_at_once(k):
        return jp.rejection_sample(k, intensity, truth, {"x": x, "y": y})[0]

    def by_numpy(k):
        values = [np.exp(-(((t["x"] - 10) / 3) ** 2) - ((t["y"] - 10) / 3) ** 2) / 9 for t in tables]
        top = max(v.max() for v in values)
        return [v > top * rng.random(len(v)) for v in values]

    functions = {"numpy": by_numpy, "jaxpwa, bin by bin": by_jaxpwa, "jaxpwa, one call": by_jaxpwa_at_once}
    return medians(functions, rounds=7, budget=60)


def memory():
    """Peak memory of value, gradient and Hessian at ten million events, the user's arrays included."""
    import jaxpwa as jp

    x, y = flat(10_000_000)
    before = peak_memory_mb()
    cost = jp.UnbinnedNLL(model(), {"x": x, "y": y})
    p = dict(zip(NAMES, point(0), strict=True))
    cost(p)
    cost.value_and_grad(p)
    cost.hessian(p)
    return {"arrays and imports": before, "peak": peak_memory_mb()}


TASKS = {"evaluation": evaluation, "devices": devices, "ten_fits": ten_fits, "simulation": simulation, "memory": memory}


def fresh(task, *arguments):
    """Run a task in a process of its own, so that compilation and memory are its own."""
    command = [sys.executable, "-m", "benchmarks.w1", "--task", task, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def peers(folder, n_rows):
    """Run the scripts of other tools whose packages are installed; each prints a line of JSON."""
    import importlib.util

    scripts = {
        "laddu": ("w1_laddu.py", "jit"),
        "zfit": ("w1_zfit.py", "simple"),
        "tensorwaves": ("w1_tensorwaves.py", "jax"),
    }
    for package, (script, mode) in scripts.items():
        if importlib.util.find_spec(package) is None or not (folder / script).exists():
            continue
        for task in ("eval", "valgrad"):
            done = subprocess.run(
                [sys.executable, script, mode, task, str(n_rows)],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                yield json.loads(done.stdout.splitlines()[-1])


def row(what, ours, theirs, against, target=None):
    verdict = "" if target is None else f"target {target:g}: {'met' if ours / theirs <= target else 'MISSED'}"
    print(
        f"{what:44s} {ours * 1e3:10.3f} ms  {theirs * 1e3:10.3f} ms {against:18s} ratio {ours / theirs:6.3f}  {verdict}"
    )


def report(folder):
    out = {}
    print(f"{'':44s} {'jaxpwa':>13s} {'against':>13s}")
    for n in SIZES:
        t = out[f"evaluation {n}"] = fresh("evaluation", n)
        target = {70_000: 1.0, 10_000_000: 0.65}.get(n)
        row(f"value, {n} events", t["jaxpwa"], t["numba"], "numba", target)
        row(f"value, {n} events", t["jaxpwa"], t["numpy"], "numpy")
        row(f"value + gradient, {n} events", t["jaxpwa, gradient"], t["numba, gradient"], "numba by hand",
            0.9 if n == 10_000_000 else None)  # fmt: skip
        row(f"Hessian, {n} events", t["jaxpwa, Hessian"], t["jaxpwa, gradient"], "own gradient")
    fits = {tool: fresh("ten_fits", tool) for tool in ("jaxpwa", "numba", "numba, gradient")}
    out["ten fits"] = fits
    for tool in ("numba", "numba, gradient"):
        row("fit of a later bin", fits["jaxpwa"]["later"], fits[tool]["later"], tool)
        row("ten fits with compilation", fits["jaxpwa"]["all"], fits[tool]["all"], tool)
    ours = fits["jaxpwa"]
    print(
        f"later bin {ours['later'] * 1e3:.1f} ms (target 25), all ten {ours['all']:.3f} s (target 0.8), "
        f"first {ours['first']:.3f} s"
    )
    worst = max(abs(a - b) for a, b in zip(ours["minima"], fits["numba"]["minima"], strict=True))
    print(f"largest difference of the minima to numba's: {worst:.2g}")
    t = out["simulation"] = fresh("simulation")
    row("simulation 10 x 1M, bin by bin", t["jaxpwa, bin by bin"], t["numpy"], "numpy", 1.0)
    row("simulation of 10M in one call", t["jaxpwa, one call"], t["numpy"], "numpy")
    t = out["devices"] = fresh("devices", SIZES[-1])
    counts = sorted({int(name.split()[1]) for name in t})
    for what in ("value", "gradient"):
        gain = t[f"{what}, {counts[0]} devices"] / t[f"{what}, {counts[-1]} devices"]
        print(f"{counts[-1]} devices against {counts[0]}, {what} of 10M: {gain:.2f} times as fast (target 1.8 on 2)")
    t = out["memory"] = fresh("memory")
    print(
        f"peak memory at 10M: {t['peak']:.0f} MB (target 700), "
        f"of it {t['arrays and imports']:.0f} MB of imports and the user's arrays"
    )
    if folder is not None:
        out["peers"] = list(peers(folder, SIZES[-1]))
        for peer in out["peers"]:
            ours = out[f"evaluation {SIZES[-1]}"]["jaxpwa" if peer["task"] == "eval" else "jaxpwa, gradient"]
            row(f"{peer['task']}, 10M", ours, peer["median_s"], peer["tool"])
    Path("results").mkdir(exist_ok=True)
    Path("results/w1.json").write_text(json.dumps(out, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="folder with scripts of other tools and their data")
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        task, *arguments = options.task
        print(json.dumps(TASKS[task](*(int(a) if a.isdigit() else a for a in arguments))))
    else:
        report(options.peers)


if __name__ == "__main__":
    main()
