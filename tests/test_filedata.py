"""Events that stay in files: pieces are the table, whatever the format, the borders of files and the range."""

import os
import pickle
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa import JaxpwaWarning
from jaxpwa.data.filedata import FileDataset
from jaxpwa.data.io import write_chunks

SUFFIXES = [".parquet", ".root", ".npy", ".csv", ".csv.gz", ".tsv", ".kvars"]
CUTS = (0, 130, 131, 131, 500)


def table_of(n_events=500, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=n_events),
        "n": rng.integers(-5, 2**40, n_events),
        "w": rng.normal(size=n_events),
        "z": rng.exponential(size=n_events),
    }


def write_parts(folder, suffix, table, cuts=CUTS):
    """Write a table as files part_0, part_1, ... and return their pattern."""
    for number, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        if stop > start or suffix != ".kvars":
            jp.write(folder / f"part_{number}{suffix}", {name: v[start:stop] for name, v in table.items()})
    return str(folder / f"part_*{suffix}")


def joined(pieces, name):
    return np.concatenate([piece[name] for piece in pieces])


def threads():
    return [t for t in threading.enumerate() if t.name == "jaxpwa-read-ahead"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pieces_are_the_table_across_the_borders_of_files(tmp_path, suffix, dtype):
    table = table_of()
    data = jp.Dataset.from_files(write_parts(tmp_path, suffix, table), weights="w", dtype=dtype)
    assert isinstance(data, FileDataset)
    assert (len(data), data.n_events, data.is_weighted, data.dtype) == (500, 500, True, dtype)
    assert list(data) == ["x", "n", "w", "z"]
    assert "x" in data
    assert "q" not in data
    assert data.head.n_events == 256
    for rows in (1, 64, 130, 499, 500, 1000):
        pieces = list(data.pieces(rows))
        assert [len(p) for p in pieces] == [min(rows, 500 - i) for i in range(0, 500, rows)]
        for name, values in table.items():
            got = joined(pieces, name)
            assert got.dtype == dtype
            assert got.tobytes() == values.astype(dtype).tobytes()
        assert np.concatenate([p.weights for p in pieces]).tobytes() == table["w"].tobytes()
        for piece in pieces:
            assert piece.dtype == dtype
            for name in piece:
                assert piece[name].flags.c_contiguous
                assert piece[name].ctypes.data % 64 == 0
    assert not threads()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (129, 132), (131, 500), (300, 301), (500, 500), (7, None)])
def test_any_range_and_choice_of_columns_is_read(tmp_path, suffix, start, stop):
    table = table_of()
    data = jp.Dataset.from_files(write_parts(tmp_path, suffix, table), weights="w")
    part = data.read(["z", "x"], start=start, stop=stop)
    assert list(part) == ["z", "x"]
    for name in part:
        assert part[name].tobytes() == table[name][start:stop].tobytes()
    assert part.weights.tobytes() == table["w"][start:stop].tobytes()
    pieces = list(data.pieces(40, "x", start=start, stop=stop))
    assert sum(len(p) for p in pieces) == len(table["x"][start:stop])
    if pieces:
        assert joined(pieces, "x").tobytes() == table["x"][start:stop].tobytes()
        assert all(list(p) == ["x"] for p in pieces)


