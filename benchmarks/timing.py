"""Timing functions of one process in turns, and memory."""

import statistics
import time
from collections.abc import Callable

_PAUSE = 0.05


def medians(functions: dict[str, Callable[[int], object]], rounds: int = 9, budget: float = 20.0) -> dict[str, float]:
    """Return the median seconds per call of each function, called in turns.

    Short calls are repeated within a round, so that each sample lasts some 20 ms. Each call gets a counter, to
    vary the parameters with. At least five samples are taken, more until there are ``rounds`` or the budget in
    seconds is spent.
    """
    seconds, repeats = {}, {}
    for name, function in functions.items():
        function(0)
        began = time.perf_counter()
        function(1)
        seconds[name] = time.perf_counter() - began
        repeats[name] = max(1, int(0.02 / max(seconds[name], 1e-7)))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    began, k = time.perf_counter(), 2
    for done in range(1, rounds + 1):
        for name, function in functions.items():
            # OpenMP's threads go on spinning after a call and would take a core from whoever comes next.
            time.sleep(_PAUSE)
            if seconds[name] < 0.1:
                function(k)
            start = time.perf_counter()
            for _ in range(repeats[name]):
                function(k)
                k += 1
            samples[name].append((time.perf_counter() - start) / repeats[name])
        if time.perf_counter() - began > budget and done >= 5:
            break
    return {name: statistics.median(values) for name, values in samples.items()}


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return float("nan")
