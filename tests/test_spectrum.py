"""Fits in bins: against closed forms and single fits, where they start, what a folder keeps, what is refused."""

import json
import warnings

import numpy as np
import pytest

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.engine.sums import compiled_sum
from jaxpwa.inference.many import fit_one
from jaxpwa.inference.parameters import ParameterTable
from jaxpwa.physics import two_pseudoscalar_model
from jaxpwa.spectrum import BinFit, BinnedFits, fit_bins, load_bins
from jaxpwa.spectrum.bins import cut
from jaxpwa.spectrum.starts import Starts, powers_of

FIT_ONE = "jaxpwa.spectrum.fitting.fit_one"
EDGES = np.linspace(1.0, 2.0, 11)
START = {"n": 1000.0, "m": jp.Parameter(1.5, lower=-5, upper=5), "s": jp.Parameter(1.0, lower=0.05)}


def gauss(p, d):
    """Yield times a Gauss that is 1 on average over -5 < x < 5."""
    pull = (d["x"] - p["m"]) / p["s"]
    return 10 * p["n"] * jnp.exp(-0.5 * pull**2) / (p["s"] * jnp.sqrt(2 * jnp.pi))


def constant(p, d):
    return p["n"] + 0 * d["x"]


def flat(rng, n):
    return {"mass": rng.uniform(1, 2, n), "x": rng.uniform(-5, 5, n)}


def kept(table, mask):
    return {name: values[mask] for name, values in table.items()}


@pytest.fixture(scope="module")
def tables():
    """Gausses whose mean is the mass, 500 to 1500 events per bin, and half of the Monte Carlo accepted."""
    rng = np.random.default_rng(7)
    mass = 0.5 + np.sqrt(rng.uniform(0.25, 2.25, 20_000))  # density mass - 1/2
    generated = flat(rng, 30_000)
    data = {"mass": mass, "x": rng.normal(mass, 0.6)}
    return {
        "data": kept(data, rng.uniform(size=len(mass)) < 0.5),
        "accepted_mc": kept(generated, rng.uniform(size=30_000) < 0.5),
        "generated_mc": generated,
    }


@pytest.fixture(scope="module")
def fits(tables):
    return fit_bins(gauss, tables, EDGES, start=START)


def in_bin(table, i):
    return kept(table, (table["mass"] >= EDGES[i]) & (table["mass"] < EDGES[i + 1]))


def test_a_constant_intensity_counts_events_over_acceptance_and_empty_bins_are_rows(tables):
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 1.5, len(tables["data"]["mass"]))
    accepted = rng.uniform(size=30_000) < 0.2 + 0.3 * (tables["generated_mc"]["mass"] - 1)
    own = {**tables, "data": jp.Dataset(tables["data"], weights), "accepted_mc": kept(tables["generated_mc"], accepted)}
    edges = [0.5, 0.9, 1.0, 1.3, 1.6, 2.0]
    table = fit_bins(constant, own, edges, start={"n": 1000.0}, covariance="hessian").to_pandas()
    mass, acc, gen = tables["data"]["mass"], own["accepted_mc"]["mass"], own["generated_mc"]["mass"]
    assert table["reason"].tolist() == ["there are no data"] * 2 + [""] * 3
    assert table["valid"].tolist() == [False, False, True, True, True]
    assert np.isnan(table.loc[:1, ["n", "n error", "fval"]].to_numpy(float)).all()
    for i in (2, 3, 4):
        row, (low, high) = table.loc[i], edges[i : i + 2]
        here = (mass >= low) & (mass < high)
        efficiency = np.sum((acc >= low) & (acc < high)) / np.sum((gen >= low) & (gen < high))
        assert (row["low"], row["high"], row["centre"]) == (low, high, (low + high) / 2)
        assert row["n_data"] == here.sum()
        assert row["sum_of_weights"] == pytest.approx(weights[here].sum(), rel=1e-12)
        assert row["acceptance"] == pytest.approx(efficiency, rel=1e-12)
        assert row["n"] == pytest.approx(weights[here].sum() / efficiency, rel=1e-6)
        assert row["n error"] == pytest.approx(np.sqrt(weights[here].sum()) / efficiency, rel=1e-6)


def test_bins_are_what_single_fits_find(tables, fits):
    assert list(fits) == list(range(10))
    for i, result in fits.items():
        data, mc, generated = (in_bin(tables[name], i) for name in ("data", "accepted_mc", "generated_mc"))
        alone = jp.fit(jp.ExtendedNLL(gauss, data, mc, len(generated["mass"])), START)
        for name in START:
            assert result.values[name] == pytest.approx(alone.values[name], abs=1e-3 * alone.errors[name]), (i, name)
            assert result.errors[name] == pytest.approx(alone.errors[name], rel=1e-3)
        assert result.fval == pytest.approx(alone.fval, abs=1e-5)