def test_read_is_what_pandas_reads(tmp_path):
    table = table_of()
    pattern = write_parts(tmp_path, ".csv", table)
    files = sorted(tmp_path.glob("part_*.csv"))
    exact: Any = {"float_precision": "round_trip"} if pd.__version__ < "3.1" else {}
    frame = pd.concat([pd.read_csv(f, **exact) for f in files if f.stat().st_size > 20])
    data = jp.Dataset.from_files(pattern)
    for name in frame:
        np.testing.assert_array_equal(data.read()[name], frame[name].to_numpy(np.float64))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any),
    st.integers(1, 90),
    st.sampled_from([".parquet", ".root", ".npy", ".csv"]),
    st.data(),
)
def test_pieces_of_any_split_make_the_whole(tmp_path, sizes, rows, suffix, draw):
    n_events = sum(sizes)
    start = draw.draw(st.integers(0, n_events))
    stop = draw.draw(st.integers(start, n_events))
    values = np.random.default_rng(n_events).normal(size=n_events)
    for old in tmp_path.glob("part_*"):
        old.unlink()
    write_parts(tmp_path, suffix, {"x": values, "y": values**2}, (0, *np.cumsum(sizes)))
    data = jp.Dataset.from_files(tmp_path / f"part_*{suffix}")
    assert data.n_events == n_events
    pieces = list(data.pieces(rows, ["y", "x"], start=start, stop=stop))
    assert all(len(p) == rows for p in pieces[:-1])
    for name, expected in (("x", values), ("y", values**2)):
        np.testing.assert_array_equal(np.concatenate([np.empty(0), *(p[name] for p in pieces)]), expected[start:stop])


