"""Every format: round trips to the last bit, pieces equal the whole, damage is named, real files have their numbers."""

import gzip
import io
import json
import os
import tarfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxpwa as jp

FLOATS = [5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2, 1 / 3]
ODD = [*FLOATS, np.inf, -np.inf, np.nan]
TABLES = [".csv", ".tsv", ".csv.gz", ".tsv.bz2", ".csv.xz", ".npy", ".npz", ".pgz", ".root", ".parquet"]


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    nan = np.isnan(a) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
    np.testing.assert_array_equal(nan, np.isnan(b) if b.dtype.kind == "f" else nan)
    assert a[~nan].tobytes() == b[~nan].tobytes()


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_come_back_to_the_last_bit_and_piece_by_piece(tmp_path, suffix):
    extremes = np.array([-(2**63), 2**63 - 1, 0, 1, -1, 7, 8, 9], np.int64)
    frame = pd.DataFrame({"x": ODD, "n": extremes, "a b": np.arange(8.0)}, index=range(8, 0, -1))
    path = tmp_path / f"t{suffix}"
    jp.write(path, frame)
    back = jp.read(path)
    assert list(back.columns) == list(frame.columns)
    for name in frame.columns:
        same_bits(back[name], frame[name])
    for rows in (1, 3, 8, 100):
        parts = list(jp.iter_chunks(path, rows))
        assert [len(p) for p in parts] == [min(rows, 8 - i) for i in range(0, 8, rows)]
        assert all(p.index.tolist() == list(range(len(p))) for p in parts)
        same_bits(np.concatenate([p["x"] for p in parts]), ODD)
    chosen = jp.read(path, columns={"n": "number", "x": "y"})
    assert list(chosen.columns) == ["number", "y"]
    assert [list(p.columns) for p in jp.iter_chunks(path, 5, ["a b"])] == [["a b"]] * 2


@pytest.mark.parametrize("suffix", TABLES)
def test_one_row_one_column_and_no_rows(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    jp.write(path, {"x": [1.5]})
    assert jp.read(path)["x"].tolist() == [1.5]
    jp.write(path, {"x": np.empty(0), "y": np.empty(0)})
    empty = jp.read(path)
    assert list(empty.columns) == ["x", "y"]
    assert len(empty) == 0


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".pgz"])
def test_text_columns_stay_text(tmp_path, suffix):
    jp.write(tmp_path / f"t{suffix}", {"kind": ["a", 'quo"ted, x', "Ünï"], "x": [1.0, 2, 3]})
    assert jp.read(tmp_path / f"t{suffix}")["kind"].tolist() == ["a", 'quo"ted, x', "Ünï"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".root"])
def test_odd_column_names_survive(tmp_path, suffix):
    names = ["a.1.1.0", "rho re", "p_T"] + (['with "quotes", commas'] if suffix in (".csv", ".parquet") else [])
    jp.write(tmp_path / f"t{suffix}", {n: [1.0, 2.0] for n in names})
    assert list(jp.read(tmp_path / f"t{suffix}").columns) == names


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".root"])
def test_wide_columns_come_as_datasets(tmp_path, suffix):
    p4 = np.arange(12.0).reshape(3, 4)
    jp.write(tmp_path / f"t{suffix}", {"p": p4, "x": [1.0, 2, 3]})
    back = jp.read(tmp_path / f"t{suffix}", columns={"p": "q"})
    assert isinstance(back, jp.Dataset)
    np.testing.assert_array_equal(back["q"], p4)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 12)), st.sampled_from([*TABLES, ".kvars", ".txt"]), st.integers(1, 13))
def test_any_doubles_survive_any_format(tmp_path, values, suffix, rows):
    path = tmp_path / f"h{suffix}"
    jp.write(path, {"x": values, "y": values[::-1]})
    np.testing.assert_array_equal(jp.read(path)["y"], values[::-1])
    np.testing.assert_array_equal(np.concatenate([p["x"] for p in jp.iter_chunks(path, rows)]), values)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 30)), st.sampled_from([".txt", ".txt.gz", ".npy", ".pgz"]), st.integers(1, 31)
)
def test_any_flat_numbers_survive(tmp_path, values, suffix, rows):
    path = tmp_path / f"f{suffix}"
    jp.write(path, values)
    np.testing.assert_array_equal(jp.read(path), values)
    np.testing.assert_array_equal(np.concatenate(list(jp.iter_chunks(path, rows))), values)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(hnp.arrays(np.bool_, st.integers(1, 40)), st.integers(1, 41))
