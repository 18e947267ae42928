"""The 2D Gauss tutorial: simulate ten bins from flat events, fit each, look at the result.

Ten million flat events in [0, 20]^2 make ten bins of a million. Each is simulated by rejection sampling with
A1 = A3 = 10 and A2 = A4 = 3, all against one common maximum, and fitted from (1, 1, 1, 1).

    python examples/gauss2d.py            full size
    python examples/gauss2d.py --quick    a tenth of the bins' events, three bins
"""

import argparse
import time
from pathlib import Path

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp

TRUTH = {"A1": 10.0, "A2": 3.0, "A3": 10.0, "A4": 3.0}
START = {
    "A1": jp.Parameter(1.0, lower=0.1),
    "A2": jp.Parameter(1.0, lower=1.0),
    "A3": jp.Parameter(1.0, lower=0.1),
    "A4": jp.Parameter(1.0, lower=1.0),
}


def intensity(p, d):
    """Two Gauss functions, normalised but for a factor pi that no fit sees."""
    u = (d["x"] - p["A1"]) / p["A2"]
    v = (d["y"] - p["A3"]) / p["A4"]
    return jnp.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])


def simulate(n_bins, n_events):
    """Return one simulated table per bin, all against one maximum."""
    rng = np.random.default_rng(20251125)
    flat = [{"x": 20 * rng.random(n_events), "y": 20 * rng.random(n_events)} for _ in range(n_bins)]
    maxima = [jp.evaluate(intensity, TRUTH, table).max() for table in flat]
    tables = []
    for seed, table in enumerate(flat):
        mask, report = jp.rejection_sample(seed, intensity, TRUTH, table, maximum=maxima)
        print(f"bin {seed}: {report}")
        tables.append({name: values[mask] for name, values in table.items()})
    return tables


def plot(table, result, path):
    """Draw one bin's events and, beside them, both projections with the fitted curves and pulls."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(13, 4.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(3, 1), hspace=0.02)
    axes = figure.add_subplot(grid[:, 0])
    counts = axes.hist2d(table["x"], table["y"], bins=100, range=[[0, 20], [0, 20]], cmap="viridis")
    figure.colorbar(counts[3], ax=axes, label="events / (0.2 x 0.2)")
    angle = np.linspace(0, 2 * np.pi, 200)
    v = result.values
    for k in (1, 2):
        # I falls to exp(-k^2/2) at k standard deviations, and the standard deviation is A2 / sqrt(2).
        axes.plot(
            v["A1"] + k * v["A2"] / 2**0.5 * np.cos(angle), v["A3"] + k * v["A4"] / 2**0.5 * np.sin(angle), "w", lw=1
        )
    axes.set(xlabel="x", ylabel="y", title="simulated events, fitted 1 and 2 sigma", aspect="equal")
    for column, (name, mean, width) in enumerate([("x", v["A1"], v["A2"]), ("y", v["A3"], v["A4"])], 1):
        top, pulls = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        n, edges = np.histogram(table[name], bins=60, range=(0, 20))
        centres, step = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
        errors = np.sqrt(np.maximum(n, 1))
        grid_x = np.linspace(0, 20, 400)

        def density(x, mean=mean, width=width, step=step):
            return len(table["x"]) * step / (np.sqrt(np.pi) * width) * np.exp(-(((x - mean) / width) ** 2))

        top.errorbar(centres, n, errors, fmt="k.", ms=4, lw=1, label="data")
        top.plot(grid_x, density(grid_x), "C3", label="fit")
        top.set(ylabel=f"events / {step:.2g}", xlim=(0, 20), title=f"projection on {name}")
        top.tick_params(labelbottom=False)
        top.legend(frameon=False)
        pulls.axhline(0, color="C3", lw=1)
        pulls.plot(centres, (n - density(centres)) / errors, "k.", ms=4)
        pulls.set(xlabel=name, ylabel="pull", xlim=(0, 20), ylim=(-5, 5))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(arguments=None):
    """Run the tutorial and return the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three bins of 100 000 events")
    parser.add_argument("--output", type=Path, default=Path("gauss2d.png"), help="where the picture goes")
    options = parser.parse_args(arguments)
    n_bins, n_events = (3, 100_000) if options.quick else (10, 1_000_000)

    began = time.perf_counter()
    tables = simulate(n_bins, n_events)
    print(f"simulation: {time.perf_counter() - began:.2f} s\n")

    results = []
    for number, table in enumerate(tables):
        began = time.perf_counter()
        cost = jp.UnbinnedNLL(intensity, table)
        result = jp.fit(cost, START)
        n = len(table["x"])
        print(f"bin {number}: {n} events, FCN {result.fval:.1f}, N (1 + ln 9) = {n * (1 + np.log(9)):.1f}")
        print(result)
        print(f"{time.perf_counter() - began:.3f} s with building the cost\n")
        results.append(result)
    plot(tables[0], results[0], options.output)
    print(f"picture: {options.output}")
    return results


if __name__ == "__main__":
    main()
