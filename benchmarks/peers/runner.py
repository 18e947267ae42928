"""The command line that the modules of all tools share: one task in a process of its own, one line of JSON.

    python -m benchmarks.peers.by_laddu evaluate w1 --events 70000      value and gradient
    python -m benchmarks.peers.by_laddu fits w1                         the ten fits, with all compilation
    python -m benchmarks.peers.by_numpy simulate w1                     intensities and masks of ten million events
    python -m benchmarks.peers.by_jaxpwa memory w1 --events 10000000    peak memory of value and derivatives

A module has ``w1(x, y, **options)`` or ``w2(sample, **options)``, or both, that make a `Tool`. A module for simulation
has ``simulate(x, y) -> function(k)``.
"""

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.timing import medians, peak_memory_mb
from benchmarks.workloads import DRAWN, W2_DATA, w1_bins, w1_flat, w1_point, w2_sample


class Tool(Protocol):
    """A likelihood in the hands of a tool. Methods are whole Python calls, as a user writes them."""

    def point(self, values: tuple[float, ...]) -> Any:
        """Return parameters as the tool wants them; not timed."""
        ...

    def value(self, point: Any) -> float: ...

    def gradient(self, point: Any) -> Any:
        """Compute the gradient, with the value where the tool gives both at once."""
        ...

    def hessian(self, point: Any) -> Any: ...

    def fit(self) -> float:
        """Minimise from the start of the workload, return the minimum; fail unless it is one."""
        ...


def build(module: Any, work: str, n_events: int, options: dict[str, Any]) -> tuple[Tool, Callable[[int], Any]]:
    """Make the events and the tool's likelihood, and points that change with a counter."""
    if work == "w1":
        tool, values = module.w1(*w1_flat(n_events), **options), w1_point
    else:
        sample = w2_sample(n_events)
        tool, values = module.w2(sample, **options), sample.point
    points = [tool.point(values(k)) for k in range(97)]
    return tool, lambda k: points[k % 97]


def evaluate(module: Any, work: str, n_events: int, options: dict[str, Any], what: list[str], seconds: float) -> dict:
    """Time value and derivatives, the first call of each apart."""
    tool, at = build(module, work, n_events, options)
    out: dict[str, Any] = {"check": float(tool.value(at(0)))}
    functions = {}
    for name in what:
        if (method := getattr(tool, name, None)) is not None:
            functions[name] = lambda k, method=method: method(at(k))
    out |= medians(functions, budget=seconds)
    return out


def fits(module: Any, work: str, n_events: int, options: dict[str, Any]) -> dict:
    """Time fits, with making the likelihood and all compilation; making events and imports do not count."""
    times, minima = [], []
    if work == "w1":
        for x, y in w1_bins():
            began = time.perf_counter()
            minima.append(float(module.w1(x, y, **options).fit()))
            times.append(time.perf_counter() - began)
        return {"first": times[0], "later": statistics.median(times[1:]), "all": sum(times), "minima": minima}
    sample = w2_sample(n_events)
    for _ in range(3):
        began = time.perf_counter()
        tool = module.w2(sample, **options)
        minima.append(float(tool.fit()))
        times.append(time.perf_counter() - began)
    warm = []
    for _ in range(5):
        began = time.perf_counter()
        tool.fit()
        warm.append(time.perf_counter() - began)
    anew = statistics.median(times[1:])
    return {"first": times[0], "built anew": anew, "warm": statistics.median(warm), "minima": minima}


def simulate(module: Any, work: str, n_events: int, options: dict[str, Any]) -> dict:
    """Time intensities of ten bins of a million, their common maximum, and ten masks."""
    return medians({"seconds": module.simulate(*w1_flat(n_events), **options)}, rounds=7, budget=10)


def memory(module: Any, work: str, n_events: int, options: dict[str, Any]) -> dict:
    """Tell the peak memory of value and derivatives, the user's arrays included, and that of arrays and imports."""
    x, y = w1_flat(n_events)
    before = peak_memory_mb()
    tool = module.w1(x, y, **options)
    point = tool.point(w1_point(0))
    for name in ("value", "gradient", "hessian"):
        if hasattr(tool, name):
            getattr(tool, name)(point)
    return {"arrays and imports": before}


TASKS = {"evaluate": evaluate, "fits": fits, "simulate": simulate, "memory": memory}


def main(name: str, packages: tuple[str, ...]) -> None:
    """Do what the command line says; say in JSON which package is missing where one is."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("work", choices=("w1", "w2"))
    parser.add_argument("--events", type=int, help="events of W1, or of data of W2")
    parser.add_argument("--what", nargs="+", default=["value", "gradient"], help="value, gradient, hessian")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to go on timing")
    parser.add_argument("--variant", help="see the tool's module")
    parser.add_argument("--devices", type=int, help="jaxpwa only")
    given = parser.parse_args()
    for package in packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            missing = f'{error.name} is not installed: pip install -e ".[bench]"'
            print(json.dumps({"missing": missing}))
            return
    options = {k: v for k in ("variant", "devices") if (v := getattr(given, k)) is not None}
    n_events = given.events or (DRAWN if given.work == "w1" else W2_DATA)
    arguments: list[Any] = [sys.modules["__main__"], given.work, n_events, options]
    if given.task == "evaluate":
        arguments += [given.what, given.seconds]
    out = TASKS[given.task](*arguments)
    print(
        json.dumps(
            {
                "tool": name.rpartition("by_")[2],
                "work": given.work,
                "events": n_events,
                **out,
                "peak MB": peak_memory_mb(),
            }
        )
    )
