"""Simulation of events that stay in files: what the same events give in memory, bit for bit, in bounded memory."""

import threading
import tracemalloc

import numpy as np
import pytest
from parts import write
from processes import run

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.engine import pieces

N = 150_001
AT = {"a": 2.0}


def bell(p, d):
    return p["a"] * jnp.exp(-(d["x"] ** 2)) * (1 + jnp.sin(5 * d["y"]) ** 2)


def line(p, d):
    return p["a"] * d["x"]


def table(n=N):
    rng = np.random.default_rng(4)
    return {"x": rng.normal(size=n), "y": rng.normal(size=n), "w": rng.uniform(0.2, 1.5, n), "i": np.arange(n)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write(tmp_path_factory.mktemp("files"), table(), (7, 60_000, 60_001))


@pytest.fixture
def small_pieces(monkeypatch):
    """Let pieces be as small as the budget says."""
    monkeypatch.setattr(pieces, "_LEAST_BUDGET", 1)


BUDGETS = [None, 4_000_000, 1_200_000]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("n_devices", [1, 2])
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.usefixtures("small_pieces")
def test_files_give_what_memory_gives_to_the_last_bit(paths, dtype, weights, n_devices, budget):
    files = jp.Dataset.from_files(paths, weights=weights, dtype=dtype, memory_budget=budget)
    data = jp.Dataset(table(), weights, dtype=dtype)
    options = {"devices": n_devices, "progress": False}
    values = jp.evaluate(bell, AT, files, **options)
    np.testing.assert_array_equal(values, jp.evaluate(bell, AT, data, **options))
    assert values.dtype == dtype
    for maximum in (None, 7.5):
        mask, report = jp.rejection_sample(5, bell, AT, files, maximum, **options)
        expected, report_in_memory = jp.rejection_sample(5, bell, AT, data, maximum, **options)
        np.testing.assert_array_equal(mask, expected)
        assert report == report_in_memory


def sizes_of_pieces(files, monkeypatch):
    seen = []
    whole = type(files).pieces

    def noted(self, rows, *args, **kwargs):
        for piece in whole(self, rows, *args, **kwargs):
            seen.append((len(piece), tuple(piece)))
            yield piece

    monkeypatch.setattr(type(files), "pieces", noted)
    return seen


@pytest.mark.usefixtures("small_pieces")
def test_pieces_are_as_long_as_the_budget_says_and_hold_what_the_intensity_reads(paths, monkeypatch):
    files = jp.Dataset.from_files(paths, memory_budget=4_000_000)
    seen = sizes_of_pieces(files, monkeypatch)
    jp.evaluate(line, AT, files, devices=2)
    # 8 bytes of x and 24 of results in 5 pieces are 25 000 events, 12 500 per device: a block of 4096 is a whole rung.
    assert {columns for _, columns in seen} == {("x",)}
    assert [n for n, _ in seen] == [8192] * 18 + [N - 18 * 8192]


def test_a_tiny_budget_does_not_make_pieces_that_are_not_worth_their_call(paths, monkeypatch):
    files = jp.Dataset.from_files(paths, memory_budget=0)
    seen = sizes_of_pieces(files, monkeypatch)
    jp.evaluate(line, AT, files, devices=1)
    # As if it were 1 MiB: 6553 events.
    assert [n for n, _ in seen] == [4096] * (N // 4096) + [N % 4096]


@pytest.mark.usefixtures("small_pieces")
def test_files_are_read_twice_only_to_find_the_maximum(paths, monkeypatch):
    files = jp.Dataset.from_files(paths, memory_budget=4_000_000)
    seen = sizes_of_pieces(files, monkeypatch)
    jp.rejection_sample(1, bell, AT, files, 8.0)
    assert sum(n for n, _ in seen) == N
    seen.clear()
    jp.rejection_sample(1, bell, AT, files)
    assert sum(n for n, _ in seen) == 2 * N


def test_the_order_of_files_is_the_order_of_events(paths):
    files = jp.Dataset.from_files(paths[::-1])
    cuts = (0, 7, 60_000, 60_001, N)
    x = np.concatenate([table()["x"][a:b] for a, b in zip(cuts[-2::-1], cuts[:0:-1], strict=True)])
    np.testing.assert_array_equal(jp.evaluate(line, AT, files), 2 * x)


@pytest.mark.parametrize("n_events", [None, 500])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.usefixtures("small_pieces")
def test_simulate_keeps_the_events_that_it_keeps_of_a_table(paths, n_events, weights):
    files = jp.Dataset.from_files(paths, weights=weights, memory_budget=4_000_000)
    toy = jp.simulate(8, bell, AT, files, n_events)
    expected = jp.simulate(8, bell, AT, jp.Dataset(table(), weights), n_events)
    assert list(toy) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(toy[name], expected[name])
    assert type(toy) is jp.Dataset
    assert not toy.is_weighted


def test_simulate_may_keep_nothing_and_says_when_it_keeps_too_few(paths):
    files = jp.Dataset.from_files(paths)
    assert len(jp.simulate(8, bell, AT, files, maximum=1e12)) == 0
    with pytest.raises(ValueError, match=f"0 of {N} events are kept, 5 are wanted"):
        jp.simulate(8, bell, AT, files, 5, maximum=1e12)


def test_events_above_the_maximum_are_counted_over_all_pieces(paths):
    files = jp.Dataset.from_files(paths, memory_budget=0)
    n_above = int((jp.evaluate(bell, AT, files) > 3.9).sum())
    with pytest.warns(jp.EnvelopeExceededWarning, match=f"{n_above} of {N} events have an intensity above"):
        _, report = jp.rejection_sample(1, bell, AT, files, 3.9)
    assert report.n_above == n_above > 1


@pytest.mark.parametrize("maximum", [None, 400_000.0])
@pytest.mark.parametrize(
    ("event", "value", "message"),
    [
        (70_000, np.nan, r"intensity is NaN or infinite for event 70000 \(nan\); 1 of the 65536 events from 65536 on"),
        (140_000, -1.0, r"intensity is negative for event 140000 \(-2.0\); 1 of the 18929 events from 131072 on"),
        (3, np.inf, r"intensity is NaN or infinite for event 3 \(inf\); 1 of the 65536 events from 0 on"),
    ],
)
def test_events_that_cannot_be_sampled_are_named_by_their_number_in_the_whole(tmp_path, event, value, message, maximum):
    x = np.arange(1.0, N + 1)
    x[event] = value
    files = jp.Dataset.from_files(write(tmp_path, {"x": x}, (50_000,)), memory_budget=32 << 20)
    before = threading.active_count()
    with pytest.raises(ValueError, match=message):
        jp.rejection_sample(1, line, AT, files, maximum, devices=1)
    assert threading.active_count() == before


def test_files_in_which_nothing_can_be_sampled_are_refused(tmp_path):
    files = jp.Dataset.from_files(write(tmp_path, {"x": np.zeros(1000)}, (10,)))
    for maximum in (None, 1.0):
        with pytest.raises(ValueError, match="intensity is 0 for all 1000 events"):
            jp.rejection_sample(1, line, AT, files, maximum)


def test_missing_columns_of_files_are_named_before_any_is_read(paths, monkeypatch):
    files = jp.Dataset.from_files(paths, ["y"])
    seen = sizes_of_pieces(files, monkeypatch)
    with pytest.raises(ValueError, match="line reads column 'x', which the data do not have; columns: y"):
        jp.evaluate(line, AT, files)
    assert seen == []


def test_memory_of_a_pass_follows_the_budget_and_not_the_files(tmp_path):
    """Two million events of four columns are 64 MB; numpy's share of a pass through 32 MiB stays below that budget."""
    n = 2_000_000
    files = jp.Dataset.from_files(
        write(tmp_path, {name: np.linspace(0, 1, n) for name in "xyzu"}, (n // 3,)), memory_budget=32 << 20
    )

    def sum_of_all(p, d):
        return p["a"] * (d["x"] + d["y"] + d["z"] + d["u"])

    jp.rejection_sample(1, sum_of_all, AT, files, 10.0, devices=1)
    tracemalloc.start()
    mask, _ = jp.rejection_sample(1, sum_of_all, AT, files, 10.0, devices=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - mask.nbytes < 32 << 20


def flat(seed, n):
    return {"x": np.random.default_rng(seed).uniform(0, 1, n)}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"maximum": np.nan}, ValueError, "maximum must be positive and finite .*, got nan"),
        ({"maximum": np.inf}, ValueError, "maximum must be positive and finite .*, got inf"),
        ({"maximum": "a"}, ValueError, "maximum must be positive and finite .*, got 'a'"),
        ({"result": {"a": 0.0}}, ValueError, r"intensity is 0 for all of \d+ events that were generated"),
        ({"result": {"a": 0.0}, "maximum": 1.0}, ValueError, r"intensity is 0 for all of \d+ events"),
        ({"result": None}, TypeError, "result must be a FitResult, or parameter values by name, got NoneType"),
        (
            {"events": lambda seed, n: {"x": np.empty(0)}},
            ValueError,
            r"must return n events, got none of the \d+ asked",
        ),
    ],
)
def test_simulate_ends_where_nothing_can_be_drawn(change, error, text):
    with pytest.raises(error, match=text):
        jp.simulate(**{"key_or_seed": 1, "model": line, "result": AT, "events": flat, "n_events": 100} | change)


def test_a_function_may_return_no_events_now_and_then():
    sizes = []

    def some(seed, n):
        sizes.append(n)
        return flat(seed, 0 if len(sizes) == 1 else n)

    assert len(jp.simulate(1, line, AT, some, 100)) == 100
    assert len(sizes) == 2


DIFFERENT = """
import sys
import jaxpwa as jp
jp.distributed.initialize()
import jax
import processes
from test_streamed_simulation import AT, line
files = jp.Dataset.from_files(sys.argv[1 : 2 + jp.distributed.process_index()])
calls = {
    "evaluate": lambda: jp.evaluate(line, AT, files),
    "rejection_sample": lambda: jp.rejection_sample(5, line, AT, files),
    "simulate": lambda: jp.simulate(8, line, AT, files),
    "project": lambda: jp.project(line, AT, files, {"x": [0, 1]}),
    "accumulate": lambda: jp.accumulate_integrals(line, files, AT),
    "cost": lambda: jp.UnbinnedNLL(line, files),
}
said = {}
for name, call in calls.items():
    try:
        said[name] = str(len(call()))
    except ValueError as error:
        said[name] = str(error)
same = jp.Dataset.from_files(sys.argv[1:], memory_budget=0)
said["devices"] = str(len(jp.evaluate(line, AT, same, devices=jax.devices())))
processes.give(**said)
"""


def test_processes_that_see_files_of_different_length_are_told_so_at_every_door(tmp_path):
    paths = write(tmp_path, {"x": np.linspace(0, 1, 11)}, (7,))
    for one in (e.results for e in run(2, DIFFERENT, *paths)):
        assert int(one.pop("devices")) in (5, 6)
        assert len(one) == 6
        for said in one.values():
            assert "processes of this run see files of different length, [7, 11] events: give all the same" in str(said)


SCRIPT = """
import sys
import jaxpwa as jp
jp.distributed.initialize()
import numpy as np
import processes
from test_streamed_simulation import AT, bell, line, table
paths = sys.argv[1:]
files = jp.Dataset.from_files(paths, weights="w", memory_budget=0)
mask, report = jp.rejection_sample(5, bell, AT, files)
given, above = jp.rejection_sample(5, bell, AT, files, 7.5)
toy, few = jp.simulate(8, bell, AT, files), jp.simulate(8, bell, AT, files, 500)
whole, _ = jp.rejection_sample(5, bell, AT, jp.Dataset(table(), "w"))
bad = jp.Dataset.from_files(paths, derive=lambda d: {"x": np.where(d["i"] == 140_000, np.nan, 1.0)})
try:
    jp.rejection_sample(1, line, AT, bad)
    message = ""
except ValueError as error:
    message = str(error)
processes.give(values=jp.evaluate(bell, AT, files), mask=mask, given=given, toy=toy["i"], few=few["i"], whole=whole,
               reports=[[r.n_generated, r.n_accepted, r.maximum, r.largest, r.n_above] for r in (report, above)],
               message=message)
"""


@pytest.mark.parametrize("n", [2, 3])
def test_processes_simulate_their_slices_of_files_as_one_process_the_whole(paths, n):
    ended = run(n, SCRIPT, *paths, timeout=120)
    data = jp.Dataset(table(), "w")
    mask, report = jp.rejection_sample(5, bell, AT, data)
    given, above = jp.rejection_sample(5, bell, AT, data, 7.5)
    reports = [[r.n_generated, r.n_accepted, r.maximum, r.largest, r.n_above] for r in (report, above)]

    def joined(name):
        return np.concatenate([e.results[name] for e in ended])

    np.testing.assert_array_equal(joined("values"), jp.evaluate(bell, AT, data))
    np.testing.assert_array_equal(joined("mask"), mask)
    np.testing.assert_array_equal(joined("given"), given)
    for one in (e.results for e in ended):
        np.testing.assert_array_equal(one["reports"], reports)
        np.testing.assert_array_equal(one["whole"], mask)
        np.testing.assert_array_equal(one["toy"], jp.simulate(8, bell, AT, data)["i"])
        np.testing.assert_array_equal(one["few"], jp.simulate(8, bell, AT, data, 500)["i"])
        assert "intensity is NaN or infinite for event 140000" in str(one["message"])
