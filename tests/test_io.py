import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxpwa as jp

HARD = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".npy"])
def test_a_table_comes_back_to_the_last_bit(tmp_path, suffix):
    frame = pd.DataFrame({"x": HARD, "n": np.array([1, -2, 2**62, 0, 5])}, index=[7, 3, 1, 0, 9])
    jp.write(tmp_path / f"t{suffix}", frame)
    back = jp.read(tmp_path / f"t{suffix}")
    assert list(back.columns) == ["x", "n"]
    assert back["x"].to_numpy().tobytes() == np.array(HARD).tobytes()
    assert back["n"].dtype == np.int64
    assert back["n"].tolist() == [1, -2, 2**62, 0, 5]


@given(hnp.arrays(np.float64, st.integers(1, 20)))
def test_any_doubles_survive_csv(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    jp.write(path, {"x": values})
    np.testing.assert_array_equal(jp.read(path)["x"].to_numpy(), values)


def test_plain_arrays_stay_arrays(tmp_path):
    jp.write(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(jp.read(tmp_path / "a.npy"), [[0, 1, 2], [3, 4, 5]])


def test_columns_are_chosen_and_ordered(tmp_path):
    for suffix in (".csv", ".tsv", ".npy"):
        jp.write(tmp_path / f"t{suffix}", {"a": [1], "b": [2], "c": [3]})
        assert list(jp.read(tmp_path / f"t{suffix}", columns=["c", "a"]).columns) == ["c", "a"]
        assert list(jp.read(tmp_path / f"t{suffix}", columns="b").columns) == ["b"]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("blank", [0, 3])
def test_line_ends_marks_and_blank_lines_change_nothing(tmp_path, end, mark, blank):
    """O09."""
    newline = end or "\n"
    text = mark + newline.join(["x,y", "1,2.5", "3,"]) + end + newline * blank
    (tmp_path / "t.csv").write_bytes(text.encode())
    frame = jp.read(tmp_path / "t.csv")
    assert list(frame.columns) == ["x", "y"]
    assert frame["x"].tolist() == [1, 3]
    assert np.isnan(frame["y"][1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", b"x,y\n1,2\n1\n", "line 3: expected 2 fields, got 1"),
        ("t.csv", b"x,y\n1,2\n1,2,3\n4\n", "line 3: expected 2 fields, got 3"),
        ("t.csv", b"x,y\n1,2,3\n4\n", "line 2: expected 2 fields, got 3"),
        ("t.csv", b'x,y\n"1,2\n', "line 2: expected 2 fields, got 1"),
        ("t.csv", b" \n,\n", "has no header line"),
        ("t.csv", b"x,x\n1,2\n", "column names must be different, x occur more than once"),
        ("t.csv", b"x\ty\n1\t2\n", "looks like another format"),
        ("t.csv", b"x,y\n\xff\xfe,2\n", "no text in UTF-8|not.*utf-8|utf-8"),
        ("t.csv", b"x,y\n1,\x00\n", "holds binary data"),
        ("t.npy", b"x,y\n1,2\n", "is no npy file"),
        (
            "t.xyz",
            b"1 2 3\n",
            "can't tell the format of 't.xyz' from its suffix '.xyz' or its content",
        ),
        ("t.npy", b"\x93NUMPY\x01\x00v\x00", "damaged"),
    ],
)
def test_damaged_and_unknown_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        jp.read(tmp_path / name)


def test_pickled_objects_are_never_loaded(tmp_path):
    """O14."""

    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    np.save(tmp_path / "t.npy", np.array([Payload()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="pickled Python objects, which can run code"):
        jp.read(tmp_path / "t.npy")
    assert not (tmp_path / "marker").exists()


def test_missing_files_folders_and_columns_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file.*nothing.csv"):
        jp.read(tmp_path / "nothing.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        jp.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        jp.write(tmp_path / "none" / "t.csv", {"x": [1]})
    jp.write(tmp_path / "t.csv", {"x": [1]})
    with pytest.raises(ValueError, match="no column q; the file has: x"):
        jp.read(tmp_path / "t.csv", columns=["q"])
    jp.write(tmp_path / "a.npy", np.ones(2))
    with pytest.raises(ValueError, match="plain array, which has no columns"):
        jp.read(tmp_path / "a.npy", columns=["x"])


def test_what_a_format_cannot_hold_is_refused_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.csv"
    jp.write(path, {"x": [1]})
    with pytest.raises(ValueError, match=r"one number per event and column; 'p' has shape \(2, 4\)"):
        jp.write(path, {"p": np.ones((2, 4))})
    with pytest.raises(TypeError, match="npy files hold numbers"):
        jp.write(tmp_path / "t.npy", {"x": ["a", "b"], "y": [object(), object()]})
    assert jp.read(path)["x"].tolist() == [1]
    assert sorted(os.listdir(tmp_path)) == ["t.csv"]


def test_a_new_file_has_ordinary_permissions(tmp_path):
    jp.write(tmp_path / "t.csv", {"x": [1]})
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "t.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_real_tables_in_three_formats_agree(shared_data):
    folder = shared_data / "pypwa" / "tests" / "test_data" / "docs"
    sums = {"x": 494.96996044674125, "y": 484.38508687218746, "m": 505.02748314606566}
    for suffix in (".csv", ".tsv", ".npy"):
        frame = jp.read(folder / f"set1{suffix}")
        assert len(frame) == 1000
        for name, total in sums.items():
            assert frame[name].sum() == pytest.approx(total, rel=1e-14)
        assert len(jp.read(folder / f"set2{suffix}")) == 12
    with pytest.raises(ValueError, match="bad_set.csv"):
        jp.read(folder / "bad_set.csv")