def test_any_mask_survives_as_mask_and_selection(tmp_path, mask, rows):
    jp.write(tmp_path / "m.pf", mask)
    np.testing.assert_array_equal(jp.read(tmp_path / "m.pf"), mask)
    np.testing.assert_array_equal(np.concatenate(list(jp.iter_chunks(tmp_path / "m.pf", rows))), mask)
    if mask.any():
        jp.write(tmp_path / "m.sel", mask)
        np.testing.assert_array_equal(jp.read(tmp_path / "m.sel"), np.flatnonzero(mask))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4), st.just(4)),
               elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.sampled_from([".gamp", ".gamp.gz", ".pgz"]), st.integers(1, 7),
)  # fmt: skip
def test_any_four_vectors_survive(tmp_path, p4, suffix, rows):
    path = tmp_path / f"v{suffix}"
    table = jp.ParticleTable([(k + 1, (-1) ** k, p4[:, k]) for k in range(p4.shape[1])])
    jp.write(path, table)
    whole = jp.read(path)
    assert (whole.ids, whole.charges) == (table.ids, table.charges)
    for a, b in zip(whole.p4, table.p4, strict=True):
        assert a.tobytes() == b.tobytes()
    parts = list(jp.iter_chunks(path, rows))
    np.testing.assert_array_equal(np.concatenate([p.p4[0] for p in parts]), table.p4[0])


def test_flat_numbers_masks_and_one_line_files(tmp_path):
    """O12: a file of one line is an array of one entry."""
    jp.write(tmp_path / "x.txt", np.array(ODD))
    same_bits(jp.read(tmp_path / "x.txt"), ODD)
    for name, content, expected in (("m.pf", "1\n", [True]), ("x.txt", "2.5", [2.5]), ("s.sel", "7\n\n", [7])):
        (tmp_path / name).write_text(content)
        back = jp.read(tmp_path / name)
        assert back.shape == (1,)
        assert back.tolist() == expected


def test_kvars_are_read_by_name(tmp_path):
    """O11."""
    (tmp_path / "t.kvars").write_text("x=1.0,y=2.0\n x = 3.0 , y = 4\n\ny=6,x=5")
    frame = jp.read(tmp_path / "t.kvars")
    assert frame["x"].tolist() == [1, 3, 5]
    assert frame["y"].tolist() == [2, 4, 6]
    jp.write(tmp_path / "t.txt", frame)
    assert jp.read(tmp_path / "t.txt").equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.kvars", "x=1,y=2\nx=3\n", "line 2: expected the keys x, y, got x"),
        ("t.kvars", "x=1,y=2\nx=3,y=4,z=5\n", "line 2: expected the keys x, y, got x, y, z"),
        ("t.kvars", "x=1,y=2\nx=3,y\n", "line 2: key 'y' has no number after '='"),
        ("t.kvars", "x=1;y=2\n", "line 1: key 'x' has no number"),
        ("t.kvars", "x=1,x=2\n", "x occur more than once"),
        ("t.txt", "1.0\n2.0 3.0\n", "line 2: expected one number, got '2.0 3.0'"),
        ("m.pf", "0\n1\n2\n8\n", "line 3: a mask holds 0 and 1 only, got 2"),
        ("s.sel", "0\n-5\n", "line 2: event indices must not be negative"),
        ("s.sel", "0\n1.5\n", "line 2: expected one whole number, got '1.5'"),
        ("t.gamp", "two\n", "first line must be the number of particles"),
        ("t.gamp", "1\n1 0 0 0 1 1\n1\n", "event 1 is cut off, 1 of its 1 particles"),
        ("t.gamp", "2\n1 0 0 0 1 1\n14 1 0 0 1 2\n2\n1 0 0 0 1 1\n", "event 1 is cut off, 1 of its 2 particles"),
        ("t.gamp", "1\n1 0 0 0 1 1\n2\n1 0 0 0 1 1\n1 0 0 0 1 1\n", "event 1 should start"),
        ("t.gamp", "1\n1 0 0 0 1\n", "event 0 needs 'id charge px py pz E' for particle 1"),
        ("t.gamp", "1\n1 0 0 0 x 1\n", "event 0 needs 'id charge px py pz E'"),
        ("t.gamp", "1\n1 0 0 nan 1 1\n", "event 0 needs"),
        ("t.gamp", "1\n1 0 0 0 1 1 7\n", "event 0 needs"),
        ("t.gamp", "1\n1 0 0 0 1 1\n1\n14 1 0 0 1 1\n", r"event 1: expected .*\[\(1, 0\)\].*got \[\(14, 1\)\]"),
        ("t.csv", "x,y\n", None),
        ("t.unknown", "hello world\n", "can't tell the format"),
    ],
)  # fmt: skip
def test_damage_is_named_with_line_or_event(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    if message is None:
        assert len(jp.read(tmp_path / name)) == 0
        return
    with pytest.raises(ValueError, match=message):
        jp.read(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        list(jp.iter_chunks(tmp_path / name, 1))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("x,y\n1,2\n", pd.DataFrame),
        ("x\ty\n1\t2\n", pd.DataFrame),
        ("x=1,y=2\n", pd.DataFrame),
        ("1.5\n2.5\n", np.ndarray),
        ("1\n1 0 0 0 1 1\n", jp.ParticleTable),
    ],
)
def test_text_without_a_telling_suffix_is_recognised_by_its_look(tmp_path, content, kind):
    (tmp_path / "events.dat").write_text(content)
    assert isinstance(jp.read(tmp_path / "events.dat"), kind)
    (tmp_path / "events.dat").write_bytes(gzip.compress(content.encode()))
    assert isinstance(jp.read(tmp_path / "events.dat"), kind)


