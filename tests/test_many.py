"""Many fits: distinct minima against those known in closed form, side by side against one by one, failures kept."""

import threading
import warnings

import numpy as np
import pytest
from models import TRUE_GAUSS, gauss, gauss_sample
from test_supplied import Decay, nll

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.engine.sums import compiled_sum
from jaxpwa.inference.many import fit_many
from jaxpwa.inference.starts import bind_to_start
from jaxpwa.inference.together import MOST_TOGETHER, descend_together

P = jp.Parameter


def wells(p, d):
    """-ln I is a double well in each of a and b, with a tilt in a: minima near a = +-1, b = +-1."""
    a, b = p["a"], p["b"]
    return jnp.exp(-((a**2 - 1) ** 2) - 0.1 * a - (b**2 - 1) ** 2) + 0 * d["x"]


def well_minima():
    """Values of a at the two minima: roots of 4 a (a^2 - 1) + 0.1."""
    roots = np.sort(np.roots([4, 0, -4, 0.1]).real)
    return roots[0], roots[2]


@pytest.fixture(scope="module")
def wells_cost():
    return jp.UnbinnedNLL(wells, {"x": np.zeros(50)})


@pytest.mark.parametrize("n", [12, 80])
def test_random_starts_find_all_four_wells_and_sort_them(wells_cost, n):
    # 12 starts are fitted one by one, 80 descend side by side.
    start = {"a": P(0.5, lower=-2, upper=2), "b": P(0.5, lower=-2, upper=2)}
    fits = jp.fit_many(wells_cost, jp.random_starts(3, start, n))
    minima = fits.minima[0]
    low, high = well_minima()
    assert len(minima) == 4
    for minimum, a in zip(minima, (low, low, high, high), strict=True):
        assert minimum.result.valid
        assert minimum.result.values["a"] == pytest.approx(a, abs=1e-3)
        assert abs(minimum.result.values["b"]) == pytest.approx(1, abs=1e-3)
    assert sorted(i for minimum in minima for i in minimum.starts) == list(range(n))
    assert fits.best is minima[0].result
    assert minima[2].result.fval - minima[0].result.fval == pytest.approx(
        50 * (((high**2 - 1) ** 2 + 0.1 * high) - ((low**2 - 1) ** 2 + 0.1 * low)), rel=1e-6
    )


def test_the_order_of_names_may_differ_between_starts():
    sample = gauss_sample(500)
    cost = jp.UnbinnedNLL(gauss, sample)
    first = {"A1": P(9.0, lower=5, upper=12), "A2": P(2.0, lower=1), "A3": P(11.0, lower=5, upper=12), "A4": 4.0}
    starts = [dict(sorted(first.items(), reverse=bool(k % 2))) for k in range(66)]
    fits = jp.fit_many(cost, starts)
    assert len(fits.minima[0]) == 1
    assert len(fits.minima[0][0].starts) == 66
    assert fits.best.values["A1"] == pytest.approx(sample["x"].mean(), abs=1e-3)
    with pytest.raises(ValueError, match="start 1 names other parameters than the first: A1; expected A4, A3"):
        jp.fit_many(cost, [starts[1], {"A1": 1.0}])


def test_side_by_side_descents_end_where_single_ones_do():
    sample = gauss_sample(9000)
    cost = jp.UnbinnedNLL(gauss, sample) + jp.GaussianConstraint("A1", 9.0, 0.5)
    starts = jp.random_starts(
        5, {n: P(9, lower=5, upper=15) if n in ("A1", "A3") else P(3, lower=1, upper=9) for n in TRUE_GAUSS}, 19
    )
    bound, _ = bind_to_start(cost, starts[0], ())
    tables = [bind_to_start(cost, s, ())[1] for s in starts]
    together = descend_together(bound, tables, 2000)
    best = jp.fit(cost, starts[0])
    assert len(together) == 19
    for descent in together:
        assert descent.value == pytest.approx(best.fval, abs=0.02)
        assert bound(dict(zip(tables[0].names, descent.x, strict=True))) == pytest.approx(descent.value, rel=1e-12)


