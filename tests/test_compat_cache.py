"""PyPWA's caches, of intermediate results and of files: always the right content, never a pickle."""

import io
import os
import pickle
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import iminuit
import numpy as np
import pandas as pd
import pytest

import jaxpwa as jp
from jaxpwa_compat import cache, files
from jaxpwa_compat.vectors import ParticlePool

FLOATS = np.array([0.1 + 0.2, 1 / 3, 5e-324])


@pytest.fixture(scope="session")
def docs(shared_data):
    return shared_data / "pypwa" / "tests" / "test_data" / "docs"


@pytest.fixture
def copies(docs, tmp_path):
    """PyPWA's files in a folder that caches can be written to."""
    for file in docs.glob("set1.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_written_is_found_again():
    thing = {"x": np.arange(3), "t": pd.DataFrame({"a": [0.1]}), "l": [1, (2.5, "three", None)]}
    assert cache.write("fit", thing) is None
    found, back = cache.read("fit")
    assert found is True
    assert back["x"].tolist() == [0, 1, 2]
    assert back["t"].equals(thing["t"])
    assert back["l"] == thing["l"]
    assert os.listdir() == ["fit.intermediate"]


def test_falsy_objects_are_found():
    for thing in (None, 0, [], ""):
        cache.write("t", thing)
        assert cache.read("t") == (True, thing)


@pytest.mark.parametrize(
    ("path", "intermediate", "file"),
    [
        ("fit", True, "fit.intermediate"),
        ("fit.v2.txt", True, "fit.v2.intermediate"),
        ("sub/fit.txt", True, "sub/fit.intermediate"),
        ("fit", False, "fit.object"),
        ("sub/fit.txt", False, "sub/fit.object"),
    ],
)
def test_files_lie_beside_the_name_given(folder, path, intermediate, file):
    """PyPWA drops every folder and writes into the current one."""
    (folder / "sub").mkdir()
    cache.write(path, [1], intermediate)
    assert [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()] == [file]
    assert cache.read(path, intermediate) == (True, [1])
    assert cache.read(path, not intermediate) == (False, None)


@pytest.mark.parametrize("intermediate", [True, False])
@pytest.mark.parametrize("name", ["t", "t.csv", "t.csv.cache", "t.csv.object"])
def test_objects_and_the_caches_of_files_do_not_meet(name, intermediate):
    """In PyPWA t.csv, t.tsv and an object named t share t.cache."""
    files.write("t.csv", {"x": [1.0]})
    files.read("t.csv")
    kept = Path("t.csv.cache").read_bytes()
    cache.write(name, "object", intermediate)
    assert Path("t.csv.cache").read_bytes() == kept
    files.read("t.csv", clear_cache=True)
    files.write("t.csv", {"x": [2.0]})
    assert cache.read(name, intermediate) == (True, "object")
    assert files.read("t.csv")["x"].tolist() == [2]


def test_a_miss_is_no_error_also_where_the_cache_should_be_removed():
    assert cache.read("none") == (False, None)
    assert cache.read("none", remove_cache=True) == (False, None)
    assert cache.read("no/such/folder") == (False, None)


def test_a_removed_cache_is_gone():
    cache.write("fit", 1)
    assert cache.read("fit", remove_cache=True) == (False, None)
    assert os.listdir() == []


@pytest.mark.parametrize("content", [b"", b"hello", b"jaxpwa object 1\n\xc1", "pickle"])
@pytest.mark.parametrize("name", ["t.intermediate", "t.object"])
def test_damaged_and_foreign_files_are_misses_and_never_run(folder, content, name):
    """O14 (d)."""

    class Payload:
        def __reduce__(self):
            return (open, (str(folder / "marker"), "w"))

    (folder / name).write_bytes(pickle.dumps(Payload()) if content == "pickle" else content)
    assert cache.read("t", name.endswith("intermediate")) == (False, None)
    assert not (folder / "marker").exists()


def endless():
    thing = []
    thing.append(thing)
    return thing


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (iminuit.Minuit(lambda x: x**2, 1.0), "t.intermediate can't be written: object is a iminuit.*Minuit"),
        ([1, iminuit.Minuit(lambda x: x**2, 1.0)], r"object\[1\] is a iminuit.*keep the FitResult that jaxpwa.fit"),
        ({"f": lambda: 0}, r"object\['f'\] is a builtins.function"),
        (np.array([{}], object), "object is an array of Python objects with dict in it"),
        (ParticlePool.from_table(jp.ParticleTable([(1, 0, np.ones((1, 4)))])), r"pool.to_table\(\) in place of a"),
        (endless(), "t.intermediate can't be written: maximum recursion depth"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_raises_a_runtime_warning_with_the_path_to_it(thing, message):
    cache.write("t", "older")
    with pytest.raises(RuntimeWarning, match=f"(?i){message}"):
        cache.write("t", thing)
    assert cache.read("t") == (True, "older")


def test_a_fit_result_can_be_stored():
    def intensity(params, data):
        return 1 + params["a"] * data["x"]

    data, mc = {"x": np.linspace(-0.5, 1, 50)}, {"x": np.linspace(-1, 1, 200)}
    cost = jp.UnbinnedNLL(intensity, data, normalization_mc=mc)
    result = jp.fit(cost, {"a": jp.Parameter(0.1, lower=-0.9, upper=0.9)})
    cache.write("fit", [result])
    found, (back,) = cache.read("fit")
    assert found
    assert back.to_dict() == result.to_dict()


@pytest.mark.parametrize("path", ["", "."])
def test_a_name_is_needed(path):
    for call in (lambda: cache.read(path), lambda: cache.write(path, 1)):
        with pytest.raises(ValueError, match="path must name a file, got '.': pass a name like 'fit'"):
            call()


def test_a_folder_is_needed():
    with pytest.raises(FileNotFoundError, match="no such folder: none"):
        cache.write("none/fit", 1)


@pytest.fixture
def parses(monkeypatch):
    """Count the tables that pandas parses."""
    count = []
    plain = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda *a, **k: count.append(1) or plain(*a, **k))
    return count


def test_files_of_one_stem_have_their_own_caches(copies, parses):
    """O13."""
    expected = {
        n: files.read(copies / n, cache=False).tobytes() for n in ("set1.csv", "set1.tsv", "set1.pf", "set1.txt")
    }
    parses.clear()
    for name in ("set1.csv", "set1.pf", "set1.csv", "set1.txt", "set1.tsv", "set1.csv", "set1.pf"):
        assert files.read(copies / name).tobytes() == expected[name]
    assert len(parses) == 2
    assert sorted(p.name for p in copies.glob("*.cache")) == sorted(f"{name}.cache" for name in expected)


def test_a_changed_digit_is_seen_though_size_and_time_are_the_same(copies):
    """O13."""
    path = copies / "set1.csv"
    first, status = files.read(path), path.stat()
    time.sleep(0.05)
    text = path.read_text()
    path.write_text(text.replace("0.5739609131131106", "0.9739609131131106", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert (first["x"][0], files.read(path)["x"][0]) == (0.5739609131131106, 0.9739609131131106)


def test_a_cache_can_be_cleared_left_alone_and_do_without(tmp_path, parses):
    path = tmp_path / "t.csv"
    files.write(path, {"x": FLOATS})
    files.read(path, cache=False)
    assert os.listdir(tmp_path) == ["t.csv"]
    files.read(path, clear_cache=True)
    files.read(path)
    assert len(parses) == 2
    files.read(path, clear_cache=True)
    assert len(parses) == 3
    files.read(path, cache=False, clear_cache=True)
    assert os.listdir(tmp_path) == ["t.csv"]


def test_writing_drops_the_cache_of_what_was_there(tmp_path):
    files.write(tmp_path / "t.csv", {"x": [1.0]})
    files.read(tmp_path / "t.csv")
    files.write(tmp_path / "t.csv", {"x": [2.0]})
    assert os.listdir(tmp_path) == ["t.csv"]
    assert files.read(tmp_path / "t.csv")["x"].tolist() == [2]


def test_a_cache_that_can_not_be_written_or_removed_is_done_without(tmp_path):
    """O13: a folder in its place refuses both, to root as well."""
    path = tmp_path / "t.csv"
    (tmp_path / "t.csv.cache").mkdir()
    files.write(path, {"x": FLOATS})
    for _ in range(2):
        assert files.read(path, clear_cache=True)["x"].tobytes() == FLOATS.tobytes()
    assert sorted(os.listdir(tmp_path)) == ["t.csv", "t.csv.cache"]


def test_a_read_only_folder_costs_nothing(tmp_path):
    """O13."""
    files.write(tmp_path / "t.csv", {"x": FLOATS})
    tmp_path.chmod(0o555)
    try:
        for clear in (False, True):
            assert files.read(tmp_path / "t.csv", clear_cache=clear)["x"].tobytes() == FLOATS.tobytes()
    finally:
        tmp_path.chmod(0o755)


def test_readers_at_the_same_time_are_all_right(copies):
    """O13."""
    expected = files.read(copies / "set1.csv", cache=False).tobytes()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: files.read(copies / "set1.csv").tobytes(), range(40)))
    assert set(results) == {expected}
    assert [p.name for p in copies.iterdir() if "set1.csv" in p.name and p.suffix not in (".csv", ".cache")] == []


def test_pickles_are_never_loaded(docs, tmp_path):
    """O14 (a) to (c): as PyPWA's cache under either name, inside a pgz, as an array of objects."""

    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    content = pickle.dumps(Payload())
    (tmp_path / "set1.csv").write_bytes((docs / "set1.csv").read_bytes())
    for name in ("set1.cache", "set1.csv.cache"):
        (tmp_path / name).write_bytes(content)
    assert files.read(tmp_path / "set1.csv")["x"].sum() == pytest.approx(494.96996044674125, rel=1e-14)
    assert (tmp_path / "set1.cache").read_bytes() == content

    with tarfile.open(tmp_path / "t.pgz", "w:gz") as archive:
        meta = b'{"version": 0.1, "type": "structured", "files": ["data.csv"]}'
        for name, part in {"metadata.json": meta, "data.csv": b"x,y\n1,2\n", "data.cache": content}.items():
            info = tarfile.TarInfo(name)
            info.size = len(part)
            archive.addfile(info, io.BytesIO(part))
    assert files.read(tmp_path / "t.pgz").tolist() == [(1, 2)]

    np.save(tmp_path / "o.npy", np.array([Payload()], object))
    with pytest.raises(RuntimeError, match="Couldn't find plugin for .*pickled Python objects"):
        files.read(tmp_path / "o.npy")
    assert not (tmp_path / "marker").exists()