def test_content_beats_suffix_where_it_is_unmistakable(tmp_path):
    for suffix in (".npy", ".npz", ".root", ".parquet"):
        jp.write(tmp_path / f"t{suffix}", {"x": [1.0]})
        os.rename(tmp_path / f"t{suffix}", tmp_path / "wrong.csv")
        assert jp.read(tmp_path / "wrong.csv")["x"].tolist() == [1]


@pytest.mark.parametrize("variant", ["crlf", "no newline", "blank end", "exponents", "blanks"])
def test_gamp_of_every_hand_reads_alike(shared_data, tmp_path, variant):
    """O10."""
    source = (shared_data / "pypwa/tests/test_data/docs/multiple.gamp").read_text()
    text = {
        "crlf": source.replace("\n", "\r\n"),
        "no newline": source.rstrip("\n"),
        "blank end": source + "\n\n",
        "exponents": source.replace("0.489366", "4.89366E-01"),
        "blanks": source.replace(" ", "   ").replace("\n", "\n  "),
    }[variant]
    (tmp_path / "m.gamp").write_bytes(text.encode())
    table = jp.read(tmp_path / "m.gamp")
    assert (len(table), table.n_particles) == (5, 6)
    assert table.ids == (1, 14, 11, 12, 1, 1)
    assert table.charges == (0, 1, 1, -1, 0, 0)
    assert len(table.by_id(1)) == 3
    assert table.p4[1][0].tolist() == [2.19651, 0.489366, 1.16687, 1.53077]
    jp.write(tmp_path / "again.gamp", table)
    again = jp.read(tmp_path / "again.gamp")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(table.p4, again.p4, strict=True))


