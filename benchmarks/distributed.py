"""What processes, files and farms cost on this machine, and the model of larger ones that docs/scaling.md explains.

    python -m benchmarks.distributed                 measures all, half an hour; prints tables, predictions
    python -m benchmarks.distributed --quick         with few events, to try the script
    python -m benchmarks.distributed --model         prints the model's input and predictions from the last run, anew

Every measurement has fresh processes of its own; those of one table take turns, and times are medians. Processes of a
run meet over loopback, as by hand. Writes ``distributed.json`` and ``distributed.png`` into ``benchmarks/results``.
"""

import argparse
import importlib.util
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import jax

import jaxpwa as jp
from benchmarks import turns
from benchmarks.peers import by_jaxpwa
from benchmarks.plots import plot_distributed
from benchmarks.timing import medians, peak_memory_mb
from benchmarks.turns import RESULTS, ROOT, machine, save, usable_cores
from benchmarks.workloads import W1_NAMES, W2_NAMES, w1_flat, w1_point, w2_sample
from jaxpwa.engine.processes import exchange
from jaxpwa.engine.sums import compiled_sum
from jaxpwa.inference.traceable import event_terms

FULL = {"events": 10_000_000, "files": 10_000_000, "csv": 2_000_000, "toys": 64, "toy events": 70_000, "calls": 10}
QUICK = {"events": 400_000, "files": 1_000_000, "csv": 200_000, "toys": 12, "toy events": 20_000, "calls": 3}
# Shares of the columns' bytes that stay in memory.
BUDGETS = (2, 8, 32)
FORMATS = {".parquet": "pyarrow", ".root": "uproot", ".csv": ""}
ORDERS = ("value", "gradient", "hessian")
COUNTED = {"flops": "flops", "transcendentals": "transcendentals", "touched": "bytes accessed"}
# No GPU has been measured. Card: NVIDIA's data sheet of the H100 SXM. A step of the ring between machines: NCCL's own
# model of its low-latency protocol (src/graph/tuning.cc). The rest is assumed.
GPU = {
    "name": "H100 SXM",
    "bytes/s": 3.35e12,
    "flops/s": 34e12,
    "flops of exp": 20,
    "launch": 50e-6,
    "first": 3.6e-6,
    "hop": 2.7e-6,
}
N_PREDICTED, DEVICES = 10**9, (8, 64, 512)
CURVE = tuple(1 << i for i in range(13))
_FILES = 4
_QUIET = 0.2


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


