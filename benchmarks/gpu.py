"""W1 and W2 on one GPU: time, bytes read per second, and the share of the card's bandwidth.

    python -m benchmarks.gpu                        says so and ends where there is no GPU
    python -m benchmarks.gpu --cpu                  the same on one CPU device with few events, to try the script
    python -m benchmarks.gpu --blocks 65536 1048576 4194304         also with blocks of so many rows

float64, and float32 columns with float64 sums. Times are whole Python calls. Bytes are those of the columns, stored
values and weights of all events that a call goes over. The card's bandwidth is measured in the same run, by a copy
and by ``a = b + 3 c``; the nominal one is from NVIDIA's data sheets. Each case has a process of its own. Writes
``benchmarks/results/gpu.json``.
"""

import argparse
import json
import os
import re
import statistics
import time
from typing import Any

import numpy as np

import jax

import jaxpwa as jp
from benchmarks.peers import by_jaxpwa
from benchmarks.timing import medians
from benchmarks.turns import machine, run, save
from benchmarks.workloads import w1_flat, w1_point, w2_sample

# GB/s by the name that the driver gives the card, the more special first.
NOMINAL = {
    r"H100 PCIe": 2000,
    r"H100 NVL": 3900,
    r"\bH100\b": 3350,
    r"\bH200\b": 4800,
    r"A100.*40GB": 1555,
    r"A100 80GB PCIe": 1935,
    r"A100.*80GB": 2039,
    r"\bV100\b": 900,
    r"\bL4\b": 300,
    r"\bT4\b": 320,
}
# Work, events (of data for W2, with ten times as many of Monte Carlo), variant.
CASES = {
    "gpu": (("w1", 10**7, ""), ("w1", 10**8, ""), ("w2", 5 * 10**6, ""), ("w2", 5 * 10**6, "direct")),
    "cpu": (("w1", 10**5, ""), ("w1", 10**6, ""), ("w2", 10**4, ""), ("w2", 10**4, "direct")),
}
TYPES = ("float64", "float32")


def nominal_bandwidth(card: str) -> int | None:
    """Return GB/s of a card, or None for one that is not in the table."""
    return next((speed for pattern, speed in NOMINAL.items() if re.search(pattern, card)), None)


def seconds_of(function: Any, *arguments: Any) -> float:
    """Return the median time of a compiled function on the device."""
    jax.block_until_ready(function(*arguments))
    taken = []
    for _ in range(20):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def bandwidth(n: int) -> dict[str, float]:
    """Measure GB/s of a copy and of a triad over ``n`` doubles."""
    a, b = (jax.device_put(np.full(n, v), jax.devices()[0]) for v in (1.0, 2.0))
    # The number is an argument: XLA would leave out a copy, or a product by a known 1.
    copy, triad = jax.jit(lambda x, s: x * s), jax.jit(lambda x, y, s: x + s * y)
    return {
        "copy": 2 * a.nbytes / seconds_of(copy, a, 3.0) / 1e9,
        "triad": 3 * a.nbytes / seconds_of(triad, a, b, 3.0) / 1e9,
    }


def bytes_read(cost: Any) -> int:
    """Return the bytes of all events in the arrays of a cost; what pads shards is not read."""
    total = 0
    for columns, extras, weights, counts in cost.as_function()[1]:
        per_event = sum(a.nbytes / len(a) for a in (*columns, *extras, *(() if weights is None else (weights,))))
        total += round(per_event * int(np.sum(counts)))
    return total