def test_particle_tables_select_and_convert(shared_data):
    folder = shared_data / "pypwa/tests/test_data/docs"
    table = jp.read(folder / "large.gamp")
    assert table.names == ("gamma", "p", "pi-", "pi+")
    np.testing.assert_array_equal(table.by_name("pi+")[0], table.p4[3])
    columns = table.to_columns()
    assert list(columns)[:5] == ["E_1", "px_1", "py_1", "pz_1", "E_2"]
    back = jp.ParticleTable.from_columns(pd.DataFrame(columns), table.ids, table.charges)
    assert all((a == b).all() for a, b in zip(back.p4, table.p4, strict=True))
    mask = pd.Series([True, False] * 500, index=range(1000, 2000))
    assert len(table.select(mask)) == 500
    assert table.select([5]).p4[1].tolist() == [table.p4[1][5].tolist()]
    assert len(table.select([])) == 0
    pions = table.by_id(8)[0] + table.by_id(9)[0]
    mass = np.sqrt(pions[:, 0] ** 2 - (pions[:, 1:] ** 2).sum(1))
    assert mass.mean() == pytest.approx(0.8140668057527183, rel=1e-12)
    with pytest.raises(ValueError, match="mask must have one entry per event: got 12 for 1000 events"):
        table.select(jp.read(folder / "set2.pf"))
    with pytest.raises(ValueError, match="no particle of id 3; the table has ids 1, 14, 9, 8"):
        table.by_id(3)
    with pytest.raises(ValueError, match="no particle named 'K'; the table has gamma, p, pi-, pi"):
        table.by_name("K")
    with pytest.raises(ValueError, match="particle 1 needs the columns E_1, px_1, py_1, pz_1; missing: E_1"):
        jp.ParticleTable.from_columns({"px_1": [1.0], "py_1": [1.0], "pz_1": [1.0]}, [1], [0])
    with pytest.raises(ValueError, match=r"shape \(events, 4\), .* particle 1 has \(3, 3\)"):
        jp.ParticleTable([(1, 0, np.ones((3, 3)))])
    with pytest.raises(ValueError, match="at least one particle"):
        jp.ParticleTable([])


def test_real_text_files_have_their_known_sums(shared_data):
    folder = shared_data / "pypwa/tests/test_data/docs"
    csv, kvars = jp.read(folder / "set1.csv"), jp.read(folder / "set1.kvars")
    np.testing.assert_allclose(kvars[csv.columns].to_numpy(), csv.to_numpy(), atol=6e-17)
    assert jp.read(folder / "set1.txt").sum() == pytest.approx(493.0055276583827, rel=1e-14)
    mask = jp.read(folder / "set1.pf")
    assert mask.sum() == 479
    assert csv["x"][mask].sum() == pytest.approx(232.70090665010605, rel=1e-14)
    for name, message in {
        "bad_set.kvars": "line 5: key 'y'",
        "bad_set.pf": "got 2, 8",
        "bad_set.txt": "got 'eight'",
    }.items():
        with pytest.raises(ValueError, match=message):
            jp.read(folder / name)


def test_real_root_and_parquet_files_have_their_known_numbers(shared_data):
    for name in ("", "-lz4", "-lzma", "-zstd"):
        frame = jp.read(shared_data / f"skhep_testdata/uproot-Zmumu{name}.root")
        assert len(frame) == 2304
        assert frame["M"].mean() == pytest.approx(80.20593369277248, rel=1e-12)
        assert frame["Type"][0] in ("GT", "TT", "GG")
    for name in ("laddu/data_f64.root", "laddu/data_f64.parquet", "laddu/data_f32.root", "laddu/data_f32.parquet"):
        t = jp.read(shared_data / name)
        one, two = (
            t[[f"{k}_{c}" for c in ("e", "px", "py", "pz")]].to_numpy(np.float64) for k in ("kshort1", "kshort2")
        )
        p = one + two
        assert np.sqrt(p[0, 0] ** 2 - (p[0, 1:] ** 2).sum()) == pytest.approx(1.3626729255604682, abs=1e-6)
        assert t["weight"].sum() == pytest.approx(9.9358754, abs=1e-5)
    ntuple = jp.read(shared_data / "skhep_testdata/test_int_float_rntuple_v1-0-0-0.root")
    assert list(ntuple.columns) == ["one_integers", "two_floats"]
    assert len(ntuple) == 10
    assert len(jp.read(shared_data / "skhep_testdata/uproot-empty.root")) == 0
    packed = jp.read(shared_data / "skhep_testdata/uproot-double32-float16.root")
    assert packed["array_30"].shape == (17, 3)


