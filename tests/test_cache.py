"""Caches of files and of intermediate results: always the right content, never code."""

import concurrent.futures
import datetime as dt
import hashlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import iminuit
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxpwa as jp
from jaxpwa.data import packing, readcache
from jaxpwa.data.io import text


@pytest.fixture
def parses(monkeypatch):
    """Count how often a csv is parsed."""
    count = []
    plain = pd.read_csv
    monkeypatch.setattr(text.pd, "read_csv", lambda *a, **k: count.append(1) or plain(*a, **k))
    return count


def test_files_of_one_stem_keep_their_own_caches(tmp_path):
    """O13: set1.csv, set1.pf and set1.txt must not share one."""
    jp.write(tmp_path / "s.csv", {"x": [1.0, 2.0]})
    jp.write(tmp_path / "s.tsv", {"x": [3.0]})
    jp.write(tmp_path / "s.pf", [True, False])
    jp.write(tmp_path / "s.txt", [5.0])
    for _ in range(2):
        assert jp.read(tmp_path / "s.csv", cache=True)["x"].tolist() == [1, 2]
        assert jp.read(tmp_path / "s.tsv", cache=True)["x"].tolist() == [3]
        assert jp.read(tmp_path / "s.pf", cache=True).tolist() == [True, False]
        assert jp.read(tmp_path / "s.txt", cache=True).tolist() == [5]
    assert sorted(os.listdir(tmp_path)) == [f"s.{s}{c}" for s in ("csv", "pf", "tsv", "txt") for c in ("", ".cache")]


def test_the_second_reading_comes_from_the_cache_and_options_have_their_own(tmp_path, parses):
    path = tmp_path / "t.csv"
    jp.write(path, {"x": [1.0], "y": [2.0]})
    for _ in range(3):
        frame = jp.read(path, cache=True)
        frame["x"] += 1
    assert len(parses) == 1
    assert list(jp.read(path, ["y"], cache=True).columns) == ["y"]
    assert len(parses) == 2
    assert list(jp.read(path, {"y": "z"}, cache=True).columns) == ["z"]
    assert len(parses) == 2