def test_carried_random_and_given_starts_end_in_the_same_minima(tables, fits):
    carried = fit_bins(gauss, tables, EDGES, start=START, starts=0)
    drawn = fit_bins(gauss, tables, EDGES, start=START, starts=3, carry=False, seed=3, spread=0.2)
    n_data = [fit.n_data for fit in fits.bins]
    first = int(np.argmax(n_data))
    assert 0 < first
    assert [f.n_starts for f in carried.bins] == [1] * 10
    assert [f.n_starts for f in drawn.bins] == [3] * 10
    assert [f.n_starts for f in fits.bins] == [1 if i == first else 2 for i in range(10)]
    for i in range(10):
        assert carried[i].fval == pytest.approx(fits[i].fval, abs=1e-5)
        assert drawn[i].fval == pytest.approx(fits[i].fval, abs=1e-5)
        assert fits.bins[i].reached == fits.bins[i].n_starts


def test_other_edges_give_the_same_bins(tables, fits):
    some = fit_bins(gauss, tables, EDGES[3:6], start=START)
    assert len(some) == 2
    for i in range(2):
        assert some[i].fval == pytest.approx(fits[i + 3].fval, abs=1e-5)
        assert some.bins[i].n_data == fits.bins[i + 3].n_data


def test_each_bin_starts_at_its_neighbours_result_going_outward_from_most_events(tables, monkeypatch):
    """With too few calls to get anywhere nothing moves far: so the order of bins shows in where they start."""
    asked = []
    whole = Starts.tables

    def spy(self, cost, bin_, table, neighbour):
        out = whole(self, cost, bin_, table, neighbour)
        asked.append((bin_.number, None if neighbour is None else neighbour.values["m"], out))
        return out

    monkeypatch.setattr(Starts, "tables", spy)
    edges = [1.0, 1.2, 1.4, 1.41, 1.7, 1.8]
    own = {**tables, "data": kept(tables["data"], (tables["data"]["mass"] < 1.4) | (tables["data"]["mass"] > 1.41))}
    found = fit_bins(gauss, own, edges, start=START, starts=0)
    assert [number for number, *_ in asked] == [3, 4, 1, 0]
    assert asked[0][1] is None
    assert [a[1] for a in asked[1:]] == [found[3].values["m"], found[3].values["m"], found[1].values["m"]]
    for _, mean, (starts, number) in asked[1:]:
        assert (len(starts), number) == (1, 0)
        assert starts[0].values[1] == mean
    assert found.bins[2].reason == "there are no data"


def test_bins_of_all_sizes_share_one_compilation(tables):
    costs = []

    def plain(p, d):
        return gauss(p, d)

    def make(bin_):
        costs.append(jp.ExtendedNLL(plain, bin_["data"], bin_["accepted_mc"], bin_.n_generated))
        return costs[-1]

    fit_bins(plain, tables, EDGES, start=START, cost=make)
    assert len(costs) == 10
    for k in range(2):
        specs = {cost._terms[k].total.spec for cost in costs}
        assert len(specs) == 1
        assert compiled_sum(specs.pop(), 1)._cache_size() == 1


def test_bins_that_cannot_be_fitted_say_why_and_the_others_go_on(tables):
    mass = tables["data"]["mass"]
    few = np.flatnonzero((mass > 1.1) & (mass < 1.2))[2:]
    data = jp.Dataset(tables["data"], np.where((mass > 1.2) & (mass < 1.3), 0.0, np.where(mass < 1.1, -1.0, 1.0)))
    data = data.select(np.delete(np.arange(len(mass)), few))
    no_mc = kept(tables["accepted_mc"], (tables["accepted_mc"]["mass"] < 1.3) | (tables["accepted_mc"]["mass"] > 1.4))
    numbers = [3000] * 9 + [0]
    own = {"data": data, "accepted_mc": no_mc}
    found = fit_bins(gauss, own, EDGES, start=START, n_generated=numbers, progress=False)
    reasons = found.to_pandas()["reason"].tolist()
    assert "add up to -" in reasons[0]
    assert reasons[1] == "2 events of data, fewer than min_events=3"
    assert reasons[2] == "all weights of data are 0"
    assert reasons[3] == "there is no accepted_mc"
    assert reasons[4:9] == [""] * 5
    assert reasons[9] == "n_generated is 0"
    assert list(found) == [4, 5, 6, 7, 8]
    assert set(found.results) == {4, 5, 6, 7, 8}
    assert found.problem == ""
    with pytest.raises(KeyError, match="bin 9 has no result: n_generated is 0"):
        found[9]
    with pytest.raises(KeyError, match="there is no bin 10: they go from 0 to 9"):
        found[10]
    more = fit_bins(gauss, own, EDGES[4:7], start=START, n_generated=[3000, 3000], min_events=600)
    assert [fit.reason != "" for fit in more.bins] == [fit.n_data < 600 for fit in more.bins]


