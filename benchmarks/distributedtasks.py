"""What the processes of `benchmarks.distributed` do."""

import statistics
import tempfile
import time
from typing import Any

import numpy as np

import jax

import jaxpwa as jp
from benchmarks.costmodel import ORDERS
from benchmarks.peers import by_jaxpwa
from benchmarks.timing import medians, peak_memory_mb
from benchmarks.workloads import W1_NAMES, W2_NAMES, w1_flat, w1_point, w2_sample
from jaxpwa.engine.processes import exchange
from jaxpwa.engine.sums import compiled_sum
from jaxpwa.inference.traceable import event_terms

COUNTED = {"flops": "flops", "transcendentals": "transcendentals", "touched": "bytes accessed"}


def built(work: str, n: int, devices: Any, variant: str = "direct") -> tuple[Any, list[dict[str, float]]]:
    """Return a likelihood of so many events, of Monte Carlo for W2 with a tenth as many of data, and points."""
    if work == "w1":
        fit, at = by_jaxpwa.w1(*w1_flat(n), devices), w1_point
    else:
        sample = w2_sample(n // 10)
        fit, at = by_jaxpwa.w2(sample, variant, devices), sample.point
    return fit, [fit.point(at(k)) for k in range(97)]


def steady(functions: dict[str, Any], calls: int, rounds: int = 7) -> dict[str, float]:
    """Return median seconds; equally many calls in all processes, as they compute together."""
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function(0)
            began = time.perf_counter()
            for k in range(calls):
                function(k + 1)
            samples[name].append((time.perf_counter() - began) / calls)
    return {name: statistics.median(values) for name, values in samples.items()}


def methods(fit: Any, points: list, names: tuple[str, ...] = ORDERS) -> dict[str, Any]:
    """Return the fit's methods of these names as functions of a counter."""

    def counted(method: Any) -> Any:
        return lambda k: method(points[k % 97])

    return {name: counted(getattr(fit, name)) for name in names}


def task_rates(work: str, n: str) -> dict[str, Any]:
    """Time each sum by itself: of many events, and of few for what a call costs without any."""
    out: dict[str, Any] = {"parts": {}}
    few, many = (built(work, size, 1) for size in (40_960, int(n)))
    began = time.perf_counter()
    for function in methods(*few).values():
        function(0)
    out["compile"] = time.perf_counter() - began
    names = ["W1"] if work == "w1" else ["W2 data", "W2 Monte Carlo, direct"]
    pairs = list(zip(names, event_terms(few[0].cost._terms), event_terms(many[0].cost._terms), strict=True))
    if work == "w2":
        pseudo, _ = built(work, int(n), 1, "")
        pseudo.value(many[1][0])
        pairs.append(("W2 Monte Carlo, pseudo-events", None, list(event_terms(pseudo.cost._terms))[1]))
    for name, small, large in pairs:
        total = large.total._chosen() if small is None else large.total
        costs = [by_jaxpwa.Fit(jp.Cost([term], 0.5, 1, name), {}) for term in (small, large) if term is not None]
        times = [medians(methods(cost, many[1]), budget=4) for cost in costs]
        columns, extras, weights, _ = total.events.arrays
        part: dict[str, Any] = {"events": large.total.n_events, "orders": {}}
        part["bytes"] = float(
            sum(a.nbytes / len(a) for a in (*columns, *extras, *([] if weights is None else [weights])))
        )
        part["layout"] = f"{len(columns)} columns of doubles" + (
            f", layout {total.spec.layout}" if total.spec.layout else ""
        )
        for order, what in enumerate(ORDERS):
            lowered = compiled_sum(total.spec, order).lower(np.zeros(len(total.spec.parameters)), total.events.arrays)
            # The loop's body is counted once: these are the operations of one block.
            counted, rows = lowered.compile().cost_analysis(), total.spec.block
            counts = {k: counted.get(v, 0.0) / rows for k, v in COUNTED.items()}
            seconds, launch = 0.0, times[0][what]
            if small is not None:
                n_few, n_many = small.total.n_events, large.total.n_events
                # A disturbed machine may take longer for few events.
                seconds = max(times[1][what] - times[0][what], 0.5 * times[1][what]) / (n_many - n_few)
                launch = max(0.0, launch - seconds * n_few)
            part["orders"][what] = {"ns": 1e9 * seconds, "launch": launch, **counts}
        out["parts"][name] = part
    return out


def task_communication() -> dict[str, Any]:
    """Time sums over a few events per device, on this process's device and on those of all."""
    jp.distributed.initialize()
    out: dict[str, Any] = {"works": {}}
    for work, n_events in (("w1", 4096), ("w2", 40_960)):
        n = len(W1_NAMES if work == "w1" else W2_NAMES)
        alone, points = built(work, n_events, 1, "")
        together, _ = built(work, n_events * jax.process_count(), tuple(jax.devices()), "")
        times = {k: steady(methods(fit, points), 50) for k, fit in (("alone", alone), ("together", together))}
        # The parameters follow the sums in a row.
        sizes = {what: 8.0 * (n + sum(n**k for k in range(order + 1))) for order, what in enumerate(ORDERS)}
        out["works"][work] = {
            what: {"bytes": sizes[what] * (jax.device_count() - 1), **{k: t[what] for k, t in times.items()}}
            for what in ORDERS
        }
    row = np.zeros(1 + 2 * len(W2_NAMES))
    return out | {"exchange": steady({"x": lambda k: exchange(row)}, 50)["x"]}


def task_share(work: str, n: str, calls: str) -> dict[str, Any]:
    """Time sums over all devices of all processes."""
    began = time.perf_counter()
    jp.distributed.initialize()
    out: dict[str, Any] = {"connect": time.perf_counter() - began}
    fit, points = built(work, int(n), tuple(jax.devices()))
    functions = methods(fit, points, ORDERS[:2])
    began = time.perf_counter()
    out["check"] = functions["value"](0)
    functions["gradient"](0)
    out["compile"] = time.perf_counter() - began
    return out | steady(functions, int(calls))


def task_stream(folder: str, suffix: str, budget: str, scratch: str, calls: str) -> dict[str, Any]:
    """Time passes over files."""
    keep: dict[str, Any] = {} if scratch == "-" else {"scratch": scratch}
    # What compiling takes is no cost of streaming.
    warm, points = built("w1", 8192, None)
    for function in methods(warm, points, ORDERS[:2]).values():
        function(0)
    before, began = peak_memory_mb(), time.perf_counter()
    data = jp.Dataset.from_files(f"{folder}/w1_*{suffix}", memory_budget=int(budget) or None, **keep)
    fit = by_jaxpwa.Fit(jp.UnbinnedNLL(by_jaxpwa.gauss, data), dict.fromkeys(W1_NAMES, 1.0))
    functions = methods(fit, points, ORDERS[:2])
    out = {"before MB": before, "survey": time.perf_counter() - began, "check": functions["value"](0)}
    out["streamed"] = "at every call" in fit.cost.explain()
    rounds = {"value": int(calls), "gradient": int(calls)}
    for name, function in functions.items():
        out[name] = steady({name: function}, 1, rounds[name])[name]
    return out


def peaked(events: int, seed: int) -> np.ndarray:
    """Return x and y of events of W1."""
    return np.random.default_rng(seed).normal(10, 3 / np.sqrt(2), (2, events))


def toy(events: int, seed: int) -> float:
    """Fit a sample; return the seconds that it took."""
    began = time.perf_counter()
    by_jaxpwa.w1(*peaked(events, seed)).fit()
    return time.perf_counter() - began


def task_farm(workers: str, toys: str, events: str) -> dict[str, Any]:
    """Time fits on a pool, and tasks that do nothing."""
    n, n_workers = int(toys), int(workers)
    began = time.perf_counter()
    with jp.process_pool(n_workers) as pool:
        # All processes have compiled when each has had some fits.
        jp.farm(lambda seed: toy(int(events), seed), range(4 * n_workers), pool)
        ready = time.perf_counter() - began
        fits = jp.farm(lambda seed: toy(int(events), seed), range(n), pool)
        empty = jp.farm(lambda seed: seed, range(500), pool)
    inside = statistics.fmean(fits.values())
    each = fits.seconds * n_workers / n
    return {
        "ready": ready,
        "fit": inside,
        "added": each - inside,
        "empty": empty.seconds / 500,
        "per second": n / fits.seconds,
    }


def task_checkpoint(events: str) -> dict[str, Any]:
    """Time fits with and without a checkpoint, and count the calls of fits."""
    fits = {"w1": by_jaxpwa.w1(*peaked(int(events), 1)), "w2": by_jaxpwa.w2(w2_sample(int(events)))}
    calls = {}
    for work, fit in fits.items():
        calls[work] = {name: int(n) for name, n in jp.fit(fit.cost, fit.start).calls.items()}
    cost, start = fits["w1"].cost, fits["w1"].start
    with tempfile.TemporaryDirectory() as name:

        def kept(k: int) -> None:
            jp.fit(cost, start, checkpoint=f"{name}/{time.perf_counter_ns()}")

        times = medians({"without": lambda k: jp.fit(cost, start), "with": kept}, budget=10)
    return times | {"calls": calls}
