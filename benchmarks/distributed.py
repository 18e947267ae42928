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
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import jaxpwa as jp
from benchmarks import distributedtasks, turns
from benchmarks.costmodel import print_model
from benchmarks.plots import plot_distributed
from benchmarks.timing import peak_memory_mb
from benchmarks.turns import RESULTS, ROOT, machine, save, usable_cores
from benchmarks.workloads import W1_NAMES, W2_NAMES, w1_flat

FULL = {"events": 10_000_000, "files": 10_000_000, "csv": 2_000_000, "toys": 64, "toy events": 70_000, "calls": 10}
QUICK = {"events": 400_000, "files": 1_000_000, "csv": 200_000, "toys": 12, "toy events": 20_000, "calls": 3}
# Shares of the columns' bytes that stay in memory.
BUDGETS = (2, 8, 32)
FORMATS = {".parquet": "pyarrow", ".root": "uproot", ".csv": ""}
_FILES = 4
_QUIET = 0.2


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
        told = getattr(distributedtasks, f"task_{name}")(*arguments)
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