def run(processes: int, devices: int, task: str, *arguments: Any, timeout: float = 900) -> dict[str, Any]:
    """Run a task in so many fresh processes at once; return what process 0 says, with the worst peak of memory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA", "SLURM", "OMPI", "PMI"))}
    clean |= {"JAXPWA_CPU_DEVICES": str(devices), "BENCHMARK_BEGAN": repr(time.time())}
    command = [sys.executable, "-m", "benchmarks.distributed", "--task", task, *map(str, arguments)]
    began, busy, own = time.perf_counter(), turns._busy_seconds(), turns._children_seconds()
    started, logs = [], []
    with tempfile.TemporaryDirectory() as name:
        for i in range(processes):
            known = {
                "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
                "JAX_NUM_PROCESSES": processes,
                "JAX_PROCESS_ID": i,
            }
            environment = clean | ({k: str(v) for k, v in known.items()} if processes > 1 else {})
            log = open(Path(name) / f"{i}.txt", "w+")
            logs.append(log)
            started.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT))
        try:
            for process in started:
                process.wait(timeout=max(1.0, timeout + began - time.perf_counter()))
        finally:
            for process in started:
                process.kill()
                process.wait()
        texts = []
        for log in logs:
            log.seek(0)
            texts.append(log.read())
            log.close()
    if any(process.returncode for process in started):
        text = "\n".join(t[-2000:] for t in texts)
        msg = f"{task} {arguments} in {processes} x {devices} failed:\n{text}"
        raise RuntimeError(msg)
    told = [json.loads(text.splitlines()[-1]) for text in texts]
    others = (turns._busy_seconds() - busy - turns._children_seconds() + own) / (time.perf_counter() - began)
    return told[0] | {"peak MB": max(t["peak MB"] for t in told), "others": others}


def in_turns(tasks: dict[str, tuple], n_turns: int) -> dict[str, dict[str, Any]]:
    """Run tasks in turns; return the medians of their numbers, and the numbers of each turn under ``"turns"``."""
    found: dict[str, list[dict]] = {label: [] for label in tasks}
    for _ in range(n_turns):
        for label, task in tasks.items():
            found[label].append(run(*task))
    worst = max(result["others"] for results in found.values() for result in results)
    if worst > _QUIET:
        print(f"disturbed: other programs took {worst:.1f} cores from what follows")
    return {label: _medians(results) | {"turns": results} for label, results in found.items()}


def _medians(results: list[dict]) -> dict[str, Any]:
    """Return the same dictionary with medians in place of numbers, as deep as it goes."""
    out: dict[str, Any] = {}
    for key, value in results[0].items():
        values = [r[key] for r in results]
        if isinstance(value, dict):
            out[key] = _medians(values)
        else:
            out[key] = statistics.median(values) if isinstance(value, float) else value
    return out


def rates(sizes: dict[str, int], n_turns: int) -> dict[str, Any]:
    """Time, memory and operations per event on one device."""
    found = in_turns({work: (1, 1, "rates", work, sizes["events"]) for work in ("w1", "w2")}, n_turns)
    print(
        f"\n{'one device':32s} {'events':>9s} {'what':9s} {'ns/event':>9s} {'per call':>11s} {'flops':>7s} "
        f"{'exp, log':>8s}"
    )
    parts = {}
    for result in found.values():
        for name, part in result["parts"].items():
            parts[name] = part
            for what, one in part["orders"].items():
                per_call = f"{1e3 * one['launch']:8.3f} ms"
                print(
                    f"{name:32s} {part['events']:9d} {what:9s} {one['ns']:9.3f} {per_call:>11s} {one['flops']:7.1f} "
                    f"{one['transcendentals']:8.1f}"
                )
            print(f"{'':32s} {part['bytes']:.0f} bytes per event resident: {part['layout']}")
    setup = {k: found["w1"][k] for k in ("import", "compile")} | {"compile W2": found["w2"]["compile"]}
    return {"parts": parts, "setup": setup, "raw": found}


def communication(n_turns: int) -> dict[str, Any]:
    """Time that a call takes longer where its sum spans processes."""
    counts = [2, 4]
    found = in_turns({str(p): (p, 1, "communication") for p in counts}, n_turns)
    print(
        f"\n{'communication per call':24s} {'what':9s} {'alone':>11s} {'together':>11s} {'added':>11s} "
        f"{'bytes sent':>10s}"
    )
    for p, result in found.items():
        mark = " (oversubscribed)" if int(p) > usable_cores() else ""
        for work, orders in result["works"].items():
            for what, one in orders.items():
                one["added"] = one["together"] - one["alone"]
                numbers = "".join(f"{1e6 * one[k]:8.0f} us" for k in ("alone", "together", "added"))
                print(f"{work + ', ' + p + ' processes':24s} {what:9s}{numbers} {one['bytes']:10.0f}{mark}")
        print(f"{'exchange, ' + p + ' processes':24s} {'streamed':9s}{1e6 * result['exchange']:33.0f} us{mark}")
    return {p: {k: v for k, v in r.items()} for p, r in found.items()}


def scaling(sizes: dict[str, int], n_turns: int) -> dict[str, Any]:
    """Time the same events, and proportional ones, over processes and devices."""
    cores = usable_cores()
    shapes = [(1, 1), *((1 << i, 1) for i in range(1, min(cores, 8).bit_length())), (1, cores), (2, cores)]
    shapes = list(dict.fromkeys(shape for shape in shapes if shape[0] * shape[1] > 1 or shape == (1, 1)))
    out: dict[str, Any] = {}
    print(f"\n{'processes x devices':44s} {'value':>10s} {'gradient':>10s} {'gains':>12s}")
    for work in ("w1", "w2"):
        for kind in ("strong", "weak"):
            tasks, n = {}, sizes["events"] // (1 if kind == "strong" else max(2, cores))
            for p, d in shapes:
                workers = min(p * d, cores) if kind == "weak" else 1
                tasks[f"{p} x {d}"] = (p, d, "share", work, n * workers, sizes["calls"])
            found = in_turns(tasks, n_turns)
            if kind == "strong":
                turns.agree(f"{work} on all shapes", {label: r["check"] for label, r in found.items()}, None, 1e-12)
            for label, result in found.items():
                p, d = map(int, label.split(" x "))
                first, more = found["1 x 1"], tasks[label][4] / n
                result |= {"workers": p * d, "oversubscribed": p * d > cores, "events": tasks[label][4]}
                result["gain"] = {w: more * first[w] / result[w] for w in ("value", "gradient")}
                gains = ", ".join(f"{g:.2f}" for g in result["gain"].values())
                mark = " (oversubscribed)" if result["oversubscribed"] else ""
                times = "".join(f"{1e3 * result[w]:8.2f} ms" for w in ("value", "gradient"))
                print(
                    f"{work} {kind:6s} {tasks[label][4]:9d} events, {label:18s}{times} {gains:>12s}{mark}", flush=True
                )
            out[f"{work} {kind}"] = found
    return out


def write_files(folder: Path, suffix: str, n_events: int) -> int:
    """Write events of W1 in parts; return their bytes."""
    x, y = w1_flat(n_events)
    cuts = np.linspace(0, n_events, _FILES + 1).astype(int)
    for i, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        jp.write(folder / f"w1_{i}{suffix}", {"x": x[start:stop], "y": y[start:stop]})
    return sum(path.stat().st_size for path in folder.glob(f"w1_*{suffix}"))


def streaming(sizes: dict[str, int], n_turns: int) -> dict[str, Any]:
    """Time passes over files, and tell the memory that they take."""
    out: dict[str, Any] = {"formats": {}, "budgets": {}}
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"\n{'files, read at every call':32s} {'events':>9s} {'value':>14s} {'gradient':>14s} {'file MB/s':>9s}")
        for suffix, package in FORMATS.items():
            if package and importlib.util.find_spec(package) is None:
                print(f"left out: {suffix}, {package} is not installed")
                continue
            n = sizes["csv" if suffix == ".csv" else "files"]
            n_bytes = write_files(folder, suffix, n)
            tasks = {}
            for kind, budget in (("streamed", 8 * n), ("scratch", 8 * n), ("resident", 0)):
                scratch = folder / f"scratch{suffix}" if kind == "scratch" else "-"
                tasks[kind] = (1, cores, "stream", folder, suffix, budget, scratch, sizes["calls"])
            found = in_turns(tasks, n_turns)
            for kind, result in found.items():
                assert result["streamed"] == (kind != "resident"), result
                per_event = n_bytes / n if kind == "streamed" else 16
                result |= {"events": n, "file bytes": n_bytes, "ns": {}}
                result["ns"] = {w: 1e9 * result[w] / n for w in ("value", "gradient")}
                speeds = "".join(f"{n / result[w] / 1e6:10.2f} M/s" for w in ("value", "gradient"))
                read = n * per_event / result["value"] / 1e6
                print(f"{suffix[1:] + ', ' + kind:32s} {n:9d} {speeds} {read:9.0f}", flush=True)
            out["formats"][suffix[1:]] = found
        n = sizes["files"]
        tasks = {str(16 * n // k): (1, cores, "stream", folder, ".parquet", 16 * n // k, "-", 1) for k in BUDGETS}
        found = in_turns(tasks, 1)
        print(
            f"\n{'peak memory over the start':32s} {'budget MB':>9s} {'taken MB':>9s} "
            f"({16 * n / 1e6:.0f} MB of columns)"
        )
        for budget, result in found.items():
            result["taken MB"] = result["peak MB"] - result["before MB"]
            print(f"{'value and gradient, parquet':32s} {int(budget) / 1e6:9.1f} {result['taken MB']:9.1f}")
        out["budgets"] = found
    return out


def farms(sizes: dict[str, int], n_turns: int) -> dict[str, Any]:
    """Time many fits on a pool of processes, and what a checkpoint adds to one."""
    cores = usable_cores()
    tasks = {
        "farm": (1, 1, "farm", cores, sizes["toys"], sizes["toy events"]),
        "checkpoint": (1, cores, "checkpoint", sizes["toy events"]),
    }
    found = in_turns(tasks, n_turns)
    farm, kept = found["farm"], found["checkpoint"]
    print(f"\nfarm of {sizes['toys']} fits of {sizes['toy events']} events, {cores} processes with one device each")
    print(
        f"  a fit {1e3 * farm['fit']:.1f} ms, on top of it {1e3 * farm['added']:.1f} ms; "
        f"{farm['per second']:.1f} fits/s"
    )
    print(f"  a task that does nothing {1e3 * farm['empty']:.2f} ms; processes ready after {farm['ready']:.1f} s")
    print(f"checkpoint: a fit {1e3 * kept['without']:.1f} ms without, {1e3 * kept['with']:.1f} ms with")
    for work in ("w1", "w2"):
        print(f"calls of a fit, {work}: {', '.join(f'{n} {what}' for what, n in kept['calls'][work].items())}")
    return found


@dataclass(frozen=True)
class Machine:
    """What devices of one kind do with one workload.

    Attributes
    ----------
    seconds
        Per event, by what is computed.
    launch
        Seconds per call without events.
    first, hop
        Seconds for the exchange of a call: once, and for each step of the ring.
    """

    seconds: dict[str, float]
    launch: dict[str, float]
    first: dict[str, float]
    hop: dict[str, float]

    def call(self, n_events: float, devices: int, what: str) -> float:
        """Predict a call: N c / P + t_launch + t_first + (P - 1) t_hop, no exchange on one device."""
        exchange = self.first[what] + (devices - 1) * self.hop[what] if devices > 1 else 0.0
        return n_events * self.seconds[what] / devices + self.launch[what] + exchange

    def fit(self, n_events: float, devices: int, calls: dict[str, int]) -> float:
        """Predict the calls of a fit."""
        return sum(n * self.call(n_events, devices, what) for what, n in calls.items())

    def most_useful(self, n_events: float, what: str) -> float:
        """Return the number of devices beyond which a call takes longer again: sqrt(N c / t_hop)."""
        return math.sqrt(n_events * self.seconds[what] / self.hop[what]) if self.hop[what] else math.inf

    def break_even(self, devices: int, what: str) -> float:
        """Return the events per device for which computing takes as long as the rest: half of the devices' worth."""
        return (self.call(0, devices, what)) / self.seconds[what]


