"""How time grows with the number of events and falls with the number of devices.

    python -m benchmarks.scaling                  10^4 to 10^8 events, as far as memory allows
    python -m benchmarks.scaling --most 1e7       up to ten million
    python -m benchmarks.scaling --plot           draws the pictures anew from the last run

Value, gradient and Hessian of W1 and W2, every size and tool in a process of its own. Writes ``scaling.json`` and
``scaling_w1.png``, ``scaling_w2.png``, ``scaling_devices.png`` into ``benchmarks/results``.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

import psutil

from benchmarks.plots import plot_devices, plot_events, power_of_ten
from benchmarks.turns import RESULTS, ROOT, in_turns, machine, save

ALL = ("value", "gradient", "hessian")
# Label, tool, arguments, and bytes per event at the peak with some room.
W1 = (
    ("jaxpwa", "jaxpwa", ("--what", *ALL), 50),
    ("numba by hand", "numba", (), 30),
    ("numpy by hand", "numpy", (), 60),
)
W2 = (
    ("jaxpwa", "jaxpwa", ("--what", *ALL), 150),
    ("jaxpwa, all Monte Carlo events", "jaxpwa", ("--variant", "direct", "--what", *ALL), 150),
    ("laddu", "laddu", (), 90),
)
_IMPORTS = 600e6
_MARGIN = 0.8


def room(n_events: float, per_event: int) -> bool:
    """Tell whether a process with so many events fits into the memory that is free now."""
    return n_events * per_event + _IMPORTS < _MARGIN * psutil.virtual_memory().available


def sizes(least: float, most: float, per_decade: int) -> list[int]:
    """Return numbers of events, evenly spread on a logarithmic axis."""
    out, k = [], 0
    while (n := least * 10 ** (k / per_decade)) <= 1.001 * most:
        out.append(round(n))
        k += 1
    return out


def over_events(work: str, lines: tuple, numbers: list[int], turns: int) -> tuple[list[dict], list[str]]:
    """Time each line at each number of events; W2 has ten events of Monte Carlo with one of data."""
    points: list[dict] = []
    left_out: list[str] = []

    def leave_out(text: str) -> None:
        left_out.append(text)
        print("left out: " + text)

    for n in numbers:
        n_data = n if work == "w1" else max(1, n // 10)
        total = n if work == "w1" else 11 * n_data
        tasks = {}
        for label, tool, arguments, per_event in lines:
            if room(total, per_event):
                tasks[label] = (tool, "evaluate", work, "--events", n_data, *arguments)
            else:
                leave_out(f"{work}, {total:.2g} events: {label} needs {total * per_event / 1e9:.1f} GB")
        try:
            found = in_turns(tasks, turns)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            leave_out(f"{work}, {total:.2g} events: {str(error)[-300:]}")
            continue
        for label, results in found.items():
            times = {what: statistics.median(r[what] for r in results) for what in ALL if what in results[0]}
            peak = max(r["peak MB"] for r in results)
            points.append({"line": label, "total": total, "events": n_data, **times, "peak MB": peak})
            text = ", ".join(f"{what} {1e3 * seconds:.4g} ms" for what, seconds in times.items())
            print(f"{work} {total:>11d} events  {label:31s} {text}  (peak {peak:.0f} MB)", flush=True)
    return points, left_out


def device_count() -> int:
    code = "import jaxpwa, jax; print(jax.device_count())"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT).stdout)


def over_devices(n: int, turns: int) -> dict[str, Any]:
    """Time W1 on one device, two, four and so on, in turns; ``n`` events or as many as memory allows."""
    most = device_count()
    while not room(n, W1[0][3]):
        n //= 2
    counts = sorted({*(1 << i for i in range(most.bit_length())), most})
    task = ("jaxpwa", "evaluate", "w1", "--events", n, "--what", *ALL, "--devices")
    found = in_turns({str(c): (*task, c) for c in counts}, turns)
    for what in ALL:
        times = {c: 1e3 * statistics.median(r[what] for r in results) for c, results in found.items()}
        text = ", ".join(f"{c}: {milliseconds:.4g} ms" for c, milliseconds in times.items())
        print(f"w1 {n} events, {what} by number of devices  {text}", flush=True)
    return {"events": n, "turns": found}


def measure(least: float, most: float, per_decade: int, turns: int) -> dict[str, Any]:
    """Run everything."""
    out: dict[str, Any] = {"machine": machine(), "left out": []}
    out["devices"] = over_devices(min(10**7, int(most)), max(3, turns))
    for work, lines in (("w1", W1), ("w2", W2)):
        out[work], left_out = over_events(work, lines, sizes(least, most, per_decade), turns)
        out["left out"] += left_out
    return out


def draw(results: dict[str, Any]) -> None:
    """Draw the three pictures."""
    about = results["machine"]
    where = f"{about['cpu']}, {about['cores']} cores, float64"
    title = {
        "w1": f"W1, two-dimensional Gauss\n{where}",
        "w2": f"W2, six interfering waves, ten Monte Carlo events per data event\n{where}",
    }
    for work, text in title.items():
        print(plot_events(results[work], text, RESULTS / f"scaling_{work}.png"))
    n = results["devices"]["events"]
    text = f"W1, two-dimensional Gauss, {power_of_ten(n)} events\n{where}"
    print(plot_devices(results["devices"]["turns"], text, RESULTS / "scaling_devices.png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=float, default=1e4, help="smallest number of events")
    parser.add_argument("--most", type=float, default=1e8, help="largest number of events (of Monte Carlo for W2)")
    parser.add_argument("--per-decade", type=int, default=2, help="sizes per factor of ten")
    parser.add_argument("--turns", type=int, default=1, help="turns of each tool and size, for a noisy machine")
    parser.add_argument("--plot", action="store_true", help="draw the last run's pictures only")
    options = parser.parse_args()
    if options.plot:
        results = json.loads((RESULTS / "scaling.json").read_text())
    else:
        results = measure(options.least, options.most, options.per_decade, options.turns)
        print(save("scaling", results))
    draw(results)


if __name__ == "__main__":
    main()
