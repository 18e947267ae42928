"""W1 through `jaxpwa_compat`: the three kinds of amplitude and the ported one, as ratios to plain numpy.

    python -m benchmarks.compat               prints ratios beside PyPWA's own and writes benchmarks/results/compat.json

Times are medians of turns in one process. PyPWA's ratios were measured once, with its 2 processes on 2 cores.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

import jaxpwa as jp
import jaxpwa_compat as pwa
from benchmarks.peers.by_jaxpwa import gauss
from benchmarks.timing import medians
from benchmarks.turns import save
from benchmarks.w1 import SIZES
from benchmarks.workloads import W1_NAMES, w1_flat, w1_point

# From the PyPWA rows of peers' timings: milliseconds for 70k, 1M, 10M events; plain numpy in one process last.
PYPWA = {"numpy": (1.18, 11.7, 253), "numexpr": (1.35, 13.3, 139), "torch": (0.33, 19.7, 601)}
PLAIN = (0.77, 8.2, 83)
PYPWA_SIMULATION = {"numpy": 0.80, "numexpr": 0.20, "torch": 0.18}
PLAIN_SIMULATION = 0.079


class Numpy(pwa.NestedFunction):
    def setup(self, data):
        self.x, self.y = pwa.to_contiguous(data, ["x", "y"])

    def calculate(self, p):
        u, v = (self.x - p["A1"]) / p["A2"], (self.y - p["A3"]) / p["A4"]
        return np.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])


class Numexpr(pwa.NestedFunction):
    USE_MP = False

    def setup(self, data):
        self.x, self.y = pwa.to_contiguous(data, ["x", "y"])

    def calculate(self, p):
        import numexpr

        formula = "exp(-((x - A1) / A2)**2 - ((y - A3) / A4)**2) / (A2 * A4)"
        return numexpr.evaluate(formula, local_dict={"x": self.x, "y": self.y, **p})


class Torch(pwa.NestedFunction):
    USE_MP = False
    USE_TORCH = True

    def setup(self, data):
        import torch

        self.x, self.y = (torch.from_numpy(column) for column in pwa.to_contiguous(data, ["x", "y"]))

    def calculate(self, p):
        u, v = (self.x - p["A1"]) / p["A2"], (self.y - p["A3"]) / p["A4"]
        return (-(u**2) - v**2).exp() / (p["A2"] * p["A4"])


KINDS = {"numpy": Numpy, "numexpr": Numexpr, "torch": Torch}


def params(k):
    return dict(zip(W1_NAMES, w1_point(k), strict=True))


def plain(data, k):
    p = params(k)
    u, v = (data["x"] - p["A1"]) / p["A2"], (data["y"] - p["A3"]) / p["A4"]
    return -np.sum(np.log(np.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])))


def plain_alone(n_events):
    """Return the seconds of plain numpy in a process of its own, as PyPWA's rows were taken.

    Beside libraries that have freed large blocks, glibc keeps freed memory, and plain numpy is twice as fast.
    """
    code = (
        "import json, time, statistics, numpy as np\n"
        f"rng = np.random.default_rng(20251125); x, y = 20 * rng.random({n_events}), 20 * rng.random({n_events})\n"
        "def f(e):\n"
        "    u, v = (x - 10 - e) / (3 + e), (y - 10 + e) / (3 - e)\n"
        "    return -np.sum(np.log(np.exp(-(u**2) - v**2) / ((3 + e) * (3 - e))))\n"
        f"repeats = max(1, 2_000_000 // {n_events}); taken = []\n"
        "for k in range(9):\n"
        "    began = time.perf_counter()\n"
        "    for i in range(repeats): f(1e-6 * (k * repeats + i))\n"
        "    taken.append((time.perf_counter() - began) / repeats)\n"
        "print(json.dumps(statistics.median(taken)))\n"
    )
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def evaluation(n_events, row):
    """Ratios of one value of each kind to plain numpy, and of the ported amplitude to a native one."""
    x, y = w1_flat(n_events)
    data = {"x": x, "y": y}
    likelihoods = {name: pwa.LogLikelihood(kind(), data) for name, kind in KINDS.items()}
    port = pwa.to_jax(Numpy(), {"x": x[:500], "y": y[:500]}, parameters=params(0))
    costs = {"ported": jp.UnbinnedNLL(port, data), "native": jp.UnbinnedNLL(gauss, data)}
    functions = {"plain": lambda k: plain(data, k)}
    functions |= {name: lambda k, f=f: f(params(k)) for name, f in (likelihoods | costs).items()}
    gradients = {f"{name} gradient": f for name, f in (costs | {"torch": likelihoods["torch"]}).items()}
    functions |= {name: lambda k, f=f: f.value_and_grad(params(k)) for name, f in gradients.items()}
    values = {name: f(params(0)) for name, f in (likelihoods | costs).items()}
    assert max(values.values()) - min(values.values()) < 1e-9 * abs(values["native"]), values
    seconds = medians(functions)
    seconds["plain alone"] = plain_alone(n_events)
    for likelihood in likelihoods.values():
        likelihood.close()
    for name in KINDS:
        alone, beside = seconds[name] / seconds["plain alone"], seconds[name] / seconds["plain"]
        pypwa = PYPWA[name][row] / PLAIN[row]
        times = f"{1e3 * seconds[name]:9.3f} ms  {alone:6.2f} of numpy alone, {beside:5.2f} of numpy beside it"
        print(f"{n_events:>9} {name:8} {times}   PyPWA {pypwa:6.2f}")
    for what in ("", " gradient"):
        ratio = seconds[f"ported{what}"] / seconds[f"native{what}"]
        print(f"{n_events:>9} ported{what:9} {1e3 * seconds[f'ported{what}']:9.3f} ms  {ratio:6.2f} of native")
    print(f"{n_events:>9} torch gradient  {1e3 * seconds['torch gradient']:9.3f} ms")
    return seconds


def simulation(n_bins, n_events):
    """Ratios of ten times a million intensities with masks to plain numpy."""
    bins = [dict(zip("xy", w1_flat(n_events), strict=True)) for _ in range(n_bins)]
    p = params(0)

    def by_hand(k):
        values = []
        for data in bins:
            u, v = (data["x"] - p["A1"]) / p["A2"], (data["y"] - p["A3"]) / p["A4"]
            values.append(np.exp(-(u**2) - v**2) / (p["A2"] * p["A4"]))
        top = max(v.max() for v in values)
        return [v / top > np.random.rand(len(v)) for v in values]

    def compat(kind):
        found = [pwa.simulate.process_user_function(kind(), data, p) for data in bins]
        top = [maximum for _, maximum in found]
        return [pwa.simulate.make_rejection_list(values, top) for values, _ in found]

    functions = {"plain": by_hand} | {name: lambda k, kind=kind: compat(kind) for name, kind in KINDS.items()}
    seconds = medians(functions, rounds=5, budget=60)
    for name in KINDS:
        ratio, pypwa = seconds[name] / seconds["plain"], PYPWA_SIMULATION[name] / PLAIN_SIMULATION
        print(f"simulation {name:8} {seconds[name]:7.3f} s  {ratio:6.2f} of numpy   PyPWA {pypwa:6.2f}")
    return seconds


def fits(n_bins, n_events):
    """Seconds of a fit in each of ten bins, with what starting and stopping workers takes."""
    rng = np.random.default_rng(3)
    bins = [{n: rng.normal(10, 3 / np.sqrt(2), n_events + 100 * i) for n in "xy"} for i in range(n_bins)]
    for name, kind in KINDS.items():
        taken = []
        for data in bins:
            began = time.perf_counter()
            with pwa.LogLikelihood(kind(), data) as likelihood:
                minuit = pwa.minuit(dict.fromkeys(W1_NAMES, 1.0), likelihood)
                minuit.limits["A1", "A3"] = (0.1, None)
                minuit.limits["A2", "A4"] = (1.0, None)
                minuit.migrad()
            taken.append(time.perf_counter() - began)
            assert minuit.valid
        later, everything = np.median(taken[1:]), sum(taken)
        print(f"fits {name:8} later bin {later:6.3f} s, all {n_bins} {everything:6.2f} s, {minuit.nfcn} values")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    options = parser.parse_args()
    results = {}
    for row, n_events in enumerate(SIZES):
        if n_events <= options.largest:
            results[n_events] = evaluation(n_events, row)
    results["simulation"] = simulation(10, 1_000_000)
    fits(10, 70_000)
    save("compat", results)


if __name__ == "__main__":
    main()