def machines(results: dict[str, Any], work: str) -> dict[str, Machine]:
    """Return this machine's cores, as measured, and a GPU that nobody has measured, at best and at worst."""
    part = results["rates"]["parts"]["W1" if work == "w1" else "W2 data"]
    orders = part["orders"]
    added = {p: {w: o["added"] for w, o in r["works"][work].items()} for p, r in results["communication"].items()}
    # A ring of two is one step; what comes once can be told from it where four processes have a core each.
    hop, first = {w: max(0.0, one) for w, one in added["2"].items()}, dict.fromkeys(ORDERS, 0.0)
    if results["machine"]["cores"] >= 4:
        hop = {w: max(0.0, (added["4"][w] - added["2"][w]) / 2) for w in ORDERS}
        first = {w: max(0.0, added["2"][w] - hop[w]) for w in ORDERS}
    pseudo = results["rates"]["parts"]["W2 Monte Carlo, pseudo-events"]["orders"]
    launch = {w: one["launch"] + (pseudo[w]["launch"] if work == "w2" else 0.0) for w, one in orders.items()}
    out = {"core": Machine({w: 1e-9 * one["ns"] for w, one in orders.items()}, launch, first, hop)}
    for label, moved in (("best", lambda one: part["bytes"]), ("worst", lambda one: one["touched"])):
        seconds = {
            w: max(
                moved(one) / GPU["bytes/s"],
                (one["flops"] + GPU["flops of exp"] * one["transcendentals"]) / GPU["flops/s"],
            )
            for w, one in orders.items()
        }
        once = (dict.fromkeys(ORDERS, GPU[key]) for key in ("launch", "first", "hop"))
        out[f"GPU, {label}"] = Machine(seconds, *once)
    return out