def test_a_changed_digit_is_seen_though_size_and_time_are_the_same(tmp_path, parses, monkeypatch):
    """O13."""
    monkeypatch.setattr(readcache, "_FRESH", 0.0)
    path = tmp_path / "t.csv"
    path.write_text("x\n1.0\n")
    status = path.stat()
    time.sleep(0.05)
    assert jp.read(path, cache=True)["x"].tolist() == [1]
    time.sleep(0.05)
    path.write_text("x\n2.0\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert jp.read(path, cache=True)["x"].tolist() == [2]
    os.utime(path)
    assert jp.read(path, cache=True)["x"].tolist() == [2]
    assert len(parses) == 2  # touched, not changed: the sum of the content says so


def test_the_sum_of_a_long_file_is_that_of_the_sums_of_its_pieces(tmp_path, monkeypatch):
    content = bytes(range(256)) * 10
    (tmp_path / "f").write_bytes(content)
    monkeypatch.setattr(readcache, "_PIECE", 1000)
    sums = b"".join(hashlib.sha512(content[i : i + 1000]).digest() for i in (0, 1000, 2000))
    assert readcache._hash(tmp_path / "f") == hashlib.sha512(sums).hexdigest()


def test_a_source_younger_than_the_clock_is_summed(tmp_path, parses):
    path = tmp_path / "t.csv"
    path.write_text("x\n1.0\n")
    jp.read(path, cache=True)
    status = path.stat()
    path.write_text("x\n3.0\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert jp.read(path, cache=True)["x"].tolist() == [3]


@pytest.mark.parametrize("damage", ["foreign", "pickle", "truncated", "flipped", "empty", "version"])
def test_a_useless_cache_only_costs_a_parse(tmp_path, parses, damage, monkeypatch):
    """O14 (a): a pickle beside the data is never opened."""
    path, kept = tmp_path / "t.csv", tmp_path / "t.csv.cache"
    jp.write(path, {"x": [1.0, 2.0]})
    jp.read(path, cache=True)
    whole = kept.read_bytes()
    if damage == "version":
        monkeypatch.setattr(readcache, "version", lambda name: "0.0.0")
    else:
        payload = b"cbuiltins\nopen\n(V" + str(tmp_path / "marker").encode() + b"\nVw\ntR."
        flipped = bytearray(whole)
        flipped[-3] ^= 1
        content = {
            "foreign": b"hello",
            "pickle": payload,
            "truncated": whole[:-5],
            "flipped": bytes(flipped),
            "empty": b"",
        }
        kept.write_bytes(content[damage])
    assert jp.read(path, cache=True)["x"].tolist() == [1, 2]
    assert len(parses) == 2
    assert not (tmp_path / "marker").exists()
    assert jp.read(path, cache=True)["x"].tolist() == [1, 2]
    assert len(parses) == 2


def test_a_folder_that_refuses_writing_costs_nothing(tmp_path, monkeypatch):
    jp.write(tmp_path / "t.csv", {"x": [1.0]})

    def refuse(path):
        raise PermissionError(13, "read-only", str(path))

    monkeypatch.setattr(readcache, "replacing", refuse)
    assert jp.read(tmp_path / "t.csv", cache=True)["x"].tolist() == [1]
    assert os.listdir(tmp_path) == ["t.csv"]


def read_once(path):
    import jaxpwa as jp

    return [float(jp.read(path, cache=True)["x"].sum()) for _ in range(5)]


def test_two_processes_reading_one_new_file_agree(tmp_path):
    path = tmp_path / "t.csv"
    jp.write(path, {"x": np.arange(20_000.0)})
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        sums = [s for future in [pool.submit(read_once, path) for _ in range(4)] for s in future.result(timeout=120)]
    assert set(sums) == {np.arange(20_000.0).sum()}
    assert sorted(os.listdir(tmp_path)) == ["t.csv", "t.csv.cache"]


def test_a_process_killed_while_writing_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "t.csv"
    jp.write(path, {"x": [1.0]})
    script = f"""
import time, jaxpwa as jp
from jaxpwa.data.io import text
import pandas as pd
plain = pd.DataFrame.to_csv
def slow(self, stream, **options):
    stream.write(b"x\\n9")
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)
pd.DataFrame.to_csv = slow
jp.write({str(path)!r}, {{"x": [2.0]}})
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert jp.read(path)["x"].tolist() == [1]


THINGS = [
    None,
    True,
    7,
    -(2**63),
    2**200,
    1.5,
    1 + 2j,
    "text",
    b"bytes",
    [1, [2.0, "three"], None],
    (1, (2, 3)),
    {"a": 1, "b": {"c": [1, 2]}},
    {1: "one", (2, 3): "pair", None: 0},
    {"~": "no tag"},
    dt.date(2026, 11, 25),
    dt.datetime(2026, 11, 25, 8, 30, 1, 5, tzinfo=dt.UTC),
    np.float32(1.5),
    np.int64(3),
    np.datetime64("2026-11-25"),
]


@pytest.mark.parametrize("thing", THINGS, ids=repr)
def test_plain_objects_come_back_equal_and_of_their_type(tmp_path, thing):
    jp.cache.write(tmp_path / "o", thing)
    back = jp.cache.read(tmp_path / "o")
    assert back == thing
    assert type(back) is type(thing)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3)[:, ::-1],
        np.array([1 + 1j, np.nan]),
        np.zeros((0, 3)),
        np.array(5.0),
        np.array(["a", "bcd"]),
        np.array(["a", None, "ü"], object),
        np.array([(1, 2.0, [1, 2])], np.dtype([("n", "i4"), ("x", "f8"), ("v", "f4", (2,))], align=True)),
        np.array([True, False]),
        np.array(["2026-11-25"], "datetime64[s]"),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_come_back_with_dtype_shape_and_bits(tmp_path, array):
    jp.cache.write(tmp_path / "a", {"x": array})
    back = jp.cache.read(tmp_path / "a")["x"]
    assert back.shape == array.shape
    assert back.dtype == array.dtype or back.dtype == array.dtype.newbyteorder("=") or array.dtype.names
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable


@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(max_dims=3, max_side=5, min_side=0)))
def test_any_array_survives_packing(array):
    back = packing.unpack(packing.pack(array))
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates()


def containers(inner):
    return st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)


@given(st.recursive(SIMPLE | st.datetimes(), containers, max_leaves=20))
def test_any_nesting_survives_packing(thing):
    assert packing.unpack(packing.pack(thing)) == thing


def test_tables_come_back_equal(tmp_path):
    frame = pd.DataFrame({"x": [1.0, np.nan], "n": [1, 2], "s": ["a", "b"]}, index=[5, 3])
    jp.cache.write(tmp_path / "t", [frame, frame["x"], jp.Dataset(frame[["x", "n"]], [1, -1])])
    back, series, data = jp.cache.read(tmp_path / "t")
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    pd.testing.assert_series_equal(series, frame["x"])
    assert data.weights.tolist() == [1, -1]
    back.loc[5, "x"] = 7.0
    particles = jp.ParticleTable([(14, 1, np.arange(8.0).reshape(2, 4))])
    jp.cache.write(tmp_path / "p", particles)
    assert jp.cache.read(tmp_path / "p").p4[0].tolist() == particles.p4[0].tolist()


def test_fit_results_come_back(tmp_path):
    result = jp.fit(jp.GaussianConstraint("a", 1.0, 0.5), {"a": 0.0})
    jp.cache.write(tmp_path / "r", {"bin 3": result})
    assert jp.cache.read(tmp_path / "r")["bin 3"].to_dict() == result.to_dict()


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ({"fit": [1, lambda: 0]}, r"object\['fit'\]\[1\] is a builtins.function, which can't be stored"),
        ({"m": iminuit.Minuit(lambda x: x**2, 1.0)}, r"object\['m'\] is a iminuit.*Minuit, which can't be stored"),
        ([np.array([{}], object)], r"object\[0\] is an array of Python objects with dict in it"),
        (pd.DataFrame({"o": [object()]}), r"object\['o'\] is an array of Python objects with object in it"),
        ({"set": {1, 2}}, r"object\['set'\] is a builtins.set"),
        (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), "MultiIndex, which can't be"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named_with_its_path(tmp_path, thing, message):
    with pytest.raises(TypeError, match=message):
        jp.cache.write(tmp_path / "o", thing)
    assert os.listdir(tmp_path) == []


def test_foreign_and_damaged_objects_are_refused_and_never_run(tmp_path):
    """O14 (d)."""

    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    (tmp_path / "o").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match="was not written by jaxpwa.cache.write"):
        jp.cache.read(tmp_path / "o")
    jp.cache.write(tmp_path / "o", {"x": np.arange(5.0), "s": "text"})
    whole = (tmp_path / "o").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(whole)
        data[int(rng.integers(16, len(data)))] = int(rng.integers(256))
        if rng.random() < 0.3:
            del data[int(rng.integers(16, len(data))) :]
        (tmp_path / "o").write_bytes(bytes(data))
        try:
            jp.cache.read(tmp_path / "o")
        except ValueError as error:
            message = str(error)
            assert str(tmp_path) in message
    assert not (tmp_path / "marker").exists()
    with pytest.raises(FileNotFoundError):
        jp.cache.read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        jp.cache.write(tmp_path / "none" / "o", 1)


def test_deeply_nested_content_is_refused_without_a_crash(tmp_path):
    (tmp_path / "o").write_bytes(b"jaxpwa object 1\n" + b"\x91" * 100_000)
    with pytest.raises(ValueError, match="damaged content"):
        jp.cache.read(tmp_path / "o")


def test_a_link_in_place_of_a_cache_is_replaced_and_what_it_leads_to_stays(tmp_path):
    table, other = tmp_path / "table.csv", tmp_path / "precious.txt"
    table.write_text("x\n1.5\n")
    other.write_text("keep me")
    (tmp_path / "table.csv.cache").symlink_to(other)
    for _ in range(2):
        np.testing.assert_array_equal(jp.read(table, cache=True)["x"], [1.5])
    assert other.read_text() == "keep me"
    assert not (tmp_path / "table.csv.cache").is_symlink()
