"""How many events a second CPU device is worth: the constant of jaxpwa.engine.devices.

python -m benchmarks.device_threshold
"""

import numpy as np

import jax

import jaxpwa as jp
from benchmarks.peers.by_jaxpwa import gauss
from benchmarks.timing import medians
from benchmarks.workloads import W1_NAMES, w1_flat, w1_point


def main():
    most = jax.device_count()
    named = [dict(zip(W1_NAMES, w1_point(k), strict=True)) for k in range(97)]
    print(f"{'events':>9s} {'what':>9s}" + "".join(f"{c:>4d} dev" for c in range(1, most + 1)) + "   (ms)")
    for n in (10_000, 30_000, 60_000, 100_000, 150_000, 250_000, 500_000):
        x, y = w1_flat(n)
        costs = [jp.UnbinnedNLL(gauss, {"x": x, "y": y}, devices=c) for c in range(1, most + 1)]
        for what in ("__call__", "value_and_grad"):
            calls = [getattr(cost, what) for cost in costs]
            functions = {str(i): lambda k, call=call: call(named[k % 97]) for i, call in enumerate(calls)}
            times = medians(functions)
            print(f"{n:9d} {what[:9]:>9s}" + "".join(f"{1e3 * t:8.3f}" for t in np.array(list(times.values()))))


if __name__ == "__main__":
    main()