def print_input(results: dict[str, Any]) -> None:
    """Print the numbers that the model is made of, value / gradient / Hessian."""

    def row(name: str, text: str) -> None:
        print(f"  {name:31s} {text}")

    def three(orders: dict[str, dict], key: str, factor: float = 1.0) -> str:
        return " / ".join(_digits(factor * one[key], 3) for one in orders.values())

    about, setup, farm = results["machine"], results["rates"]["setup"], results["farms"]["farm"]
    print(
        f"\nmodel input: {about['cpu']}, {about['cores']} cores, {about['date']}, {results['sizes']['events']} events"
    )
    for name, part in results["rates"]["parts"].items():
        orders = part["orders"]
        if "pseudo" in name:
            row(name, f"{three(orders, 'launch', 1e6)} us a call")
            continue
        row(name, f"{three(orders, 'ns')} ns per event and core, {three(orders, 'launch', 1e6)} us a call")
        row("", f"{three(orders, 'flops')} flops, {three(orders, 'transcendentals')} exp and log")
        row("", f"{part['bytes']:.0f} bytes, {three(orders, 'touched')} with intermediates")
    for p, found in results["communication"].items():
        mark = " (oversubscribed)" if int(p) > about["cores"] else ""
        for work, orders in found["works"].items():
            text = f"{three(orders, 'added', 1e6)} us a call, {three(orders, 'bytes')} bytes from a device{mark}"
            row(f"exchange, {p} processes, {work}", text)
        row(f"exchange, {p} processes, files", f"{1e6 * found['exchange']:.0f} us a row{mark}")
    for label, found in results["scaling"].items():
        gains = [f"{shape}: {r['gain']['value']:.2f} / {r['gain']['gradient']:.2f}" for shape, r in found.items()]
        row(f"gain, {label}", ", ".join(gains[1:]))
    for form, found in results["streaming"]["formats"].items():
        pairs = {kind: [_digits(1e3 / ns, 3) for ns in one["ns"].values()] for kind, one in found.items()}
        row(f"{form}, million events/s", ", ".join(f"{kind} {' / '.join(pair)}" for kind, pair in pairs.items()))
        size = found["streamed"]["file bytes"] / found["streamed"]["events"]
        row("", f"{size:.1f} bytes per event in the file")
    budgets = results["streaming"]["budgets"].items()
    taken = ", ".join(f"{int(b) / 1e6:.3g}: {r['taken MB']:.0f}" for b, r in budgets)
    row("MB taken by budget in MB", f"{taken}; {16e-6 * results['sizes']['files']:.0f} MB of columns")
    row("import", f"{setup['import']:.1f} s")
    row("compiling a / b / c", f"{setup['compile']:.1f} s (W1), {setup['compile W2']:.1f} s (W2)")
    row("connecting processes", f"{max(r['connect'] for r in results['scaling']['w1 strong'].values()):.2f} s")
    row("farm", f"{1e3 * farm['added']:.1f} ms a task on top of a fit of {1e3 * farm['fit']:.1f} ms")
    row("", f"{1e3 * farm['empty']:.2f} ms a task that does nothing, {farm['ready']:.1f} s until all have compiled")
    kept = results["farms"]["checkpoint"]
    row("checkpoint", f"{1e3 * kept['with']:.1f} ms a fit, {1e3 * kept['without']:.1f} ms without")
    for work in results["parameters"]:
        row(f"calls of a fit, {work}", ", ".join(f"{n} {what}" for what, n in calls_of(results, work).items()))