@pytest.mark.parametrize("n_points", [2, 7, MOST_TOGETHER])
def test_values_and_gradients_at_many_points_are_those_at_each(n_points):
    sample = gauss_sample(6000)
    weights = np.random.default_rng(2).uniform(0.5, 1.5, 6000)
    cost = jp.UnbinnedNLL(gauss, jp.Dataset(sample, weights=weights), normalization_mc=gauss_sample(5000, 8))
    cost = cost + jp.GaussianConstraint(["A1", "A2"], [9.0, 3.0], [0.5, 0.1])
    points = np.array([10.0, 3, 10, 3]) + np.random.default_rng(1).normal(size=(MOST_TOGETHER, 4)) * 0.1
    values, gradients = cost._compute_at(points, n_points)
    for point, value, gradient in zip(points[:n_points], values, gradients, strict=False):
        expected, by_name = cost.value_and_grad(dict(zip(cost.parameters, point, strict=True)))
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, list(by_name.values()), rtol=1e-9, atol=1e-9)


def test_bins_of_different_sizes_share_one_compilation():
    def shifted(p, d):
        return jnp.exp(-0.5 * (d["x"] - p["mean"]) ** 2)

    rng = np.random.default_rng(4)
    means = np.linspace(-2, 2, 6)
    bins = {f"bin {i}": jp.UnbinnedNLL(shifted, {"x": rng.normal(m, 1, 400 + 100 * i)}) for i, m in enumerate(means)}
    specs = {cost._terms[0].total.spec for cost in bins.values()}
    assert len(specs) == 1
    fits = jp.fit_many(bins, {"mean": 0.0})
    assert compiled_sum(specs.pop(), 1)._cache_size() == 1
    assert list(fits) == list(bins)
    for (label, cost), result in zip(bins.items(), fits.values(), strict=True):
        x = np.asarray(cost._terms[0].table["x"])
        assert result.values["mean"] == pytest.approx(x.mean(), abs=1e-6), label
        assert result.errors["mean"] == pytest.approx(1 / np.sqrt(len(x)), rel=1e-6)


def test_each_cost_can_have_its_own_starts(wells_cost):
    two = {"left": wells_cost, "right": wells_cost}
    fits = jp.fit_many(two, {"left": {"a": -0.9, "b": 0.9}, "right": [{"a": 0.9, "b": 0.9}, {"a": 0.8, "b": -0.9}]})
    assert fits["left"].values["a"] < 0 < fits["right"].values["a"]
    assert len(fits.minima["right"]) == 2


def test_starts_that_fix_different_values_are_a_scan():
    sample = gauss_sample(3000)
    cost = jp.UnbinnedNLL(gauss, sample)
    scan = [{"A1": P(v, fixed=True), "A2": 3.0, "A3": 10.0, "A4": 3.0} for v in (9.9, 10.0, 10.1)]
    fits = jp.fit_many(cost, scan)
    for minimum in fits.minima[0]:
        (number,) = minimum.starts
        alone = jp.fit(cost, scan[number])
        assert minimum.result.fval == pytest.approx(alone.fval, abs=1e-7)
    assert len(fits.minima[0]) == 3


def test_fits_that_fail_keep_their_reason_and_the_others_their_results():
    def box(p, d):
        return jnp.where(jnp.abs(d["x"] - p["m"]) < 3, jnp.exp(-0.5 * (d["x"] - p["m"]) ** 2), 0.0)

    x = np.random.default_rng(1).uniform(-1, 1, 100)
    good, bad = jp.UnbinnedNLL(box, {"x": x}), jp.UnbinnedNLL(box, {"x": x + 50})
    with pytest.warns(jp.ConvergenceWarning, match=r"no valid fit for 1 of 2 costs \('bad'\).*intensity is 0"):
        fits = jp.fit_many({"bad": bad, "good": good}, [{"m": 0.0}, {"m": 0.2}])
    assert fits["good"].values["m"] == pytest.approx(x.mean(), abs=1e-5)
    assert fits.minima["bad"] == ()
    assert set(fits.failures["bad"]) == {0, 1}
    with pytest.raises(KeyError, match="every start failed"):
        fits["bad"]
    assert "FAILED" in str(fits)
    assert len(fits.to_pandas()) == 1
    with pytest.raises(ValueError, match="every fit fails"):
        jp.fit_many(bad, {"m": 0.0})