def test_a_row_group_is_entered_in_the_middle(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values = np.arange(1000.0)
    parquet.write_table(pyarrow.table({"x": values}), tmp_path / "t.parquet", row_group_size=300)
    data = jp.Dataset.from_files(tmp_path / "t.parquet")
    for start in (0, 299, 300, 301, 650, 999):
        np.testing.assert_array_equal(data.read(start=start)["x"], values[start:])


def test_baskets_and_clusters_are_entered_in_the_middle(tmp_path):
    uproot = pytest.importorskip("uproot")
    values = np.arange(1000.0)
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("t", {"x": "f8", "y": "f4"})
        for start in range(0, 1000, 150):
            file["t"].extend({"x": values[start : start + 150], "y": values[start : start + 150]})
        file.mkrntuple("n", {"x": values, "y": values.astype(np.float32)})
    for tree in ("t", "n"):
        data = jp.Dataset.from_files(tmp_path / "t.root", tree=tree)
        for start in (0, 149, 150, 151, 650, 999):
            np.testing.assert_array_equal(data.read(start=start)["x"], values[start:])
            np.testing.assert_array_equal(joined(data.pieces(97, start=start), "y"), values[start:])


def test_wide_and_complex_columns_keep_their_form(tmp_path):
    rng = np.random.default_rng(0)
    table = {"p4": rng.normal(size=(90, 4)), "a": rng.normal(size=90) + 1j}
    for number in range(3):
        jp.write(tmp_path / f"p{number}.npy", {n: v[number * 30 : number * 30 + 30] for n, v in table.items()})
    data = jp.Dataset.from_files(str(tmp_path / "p?.npy"))
    for name, values in table.items():
        np.testing.assert_array_equal(joined(data.pieces(25), name), values)
    single = jp.Dataset.from_files(str(tmp_path / "p?.npy"), dtype="float32").read()
    assert (single["p4"].dtype, single["a"].dtype) == (np.float32, np.complex64)


def test_amptools_trees_stay_in_their_files(shared_data):
    path = shared_data / "laddu" / "data_amptools.root"
    whole = jp.read(path)
    data = jp.Dataset.from_files(path, weights="weight")
    assert list(data) == list(whole)
    assert data.head["beam"].shape[1:] == (4,)
    np.testing.assert_array_equal(joined(data.pieces(3, ["final_2"]), "final_2"), whole["final_2"])
    np.testing.assert_array_equal(jp.read(path, columns={"final_2": "pi"})["pi"], whole["final_2"])
    with pytest.raises(ValueError, match="no column final_9; the file has: beam"):
        jp.read(path, columns=["final_9"])


def test_files_are_taken_in_order_and_sorted_within_a_pattern(tmp_path):
    for name in ("b1", "a2", "a1", "a[3]"):
        jp.write(tmp_path / f"{name}.npy", {"x": np.array([float(int(name.strip("]")[-1]))])})
    assert jp.Dataset.from_files(str(tmp_path / "a*.npy")).read()["x"].tolist() == [1, 2, 3]
    data = jp.Dataset.from_files([tmp_path / "b1.npy", str(tmp_path / "a?.npy"), tmp_path / "a[3].npy"])
    assert [p.name for p in data.paths] == ["b1.npy", "a1.npy", "a2.npy", "a[3].npy"]


def test_columns_are_chosen_renamed_and_derived(tmp_path):
    table = table_of()
    pattern = write_parts(tmp_path, ".parquet", table)
    calls = []

    def derive(data):
        calls.append(list(data))
        return {"s": data["mass"] ** 2, "mass": data["mass"] + 1, "w2": 2 * data["w"]}

    data = jp.Dataset.from_files(pattern, {"x": "mass", "w": "w"}, derive=derive, weights="w2")
    assert list(data) == ["mass", "w", "s", "w2"]
    whole = data.read()
    np.testing.assert_array_equal(whole["s"], table["x"] ** 2)
    np.testing.assert_array_equal(whole["mass"], table["x"] + 1)
    np.testing.assert_array_equal(whole.weights, 2 * table["w"])
    assert set(map(tuple, calls)) == {("mass", "w")}
    plain = jp.Dataset.from_files(pattern, ["x", "w"], derive=lambda d: {"s": d["x"] ** 2})
    derived = plain.read(["s"])
    assert list(derived) == ["s"]
    np.testing.assert_array_equal(derived["s"], table["x"] ** 2)
    assert repr(plain) == "FileDataset(500 events in 4 files; columns: x, w, s)"


def test_only_what_is_asked_for_is_derived(tmp_path):
    calls = []

    def derive(data):
        calls.append(len(data))
        return {"y": data["x"]}

    data = jp.Dataset.from_files(write_parts(tmp_path, ".npy", table_of()), derive=derive)
    calls.clear()
    data.read(["x", "z"])
    assert calls == []
    data.read(["y"])
    assert sum(calls) == 500


@pytest.mark.parametrize(
    ("derive", "kind", "message"),
    [
        (lambda d: {"y": d["x"][:-1]}, ValueError, r"one entry per event: 'y' has shape \(255,\) for 256 events"),
        (lambda d: {"y": 1.0}, ValueError, r"one entry per event: 'y' has shape \(\)"),
        (lambda d: d["x"], TypeError, "must return a mapping from names to columns, got ndarray"),
        (lambda d: {1: d["x"]}, TypeError, "must name its columns by strings, got 1"),
        ("x**2", TypeError, "derive must be a function of a Dataset that returns columns, got str"),
    ],
)
def test_what_derive_may_not_return_is_named(tmp_path, derive, kind, message):
    pattern = write_parts(tmp_path, ".npy", table_of())
    with pytest.raises(kind, match=message):
        jp.Dataset.from_files(pattern, derive=derive)


@pytest.mark.parametrize(
    ("late", "message"),
    [
        (lambda d: {"y": d["x"][:-1]}, r"part_0.npy, events from 0 on: .*'y' has shape \(129,\) for 130 events"),
        (lambda d: {"q": d["x"]}, "must return the same columns for all events: y, got q"),
        (lambda d: {"y": d["x"] + 1j}, "'y' holds complex128 numbers .* but float64 ones"),
        (lambda d: {"y": d["x"][:, None]}, r"'y' holds float64 numbers of shape \(1,\) per event"),
        (lambda d: {"y": np.full(len(d), "a")}, "'y' holds <U1 values"),
    ],
)
def test_what_derive_returns_later_must_be_as_at_first(tmp_path, late, message):
    first = [True]

    def derive(data):
        return {"y": data["x"]} if first else late(data)

    data = jp.Dataset.from_files(write_parts(tmp_path, ".npy", table_of()), derive=derive)
    first.clear()
    with pytest.raises((ValueError, TypeError), match=message):
        data.read(["y"])


def test_an_error_of_the_user_in_derive_comes_as_it_is_with_a_note_where(tmp_path):
    first = [True]

    def derive(data):
        if not first:
            raise ZeroDivisionError
        return {"y": data["x"]}

    data = jp.Dataset.from_files(write_parts(tmp_path, ".npy", table_of()), derive=derive)
    first.clear()
    with pytest.raises(ZeroDivisionError) as caught:
        list(data.pieces(100))
    assert "part_0.npy, events from 0 on" in caught.value.__notes__[0]
    assert not threads()


def test_weights_must_be_finite_and_the_event_is_named(tmp_path):
    table = table_of()
    table["w"][333] = np.nan
    data = jp.Dataset.from_files(write_parts(tmp_path, ".parquet", table), weights="w")
    assert len(list(data.pieces(100, stop=300))) == 3
    with pytest.raises(ValueError, match=r"part_3.parquet, .*weights must be finite: event 333 has nan in column 'w'"):
        list(data.pieces(100))
    with pytest.raises(ValueError, match="weights names column 'q'.*columns: x, n, w, z"):
        jp.Dataset.from_files(data.paths, weights="q")
    with pytest.raises(TypeError, match="weights must name a column of the files, got ndarray"):
        jp.Dataset.from_files(data.paths, weights=table["w"])


def test_text_is_no_trouble_until_it_is_asked_for(tmp_path):
    for number in range(2):
        jp.write(tmp_path / f"p{number}.csv", {"x": [1.0, 2.0], "kind": ["a", "b"], "ok": [True, False]})
    data = jp.Dataset.from_files(tmp_path / "p*.csv")
    assert list(data) == ["x", "kind", "ok"]
    assert list(data.read()) == ["x", "ok"]
    assert data.read()["ok"].tolist() == [1, 0, 1, 0]
    assert list(data.read([])) == ["x"]
    with pytest.raises(TypeError, match="column 'kind' holds .* can't use as numbers"):
        data.pieces(1, ["kind"])
    with pytest.raises(ValueError, match="unknown column 'q'; the data have: x, kind, ok"):
        data.read(["q"])


def test_text_after_the_first_events_is_named_with_its_file(tmp_path):
    jp.write(tmp_path / "p0.csv", {"x": np.arange(300.0)})
    (tmp_path / "p1.csv").write_text("x\n1\n2\nthree\n")
    data = jp.Dataset.from_files([tmp_path / "p0.csv", tmp_path / "p1.csv"], ["x"])
    assert data.n_events == 303
    with pytest.raises(TypeError, match=r"p1.csv, events from 300 on: column 'x' holds"):
        data.read()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"x": [1.0]}, "all files must have the same columns: .*b.npy lacks y, compared with .*a.npy"),
        ({"x": [1.0], "y": [1.0], "q": [2.0]}, "b.npy has q besides"),
        ({"x": [1.0], "y": [1j]}, "column 'y' holds complex values .* in .*b.npy, but real ones"),
        ({"x": [1.0], "y": [[1.0, 2.0]]}, r"column 'y' holds real values of shape \(2,\) per event in .*b.npy"),
        ({"x": [1.0], "y": np.array(["a"])}, "column 'y' holds other values"),
    ],
)
def test_files_with_other_columns_are_named(tmp_path, second, message):
    jp.write(tmp_path / "a.npy", {"x": [1.0], "y": [2.0]})
    jp.write(tmp_path / "b.npy", second)
    with pytest.raises(ValueError, match=message):
        jp.Dataset.from_files(str(tmp_path / "?.npy"))
    assert jp.Dataset.from_files(str(tmp_path / "?.npy"), ["x"]).n_events == 2


