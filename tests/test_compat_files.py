"""PyPWA's files: types that come back, numbers to the last bit, event by event, refusals."""

import gc
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxpwa as jp
from jaxpwa_compat.files import FileFormatError, read, write
from jaxpwa_compat.streams import DataType, get_reader, get_writer
from jaxpwa_compat.vectors import Particle, ParticlePool

FLOATS = np.array([0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0])
SUMS = {
    "set1": {
        "x": 494.96996044674125,
        "y": 484.38508687218746,
        "z": 499.9248402020421,
        "qf": 476.71359217366125,
        "m": 505.02748314606566,
    },
    "set2": {
        "x": 6.023519886029962,
        "y": 6.727422773338194,
        "z": 6.61795828830316,
        "qf": 4.3734994447710305,
        "m": 5.47657706970677,
    },
}


@pytest.fixture(scope="session")
def docs(shared_data):
    return shared_data / "pypwa" / "tests" / "test_data" / "docs"


@pytest.fixture
def copies(docs, tmp_path):
    """PyPWA's files in a folder that caches can be written to."""
    for file in docs.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def table_of(values=FLOATS):
    array = np.zeros(len(values), np.dtype([("x", "f8"), ("n", "i4")], align=True))
    array["x"], array["n"] = values, np.arange(len(values))
    return array


def pool_of(n_events=3):
    p4 = np.random.default_rng(5).normal(size=(n_events, 4)) / 3
    return ParticlePool.from_table(jp.ParticleTable([(1, 0, p4), (14, 1, p4 + 1), (1, 0, p4 * 2)]))


def same_particles(a, b):
    one, two = a.to_table(), b.to_table()
    assert (one.ids, one.charges) == (two.ids, two.charges)
    for left, right in zip(one.p4, two.p4, strict=True):
        assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "kvars", "npy"])
@pytest.mark.parametrize("name", ["set1", "set2"])
def test_real_tables_come_as_aligned_structured_arrays_with_their_known_sums(copies, name, suffix):
    path = copies / f"{name}.{suffix}"
    for _ in ("parsed", "from the cache"):
        array = read(path)
        assert array.dtype.isalignedstruct
        assert array.shape == ({"set1": 1000, "set2": 12}[name],)
        assert set(array.dtype.names) == set(SUMS[name])
        for column, total in SUMS[name].items():
            assert array[column].dtype == np.float64
            assert array[column].sum() == pytest.approx(total, rel=1e-14)
        frame = read(path, use_pandas=True)
        assert isinstance(frame, pd.DataFrame)
        assert frame["x"].tolist() == array["x"].tolist()


def test_real_flat_files_come_as_numbers_and_masks(copies):
    numbers = read(copies / "set1.txt")
    assert (numbers.dtype, numbers.shape) == (np.float64, (1000,))
    assert numbers.sum() == pytest.approx(493.0055276583827, rel=1e-14)
    mask = read(copies / "set1.pf")
    assert (mask.dtype, mask.sum()) == (bool, 479)
    assert read(copies / "set1.csv")["x"][mask].sum() == pytest.approx(232.70090665010605, rel=1e-14)
    for name in ("set1.txt", "set1.pf"):
        series = read(copies / name, use_pandas=True)
        assert isinstance(series, pd.Series)
        assert series.tolist() == read(copies / name).tolist()


def test_real_four_vectors_come_as_pools(docs):
    pool = read(docs / "large.gamp", cache=False)
    assert isinstance(pool, ParticlePool)
    assert (pool.event_count, pool.particle_count) == (1000, 4)
    assert pool.get_t().mean() == pytest.approx(-0.17919362852966123, rel=1e-12)
    with pytest.raises(TypeError, match=r"use_pandas must be False for .*large.gamp, got True: the file holds four-v"):
        read(docs / "large.gamp", use_pandas=True, cache=False)


def test_whole_numbers_and_text_keep_their_type(tmp_path):
    (tmp_path / "t.csv").write_text("n,x,kind\n1,0.5,a\n-9223372036854775808,1,b\n")
    array = read(tmp_path / "t.csv")
    assert array["n"].dtype == np.int64
    assert array["n"].tolist() == [1, -(2**63)]
    assert array["kind"].tolist() == ["a", "b"]