def test_side_by_side_starts_that_fail_are_named():
    def box(p, d):
        return jnp.where(jnp.abs(d["x"] - p["m"]) < 3, jnp.exp(-0.5 * (d["x"] - p["m"]) ** 2), 0.0)

    x = np.random.default_rng(1).uniform(-1, 1, 100)
    starts = [{"m": 0.01 * i} for i in range(63)] + [{"m": 60.0}]
    with pytest.warns(jp.ConvergenceWarning, match="1 starts failed; cost 0, start 63: .*not finite at the start"):
        fits = jp.fit_many(jp.UnbinnedNLL(box, {"x": x}), starts)
    assert len(fits.minima[0]) == 1
    assert len(fits.minima[0][0].starts) == 63


def test_an_error_inside_a_descent_ends_all_of_them_and_is_raised(monkeypatch):
    cost = jp.UnbinnedNLL(gauss, gauss_sample(300))
    starts = [dict(zip(("A1", "A2", "A3", "A4"), (10 + 0.01 * i, 3.0, 10.0, 3.0), strict=True)) for i in range(20)]
    bound, _ = bind_to_start(cost, starts[0], ())

    def broken(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(bound, "_compute_at", broken, raising=False)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        descend_together(bound, [bind_to_start(cost, s, ())[1] for s in starts], 100)
    assert threading.active_count() == before


@pytest.mark.parametrize("gradient", [True, False])
def test_costs_from_outside_of_jax_are_fitted_one_by_one(gradient):
    cost = nll(Decay(gradient=gradient))
    fits = jp.fit_many(cost, [{"a": P(1.0 + 0.02 * i, lower=0.1)} for i in range(65)])
    assert len(fits.minima[0]) == 1
    assert fits.best.values["a"] == pytest.approx(1 / Decay().x.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("costs", "starts", "kind", "message"),
    [
        (3, {"a": 1.0}, TypeError, "costs must be a cost, or a sequence or mapping of costs, got int"),
        ([], {"a": 1.0}, ValueError, "at least one cost"),
        ("cost", "ab", TypeError, "starts must be a start, or a sequence of starts, got str"),
        ("cost", [], ValueError, "at least one start"),
        ("cost", {1: {"a": 1.0, "b": 1.0}}, ValueError, "starts by cost must have the keys of costs: 0; missing: 0"),
        ("cost", [{"a": 1.0, "b": 1.0}, 3.0], TypeError, "start must map names to numbers"),
        ("cost", [{"a": 1.0}], ValueError, "parameter b is missing"),
        ([1], {"a": 1.0}, TypeError, "cost must be a jaxpwa cost"),
    ],
)
def test_costs_and_starts_of_another_form_are_refused(wells_cost, costs, starts, kind, message):
    with pytest.raises(kind, match=message):
        fit_many(wells_cost if costs == "cost" else costs, starts)


def test_throw_is_refused(wells_cost):
    with pytest.raises(TypeError, match="fit_many has no throw"):
        jp.fit_many(wells_cost, {"a": 1.0, "b": 1.0}, throw=True)


def test_random_starts_stay_within_limits_and_are_the_same_for_the_same_key():
    start = {"m": P(1.2, lower=1, upper=1.5), "g": P(0.1, lower=0), "f": P(2.0, fixed=True), "z": 0.0}
    first, again, other = (jp.random_starts(k, start, 200) for k in (jax.random.key(7), jax.random.key(7), 8))
    assert first == again
    assert first != other
    assert {n: p.value for n, p in first[0].items()} == {"m": 1.2, "g": 0.1, "f": 2.0, "z": 0.0}
    drawn = {n: np.array([s[n].value for s in first]) for n in start}
    assert drawn["m"].min() >= 1
    assert drawn["m"].max() <= 1.5
    assert drawn["m"].std() == pytest.approx(0.5 / np.sqrt(12), rel=0.2)
    assert drawn["g"].min() >= 0
    assert (drawn["f"] == 2.0).all()
    assert drawn["z"].std() == pytest.approx(1, rel=0.2)
    assert first[3]["g"].lower == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, {"a": 1.0}, 0), "n must be a whole number of starts"),
        ((1, {"a": 1.0}, 2.5), "n must be a whole number of starts"),
        ((-1, {"a": 1.0}, 2), "a seed must be between 0"),
    ],
)
def test_random_starts_of_another_form_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        jp.random_starts(*arguments)
    with pytest.raises(ValueError, match="spread must be a positive number"):
        jp.random_starts(1, {"a": 1.0}, 2, spread=0)