def test_the_order_of_columns_may_differ_between_files(tmp_path):
    jp.write(tmp_path / "a.csv", {"x": [1.0], "y": [2.0]})
    jp.write(tmp_path / "b.csv", {"y": [4.0], "x": [3.0]})
    whole = jp.Dataset.from_files(tmp_path / "*.csv").read()
    assert (whole["x"].tolist(), whole["y"].tolist()) == ([1, 3], [2, 4])


@pytest.mark.parametrize(
    ("paths", "kind", "message"),
    [
        ("none_*.npy", FileNotFoundError, r"no file matches '.*none_\*.npy'"),
        ("none.npy", FileNotFoundError, "no such file: .*none.npy"),
        ([], ValueError, "paths must name at least one file, got none"),
        (["a.npy", "?.npy"], ValueError, "name the same file twice: .*a.npy"),
        (3, TypeError, "paths must be a path, a pattern .* got 3"),
        ([3], TypeError, "paths must be strings or path objects, got 3"),
        (".", IsADirectoryError, "is a folder"),
        ("flat.npy", ValueError, "flat.npy holds values without column names"),
        ("flat.txt", ValueError, "flat.txt holds one number per line, which has no columns"),
        ("v.gamp", ValueError, "gamp files can't be read in pieces by column: .* one of: npy, ROOT, parquet"),
        ("empty.csv", ValueError, "the files hold no events: .*empty.csv"),
        ("blank.csv", ValueError, "the files hold no events: .*blank.csv"),
    ],
)
def test_paths_that_name_no_table_are_refused(tmp_path, monkeypatch, paths, kind, message):
    jp.write(tmp_path / "a.npy", {"x": [1.0]})
    jp.write(tmp_path / "flat.npy", np.ones(3))
    jp.write(tmp_path / "flat.txt", np.ones(3))
    jp.write(tmp_path / "v.gamp", jp.ParticleTable([(1, 0, np.ones((2, 4)))]))
    (tmp_path / "empty.csv").write_text("x,y\n")
    (tmp_path / "blank.csv").write_text('x,"y"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message):
        jp.Dataset.from_files(paths)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"columns": ["q"]}, ValueError, "no column q; the file has: x"),
        ({"columns": []}, ValueError, "columns must be different names, at least one: got none"),
        ({"columns": ["x", "x"]}, ValueError, "columns must be different names, at least one: x occur more than once"),
        ({"columns": {"x": "a", "y": "a"}}, ValueError, "a occur more than once"),
        ({"dtype": "float16"}, ValueError, "dtype must be 'float64' or 'float32'"),
        ({"memory_budget": -1}, ValueError, "memory_budget must not be negative, got -1"),
        ({"memory_budget": 0.5}, TypeError, "memory_budget must be a whole number of bytes, got 0.5"),
        ({"tree": "t"}, TypeError, "npy files take no option tree"),
    ],
)
def test_arguments_are_checked_at_the_door(tmp_path, arguments, kind, message):
    jp.write(tmp_path / "a.npy", {"x": [1.0], "y": [1.0]})
    with pytest.raises(kind, match=message):
        jp.Dataset.from_files(tmp_path / "a.npy", **arguments)


