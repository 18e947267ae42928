"""Several processes are one run, started by hand or by a launcher, of which one writes, prints and warns."""

import contextlib
import os
import re
import signal
import socket

import numpy as np
import pytest
from processes import START, by_hand, free_port, run

import jax

from jaxpwa import _launch, _settings
from jaxpwa._launch import NOWHERE, Place, known_place, processes_here, slurm_tasks, started_alone
from jaxpwa.distributed import barrier, initialize, is_main, process_count, process_index

LAUNCHERS = ("SLURM", "OMPI", "MPI", "PMI", "MV2", "JAX_COORDINATOR", "JAX_NUM_PROCESSES", "JAX_PROCESS")


@pytest.fixture
def nowhere(monkeypatch):
    """Take away what a launcher may have set for the test run itself."""
    for name in [n for n in os.environ if n.startswith(LAUNCHERS)]:
        monkeypatch.delenv(name)
    return monkeypatch


TOGETHER = (
    START
    + """
    distributed.initialize()
    import io
    from jaxpwa.engine.processes import exchange
    from jaxpwa import _progress
    from jaxpwa._checks import JaxpwaWarning
    from jaxpwa._files import replacing
    from jaxpwa._progress import progress_bar

    main, folder = distributed.is_main(), Path(sys.argv[1])
    with replacing(folder / "one.txt") as temporary:
        temporary.write_text(f"{distributed.process_index()}")
    with replacing(folder / f"{distributed.process_index()}.txt") as temporary:
        temporary.write_text("mine")
    with replacing(folder / f"cache{distributed.process_index()}.txt", by_all=True) as temporary:
        temporary.write_text("mine")
    distributed.barrier("written")
    seen = (folder / "one.txt").read_text()

    _progress._PATIENCE = 0.0
    screen, sys.stderr = sys.stderr, io.StringIO()
    with progress_bar("work", 10, "event", True) as bar:
        bar.update(10)
    shown, sys.stderr = sys.stderr.getvalue(), screen
    warnings.warn("something about the fit", JaxpwaWarning)
    if main:
        time.sleep(1)
    distributed.barrier()
    late = time.monotonic()
    give(
        seen=seen, shown=shown, main=main, index=distributed.process_index(), count=distributed.process_count(),
        devices=len(jax.devices()), here=len(jax.local_devices()), bytes=jax.numpy.ones(1).nbytes,
        gathered=exchange(np.arange(2.0) + distributed.process_index()),
    )
    if main:
        print("the result")
"""
)


def test_processes_started_by_hand_are_one_run_in_which_the_first_one_writes_prints_and_warns(tmp_path):
    ended = run(2, TOGETHER, tmp_path, devices=2)
    for i, one in enumerate(ended):
        r = one.results
        assert (r["index"], r["count"], r["main"]) == (i, 2, i == 0)
        assert (r["devices"], r["here"], r["bytes"]) == (4, 2, 8)
        np.testing.assert_array_equal(r["gathered"], [[0.0, 1.0], [1.0, 2.0]])
        assert r["seen"] == "0"
        assert ("work" in str(r["shown"])) == (i == 0)
        assert ("something about the fit" in one.err) == (i == 0)
        assert one.out == ("the result\n" if i == 0 else "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.txt", "cache0.txt", "cache1.txt", "one.txt"]


SIZES = (
    START
    + """
    distributed.initialize()
    give(index=distributed.process_index(), count=distributed.process_count(), here=len(jax.local_devices()))
"""
)


def launched(kind, port):
    """Return what a launcher tells each of two processes on this machine."""
    both = []
    for i in range(2):
        if kind == "slurm":
            both.append(
                {
                    "SLURM_JOB_ID": "77",
                    "SLURM_STEP_NODELIST": "localhost",
                    "SLURM_NTASKS": "2",
                    "SLURM_PROCID": str(i),
                    "SLURM_LOCALID": str(i),
                    "SLURM_NODEID": "0",
                    "SLURM_STEP_NUM_NODES": "1",
                    "SLURM_STEP_TASKS_PER_NODE": "2",
                    "SLURM_CPUS_ON_NODE": "2",
                    "JAX_COORDINATOR_PORT": str(port),
                }
            )
        else:
            told = {
                "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_RANK": str(i),
                "OMPI_COMM_WORLD_LOCAL_RANK": str(i),
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
            }
            if kind == "open mpi 4":
                uri = "1531576320.0;tcp://127.0.0.1:34911"
                told |= {"OMPI_MCA_orte_hnp_uri": uri, "JAX_COORDINATOR_PORT": str(port)}
            else:
                told |= {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}"}
            both.append(told)
    return both


