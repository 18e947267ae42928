"""Files read in a thread and kept in a scratch folder: the same numbers, little memory, no thread left behind."""

import functools
import gc
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.data.io import FORMATS
from jaxpwa.data.pieces import read_ahead
from jaxpwa.data.scratch import code_of

CSV = next(form for form in FORMATS if form.name == "csv")
TSV = next(form for form in FORMATS if form.name == "tsv")


def threads():
    return [t for t in threading.enumerate() if t.name == "jaxpwa-read-ahead"]


def stored(folder):
    return sorted(folder.glob("*/*_*.npy"))


def mapped(values):
    """Tell whether an array is a memory map or a view of one."""
    while values is not None and not isinstance(values, np.memmap):
        values = values.base
    return values is not None


@pytest.fixture
def source(tmp_path):
    """A folder of three csv files with 1000 events."""
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=1000), "w": rng.normal(size=1000)}
    (tmp_path / "in").mkdir()
    for number, (start, stop) in enumerate([(0, 300), (300, 301), (301, 1000)]):
        jp.write(tmp_path / "in" / f"p{number}.csv", {n: v[start:stop] for n, v in table.items()})
    return table


def opened(tmp_path, **arguments):
    return jp.Dataset.from_files(
        str(tmp_path / "in" / "p*.csv"),
        **{"weights": "w", "scratch": tmp_path / "s", "derive": lambda d: {"y": d["x"] ** 2}, **arguments},
    )


def check(pieces, table, start=0, stop=1000):
    pieces = list(pieces)
    for name, expected in (("x", table["x"]), ("y", table["x"] ** 2), ("w", table["w"])):
        assert np.concatenate([p[name] for p in pieces]).tobytes() == expected[start:stop].tobytes()
    assert np.concatenate([p.weights for p in pieces]).tobytes() == table["w"][start:stop].tobytes()
    for piece in pieces:
        for name in piece:
            assert piece[name].ctypes.data % 64 == 0
            assert piece[name].flags.c_contiguous
    return pieces


def test_later_passes_are_the_memory_maps_of_the_first(tmp_path, source):
    first = check(opened(tmp_path).pieces(128), source)
    assert not mapped(first[0]["x"])
    assert len(stored(tmp_path / "s")) == 8 * 4
    again = check(opened(tmp_path).pieces(128), source)
    for piece in again:
        assert all(mapped(piece[name]) for name in piece)
        assert mapped(piece.weights)
        assert not piece["x"].flags.writeable


def test_any_other_pieces_and_ranges_come_from_the_same_files(tmp_path, source):
    data = opened(tmp_path)
    check(data.pieces(128), source)
    files = stored(tmp_path / "s")
    for rows, start, stop in ((1, 120, 140), (64, 0, 1000), (100, 0, 1000), (999, 1, 1000), (1000, 0, 1000)):
        check(data.pieces(rows, start=start, stop=stop), source, start, stop)
    assert mapped(next(iter(data.pieces(64)))["x"])
    check([data.read(start=5, stop=900)], source, 5, 900)
    assert stored(tmp_path / "s") == files


def test_a_full_pass_leaves_the_sources_alone(tmp_path, source):
    data = opened(tmp_path)
    list(data.pieces(128))
    for path in data.paths:
        path.unlink()
    check(data.pieces(128), source)
    with pytest.raises(FileNotFoundError, match="no file matches"):
        opened(tmp_path)


def test_sources_that_are_replaced_are_read_anew(tmp_path, source):
    data = opened(tmp_path)
    list(data.pieces(128))
    changed = {n: v[300:301] + 1 for n, v in source.items()}
    jp.write(tmp_path / "in" / "p1.csv", changed)
    check(data.pieces(128), source)
    for name, values in changed.items():
        source[name][300:301] = values
    check(opened(tmp_path).pieces(128), source)


