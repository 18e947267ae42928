"""W2, six interfering waves with 550 000 events: likelihood, gradient and fit, tools in turns.

    python -m benchmarks.w2                 prints a table and writes benchmarks/results/w2.json
    python -m benchmarks.w2 --explain       prints what jaxpwa stores and how it takes the sums, and ends

Ratios below 1 are in favour of jaxpwa. "direct" is jaxpwa summing over all Monte Carlo events, "plain" also without
stored harmonics; "numpy" has a normalization matrix made by hand.
"""

import argparse
from collections.abc import Iterator

from benchmarks.turns import Row, absolute, agree, in_turns, relative, table
from benchmarks.workloads import CHECKS, W2_DATA, W2_MINIMUM, w2_sample


def evaluation(turns: int) -> Iterator[Row | dict]:
    """Whole Python calls with changing parameters."""
    tasks = {
        "plain": ("jaxpwa", "evaluate", "w2", "--variant", "plain"),
        "direct": ("jaxpwa", "evaluate", "w2", "--variant", "direct"),
        "tensorwaves": ("tensorwaves", "evaluate", "w2"),
        "numpy": ("numpy", "evaluate", "w2"),
        "jaxpwa": ("jaxpwa", "evaluate", "w2", "--what", "value", "gradient", "hessian"),
        "laddu": ("laddu", "evaluate", "w2"),
    }
    found = in_turns(tasks, turns)
    yield agree("W2 at the start", {tool: r[0]["check"] for tool, r in found.items()}, CHECKS["w2", W2_DATA])
    targets = {("value", "laddu"): 0.9, ("gradient", "laddu"): 0.55}
    for what, name in (("value", "NLL"), ("gradient", "NLL + gradient")):
        for tool in ("laddu", "tensorwaves", "numpy", "direct", "plain"):
            yield from relative(f"W2 {name}", found, what, tool, targets.get((what, tool)))
    yield {"work": "W2 evaluation", "turns": found}


def fits(turns: int) -> Iterator[Row | dict]:
    """Fits from the same start: the first one with all compilation, and later ones."""
    tasks = {
        "tensorwaves": ("tensorwaves", "fits", "w2", "--variant", "gradient"),
        "numpy": ("numpy", "fits", "w2"),
        "jaxpwa": ("jaxpwa", "fits", "w2"),
        "laddu": ("laddu", "fits", "w2"),
    }
    found = in_turns(tasks, turns)
    yield agree("W2 minimum", {t: min(r[0]["minima"]) for t, r in found.items()}, W2_MINIMUM, tolerance=1e-7)
    ours = found["jaxpwa"]
    yield absolute("W2 fit, warm", [r["warm"] for r in ours], 0.15, "ms")
    yield absolute("W2 fit, first, with compilation", [r["first"] for r in ours], 2.0, "s")
    for name, key, unit in (
        ("warm", "warm", "ms"),
        ("first", "first", "s"),
        ("likelihood made anew", "built anew", "s"),
    ):
        for tool in ("laddu", "tensorwaves", "numpy"):
            yield from relative(f"W2 fit, {name}", found, key, tool, unit=unit)
    yield {"work": "W2 fits", "turns": found}


def rows(turns: int) -> Iterator[Row | dict]:
    """Measure everything."""
    yield from evaluation(turns)
    yield from fits(turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="how often each tool gets its turn")
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    if options.explain:
        from benchmarks.peers.by_jaxpwa import w2

        sample = w2_sample()
        fit = w2(sample)
        fit.value(fit.point(sample.start))
        print(fit.cost.explain())
    else:
        table("w2", rows(options.turns))


if __name__ == "__main__":
    main()