def test_amptools_trees_are_four_vectors(shared_data):
    plain = jp.read(shared_data / "laddu/data_amptools.root")
    flat = jp.read(shared_data / "laddu/data_f64.root")
    assert list(plain) == ["beam", "final_1", "final_2", "final_3", "weight"]
    pair = plain["final_2"] + plain["final_3"]
    mass = np.sqrt(pair[:, 0] ** 2 - (pair[:, 1:] ** 2).sum(1))
    assert mass[0] == pytest.approx(1.3626729, abs=1e-6)
    assert mass.mean() == pytest.approx(1.516478625932524, rel=1e-6)
    np.testing.assert_allclose(plain["final_1"][:, 0], flat["proton_e"], rtol=1e-6)
    polarized = shared_data / "laddu/data_amptools_pol.root"
    with pytest.warns(jp.JaxpwaWarning, match="pass beam_polarization=True"):
        jp.read(polarized)
    data = jp.read(polarized, beam_polarization=True)
    np.testing.assert_allclose(data["pol_magnitude"], flat["pol_magnitude"], rtol=1e-6)
    np.testing.assert_allclose(data["pol_angle"], flat["pol_angle"], rtol=1e-6)
    np.testing.assert_array_equal(data["beam"][:, 0], data["beam"][:, 3])
    assert sum(len(p) for p in jp.iter_chunks(polarized, 3, beam_polarization=True)) == 10


def test_jagged_branches_are_left_out_with_a_notice_or_refused(shared_data):
    path = shared_data / "skhep_testdata/uproot-HZZ.root"
    with pytest.warns(jp.JaxpwaWarning, match="left out Jet_Px, .*varying number of values per event"):
        frame = jp.read(path)
    assert len(frame) == 2421
    assert "NJet" in frame.columns
    with pytest.raises(ValueError, match="branch Jet_Px has a varying number"):
        jp.read(path, columns=["Jet_Px"])


def test_root_files_name_their_trees(shared_data, tmp_path):
    with pytest.raises(ValueError, match="holds no tree, only TH1F"):
        jp.read(shared_data / "skhep_testdata/uproot-histograms.root")
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(tmp_path / "two.root") as file:
        for name in ("data", "mc"):
            file.mktree(name, {"x": np.float64})
            file[name].extend({"x": np.arange(3.0) + (name == "mc")})
    with pytest.raises(ValueError, match="holds the trees data, mc: choose with tree="):
        jp.read(tmp_path / "two.root")
    assert jp.read(tmp_path / "two.root", tree="mc")["x"].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="has no tree 'x'; it has: data, mc"):
        jp.read(tmp_path / "two.root", tree="x")
    with pytest.raises(ValueError, match="beam_polarization is for AmpTools trees"):
        jp.read(tmp_path / "two.root", tree="mc", beam_polarization=True)
    jp.write(tmp_path / "t.csv", {"x": [1.0]})
    with pytest.raises(TypeError, match="csv files take no option tree"):
        jp.read(tmp_path / "t.csv", tree="mc")


def make_pgz(path, kind, members, extra=None):
    with tarfile.open(path, "w:gz") as archive:
        meta = json.dumps({"version": 0.1, "type": kind, "files": list(members)}).encode()
        for name, content in {"metadata.json": meta, **members, **(extra or {})}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_pgz_archives_are_read_without_their_pickle(tmp_path):
    """O14 (b)."""
    payload = b"cbuiltins\nopen\n(V" + str(tmp_path / "marker").encode() + b"\nVw\ntR."
    make_pgz(tmp_path / "t.pgz", "structured", {"data.csv": b"x,y\n1,2\n"}, {"data.cache": payload})
    assert jp.read(tmp_path / "t.pgz")["y"].tolist() == [2]
    assert not (tmp_path / "marker").exists()
    make_pgz(tmp_path / "f.pgz", "flat", {"data.txt": b"1.5e+00\n2.5e+00\n"})
    assert jp.read(tmp_path / "f.pgz").tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("kind", "members", "message"),
    [
        ("odd", {"data.csv": b"x\n1\n"}, "unknown content 'odd'"),
        ("structured", {}, "unknown content 'structured'"),
        ("particles", {"0_14.csv": b"x,y,z\n1,2,3\n"}, "lacks e .PyPWA 4 loses energies"),
        ("particles", {"proton.csv": b"x,y,z\n1,2,3\n"}, "particle members are named number_id.csv"),
        ("flat", {"data.txt": b"one\n"}, "member 'data.txt' is damaged"),
    ],
)
def test_odd_pgz_archives_are_refused(tmp_path, kind, members, message):
    make_pgz(tmp_path / "t.pgz", kind, members)
    with pytest.raises(ValueError, match=message):
        jp.read(tmp_path / "t.pgz")


