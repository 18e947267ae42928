"""The command line: masks as set logic, conversion, exit status."""

import subprocess
import sys

import numpy as np
import pytest

import jaxpwa as jp
from jaxpwa import cli

X = np.arange(10.0)
A = X < 6
B = X % 2 == 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_ROWS", 4)
    jp.write("e.csv", {"x": X, "n": X.astype(int)})
    jp.write("a.pf", A)
    jp.write("b.pf", B)
    jp.write("b.sel", B)
    return tmp_path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".kvars", ".npy", ".npz", ".root", ".parquet", ".pgz"])
def test_masks_are_set_logic_in_every_format(folder, suffix):
    for flags, expected in (
        (["-m", "a.pf"], A),
        (["-m", "a.pf", "-m", "b.pf"], A & B),
        (["-m", "a.pf", "-m", "b.pf", "--use_and"], A & B),
        (["-m", "a.pf", "-m", "b.pf", "--use_or"], A | B),
        (["-m", "a.pf", "-m", "b.sel", "--use_xor"], A ^ B),
        ([], np.ones(10, bool)),
    ):
        assert cli.main(["mask", "-i", "e.csv", "-o", f"out{suffix}", *flags]) == 0
        assert jp.read(f"out{suffix}")["x"].tolist() == X[expected].tolist()


def test_masks_of_masks_numbers_and_four_vectors(folder, capsys):
    assert cli.main(["mask", "-i", "a.pf", "-o", "c.pf", "-m", "b.pf"]) == 0
    assert jp.read("c.pf").tolist() == A[B].tolist()
    jp.write("x.txt", X)
    assert cli.main(["mask", "-i", "x.txt", "-o", "y.txt", "-m", "a.pf"]) == 0
    assert jp.read("y.txt").tolist() == X[A].tolist()
    table = jp.ParticleTable([(k, 0, np.arange(40.0).reshape(10, 4) + k) for k in (1, 14)])
    jp.write("v.gamp", table)
    for suffix in (".gamp", ".pgz"):
        assert cli.main(["mask", "-i", "v.gamp", "-o", f"w{suffix}", "-m", "b.pf"]) == 0
        np.testing.assert_array_equal(jp.read(f"w{suffix}").p4[1], table.p4[1][B])
    assert "kept 5 of 10 events: w.gamp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-i", "e.csv", "-m", "short.pf"], "the mask has 3 entries, but e.csv has 10 events"),
        (["-i", "e.csv", "-m", "long.pf"], "the mask has 12 entries, but e.csv has 10 events"),
        (["-i", "e.csv", "-m", "a.pf", "-m", "short.pf"], "masks must have equal lengths: a.pf has 10 entries"),
        (["-i", "e.csv", "-m", "far.sel"], r"far.sel selects event 1000, but there are 10 events \(0 to 9\)"),
        (["-i", "e.csv", "-m", "e.csv"], "e.csv is no mask"),
        (["-i", "none.csv"], "no such file: none.csv"),
        (["-i", "e.csv", "-m", "none.pf"], "no such file: none.pf"),
        (["-i", "e.csv", "-o", "out.xyz"], "can't tell the format of 'out.xyz'"),
        (["-i", "e.csv", "-o", "out.gamp"], "gamp files hold four-vectors"),
    ],
)
def test_refusals_exit_with_1_and_leave_no_file(folder, capsys, arguments, message):
    """O12."""
    jp.write("short.pf", A[:3])
    jp.write("long.pf", np.ones(12, bool))
    (folder / "far.sel").write_text("5\n1000\n")
    output = [] if "-o" in arguments else ["-o", "out.csv"]
    before = sorted(p.name for p in folder.iterdir())
    assert cli.main(["mask", *arguments, *output]) == 1
    import re

    assert re.search(message, capsys.readouterr().err)
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_selection_keeps_a_doubled_event_once(folder):
    (folder / "d.sel").write_text("0\n0\n5\n")
    assert cli.main(["mask", "-i", "e.csv", "-o", "out.csv", "-m", "d.sel"]) == 0
    assert jp.read("out.csv")["x"].tolist() == [0, 5]


def test_or_and_xor_together_are_refused(folder, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["mask", "-i", "e.csv", "-o", "o.csv", "-m", "a.pf", "--use_or", "--use_xor"])
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_real_masks_on_real_data(shared_data, tmp_path, capsys):
    docs = shared_data / "pypwa/tests/test_data/docs"
    out = tmp_path / "kept.csv"
    assert cli.main(["mask", "-i", str(docs / "set1.csv"), "-o", str(out), "-m", str(docs / "set1.pf")]) == 0
    frame = jp.read(out)
    assert len(frame) == 479
    assert frame["x"].sum() == pytest.approx(232.70090665010605, rel=1e-14)
    assert cli.main(["mask", "-i", str(docs / "large.gamp"), "-o", str(out), "-m", str(docs / "set2.pf")]) == 1
    assert "the mask has 12 entries" in capsys.readouterr().err


def test_the_command_is_installed_and_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "jaxpwa.cli", "mask", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "jaxpwa mask -i events.gamp" in done.stdout
