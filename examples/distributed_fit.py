"""A fit of events in files by several processes, on one machine or on many.

Each process reads its own share of the files, all devices compute together, and every process gets the same result.
The same script runs alone, too. Started again after it was killed, it goes on from its last checkpoint.

One machine, alone and as two processes (the first makes the files):

    python examples/distributed_fit.py fit
    JAX_COORDINATOR_ADDRESS=localhost:9876 JAX_NUM_PROCESSES=2 JAX_PROCESS_ID=0 python examples/distributed_fit.py fit &
    JAX_COORDINATOR_ADDRESS=localhost:9876 JAX_NUM_PROCESSES=2 JAX_PROCESS_ID=1 python examples/distributed_fit.py fit

SLURM, four machines with one process each, and Open MPI, eight processes, the first of them on node1; the folder is one
that all machines see:

    srun --nodes=4 --ntasks-per-node=1 python examples/distributed_fit.py /shared/fit
    mpirun -np 8 -x JAX_COORDINATOR_ADDRESS=node1:9876 python examples/distributed_fit.py /shared/fit

With --memory the events are read at every call, piece by piece, where they need more than so many MiB.
"""

import argparse
from pathlib import Path

import numpy as np

import jaxpwa as jp
from jaxpwa.physics import relativistic_breit_wigner, two_pseudoscalar_model

ETA, PION = 0.547862, 0.1349768
WAVES = ["S0+", "D1+", "D2+", "S0-"]
PARTS = 8


def a2(p, d):
    """a2(1320) -> eta pi."""
    return 0.15 * relativistic_breit_wigner(d["mass"], p["m a2"], p["w a2"], ETA, PION, 2)


MODEL = two_pseudoscalar_model(WAVES, polarisation=0.35, shapes={"D*": {"a2": a2}})
TRUTH = MODEL.start({"S0+": 1.0, "D1+ a2": 0.4 + 0.3j, "D2+ a2": 0.8, "S0-": 0.5}) | {"m a2": 1.318, "w a2": 0.11}


def flat(seed, n):
    """Events flat in mass and angles."""
    rng = np.random.default_rng(seed)
    columns = {"mass": rng.uniform(1.0, 1.6, n), "costheta": rng.uniform(-1, 1, n)}
    return columns | {name: rng.uniform(-np.pi, np.pi, n) for name in ("phi", "Phi")}


def detected(events, seed):
    """Return the events that a detector with an efficiency in the angle sees."""
    efficiency = 0.6 + 0.3 * events["costheta"]
    return events.select(np.random.default_rng(seed).uniform(size=len(events)) < efficiency)


def make_files(folder, n_data, n_mc):
    """Write data and accepted Monte Carlo in parts; say how many events of Monte Carlo were generated."""
    for part in range(PARTS):
        data = jp.simulate(10 + part, MODEL, TRUTH, flat, n_data // PARTS)
        jp.write(folder / f"data_{part}.parquet", detected(data, 100 + part))
        mc = jp.Dataset(flat(200 + part, n_mc // PARTS))
        jp.write(folder / f"mc_{part}.parquet", detected(mc, 300 + part))
    (folder / "generated.txt").write_text(f"{n_mc // PARTS * PARTS}\n")


def main(arguments=None):
    """Make the files if there are none, and fit them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("fit"), help="where the files are, or will be")
    parser.add_argument("--events", type=float, default=200_000, help="events of data before the detector")
    parser.add_argument("--quick", action="store_true", help="20 000 of them")
    parser.add_argument("--memory", type=float, help="MiB of events that each process keeps in memory")
    options = parser.parse_args(arguments)

    jp.distributed.initialize()  # finds the other processes, if there are any
    folder = options.folder
    if jp.distributed.is_main() and not (folder / "generated.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        n = 20_000 if options.quick else int(options.events)
        make_files(folder, n, 5 * n)
    jp.distributed.barrier("files")

    budget = None if options.memory is None else int(options.memory * 2**20)
    data = jp.Dataset.from_files(folder / "data_*.parquet", memory_budget=budget)
    accepted = jp.Dataset.from_files(folder / "mc_*.parquet", memory_budget=budget)
    cost = jp.ExtendedNLL(MODEL, data, accepted, float((folder / "generated.txt").read_text()))
    scale = np.sqrt(len(data))
    start = {name: 0.5 * scale for name in MODEL.start()} | {
        "m a2": jp.Parameter(1.3, 1.2, 1.4),
        "w a2": jp.Parameter(0.12, 0.05, 0.2),
    }
    result = jp.fit(cost, start, checkpoint=folder / "fit.checkpoint")
    result.save(folder / "fit.json")
    if jp.distributed.is_main():
        print(cost.explain(), result, sep="\n\n")
        truth = ", ".join(f"{name} = {TRUTH[name]}" for name in ("m a2", "w a2"))
        print(f"\nprocesses: {jp.distributed.process_count()}; in truth {truth}")
    return result


if __name__ == "__main__":
    main()