def case(work: str, n: int, variant: str, dtype: str, block: int | None) -> dict[str, Any]:
    """Time value and gradient of one workload on one device."""
    if block is not None:
        from jaxpwa.engine import blocks

        # There is no setting for it: this is for finding out which one would be best.
        blocks.block_size = lambda n_shard, platform: block
    if work == "w1":
        x, y = w1_flat(n)
        fit = by_jaxpwa.Fit(
            jp.UnbinnedNLL(by_jaxpwa.gauss, jp.Dataset({"x": x, "y": y}, dtype=dtype), devices=1),
            dict.fromkeys(by_jaxpwa.W1_NAMES, 1.0),
        )
        point = w1_point
    else:
        sample = w2_sample(n)
        fit, point = by_jaxpwa.w2(sample, variant, 1, dtype), sample.point
    points = [fit.point(point(k)) for k in range(97)]
    value = fit.value(points[0])
    times = medians(
        {"value": lambda k: fit.value(points[k % 97]), "gradient": lambda k: fit.gradient(points[k % 97])}, budget=5
    )
    stats = jax.devices()[0].memory_stats() or {}
    return {
        "work": work,
        "events": n,
        "variant": variant,
        "dtype": dtype,
        "block": block,
        "nll": value,
        "bytes": bytes_read(fit.cost),
        "peak device MB": stats.get("peak_bytes_in_use", 0) / 1e6,
        **times,
    }


def measure(kind: str, block_sizes: list[int]) -> None:
    """Run all cases, print a table, write JSON."""
    card = run("benchmarks.gpu", "--task", "card")
    assert card is not None
    n = 1 << (27 if kind == "gpu" else 22)
    found = run("benchmarks.gpu", "--task", "bandwidth", n)
    assert found is not None
    best, nominal = max(found.values()), nominal_bandwidth(card["card"])
    print(
        f"{card['card']}: copy {found['copy']:.0f} GB/s, triad {found['triad']:.0f} GB/s, "
        f"nominal {nominal or 'not known'}{' GB/s' if nominal else ''}"
    )
    print(f"{'work':28s} {'type':8s} {'block':>8s} {'what':9s} {'time':>12s} {'read':>10s} {'of measured':>12s}")
    results = []
    for work, n_events, variant in CASES[kind]:
        for dtype in TYPES:
            for block in (None, *block_sizes):
                arguments = (work, n_events, variant or "-", dtype, block or 0)
                try:
                    one = run("benchmarks.gpu", "--task", "case", *arguments)
                except RuntimeError as error:
                    print(f"left out: {work}, {n_events} events, {dtype}: {str(error)[-300:]}")
                    continue
                assert one is not None
                results.append(one)
                total = f"{n_events:.0e}" if work == "w1" else f"{n_events:.0e} + {10 * n_events:.0e}"
                name = f"{work} {total} {variant}".replace("e+0", "e")
                for what in ("value", "gradient"):
                    speed = one["bytes"] / one[what] / 1e9
                    print(
                        f"{name:28s} {dtype:8s} {block or 'default':>8} {what:9s} {1e3 * one[what]:9.3f} ms "
                        f"{speed:5.0f} GB/s {speed / best:12.2f}",
                        flush=True,
                    )
    compare(results)
    save("gpu", {"machine": machine(), "card": card["card"], "GB/s": found, "nominal GB/s": nominal, "cases": results})


def compare(results: list[dict]) -> None:
    """Say how far float32 columns and other blocks are from the first of their kind."""
    first: dict[tuple, float] = {}
    worst = dict.fromkeys(TYPES, 0.0)
    for one in results:
        reference = first.setdefault((one["work"], one["events"]), one["nll"])
        worst[one["dtype"]] = max(worst[one["dtype"]], abs(one["nll"] / reference - 1))
    print(", ".join(f"{dtype} values differ by {d:.0e} at most" for dtype, d in worst.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="use one CPU device and few events")
    parser.add_argument("--blocks", type=int, nargs="+", default=[], help="rows per block to try, besides the default")
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cpu:
        os.environ["JAX_PLATFORMS"] = "cpu"
        measure("cpu", options.blocks)
    elif options.task is None:
        card = run("benchmarks.gpu", "--task", "card")
        if card is None or card["platform"] != "gpu":
            print("benchmarks.gpu: JAX sees no GPU, nothing is measured (--cpu tries the script)")
        else:
            measure("gpu", options.blocks)
    else:
        task, *arguments = options.task
        if task == "card":
            device = jax.devices()[0]
            found: dict[str, Any] = {"card": device.device_kind, "platform": device.platform}
        elif task == "bandwidth":
            found = dict(bandwidth(int(arguments[0])))
        else:
            work, n, variant, dtype, block = arguments
            found = case(work, int(n), variant.strip("-"), dtype, int(block) or None)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