def test_only_what_is_missing_is_read_again(tmp_path, source):
    calls = []

    def derive(d):
        calls.append(len(d))
        return {"y": d["x"] ** 2}

    data = opened(tmp_path, derive=derive)
    pieces = data.pieces(100)
    for _ in range(3):
        next(pieces)
    pieces.close()
    assert not threads()
    done = len({p.name.split("_")[1] for p in stored(tmp_path / "s")})
    assert 3 <= done < 10
    calls.clear()
    check(data.pieces(100), source)
    assert 0 < sum(calls) <= 1000 - 100 * done + 65536
    calls.clear()
    check(data.pieces(100), source)
    assert calls == []


def test_columns_are_kept_as_they_are_asked_for(tmp_path, source):
    data = opened(tmp_path)
    list(data.pieces(500, ["x"]))
    assert len(stored(tmp_path / "s")) == 2 * 2
    check(data.pieces(500), source)
    assert len(stored(tmp_path / "s")) == 2 * 4


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "header", "other"])
def test_damaged_pieces_are_made_again(tmp_path, source, damage):
    check(opened(tmp_path).pieces(250), source)
    files = stored(tmp_path / "s")
    for path in files[::3]:
        content = bytearray(path.read_bytes())
        if damage == "flip":
            content[-5] ^= 1
        elif damage == "header":
            content[20:40] = b"?" * 20
        content = {"cut": content[:-100], "empty": b"", "other": b"\x80\x04K\x01."}.get(damage, content)
        path.write_bytes(content)
    check(opened(tmp_path).pieces(250), source)
    assert stored(tmp_path / "s") == files
    assert all(mapped(p["x"]) for p in check(opened(tmp_path).pieces(250), source))


def test_nothing_pickled_is_loaded_from_a_scratch_folder(tmp_path, source):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    check(opened(tmp_path).pieces(1000), source)
    path = stored(tmp_path / "s")[0]
    np.save(path, np.array([Payload()], object), allow_pickle=True)
    check(opened(tmp_path).pieces(1000), source)
    assert not (tmp_path / "marker").exists()


def test_unfinished_and_foreign_files_are_ignored(tmp_path, source):
    check(opened(tmp_path).pieces(500), source)
    folder = stored(tmp_path / "s")[0].parent
    (folder / ".0_0_500_00000000.npy.abc.part").write_bytes(b"half")
    (folder / "99_0_500_00000000.npy").write_bytes(b"?")
    (folder / "0_0_500_zzz.npy").write_bytes(b"?")
    (folder / "counts.json").write_text("[1, 2]")
    data = opened(tmp_path)
    assert len(data) == 1000
    check(data.pieces(500), source)
    assert (folder / "99_0_500_00000000.npy").read_bytes() == b"?"


def test_text_is_counted_once_for_all_programs(tmp_path, source, monkeypatch):
    assert len(opened(tmp_path)) == 1000

    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr("jaxpwa.data.sources.SourceFile.count", refuse)
    assert len(opened(tmp_path)) == 1000
    with pytest.raises(AssertionError):
        len(opened(tmp_path, scratch=None))


def test_processes_write_their_own_ranges_into_one_folder(tmp_path, source):
    halves = [opened(tmp_path), opened(tmp_path)]
    streams = [half.pieces(100, start=start, stop=start + 500) for half, start in zip(halves, (0, 500), strict=True)]
    list(itertools.zip_longest(*streams))
    assert all(mapped(p["y"]) for p in check(opened(tmp_path).pieces(100), source))


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": "float32"},
        {"derive": lambda d: {"y": d["x"] ** 2 + 0}},
        {"derive": lambda d: {"y": d["x"] ** 3}},
        {"derive": None},
        {"weights": None},
        {"columns": {"x": "w", "w": "x"}},
    ],
)
def test_whatever_the_numbers_depend_on_has_its_own_folder(tmp_path, source, other):
    list(opened(tmp_path).pieces(1000))
    opened(tmp_path, **other)
    assert len(list((tmp_path / "s").iterdir())) == 2