def test_selections_are_unsigned(tmp_path):
    """O12: doubled entries are given as they stand."""
    (tmp_path / "s.sel").write_text("0\n0\n5\n")
    assert read(tmp_path / "s.sel").dtype == np.uint32
    assert read(tmp_path / "s.sel").tolist() == [0, 0, 5]
    assert read(tmp_path / "s.sel", use_pandas=True).dtype == np.uint32
    (tmp_path / "s.sel").write_text("4294967296\n")
    with pytest.raises(FileFormatError, match=r"below 2\*\*32 to be uint32, got 4294967296: use jaxpwa.read"):
        read(tmp_path / "s.sel")


def test_one_line_files_have_one_entry(tmp_path):
    """O12."""
    for name, content, expected in (("m.pf", "1\n", [True]), ("x.txt", "2.5", [2.5]), ("k.txt", "a=1.5", [(1.5,)])):
        (tmp_path / name).write_text(content)
        assert read(tmp_path / name).shape == (1,)
        assert read(tmp_path / name).tolist() == expected


@pytest.mark.parametrize("variant", ["crlf", "bom", "blank lines", "no newline", "tsv"])
def test_csv_of_every_hand_reads_alike(docs, tmp_path, variant):
    """O09."""
    source, suffix = (docs / "set2.csv").read_text(), "csv"
    content = {
        "crlf": source.replace("\n", "\r\n").encode(),
        "bom": b"\xef\xbb\xbf" + source.encode(),
        "blank lines": (source + "\n\n").encode(),
        "no newline": source.rstrip("\n").encode(),
        "tsv": source.replace(",", "\t").encode(),
    }[variant]
    suffix = "tsv" if variant == "tsv" else "csv"
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(content)
    expected = read(docs / "set2.csv", cache=False)
    for _ in range(2):
        array = read(path)
        assert array.dtype == expected.dtype
        assert array.tobytes() == expected.tobytes()
    with get_reader(path) as reader:
        assert reader.get_event_count() == 12
        assert [row["x"] for row in reader] == expected["x"].tolist()


@pytest.mark.parametrize("variant", ["crlf", "no newline", "blank end", "exponents"])
def test_gamp_of_every_hand_reads_alike(docs, tmp_path, variant):
    """O10."""
    source = (docs / "multiple.gamp").read_text()
    text = {
        "crlf": source.replace("\n", "\r\n"),
        "no newline": source.rstrip("\n"),
        "blank end": source + "\n\n",
        "exponents": source.replace("0.489366", "4.89366E-01"),
    }[variant]
    (tmp_path / "m.gamp").write_bytes(text.encode())
    pool = read(tmp_path / "m.gamp")
    assert (pool.event_count, [p.id for p in pool], [p.charge for p in pool]) == (
        5, [1, 14, 11, 12, 1, 1], [0, 1, 1, -1, 0, 0],
    )  # fmt: skip
    assert len(pool.get_particles_by_id(1)) == 3
    proton = pool.stored[1]
    assert [proton.x[0], proton.y[0], proton.z[0], proton.e[0]] == [0.489366, 1.16687, 1.53077, 2.19651]
    write(tmp_path / "again.gamp", pool)
    same_particles(read(tmp_path / "again.gamp"), pool)
    with get_reader(tmp_path / "m.gamp") as reader:
        events = list(reader)
    assert [event.event_count for event in events] == [1] * 5
    assert [event.stored[1].z[0] for event in events] == proton.z.tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad_set.kvars", None, "bad_set.kvars, line 5: key 'y' has no number"),
        ("bad_set.pf", None, "bad_set.pf, line .*: a mask holds 0 and 1 only, got 2, 8"),
        ("bad_set.txt", None, "expected one number, got 'eight'"),
        ("bad_set.csv", None, "bad_set.csv: the header has no ','"),
        ("t.unknown", b"hello world\n", "can't tell the format of 't.unknown' .* Repair the file, or rename it"),
        ("t.bin", b"\x00\x01\x02", "holds binary data of no known format"),
        ("t.csv", b"", "t.csv is empty"),
        ("t.gamp", b"2\n1 0 0 0 1 1\n14 1 0 0 1 2\n2\n1 0 0 0 1 1\n", "event 1 is cut off"),
        ("t.kvars", b"x=1,y=2\nx=3,y=4,z=5\n", "line 2: expected the keys x, y, got x, y, z"),
        ("t.txt", b"x,y\n1,2\n", "line 1: expected one number, got 'x,y'. .*rename it if its suffix"),
    ],
)
def test_unknown_and_damaged_files_are_refused_as_pypwa_refuses(docs, tmp_path, name, content, message):
    """O10, O11, O12: RuntimeError in PyPWA, ValueError in jaxpwa: either ``except`` finds it."""
    path = docs / name if content is None else tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for kind in (RuntimeError, ValueError):
        with pytest.raises(kind, match=f"Couldn't find plugin for .*{name}: .*{message}"):
            read(path, cache=False)
        with pytest.raises(kind, match="Couldn't find plugin for"):
            list(get_reader(path))
        with pytest.raises(kind, match="Couldn't find plugin for"):
            get_reader(path).get_event_count()


