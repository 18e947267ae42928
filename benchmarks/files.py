"""Reading a million events: against pandas, uproot and pyarrow alone, and gamp against a Python loop over lines.

python -m benchmarks.files
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import jaxpwa as jp
from benchmarks.timing import medians
from benchmarks.turns import save

N = 1_000_000


def loop_gamp(path):
    """Read gamp as one would in plain Python."""
    events = []
    with open(path) as file:
        for line in file:
            n = int(line)
            event = []
            for _ in range(n):
                words = file.readline().split()
                event.append([float(w) for w in words[2:]])
            events.append(event)
    return np.array(events)


def main():
    import pyarrow.parquet
    import uproot

    rng = np.random.default_rng(1)
    table = {name: rng.normal(size=N) for name in ("x", "y", "z", "qf", "m")}
    few = 100_000
    vectors = jp.ParticleTable([(i, 0, rng.normal(size=(few, 4))) for i in (1, 14, 9, 8)])
    out = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in (".csv", ".parquet", ".root"):
            jp.write(folder / f"t{suffix}", table)
        jp.write(folder / "t.gamp", vectors)
        pairs = {
            "csv": (lambda k: jp.read(folder / "t.csv"), lambda k: pd.read_csv(folder / "t.csv"), "pandas", 1.2),
            "parquet": (
                lambda k: jp.read(folder / "t.parquet"),
                lambda k: pyarrow.parquet.read_table(folder / "t.parquet").to_pandas(),
                "pyarrow",
                1.2,
            ),
            "ROOT": (
                lambda k: jp.read(folder / "t.root"),
                lambda k: uproot.open(folder / "t.root")["events"].arrays(library="pd"),
                "uproot",
                1.2,
            ),
            "gamp": (lambda k: jp.read(folder / "t.gamp"), lambda k: loop_gamp(folder / "t.gamp"), "line loop", 0.05),
        }
        for what, (ours, theirs, against, target) in pairs.items():
            t = medians({"jaxpwa": ours, against: theirs}, rounds=7, budget=60)
            ratio = t["jaxpwa"] / t[against]
            out[what] = t
            print(
                f"{what:8s} {t['jaxpwa'] * 1e3:9.1f} ms  {t[against] * 1e3:9.1f} ms {against:10s} ratio {ratio:6.3f}  "
                f"target {target}: {'met' if ratio <= target else 'MISSED'}"
            )
        time.sleep(2.5)
        for what in ("t.csv", "t.gamp"):
            jp.read(folder / what, cache=True)
            aged = {
                "cached": lambda k, what=what: jp.read(folder / what, cache=True),
                "parsed": lambda k, what=what: jp.read(folder / what),
            }
            # Old enough that the file system's times are trusted; touched, the content is summed (SHA-512).
            t = medians(aged, rounds=7, budget=60)
            print(f"{what}: cached {t['cached'] * 1e3:.1f} ms, parsed {t['parsed'] * 1e3:.1f} ms, ", end="")
            os.utime(folder / what)
            t["touched"] = medians({"x": aged["cached"]}, rounds=5)["x"]
            print(f"touched {t['touched'] * 1e3:.1f} ms: {t['parsed'] / t['cached']:.1f} times as fast as the parse")
            out[f"cache {what}"] = t
        size = (folder / "t.csv").stat().st_size / 1e6
        print(f"(csv {size:.0f} MB, gamp {(folder / 't.gamp').stat().st_size / 1e6:.0f} MB)")
    save("files", out)


if __name__ == "__main__":
    main()
