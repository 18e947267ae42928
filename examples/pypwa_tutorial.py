"""PyPWA's introduction, by its own names: flat events in bins, simulation, files, fits by three kinds of amplitude.

Ten bins of about a million flat events are simulated in two steps, intensities first and then all bins against one
maximum, written to csv and read back. Each bin is fitted by numexpr in worker processes, by torch with its gradient,
and by the same class ported to JAX; the three must agree.

    python examples/pypwa_tutorial.py            full size
    python examples/pypwa_tutorial.py --quick    three bins of 60 000 events
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numexpr
import numpy as np
import pandas as pd

import jaxpwa as jp
import jaxpwa_compat as pwa  # was: import PyPWA as pwa

try:
    import torch
except ModuleNotFoundError:
    torch = None

TRUTH = {"A1": 10.0, "A2": 3.0, "A3": 10.0, "A4": 3.0}
START = {"A1": 1.0, "A2": 1.0, "A3": 1.0, "A4": 1.0}
LOWER = {"A1": 0.1, "A2": 1.0, "A3": 0.1, "A4": 1.0}


class Gauss2dNumpy(pwa.NestedFunction):
    """Split over worker processes, which is the default."""

    def setup(self, data):
        self.__x, self.__y = pwa.to_contiguous(data, ["x", "y"])

    def calculate(self, params):
        u = (self.__x - params["A1"]) / params["A2"]
        v = (self.__y - params["A3"]) / params["A4"]
        return np.exp(-(u**2) - v**2) / (params["A2"] * params["A4"])


class Gauss2dNumexpr(pwa.NestedFunction):
    """Worker processes again; numexpr's own threads share the cores among them."""

    def setup(self, data):
        self.__x, self.__y = pwa.to_contiguous(data, ["x", "y"])

    def calculate(self, params):
        return numexpr.evaluate(
            "exp(-((x - A1) / A2)**2 - ((y - A3) / A4)**2) / (A2 * A4)",
            local_dict={"x": self.__x, "y": self.__y, **params},
        )


class Gauss2dTorch(pwa.NestedFunction):
    """In this process, on the first CUDA device if there is one; MINUIT gets torch's gradient."""

    USE_MP = False
    USE_TORCH = True

    def setup(self, data):
        device = f"cuda:{self.THREAD}" if torch.cuda.is_available() else "cpu"
        self.__x, self.__y = (torch.from_numpy(c).to(device) for c in pwa.to_contiguous(data, ["x", "y"]))

    def calculate(self, params):
        u = (self.__x - params["A1"]) / params["A2"]
        v = (self.__y - params["A3"]) / params["A4"]
        return (-(u**2) - v**2).exp() / (params["A2"] * params["A4"])


def flat_bins(n_events, n_bins, folder):
    """Return bins of flat events, from the cache of an earlier run where there is one."""
    found, bins = pwa.cache.read(folder / f"flat_{n_events}_{n_bins}")
    if not found:
        rng = np.random.default_rng(20251125)
        columns = {"x": (0, 20), "y": (0, 20), "mass": (1, 2)}
        flat = pd.DataFrame({name: rng.uniform(low, high, n_events) for name, (low, high) in columns.items()})
        bins = pwa.bin_by_range(flat, "mass", n_bins)
        pwa.cache.write(folder / f"flat_{n_events}_{n_bins}", bins)
    print(f"flat events: {[len(b) for b in bins]}{' from the cache' if found else ''}")
    return bins


def simulate(bins, folder):
    """Simulate all bins against one maximum and write each to csv."""
    began = time.perf_counter()
    np.random.seed(1)
    intensities, maxima = [], []
    for data in bins:
        values, maximum = pwa.simulate.process_user_function(Gauss2dNumexpr(), data, TRUTH)
        intensities.append(values)
        maxima.append(maximum)
    masks = [pwa.simulate.make_rejection_list(values, maxima) for values in intensities]
    seconds = time.perf_counter() - began
    for number, (data, mask) in enumerate(zip(bins, masks, strict=True)):
        pwa.write(folder / f"bin_{number}.csv", data[mask])
    kept = sum(mask.sum() for mask in masks) / sum(map(len, masks))
    print(f"simulation: {100 * kept:.3f} % kept, expected {100 * np.pi * 9 / 400:.3f} %, {seconds:.2f} s")