def test_pieces_checks_its_arguments_before_it_reads(tmp_path):
    jp.write(tmp_path / "a.npy", {"x": [1.0]})
    data = jp.Dataset.from_files(tmp_path / "a.npy")
    for rows in (0, 1.5, True):
        with pytest.raises(ValueError, match="rows must be a whole number of at least 1"):
            data.pieces(rows)
    for start, stop in ((-1, 1), (0, 2), (1, 0)):
        with pytest.raises(ValueError, match="start and stop must be events of the 1, 0 <= start <= stop"):
            data.pieces(1, start=start, stop=stop)
    with pytest.raises(TypeError, match="got FileDataset. This needs all of it in memory: pass its .read"):
        jp.Dataset(data)
    assert pickle.loads(pickle.dumps(data)).read()["x"].tolist() == [1]


def test_a_file_without_events_among_others_is_no_trouble(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    assert jp.Dataset.from_files(tmp_path / "?.csv").read()["y"].tolist() == [2]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_a_file_that_changes_or_goes_is_named(tmp_path, suffix):
    table = table_of()
    data = jp.Dataset.from_files(write_parts(tmp_path, suffix, table))
    pieces = data.pieces(10)
    next(pieces)
    jp.write(tmp_path / f"part_3{suffix}", {n: v[:7] for n, v in table.items()})
    with pytest.raises(ValueError, match=f"part_3{suffix} was changed after the dataset was made"):
        list(pieces)
    (tmp_path / f"part_3{suffix}").unlink()
    with pytest.raises(FileNotFoundError, match=f"part_3{suffix} was there when the dataset was made"):
        data.read()
    assert not threads()


def test_a_file_that_ends_early_is_named(tmp_path):
    jp.write(tmp_path / "a.npy", {"x": np.arange(10.0)})
    data = jp.Dataset.from_files(tmp_path / "a.npy")
    data._sources.keep_counts([12])
    with pytest.raises(ValueError, match="a.npy ends after 10 events; 12 were counted"):
        data.read()


def test_columns_of_an_array_in_fortran_order_come_in_pieces(tmp_path):
    values = np.asfortranarray(np.arange(60.0).reshape(20, 3))
    np.save(tmp_path / "f.npy", values)
    np.testing.assert_array_equal(np.concatenate(list(jp.iter_chunks(tmp_path / "f.npy", 7))), values)
    np.save(tmp_path / "c.npy", np.ascontiguousarray(values))
    np.testing.assert_array_equal(np.concatenate(list(jp.iter_chunks(tmp_path / "c.npy", 7))), values)


def test_one_file_by_two_names_is_refused(tmp_path, monkeypatch):
    jp.write(tmp_path / "a.npy", {"x": [1.0]})
    (tmp_path / "link.npy").symlink_to(tmp_path / "a.npy")
    monkeypatch.chdir(tmp_path)
    for other in (tmp_path / "a.npy", f"../{tmp_path.name}/a.npy", "link.npy"):
        with pytest.raises(ValueError, match="paths name the same file twice: .* is a.npy"):
            jp.Dataset.from_files(["a.npy", other])


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="a.csv is no regular file"):
        jp.Dataset.from_files(tmp_path / "a.csv")


