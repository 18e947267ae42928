"""Costs over events that stay in files: what they give is what the same events in memory give."""

import os
import subprocess
import sys

import numpy as np
import pytest
from models import ROOT

import jax
import jax.numpy as jnp

import jaxpwa as jp

pytest.importorskip("pyarrow")

RNG = np.random.default_rng(11)
N = 60_000
TABLE = {
    "x": RNG.normal(0.3, 1.2, N),
    "y": RNG.uniform(-1, 1, N),
    "w": RNG.uniform(0.2, 2.0, N) * (RNG.uniform(size=N) > 0.2),
}
MC = {"x": RNG.normal(0.0, 2.0, N), "y": RNG.uniform(-1, 1, N)}
SHAPE = {"m": 0.1, "s": 1.1, "a": 0.2}
WAVES = {"a": 1.0, "b": 0.5, "c": 0.3}
TINY = 1
"""Too little to hold anything: pieces are as small as they get."""


def shape(p, d):
    return jnp.exp(-0.5 * ((d["x"] - p["m"]) / p["s"]) ** 2) / p["s"] * (1 + p["a"] * d["y"])


def waves(p, d):
    z = p["a"] * jnp.cos(d["x"]) + (p["b"] + 1j * p["c"]) * jnp.sin(3 * d["x"]) * d["y"]
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streamed")
    for name, table in (("data", TABLE), ("mc", MC)):
        for i, rows in enumerate((slice(0, 25_001), slice(25_001, 25_011), slice(25_011, N))):
            jp.write(folder / f"{name}_{i}.parquet", {k: v[rows] for k, v in table.items()})
    return folder


def files(folder, name="data", **settings):
    return jp.Dataset.from_files(folder / f"{name}_*.parquet", **settings)


def numbers(cost, at):
    value, gradient = cost.value_and_grad(at)
    return np.array([cost(at), value, *gradient.values(), *cost.hessian(at).ravel()])


def assert_same(cost, other, at, rtol=1e-12):
    found, expected = numbers(cost, at), numbers(other, at)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("budget", [None, TINY])
def test_likelihood_of_files_is_that_of_the_events_in_memory(folder, weights, budget, devices):
    cost = jp.UnbinnedNLL(shape, files(folder, weights=weights, memory_budget=budget), devices=devices)
    assert ("read from files at every call" in cost.explain()) == (budget == TINY)
    table = jp.Dataset({k: TABLE[k] for k in "xy"}, TABLE["w"] if weights else None)
    memory = jp.UnbinnedNLL(shape, table, devices=devices)
    assert cost.ndata == memory.ndata
    assert_same(cost, memory, SHAPE)


def test_normalised_likelihood_of_files_is_that_of_the_events_in_memory(folder):
    mc = files(folder, "mc", memory_budget=TINY)
    cost = jp.UnbinnedNLL(shape, files(folder, weights="w", memory_budget=TINY), normalization_mc=mc)
    assert_same(cost, jp.UnbinnedNLL(shape, jp.Dataset(TABLE, "w"), normalization_mc=MC), SHAPE)


def test_single_precision_is_kept(folder):
    cost = jp.UnbinnedNLL(shape, files(folder, dtype="float32", memory_budget=TINY), devices=1)
    memory = jp.UnbinnedNLL(shape, jp.Dataset(TABLE, dtype="float32"), devices=1)
    assert_same(cost, memory, SHAPE, rtol=1e-10)
    assert abs(cost(SHAPE) - jp.UnbinnedNLL(shape, TABLE)(SHAPE)) > 1e-6


def test_gradient_of_files_is_that_of_differences(folder):
    cost = jp.UnbinnedNLL(shape, files(folder, weights="w", memory_budget=TINY))
    _, gradient = cost.value_and_grad(SHAPE)
    for name, slope in gradient.items():
        up, down = (cost({**SHAPE, name: SHAPE[name] + step}) for step in (1e-5, -1e-5))
        assert (up - down) / 2e-5 == pytest.approx(slope, rel=1e-6, abs=1e-3)