def test_tables_show_every_minimum_and_escape_names(wells_cost):
    start = {"a": P(0.5, lower=-2, upper=2), "b": P(0.5, lower=-2, upper=2)}
    fits = jp.fit_many(wells_cost, jp.random_starts(3, start, 12))
    table = fits.to_pandas()
    assert list(table["minimum"]) == [0, 1, 2, 3]
    assert sum(table["starts"]) == 12
    assert list(table["above"])[0] == 0
    assert len(str(fits).splitlines()) == 9
    several = jp.fit_many({"<b>": wells_cost, "2": wells_cost}, start)
    assert "&lt;b&gt;" in several._repr_html_()
    assert "2 fits of 2 costs" in str(several)
    with pytest.raises(ValueError, match="there are 2 costs"):
        _ = several.best


def test_one_warning_tells_of_all_costs_without_a_minimum(wells_cost):
    def falling(p, d):
        return p["s"] * jnp.exp(-(d["x"] ** 2))

    endless = jp.UnbinnedNLL(falling, {"x": np.ones(10)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits = jp.fit_many([endless, endless], {"s": 1.0})
    assert [w.category for w in caught] == [jp.ConvergenceWarning]
    assert "no valid fit for 2 of 2 costs" in str(caught[0].message)
    assert not fits[0].valid


def test_the_distance_of_a_minimum_is_in_standard_deviations_of_the_best(wells_cost):
    start = {"a": P(0.5, lower=-2, upper=2), "b": P(0.5, lower=-2, upper=2), "k": 1.0}
    cost = wells_cost + jp.GaussianConstraint("k", 2.0, 0.5)
    fits = jp.fit_many(cost, jp.random_starts(3, start, 12))
    low, high = well_minima()
    # Second derivatives of 50 ((a^2 - 1)^2 + 0.1 a + (b^2 - 1)^2) at the best minimum.
    from_a = (high - low) * np.sqrt(50 * (12 * low**2 - 4))
    from_b = 2 * np.sqrt(50 * 8)
    found = fits.to_pandas()["distance"].to_numpy()
    assert found[0] == 0
    assert found[1] == pytest.approx(from_b, rel=1e-2)
    assert np.sort(found[2:]) == pytest.approx(np.array([from_a, np.hypot(from_a, from_b)]), rel=1e-2)
    assert "distance" in str(fits)
    assert f"{found[1]:.3g}" in str(fits)


def test_correlated_parameters_and_those_that_are_fixed_count_right_in_the_distance():
    def slanted(p, d):
        u, v = p["a"] + p["b"], p["a"] - p["b"]
        return jnp.exp(-((u**2 - 1) ** 2) - 0.05 * u - v**2 + 0 * p["c"]) + 0 * d["x"]

    cost = jp.UnbinnedNLL(slanted, {"x": np.zeros(50)})
    fits = jp.fit_many(cost, [{"a": s * 0.6, "b": s * 0.5, "c": 3.0} for s in (1, -1)], fixed="c")
    low, high = (np.sort(np.roots([4, 0, -4, 0.05]).real)[i] for i in (0, 2))
    assert list(fits.to_pandas()["distance"]) == [
        0.0,
        pytest.approx((high - low) * np.sqrt(50 * (12 * low**2 - 4)), rel=1e-2),
    ]


def test_there_is_no_distance_where_a_minimum_is_not_valid():
    cost = jp.UnbinnedNLL(lambda p, d: p["s"] * jnp.exp(-(d["x"] ** 2)), {"x": np.ones(10)})
    with pytest.warns(jp.ConvergenceWarning):
        fits = jp.fit_many(cost, {"s": 1.0})
    assert np.isnan(fits.to_pandas()["distance"].to_numpy()).all()
    assert "distance" not in fits._table()[1]
