"""W1, the two-dimensional Gauss: evaluation, ten fits, simulation, memory and devices, tools in turns.

    python -m benchmarks.w1                 prints a table and writes benchmarks/results/w1.json

Ratios below 1 are in favour of jaxpwa. Who does not have numba, laddu or tensorwaves gets the rows of the others.
"""

import argparse
import statistics
from collections.abc import Iterator

from benchmarks.turns import Row, absolute, agree, gain, in_turns, ratios, relative, table, usable_cores
from benchmarks.workloads import CHECKS, DRAWN

SIZES = (70_000, 1_000_000, DRAWN)
TARGETS = {"value": {70_000: 1.0, DRAWN: 0.65}, "gradient": {DRAWN: 0.9}}
PEERS = ("numpy", "laddu", "tensorwaves", "jaxpwa", "numba")


def short(n: int) -> str:
    return f"{n // 10**6}M" if n >= 10**6 else f"{n // 1000}k"


def evaluation(n: int, turns: int) -> Iterator[Row | dict]:
    """Whole Python calls with changing parameters."""
    what = ("value", "gradient", "hessian")
    tasks = {tool: (tool, "evaluate", "w1", "--events", n, "--what", *what) for tool in PEERS}
    found = in_turns(tasks, turns)
    yield agree(f"W1 at {short(n)}", {tool: r[0]["check"] for tool, r in found.items()}, CHECKS.get(("w1", n)))
    for tool in ("numba", "numpy", "laddu", "tensorwaves"):
        target = TARGETS["value"].get(n) if tool == "numba" else None
        yield from relative(f"W1 value, {short(n)}", found, "value", tool, target)
    for tool in ("numba", "laddu", "tensorwaves"):
        target = TARGETS["gradient"].get(n) if tool == "numba" else None
        yield from relative(f"W1 value + gradient, {short(n)}", found, "gradient", tool, target)
    ours = found["jaxpwa"]
    hessians, gradients = [r["hessian"] for r in ours], [r["gradient"] for r in ours]
    yield ratios(f"W1 Hessian, {short(n)}", hessians, gradients, "own gradient")
    yield {"work": f"W1 evaluation, {n}", "turns": found}


def fits(turns: int) -> Iterator[Row | dict]:
    """Ten fits from (1, 1, 1, 1), with making the likelihood and all compilation."""
    tasks = {
        "laddu": ("laddu", "fits", "w1"),
        "tensorwaves": ("tensorwaves", "fits", "w1"),
        "tensorwaves+gradient": ("tensorwaves", "fits", "w1", "--variant", "gradient"),
        "numba": ("numba", "fits", "w1"),
        "jaxpwa": ("jaxpwa", "fits", "w1"),
        "numba+gradient": ("numba", "fits", "w1", "--variant", "gradient"),
    }
    found = in_turns(tasks, turns)
    # Minima differ by what each minimiser calls near enough.
    yield agree("W1 minimum of the last bin", {t: r[0]["minima"][-1] for t, r in found.items()}, tolerance=1e-7)
    ours = found["jaxpwa"]
    yield absolute("W1 fit of a later bin", [r["later"] for r in ours], 0.025, "ms")
    yield absolute("W1 ten fits with compilation", [r["all"] for r in ours], 0.8, "s")
    for tool in (t for t in tasks if t != "jaxpwa"):
        yield from relative("W1 fit of a later bin", found, "later", tool)
    for tool in (t for t in tasks if t != "jaxpwa"):
        yield from relative("W1 ten fits with compilation", found, "all", tool, unit="s")
    yield {"work": "W1 fits", "turns": found}


def simulation(turns: int) -> Iterator[Row | dict]:
    """Ten masks over ten million events, below one maximum."""
    found = in_turns(
        {
            "one call": ("jaxpwa", "simulate", "w1", "--variant", "one call"),
            "numpy": ("numpy", "simulate", "w1"),
            "jaxpwa": ("jaxpwa", "simulate", "w1"),
        },
        turns,
    )
    yield from relative("W1 simulation 10 x 1M with masks", found, "seconds", "numpy", 1.0)
    once, numpy = ([r["seconds"] for r in found[name]] for name in ("one call", "numpy"))
    yield ratios("W1 simulation of 10M in one call", once, numpy, "numpy")
    yield {"work": "W1 simulation", "turns": found}


def memory(turns: int) -> Iterator[Row | dict]:
    """Peak memory of value, gradient and Hessian, with the user's arrays and all imports."""
    found = in_turns({tool: (tool, "memory", "w1", "--events", DRAWN) for tool in ("numba", "jaxpwa")}, turns)
    yield absolute("W1 peak memory, 10M, up to the Hessian", [r["peak MB"] for r in found["jaxpwa"]], 700, "MB")
    yield from relative("W1 peak memory, 10M (numba: gradient)", found, "peak MB", "numba", unit="MB")
    before = statistics.median(r["arrays and imports"] for r in found["jaxpwa"])
    yield Row("  of it imports and the user's arrays", before, "MB")
    yield {"work": "W1 memory", "turns": found}


def devices(turns: int) -> Iterator[Row | dict]:
    """Two devices against one; nothing on a machine with one core."""
    if usable_cores() < 2:
        print("left out: 2 devices against 1, as there is one core")
        return
    tasks = {str(c): ("jaxpwa", "evaluate", "w1", "--events", DRAWN, "--devices", c) for c in (1, 2)}
    found = in_turns(tasks, turns)
    for what, name in (("value", "value"), ("gradient", "value + gradient")):
        two, one = ([r[what] for r in found[c]] for c in ("2", "1"))
        yield gain(f"W1 {name}, 10M, 2 devices", two, one, 1.8)
    yield {"work": "W1 devices", "turns": found}


def rows(turns: int) -> Iterator[Row | dict]:
    """Measure everything, in an order that puts long processes last."""
    for n in SIZES:
        yield from evaluation(n, turns)
    for part in (fits, simulation, memory, devices):
        yield from part(turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="how often each tool gets its turn")
    table("w1", rows(parser.parse_args().turns))


if __name__ == "__main__":
    main()