def test_a_fit_that_fails_is_a_row_and_one_warning(tables):
    def breaks(p, d):
        return p["n"] * jnp.where(d["mass"] < 1.5, 1.0, -1.0)

    with pytest.warns(jp.ConvergenceWarning, match=r"no valid fit in 1 of 2 bins \(1\); the first: every start failed"):
        found = fit_bins(breaks, tables, [1.0, 1.5, 2.0], start={"n": 500.0})
    assert list(found) == [0]
    assert "the cost is not finite at the start" in found.bins[1].reason
    assert "every start failed" in str(found)
    with pytest.raises(ValueError, match=r"no bin has a result; the first: no valid fit in 2 of 2 bins"):
        fit_bins(breaks, tables, [1.5, 1.7, 2.0], start={"n": 500.0})
    with pytest.raises(ValueError, match="no bin has a result; the first: there are no data"):
        fit_bins(breaks, tables, [3.5, 3.7, 4.0], start={"n": 500.0})


def wells(p, d):
    """-ln I has minima at a = +-1, the left one lower, but in the bin above 1.5, where both are one value."""
    tilt = jnp.where(d["mass"] < 1.5, 0.004, 0.0)
    return jnp.exp(-((p["a"] ** 2 - 1) ** 2) * 0.05 - tilt * p["a"])


def test_minima_are_counted_and_mirror_images_go_on_from_the_neighbour(tables):
    def make(bin_):
        return jp.UnbinnedNLL(wells, bin_["data"])

    start = {"a": jp.Parameter(0.9, lower=-2, upper=2)}
    edges = [1.0, 1.5, 1.6]
    found = fit_bins(wells, {"data": tables["data"]}, edges, start=start, cost=make, starts=8, seed=5)
    table = found.to_pandas()
    assert table["minima"].tolist() == [2, 2]
    assert table["solutions"].tolist() == [1, 2]
    assert table["starts"].tolist() == [8, 9]
    assert table.loc[0, "reached"] < 8
    assert table.loc[1, "reached"] == 9
    low, high = np.sort(np.roots([0.2, 0, -0.2, 0.004]).real)[[0, 2]]
    n = found.bins[0].n_data
    above = n * (0.05 * ((high**2 - 1) ** 2 - (low**2 - 1) ** 2) + 0.004 * (high - low))
    assert table.loc[0, "a"] == pytest.approx(low, abs=1e-4)
    assert table.loc[0, "next_minimum"] == pytest.approx(above, rel=1e-4)
    assert np.isnan(table.loc[1, "next_minimum"])
    # Start 0 leads to +1; what is carried over, to -1.
    assert table.loc[1, "a"] == pytest.approx(-1.0, abs=1e-3)
    alone = fit_bins(wells, {"data": tables["data"]}, edges, start=start, cost=make, starts=8, seed=5, carry=False)
    assert alone[1].values["a"] == pytest.approx(1.0, abs=1e-3)


# Two pseudoscalars from a polarised beam, three bins.

WAVES = ["S0+", "P1+", "D2+", "S0-"]
MASSES = [1.0, 1.2, 1.4, 1.6]


@pytest.fixture(scope="module")
def polarised():
    """Events of known couplings per bin: flat angles, rejection by the model itself, 60 % acceptance."""
    rng = np.random.default_rng(11)
    model = two_pseudoscalar_model(WAVES, polarisation=0.4, reference=["D2+", "S0-"])

    def angles(n):
        return {
            "mass": rng.uniform(1.0, 1.6, n),
            "costheta": rng.uniform(-1, 1, n),
            "phi": rng.uniform(-np.pi, np.pi, n),
            "Phi": rng.uniform(-np.pi, np.pi, n),
        }

    truth, parts = [], []
    trial = angles(24_000)
    for low, high, phase in zip(MASSES[:-1], MASSES[1:], (0.4, 1.0, 1.6), strict=True):
        here = kept(trial, (trial["mass"] >= low) & (trial["mass"] < high))
        truth.append(model.start({"S0+": 1.0, "P1+": 0.8 * np.exp(1j * phase), "D2+": 0.9, "S0-": 0.5}))
        mask, report = jp.rejection_sample(3, model, truth[-1], here)
        truth[-1] = {name: value * np.sqrt(len(mask) / report.maximum) for name, value in truth[-1].items()}
        parts.append(kept(here, mask))
    seen = {name: np.concatenate([part[name] for part in parts]) for name in trial}
    generated = angles(40_000)
    accepted = [rng.uniform(size=len(t["phi"])) < 0.6 + 0.2 * np.cos(t["phi"]) for t in (seen, generated)]
    tables = {"data": kept(seen, accepted[0]), "accepted_mc": kept(generated, accepted[1]), "generated_mc": generated}
    return model, tables, (truth, [len(part["phi"]) for part in parts])