def test_monte_carlo_in_files_becomes_pseudo_events_in_one_pass_and_their_integrals_can_be_kept(folder, tmp_path):
    mc = files(folder, "mc", memory_budget=TINY)
    cost, memory = jp.ExtendedNLL(waves, TABLE, mc), jp.ExtendedNLL(waves, TABLE, MC)
    assert_same(cost, memory, WAVES)
    assert "integrals, 3 pseudo-events" in cost.explain()
    direct = jp.ExtendedNLL(waves, TABLE, mc, normalization="direct")
    assert "sum of the intensity: read at every call" in direct.explain()
    assert_same(direct, memory, WAVES)
    kept = cost.integrals(WAVES)
    assert kept.belong_to(MC)
    kept.save(tmp_path / "kept")
    assert_same(jp.ExtendedNLL(waves, TABLE, jp.load_integrals(tmp_path / "kept")), memory, WAVES)
    accumulated = jp.accumulate_integrals(waves, mc, WAVES)
    assert accumulated.belong_to(MC)
    assert_same(jp.ExtendedNLL(waves, TABLE, accumulated), memory, WAVES)


def test_a_shape_that_moves_keeps_monte_carlo_in_files_and_says_why(folder):
    cost = jp.ExtendedNLL(shape, TABLE, files(folder, "mc", memory_budget=TINY))
    assert "read at every call, 4096 events at a time" in cost.explain()
    assert "no polynomial" in cost.explain()
    assert_same(cost, jp.ExtendedNLL(shape, TABLE, MC), SHAPE)


@pytest.mark.parametrize("covariance", ["auto", "sumw2", "hessian"])
def test_fits_of_weighted_files_have_the_errors_of_the_events_in_memory(folder, covariance):
    mc = files(folder, "mc", memory_budget=TINY)
    cost = jp.ExtendedNLL(waves, files(folder, weights="w", memory_budget=TINY), mc)
    found = jp.fit(cost, WAVES, covariance=covariance)
    expected = jp.fit(jp.ExtendedNLL(waves, jp.Dataset(TABLE, "w"), MC), WAVES, covariance=covariance)
    assert found.valid
    assert found.covariance_kind == expected.covariance_kind
    assert found.fval == pytest.approx(expected.fval, rel=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-6, atol=1e-9)


def test_fits_from_many_starts_read_each_piece_once_for_all(folder):
    cost = jp.UnbinnedNLL(shape, files(folder, memory_budget=TINY))
    thetas = np.array([[0.1, 1.1, 0.2], [0.2, 1.0, 0.1], [0.0, 2.0, 0.0]])
    values, gradients = cost._compute_at(thetas, 2)
    for k in range(2):
        value, gradient = cost.value_and_grad(dict(zip(SHAPE, thetas[k], strict=True)))
        assert values[k] == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(gradients[k], list(gradient.values()), rtol=1e-9)


def test_model_that_takes_its_parameters_as_a_whole(folder):
    def polynomial(p, d):
        return 1.0 + sum(value * jnp.cos(k * d["y"]) for k, value in enumerate(p.values()))

    at = {"a": 0.5, "b": 0.2}
    cost = jp.UnbinnedNLL(polynomial, files(folder, memory_budget=TINY))
    assert cost(at) == pytest.approx(jp.UnbinnedNLL(polynomial, TABLE)(at), rel=1e-13)


def test_each_cost_over_files_compiles_once_for_all_pieces_and_calls(folder):
    from jaxpwa.engine.sums import compiled_sum

    def own(p, d):
        return shape(p, d)

    cost = jp.UnbinnedNLL(own, files(folder, weights="w", memory_budget=TINY))
    for k in range(3):
        cost({**SHAPE, "m": 0.1 * k})
    assert compiled_sum(cost._terms[0].total.spec, 0)._cache_size() == 1


def test_results_of_files_know_their_data(folder):
    found = jp.fit(jp.UnbinnedNLL(shape, files(folder, memory_budget=TINY)), SHAPE)
    expected = jp.fit(jp.UnbinnedNLL(shape, TABLE), SHAPE)
    assert found.samples == expected.samples


def test_csv_is_parsed_once_where_there_is_a_scratch_folder(tmp_path):
    few = {k: v[:20_000] for k, v in TABLE.items()}
    jp.write(tmp_path / "data.csv", few)
    data = jp.Dataset.from_files(tmp_path / "data.csv", memory_budget=TINY, scratch=tmp_path / "scratch")
    cost = jp.UnbinnedNLL(shape, data)
    value = cost(SHAPE)
    assert list((tmp_path / "scratch").rglob("*.npy"))
    (tmp_path / "data.csv").unlink()
    assert cost(SHAPE) == value == pytest.approx(jp.UnbinnedNLL(shape, few)(SHAPE), rel=1e-13)


