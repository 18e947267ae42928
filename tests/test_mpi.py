"""Runs and farms under a real MPI launcher."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from processes import free_port

ROOT = Path(__file__).parents[1]
MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def version():
    """Return what mpirun says it is."""
    if MPIRUN is None:
        return ""
    return subprocess.run([MPIRUN, "--version"], capture_output=True, text=True, check=False).stdout


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("(Open MPI) 5" not in version(), reason="needs mpirun of Open MPI 5"),
]

FIT = """
    import json
    import sys
    import numpy as np
    import jax
    import jax.numpy as jnp
    import jaxpwa as jp

    jp.distributed.initialize(**json.loads(sys.argv[2]))
    x = np.random.default_rng(1).exponential(2.0, 10_000)
    cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["x"] / p["t"]) / p["t"], {"x": x}, devices=tuple(jax.devices()))
    result = jp.fit(cost, {"t": 1.0})
    index, count = jp.distributed.process_index(), jp.distributed.process_count()
    np.savez(f"{sys.argv[1]}/{index}.npz", count=count, fval=result.fval, t=result.values["t"], mean=x.mean())
"""

FARM = """
    import sys
    import numpy as np
    from mpi4py.futures import MPIPoolExecutor
    import jaxpwa as jp
    import jax.numpy as jnp

    def toy(number):
        if number == 3:
            raise ValueError("this toy is bad")
        x = np.random.default_rng(number).exponential(2.0, 1000)
        cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["x"] / p["t"]) / p["t"], {"x": x})
        return jp.fit(cost, {"t": 1.0}).values["t"], x.mean()

    if __name__ == "__main__":
        with MPIPoolExecutor() as pool:
            toys = jp.farm(toy, range(6), pool)
        numbers = sorted(toys.results)
        found = np.array([toys.results[number] for number in numbers])
        np.savez(f"{sys.argv[1]}/farm.npz", numbers=numbers, found=found, failure=str(toys.failures[3]))
"""


def mpirun(folder, source, n, *arguments, before=(), **variables):
    """Run a script as n processes, more than there are cores if need be; MPI refuses both to root by itself."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(source))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA", "SLURM", "OMPI", "PMI", "PRTE"))}
    kept |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "JAXPWA_CPU_DEVICES": "1"}
    kept |= {"PYTHONPATH": str(ROOT), **variables}
    command = [MPIRUN, "-np", str(n), "--map-by", ":OVERSUBSCRIBE", sys.executable, *before, str(script), str(folder)]
    return subprocess.run(
        [*command, *arguments],
        env=kept,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("way", ["address", "mpi4py"])
def test_processes_of_mpirun_are_one_run(tmp_path, way):
    options, variables = {}, {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}"}
    if way == "mpi4py":
        pytest.importorskip("mpi4py")
        options, variables = {"cluster_detection_method": "mpi4py"}, {}
    done = mpirun(tmp_path, FIT, 2, json.dumps(options), **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (dict(np.load(tmp_path / f"{i}.npz")) for i in range(2))
    assert first == second
    assert first["count"] == 2
    # The maximum of this likelihood is at the mean.
    assert first["t"] == pytest.approx(first["mean"], rel=1e-6)


def test_processes_of_mpirun_that_know_no_address_are_told_what_to_set(tmp_path):
    done = mpirun(tmp_path, FIT, 2, "{}")
    assert done.returncode != 0
    assert "set JAX_COORDINATOR_ADDRESS=host:port for all" in done.stderr


def test_mpi4py_s_executor_runs_farms(tmp_path):
    pytest.importorskip("mpi4py")
    done = mpirun(tmp_path, FARM, 3, before=("-m", "mpi4py.futures"))
    assert done.returncode == 0, done.stdout + done.stderr
    found = np.load(tmp_path / "farm.npz")
    np.testing.assert_array_equal(found["numbers"], [0, 1, 2, 4, 5])
    np.testing.assert_allclose(found["found"][:, 0], found["found"][:, 1], rtol=1e-5)
    assert "ValueError: this toy is bad" in str(found["failure"])