@pytest.fixture(scope="module")
def waves_in_bins(polarised):
    model, tables, _ = polarised
    groups = {"positive": "*+", "S waves": ["S0+", "S0-"]}
    return fit_bins(model, tables, MASSES, start=model.start(), starts=3, seed=1, groups=groups)


def test_polarised_waves_are_found_from_a_start_of_ones(polarised, waves_in_bins):
    model, _, (truth, _) = polarised
    assert waves_in_bins.problem == ""
    for i, result in waves_in_bins.items():
        for name in WAVES:
            size, expected = (abs(complex(model.couplings[name](p))) for p in (result.values, truth[i]))
            error = result.propagate(lambda p, n=name: jnp.abs(model.couplings[n](p))).error
            assert abs(size - expected) < 4 * error, (i, name)


def test_waves_have_yields_and_phases_in_the_table(polarised, waves_in_bins):
    model, tables, (_, n_produced) = polarised
    table = waves_in_bins.to_pandas()
    sets = {**{name: [name] for name in WAVES}, "positive": ["*+"], "S waves": ["S0+", "S0-"], "total": WAVES}
    for i, result in waves_in_bins.items():
        here = (tables["generated_mc"]["mass"] >= MASSES[i]) & (tables["generated_mc"]["mass"] < MASSES[i + 1])
        generated = kept(tables["generated_mc"], here)
        for label, names in sets.items():
            expected = jp.evaluate(model.only(*names), result.values, generated).mean()
            assert table.loc[i, f"yield {label}"] == pytest.approx(expected, rel=1e-9), label
        c = model.coupling_values(result.values)
        for a in ("S0+", "P1+"):
            expected = np.angle(complex(c[a]) * np.conj(complex(c["D2+"])))
            assert table.loc[i, f"phase {a} - D2+"] == pytest.approx(expected, abs=1e-12)
            estimate = result.propagate(
                lambda p, a=a: jnp.angle(model.couplings[a](p) * jnp.conj(model.couplings["D2+"](p)))
            )
            assert table.loc[i, f"phase {a} - D2+ error"] == pytest.approx(estimate.error, rel=1e-6)
    pulls = (table["yield total"].to_numpy() - n_produced) / table["yield total error"].to_numpy()
    assert np.abs(pulls).max() < 4
    assert "yield positive" in str(waves_in_bins)


def test_waves_are_left_out_where_they_are_not_wanted_or_yields_not_known(polarised, waves_in_bins):
    model, tables, _ = polarised
    start = waves_in_bins[1]
    none = fit_bins(model, tables, MASSES[1:3], start=start, waves=False).to_pandas()
    assert not [name for name in none if name.startswith(("yield", "phase"))]
    seen = {name: tables[name] for name in ("data", "accepted_mc")}
    n_generated = [waves_in_bins.bins[1].n_data / waves_in_bins.bins[1].acceptance]
    phases = fit_bins(
        model, seen, MASSES[1:3], start=start, n_generated=n_generated, pairs=[("P1+", "S0+")]
    ).to_pandas()
    assert [name for name in phases if name.startswith(("yield", "phase"))] == [
        "phase P1+ - S0+",
        "phase P1+ - S0+ error",
    ]


@pytest.mark.slow
def test_yields_of_unbinned_fits_are_shares_of_the_events(polarised, waves_in_bins):
    model, tables, _ = polarised
    start = {name: v / start_of(waves_in_bins) for name, v in waves_in_bins[1].values.items()}
    found = fit_bins(model, tables, MASSES[1:3], start=start, cost="unbinned", fixed="D2+.re").to_pandas()
    expected = waves_in_bins.to_pandas().loc[1]
    for name in (*WAVES, "total"):
        error = expected[f"yield {name} error"]
        assert found.loc[0, f"yield {name}"] == pytest.approx(expected[f"yield {name}"], abs=0.1 * error)
        assert found.loc[0, f"yield {name} error"] == pytest.approx(error, rel=0.1)