def test_a_missing_file_is_named(tmp_path):
    for call in (read, get_reader):
        with pytest.raises(FileNotFoundError, match="no such file: .*none.csv"):
            call(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read(tmp_path / "none.csv", clear_cache=True)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".npy", ".npz", ".pgz", ".root", ".parquet", ".csv.gz"])
@pytest.mark.parametrize("make", [table_of, lambda: pd.DataFrame(table_of()), lambda: dict(pd.DataFrame(table_of()))])
def test_tables_come_back_to_the_last_bit(tmp_path, suffix, make):
    """O09; npy and pgz can't be read in PyPWA."""
    path = tmp_path / f"t{suffix}"
    write(path, make())
    back = read(path)
    assert back["x"].tobytes() == FLOATS.tobytes()
    assert back["n"].tolist() == [0, 1, 2, 3, 4]
    assert back["n"].dtype.kind == "i"
    assert read(path, use_pandas=True)["x"].to_numpy().tobytes() == FLOATS.tobytes()


@pytest.mark.parametrize("name", ["t.txt", "t.kvars", "t"])
def test_tables_become_lines_of_names_and_numbers(tmp_path, name):
    write(tmp_path / name, table_of())
    assert (tmp_path / name).read_text().startswith("x=0.30000000000000004,n=0.0\nx=0.3333333333333333,n=1.0\n")
    assert read(tmp_path / name)["x"].tobytes() == FLOATS.tobytes()
    assert sorted(os.listdir(tmp_path)) == [name, f"{name}.cache"]


@pytest.mark.parametrize("suffix", [".txt", ".npy", ".pgz", ".txt.xz"])
@pytest.mark.parametrize("make", [np.array, list, lambda v: pd.Series(v, index=[9, 3, 5, 1, 0])])
def test_plain_numbers_come_back_to_the_last_bit_by_position(tmp_path, suffix, make):
    """O07; flat pgz is refused in PyPWA."""
    write(tmp_path / f"t{suffix}", make(FLOATS))
    assert read(tmp_path / f"t{suffix}").tobytes() == FLOATS.tobytes()


def test_plain_numbers_without_a_suffix_go_to_npy(tmp_path):
    write(tmp_path / "t", FLOATS)
    assert os.listdir(tmp_path) == ["t.npy"]
    assert read(tmp_path / "t.npy").tobytes() == FLOATS.tobytes()


def test_masks_and_selections_come_back(tmp_path):
    mask = np.array([True, False, True])
    write(tmp_path / "m.pf", mask)
    write(tmp_path / "m.sel", mask)
    assert read(tmp_path / "m.pf").tolist() == mask.tolist()
    assert read(tmp_path / "m.sel").tolist() == [0, 2]
    write(tmp_path / "n.sel", read(tmp_path / "m.sel"))
    assert read(tmp_path / "n.sel").tolist() == [0, 2]