def calls_of(results: dict[str, Any], work: str) -> dict[str, int]:
    """Return how often a fit computed what."""
    return {what: n for what, n in results["farms"]["checkpoint"]["calls"][work].items() if what in ORDERS}


def print_model(results: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Print the model's input and what follows for many events; return curves for the picture."""
    print_input(results)
    curves = {}
    print(
        f"\npredicted for {N_PREDICTED:.0e} events; GPU: not measured, {GPU['name']} by its data sheet, best to worst"
    )
    print("| work | devices | memory each | value | gradient | Hessian | fit | break-even, events per device |")
    print("|---|---|---|---|---|---|---|---|")
    for work in results["parameters"]:
        calls, found = calls_of(results, work), machines(results, work)
        per_event = results["rates"]["parts"]["W1" if work == "w1" else "W2 data"]["bytes"]
        for kind in ("core", "GPU"):
            several = [m for label, m in found.items() if label.startswith(kind)]
            for p in DEVICES:
                cells = [_spread([m.call(N_PREDICTED, p, w) for m in several], "s") for w in ORDERS]
                cells += [_spread([m.fit(N_PREDICTED, p, calls) for m in several], "s")]
                cells += [_spread([m.break_even(p, "gradient") for m in several], "")]
                memory = f"{N_PREDICTED * per_event / p / 1e9:.2g} GB"
                print(f"| {work.upper()} | {p} {kind}s | {memory} | {' | '.join(cells)} |")
        for label, m in found.items():
            curves[f"{work.upper()}, {label}"] = [(p, m.call(N_PREDICTED, p, "gradient")) for p in CURVE]
    for work in results["parameters"]:
        core = machines(results, work)["core"]
        most = ", ".join(f"{what} {_digits(core.most_useful(N_PREDICTED, what))}" for what in ORDERS)
        print(f"cores beyond which a call of {work.upper()} takes longer again: {most}")
    _print_reading(results)
    return curves


def _print_reading(results: dict[str, Any]) -> None:
    """Print what follows for memory and disks."""
    ns = results["rates"]["parts"]["W1"]["orders"]["value"]["ns"]
    speed, fed = _digits(16 / ns), _digits(200 * ns / 16)
    print(f"a core reads {speed} GB/s in a value of W1: a socket with 200 GB/s feeds {fed} of them")
    calls = calls_of(results, "w1")
    for form, found in results["streaming"]["formats"].items():
        one = found["streamed"]
        disk = one["file bytes"] / one["events"] / one["ns"]["value"] * 1e3
        # A Hessian computes more, behind the same reading.
        passes = 1 + sum(calls.values())
        hours = passes * N_PREDICTED * one["ns"]["gradient"] * 1e-9 / 3600
        faster = one["ns"]["gradient"] / found["resident"]["ns"]["gradient"]
        print(
            f"{form}: bound by a disk below {_digits(disk)} MB/s; {passes} passes of a fit of W1 take one process "
            f"{_digits(hours)} h; resident {_digits(faster)} times as fast"
        )


def _digits(v: float, n: int = 2) -> str:
    """Write a number with so many digits, large ones without an exponent."""
    rounded = float(f"{v:.{n}g}")
    return f"{rounded:.0f}" if 100 <= abs(rounded) < 1e6 else f"{rounded:g}"


def _spread(values: list[float], unit: str) -> str:
    """Write one value or two, with two digits."""
    texts = []
    for v in values:
        power, prefix = (1.0, "") if v >= 1 or not unit else (1e3, "m") if v >= 1e-3 else (1e6, "u")
        texts.append((_digits(v * power), prefix + unit))
    if len({unit for _, unit in texts}) == 1:
        return f"{' to '.join(dict.fromkeys(text for text, _ in texts))} {texts[0][1]}".strip()
    return " to ".join(f"{text} {unit}" for text, unit in texts)


def measure(sizes: dict[str, int], n_turns: int) -> dict[str, Any]:
    """Measure everything."""
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load before']:.1f} at the start")
    return {
        "machine": about,
        "sizes": sizes,
        "parameters": {"w1": len(W1_NAMES), "w2": len(W2_NAMES)},
        "rates": rates(sizes, n_turns),
        "communication": communication(n_turns),
        "scaling": scaling(sizes, n_turns),
        "streaming": streaming(sizes, n_turns),
        "farms": farms(sizes, n_turns),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few events")
    parser.add_argument("--events", type=float, help="events of W1, and of Monte Carlo of W2")
    parser.add_argument("--turns", type=int, help="how often each measurement is taken; 3, or 1 with --quick")
    parser.add_argument("--model", action="store_true", help="print what the last run means, and draw it")
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        started = time.time() - float(os.environ["BENCHMARK_BEGAN"])
        name, *arguments = options.task
        told = globals()[f"task_{name}"](*arguments)
        print(json.dumps(told | {"import": started, "peak MB": peak_memory_mb()}))
        return
    if options.model:
        results = json.loads((RESULTS / "distributed.json").read_text())
    else:
        sizes = dict(QUICK if options.quick else FULL)
        if options.events:
            sizes |= {"events": int(options.events), "files": int(options.events)}
        results = measure(sizes, options.turns or (1 if options.quick else 3))
        print(save("distributed", results))
    curves = print_model(results)
    print(plot_distributed(results["scaling"], curves, results["machine"], RESULTS / "distributed.png"))


if __name__ == "__main__":
    main()