def test_an_index_without_a_name_is_a_column(tmp_path, monkeypatch):
    frame = pd.DataFrame({"x": [3.0, 4.0], "y": [5.0, 6.0]})
    frame.to_csv(tmp_path / "a.csv")
    data = jp.Dataset.from_files(tmp_path / "a.csv")
    assert list(data) == list(jp.read(tmp_path / "a.csv")) == ["Unnamed: 0", "x", "y"]
    assert data.read()["Unnamed: 0"].tolist() == [0, 1]
    # Found line by line, as any regular text.
    monkeypatch.delattr("jaxpwa.data.io.text._judged")
    assert jp.Dataset.from_files(tmp_path / "a.csv").read()["y"].tolist() == [5, 6]


@pytest.mark.parametrize("header", [",y", "\n,y", '"",y', "\nUnnamed: 0,y", " ,y"])
def test_headers_with_blanks_are_those_of_the_parser(tmp_path, header):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n3,4\n")
    whole, parts = jp.read(tmp_path / "a.csv"), jp.Dataset.from_files(tmp_path / "a.csv").read()
    assert list(whole) == list(parts)
    assert [whole[name].tolist() for name in whole] == [parts[name].tolist() for name in parts] == [[1, 3], [2, 4]]


@pytest.mark.parametrize("header", [",", "\n,", " , "])
def test_no_row_of_numbers_is_taken_for_names_where_all_are_blank(tmp_path, header):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n3,4\n")
    for read in (jp.read, jp.Dataset.from_files):
        with pytest.raises(ValueError, match="a.csv has no header line"):
            read(tmp_path / "a.csv")