@pytest.mark.parametrize("suffix", [".gamp", ".pgz"])
def test_pools_come_back_to_the_last_bit(tmp_path, suffix):
    write(tmp_path / f"v{suffix}", pool_of())
    same_particles(read(tmp_path / f"v{suffix}"), pool_of())
    write(tmp_path / f"v{suffix}", pool_of().to_table())
    same_particles(read(tmp_path / f"v{suffix}"), pool_of())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_index_of_a_frame_is_not_written(tmp_path, suffix):
    """O07."""
    frame = pd.DataFrame({"x": [2.0, 4.0, 5.0]}, index=[1, 3, 4])
    write(tmp_path / f"t{suffix}", frame)
    back = read(tmp_path / f"t{suffix}", use_pandas=True)
    assert list(back.columns) == ["x"]
    assert back["x"].tolist() == [2, 4, 5]


def test_columns_of_several_numbers_are_fields_with_a_shape(tmp_path):
    array = np.zeros(3, [("p", "f8", (4,)), ("x", "f8")])
    array["p"] = np.arange(12.0).reshape(3, 4)
    write(tmp_path / "t.npy", array)
    back = read(tmp_path / "t.npy")
    assert back["p"].tolist() == array["p"].tolist()
    assert [row["p"].tolist() for row in get_reader(tmp_path / "t.npy")] == array["p"].tolist()
    for call in (read, get_reader):
        with pytest.raises(TypeError, match="holds several numbers per event and column, which pandas can't"):
            call(tmp_path / "t.npy", use_pandas=True)
    write(tmp_path / "u.npy", np.ones((3, 2)))
    assert read(tmp_path / "u.npy").shape == (3, 2)
    with pytest.raises(TypeError, match=r"holds an array of shape \(3, 2\), which pandas can't"):
        read(tmp_path / "u.npy", use_pandas=True)


@pytest.mark.parametrize(
    ("name", "data", "kind", "message"),
    [
        (
            "t.csv",
            [1.0],
            RuntimeError,
            r"are numbers without a column name, .*\.csv'. For a table .*pass \{'x': data\}",
        ),
        ("t.csv", pd.Series([1.0]), RuntimeError, "Couldn't find plugin for .*t.csv: the data are numbers"),
        ("t.gamp", table_of(), RuntimeError, r"are a table, which go to .csv, .*got the suffix '.gamp'"),
        ("t.pf", table_of(), RuntimeError, r"For one column without its name, pass data\['x'\]"),
        ("t.csv", pool_of(), RuntimeError, "are four-vectors, which go to .gamp, .pgz; got the suffix '.csv'"),
        ("t", pool_of(), RuntimeError, "are four-vectors, which go to .gamp, .pgz; got the suffix ''"),
        ("t.v2", table_of(), ValueError, "got the suffix '.v2'"),
        ("t.txt", ["a"], TypeError, "data must be a DataFrame, .* got list of <U1"),
        ("t.txt", None, TypeError, "data must be a DataFrame, .* got NoneType of object"),
        ("t.pf", [0, 2], ValueError, "masks hold 0 and 1 only"),
        ("t", {"a,b": [1.0]}, ValueError, "can't hold a column named 'a,b'"),
        ("none/t", table_of(), FileNotFoundError, "no such folder: .*none"),
        ("none/t.csv", table_of(), FileNotFoundError, "no such folder: .*none"),
    ],
)
def test_what_can_not_be_written_is_refused_and_leaves_no_file(tmp_path, name, data, kind, message):
    with pytest.raises(kind, match=message):
        write(tmp_path / name, data)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".csv", ".kvars", ".npy", ".pgz", ".parquet"])
