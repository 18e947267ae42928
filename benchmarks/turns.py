"""Tools take turns, each in a process of its own, and a table of ratios is made of it.

Inside one process the idle threads of one tool (OpenMP's, rayon's, XLA's) would take cores from the next. Short
processes in turns A, B, A, B, ... meet the same machine, and a ratio is the median of the ratios turn by turn.
"""

import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
UNITS = {"s": 1.0, "ms": 1e3, "MB": 1.0}
_PACKAGES = ("jaxpwa", "jax", "numpy", "numba", "laddu", "tensorwaves", "iminuit", "scipy")
_AGREEMENT = 1e-9
_QUIET, _MORE = 0.2, 2
_told: set[str] = set()


def fresh(tool: str, *arguments: Any, timeout: float = 600) -> dict | None:
    """Run a task of ``benchmarks.peers.by_<tool>`` in a process of its own; None where its package is missing."""
    return run(f"benchmarks.peers.by_{tool}", *arguments, timeout=timeout)


def run(module: str, *arguments: Any, timeout: float = 600) -> dict | None:
    """Run a module that prints a line of JSON at its end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    began, busy, own = time.perf_counter(), _busy_seconds(), _children_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=timeout)
    others = (_busy_seconds() - busy - _children_seconds() + own) / (time.perf_counter() - began)
    if done.returncode:
        msg = f"{' '.join(command[1:])} failed:\n{done.stderr[-3000:]}"
        raise RuntimeError(msg)
    found = json.loads(done.stdout.splitlines()[-1])
    if "missing" in found:
        if found["missing"] not in _told:
            print(f"left out: {found['missing']}")
        _told.add(found["missing"])
        return None
    return found | {"others": others}


def _busy_seconds() -> float:
    """Return the seconds that all cores of the machine have worked, or were taken away, since it started."""
    try:
        ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0
    # Without idle and waiting for the disk.
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_turns(tasks: dict[str, tuple], turns: int) -> dict[str, list[dict]]:
    """Run tasks, ``(tool, *arguments)`` by a label, in turns; return what they say, those of missing tools left out.

    Turns in which other programs took more than a fifth of a core from a task are taken again, two at most; the
    least disturbed ones are returned, in the order of time.
    """
    done: list[dict[str, dict]] = []
    missing: set[str] = set()
    while len(done) < turns + _MORE and sum(_disturbance(turn) < _QUIET for turn in done) < turns:
        turn = {}
        for label, task in tasks.items():
            result = None if label in missing else _fresh_or_none(label, task)
            if result is None:
                missing.add(label)
            else:
                turn[label] = result
        done.append(turn)
    kept = sorted(sorted(range(len(done)), key=lambda i: _disturbance(done[i]))[:turns])
    if (worst := max(_disturbance(done[i]) for i in kept)) > _QUIET:
        print(f"disturbed: other programs took {worst:.1f} cores from what follows")
    return {label: [done[i][label] for i in kept] for label in tasks if label not in missing}


def _fresh_or_none(label: str, task: tuple) -> dict | None:
    """Run a task; a peer that fails is left out like one that is missing, jaxpwa may not fail."""
    try:
        return fresh(*task)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        if task[0] == "jaxpwa":
            raise
        print(f"left out: {label}: {str(error)[-1000:]}")
        return None


def _disturbance(turn: dict[str, dict]) -> float:
    """Return the most cores that other programs used while a task of this turn ran."""
    return max((result["others"] for result in turn.values()), default=0.0)


def agree(what: str, values: dict[str, float], expected: float | None = None, tolerance: float = _AGREEMENT) -> dict:
    """Check that all tools have computed the same, and print it."""
    reference = next(iter(values.values())) if expected is None else expected
    worst = max(abs(v / reference - 1) for v in values.values())
    if not worst <= tolerance:
        msg = f"{what}: tools differ by {worst:.1e}: {values}; expected {reference}"
        raise RuntimeError(msg)
    print(f"same value: {what} {next(iter(values.values())):.4f} from {', '.join(values)} (to {worst:.0e})")
    return {"what": what, "values": values, "expected": expected}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    work, against
        What was done, and which tool did it, too.
    ours, theirs
        Medians over turns, in the unit's base (seconds, MB).
    ratio
        Median of ours / theirs turn by turn; below 1 is in favour of jaxpwa. For devices, of one's time over several's.
    target, met
        What is wanted, and whether it is so; None where nothing is.
    """

    work: str
    ours: float
    unit: str
    against: str = ""
    theirs: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        theirs = "" if self.theirs is None else f"{self.theirs * UNITS[self.unit]:10.4g} {self.unit:2s}"
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        ours = f"{self.ours * UNITS[self.unit]:10.4g} {self.unit:2s}"
        return (
            f"{self.work:46s} {ours} {theirs:13s} {self.against:20s} {ratio:>7s}  {self.target:9s} {verdict}".rstrip()
        )


HEAD = f"{'work':46s} {'jaxpwa':>10s}    {'peer':>10s}    {'which':20s} {'ratio':>7s}  target"


def relative(
    work: str, found: dict[str, list[dict]], key: str, against: str, at_most: float | None = None, unit: str = "ms"
) -> Iterable[Row]:
    """Yield the row that compares jaxpwa with a tool, if that was there."""
    if against in found:
        yield ratios(work, [r[key] for r in found["jaxpwa"]], [r[key] for r in found[against]], against, at_most, unit)


def ratios(
    work: str, ours: list[float], theirs: list[float], against: str, at_most: float | None = None, unit: str = "ms"
) -> Row:
    """Compare turn by turn."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    target, met = ("", None) if at_most is None else (f"<= {at_most:g}x", ratio <= at_most)
    return Row(work, statistics.median(ours), unit, against, statistics.median(theirs), ratio, target, met)


def absolute(work: str, ours: list[float], at_most: float, unit: str) -> Row:
    """Compare the median over turns with a number."""
    middle = statistics.median(ours)
    return Row(work, middle, unit, target=f"<= {at_most * UNITS[unit]:g} {unit}", met=middle <= at_most)


def gain(work: str, several: list[float], one: list[float], at_least: float, unit: str = "ms") -> Row:
    """Tell how many times as fast several devices are as one."""
    ratio = statistics.median(a / b for a, b in zip(one, several, strict=True))
    middle = statistics.median(several), statistics.median(one)
    return Row(work, middle[0], unit, "one device", middle[1], ratio, f">= {at_least:g}x", ratio >= at_least)


def usable_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def machine() -> dict:
    """Describe where the figures come from."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": model,
        "cores": usable_cores(),
        "python": platform.python_version(),
        "packages": versions,
        "load before": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def table(name: str, rows: Iterable[Row | dict]) -> list[Row]:
    """Print rows as they come and write them, with the values that were compared, to ``results/<name>.json``."""
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {', '.join(f'{k} {v}' for k, v in about['packages'].items())}")
    print(HEAD)
    done: list[Row] = []
    other: list[dict] = []
    for row in rows:
        if isinstance(row, Row):
            print(row, flush=True)
            done.append(row)
        else:
            other.append(row)
    save(name, {"machine": about, "rows": [asdict(row) for row in done], "more": other})
    return done


def save(name: str, content: Any) -> Path:
    """Write JSON into the folder of results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