def test_a_helper_of_derive_that_changes_is_noticed_by_its_numbers(tmp_path, source):
    power = 2
    data = opened(tmp_path, derive=lambda d: {"y": d["x"] ** power})
    list(data.pieces(1000))
    power = 3
    again = opened(tmp_path, derive=lambda d: {"y": d["x"] ** power}).read(["y"])
    np.testing.assert_array_equal(again["y"], source["x"] ** 3)


def test_code_is_told_apart_and_is_the_same_in_another_run():
    def make(n):
        return lambda d: {"y": d["x"] in {"a", "b", "c"}, "n": n}

    assert repr(code_of(make(1))) == repr(code_of(make(1)))
    assert repr(code_of(make(1))) != repr(code_of(make(2)))
    assert code_of(functools.partial(make, 1)) != code_of(functools.partial(make, 2))
    program = (
        "from jaxpwa.data.scratch import code_of; print(code_of(lambda d: [d in {'a', 'b', 'c'}, lambda: {'x', 1}]))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_a_scratch_that_is_a_file_is_refused(tmp_path, source):
    (tmp_path / "f").write_text("")
    for scratch in (tmp_path / "f", tmp_path / "f" / "g"):
        with pytest.raises(NotADirectoryError, match="scratch must be a folder"):
            opened(tmp_path, scratch=scratch)


def test_every_process_keeps_what_it_has_read(tmp_path, source, monkeypatch):
    monkeypatch.setattr("jaxpwa._files.is_main", lambda: False)
    check(opened(tmp_path).pieces(250), source)
    assert len(stored(tmp_path / "s")) == 4 * 4
    assert all(mapped(p["y"]) for p in check(opened(tmp_path).pieces(250), source))


def test_a_scratch_folder_that_was_cleared_is_filled_again(tmp_path, source):
    data = opened(tmp_path)
    shutil.rmtree(tmp_path / "s")
    assert len(data) == 1000
    check(data.pieces(250), source)
    shutil.rmtree(tmp_path / "s")
    check(data.pieces(250), source)
    assert len(stored(tmp_path / "s")) == 4 * 4


def test_a_full_disk_is_told_with_the_folder(tmp_path, source, monkeypatch):
    def full(*_, **__):
        msg = "No space left on device"
        raise OSError(msg)

    data = opened(tmp_path)
    monkeypatch.setattr("jaxpwa.data.scratch.np.save", full)
    with pytest.raises(OSError, match="numbers can't be kept in the scratch folder .*/s: No space left .*Make room"):
        list(data.pieces(250))
    assert not threads()
    assert not list((tmp_path / "s").glob("*/.*"))
    with pytest.raises(TypeError, match=r"scratch must be the path of a folder, got True \(bool\)"):
        opened(tmp_path, scratch=True)


def test_threads_that_find_the_same_damage_don_t_disturb_each_other(tmp_path, source):
    data = opened(tmp_path)
    check(data.pieces(250), source)
    scratch = data._scratch
    scratch._verified.clear()
    path = stored(tmp_path / "s")[0]
    path.write_bytes(b"?")
    found = [one for ranges in scratch._stored.values() for one in ranges if one[2] == path]
    name = list(scratch._stored)[int(path.name.split("_")[0])]
    assert scratch._map(name, *found[0]) is None
    assert scratch._map(name, *found[0]) is None
    check(data.pieces(250), source)


LIMIT, TABLE = 2.0, np.arange(3.0)


def test_what_derive_takes_from_its_module_has_its_own_folder(tmp_path, source, monkeypatch):
    def derive(d):
        return {"y": np.where(d["x"] > LIMIT, 1.0, 0.0), "z": [TABLE[0] for _ in d["x"]]}

    opened(tmp_path, derive=derive)
    for number, (name, value) in enumerate((("LIMIT", 2.0001), ("TABLE", np.array([0.0, 1.0, 3.0])))):
        assert len(list((tmp_path / "s").iterdir())) == number + 1
        monkeypatch.setitem(globals(), name, value)
        opened(tmp_path, derive=derive)
    opened(tmp_path, derive=derive)
    assert len(list((tmp_path / "s").iterdir())) == 3


def test_no_link_in_a_scratch_folder_leads_a_writer_out_of_it(tmp_path, source):
    (tmp_path / "mine").write_text("text")
    data = opened(tmp_path)
    folder = next((tmp_path / "s").iterdir())
    check(data.pieces(500), source)
    for path in (folder / "counts.json", *stored(tmp_path / "s")):
        path.unlink()
        path.symlink_to(tmp_path / "mine")
    check(opened(tmp_path).pieces(500), source)
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert (tmp_path / "mine").read_text() == "text"


def test_an_early_end_ends_the_thread(tmp_path, source):
    data = opened(tmp_path, scratch=None)
    pieces = data.pieces(10)
    assert not threads()
    next(pieces)
    assert len(threads()) == 1
    pieces.close()
    assert not threads()
    for _ in zip(data.pieces(10), range(2), strict=False):
        pass
    gc.collect()
    assert not threads()
    data.pieces(10, start=5, stop=5).close()
    assert list(data.pieces(10, start=5, stop=5)) == []
    assert not threads()


def test_no_more_than_three_items_exist_and_one_is_read_ahead():
    made, alive = [], [0]

    class Item:
        def __init__(self, number):
            made.append(number)
            alive[0] += 1

        def __del__(self):
            alive[0] -= 1

    items = read_ahead(lambda stopped: (Item(i) for i in range(20)))
    most = 0
    for item in items:
        deadline = time.monotonic() + 0.05
        while time.monotonic() < deadline:
            most = max(most, alive[0])
        assert isinstance(item, Item)
    assert made == list(range(20))
    assert 2 <= most <= 3


def test_derive_may_use_jax(tmp_path, source):
    double = jax.jit(lambda x: 2 * x)
    data = opened(tmp_path, derive=lambda d: {"y": double(d["x"]), "z": jnp.stack([d["x"], d["w"]], axis=1)})
    whole = data.read(["y", "z"])
    np.testing.assert_array_equal(whole["y"], 2 * source["x"])
    np.testing.assert_array_equal(whole["z"][:, 1], source["w"])


def test_an_error_of_the_thread_is_raised_where_the_pieces_are_used():
    def make(stopped):
        yield 1
        msg = "in the thread"
        raise KeyError(msg)

    items = read_ahead(make)
    assert next(items) == 1
    with pytest.raises(KeyError, match="in the thread"):
        next(items)
    assert not threads()
    assert list(read_ahead(lambda stopped: iter(()))) == []


def test_a_program_that_keeps_its_pieces_still_ends(tmp_path):
    jp.write(tmp_path / "a.npy", {"x": np.arange(100.0)})
    code = (
        f"import jaxpwa as jp; it = jp.Dataset.from_files({str(tmp_path / 'a.npy')!r}).pieces(5); print(len(next(it)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "5\n"
    assert done.stderr == ""


def test_the_thread_leaves_the_warnings_of_the_process_alone(tmp_path):
    (tmp_path / "q.csv").write_text('x,y\n"1",2\n' * 1 + "3,4\n" * 2000)
    before = list(warnings.filters)
    data = jp.Dataset.from_files(tmp_path / "q.csv")
    pieces = data.pieces(7)
    next(pieces)
    for _ in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            next(pieces)
    pieces.close()
    assert list(warnings.filters) == before


def outcome(read):
    """Return what is read, or the message of the error."""
    try:
        return read()
    except ValueError as error:
        return str(error)


FIELDS = st.sampled_from(["1", "-2.5", "", "1e3", " 4", "nan", '"5"', '"6\n"', "True", "\t"])
# A third field that is 'nan' is dropped by pandas without a word, and refused in parts.
LINES = st.one_of(
    st.tuples(FIELDS, FIELDS),
    st.tuples(FIELDS, FIELDS),
    st.tuples(FIELDS, FIELDS),
    st.tuples(FIELDS),
    st.tuples(FIELDS, FIELDS, st.sampled_from(["", "7"])),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(LINES, max_size=12),
    st.lists(st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", "\n \n", "\r"]), min_size=13, max_size=13),
    st.sampled_from([CSV, TSV]),
    st.sampled_from(["", "\ufeff"]),
    st.integers(0, 14),
    st.integers(1, 9),
)
def test_text_in_parts_is_what_the_parser_makes_of_the_whole(tmp_path, rows, ends, form, mark, start, size):
    separator = "," if form is CSV else "\t"
    lines = [separator.join(row) for row in [["x", "y"], *rows]]
    path = tmp_path / f"t.{form.name}"
    path.write_bytes((mark + "".join(line + end for line, end in zip(lines, ends, strict=False))).encode())
    whole = outcome(lambda: jp.read(path))
    if isinstance(whole, str):
        assert isinstance(outcome(lambda: list(form.parts(path, size, None, 0))), str)
        return
    assert form.count(path) == len(whole)
    parts = list(form.parts(path, size, ["y", "x"], start))
    assert all(len(p) <= size for p in parts)
    assert sum(len(p) for p in parts) == max(0, len(whole) - start)
    for name in ("x", "y"):
        got = np.concatenate([np.empty(0, object), *(p[name].to_numpy(object) for p in parts)])
        expected = whole[name].to_numpy(object)[start:]
        for a, b in zip(got, expected, strict=True):
            assert a == b or (pd.isna(a) and pd.isna(b)) or str(a).strip('"') == str(b) or float(a) == float(b)


def test_long_text_is_cut_between_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxpwa.data.io.delimited._BYTES", 64)
    values = np.random.default_rng(0).normal(size=(300, 2))
    pd.DataFrame(values, columns=["x", "y"]).to_csv(tmp_path / "t.csv", index=False)
    data = jp.Dataset.from_files(tmp_path / "t.csv")
    assert data.n_events == 300
    for start in (0, 1, 2, 150, 299):
        np.testing.assert_array_equal(data.read(start=start)["y"], values[start:, 1])


def test_an_interrupt_while_the_reading_thread_starts_leaves_no_thread(monkeypatch):
    started, real = [], threading.Thread.start

    def start(thread):
        real(thread)
        if thread.name == "jaxpwa-read-ahead":
            started.append(thread)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        next(read_ahead(lambda stopped: iter(int, 1)))
    assert not started[0].is_alive()


MEMORY = """
import re, resource, sys
import numpy as np
import jaxpwa as jp
import pyarrow.parquet
in_use = int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (in_use + 150 * 2**20,) * 2)
data = jp.Dataset.from_files(sys.argv[1])
assert pyarrow.parquet.ParquetFile(sys.argv[1]).num_row_groups == 1
total, n_events = 0.0, 0
for piece in data.pieces(1 << 18):
    total += sum(float(piece[name].sum()) for name in piece)
    n_events += len(piece)
print(n_events, total)
try:
    np.ones(200 * 2**20, np.uint8)
except MemoryError:
    print("limited")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_five_million_events_of_one_row_group_pass_through_150_megabytes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    table = {name: rng.normal(size=5_000_000) for name in "abcd"}
    parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet", row_group_size=5_000_000)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "t.parquet"],
        # Arrow's own allocator sets aside a gigabyte of addresses, which count as data whether used or not.
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, total, limited = done.stdout.split()
    assert (int(count), limited) == (5_000_000, "limited")
    assert float(total) == pytest.approx(sum(v.sum() for v in table.values()), rel=1e-9)