def start_of(fits):
    return fits[1].values["D2+.re"]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"groups": {"all": "G*"}}, ValueError, "there is no wave, background or sum 'G"),
        ({"pairs": [("S0+", "G3+")]}, ValueError, "there is no wave or coupling 'G3"),
        (
            {"model": gauss, "waves": True, "start": START},
            TypeError,
            "need a model that is composed of waves, got gauss",
        ),
    ],
)
def test_waves_that_are_not_there_are_refused_before_the_fits(polarised, change, kind, message):
    model, tables, _ = polarised
    with pytest.raises(kind, match=message):
        fit_bins(**{"model": model, "tables": tables, "edges": MASSES, "start": model.start(), **change})


def test_starts_of_composed_models_expect_as_many_events_as_there_are(polarised):
    model, tables, _ = polarised
    found = []

    def make(bin_):
        cost = jp.ExtendedNLL(model, bin_["data"], bin_["accepted_mc"], bin_.n_generated)
        found.append((bin_, cost))
        return cost

    starts = {name: jp.Parameter(v, lower=-3, upper=4) if name == "S0+.re" else v for name, v in model.start().items()}
    how = Starts.make(starts, (), 4, True, 9, 1.0, powers_of(model))
    (bin_,) = cut(tables, [1.0, 1.2], "mass", None)
    cost, table = how.bind(make(bin_), bin_)
    points, carried = how.tables(cost, bin_, table, None)
    assert (len(points), carried) == (4, None)
    for point in points:
        values = dict(zip(point.names, point.values, strict=True))
        expected = jp.evaluate(model, values, tables_of(bin_)).sum() / bin_.n_generated
        if point.lower[0] < point.values[0] < point.upper[0]:
            assert expected == pytest.approx(bin_.n_data, rel=1e-9)
    factor = points[0].values[1] / table.values[1] if table.values[1] else points[0].values[0]
    assert points[0].upper[0] == pytest.approx(4 * points[0].values[0], rel=1e-12)
    assert factor > 10
    # Nothing is scaled where a coupling is held at a value, nor if it is not wanted.
    for held in (
        Starts.make(starts, "D2+.re", 1, True, None, 1.0, powers_of(model)),
        Starts.make(starts, (), 1, True, None, 1.0, {}),
    ):
        cost, table = held.bind(make(bin_), bin_)
        np.testing.assert_array_equal(held.tables(cost, bin_, table, None)[0][0].values, table.values)


def tables_of(bin_):
    return bin_["accepted_mc"]


def test_polar_couplings_and_backgrounds_have_their_powers():
    from jaxpwa.physics import Background, CoherentSum, Coupling, IncoherentSum, Wave

    def one(p, d):
        return 1.0 + 0 * d["x"]

    wave = Wave("S", one, Coupling("S", form="polar"))
    model = IncoherentSum([CoherentSum("waves", [wave]), Background("flat", one)])
    powers = powers_of(model)
    assert powers == {"S.abs": 1, "S.arg": 0, "flat": 2}
    assert powers_of(gauss) == {}


# Folders.