def test_no_member_of_an_archive_leaves_it(tmp_path):
    make_pgz(tmp_path / "t.pgz", "structured", {"../../escape.csv": b"x\n1\n"})
    assert jp.read(tmp_path / "t.pgz")["x"].tolist() == [1]
    assert sorted(os.listdir(tmp_path)) == ["t.pgz"]


def test_npz_with_pickles_and_unequal_columns_are_refused(tmp_path):
    np.savez(tmp_path / "o.npz", x=np.array([{}], object))
    with pytest.raises(ValueError, match="pickled Python objects"):
        jp.read(tmp_path / "o.npz")
    np.savez(tmp_path / "u.npz", x=np.ones(2), y=np.ones(3))
    with pytest.raises(ValueError, match="'x' has 2 events, 'y' has 3"):
        jp.read(tmp_path / "u.npz")


def test_damaged_compression_is_named(tmp_path):
    whole = gzip.compress(b"x,y\n" + b"1,2\n" * 5000)
    for cut in (len(whole) // 2, len(whole) - 4):
        (tmp_path / "t.csv.gz").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="damaged compressed data"):
            jp.read(tmp_path / "t.csv.gz")


@pytest.mark.parametrize(
    ("name", "table", "kind", "message"),
    [
        ("t.gamp", {"x": [1.0]}, TypeError, "gamp files hold four-vectors: expected a ParticleTable, got dict"),
        ("t.pf", [0, 1, 2], ValueError, "masks hold 0 and 1 only"),
        ("t.pf", {"x": [1]}, TypeError, "mask files hold one value per line, got dict"),
        ("t.sel", [0.5], ValueError, "selections hold event indices"),
        ("t.txt", np.ones((2, 2)), ValueError, "one value per line, got an array of shape"),
        ("t.kvars", {"a,b": [1.0]}, ValueError, "can't hold a column named 'a,b'"),
        ("t.kvars", {"a": ["x"]}, ValueError, "one real number per key"),
        ("t.npz", {"file": [1.0]}, ValueError, "can't hold a column named 'file'"),
        ("t.npy", {"s": ["a"], "o": [None]}, TypeError, "npy files hold numbers, and column 'o'"),
        ("t.root", {"s": ["a"]}, TypeError, "column 's' holds"),
        ("t.parquet", {"p": np.ones((2, 4))}, ValueError, r"'p' has shape \(2, 4\)"),
        ("t.root.gz", {"x": [1.0]}, ValueError, "ROOT files are not compressed from outside: write 't.root'"),
        ("t.xyz", {"x": [1.0]}, ValueError, "can't tell the format of 't.xyz' from its suffix"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, table, kind, message):
    with pytest.raises(kind, match=message):
        jp.write(tmp_path / name, table)
    assert os.listdir(tmp_path) == []


def test_formats_without_columns_refuse_a_choice(tmp_path):
    jp.write(tmp_path / "t.txt", [1.0])
    with pytest.raises(ValueError, match="holds one number per line, which has no columns"):
        jp.read(tmp_path / "t.txt", columns=["x"])
    with pytest.raises(ValueError, match="rows must be at least 1, got 0"):
        jp.iter_chunks(tmp_path / "t.txt", 0)


@pytest.mark.parametrize(("package", "name"), [("uproot", "t.root"), ("pyarrow", "t.parquet")])
def test_missing_extras_are_named_with_the_pip_line(tmp_path, monkeypatch, package, name):
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    extra = {"uproot": "root", "pyarrow": "parquet"}[package]
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'jaxpwa\[{extra}\]'"):
        jp.write(tmp_path / name, {"x": [1.0]})


def test_particle_names_need_their_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "particle", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxpwa\[particles\]'"):
        _ = jp.ParticleTable([(14, 1, np.ones((1, 4)))]).names
    monkeypatch.undo()
    assert jp.ParticleTable([(14, 1, np.ones((1, 4))), (99999, 0, np.ones((1, 4)))]).names == ("p", "unknown (99999)")