def test_numbers_that_are_not_finite_are_named_by_their_place_in_the_whole(tmp_path):
    bad = dict(TABLE, x=TABLE["x"].copy(), w=np.ones(N))
    bad["x"][30_000] = np.nan
    jp.write(tmp_path / "bad.parquet", bad)
    for budget in (None, TINY):
        data = jp.Dataset.from_files(tmp_path / "bad.parquet", memory_budget=budget)
        with pytest.raises(ValueError, match=r"data.*column 'x' is NaN or infinite for 1 of .*first: event 30000"):
            jp.UnbinnedNLL(shape, data)
    jp.write(tmp_path / "bad.parquet", dict(bad, w=(np.arange(N) != 30_000).astype(float)))
    data = jp.Dataset.from_files(tmp_path / "bad.parquet", weights="w", memory_budget=TINY)
    assert np.isfinite(jp.UnbinnedNLL(shape, data)(SHAPE))


def test_intensities_that_are_not_positive_are_named(folder):
    cost = jp.UnbinnedNLL(shape, files(folder, memory_budget=TINY))
    with pytest.raises(ValueError, match=r"intensity is negative for \d+ of 4096 data events \(first: event 0\)"):
        cost({**SHAPE, "a": 3.0})


def test_files_without_events_that_count_are_refused(tmp_path):
    jp.write(tmp_path / "none.parquet", dict(TABLE, w=np.zeros(N)))
    data = jp.Dataset.from_files(tmp_path / "none.parquet", weights="w", memory_budget=TINY)
    with pytest.raises(ValueError, match="data must have events that count: all weights are 0"):
        jp.UnbinnedNLL(shape, data)


def test_what_needs_events_one_by_one_says_so(folder):
    cost = jp.ExtendedNLL(waves, files(folder, memory_budget=TINY), MC)
    result = jp.fit(cost, WAVES)
    with pytest.raises(ValueError, match=r"which data in files are not there for: read\(\) them"):
        jp.bootstrap(1, cost, result, 10)
    with pytest.raises(ValueError, match=r"influence moves the weights of single events"):
        jp.fit(cost, WAVES, influence=lambda g: g)
    with pytest.raises(TypeError, match="data are read from files at every call, which a function of arrays can't do"):
        cost.as_function()
    with pytest.raises(TypeError, match="read"):
        jp.BinnedNLL(shape, files(folder), "w")


def test_events_in_files_that_fit_in_memory_do_all_that_events_in_memory_do(folder):
    cost = jp.ExtendedNLL(waves, files(folder, weights="w"), files(folder, "mc"))
    result = jp.fit(cost, WAVES)
    assert jp.bootstrap(1, cost, result, 10).n_lost == 0
    function, arrays = cost.as_function()
    assert float(jax.jit(function)(WAVES, arrays)) == pytest.approx(cost(WAVES), rel=1e-12)


@pytest.mark.parametrize("weights", [None, "w"])
def test_fractions_and_yields_over_files_are_those_of_the_events_in_memory(folder, weights):
    from jaxpwa.physics import CoherentSum, Coupling, Wave

    def moving(p, d):
        return 1.0 / (d["x"] - p["m"] - 0.3j)

    flat = Wave("flat", lambda p, d: 1.0 + 0.0 * d["x"], Coupling("flat", real=True))
    for shape_of in (lambda p, d: jnp.sin(d["x"]) * d["y"], moving):
        model = CoherentSum("two", [flat, Wave("other", shape_of, Coupling("other"))])
        at = model.start({"flat": 1.0, "other": 0.5 + 0.2j}) | ({"m": 0.2} if shape_of is moving else {})
        mc, memory = files(folder, weights=weights, memory_budget=TINY), jp.Dataset(TABLE, weights)
        found, expected = (jp.yields(at, model, sample, n_generated=1000) for sample in (mc, memory))
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-10)
        np.testing.assert_allclose(found.mc_errors, expected.mc_errors, rtol=1e-6)
        shares, before = (jp.fit_fractions(at, model, sample) for sample in (mc, memory))
        np.testing.assert_allclose(shares.values, before.values, rtol=1e-10)