def fit(amplitude, data):
    """Fit one bin as in PyPWA; returns the Minuit object."""
    with pwa.LogLikelihood(amplitude, data) as likelihood:
        minuit = pwa.minuit(START, likelihood)
        for name, lower in LOWER.items():
            minuit.limits[name] = (lower, None)
        minuit.tol = 1e-4  # a thousandth of MINUIT's own, to compare the kinds with each other
        minuit.migrad()
        minuit.hesse()
    return minuit


def compare(port, data, results):
    """Return the largest differences between the kinds: of the FCN at one point, and of values in errors."""
    amplitudes = [Gauss2dNumpy(), Gauss2dNumexpr()] + ([Gauss2dTorch()] if torch else [])
    at_truth = [jp.UnbinnedNLL(port, data)(TRUTH)]
    for amplitude in amplitudes:
        with pwa.LogLikelihood(amplitude, data) as likelihood:
            at_truth.append(likelihood(TRUTH))
    fcn = (max(at_truth) - min(at_truth)) / abs(at_truth[0])
    best, errors = results["JAX"]
    values = max(np.max(np.abs(v - best) / errors) for v, _ in results.values())
    return fcn, values


def main(arguments=None):
    """Run the tutorial and return the results of the ported amplitude."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three bins of 60 000 events")
    parser.add_argument("--folder", type=Path, help="where files go and caches are kept; default: a temporary one")
    options = parser.parse_args(arguments)
    n_bins, n_events = (3, 180_000) if options.quick else (10, 10_000_000)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        simulate(flat_bins(n_events, n_bins, folder), folder)

        sample = pwa.read(folder / "bin_0.csv")
        port = pwa.to_jax(Gauss2dNumpy(), sample, parameters=TRUTH)
        print(f"\n{port.report}\n")

        seconds = {"numexpr": 0.0, "torch": 0.0, "JAX": 0.0}
        kept, live = [], []
        for number in range(n_bins):
            data = pwa.read(folder / f"bin_{number}.csv", use_pandas=True)
            results = {}
            for kind, amplitude in [("numexpr", Gauss2dNumexpr()), *([("torch", Gauss2dTorch())] if torch else [])]:
                began = time.perf_counter()
                minuit = fit(amplitude, data)
                seconds[kind] += time.perf_counter() - began
                if not minuit.valid:
                    sys.exit(f"bin {number}: the {kind} fit is not valid")
                results[kind] = np.array(minuit.values), np.array(minuit.errors)
                live.append(minuit)
            began = time.perf_counter()
            limits = {name: jp.Parameter(START[name], lower=LOWER[name]) for name in START}
            result = jp.fit(jp.UnbinnedNLL(port, data), limits)
            seconds["JAX"] += time.perf_counter() - began
            results["JAX"] = np.array(list(result.values.values())), np.array(list(result.errors.values()))
            kept.append(result)
            fcn, values = compare(port, data, results)
            print(f"bin {number}: {len(data)} events, kinds differ by {fcn:.1e} in FCN, {values:.1e} errors in values")
            if fcn > 1e-9 or values > 1e-3:
                sys.exit("the kinds of amplitude do not agree")
            print(result, "\n")
        used = ", ".join(f"{kind} {s:.2f} s" for kind, s in seconds.items() if s)
        print(f"fits of all bins, workers and compilation included: {used}")

        try:
            pwa.cache.write(folder / "fits", live)
        except RuntimeWarning as refusal:
            print(f"Minuit objects can't be kept: {refusal}")
        pwa.cache.write(folder / "fits", kept)
        _, again = pwa.cache.read(folder / "fits")
        print(f"FitResults can: {len(again)} of them, the first with A1 = {again[0].values['A1']:.4f}")
    return kept


if __name__ == "__main__":
    main()