@pytest.mark.parametrize("kind", ["slurm", "open mpi 4", "open mpi 5"])
def test_under_a_launcher_at_most_the_address_needs_to_be_said_and_the_cores_are_divided(kind):
    ended = run(2, SIZES, devices=None, environments=launched(kind, free_port()))
    cores = max(1, _settings.usable_cores() // 2)
    for i, one in enumerate(ended):
        assert {k: int(v) for k, v in one.results.items()} == {"index": i, "count": 2, "here": cores}


SRUN = {"SLURM_STEP_NODELIST": "n1", "SLURM_NTASKS": "4", "SLURM_PROCID": "1"}


@pytest.mark.parametrize(
    "variables",
    [
        {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"},  # Open MPI 5
        {"PMI_SIZE": "4", "PMI_RANK": "1"},  # MPICH, Intel MPI
        {"MV2_COMM_WORLD_SIZE": "4", "MV2_COMM_WORLD_RANK": "1"},
        # Daemons of mpirun in a SLURM job are a step of their own.
        {**SRUN, "PMI_SIZE": "8", "PMI_RANK": "5"},
        {**SRUN, "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5"},
    ],
)
def test_processes_of_a_launcher_that_hides_the_first_one_do_not_go_on_as_so_many_runs(nowhere, variables):
    for name, value in variables.items():
        nowhere.setenv(name, value)
    count, index = list(variables.values())[-2:]
    with pytest.raises(ValueError, match=f"process {index} of {count} was started by .*set JAX_COORDINATOR_ADDRESS=ho"):
        initialize()
    assert initialize(num_processes=1) is None
    assert known_place("n1:77", None, None) == Place("n1:77", int(count), int(index))


@pytest.mark.parametrize(
    ("variables", "alone"),
    [
        ({}, False),
        (SRUN, False),
        ({**SRUN, "PMI_SIZE": "4", "PMI_RANK": "1"}, False),  # srun --mpi=pmi2
        ({"OMPI_MCA_orte_hnp_uri": "1.0;tcp://n1:1", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, True),
        # srun of one task: several of a job on one machine would have the same port. And the shell of salloc.
        ({**SRUN, "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, True),
        ({**SRUN, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, True),
    ],
)
def test_one_process_of_a_launcher_works_alone(nowhere, variables, alone):
    for name, value in variables.items():
        nowhere.setenv(name, value)
    assert started_alone() is alone
    if alone:
        assert initialize() is None
        assert process_count() == 1


def test_without_a_cluster_the_same_script_runs_in_one_process(tmp_path):
    (one,) = run(1, TOGETHER, tmp_path, devices=2, environments=[{}])
    r = one.results
    assert (r["index"], r["count"], r["main"], r["devices"]) == (0, 1, True, 2)
    assert r["seen"] == "0"
    assert one.out == "the result\n"


def test_without_a_cluster_nothing_is_settled_and_a_second_call_is_harmless():
    source = """
        import jax
        import jaxpwa
        from jaxpwa import distributed
        from processes import give
        distributed.initialize()
        distributed.initialize(num_processes=1)
        jax.config.update("jax_num_cpu_devices", 3)
        here = len(jax.devices())
        distributed.initialize()
        give(here=here)
    """
    (one,) = run(1, source, environments=[{}])
    assert one.results["here"] == 3


def test_this_process_is_the_only_one():
    assert (process_index(), process_count(), is_main()) == (0, 1, True)
    assert barrier("alone") is None
    with pytest.raises(TypeError, match="the name of a barrier must be a string, got 3"):
        barrier(3)


def test_a_running_jax_is_refused_with_what_to_move(nowhere):
    nowhere.setenv("JAX_PROCESS_ID", "0")
    jax.devices()
    with pytest.raises(RuntimeError, match="JAX has computed already.*right after the imports"):
        initialize("localhost:1234", 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("node07", 2, 0), "must be host:port, such as 'node07:12345', with .* got 'node07'"),
        (("node07:0", 2, 0), "with a port from 1 to 65535, got 'node07:0'"),
        (("node07:99999", 2, 0), "with a port from 1 to 65535, got 'node07:99999'"),
        (("node07:1", 0, 0), "num_processes must be at least 1, got 0"),
        (("node07:1", 2, 2), "process_id must be from 0 to num_processes - 1, got 2 of 2"),
        (("node07:1", 2, -1), "process_id must be from 0"),
    ],
)
def test_wrong_arguments_are_refused(nowhere, arguments, told):
    with pytest.raises(ValueError, match=told):
        initialize(*arguments)


def test_arguments_of_other_types_are_refused(nowhere):
    with pytest.raises(TypeError, match="num_processes must be a whole number, got '2'"):
        initialize("node07:1", "2", 0)  # pyright: ignore[reportArgumentType]
    nowhere.setenv("JAX_NUM_PROCESSES", "two")
    with pytest.raises(ValueError, match="JAX_NUM_PROCESSES must be a whole number, got 'two'"):
        initialize()


@pytest.mark.parametrize("name", ["processes_per_machine", "initialization_timeout", "heartbeat_timeout_seconds"])
def test_numbers_must_be_whole_and_positive(nowhere, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        initialize(**{name: 0})
    for bad in (2.5, "3"):
        with pytest.raises(TypeError, match=f"{name} must be a whole number, got {bad!r}"):
            initialize(**{name: bad})


ERRORS = (
    START
    + """
    told = []
    for arguments in ((None, 2, 0), ("localhost:1", 2, None)):
        try:
            distributed.initialize(*arguments)
        except ValueError as error:
            told.append(str(error))
    try:
        distributed.initialize(cluster_detection_method="nobody")
    except ValueError as error:
        told.append(str(error))
    distributed.initialize(sys.argv[1], 1, 0)
    try:
        distributed.initialize(sys.argv[1], 1, 0)
    except RuntimeError as error:
        told.append(str(error))
    give(told=told, count=distributed.process_count())
"""
)


def test_what_is_missing_and_a_second_call_are_told():
    (one,) = run(1, ERRORS, f"127.0.0.1:{free_port()}", environments=[{}])
    no_address, no_index, no_method, twice = one.results["told"]
    assert "no cluster" in no_address
    assert "coordinator_address is None" in no_address
    assert "JAX_PROCESS_ID or process_id is None" in no_index
    assert "no cluster (nobody) was found" in no_method
    assert "was called before" in twice
    assert one.results["count"] == 1


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (0, "It listens at .* not all of the processes 1 to 1 have come"),
        (1, "Process 0 does not answer at .* is it started"),
    ],
)
def test_a_start_that_nobody_joins_ends_and_says_what_to_look_at(index, told):
    (one,) = run(
        1,
        START + "    distributed.initialize(initialization_timeout=2)",
        environments=by_hand(2)[index:][:1],
        check=False,
    )
    assert one.status == 1
    assert one.seconds < 30
    assert f"process {index} of 2 has waited 2 s" in one.err
    assert re.search(told, one.err)


def test_the_advice_of_a_start_that_fails_knows_launchers_and_a_coordinator_that_answers(nowhere):
    assert "srun, mpirun" in _launch.advice(Place(None, None, None))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert "so another process has not been started" in _launch.advice(Place(address, 3, 1))
    assert "Process 0 does not answer at a..b:1 (" in _launch.advice(Place("a..b:1", 2, 1))
    nowhere.setenv("SLURM_PROCID", "3")
    nowhere.setenv("SLURM_NTASKS", "4")
    assert str(Place(None, None, None)) == "process 3 of 4"


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("", 0)) as server:
        source = START + f"    distributed.initialize('127.0.0.1:{server.getsockname()[1]}', 2, 0)"
        (one,) = run(1, source, environments=[{}], check=False)
    assert one.status == 1
    assert "can't listen at 127.0.0.1" in one.err
    assert "choose a free port" in one.err


def test_a_port_that_is_taken_is_told_under_a_launcher_too():
    with socket.create_server(("", 0)) as server:
        first = launched("slurm", server.getsockname()[1])[0]
        (one,) = run(1, START + "    distributed.initialize()", environments=[first], check=False)
    assert one.status == 1
    assert "process 0 of 2 can't listen at port " in one.err
    assert "set JAX_COORDINATOR_PORT" in one.err


@pytest.mark.parametrize("index", ["0", "1"])
def test_the_port_that_jax_takes_for_a_job_of_slurm_is_looked_at_by_process_0(nowhere, index):
    for name, value in (launched("slurm", 0)[0] | {"SLURM_PROCID": index}).items():
        nowhere.setenv(name, value)
    nowhere.delenv("JAX_COORDINATOR_PORT")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # another program may have it already
            stack.enter_context(socket.create_server(("", 77 + 61440)))
        if index == "1":
            _launch.check_port(NOWHERE)
            return
        with pytest.raises(
            RuntimeError, match="process 0 of 2 can't listen at port 61517 .*: set JAX_COORDINATOR_PORT"
        ):
            _launch.check_port(NOWHERE)


def test_ctrl_c_ends_a_process_that_waits_in_cpp_for_the_others():
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with _launch.time_limit(60, NOWHERE):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, kept)


def test_different_numbers_of_processes_are_told():
    environments = by_hand(2)
    environments[1]["JAX_NUM_PROCESSES"] = "3"
    ended = run(
        2, START + "    distributed.initialize()\n    distributed.barrier()", environments=environments, check=False
    )
    assert [one.status for one in ended] == [1, 1]
    assert "num_processes is 3 here and 2 in process 0" in ended[1].err


@pytest.mark.parametrize(
    ("text", "node", "tasks"),
    [("4", 0, 4), ("2(x3),1", 0, 2), ("2(x3),1", 2, 2), ("2(x3),1", 3, 1), ("1,3", 1, 3), ("2", 5, 1), ("?", 0, 1)],
)
def test_slurms_list_of_tasks_is_read(text, node, tasks):
    assert slurm_tasks(text, node) == tasks


def test_processes_of_a_machine_are_known_from_the_launcher_or_the_loopback(nowhere):
    assert processes_here(Place("127.0.0.1:1", 4, 0)) == 4
    assert processes_here(Place("localhost:1", 3, 0)) == 3
    assert processes_here(Place("node07:1", 4, 0)) == 1
    nowhere.setenv("MPI_LOCALNRANKS", "2")
    assert processes_here(Place("node07:1", 4, 0)) == 2
    nowhere.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "8")
    assert processes_here(Place(None, None, None)) == 8
    nowhere.setenv("SLURM_STEP_TASKS_PER_NODE", "2(x2),5")
    nowhere.setenv("SLURM_NODEID", "2")
    assert processes_here(Place(None, None, None)) == 8  # those of mpirun's daemon, which is a step of SLURM's
    nowhere.delenv("OMPI_COMM_WORLD_LOCAL_SIZE")
    nowhere.delenv("MPI_LOCALNRANKS")
    assert processes_here(Place(None, None, None)) == 5
    nowhere.delenv("SLURM_STEP_TASKS_PER_NODE")
    nowhere.setenv("SLURM_TASKS_PER_NODE", "16")
    assert processes_here(Place("node07:1", 2, 0)) == 1  # by hand in a batch script for sixteen tasks


