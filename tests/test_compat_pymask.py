"""The command pymask: masks as set logic, refusals, exit status."""

import subprocess
import sys

import numpy as np
import pytest

import jaxpwa as jp
from jaxpwa_compat import pymask

X = np.arange(10.0)
A = X < 6
B = X % 2 == 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jp.write("e.csv", {"x": X, "n": X.astype(int)})
    jp.write("a.pf", A)
    jp.write("b.pf", B)
    jp.write("b.sel", B)
    return tmp_path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".kvars", ".txt", ".npy", ".pgz"])
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["-m", "a.pf"], A),
        (["-m", "a.pf", "-m", "b.pf"], A & B),
        (["--mask", "a.pf", "--mask", "b.sel"], A & B),
        (["-m", "a.pf", "-m", "b.pf", "--use_or"], A | B),
        (["-m", "a.pf", "-m", "b.pf", "--use_xor"], A ^ B),
    ],
)
def test_masks_are_set_logic_in_every_format(folder, suffix, flags, expected):
    """O12."""
    assert pymask.main(["-i", "e.csv", "-o", f"out{suffix}", *flags]) == 0
    assert jp.read(f"out{suffix}")["x"].tolist() == X[expected].tolist()


@pytest.mark.parametrize("suffix", [".gamp", ".pgz"])
def test_four_vectors_are_masked(folder, suffix):
    """Fails in PyPWA on current pandas."""
    table = jp.ParticleTable([(k, 0, np.arange(40.0).reshape(10, 4) + k) for k in (1, 14, 1)])
    jp.write("v.gamp", table)
    assert pymask.main(["--input", "v.gamp", "--output", f"w{suffix}", "-m", "b.pf"]) == 0
    back = jp.read(f"w{suffix}")
    assert back.ids == (1, 14, 1)
    for kept, p4 in zip(back.p4, table.p4, strict=True):
        np.testing.assert_array_equal(kept, p4[B])


def test_names_that_start_with_a_hyphen_are_names(folder):
    jp.write("-m.pf", A)
    assert pymask.main(["-i", "e.csv", "--output=-o.csv", "--mask=-m.pf"]) == 0
    assert len(jp.read("-o.csv")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "at least one mask is needed, got none: add -m MASK. To convert, use jaxpwa mask"),
        (["-m", "a.pf", "-m", "b.pf", "--use_or", "--use_xor"], "--use_or and --use_xor exclude each other, got both"),
        (["-m", "short.pf"], "the mask has 3 entries, but e.csv has 10 events"),
        (["-m", "a.pf", "-m", "short.pf"], "masks must have equal lengths: a.pf has 10 entries, short.pf has 3"),
        (["-m", "far.sel"], "far.sel selects event 1000, but there are 10 events (0 to 9)"),
        (["-m", "bad.pf"], "a mask holds 0 and 1 only, got 2, 8"),
        (["-m", "none.pf"], "no such file: none.pf"),
    ],
)
def test_refusals_return_1_say_why_and_leave_no_file(folder, capsys, arguments, message):
    """O12."""
    jp.write("short.pf", A[:3])
    (folder / "far.sel").write_text("5\n1000\n")
    (folder / "bad.pf").write_text("1\n2\n8\n")
    before = sorted(p.name for p in folder.iterdir())
    assert pymask.main(["-i", "e.csv", "-o", "out.csv", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_doubled_index_keeps_its_event_once(folder):
    """O12."""
    (folder / "d.sel").write_text("0\n0\n5\n")
    assert pymask.main(["-i", "e.csv", "-o", "out.csv", "-m", "d.sel"]) == 0
    assert jp.read("out.csv")["x"].tolist() == [0, 5]


def test_real_masks_on_real_data(shared_data, tmp_path, capsys):
    """O12: 479 rows; 12 entries do not fit 1000 events."""
    docs = shared_data / "pypwa/tests/test_data/docs"
    out = tmp_path / "kept.csv"
    assert pymask.main(["-i", str(docs / "set1.csv"), "-o", str(out), "-m", str(docs / "set1.pf")]) == 0
    kept = np.genfromtxt(out, delimiter=",", names=True)
    assert len(kept) == 479
    assert kept["x"].sum() == pytest.approx(232.70090665010605, rel=1e-14)
    gamp = str(docs / "large.gamp")
    assert pymask.main(["-i", gamp, "-o", str(tmp_path / "k.gamp"), "-m", str(docs / "set1.pf")]) == 0
    assert len(jp.read(tmp_path / "k.gamp")) == 479
    assert pymask.main(["-i", gamp, "-o", str(out), "-m", str(docs / "set2.pf")]) == 1
    error = capsys.readouterr().err
    assert "the mask has 12 entries" in error
    assert "1000 events" in error


def test_missing_words_exit_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        pymask.main(["-o", "x.csv"])
    assert caught.value.code == 2
    assert "-i/--input" in capsys.readouterr().err


def test_the_exit_status_reaches_the_shell(folder):
    command = [sys.executable, "-m", "jaxpwa_compat.pymask", "-i", "e.csv", "-o", "o.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "at least one mask is needed" in done.stderr
