"""Histograms weighted by intensities, filled part by part: against numpy.histogram of everything at once."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.patches import StepPatch
from parts import write
from processes import run

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa import plot
from jaxpwa.engine import histograms, pieces
from jaxpwa.engine.histograms import Axis
from jaxpwa.physics import Background, CoherentSum, Coupling, IncoherentSum, Wave
from jaxpwa.results.projections import project

N = 150_001
AT = {"a": 2.0}
EDGES = np.linspace(-2, 2, 41)
UNEQUAL = np.array([-1.0, -0.5, 0.1, 0.2, 1.7])


def bell(p, d):
    return p["a"] * jnp.exp(-(d["x"] ** 2)) * (1 + d["y"] ** 2)


def flat(p, d):
    return p["a"] * jnp.ones_like(d["x"])


def table(n=N):
    rng = np.random.default_rng(4)
    return {"x": rng.normal(size=n), "y": rng.uniform(-1, 2, n), "w": rng.uniform(-0.2, 1.5, n)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write(tmp_path_factory.mktemp("files"), table())


@pytest.fixture
def small_pieces(monkeypatch):
    """Let pieces be as small as the budget says."""
    monkeypatch.setattr(pieces, "_LEAST_BUDGET", 1)


def by_hand(columns, edges, weights):
    """Return sums and sums of squares with what lies outside, as numpy has them."""
    wide = [np.concatenate([[-np.inf], e, [np.inf]]) for e in edges]
    # Infinite edges take in all that is outside; the last edge belongs to the bin below it.
    values = [np.where(c == e[-1], (e[-1] + e[-2]) / 2, c) for c, e in zip(columns, edges, strict=True)]
    return [np.histogramdd(values, wide, weights=w)[0] for w in (weights, weights**2)]


BINS = {"x": EDGES, "y": UNEQUAL, ("x", "y"): (EDGES, UNEQUAL), ("y", "square"): (UNEQUAL, np.linspace(0, 4, 9))}
SQUARE = {"square": lambda d: d["x"] ** 2}


def check(found, weights, rtol=1e-12):
    data = table()
    columns = {**data, "square": data["x"] ** 2}
    for key, given in BINS.items():
        names, edges = ((key,), (given,)) if isinstance(key, str) else (key, given)
        one = found[key]
        for k, w in enumerate(weights):
            sums, squares = by_hand([columns[name] for name in names], edges, w)
            scale = np.abs(w).sum()
            np.testing.assert_allclose(one.all_sums[k], sums, rtol=rtol, atol=rtol * scale)
            np.testing.assert_allclose(one.all_squares[k], squares, rtol=rtol, atol=rtol * scale)
    np.testing.assert_allclose(found.totals, [w.sum() for w in weights], rtol=10 * rtol)
    np.testing.assert_allclose(found.total_squares, [(w**2).sum() for w in weights], rtol=10 * rtol)
    assert found.n_events == N


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("n_devices", [1, 2])
@pytest.mark.parametrize("kind", ["memory", "files", "small pieces"])
@pytest.mark.usefixtures("small_pieces")
def test_sums_are_those_of_numpy_for_the_whole_and_components(paths, weights, n_devices, kind):
    budget = 4_000_000 if kind == "small pieces" else None
    data = jp.Dataset(table(), weights)
    events = data if kind == "memory" else jp.Dataset.from_files(paths, weights=weights, memory_budget=budget)
    found = project(bell, AT, events, BINS, components={"flat": flat}, columns=SQUARE, devices=n_devices)
    assert found.names == ("total", "flat")
    whole = np.asarray(bell(AT, {name: jnp.asarray(v) for name, v in table().items()}))
    check(found, [whole * data.weights, 2.0 * data.weights])


@pytest.mark.parametrize("kind", ["memory", "files"])
@pytest.mark.usefixtures("small_pieces")
def test_without_a_model_the_weights_alone_count(paths, kind):
    data = jp.Dataset(table(), "w")
    events = data if kind == "memory" else jp.Dataset.from_files(paths, weights="w", memory_budget=4_000_000)
    check(project(None, None, events, BINS, columns=SQUARE), [data.weights])


def test_float32_events_are_summed_as_doubles(paths):
    data = jp.Dataset.from_files(paths, dtype="float32")
    found = project(flat, {"a": 1.0}, data, {"x": [-10.0, 10.0]})
    assert found["x"].sums.tolist() == [[N]]
    assert found["x"].sums.dtype == np.float64


@pytest.mark.parametrize("edges", [EDGES, UNEQUAL, np.array([0.1, 0.2, 0.3, 0.7]), np.linspace(0, 1, 11), [-1.0, 1.0]])
def test_bins_are_those_of_numpy_at_and_next_to_every_edge(edges):
    edges = np.asarray(edges)
    values = np.concatenate([edges, np.nextafter(edges, -9), np.nextafter(edges, 9), [-np.inf, np.inf, -1e300, 1e300]])
    expected = np.searchsorted(edges, values, side="right")
    expected[values == edges[-1]] = len(edges) - 1
    np.testing.assert_array_equal(Axis(edges).index(values), expected)
    inside = np.bincount(Axis(edges).index(values), minlength=len(edges) + 1)[1:-1]
    np.testing.assert_array_equal(inside, np.histogram(values[np.isfinite(values)], edges)[0])


def test_bins_of_equal_width_are_found_across_stretches(monkeypatch):
    monkeypatch.setattr(histograms, "_STRETCH", 10)
    values = np.random.default_rng(0).normal(size=1003)
    np.testing.assert_array_equal(Axis(EDGES).index(values), np.searchsorted(EDGES, values, side="right"))


def wave(name, factor):
    return Wave(name, factor, coupling=Coupling(name))


MODEL = IncoherentSum(
    [
        CoherentSum("signal", [wave("S", lambda p, d: 1.0 + 0 * d["x"]), wave("P", lambda p, d: d["x"])]),
        Background("flat", lambda p, d: 1 + 0 * d["x"]),
    ]
)


def test_components_are_waves_by_name_pattern_and_label(paths):
    at = MODEL.start({"S": 2 + 1j, "P": 0.5 - 1j, "flat": 0.3})
    files = jp.Dataset.from_files(paths)
    parts = {"both": ("S", "P"), "one": "P"}
    found = project(MODEL, SimpleNamespace(values=at), files, {"x": EDGES}, components=parts)
    x = table()["x"]
    expected = [abs(2 + 1j + (0.5 - 1j) * x) ** 2 + 0.3, abs(2 + 1j + (0.5 - 1j) * x) ** 2, abs((0.5 - 1j) * x) ** 2]
    assert found.names == ("total", "both", "one")
    for k, w in enumerate(expected):
        np.testing.assert_allclose(found["x"].sums[k], np.histogram(x, EDGES, weights=w)[0], atol=1e-13 * w.sum())
    np.testing.assert_allclose(found["x"].of("one")[0], found["x"].sums[2])
    every = project(MODEL, at, files, {"x": EDGES}, components=True)
    assert every.names == ("total", *MODEL.names)
    np.testing.assert_allclose(every["x"].of("P")[0], found["x"].sums[2], rtol=1e-12)


def test_all_is_filled_in_one_pass_that_reads_only_what_is_needed(paths, monkeypatch):
    files = jp.Dataset.from_files(paths)
    read = []
    whole = type(files).pieces

    def noted(self, rows, columns=None, **kwargs):
        read.append(tuple(columns))
        return whole(self, rows, columns, **kwargs)

    monkeypatch.setattr(type(files), "pieces", noted)
    project(
        lambda p, d: p["a"] * d["x"] ** 2, AT, files, {"x": EDGES, ("x", "y"): (EDGES, EDGES)}, components={"b": flat}
    )
    assert read == [("x", "y")]


def test_text_in_files_is_left_alone(tmp_path):
    columns = {"x": np.linspace(0, 1, 100), "tag": np.array(["a", "b"] * 50)}
    jp.write(tmp_path / "text.parquet", columns)
    files = jp.Dataset.from_files(tmp_path / "text.parquet")
    found = project(flat, AT, files, {"half": [0, 0.2, 1]}, columns={"half": lambda d: d["x"] / 2})
    assert found["half"].sums.tolist() == [[80, 120]]
    assert list(jp.simulate(1, flat, AT, files)) == ["x"]


def test_records_scale_print_and_become_tables():
    mc = {"x": np.array([0.1, 0.2, 0.7, 1.5, -3.0]), "y": np.array([0.0, 0.1, 0.2, 0.3, 0.4])}
    found = project(
        lambda p, d: p["a"] * d["x"] ** 2, {"a": 10.0}, mc, {"x": [0, 0.5, 1], ("x", "y"): ([0, 1], [0, 0.15])}
    )
    x = found["x"]
    np.testing.assert_allclose(x.sums, [[0.5, 4.9]])
    np.testing.assert_allclose(x.errors, [[np.hypot(0.1, 0.4), 4.9]])
    np.testing.assert_allclose([x.underflow[0], x.overflow[0]], [90, 22.5])
    pair = found["x", "y"]
    np.testing.assert_allclose(pair.sums, [[[0.5]]])
    # Above: 4.9 in y, 22.5 in both, 90 in y; below: 90 in x.
    np.testing.assert_allclose([pair.underflow[0], pair.overflow[0]], [90, 4.9 + 22.5 + 90])
    half = project(lambda p, d: p["a"] * d["x"] ** 2, {"a": 10.0}, mc, {"x": [0, 0.5, 1]}, scale=0.5)
    for one in (half, found.scaled(0.5)):
        np.testing.assert_allclose(one["x"].sums, x.sums / 2)
        np.testing.assert_allclose(one["x"].errors, x.errors / 2)
        np.testing.assert_allclose(one.totals, found.totals / 2)
    frame = found.to_pandas()
    assert frame.columns.tolist() == ["column", "component", "low", "high", "sum", "error"]
    np.testing.assert_allclose(frame["sum"], [0.5, 4.9])
    assert frame["high"].tolist() == [0.5, 1.0]
    cells = pair.to_pandas()
    assert cells.columns.tolist() == ["component", "x_low", "x_high", "y_low", "y_high", "sum", "error"]
    text = str(found)
    assert text.startswith("5 events\n")
    assert "x, y" in text
    assert "5.4 +- 4.9" in text
    assert "<table" in found._repr_html_()
    with pytest.raises(KeyError, match="there is no projection on 'z'; there are x, x, y"):
        found["z"]
    with pytest.raises(KeyError, match="there is no component 'P'; there are total"):
        x.of("P")


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_events_that_cannot_be_summed_are_named_by_their_number_in_the_whole(tmp_path, kind):
    columns = {"x": np.ones(N), "y": np.ones(N), "w": np.ones(N)}
    columns["x"][70_000], columns["y"][140_000] = np.inf, np.nan

    def sample():
        if kind == "memory":
            return jp.Dataset(columns, "w")
        return jp.Dataset.from_files(write(tmp_path, columns), weights="w", memory_budget=0)

    def grown(p, d):
        return p["a"] * d["x"]

    with pytest.raises(ValueError, match=r"intensity 'total' is NaN or infinite for event 70000 \(inf\)"):
        project(grown, AT, sample(), {"w": [0, 2.0]}, devices=1)
    with pytest.raises(ValueError, match="column 'y' is NaN for event 140000. Give such events weight 0"):
        project(flat, AT, sample(), {"y": [0, 2.0]}, devices=1)
    columns["w"][[70_000, 140_000]] = 0.0
    found = project(grown, AT, sample(), {"y": [0.0, 2.0]}, devices=1)
    assert found["y"].all_sums.tolist() == [[0, 2.0 * (N - 2), 0]]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"bins": [0, 1]}, TypeError, "bins must map columns to edges"),
        ({"bins": {}}, TypeError, "bins must map columns to edges"),
        ({"bins": {"x": 50}}, ValueError, "bins of 'x' must be at least two rising edges"),
        ({"bins": {"x": [1, 0]}}, ValueError, "bins of 'x' must be at least two rising edges"),
        ({"bins": {"z": [0, 1]}}, ValueError, "bins names z, which the events do not have; columns: x, y"),
        ({"bins": {len: [0, 1]}}, TypeError, "must name a column or a pair of columns, got <built-in"),
        ({"bins": {("x", "y"): [[0, 1]]}}, ValueError, "the pair .* must be two sequences of edges, got 1"),
        ({"components": {"total": flat}}, ValueError, "components must have different names, none of them 'total'"),
        ({"components": "P"}, TypeError, "component 'P' is a name, but the model has no parts"),
        ({"components": {"P": 3}}, TypeError, "component 'P' must be a name, names or an intensity"),
        ({"bins": {"x": [[0, 1], [2]]}}, ValueError, "bins of 'x' must be at least two rising edges"),
        ({"bins": {"x": np.array([0, 1j])}}, ValueError, "bins of 'x' must be at least two rising edges"),
        ({"bins": {(): [0, 1]}}, TypeError, r"must name a column or a pair of columns, got \(\)"),
        ({"bins": {("x", "y"): 50}}, ValueError, "the pair .* must be two sequences of edges, got 50"),
        ({"bins": {"x": [0, 1], ("x",): [0, 2]}}, ValueError, "bins names x twice"),
        ({"components": 5}, TypeError, "components must be names, or intensities by label, got 5"),
        ({"components": True}, TypeError, "components=True needs a model with names, got function"),
        ({"model": None, "components": "P"}, ValueError, "components are parts of a model, and there is none"),
        ({"scale": np.nan}, ValueError, "scale must be a finite number, got nan"),
        ({"scale": "a"}, ValueError, "scale must be a finite number, got 'a'"),
        ({"result": {}}, ValueError, "bell needs parameter a"),
        ({"result": None}, TypeError, "result must be a FitResult, or parameter values by name, got NoneType"),
        ({"columns": {"x": 3}}, TypeError, "columns must map names to functions of the events"),
        ({"model": lambda p, d: 1j * d["x"]}, TypeError, "must return a real intensity"),
        ({"columns": {"x": lambda d: 1.0}}, ValueError, "column 'x' must have one real number per event, got shape"),
        ({"events": [1.0]}, TypeError, "events: events must come as"),
    ],
)
def test_project_refuses_in_words(change, error, text):
    events = {"x": [0.0, 1.0], "y": [0.0, 1.0]}
    arguments = {"model": bell, "result": AT, "events": events, "bins": {"x": [0, 1]}, **change}
    with pytest.raises(error, match=text):
        project(**arguments)


def drawn(ax):
    steps = [p for p in ax.patches if isinstance(p, StepPatch)]
    bars = [line.get_data() for line in ax.lines]
    return [p.get_data().values for p in steps], bars


@pytest.mark.usefixtures("small_pieces")
def test_pictures_of_files_and_of_histograms_are_those_of_events_in_memory(paths, tmp_path):
    matplotlib.use("Agg")
    seen = {"x": np.random.default_rng(1).normal(0, 0.7, 5000), "y": np.random.default_rng(2).uniform(0, 1, 5000)}
    data, mc = jp.Dataset(seen), jp.Dataset(table(), "w")
    (tmp_path / "data").mkdir()
    in_files = jp.Dataset.from_files(write(tmp_path / "data", seen, (100,)))
    mc_files = jp.Dataset.from_files(paths, weights="w", memory_budget=4_000_000)
    options = {"components": {"flat": flat}, "pulls": False}
    columns = ["x", "y", lambda d: d["x"] ** 2]

    def pictures(data, mc, *model, **more):
        axes = plot.projections(columns, data, mc, *model, **more)
        found = [drawn(ax) for ax in axes]
        pyplot.close("all")
        return found

    def same(a, b):
        for (steps, lines), (steps_too, lines_too) in zip(a, b, strict=True):
            for one, other in zip((*steps, *lines), (*steps_too, *lines_too), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-9)

    expected = pictures(data, mc, bell, AT, bins=20, **options)
    same(pictures(in_files, mc_files, bell, AT, bins=20, **options), expected)
    same(pictures(data, mc_files, bell, AT, bins=20, **options), expected)
    same(pictures([in_files], mc, bell, AT, bins=20, **options), expected)
    two = pictures([data, data], mc, bell, AT, bins=20, **options)
    same(pictures([in_files, data], mc_files, bell, AT, bins=20, **options), two)

    edges = {"x": np.linspace(-2, 2, 11), "y": np.linspace(0, 1, 6)}
    columns = list(edges)
    expected = pictures(data, mc, bell, AT, bins=edges, n_generated=10.0, **options)
    record = project(bell, AT, mc_files, edges, components={"flat": flat})
    same(pictures(data, record, n_generated=10.0, pulls=False), expected)
    same(pictures(project(None, None, in_files, edges), record, n_generated=10.0, pulls=False), expected)


def test_pictures_of_histograms_refuse_what_does_not_fit():
    seen = {"x": [0.5, 1.5]}
    record = project(flat, AT, seen, {"x": [0, 1.0, 2.0]})
    with pytest.raises(ValueError, match="must have the same edges in data and mc"):
        plot.projection("x", project(None, None, seen, {"x": [0, 2.0]}), record)
    with pytest.raises(ValueError, match="components of an mc that is histograms are those in it"):
        plot.projection("x", seen, record, components="P")
    with pytest.raises(TypeError, match="model must be an intensity, unless mc is histograms"):
        plot.projection("x", seen, seen)
    pyplot.close("all")


SCRIPT = """
import sys
import jaxpwa as jp
jp.distributed.initialize()
import numpy as np
import processes
from jaxpwa.results.projections import project
from test_projections import AT, BINS, SQUARE, bell, flat, table
files = jp.Dataset.from_files(sys.argv[1:], weights="w", memory_budget=0)
found = project(bell, AT, files, BINS, components={"flat": flat}, columns=SQUARE)
table = project(bell, AT, jp.Dataset(table(), "w"), BINS, components={"flat": flat}, columns=SQUARE)
processes.give(n=found.n_events, totals=found.totals, in_memory=table["x"].all_sums,
               **{f"sums_{k}": h.all_sums for k, h in enumerate(found.histograms)},
               **{f"squares_{k}": h.all_squares for k, h in enumerate(found.histograms)})
"""


@pytest.mark.parametrize("n", [2, 3])
def test_processes_add_up_the_histograms_of_their_slices_of_files(paths, n):
    whole = project(bell, AT, jp.Dataset(table(), "w"), BINS, components={"flat": flat}, columns=SQUARE)
    for one in (e.results for e in run(n, SCRIPT, *paths, timeout=120)):
        assert one["n"] == N
        np.testing.assert_allclose(one["totals"], whole.totals, rtol=1e-12)
        np.testing.assert_allclose(one["in_memory"], whole["x"].all_sums, rtol=1e-12)
        for k, histogram in enumerate(whole.histograms):
            np.testing.assert_allclose(one[f"sums_{k}"], histogram.all_sums, rtol=1e-12, atol=1e-9)
            np.testing.assert_allclose(one[f"squares_{k}"], histogram.all_squares, rtol=1e-12, atol=1e-9)
