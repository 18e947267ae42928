"""A process that dies, fails or hangs ends the whole run, soon and with an error that says so."""

import re

import pytest
from processes import START, run

from jaxpwa import _processes

GONE = "has ended or can't be reached"
BY_JAX = "Terminating process because the JAX distributed service detected fatal errors"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Gloo all-reduce failed: [pair.cc:547] Connection closed by peer [10.0.0.7]:63708",
            "process, at 10.0.0.7, has",
        ),
        ("NCCL operation ncclAllReduce failed: remote process exited", "another process has ended"),
        ("Gloo context initialization failed: DEADLINE_EXCEEDED: GetKeyValue() timed out", "within 30 s"),
        ("shapes (3,) and (4,) do not match", None),
    ],
)
def test_errors_of_lost_processes_are_told_from_others(monkeypatch, text, told):
    monkeypatch.setattr(_processes, "is_distributed", lambda: True)
    monkeypatch.setattr(_processes, "_status", [])
    error = _processes.lost_process(ValueError(text))
    if told is None:
        assert error is None
        assert _processes.failure() is None
    else:
        assert told in str(error)
        assert _processes.failure() == 1
        with pytest.raises(RuntimeError, match=re.escape(told)), _processes.together():
            raise ValueError(text)


def test_errors_in_a_single_process_are_left_alone():
    error = ValueError("Gloo all-reduce failed")
    with pytest.raises(ValueError, match="Gloo"), _processes.together():
        raise error


DEATH = (
    START
    + """
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
    from jaxpwa._processes import together

    how, victim, busy = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "busy"
    distributed.initialize(heartbeat_timeout_seconds=10)
    me, n = distributed.process_index(), distributed.process_count()
    mesh = Mesh(np.array(jax.devices()), ("events",))
    spread, whole = NamedSharding(mesh, P("events")), NamedSharding(mesh, P())
    x = jax.make_array_from_process_local_data(spread, np.arange(4.0), (4 * n,))
    total = jax.jit(lambda x: x.sum(), out_shardings=whole)
    assert float(total(x)) == 6 * n
    distributed.barrier("at work")
    if me == victim:
        time.sleep(0.5)
        give(now=time.time())
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "told to end":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        elif how == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif how == "error":
            raise ValueError("a fault of the user's own")
        os._exit(3)
    if busy:
        time.sleep(60)
    with together():
        float(total(x))
"""
)


def survivors(n, how, victim, busy=False, grace=None):
    """Let one of n processes die and return how it and the others ended."""
    ended = run(n, DEATH, how, victim, "busy" if busy else "waiting", check=False, grace=grace)
    return ended[victim], [e for i, e in enumerate(ended) if i != victim]


def check_end(dead, others, within, told=(GONE,)):
    """Check that all others ended with an error, soon, and said why."""
    for other in others:
        assert other.status not in (0, None), other
        assert other.seconds - dead.seconds < within
        assert any(text in other.err for text in told), other.err


@pytest.mark.parametrize("how", ["killed", "told to end", "left", "error"])
def test_those_that_wait_for_a_process_that_dies_end_at_once_and_say_so(how):
    dead, others = survivors(2, how, 1)
    assert dead.status == {"killed": -9, "told to end": -15, "left": 3, "error": 1}[how]
    check_end(dead, others, within=8)
    assert "this is process 0 of 2" in others[0].err
    assert "checkpoint=" in others[0].err
    assert ("a fault of the user's own" in dead.err) == (how == "error")
    if how == "error":
        assert "process 1 of 2 ends with this error" in dead.err


@pytest.mark.parametrize("how", ["killed", "error"])
def test_all_end_at_once_when_the_first_process_dies(how):
    dead, others = survivors(2, how, 0)
    check_end(dead, others, within=8, told=(GONE, BY_JAX))


@pytest.mark.slow
def test_a_process_that_dies_while_the_others_are_busy_ends_them_within_the_heartbeat():
    dead, others = survivors(2, "killed", 1, busy=True)
    check_end(dead, others, within=10 + 10, told=(BY_JAX,))


def test_a_process_that_hangs_ends_the_others_within_the_heartbeat():
    stopped, (other,) = survivors(2, "stopped", 1, grace=1)
    assert stopped.status == -9
    assert stopped.seconds > other.seconds + 0.5
    assert other.status not in (0, -9, None)
    assert BY_JAX in other.err
    assert other.seconds < 40


@pytest.mark.slow
@pytest.mark.parametrize(("how", "victim"), [("killed", 2), ("killed", 0), ("error", 3)])
def test_three_survivors_of_four_all_end(how, victim):
    dead, others = survivors(4, how, victim)
    check_end(dead, others, within=15, told=(GONE, BY_JAX))