def test_places_are_completed_from_the_environment(nowhere):
    nowhere.setenv("JAX_COORDINATOR_ADDRESS", "node01:77")
    nowhere.setenv("JAX_NUM_PROCESSES", "5")
    nowhere.setenv("JAX_PROCESS_ID", "3")
    assert known_place(None, None, None) == Place("node01:77", 5, 3)
    assert known_place("node02:78", np.int64(6), np.int32(4)) == Place("node02:78", 6, 4)


@pytest.mark.parametrize(
    ("own", "machine", "job", "processes", "cores"),
    [
        (64, 64, None, 4, 16),  # nothing is bound
        (16, 64, None, 4, 16),  # the launcher has bound each to its share
        (16, 64, None, 8, 8),  # bound to a socket that two share
        (1, 64, None, 4, 1),  # bound to a core each
        (16, 64, "16", 4, 4),  # a SLURM job with 16 of the machine's CPUs
        (2, 2, None, 4, 1),
    ],
)
def test_cores_are_divided_among_the_processes_of_a_machine(nowhere, own, machine, job, processes, cores):
    nowhere.setattr(_settings, "_allowed", lambda process: own if process == 0 else machine)
    nowhere.setattr(_settings, "_within_quota", lambda n: n)
    if job:
        nowhere.setenv("SLURM_CPUS_ON_NODE", job)
    assert _settings.cores_of_each(processes) == cores


def test_a_containers_quota_is_divided_too(nowhere):
    nowhere.setattr(_settings, "_allowed", lambda process: 64)
    nowhere.setattr(_settings, "_within_quota", lambda n: min(n, 8))
    assert _settings.cores_of_each(4) == 2


def test_barriers_of_different_names_are_told_apart():
    source = START + "    distributed.initialize()\n    distributed.barrier(f'b{distributed.process_index()}')"
    for i, one in enumerate(run(2, source, check=False)):
        assert one.status == 1
        assert f"process {i} of 2 waits at barrier 'b{i}'" in one.err or "has ended" in one.err