def test_an_interrupted_run_goes_on_where_it_was(tables, fits, tmp_path, monkeypatch):
    n_fits = []

    def interrupted(*args):
        if len(n_fits) == 4:
            raise KeyboardInterrupt
        n_fits.append(1)
        return fit_one(*args)

    monkeypatch.setattr(FIT_ONE, interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_bins(gauss, tables, EDGES, start=START, folder=tmp_path / "bins")
    finished = load_bins(tmp_path / "bins")
    assert len(finished) == 4
    assert [fit.reason for fit in finished.bins].count("not finished") == 6

    counted = []
    monkeypatch.setattr(FIT_ONE, lambda *args: counted.append(1) or fit_one(*args))
    whole = fit_bins(gauss, tables, EDGES, start=START, folder=tmp_path / "bins")
    assert len(counted) == 6
    again = fit_bins(gauss, tables, EDGES, start=START, folder=tmp_path / "bins")
    assert len(counted) == 6
    read = load_bins(tmp_path / "bins")
    for other in (whole, again, read):
        table, expected = other.to_pandas(), fits.to_pandas()
        assert table.columns.tolist() == expected.columns.tolist()
        np.testing.assert_array_equal(table["n_data"], expected["n_data"])
        np.testing.assert_allclose(table["fval"], expected["fval"], rtol=1e-12)
        np.testing.assert_allclose(table["n"], expected["n"], rtol=1e-12)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bins"]
    names = [*(f"bin_{i:04d}.json" for i in range(10)), "analysis.json"]
    assert sorted(p.name for p in (tmp_path / "bins").iterdir()) == sorted(names)


@pytest.fixture
def counting(monkeypatch):
    """Counts fits of bins."""
    counted = []

    def one(*args):
        counted.append(1)
        return fit_one(*args)

    monkeypatch.setattr(FIT_ONE, one)
    return counted


def test_bins_whose_events_or_settings_changed_are_fitted_again(tables, tmp_path, counting):
    few = EDGES[:4]

    def run(own=tables, n=3, **more):
        del counting[:]
        found = fit_bins(constant, own, few, start={"n": 100.0}, folder=tmp_path, **more)
        assert len(counting) == n
        return found

    run()
    run(n=0)
    data = {name: values.copy() for name, values in tables["data"].items()}
    data["x"][np.flatnonzero((data["mass"] > few[1]) & (data["mass"] < few[2]))[0]] += 1e-9
    run({**tables, "data": data}, n=1)
    run(n=1)
    run(tolerance=0.05)
    run(tolerance=0.05, starts=2, seed=1, spread=0.1)
    run(tolerance=0.05, starts=2, seed=2, spread=0.1)
    run(tolerance=0.05, starts=2, seed=2, spread=0.1, n=0)
    run({name: tables[name] for name in ("data", "accepted_mc")}, n_generated=[3000.0, 3000.0, 3000.0])


def test_events_in_single_precision_and_columns_of_objects_are_recognised(tables, tmp_path, counting):
    def run(weight):
        data = {**tables["data"], "tag": np.full(len(tables["data"]["x"]), weight, object)}
        own = {name: jp.Dataset(table, dtype="float32") for name, table in {**tables, "data": data}.items()}
        fit_bins(gauss, own, EDGES[:3], start=START, folder=tmp_path, tolerance=10)

    run(1.0)
    run(1.0)
    assert len(counting) == 2
    run(2.0)
    assert len(counting) == 4
    run("text")
    run("other text")
    assert len(counting) == 6


def test_a_damaged_file_is_fitted_again_with_a_warning(tables, tmp_path, counting):
    def run():
        return fit_bins(constant, tables, EDGES[:4], start={"n": 100.0}, folder=tmp_path)

    first = run()
    for damage in (b"{", b"\xff\x00", b"[]", b'{"format": "jaxpwa.BinFit", "format_version": 9}'):
        (tmp_path / "bin_0001.json").write_bytes(damage)
        del counting[:]
        with pytest.warns(jp.JaxpwaWarning, match=r"bin_0001\.json is damaged"):
            again = run()
        assert len(counting) == 1
        assert again[1].values == first[1].values
    content = json.loads((tmp_path / "bin_0002.json").read_text())
    del content["minima"][0]["result"]["values"]
    (tmp_path / "bin_0002.json").write_text(json.dumps(content))
    with pytest.warns(jp.JaxpwaWarning, match=r"bin_0002\.json is damaged"):
        assert len(load_bins(tmp_path)) == 2
    with pytest.warns(jp.JaxpwaWarning, match=r"bin_0002\.json is damaged"):
        run()
    (tmp_path / "analysis.json").write_text("nothing")
    with pytest.raises(ValueError, match=r"analysis\.json is damaged"):
        load_bins(tmp_path)
    with pytest.warns(jp.JaxpwaWarning, match=r"analysis\.json is damaged .* and is written anew"):
        run()
    run()


def test_another_analysis_and_another_model_are_told_apart(tables, tmp_path, counting):
    def make(factor):
        def density(p, d):
            return factor * p["n"] + 0 * d["x"]

        return density

    fit_bins(make(1.0), tables, EDGES[:3], start={"n": 100.0}, folder=tmp_path)
    with pytest.raises(
        ValueError, match=r"another analysis \(edges: 3 \(1\.0, 1\.1, 1\.2\) there, 4 \(1\.0, .* here\)"
    ):
        fit_bins(make(1.0), tables, EDGES[:4], start={"n": 100.0}, folder=tmp_path)
    with pytest.raises(
        ValueError, match=r"another analysis \(model: .*density there, gauss here; parameters: 1 \(n\) there"
    ):
        fit_bins(gauss, tables, EDGES[:3], start=START, folder=tmp_path)
    with pytest.raises(ValueError, match=r"cost: extended there, unbinned here"):
        fit_bins(make(1.0), tables, EDGES[:3], start={"n": 100.0}, cost="unbinned", folder=tmp_path)
    del counting[:]
    with pytest.warns(jp.JaxpwaWarning, match="bin [01] was fitted with another model") as caught:
        other = fit_bins(make(2.0), tables, EDGES[:3], start={"n": 100.0}, folder=tmp_path)
    assert len(counting) == len(caught) == 2
    assert other[0].values["n"] == pytest.approx(
        fit_bins(constant, tables, EDGES[:3], start={"n": 100.0})[0].values["n"] / 2
    )


def test_jobs_share_the_bins_of_a_folder(tables, fits, tmp_path, counting):
    part = fit_bins(gauss, tables, EDGES, start=START, folder=tmp_path, bins=range(0, 10, 2))
    assert list(part) == [0, 2, 4, 6, 8]
    assert part.bins[1].reason == "not among the bins to fit, and not in the folder"
    rest = fit_bins(gauss, tables, EDGES, start=START, folder=tmp_path, bins=[1, 3, 5, 7, 9])
    assert len(rest) == 10
    assert len(counting) == 10
    whole = fit_bins(gauss, tables, EDGES, start=START, folder=tmp_path)
    assert len(counting) == 10
    for i in range(10):
        assert whole[i].fval == pytest.approx(fits[i].fval, abs=1e-5)
    one = fit_bins(gauss, tables, EDGES, start=START, bins=3)
    assert list(one) == [3]
    assert one.bins[0].reason == "not among the bins to fit"
    with pytest.raises(ValueError, match=r"bins must be numbers of bins, from 0 to 9, got 10"):
        fit_bins(gauss, tables, EDGES, start=START, bins=[1, 10])


def test_there_is_nothing_to_load_where_nothing_was_kept(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no fits of fit_bins: there is no analysis\.json"):
        load_bins(tmp_path)


# What comes out.


def test_the_table_has_a_row_per_bin_with_errors_and_derived_quantities(fits):
    def double(p):
        return 2 * p["n"]

    more = fits.derive({"double": double, "moments": lambda p: {"m": p["m"], "m2": p["m"] ** 2 + p["s"] ** 2}})
    table = more.to_pandas()
    assert table.index.tolist() == list(range(10))
    assert table.index.name == "bin"
    for i, result in fits.items():
        assert table.loc[i, "n error"] == result.errors["n"]
        assert table.loc[i, "double"] == pytest.approx(2 * result.values["n"])
        assert table.loc[i, "double error"] == pytest.approx(2 * result.errors["n"])
        m, s = result.values["m"], result.values["s"]
        assert table.loc[i, "moments m2"] == pytest.approx(m**2 + s**2)
        slope = np.array([0, 2 * m, 2 * s])
        assert table.loc[i, "moments m2 error"] == pytest.approx(np.sqrt(slope @ result.covariance @ slope))
    assert "double" not in fits.to_pandas()
    assert fits.centres == pytest.approx(EDGES[:-1] + 0.05)
    with pytest.raises(ValueError, match="there is a column n already"):
        fits.derive({"n": double})
    with pytest.raises(ValueError, match="there is a column double already"):
        more.derive({"double": double})
    with pytest.raises(TypeError, match="derived quantity 'a' must be one number, or a dict of such"):
        fits.derive({"a": lambda p: jnp.stack([p["n"], p["m"]])})
    with pytest.raises(TypeError, match="derived quantity 'a' must be a function of the parameters, got float"):
        fits.derive({"a": 1.0})


def test_derived_quantities_can_be_asked_for_with_the_fit(tables):
    found = fit_bins(constant, tables, EDGES[:3], start={"n": 100.0}, derive={"density": lambda p: p["n"] / 0.1})
    assert found.to_pandas()["density"].tolist() == pytest.approx([found[i].values["n"] / 0.1 for i in range(2)])


def test_tables_print_and_escape(fits):
    text = str(fits)
    assert text.startswith("10 bins of mass from 1 to 2: 10 with a valid fit, in ")
    assert "1.1 to 1.2" in text
    assert "2 of 2" in text
    assert "NOT VALID" not in text
    shown = fits.derive({f"<{k}>": lambda p, k=k: k * p["n"] for k in range(10)})
    assert "2 more quantities are in to_pandas()" in str(shown)
    html = shown._repr_html_()
    assert "&lt;1&gt;" in html
    assert "<1>" not in html
    assert "1.1 to 1.2" in html
    assert repr(fits) == text


def test_a_bin_has_its_tables_and_a_cost_of_ones_own_can_use_any(tables):
    seen = []

    def make(bin_):
        seen.append((bin_.number, repr(bin_)))
        both = jp.UnbinnedNLL(gauss, bin_["left"], normalization_mc=bin_["mc"])
        return both + jp.UnbinnedNLL(gauss, bin_["right"], normalization_mc=bin_["mc"])

    data = tables["data"]
    half = np.arange(len(data["mass"])) % 2 == 0
    own = {"left": kept(data, half), "right": kept(data, ~half), "mc": tables["accepted_mc"]}
    start = {**START, "n": jp.Parameter(1.0, fixed=True)}
    found = fit_bins(gauss, own, EDGES[:3], start=start, cost=make)
    whole = fit_bins(gauss, tables, EDGES[:3], start=START, fixed="n", cost="unbinned")
    for i in range(2):
        assert found[i].values["m"] == pytest.approx(whole[i].values["m"], abs=1e-4)
        assert found.bins[i].n_data == 0
        assert np.isnan(found.bins[i].sum_of_weights)
    assert seen[0][1].startswith("Bin(0: 1 to 1.1, ")
    (bin_,) = cut(own, [1.0, 1.1], "mass", None)
    with pytest.raises(ValueError, match="there is no table 'data'; there are: left, right, mc"):
        bin_["data"]


def test_starts_may_depend_on_the_bin_and_columns_be_arrays(tables, fits):
    by = {name: table["mass"] for name, table in tables.items()}
    without = {name: {"x": table["x"]} for name, table in tables.items()}
    starts = []

    def start(bin_):
        starts.append(bin_.centre)
        return {**START, "n": float(bin_.n_data), "m": bin_.centre}

    found = fit_bins(gauss, without, EDGES[:4], start=start, by=by)
    assert set(np.round(starts, 3)) == {1.05, 1.15, 1.25}
    for i in range(3):
        assert found[i].fval == pytest.approx(fits[i].fval, abs=1e-5)
    again = fit_bins(gauss, tables, EDGES[:3], start=fits[0])
    assert again[0].fval == pytest.approx(fits[0].fval, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"starts": -1}, ValueError, "starts must be a whole number, not negative, got -1"),
        ({"starts": 0, "carry": False}, ValueError, "starts=0 leaves the bins without a start"),
        ({"starts": 4}, ValueError, "starts=4 draws random starts: pass seed=1"),
        ({"carry": "yes"}, TypeError, "carry must be True or False, got 'yes'"),
        ({"throw": True}, TypeError, "fit_bins has no throw"),
        ({"cost": "binned"}, ValueError, "cost must be 'extended', 'unbinned' or a function"),
        ({"n_generated": 1000}, TypeError, "n_generated must be one number per bin, got 1000"),
        ({"n_generated": [1, 2]}, ValueError, "n_generated must have one entry per bin: got 2 for 10 bins"),
        ({"n_generated": [-1] * 10}, ValueError, "n_generated must be finite and not negative"),
        ({"edges": [1, 1]}, ValueError, r"tables\['data'\]: edges must be at least two strictly rising numbers"),
        ({"by": "energy"}, ValueError, r"tables\['data'\]: unknown column 'energy'"),
        ({"by": {"data": "mass"}}, ValueError, "by must say what every table is cut by, got nothing for 'accepted_mc'"),
        ({"tables": [1]}, TypeError, "tables must map names to tables, .* got list"),
        ({"tables": {}}, ValueError, "tables must hold 'data' and 'accepted_mc'"),
        ({"tables": {"data": {"mass": [1.0]}}}, ValueError, "tables must hold 'data' and 'accepted_mc'"),
        ({"start": {"low": 1.0}}, ValueError, "parameters can't have the name of a column .*: low"),
        ({"start": 3.0}, TypeError, "start must map names to numbers or Parameter"),
        (
            {"start": {"n": 1.0}},
            ValueError,
            "no bin has a result; .* start does not fit the cost: parameter m, s is missing",
        ),
    ],
)
def test_arguments_of_another_form_are_refused(tables, change, kind, message):
    arguments = {"tables": tables, "edges": EDGES, "start": START, **change}
    with pytest.raises(kind, match=message):
        fit_bins(gauss, **arguments)


def test_tables_need_names_that_are_known(tables):
    with pytest.raises(ValueError, match="'generated_mc', 'generated'. Other tables need a function"):
        fit_bins(gauss, {**tables, "generated": 1}, EDGES, start=START)
    own = {"data": tables["data"], "accepted_mc": tables["accepted_mc"], "generated_mc": np.zeros(3)}
    with pytest.raises(TypeError, match=r"tables\['generated_mc'\]: events must come as"):
        fit_bins(gauss, own, EDGES, start=START)


def test_bins_without_any_start_are_nothing():
    assert isinstance(BinFit(0, 0.0, 1.0, 0, 0.0, 0.5).row(), dict)
    empty = BinnedFits(np.array([0.0, 1.0]), (BinFit(0, 0.0, 1.0, 0, 0.0, 0.5, reason="none"),), "mass", 0.0)
    assert (len(empty), list(empty), empty.problem) == (0, [], "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ParameterTable.make({"a": 1.0}).names == ("a",)