def test_a_file_without_events_need_not_know_their_form(tmp_path):
    uproot = pytest.importorskip("uproot")
    awkward = pytest.importorskip("awkward")
    for number, n_events in enumerate((0, 3, 0)):
        with uproot.recreate(tmp_path / f"j{number}.root") as file:
            file.mktree("t", {"x": "f8", "j": "var * float64"})
            if n_events:
                file["t"].extend({"x": np.arange(3.0), "j": awkward.Array([[1.0], [], [2.0]])})
    with pytest.warns(JaxpwaWarning, match="left out j, with a varying number"):
        data = jp.Dataset.from_files(tmp_path / "j?.root")
    assert (list(data), data.n_events) == (["x", "nj"], 3)
    assert joined(data.pieces(2), "x").tolist() == [0, 1, 2]


@pytest.mark.parametrize("form", [("f4", (2,)), "var * float32"])
def test_amptools_trees_without_events_are_no_trouble(tmp_path, form):
    uproot = pytest.importorskip("uproot")
    awkward = pytest.importorskip("awkward")
    names = [f"{c}_{who}" for who in ("FinalState", "Beam") for c in ("E", "Px", "Py", "Pz")]
    for number, n_events in enumerate((0, 3)):
        with uproot.recreate(tmp_path / f"a{number}.root") as file:
            file.mktree("kin", {name: form if "Final" in name else "f4" for name in names})
            if n_events:
                of_final = awkward.from_regular if isinstance(form, str) else np.asarray
                vectors = {n: np.full((3, 2) if "Final" in n else 3, float(n[0] == "E"), np.float32) for n in names}
                file["kin"].extend({n: of_final(v) if "Final" in n else v for n, v in vectors.items()})
    data = jp.Dataset.from_files(tmp_path / "a?.root")
    assert (list(data), data.n_events) == (["beam", "final_1", "final_2"], 3)
    assert data.read()["final_2"].tolist() == [[1, 0, 0, 0]] * 3
    assert len(jp.read(tmp_path / "a0.root")) == 0


def test_fields_of_records_in_an_rntuple_are_columns(tmp_path):
    uproot = pytest.importorskip("uproot")
    awkward = pytest.importorskip("awkward")
    values = np.arange(400.0)
    with uproot.recreate(tmp_path / "r.root") as file:
        p = awkward.Array({"px": values, "E": values + 1})
        file.mkrntuple("n", {"p": p, "x": -values})
    data = jp.Dataset.from_files(tmp_path / "r.root")
    assert sorted(data) == ["p.E", "p.px", "x"]
    np.testing.assert_array_equal(joined(data.pieces(150, ["p.E"]), "p.E"), values + 1)
    whole = jp.read(tmp_path / "r.root", ["x", "p.px"])
    np.testing.assert_array_equal(whole["p.px"], values)


def test_numbers_of_another_byte_order_come_in_that_of_the_machine(tmp_path):
    np.save(tmp_path / "a.npy", np.array([(1.0, 2), (3.0, 4)], [("x", ">f8"), ("n", ">i4")]))
    data = jp.Dataset.from_files(tmp_path / "a.npy", derive=lambda d: {"y": jnp.asarray(d["x"]) + jnp.asarray(d["n"])})
    assert data.read()["y"].tolist() == [3, 7]
    assert jp.read(tmp_path / "a.npy").sort_values("x", ascending=False)["n"].tolist() == [4, 2]


def test_pickled_columns_are_refused_by_that_name(tmp_path):
    np.save(tmp_path / "o.npy", np.array([(1.0, {})], [("x", "f8"), ("o", object)]), allow_pickle=True)
    with pytest.raises(ValueError, match="o.npy holds pickled Python objects, which can run code"):
        jp.Dataset.from_files(tmp_path / "o.npy")


