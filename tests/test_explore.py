"""Scans, profiles, MINOS, contours and weak directions against closed forms, scipy and MINUIT."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from models import rho, rho_events
from scipy.optimize import brentq, minimize
from test_supplied import Decay, nll

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.explore import (
    contour,
    correlations,
    global_correlations,
    minos,
    profile,
    scan,
    weak_directions,
)
from jaxpwa.explore.conditional import Fitted
from jaxpwa.explore.directions import weak_directions_of

P = jp.Parameter
NAMES = ("a", "b", "c")
MEAN = np.array([1.0, 2.0, -3.0])
COVARIANCE = np.array([[0.04, 0.03, 0.02], [0.03, 0.09, -0.05], [0.02, -0.05, 0.25]])
PRECISION = np.linalg.inv(COVARIANCE)


@pytest.fixture(scope="module")
def parabola():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    return cost, jp.fit(cost, dict.fromkeys(NAMES, 0.0), tolerance=1e-5)


BENT = {"a": 0.5, "b": 0.0, "c": 0.0}
UNITS = {f"e{i}": np.eye(4)[i] for i in range(4)}


def bent(p, d):
    """Pulls of a valley that is bent in (a, b), and drags c along."""
    a, b, c = p["a"], p["b"], p["c"]
    return 2 * a * d["e0"] + 5 * (b - a**2) * d["e1"] + (c - jnp.sin(a * b)) * d["e2"] + 0.3 * c * d["e3"]


def bent_numpy(a, b, c):
    return (2 * a - 2) ** 2 + 25 * (b - a**2) ** 2 + (c - np.sin(a * b)) ** 2 + 0.09 * c**2


@pytest.fixture(scope="module")
def valley():
    cost = jp.ChiSquared(bent, UNITS, [2.0, 0.0, 0.0, 0.0], np.ones(4))
    return cost, jp.fit(cost, BENT, tolerance=1e-4)


def loaded(result, folder):
    result.save(folder / "fit.json")
    return jp.load_result(folder / "fit.json")


# Scans and profiles of parabolas


def test_a_profile_of_a_parabola_has_the_marginal_error_and_a_scan_the_conditional_one(parabola):
    cost, result = parabola
    for i, name in enumerate(NAMES):
        curve, cut = profile(cost, result, name), scan(cost, result, name)
        off = curve.grid - MEAN[i]
        np.testing.assert_allclose(curve.delta, 0.5 * off**2 / COVARIANCE[i, i], atol=2e-5)
        np.testing.assert_allclose(cut.delta, 0.5 * off**2 * PRECISION[i, i], atol=1e-3)
        assert curve.grid[[0, -1]] == pytest.approx(MEAN[i] + np.array([-3, 3]) * COVARIANCE[i, i] ** 0.5, abs=1e-4)
        for cl, sigmas in ((None, 1), (2, 2), (0.95, 1.959963984540054)):
            expected = MEAN[i] + sigmas * COVARIANCE[i, i] ** 0.5 * np.array([-1, 1])
            assert curve.interval(cl) == pytest.approx(tuple(expected), abs=1e-5)
        assert cut.interval() == pytest.approx(tuple(MEAN[i] + np.array([-1, 1]) / PRECISION[i, i] ** 0.5), abs=2e-4)
        assert curve.valid.all()
        assert cut.others == {}
        for j, other in enumerate(NAMES):
            if j != i:
                line = MEAN[j] + COVARIANCE[i, j] / COVARIANCE[i, i] * off
                np.testing.assert_allclose(curve.others[other], line, atol=2e-3)


def test_a_profile_over_two_parameters_is_the_parabola_of_their_covariance(parabola):
    cost, result = parabola
    surface = profile(cost, result, ("c", "a"), points=(5, 7))
    assert surface.delta.shape == (5, 7)
    inverse = np.linalg.inv(COVARIANCE[np.ix_([2, 0], [2, 0])])
    x, y = np.meshgrid(surface.x - MEAN[2], surface.y - MEAN[0], indexing="ij")
    expected = 0.5 * (inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2)
    np.testing.assert_allclose(surface.delta, expected, atol=1e-3)
    cut = scan(cost, result, ("c", "a"), points=(5, 7))
    block = PRECISION[np.ix_([2, 0], [2, 0])]
    expected = 0.5 * (block[0, 0] * x**2 + 2 * block[0, 1] * x * y + block[1, 1] * y**2)
    np.testing.assert_allclose(cut.delta, expected, atol=5e-3)
    assert surface.level(0.95) == pytest.approx(-np.log(0.05))
    assert surface.level(1) == pytest.approx(1.1478745, abs=1e-6)  # 2.2957489 / 2, as in tables of chi-squared


def test_the_result_is_not_altered_and_one_from_a_file_does_as_well(parabola, tmp_path):
    cost, result = parabola
    before, live = result.to_dict(), list(result.minuit.values)
    again = loaded(result, tmp_path)
    for one in (result, again):
        np.testing.assert_array_equal(
            profile(cost, one, "a", points=5).delta, profile(cost, result, "a", points=5).delta
        )
        scan(cost, one, ("a", "b"), points=3)
        contour(cost, one, "a", "b", points=8)
        assert minos(cost, one).minos["b"] == pytest.approx((-0.3, 0.3), rel=1e-4)
        weak_directions(one, cost)
    assert result.to_dict() == before
    assert list(result.minuit.values) == live
    assert again.minuit is None


def test_one_point_is_one_value(parabola):
    cost, result = parabola
    only = scan(cost, result, "a", points=[1.3])
    at = result.values | {"a": 1.3}
    assert only.delta == pytest.approx([cost(at) - result.fval], abs=1e-12)
    assert all(np.isnan(end) for end in profile(cost, result, "a", points=[1.0]).interval())


# Against scipy and MINUIT


def test_the_profile_of_a_bent_valley_is_that_of_scipy_and_minuit(valley):
    cost, result = valley
    assert result.errordef == 1
    curve = profile(cost, result, "a")
    best = minimize(lambda v: bent_numpy(*v), list(result.values.values()), tol=1e-12).fun
    for a, delta, b, c in zip(curve.grid, curve.delta, curve.others["b"], curve.others["c"], strict=True):
        found = minimize(lambda v, a=a: bent_numpy(a, *v), (b, c), method="Nelder-Mead", tol=1e-10)
        assert delta == pytest.approx(found.fun - best, abs=1e-4)
    minuit = jp.minimizer(cost, result)
    minuit.migrad()
    _, values, valid = minuit.mnprofile("a", grid=curve.grid)
    assert valid.all()
    np.testing.assert_allclose(curve.delta, values - result.fval, atol=5e-4)


def test_the_interval_of_a_profile_is_that_of_minos_and_of_a_root_in_scipy(valley):
    cost, result = valley
    errors = minos(cost, result).minos
    for i, name in enumerate(BENT):
        low, high = profile(cost, result, name).interval()

        def above(x, i=i):
            others = np.delete(list(result.values.values()), i)
            found = minimize(lambda v: bent_numpy(*np.insert(v, i, x)), others, method="Nelder-Mead", tol=1e-11)
            return found.fun - result.fval - 1

        value, error = result.values[name], result.errors[name]
        exact = brentq(above, value - 4 * error, value), brentq(above, value, value + 4 * error)
        assert (low, high) == pytest.approx(exact, abs=1e-3 * error)
        assert (low - value, high - value) == pytest.approx(errors[name], abs=5e-3 * error)


def test_minos_after_the_fit_has_the_published_errors_of_the_rho_sample(rho_folder, tmp_path):
    data, _ = rho_events(rho_folder)
    cost = jp.UnbinnedNLL(rho, data)
    result = jp.fit(cost, {"A1": 5, "A2": 0.3}, fixed="A1")
    for one in (result, loaded(result, tmp_path)):
        errors = minos(cost, one)
        assert errors.minos["A2"] == pytest.approx((-0.027421, 0.027103), abs=2e-6)
        assert errors.values == result.values
        assert one.minos == {}
        assert errors.minuit is not one.minuit
    low, high = profile(cost, result, "A2").interval()
    assert (low - result.values["A2"], high - result.values["A2"]) == pytest.approx((-0.027421, 0.027103), abs=3e-6)
    # A1 stays fixed, so that scan and profile are one.
    np.testing.assert_allclose(scan(cost, result, "A2").delta, profile(cost, result, "A2").delta, atol=1e-9)
    two = minos(cost, result, "A2", cl=2).minos["A2"]
    wide = profile(cost, result, "A2", range=(result.values["A2"] - 0.08, result.values["A2"] + 0.08)).interval(2)
    assert np.array(wide) - result.values["A2"] == pytest.approx(np.array(two), abs=2e-5)


def test_minos_says_which_parameters_failed_and_why():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": P(0.9, upper=1.1), "b": 2.0, "c": P(-2.5, lower=-2.8)})
    assert result.at_limit == ("c",)
    with pytest.warns(jp.ConvergenceWarning, match="MINOS failed for 1 of 3 parameters: c: at a limit"):
        errors = minos(cost, result).minos
    assert np.isnan(errors["c"]).all()
    # MINOS ends at a limit, as the interval of a profile does.
    high = result.values["a"] + errors["a"][1]
    assert high == pytest.approx(profile(cost, result, "a").interval()[1], abs=1e-6) == pytest.approx(1.1, abs=1e-6)
    # A barrier of less than 0.5, behind which there is a lower minimum.
    shallow = 0.02 * jp.UnbinnedNLL(wells, {"x": np.zeros(20)})
    result = jp.fit(shallow, {"a": 0.9, "b": 0.9})
    with pytest.warns(
        jp.ConvergenceWarning, match=r"1 of 1 parameters: a: lower \((there is a lower minimum|no crossing)"
    ):
        errors = minos(shallow, result, "a").minos
    assert np.isnan(errors["a"][0])
    assert errors["a"][1] > 0


# Limits, fixed parameters, sums


def test_limits_of_other_parameters_hold_along_a_profile():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": 1.0, "b": P(2.0, lower=1.9, upper=2.1), "c": -3.0})
    curve = profile(cost, result, "a", range=(0.4, 1.6), points=13)
    assert curve.others["b"].min() == 1.9
    assert curve.others["b"].max() == 2.1
    for a, delta in zip(curve.grid, curve.delta, strict=True):

        def at(v, a=a):
            r = np.array([a, *v]) - MEAN
            return 0.5 * r @ PRECISION @ r

        found = minimize(at, (2.0, -3.0), bounds=[(1.9, 2.1), (None, None)], options={"ftol": 1e-15, "gtol": 1e-10})
        assert delta == pytest.approx(found.fun, abs=1e-4)


def test_the_grid_ends_at_the_limits_of_its_parameter_and_so_does_the_interval():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": P(1.0, lower=0.9), "b": 2.0, "c": -3.0})
    curve = profile(cost, result, "a")
    assert curve.grid[0] == 0.9
    assert curve.interval() == (0.9, pytest.approx(1.2, abs=1e-4))
    pressed = jp.fit(cost, {"a": P(1.2, lower=1.1), "b": 2.0, "c": -3.0})
    with pytest.raises(ValueError, match="a has no error in the result"):
        scan(cost, pressed, "a")
    ranged = profile(cost, pressed, "a", range=(1.1, 1.7))
    np.testing.assert_allclose(ranged.delta, 0.5 * ((ranged.grid - 1) ** 2 - 0.01) / 0.04, atol=1e-4)
    # The others are minimised with a released from its limit where it is not the one held.
    other = profile(cost, pressed, "b", range=(1.5, 3.0), points=4)
    assert other.valid.all()
    assert other.others["a"].min() == 1.1
    assert other.others["a"].max() > 1.2


def test_a_parameter_that_was_fixed_can_be_scanned_and_profiled():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": 1.0, "b": 2.0, "c": -3.0}, fixed=["a", "b"])
    curve = profile(cost, result, "b", range=(1.8, 2.2), points=5)
    block = np.linalg.inv(COVARIANCE[np.ix_([1], [1])] - COVARIANCE[1, 0] ** 2 / COVARIANCE[0, 0])
    np.testing.assert_allclose(curve.delta, 0.5 * block[0, 0] * (curve.grid - 2) ** 2, atol=1e-6)
    assert set(curve.others) == {"c"}
    with pytest.raises(ValueError, match="b has no error in the result"):
        profile(cost, result, "b")


def normal(p, d):
    return jnp.exp(-0.5 * ((d["x"] - p["mean"]) / p["width"]) ** 2) / p["width"]


@pytest.fixture(scope="module")
def sample():
    return np.random.default_rng(5).normal(1.0, 2.0, 400)


def normal_numpy(mean, width, x):
    return np.sum(0.5 * ((x - mean) / width) ** 2) + len(x) * np.log(width)


def test_a_sum_with_a_constraint_has_the_profile_written_out(sample):
    cost = jp.UnbinnedNLL(normal, {"x": sample}) + jp.GaussianConstraint("mean", 0.8, 0.05)
    result = jp.fit(cost, {"mean": 0.5, "width": P(1.5, lower=0.1)})
    curve = profile(cost, result, "width")

    def at(width):
        # The mean that minimises a sum of two parabolas is their weighted mean.
        mean = (sample.sum() / width**2 + 0.8 / 0.05**2) / (len(sample) / width**2 + 1 / 0.05**2)
        return normal_numpy(mean, width, sample) + 0.5 * ((mean - 0.8) / 0.05) ** 2, mean

    best = minimize(lambda w: at(w[0])[0], [2.0], bounds=[(0.5, 5)], tol=1e-14).fun
    for width, delta, mean in zip(curve.grid, curve.delta, curve.others["mean"], strict=True):
        assert delta == pytest.approx(at(width)[0] - best, abs=2e-4)
        assert mean == pytest.approx(at(width)[1], abs=1e-3)


def test_chi_squared_and_its_half_give_the_same_interval(valley):
    cost, result = valley
    half = cost + jp.GaussianConstraint("a", 0.0, 1e6)
    assert half.errordef == 0.5
    again = jp.fit(half, BENT, tolerance=1e-4)
    whole, halved = profile(cost, result, "b"), profile(half, again, "b")
    assert halved.interval() == pytest.approx(whole.interval(), abs=1e-3 * result.errors["b"])
    big = contour(cost, result, "a", "b", points=64).points
    small = contour(half, again, "a", "b", points=64).points
    np.testing.assert_allclose(big, small, atol=5e-3)


def test_the_order_of_parameters_does_not_matter(valley):
    cost, result = valley
    turned = jp.fit(cost, {n: BENT[n] for n in ("c", "a", "b")}, tolerance=1e-4)
    one, other = profile(cost, result, "a"), profile(cost, turned, "a")
    assert other.interval() == pytest.approx(one.interval(), abs=1e-3 * result.errors["a"])
    assert minos(cost, turned).minos["b"] == pytest.approx(minos(cost, result).minos["b"], rel=1e-2)
    ring = contour(cost, result, "a", "b", points=200).points
    swapped = contour(cost, turned, "b", "a", points=200).points[:, ::-1]
    for axis in (0, 1):
        assert ring[:, axis].max() == pytest.approx(swapped[:, axis].max(), abs=2e-2)
        assert ring[:, axis].min() == pytest.approx(swapped[:, axis].min(), abs=2e-2)
    assert area(ring) == pytest.approx(-area(swapped), rel=5e-3)
    weak = [weak_directions(r, cost, threshold=1).to_pandas() for r in (result, turned)]
    np.testing.assert_allclose(weak[0]["eigenvalue"].unique(), weak[1]["eigenvalue"].unique(), rtol=1e-2)
    assert global_correlations(turned) == pytest.approx(global_correlations(result), rel=1e-2)


def test_a_profile_traces_the_intensity_no_more_often_than_the_fit(sample):
    calls = []

    def counted(p, d):
        calls.append(1)
        return normal(p, d)

    cost = jp.UnbinnedNLL(counted, {"x": sample})
    result = jp.fit(cost, {"mean": 0.5, "width": 1.5})
    n = len(calls)
    profile(cost, result, "mean")
    profile(cost, result, ("mean", "width"), points=5)
    contour(cost, result, "mean", "width", points=16)
    scan(cost, result, "width")
    assert len(calls) == n


def test_many_points_at_once_are_those_one_by_one(sample, monkeypatch):
    cost = jp.UnbinnedNLL(normal, {"x": sample})
    result = jp.fit(cost, {"mean": 0.5, "width": 1.5})
    alone = scan(cost, result, ("mean", "width"), points=7).delta
    monkeypatch.setattr("jaxpwa.explore.conditional._TOGETHER", {jax.devices()[0].platform: 4})
    np.testing.assert_allclose(scan(cost, result, ("mean", "width"), points=7).delta, alone, atol=1e-9)


def test_costs_without_derivatives_are_profiled_by_fits():
    cost = nll(Decay()) + jp.GaussianConstraint(("a", "b"), [2.0, 1.0], covariance=[[0.01, 0.005], [0.005, 0.01]])
    assert cost.derivatives == 0
    result = jp.fit(cost, {"a": P(1.9, lower=0.1), "b": 1.0})
    x = Decay().x
    inverse = np.linalg.inv([[0.01, 0.005], [0.005, 0.01]])

    def at(a):
        # b that minimises the constraint at a given a.
        r = np.array([a - 2, 0.5 * (a - 2)])
        return -np.sum(np.log(a) - a * x) + 0.5 * r @ inverse @ r

    best = minimize(lambda v: at(v[0]), [2.0], bounds=[(0.5, 4)], tol=1e-14).fun
    curve = profile(cost, result, "a", points=5)
    np.testing.assert_allclose(curve.delta, [at(a) - best for a in curve.grid], atol=1e-3)
    assert scan(cost, result, "a", points=5).delta[2] == pytest.approx(0, abs=1e-9)
    assert minos(cost, result).minos["a"][1] == pytest.approx(result.errors["a"], rel=0.05)
    ring = contour(cost, result, "a", "b", points=16)
    assert ring.points.shape == (17, 2)
    assert ring.points[:, 0].max() - result.values["a"] == pytest.approx(result.errors["a"] * 1.51, rel=0.03)
    assert area(ring.points) > 0


# Where things go wrong


def wells(p, d):
    a, b = p["a"], p["b"]
    return jnp.exp(-((a**2 - 1) ** 2) - 0.2 * a - (b - a) ** 2) + 0 * d["x"]


def test_a_profile_that_is_lower_than_the_fit_says_where_and_by_how_much():
    cost = jp.UnbinnedNLL(wells, {"x": np.zeros(20)})
    result = jp.fit(cost, {"a": 0.9, "b": 0.9})
    assert result.values["a"] > 0.9
    roots = np.sort(np.roots([4, 0, -4, 0.2]).real)
    low, high = (20 * ((a**2 - 1) ** 2 + 0.2 * a) for a in (roots[0], roots[2]))
    with pytest.warns(
        jp.ConvergenceWarning, match=r"profile of a is lower than the fit by 7\.99.*at a=-1\.0.*b=-1\.0"
    ) as seen:
        curve = profile(cost, result, "a", range=(-1.5, 1.5), points=301)
    assert len(seen) == 1
    assert curve.delta.min() == pytest.approx(low - high, abs=1e-2)
    assert curve.interval()[0] > 0
    with pytest.warns(jp.ConvergenceWarning, match="scan of a, b is lower than the fit"):
        scan(cost, result, ("a", "b"), range=((-1.5, 1.5), (-1.5, 1.5)), points=21)
    best = jp.fit(cost, {"a": -0.9, "b": -0.9})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert profile(cost, best, "a", range=(-1.5, 1.5)).delta.min() > -1e-3


def branches(p, d):
    """b sits in one of two wells, and which of them is lower depends on a."""
    a, b = p["a"], p["b"]
    return jnp.exp(-0.1 * a**2 - (b**2 - 1) ** 2 - 0.3 * (1 - a) * (b - 1)) + 0 * d["x"]


@pytest.mark.parametrize("n", [13, 30])
def test_a_profile_follows_the_lower_of_two_branches(n):
    cost = jp.UnbinnedNLL(branches, {"x": np.zeros(10)})
    # The fit sits in the well b = -1, which is the higher one from a = 1 on.
    result = jp.fit(cost, {"a": 0.1, "b": -1.0})
    assert result.values["b"] < 0
    curve = profile(cost, result, "a", range=(-2.0, 4.0), points=n)

    def at(b, a):
        return 10 * (0.1 * a**2 + (b**2 - 1) ** 2 + 0.3 * (1 - a) * (b - 1))

    fine = np.linspace(-2, 2, 4001)
    kept = curve.others["b"] < 0
    for a, delta, b in zip(curve.grid, curve.delta, curve.others["b"], strict=True):
        side = fine[np.sign(fine) == np.sign(b)]
        assert delta == pytest.approx(at(side, a).min() - result.fval, abs=1e-3)
    assert kept[curve.grid < 1].all()


def test_points_where_the_cost_is_not_finite_are_marked(sample):
    def cut(p, d):
        return p["s"] - d["x"] * p["k"] + 0 * d["x"]

    x = np.linspace(0, 1, 50)
    cost = jp.UnbinnedNLL(cut, {"x": x}) + jp.GaussianConstraint(("s", "k"), [1.0, 0.5], [0.3, 0.3])
    result = jp.fit(cost, {"s": 1.0, "k": 0.5})
    # The event at x = 0 has the intensity s.
    for function in (scan, profile):
        curve = function(cost, result, "s", range=(-1.0, 2.0), points=7)
        assert curve.valid.tolist() == (curve.grid > 0).tolist()
        assert np.isnan(curve.delta[~curve.valid]).all()
        assert "NOT VALID" in str(curve)
    assert np.isnan(curve.others["k"][~curve.valid]).all()


def test_a_start_outside_of_what_is_allowed_is_reached_by_detours():
    def cut(p, d):
        return p["s"] - d["x"] * p["k"] + 0 * d["x"]

    x = np.linspace(0, 1, 50)
    cost = jp.UnbinnedNLL(cut, {"x": x}) + jp.GaussianConstraint(("s", "k"), [3.0, 2.5], [0.3, 0.3])
    result = jp.fit(cost, {"s": 3.0, "k": 2.0})
    # k must be below s, and at the fit it is above the last s.
    curve = profile(cost, result, "s", points=[0.3, result.values["s"]])
    assert curve.valid.all()

    def at(k):
        return -np.sum(np.log(0.3 - x * k)) + 0.5 * ((k - 2.5) / 0.3) ** 2 + 0.5 * (2.7 / 0.3) ** 2

    found = minimize(lambda v: at(v[0]), [0.0], bounds=[(-5, 0.2999)], tol=1e-12)
    assert curve.delta[0] == pytest.approx(found.fun - result.fval, abs=1e-3)


def test_newton_steps_give_up_where_there_is_no_minimum_and_the_fit_says_so():
    def falling(p, d):
        return p["s"] * jnp.exp(-(p["a"] ** 2)) + 0 * d["x"]

    cost = jp.UnbinnedNLL(falling, {"x": np.ones(10)})
    with pytest.warns(jp.ConvergenceWarning):
        result = jp.fit(cost, {"s": 1.0, "a": 0.0})
    values = {"s": 1.0, "a": 0.0}
    result = replace(result, values=values, fval=cost(values))
    curve = profile(cost, result, "a", points=[0.5])
    assert not curve.valid.any()
    assert all(np.isnan(end) for end in curve.interval())


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("z",), ValueError, "unknown parameter z; the fit has: a, b, c"),
        ((("a", "a"),), ValueError, "names must be a parameter, or two different ones"),
        ((("a", "b", "c"),), ValueError, "names must be a parameter, or two different ones"),
    ],
)
def test_names_of_another_form_are_refused(parabola, arguments, kind, message):
    for function in (scan, profile):
        with pytest.raises(kind, match=message):
            function(*parabola, *arguments)


@pytest.mark.parametrize(
    ("names", "keywords", "message"),
    [
        ("a", {"points": 1}, "whole number of at least 2"),
        ("a", {"points": [0.5, 0.5]}, "one or more different finite numbers"),
        ("a", {"points": [0.5, 0.6], "range": (0, 1)}, "either the points of a themselves"),
        ("a", {"range": (1, 0)}, "range of a must be its lowest and highest value"),
        (("a", "b"), {"points": (3, 4, 5)}, "once, or one for each of a, b"),
    ],
)
def test_grids_of_another_form_are_refused(parabola, names, keywords, message):
    with pytest.raises(ValueError, match=message):
        scan(*parabola, names, **keywords)


def test_points_beyond_a_limit_are_refused():
    cost = jp.GaussianConstraint("a", 1.0, 0.1)
    result = jp.fit(cost, {"a": P(1.0, lower=0.0)})
    with pytest.raises(ValueError, match=r"points of a must be within its limits \[0, inf\], got -1 to 2"):
        scan(cost, result, "a", range=(-1, 2))


def test_results_of_other_costs_and_other_things_are_refused(parabola):
    cost, result = parabola
    other = jp.GaussianConstraint(NAMES, MEAN + 1, covariance=COVARIANCE)
    for function in (profile, scan, minos):
        with pytest.raises(ValueError, match="result is not a fit of this cost"):
            function(other, result, "a")
        with pytest.raises(TypeError, match="result must be a FitResult"):
            function(cost, {"a": 1.0}, "a")
    with pytest.raises(ValueError, match="result is not a fit of this cost"):
        contour(other, result, "a", "b")
    with pytest.raises(ValueError, match="result is not a fit of this cost"):
        weak_directions(result, other)
    with pytest.raises(ValueError, match="names has z, which the fit does not vary; free: a, b, c"):
        minos(cost, result, ["a", "z"])
    bad = replace(result, valid=False, message="no minimum")
    with pytest.raises(ValueError, match="MINOS starts from a valid minimum, and the fit has none: no minimum"):
        minos(cost, bad)
    with pytest.raises(ValueError, match="a contour goes around a valid minimum"):
        contour(cost, bad, "a", "b")
    with pytest.raises(ValueError, match="cl must be a probability below 1 or a number of standard deviations"):
        profile(cost, result, "a", points=3).interval(-1)


# Contours


def area(polygon):
    x, y = polygon[:-1].T
    return 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))


@pytest.mark.parametrize("cl", [0.68, 0.95, 2])
def test_the_contour_of_a_parabola_is_the_ellipse(parabola, cl):
    cost, result = parabola
    ring = contour(cost, result, "a", "c", cl=cl, points=100)
    p = 0.9544997361036416 if cl == 2 else cl
    assert ring.cl == pytest.approx(p, abs=1e-12)
    assert ring.points.shape == (101, 2)
    np.testing.assert_array_equal(ring.points[0], ring.points[-1])
    block = COVARIANCE[np.ix_([0, 2], [0, 2])]
    away = ring.points - MEAN[[0, 2]]
    np.testing.assert_allclose(
        np.einsum("ki,ij,kj->k", away, np.linalg.inv(block), away), -2 * np.log(1 - p), rtol=1e-4
    )
    exact = np.pi * -2 * np.log(1 - p) * np.linalg.det(block) ** 0.5
    assert area(ring.points) == pytest.approx(exact, rel=2e-3)
    assert f"joint {p:.4g} confidence region" in str(ring)


@pytest.mark.parametrize("cl", [0.3, 0.68, 0.95])
def test_the_contour_of_a_bent_valley_encloses_the_region_counted_on_a_grid(valley, cl):
    cost, result = valley
    ring = contour(cost, result, "a", "b", cl=cl, points=200).points
    # c at its minimum is sin(a b) / 1.09.
    a, b = np.meshgrid(np.linspace(-1, 3, 2001), np.linspace(-1, 6, 3501), indexing="ij")
    rise = (2 * a - 2) ** 2 + 25 * (b - a**2) ** 2 + np.sin(a * b) ** 2 * 0.09 / 1.09 - result.fval
    inside = rise < -2 * np.log(1 - cl)
    assert area(ring) == pytest.approx(inside.sum() * 0.002**2, rel=2e-3)
    for axis, values in enumerate((a[inside], b[inside])):
        assert ring[:, axis].max() == pytest.approx(values.max(), abs=8e-3)
        assert ring[:, axis].min() == pytest.approx(values.min(), abs=8e-3)
    if cl == 0.3:  # MINUIT's crosses itself at 0.68, and there is none at 0.95.
        minuit = jp.minimizer(cost, result)
        minuit.migrad()
        theirs = minuit.mncontour("a", "b", cl=cl, size=100)
        assert area(ring) == pytest.approx(abs(area(theirs)), rel=1e-2)
        np.testing.assert_allclose(ring.max(axis=0), theirs.max(axis=0), atol=2e-3)


def crescent(p, d):
    """A modulus that is known well and a phase that is not, in real and imaginary part."""
    return jnp.hypot(p["re"], p["im"]) / 0.1 * d["e0"] + jnp.arctan2(p["im"], p["re"]) / 0.7 * d["e1"]


def test_the_contour_of_a_crescent_has_its_area():
    cost = jp.ChiSquared(crescent, {"e0": [1.0, 0.0], "e1": [0.0, 1.0]}, [10.0, 0.0], [1.0, 1.0])
    result = jp.fit(cost, {"re": 0.8, "im": 0.1})
    ring = contour(cost, result, "re", "im", cl=0.95, points=400)
    # An ellipse in modulus and phase, of mean modulus 1.
    assert area(ring.points) == pytest.approx(np.pi * -2 * np.log(0.05) * 0.1 * 0.7, rel=1e-3)
    z = ring.points @ [1, 1j]
    rise = ((np.abs(z) - 1) / 0.1) ** 2 + (np.angle(z) / 0.7) ** 2
    np.testing.assert_allclose(rise, -2 * np.log(0.05), rtol=1e-3)
    assert ring.points[:, 0].min() < 0


def test_a_limit_cuts_the_contour():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": P(1.0, upper=1.1), "b": 2.0, "c": -3.0})
    ring = contour(cost, result, "a", "b", points=64).points
    assert ring[:, 0].max() == pytest.approx(1.1, abs=1e-9)
    away = ring - MEAN[:2]
    rise = np.einsum("ki,ij,kj->k", away, np.linalg.inv(COVARIANCE[:2, :2]), away) / 2
    inside = ring[:, 0] < 1.1 - 1e-9
    np.testing.assert_allclose(rise[inside], -np.log(0.32), rtol=1e-3)
    assert (rise[~inside] < -np.log(0.32)).all()
    assert 3 < (~inside).sum() < 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": "a", "b": "z"}, "unknown parameter z"),
        ({"a": "a", "b": "a"}, "a and b must be different parameters"),
        ({"a": "a", "b": "b", "cl": 0}, "cl must be a probability below 1"),
        ({"a": "a", "b": "b", "points": 4}, "whole number of at least 8"),
    ],
)
def test_contours_of_another_form_are_refused(parabola, arguments, message):
    with pytest.raises(ValueError, match=message):
        contour(*parabola, **arguments)


def test_contours_need_free_parameters_and_a_rise(parabola):
    cost, _ = parabola
    fixed = jp.fit(cost, {"a": 1.0, "b": 2.0, "c": -3.0}, fixed="c")
    with pytest.raises(ValueError, match="c is fixed in the fit: it has no contour"):
        contour(cost, fixed, "a", "c")

    def bounded(p, d):
        return jnp.exp(-1 / (1 + 1 / (p["a"] ** 2 + p["b"] ** 2 + 1e-300))) + 0 * d["x"]

    low = jp.UnbinnedNLL(bounded, {"x": np.zeros(1)}) + jp.GaussianConstraint("a", 0.0, 1e5)
    result = jp.fit(low, {"a": 1e-3, "b": 1e-3})
    with pytest.raises(RuntimeError, match="there is no contour of a and b: the cost does not rise so far"):
        contour(low, result, "a", "b")


# Weak directions and correlations


def test_the_weak_direction_of_two_parameters_is_their_sum_or_difference():
    for sign in (1, -1):
        rho_ = sign * 0.9999
        cost = jp.GaussianConstraint(("a", "b"), [0, 0], covariance=[[4.0, 2 * rho_ * 3], [2 * rho_ * 3, 9.0]])
        result = jp.fit(cost, {"a": 1.0, "b": 1.0})
        for found in (weak_directions(result), weak_directions(result, cost)):
            (weak,) = found
            assert weak.eigenvalue == pytest.approx(1e-4, rel=1e-6)
            assert weak.inflation == pytest.approx(100, rel=1e-6)
            assert weak.parts["a"] * weak.parts["b"] == pytest.approx(sign / 2)
            # The step of one standard deviation along the long axis, in standard deviations of each.
            assert abs(weak.steps["a"]) / 2 == pytest.approx(abs(weak.steps["b"]) / 3)
            assert abs(weak.steps["a"]) == pytest.approx(2, rel=1e-3)
    assert len(weak_directions(result, threshold=1e-5)) == 0


def test_a_step_along_a_weak_direction_raises_the_cost_by_errordef(valley):
    cost, result = valley
    hessian = cost.hessian(result.values)
    names = list(result.values)
    for weak in weak_directions_of(hessian, names, 1.5, cost.errordef):
        step = np.array([weak.steps.get(n, 0.0) for n in names])
        assert 0.5 * step @ hessian @ step == pytest.approx(cost.errordef, rel=0.05)


def test_units_do_not_matter_for_weak_directions(parabola):
    _, result = parabola
    scale = np.array([1.0, 1e6, 1e-6])
    weak = weak_directions_of(PRECISION, NAMES, 1.0)
    again = weak_directions_of(PRECISION / np.outer(scale, scale), NAMES, 1.0)
    for one, other in zip(weak, again, strict=True):
        assert other.eigenvalue == pytest.approx(one.eigenvalue, rel=1e-8)
        assert other.parts == pytest.approx(one.parts)


def test_a_flat_direction_is_found_where_the_fit_is_not_valid():
    def both(p, d):
        return (p["a"] + 2 * p["b"]) * d["x"] + p["c"]

    cost = jp.ChiSquared(both, {"x": [1.0, 2.0, 3.0]}, [1.0, 2.1, 2.9], [0.1] * 3)
    with pytest.warns(jp.ConvergenceWarning):
        result = jp.fit(cost, {"a": 0.5, "b": 0.1, "c": 0.0})
    (weak,) = weak_directions(result, cost, threshold=1e-6)
    assert abs(weak.eigenvalue) < 1e-12
    assert weak.inflation == np.inf or weak.inflation > 1e6
    assert weak.parts["a"] == pytest.approx(-weak.parts["b"])
    assert set(weak.parts) == {"a", "b"}
    with pytest.raises(ValueError, match="the result has no covariance matrix"):
        weak_directions(result)
    with pytest.raises(ValueError, match="the result has no covariance matrix"):
        correlations(result)


def test_parameters_that_did_not_move_take_no_part():
    cost = jp.GaussianConstraint(NAMES, MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": 1.0, "b": 2.0, "c": P(-2.5, lower=-2.8)})
    assert set(global_correlations(result)) == {"a", "b"}
    assert set(weak_directions(result, threshold=1)[0].parts) == {"a", "b"}
    assert set(weak_directions(result, cost, threshold=1)[0].parts) == {"a", "b"}
    fixed = jp.fit(cost, {"a": 1.0, "b": 2.0, "c": -3.0}, fixed=["b", "c"])
    assert global_correlations(fixed) == {"a": pytest.approx(0, abs=1e-7)}
    assert correlations(fixed).pairs == ()


def test_global_correlations_are_those_of_the_regression_on_all_others(parabola):
    _, result = parabola
    found = global_correlations(result)
    for i, name in enumerate(NAMES):
        others = [j for j in range(3) if j != i]
        mixed = COVARIANCE[i, others]
        squared = mixed @ np.linalg.solve(COVARIANCE[np.ix_(others, others)], mixed) / COVARIANCE[i, i]
        assert found[name] == pytest.approx(squared**0.5, rel=1e-6)
    sigma = np.sqrt(np.diag(COVARIANCE))
    pairs = correlations(result, above=0.3).pairs
    assert pairs == (
        ("a", "b", pytest.approx(COVARIANCE[0, 1] / sigma[0] / sigma[1])),
        ("b", "c", pytest.approx(COVARIANCE[1, 2] / sigma[1] / sigma[2])),
    )
    assert correlations(result).pairs == ()


def test_thresholds_out_of_range_are_refused(parabola):
    _, result = parabola
    with pytest.raises(ValueError, match="threshold must be between 0 and 1"):
        weak_directions(result, threshold=2)
    with pytest.raises(ValueError, match="above must be between 0 and 1"):
        correlations(result, above=-1)
    source = nll(Decay())
    outside = jp.fit(source, {"a": 1.0})
    with pytest.raises(TypeError, match="no exact second derivatives"):
        weak_directions(outside, source)


def test_records_print_and_become_tables(parabola):
    cost, result = parabola
    one, two = profile(cost, result, "a", points=5), scan(cost, result, ("a", "b"), points=3)
    ring = contour(cost, result, "a", "b", points=8)
    weak, pairs = weak_directions(result, threshold=1), correlations(result, above=0.1)
    for record in (one, two, ring, weak, pairs):
        assert len(str(record).splitlines()) > 4
        assert record._repr_html_().count("<tr>") > 1
    assert list(one.to_pandas()) == ["a", "delta", "valid", "b", "c"]
    frame = two.to_pandas().set_index(["a", "b"])["delta"].to_numpy().reshape(3, 3)
    np.testing.assert_array_equal(frame, two.delta)
    assert list(ring.to_pandas()) == ["a", "b"]
    assert list(weak.to_pandas()["direction"].unique()) == [0, 1, 2][: len(weak)]
    assert len(pairs.to_pandas()) == 3


def test_the_tangent_of_minima_leads_to_the_next_one(parabola):
    cost, result = parabola
    fitted = Fitted.make(cost, result, ("a",))
    held = fitted.positions(["a"])
    moved = fitted.moved(fitted.best, held, np.array([1.4]))
    exact = MEAN + COVARIANCE[0] / COVARIANCE[0, 0] * 0.4
    np.testing.assert_allclose(moved, exact, atol=2e-3)


def test_tied_parameters_are_not_explored_but_follow(sample, tmp_path):
    plain = jp.UnbinnedNLL(normal, {"x": sample})
    cost = plain.tied(mean=lambda p: p["k"] * p["width"])
    result = jp.fit(cost, {"k": 0.4, "width": 1.5}, tolerance=1e-4)
    assert result.tied == ("mean",)
    curve = profile(cost, result, "k", points=7)
    for k, delta, width in zip(curve.grid, curve.delta, curve.others["width"], strict=True):
        found = minimize(lambda w, k=k: normal_numpy(k * w[0], w[0], sample), [width], tol=1e-12)
        assert delta == pytest.approx(found.fun - result.fval, abs=1e-4)
    assert set(curve.others) == {"width"}
    assert set(global_correlations(result)) == {"k", "width"}
    for one in (result, loaded(result, tmp_path)):
        assert minos(cost, one, "k").minos["k"] == pytest.approx(
            np.array(profile(cost, one, "k").interval()) - result.values["k"], rel=1e-3
        )
        with pytest.raises(ValueError, match="unknown parameter mean; the fit has: k, width. mean follows from others"):
            profile(cost, one, "mean")


def test_a_result_without_a_minimum_can_be_scanned_over_a_range():
    def both(p, d):
        return (p["a"] + 2 * p["b"]) * d["x"]

    cost = jp.ChiSquared(both, {"x": [1.0, 2.0, 3.0]}, [1.0, 2.1, 2.9], [0.1] * 3)
    with pytest.warns(jp.ConvergenceWarning):
        result = jp.fit(cost, {"a": 0.5, "b": 0.1})
    # Along a the other parameter makes up for it, so that the profile is flat.
    curve = profile(cost, result, "a", range=(-1.0, 1.0), points=5)
    np.testing.assert_allclose(curve.delta, 0, atol=1e-3)
    assert scan(cost, result, "a", range=(-1.0, 1.0), points=5).delta.max() > 10
    with pytest.raises(ValueError, match="a has no error in the result"):
        profile(cost, result, "a")