def test_readers_give_every_row_as_an_object_of_its_own_and_start_again(tmp_path, suffix, monkeypatch):
    """PyPWA fills one row again and again, and can't start a csv again."""
    monkeypatch.setattr("jaxpwa_compat.streams._ROWS", 2)
    write(tmp_path / f"t{suffix}", table_of())
    whole = read(tmp_path / f"t{suffix}")
    with get_reader(tmp_path / f"t{suffix}") as reader:
        assert next(reader)["x"] == FLOATS[0]
        assert reader.get_event_count() == 5
        assert next(reader)["x"] == FLOATS[1]
        reader.reset()
        rows = list(reader)
        assert [(row["x"], row["n"]) for row in rows] == whole.tolist()
        assert {row.dtype for row in rows} == {whole.dtype}
        rows[0]["x"] = 7
        assert rows[1]["x"] == FLOATS[1]
        assert next(reader, "over") == "over"
    with pytest.raises(ValueError, match=r"the reader of .* is closed: call reset\(\) to read again"):
        next(reader)
    reader.reset()
    assert next(reader)["x"] == FLOATS[0]
    reader.close()
    reader.close()


def test_readers_give_rows_as_series_named_by_their_event(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxpwa_compat.streams._ROWS", 2)
    write(tmp_path / "t.csv", table_of())
    rows = list(get_reader(tmp_path / "t.csv", True))
    assert all(isinstance(row, pd.Series) for row in rows)
    assert [row.name for row in rows] == [0, 1, 2, 3, 4]
    assert [row["x"] for row in rows] == FLOATS.tolist()


@pytest.mark.parametrize("use_pandas", [False, True])
def test_readers_of_flat_files_give_numbers(tmp_path, use_pandas):
    write(tmp_path / "t.txt", FLOATS)
    values = list(get_reader(tmp_path / "t.txt", use_pandas))
    assert all(isinstance(value, float) for value in values)
    assert values == FLOATS.tolist()
    write(tmp_path / "m.pf", [1, 0, 1])
    assert list(get_reader(tmp_path / "m.pf")) == [True, False, True]


def test_readers_of_four_vectors_give_pools_of_one_event(docs):
    with get_reader(docs / "large.gamp") as reader:
        assert reader.get_event_count() == 1000
        first = next(reader)
        assert (first.event_count, first.particle_count) == (1, 4)
        assert np.ravel(first.get_t())[0] == pytest.approx(-1.52119473, abs=1e-8)
        assert sum(1 for _ in reader) == 999
    with pytest.raises(TypeError, match="use_pandas must be False"):
        get_reader(docs / "large.gamp", True)


def test_a_table_without_rows_has_no_events(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n")
    assert list(get_reader(tmp_path / "t.csv")) == []
    assert get_reader(tmp_path / "t.csv").get_event_count() == 0


def write_rows(path, dtype, rows):
    with get_writer(path, dtype) as writer:
        for row in rows:
            writer.write(row)


ROWS = {
    "structured rows": lambda array: list(array),
    "arrays of one row": lambda array: [array[i : i + 1] for i in range(len(array))],
    "one array": lambda array: [array],
    "frames": lambda array: [pd.DataFrame(array[:2]), pd.DataFrame(array[2:])],
    "dicts": lambda array: [{"x": row["x"], "n": row["n"]} for row in array],
    "dicts of Python numbers": lambda array: [{"n": int(row["n"]), "x": float(row["x"])} for row in array],
    "series": lambda array: [row for _, row in pd.DataFrame(array).iterrows()],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".npy", ".pgz", ""])
def test_written_rows_come_back_to_the_last_bit(tmp_path, rows, suffix, monkeypatch):
    """PyPWA writes ``np.float64(0.1)`` into csv files on current numpy."""
    monkeypatch.setattr("jaxpwa_compat.streams._ROWS", 2)
    path = tmp_path / f"t{suffix}"
    write_rows(path, DataType.STRUCTURED, rows(table_of()))
    assert read(path)["x"].tobytes() == FLOATS.tobytes()
    assert read(path)["n"].tolist() == [0, 1, 2, 3, 4]
    assert b"np.float64" not in path.read_bytes()


@pytest.mark.parametrize("use_pandas", [False, True])
def test_what_a_reader_gives_a_writer_takes(docs, tmp_path, use_pandas):
    with get_reader(docs / "set2.csv", use_pandas) as reader:
        write_rows(tmp_path / "t.csv", 1, reader)
    assert read(tmp_path / "t.csv").tobytes() == read(docs / "set2.csv", cache=False).tobytes()


@pytest.mark.parametrize("use_pandas", [False, True])
def test_text_survives_reader_and_writer(tmp_path, use_pandas):
    frame = pd.DataFrame({"kind": [np.nan, 'quo"ted, x', "Ünï"], "x": [1.0, np.nan, 1 / 3]})
    write(tmp_path / "t.csv", frame)
    with get_reader(tmp_path / "t.csv", use_pandas) as reader:
        write_rows(tmp_path / "u.csv", DataType.STRUCTURED, reader)
    assert (tmp_path / "u.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()


def test_fields_with_a_shape_survive_reader_and_writer(tmp_path):
    array = np.zeros(3, [("p", "f8", (4,)), ("x", "f8")])
    array["p"] = np.arange(12.0).reshape(3, 4)
    write(tmp_path / "t.npy", array)
    with get_reader(tmp_path / "t.npy") as reader:
        write_rows(tmp_path / "u.npy", DataType.STRUCTURED, reader)
    assert read(tmp_path / "u.npy")["p"].tolist() == array["p"].tolist()


@pytest.mark.parametrize("suffix", [".txt", ".npy", ".pgz"])
def test_written_numbers_come_back_to_the_last_bit(tmp_path, suffix):
    with get_writer(tmp_path / f"t{suffix}", DataType.BASIC) as writer:
        writer.write(float(FLOATS[0]))
        writer.write(FLOATS[1])
        writer.write(FLOATS[2:4])
        writer.write(pd.Series(FLOATS[4:], index=[3]))
    assert read(tmp_path / f"t{suffix}").tobytes() == FLOATS.tobytes()


def test_masks_are_written_number_by_number(tmp_path):
    write_rows(tmp_path / "m.pf", 0, [True, np.False_, 1])
    assert read(tmp_path / "m.pf").tolist() == [True, False, True]


@pytest.mark.parametrize("suffix", [".gamp", ".pgz"])
def test_written_four_vectors_come_back_to_the_last_bit(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("jaxpwa_compat.streams._ROWS", 3)
    pool = pool_of(9)
    with get_writer(tmp_path / f"v{suffix}", DataType.TREE_VECTOR) as writer:
        writer.write(pool[:2])
        for event in pool[2:4].iter_events():
            writer.write(event)
        writer.write([Particle(p.id, p.charge, p.e[4], p.x[4], p.y[4], p.z[4]) for p in pool])
        writer.write(pool[5:8].to_table())
        writer.write(pool[8:].stored)
    same_particles(read(tmp_path / f"v{suffix}"), pool)


@pytest.mark.parametrize(
    ("name", "dtype", "make", "value"),
    [
        ("t.csv", 1, lambda: np.zeros(1, [("x", "f8")]), lambda row: row["x"]),
        ("t.csv", 1, lambda: {"x": np.zeros(1)}, lambda row: row["x"]),
        ("t.csv", 1, lambda: jp.Dataset({"x": np.zeros(1)}), lambda row: row["x"]),
        ("t.txt", 0, lambda: np.zeros(1), lambda row: row),
        ("t.gamp", 2, lambda: jp.ParticleTable([(1, 0, np.zeros((1, 4)))]), lambda row: row.p4[0][:, 0]),
        ("t.gamp", 2, lambda: ParticlePool([Particle(1, 0, *np.zeros((4, 1)))]), lambda row: row.stored[0].e),
    ],
)
def test_one_row_may_be_filled_again_and_again(tmp_path, name, dtype, make, value):
    row = make()
    with get_writer(tmp_path / name, dtype) as writer:
        for number in (1.5, 2.5):
            value(row)[:] = number
            writer.write(row)
    back = jp.read(tmp_path / name)
    assert (back.p4[0][:, 0] if dtype == 2 else back["x"] if dtype == 1 else back).tolist() == [1.5, 2.5]


def write_and_fail(path):
    with get_writer(path, 1) as writer:
        writer.write({"x": 2.0})
        _ = {}["no such entry"]


def test_an_error_inside_the_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.csv"
    write(path, {"x": [1.0]})
    with pytest.raises(KeyError, match="no such entry"):
        write_and_fail(path)
    gc.collect()
    assert read(path, cache=False)["x"].tolist() == [1]
    assert os.listdir(tmp_path) == ["t.csv"]


def test_a_writer_that_is_not_closed_writes_when_it_is_collected(tmp_path):
    writer = get_writer(tmp_path / "t.csv", DataType.STRUCTURED)
    writer.write({"x": 0.1})
    assert os.listdir(tmp_path) == []
    del writer
    gc.collect()
    assert read(tmp_path / "t.csv")["x"].tolist() == [0.1]
    get_writer(tmp_path / "u.csv", DataType.STRUCTURED)
    gc.collect()
    assert not (tmp_path / "u.csv").exists()


def test_a_closed_writer_takes_nothing_and_closes_twice(tmp_path):
    writer = get_writer(tmp_path / "t.txt", DataType.BASIC)
    writer.write(1)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match=r"the writer of .*t.txt is closed: get a new one"):
        writer.write(2)
    assert read(tmp_path / "t.txt").tolist() == [1]


@pytest.mark.parametrize(
    ("name", "dtype", "kind", "message"),
    [
        ("t.csv", DataType.BASIC, FileFormatError, "the data are numbers without a column name"),
        ("t.gamp", DataType.STRUCTURED, FileFormatError, "the data are a table"),
        ("t.csv", DataType.TREE_VECTOR, FileFormatError, "the data are four-vectors"),
        ("t.csv", 7, ValueError, r"one of DataType.BASIC \(0\), .*TREE_VECTOR \(2\), got 7"),
        ("t.csv", "csv", ValueError, "got 'csv'"),
        ("none/t.csv", 1, FileNotFoundError, "no such folder: .*none"),
    ],
)
def test_writers_refuse_what_can_not_work_before_the_first_row(tmp_path, name, dtype, kind, message):
    with pytest.raises(kind, match=message):
        get_writer(tmp_path / name, dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "rows", "kind", "message"),
    [
        ("t.csv", 1, [{"x": 1.0}, {"y": 1.0}], ValueError,
         "every row for .*t.csv must be like the first one: expected the columns x, got the columns y"),
        ("t.csv", 1, [1.0], TypeError, "row must be a structured row or array, a dict, .* got float"),
        ("t.csv", 1, [{"x": [1.0, 2.0], "y": [1.0]}], ValueError, "'x' has 2 events, 'y' has 1"),
        ("t.txt", 0, [{"x": 1.0}], TypeError, "row must be a number or an array .* DataType.BASIC, got dict"),
        ("t.txt", 0, ["a"], TypeError, "row must be a number .* got str"),
        ("t.txt", 0, [np.ones((2, 2))], TypeError, "row must be a number .* got ndarray"),
        ("t.gamp", 2, [1.0], TypeError, "row must be a ParticlePool or a list of Particles .* got float"),
        ("t.gamp", 2, [pool_of(), ParticlePool(pool_of().stored[:2])], ValueError,
         r"expected \(id, charge\) \[\(1, 0\), \(14, 1\), \(1, 0\)\], got \(id, charge\) \[\(1, 0\), \(14, 1\)\]"),
        ("t.csv", 1, [], ValueError, "nothing to write to .*t.csv: the writer got no rows, at least one is needed"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused_and_no_file_is_made(tmp_path, name, dtype, rows, kind, message):
    with pytest.raises(kind, match=message):
        write_rows(tmp_path / name, dtype, rows)
    assert os.listdir(tmp_path) == []


def test_data_types_have_pypwa_numbers():
    assert [(kind.name, kind.value) for kind in DataType] == [("BASIC", 0), ("STRUCTURED", 1), ("TREE_VECTOR", 2)]


def test_names_may_be_text_or_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("t.csv", {"x": [1.0]})
    assert read(Path("t.csv")).tolist() == read("t.csv").tolist()