@pytest.mark.parametrize(
    "derive",
    [
        lambda d: {"y": d["x"] - d["x"].mean()},
        lambda d: {"y": np.cumsum(d["x"])},
        lambda d: {"y": np.random.default_rng(1).normal(size=len(d))},
        lambda d: {"y": np.arange(len(d))},
    ],
)
def test_a_derive_that_mixes_events_is_refused(tmp_path, derive):
    pattern = write_parts(tmp_path, ".npy", table_of())
    with pytest.raises(ValueError, match="derive must treat each event by itself, .*'y' of an event changes with"):
        jp.Dataset.from_files(pattern, derive=derive)


def test_rounding_is_not_taken_for_a_derive_that_mixes_events(tmp_path):
    def derive(data):
        noise = 1e-13 * np.random.default_rng(len(data)).normal(size=len(data))
        return {"y": data["x"] + noise, "z": np.where(data["x"] > 0, np.nan, np.inf), "k": np.full(len(data), "a")}

    assert len(jp.Dataset.from_files(write_parts(tmp_path, ".npy", table_of()), derive=derive)) == 500


def test_derive_may_not_change_what_it_is_given(tmp_path):
    jp.write(tmp_path / "a.npy", {"x": np.ones(9), "p": np.ones((9, 4))})

    def derive(data):
        data["p"][:] *= 2
        return {"y": data["p"][:, 0]}

    with pytest.raises(ValueError, match="read-only"):
        jp.Dataset.from_files(tmp_path / "a.npy", derive=derive)


def test_a_change_while_all_is_read_is_noticed(tmp_path):
    for number in range(2):
        jp.write(tmp_path / f"p{number}.npy", {"x": np.arange(5.0)})
    change = []

    def derive(data):
        if change:
            os.utime(tmp_path / "p1.npy", (1, 1))
        return {"y": data["x"]}

    data = jp.Dataset.from_files(tmp_path / "p?.npy", derive=derive)
    list(data.pieces(10))
    change.append(True)
    with pytest.raises(ValueError, match="p1.npy was changed after the dataset was made"):
        data.read(["y"], start=5)


def test_names_of_columns_and_events_are_checked(tmp_path):
    jp.write(tmp_path / "a.npy", {"x": [1.0, 2.0], "y": [3.0, 4.0]})
    data = jp.Dataset.from_files(tmp_path / "a.npy", (name for name in "yx"))
    assert list(data) == ["y", "x"]
    for columns in (5, [5], {"x": 5}, {"x": ["a"]}):
        with pytest.raises(TypeError, match=r"columns must be names, as strings, got (5 \(int\)|\['a'\] \(list\))"):
            jp.Dataset.from_files(tmp_path / "a.npy", columns)
    with pytest.raises(TypeError, match="columns must be names, as strings, got 5"):
        data.pieces(1, 5)
    for start, stop in ((0.5, None), (True, None), ("a", 2), (None, 1), (0, 1.5), (0, np.nan)):
        with pytest.raises(TypeError, match="start and stop must be whole numbers, got"):
            data.read(start=start, stop=stop)
    for columns, message in (
        ([], "at least one: got none"),
        (["x", "x"], "x occur more"),
        ({"x": "a", "y": "a"}, "a oc"),
    ):
        with pytest.raises(ValueError, match=message):
            jp.read(tmp_path / "a.npy", columns)
    for rows in (1.5, True, None):
        with pytest.raises(TypeError, match="rows must be a whole number, got"):
            jp.iter_chunks(tmp_path / "a.npy", rows)


def test_files_of_text_alone_are_said_to_hold_no_numbers(tmp_path):
    jp.write(tmp_path / "a.csv", {"kind": ["a", "b"]})
    data = jp.Dataset.from_files(tmp_path / "a.csv")
    for columns in (None, []):
        with pytest.raises(TypeError, match="no column of the files holds numbers: kind"):
            data.read(columns)


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_no_pieces_make_no_file(tmp_path, suffix):
    with pytest.raises(ValueError, match="at least one piece of a table to write, got none"):
        write_chunks(tmp_path / f"a{suffix}", [])
    assert not list(tmp_path.iterdir())