LIMITED = """
import resource
import sys

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp

# Not ru_maxrss, which begins at what the process that started this one has held.
def used(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what))

def peak(p, d):
    z = p["g"] / (d["x0"] - p["m"] + 1j * p["g"])
    return jnp.abs(z) ** 2 * (1 + p["a"] * d["x1"] * d["x2"] + p["b"] * d["x3"] * d["x4"]) + d["x5"] * d["x6"] + d["x7"]

def waves(p, d):
    z = p["a"] * jnp.cos(d["x0"]) * d["x1"] + (p["b"] + 1j * p["g"]) * jnp.sin(d["x2"] * d["x3"]) * d["x4"]
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2 + p["m"] * d["x5"] * d["x6"] * d["x7"]

at = {"m": 0.5, "g": 0.1, "a": 0.3, "b": 0.2}
jnp.ones(3).block_until_ready()
resident = used("VmRSS")
limit = used("VmData") + (1 << 30)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones((20_000_000, 8))
    raise SystemExit("the limit does not hold")
except MemoryError:
    pass
events = jp.Dataset.from_files(sys.argv[1] + "/part_*.parquet", memory_budget=256 << 20)
assert len(events) == 20_000_000
cost = jp.UnbinnedNLL(peak, events)
few = jp.Dataset.from_files(sys.argv[1] + "/part_00.parquet").read(stop=1000)
mc = jp.UnbinnedNLL(waves, few, normalization_mc=events)
mask, report = jp.rejection_sample(1, waves, at, events)
found = jp.project(waves, at, events, {"x0": np.linspace(0, 1, 11), ("x1", "x2"): (np.linspace(0, 1, 3),) * 2})
value, gradient = cost.value_and_grad(at)
np.savez(
    sys.argv[2], cost=cost(at), value=value, gradient=list(gradient.values()), hessian=cost.hessian(at),
    normalised=mc(at), kept=mask.sum(), maximum=report.maximum, first=mask[:1_000_000],
    histogram=found["x0"].sums, plane=found["x1", "x2"].sums, integrals="integrals" in mc.explain(),
    most=used("VmHWM") - resident,
)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the limits and counts of Linux")
def test_twenty_million_events_of_eight_columns_fit_into_a_gibibyte_above_the_interpreter(tmp_path):
    """They are 1.28 GB; the files are few and many times the same, so that memory has an oracle of one million."""
    rng = np.random.default_rng(2)
    table = {f"x{i}": np.round(rng.uniform(0, 1, 1_000_000), 3) for i in range(8)}
    jp.write(tmp_path / "part_00.parquet", table)
    for i in range(1, 20):
        os.link(tmp_path / "part_00.parquet", tmp_path / f"part_{i:02d}.parquet")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA"))}
    # Arrow's own allocator reserves addresses by the gigabyte, which this limit counts.
    environment |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": str(ROOT)}
    out = tmp_path / "out.npz"
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(out)
    scope: dict = {}
    exec(LIMITED[LIMITED.index("def peak") : LIMITED.index("jnp.ones(3)")], {"jnp": jnp}, scope)
    peak, waves, at = (scope[name] for name in ("peak", "waves", "at"))
    one = jp.UnbinnedNLL(peak, table)
    value, gradient = one.value_and_grad(at)
    np.testing.assert_allclose([found["cost"], found["value"]], 20 * value, rtol=1e-11)
    np.testing.assert_allclose(found["gradient"], 20 * np.array(list(gradient.values())), rtol=1e-9)
    np.testing.assert_allclose(found["hessian"], 20 * one.hessian(at), rtol=1e-9)
    few = {k: v[:1000] for k, v in table.items()}
    assert found["integrals"]
    assert found["normalised"] == pytest.approx(jp.UnbinnedNLL(waves, few, normalization_mc=table)(at), rel=1e-11)
    mask, report = jp.rejection_sample(1, waves, at, table)
    np.testing.assert_array_equal(found["first"], mask)
    assert found["maximum"] == report.maximum
    assert found["kept"] == pytest.approx(20 * report.n_accepted, rel=0.01)
    intensity = jp.evaluate(waves, at, table)
    np.testing.assert_allclose(
        found["histogram"][0], 20 * np.histogram(table["x0"], np.linspace(0, 1, 11), weights=intensity)[0], rtol=1e-9
    )
    edges = [np.linspace(0, 1, 3)] * 2
    plane = np.histogram2d(table["x1"], table["x2"], edges, weights=intensity)[0]
    np.testing.assert_allclose(found["plane"][0], 20 * plane, rtol=1e-9)
    assert found["most"] < 1 << 30
