"""Costs against formulas in plain numpy, and the field cases O01-O06, O17-O19, O22, O23."""

import numpy as np
import pandas as pd
import pytest
from models import central_gradient, gauss, gauss_nll, gauss_sample, rho, rho_events, rho_numpy
from scipy import stats

import jax
import jax.numpy as jnp

import jaxpwa as jp


def line(p, d):
    return p["A"] * d["x"]


def exponential(p, d):
    return p["b"] * jnp.exp(-p["a"] * d["x"])


def constant(p, d):
    return p["A"] * jnp.ones_like(d["x"])


def check_derivatives(cost, point, rtol=1e-6):
    gradient = cost.value_and_grad(point)[1]
    expected = central_gradient(cost, point)
    np.testing.assert_allclose(list(gradient.values()), list(expected.values()), rtol=rtol, atol=1e-6)
    hessian = cost.hessian(point)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-9, atol=1e-9)
    for i, name in enumerate(point):
        row = central_gradient(lambda p, name=name: cost.value_and_grad(p)[1][name], point, 1e-5)
        np.testing.assert_allclose(hessian[i], list(row.values()), rtol=rtol, atol=1e-5 * np.abs(hessian).max())


def test_extended_likelihood_with_negative_weights_and_weighted_mc_matches_numpy():
    rng = np.random.default_rng(2)
    x, w = rng.uniform(0.5, 2, 900), rng.normal(0.8, 0.6, 900)
    m, v = rng.uniform(0.5, 2, 1700), rng.normal(1, 0.4, 1700)
    cost = jp.ExtendedNLL(exponential, jp.Dataset({"x": x}, w), jp.Dataset({"x": m}, v), 4000)
    p = {"a": 0.7, "b": 2.0}
    expected = -np.sum(w * np.log(2 * np.exp(-0.7 * x))) + np.sum(v * 2 * np.exp(-0.7 * m)) / 4000
    assert cost(p) == pytest.approx(expected, rel=1e-13)
    check_derivatives(cost, p)


def test_normalised_likelihood_divides_by_the_weighted_mc_mean():
    rng = np.random.default_rng(3)
    x, w = rng.uniform(0, 2, 500), rng.normal(0.8, 0.6, 500)
    m, v = rng.uniform(0, 2, 3000), rng.uniform(0.5, 1.5, 3000)
    cost = jp.UnbinnedNLL(exponential, jp.Dataset({"x": x}, w), normalization_mc=jp.Dataset({"x": m}, v))
    p = {"a": 0.7, "b": 2.0}
    mean = np.average(2 * np.exp(-0.7 * m), weights=v)
    expected = -np.sum(w * (np.log(2 * np.exp(-0.7 * x)) - np.log(mean)))
    assert cost(p) == pytest.approx(expected, rel=1e-12)
    assert cost({"a": 0.7, "b": 9.0}) == pytest.approx(expected, rel=1e-11)
    check_derivatives(cost, p)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float64])
def test_poisson_cost_is_half_the_deviance_for_counts_of_any_type(dtype):
    """O18."""
    bins = {"mu": [4.0, 4.0, 2.5]}
    cost = jp.BinnedNLL(lambda p, d: p["s"] * d["mu"], bins, np.array([3, 5, 2], dtype))
    assert 2 * cost({"s": 1.0}) == pytest.approx(0.6127688731745733, rel=1e-13)
    n, mu = np.array([3, 5, 2]), 1.3 * np.array(bins["mu"])
    saturated = stats.poisson.logpmf(n, n).sum()
    assert cost({"s": 1.3}) == pytest.approx(saturated - stats.poisson.logpmf(n, mu).sum(), rel=1e-12)
    check_derivatives(cost, {"s": 1.3})
    assert jp.fit(cost, {"s": 0.2}).values["s"] == pytest.approx(10 / 10.5, rel=1e-6)


def test_empty_bins_count_their_expectation_and_never_give_nan():
    """O19 (b)."""
    cost = jp.BinnedNLL(lambda p, d: p["s"] * d["mu"], {"mu": [0.0, 2.0, 3.0]}, [0, 0, 3])
    assert cost({"s": 1.0}) == pytest.approx(2.0, rel=1e-14)
    value, gradient = cost.value_and_grad({"s": 2.0})
    assert value == pytest.approx(4 + 6 - 3 + 3 * np.log(0.5), rel=1e-13)
    assert gradient["s"] == pytest.approx(2 + 3 - 1.5, rel=1e-13)
    hopeless = jp.BinnedNLL(lambda p, d: p["s"] * d["mu"], {"mu": [0.0, 2.0]}, [3, 1])
    with pytest.warns(jp.JaxpwaWarning, match=r"intensity is 0 for 1 of 2 bins events \(first: event 0\)"):
        assert hopeless({"s": 1.0}) == np.inf
    with pytest.raises(ValueError, match="intensity is negative for 1 of 3 bins events"):
        jp.BinnedNLL(lambda p, d: p["s"] * d["mu"], {"mu": [-1.0, 2.0, 3.0]}, [0, 1, 3])({"s": 1.0})


def test_chi_squared_divides_by_the_variance():
    """O19 (c): 20, where PyPWA's own formula gives 6."""
    points = {"model": [5.0, 1.0, 9.0]}
    cost = jp.ChiSquared(lambda p, d: p["s"] * d["model"], points, [4, 2, 9], [0.5, 0.25, 1])
    assert cost({"s": 1.0}) == pytest.approx(20.0, rel=1e-14)
    assert cost.errordef == 1.0
    check_derivatives(cost, {"s": 1.1})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m, b: jp.ChiSquared(m, b, [1, 2], [1, 0]),
            "sigma must be positive: row 1 is 0.0. Leave empty bins out",
        ),
        (lambda m, b: jp.ChiSquared(m, b, [1, np.nan], [1, 1]), "observed must be finite: row 1 is nan"),
        (lambda m, b: jp.ChiSquared(m, b, [1], [1, 1]), "observed must have one entry per row: got 1 for 2 rows"),
        (lambda m, b: jp.ChiSquared(m, b, [[1, 2]], [1, 1]), r"observed must have shape \(rows,\)"),
        (lambda m, b: jp.BinnedNLL(m, b, [1, -2]), "counts must not be negative: row 1 is -2"),
        (lambda m, b: jp.BinnedNLL(m, b, [0, 0]), "counts are 0 in every bin"),
        (lambda m, b: jp.BinnedNLL(m, b, "n"), "unknown column 'n'"),
        (lambda m, b: jp.ExtendedNLL(m, b, b, 0), "n_generated must be a positive number, .*got 0"),
        (lambda m, b: jp.ExtendedNLL(m, b, b, -3), "n_generated must be a positive number, .*got -3"),
        (lambda m, b: jp.ExtendedNLL(m, b, b, np.nan), "n_generated must be a positive number"),
        (lambda m, b: jp.UnbinnedNLL(m, b, normalization_mc=jp.Dataset(b, [1, -1])), "must have a positive sum, got 0"),
        (lambda m, b: jp.UnbinnedNLL(m, b, parameters=["q"]), "reads parameter 'A', which is not among those given: q"),
        (lambda m, b: jp.UnbinnedNLL(m, b) * -1, "multiplied by a positive number only"),
    ],
)
def test_bad_arguments_of_costs_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(line, {"x": [1.0, 2.0]})


def test_wrong_kinds_of_arguments_are_named():
    with pytest.raises(TypeError, match="parameters must be a sequence of names, got the string 'A'"):
        jp.UnbinnedNLL(line, {"x": [1.0]}, parameters="A")
    with pytest.raises(TypeError, match="counts must be real numbers"):
        jp.BinnedNLL(line, {"x": [1.0]}, ["a"])
    with pytest.raises(TypeError, match="unsupported operand"):
        jp.UnbinnedNLL(line, {"x": [1.0]}) + 3
    with pytest.raises(TypeError, match="can't multiply|unsupported operand"):
        jp.UnbinnedNLL(line, {"x": [1.0]}) * "2"


def test_an_event_of_zero_intensity_makes_the_cost_infinite_and_is_named():
    """O01 (a)."""
    cost = jp.ExtendedNLL(line, {"x": [0, 0.25, 0.5]}, {"x": [0.2, 0.4, 0.6, 0.8]}, 4)
    with pytest.warns(jp.JaxpwaWarning, match=r"intensity is 0 for 1 of 3 data events \(first: event 0\), at A=2"):
        assert cost({"A": 2.0}) == np.inf
    with pytest.raises(ValueError, match=r"not finite at the start: intensity is 0 for 1 of 3 data events"):
        jp.fit(cost, {"A": 2.0})


def test_an_event_of_zero_intensity_and_zero_weight_counts_zero():
    """O01 (b)."""
    data = jp.Dataset({"x": [0, 0.25, 0.5]}, [0, 1, 1])
    cost = jp.ExtendedNLL(line, data, {"x": [0.2, 0.4, 0.6, 0.8]}, 4)
    value, gradient = cost.value_and_grad({"A": 2.0})
    assert value == pytest.approx(1.6931471805599454, rel=1e-14)
    assert gradient["A"] == pytest.approx(-0.5, rel=1e-14)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0, -2.0, -3.0], r"intensity is negative for 2 of 3 data events \(first: event 1\), at A=1"),
        ([1.0, 2.0, 1e308], r"intensity is NaN or infinite for 1 of 3 data events \(first: event 2\)"),
    ],
)
def test_negative_and_infinite_intensities_are_refused_with_the_event(x, message):
    model = line if min(x) < 0 else (lambda p, d: p["A"] * d["x"] * 100)
    with pytest.raises(ValueError, match=message):
        jp.UnbinnedNLL(model, {"x": x})({"A": 1.0})


def test_a_normalisation_that_is_not_positive_is_named():
    cost = jp.UnbinnedNLL(line, {"x": [1.0]}, normalization_mc={"x": [1.0, -1.0, 0.0]})
    with pytest.raises(ValueError, match="the sum of the intensity over normalization_mc is not positive"):
        (cost + jp.GaussianConstraint("A", 1, 1))({"A": 1.0})


def test_negative_weights_leave_the_estimate_as_it_is_and_its_error_is_that_of_the_weights():
    """O03: the error is sqrt(sum w^2), by the default formula and, with sum w / sum w^2, by the naive one."""
    weights = np.array([1, 1, 1, -0.5])
    data = jp.Dataset({"x": np.zeros(4)}, weights)
    cost = jp.ExtendedNLL(constant, data, {"x": np.zeros(7)}, 7)
    assert cost({"A": 2.5}) == pytest.approx(0.20927317031461223, rel=1e-14)
    alpha = weights.sum() / (weights**2).sum()
    for factor in (1.0, alpha):
        result = jp.fit(factor * cost, {"A": 1.0})
        assert result.values["A"] == pytest.approx(2.5, abs=1e-4)
        assert result.errors["A"] == pytest.approx(1.8027756377319946, abs=1e-3)
    naive = jp.fit(cost, {"A": 1.0}, covariance="hessian")
    assert naive.errors["A"] == pytest.approx(1.58113883, abs=1e-3)
    scaled = jp.fit(alpha * cost, {"A": 1.0}, covariance="hessian")
    assert scaled.errors["A"] == pytest.approx(1.8027756377319946, abs=1e-3)


@pytest.mark.parametrize(("n_generated", "expected"), [(None, 10.0), (3, 10.0), (10, 33.3333333), (1, 3.3333333)])
def test_the_number_generated_sets_the_scale_and_one_means_one(n_generated, expected):
    """O04."""
    cost = jp.ExtendedNLL(line, {"x": [0.1, 0.2, 0.3, 0.4]}, {"x": [0.2, 0.4, 0.6]}, n_generated)
    assert jp.fit(cost, {"A": 1.0}).values["A"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("order", [("b", "a"), ("a", "b")])
@pytest.mark.parametrize("style", ["by name", "by position", "renamed"])
def test_parameters_keep_their_names_in_any_order(order, style):
    """O06."""
    values = {"a": 0.5, "b": 3.0}
    if style == "by position":
        i, j = order.index("a"), order.index("b")
        cost = jp.UnbinnedNLL(lambda p, d: list(p.values())[j] * jnp.exp(-list(p.values())[i] * d["x"]), {"x": [1, 2]})
        assert cost.parameters is None
        with pytest.raises(ValueError, match="name them first"):
            cost.as_function()
    else:
        cost = jp.UnbinnedNLL(exponential, {"x": [1, 2]})
    params = {name: values[name] for name in order}
    assert cost(params) == pytest.approx(-0.6972245773362196, rel=1e-14)
    gradient = cost.value_and_grad(params)[1]
    assert gradient["a"] == pytest.approx(3.0)
    assert gradient["b"] == pytest.approx(-2 / 3)
    minuit = jp.minimizer(cost, params)
    assert minuit.parameters == order
    assert dict(zip(minuit.parameters, minuit.values, strict=True)) == params
    assert minuit.fcn(list(minuit.values)) == pytest.approx(-0.6972245773362196)
    matrix = cost.hessian(params)
    assert matrix[order.index("b"), order.index("b")] == pytest.approx(2 / 9)


def test_names_that_sort_differently_are_not_mixed_up():
    names = ["Z1", "a2", "A10", "A2"]
    cost = jp.UnbinnedNLL(lambda p, d: sum(k * p[n] for k, n in enumerate(names, 1)) * d["x"], {"x": [1.0]})
    for order in (names, sorted(names), names[::-1]):
        params = {n: 1.0 + names.index(n) for n in order}
        assert cost(params) == pytest.approx(-np.log(1 + 4 + 9 + 16))
        assert list(jp.fit(cost + jp.GaussianConstraint(names, [1, 2, 3, 4], [1] * 4), params).values) == list(order)


def test_missing_extra_and_impossible_parameters_are_named():
    cost = jp.UnbinnedNLL(exponential, {"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="the cost needs parameter a; given: b"):
        cost({"b": 1.0})
    with pytest.raises(ValueError, match="unknown parameter limit_a; this cost depends on: b, a"):
        cost({"b": 1.0, "a": 1.0, "limit_a": 3.0})
    with pytest.raises(ValueError, match="start does not fit the cost: unknown parameter c"):
        jp.fit(cost, {"a": 1, "b": 1, "c": 1})
    with pytest.raises(TypeError, match="params must map names to numbers, like {'b': 1.0}, got list"):
        cost([1.0, 2.0])
    with pytest.raises(TypeError, match=r"parameter 'a' must be one real number, got \(1\+2j\).*two parameters"):
        cost({"a": 1 + 2j, "b": 1.0})
    with pytest.raises(TypeError, match="parameter 'a' must be one real number, got 'one'"):
        cost({"a": "one", "b": 1.0})
    with pytest.raises(TypeError, match=r"parameter 'a' must be one real number, got \[1, 2\]"):
        cost({"a": [1, 2], "b": 1.0})
    with pytest.raises(ValueError, match="parameter 'a' is NaN"):
        cost({"a": np.nan, "b": 1.0})


def test_sums_share_parameters_by_name():
    x, y = gauss_sample(400)["x"], gauss_sample(300, seed=9)["x"]

    def narrow(p, d):
        return jnp.exp(-(((d["x"] - p["mean"]) / p["w1"]) ** 2)) / p["w1"]

    def wide(p, d):
        return jnp.exp(-(((d["x"] - p["mean"]) / p["w2"]) ** 2)) / p["w2"]

    a, b = jp.UnbinnedNLL(narrow, {"x": x}), jp.UnbinnedNLL(wide, {"x": y})
    prior = jp.GaussianConstraint("mean", 10.0, 0.05)
    total = a + b + prior
    p = {"mean": 9.9, "w1": 3.0, "w2": 2.5}
    alone = a({"mean": 9.9, "w1": 3.0}) + b({"mean": 9.9, "w2": 2.5}) + 0.5 * (0.1 / 0.05) ** 2
    assert total(p) == pytest.approx(alone, rel=1e-14)
    assert total.ndata == 700
    assert total.errordef == 0.5
    assert sum([a, b, prior])(p) == pytest.approx(alone, rel=1e-14)
    check_derivatives(total, p)
    result = jp.fit(total, p)
    precision = 400 * 2 / result.values["w1"] ** 2 + 300 * 2 / result.values["w2"] ** 2 + 1 / 0.05**2
    assert result.errors["mean"] == pytest.approx(precision**-0.5, rel=2e-2)


def test_chi_squared_in_a_sum_with_a_likelihood_enters_halved():
    points = {"model": [5.0, 1.0]}
    chi2 = jp.ChiSquared(lambda p, d: p["s"] * d["model"], points, [4, 2], [0.5, 0.25])
    both = chi2 + jp.GaussianConstraint("s", 1.0, 0.5)
    assert both.errordef == 0.5
    assert both({"s": 1.0}) == pytest.approx(chi2({"s": 1.0}) / 2)
    assert (chi2 + chi2).errordef == 1.0
    alone, doubled = jp.fit(chi2, {"s": 1.0}), jp.fit(0.5 * chi2 + 0.5 * chi2, {"s": 1.0})
    assert alone.errors["s"] == pytest.approx((1 / (25 / 0.25 + 1 / 0.0625)) ** 0.5, rel=1e-9)
    assert doubled.errors["s"] == pytest.approx(alone.errors["s"], rel=1e-9)


def test_gaussian_constraint_matches_scipy_with_correlations():
    mean, cov = np.array([1.0, -2.0]), np.array([[0.04, 0.01], [0.01, 0.09]])
    cost = jp.GaussianConstraint(["a", "b"], mean, covariance=cov)
    normal = stats.multivariate_normal(mean, cov)
    p = {"a": 1.3, "b": -1.9}
    assert cost(p) == pytest.approx(normal.logpdf(mean) - normal.logpdf([1.3, -1.9]), rel=1e-12)
    result = jp.fit(cost, p)
    np.testing.assert_allclose(result.covariance, cov, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(names="a", mean=1), "give either sigma or covariance"),
        (dict(names="a", mean=1, sigma=1, covariance=[[1]]), "give either sigma or covariance"),
        (dict(names="a", mean=1, sigma=0), "sigma must be 1 positive number"),
        (dict(names=["a", "b"], mean=[1, 2], sigma=[1]), "sigma must be 2 positive number"),
        (dict(names=["a", "b"], mean=[1], sigma=[1, 1]), "mean must be 2 number"),
        (dict(names=["a", "a"], mean=[1, 1], sigma=[1, 1]), "different parameter names"),
        (dict(names=["a", "b"], mean=[1, 1], covariance=[[1, 2], [2, 1]]), "positive definite"),
    ],
)
def test_bad_constraints_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        jp.GaussianConstraint(**arguments)


@pytest.mark.parametrize("normalization", ["direct", "auto"])
def test_the_traceable_function_takes_terms_on_different_devices(normalization):
    # Few events of data sit on one device, many of Monte Carlo on all, pseudo-events on the last.
    rng = np.random.default_rng(1)
    data, mc = {"x": rng.uniform(0, 1, 1000)}, {"x": rng.uniform(0, 1, 200_000)}
    cost = jp.ExtendedNLL(lambda p, d: p["a"] ** 2 + p["b"] ** 2 * d["x"], data, mc, normalization=normalization)
    cost = cost + jp.GaussianConstraint("a", 1.0, 0.1)
    p = {"a": 1.1, "b": 0.5}
    expected, slope = cost.value_and_grad(p)
    function, arrays = cost.as_function()
    for f in (function, jax.jit(function)):
        assert float(f(p, arrays)) == pytest.approx(expected, rel=1e-12)
        found = jax.grad(f)(p, arrays)
        assert [float(found[n]) for n in p] == pytest.approx(list(slope.values()), rel=1e-9)
    only = jp.GaussianConstraint("a", 1.0, 0.1)
    f, arrays = only.as_function()
    assert float(f({"a": 1.1}, arrays)) == pytest.approx(0.5)


def test_parameters_and_columns_can_be_merged_into_dicts():
    def merged(p, d):
        q, e = p | {"A4": 3.0}, {"y": 10.0} | d
        return gauss(q, e)

    sample = gauss_sample(100)
    params = {"A1": 9.0, "A2": 2.0, "A3": 10.0}
    assert jp.UnbinnedNLL(merged, sample)(params) == pytest.approx(gauss_nll(params | {"A4": 3.0}, **sample))


def test_constraints_by_name_are_refused_in_words():
    with pytest.raises(TypeError, match=r"mean must be one or more numbers, got \{'a': 0.1\}"):
        jp.GaussianConstraint({"a": 1.0}, {"a": 0.1})


def test_float32_columns_are_promoted_unless_asked_and_sums_are_float64():
    """O17."""
    frame = pd.DataFrame({"c": np.full(2_000_000, 0.001, np.float32)})

    def model(p, d):
        return p["s"] * jnp.exp(-d["c"])

    value = jp.UnbinnedNLL(model, frame)({"s": 1.0})
    assert isinstance(value, float)
    assert value == pytest.approx(2000.0000949949, abs=1e-6)
    single = jp.UnbinnedNLL(model, jp.Dataset(frame, dtype="float32"))({"s": 1.0})
    assert single == pytest.approx(2000.0202634805, abs=2e-2)


def test_integer_columns_do_not_overflow_and_booleans_can_be_weights():
    """O18."""
    x = np.array([100000, 2, 3], np.int32)
    data = jp.Dataset({"x": x}, weights=np.array([True, False, False]))
    assert -jp.UnbinnedNLL(lambda p, d: p["A"] * d["x"] ** 2, data)({"A": 1}) == pytest.approx(
        23.02585092994046, rel=1e-14
    )
    unsigned = jp.evaluate(lambda p, d: p["A"] * (d["n"] - 3), {"A": 1}, {"n": np.array([1, 2], np.uint8)})
    assert unsigned.tolist() == [-2, -1]


def test_gradients_are_finite_wherever_the_intensity_is_smooth():
    """O23: angles at the ends of their range, a coupling at zero."""

    def two_waves(p, d):
        return jnp.abs(p["r0"] + (p["r1"] + 1j * p["i1"]) * d["z"]) ** 2

    cost = jp.ExtendedNLL(two_waves, {"z": [1j]}, {"z": [1j]}, 1)
    value, gradient = cost.value_and_grad({"r0": 1.0, "r1": 0.0, "i1": 0.0})
    assert value == pytest.approx(1.0)
    # d/dI of (-ln I + I) is 0 at I = 1, whatever dI is: look at the Monte Carlo term alone as well.
    assert gradient == pytest.approx({"r0": 0.0, "r1": 0.0, "i1": 0.0}, abs=1e-14)
    halved = jp.ExtendedNLL(two_waves, {"z": [1j]}, {"z": [1j]}, 0.5)
    assert halved.value_and_grad({"r0": 1.0, "r1": 0.0, "i1": 0.0})[1] == pytest.approx({"r0": 2, "r1": 0, "i1": -2})
    angles = {"ctheta": [-0.5, 0.0, 0.999999], "tM": [-0.1, -0.2, 0.0], "psi": [0.0, np.pi / 2, np.pi]}
    with jax.debug_nans(True):
        value, gradient = jp.UnbinnedNLL(rho, angles).value_and_grad({"A1": 5.0, "A2": 0.3})
    assert np.isfinite([value, *gradient.values()]).all()


def test_one_event_at_the_edge_does_not_hide_in_a_finite_gradient():
    """O23: ctheta = 1 has intensity 0: infinite value, and said so."""
    events = {"ctheta": [0.1, 1.0], "tM": [-0.1, -0.1], "psi": [0.3, 0.2]}
    cost = jp.UnbinnedNLL(rho, events)
    with pytest.warns(jp.JaxpwaWarning, match=r"intensity is 0 for 1 of 2 data events \(first: event 1\)"):
        value, _ = cost.value_and_grad({"A1": 5.0, "A2": 0.3})
    assert value == np.inf


def test_rho_costs_have_the_published_values_and_derivatives(rho_folder):
    """O22 and REFERENCE 5.2."""
    data, mc = rho_events(rho_folder)
    plain = jp.UnbinnedNLL(rho, data)
    for (a1, a2), value in {(5, 0.375): -2150.120070190734, (100, 0.4): -9636.030610253632}.items():
        assert plain({"A1": a1, "A2": a2}) == pytest.approx(value, rel=1e-13)
    extended = jp.ExtendedNLL(rho, data, mc, 2499)
    point = {"A1": 5000.0, "A2": 0.3}
    value, gradient = extended.value_and_grad(point)
    assert value == pytest.approx(-17798.593051941993, rel=1e-13)
    assert list(gradient.values()) == pytest.approx([-0.17773386039102046, -128.153327327262], rel=1e-11)
    expected = [[9.996e-05, -6.28052742e-03], [-6.28052742e-03, 1242.82638]]
    np.testing.assert_allclose(extended.hessian(point), expected, rtol=1e-8)
    check_derivatives(extended, point)
    intensities = jp.evaluate(rho, {"A1": 100, "A2": 0.4}, mc)
    np.testing.assert_allclose(intensities, np.loadtxt(rho_folder / "RHOint_intensities.txt"), rtol=5e-15 * 10)
    np.testing.assert_allclose(intensities, rho_numpy(100, 0.4, mc), rtol=1e-13)
    assert intensities.max() == pytest.approx(134.21778482121053, rel=1e-14)


def test_real_negative_weights_are_summed_as_they_are(shared_data):
    """O03 on bench.parquet: weights from -3.58 to 1.03."""
    weights = jp.read(shared_data / "laddu" / "bench.parquet", columns="weight")["weight"].to_numpy()
    data = jp.Dataset({"x": np.full(len(weights), np.e)}, weights)
    assert jp.UnbinnedNLL(line, data)({"A": 1.0}) == pytest.approx(-4605.049910414848, rel=1e-9)


def test_a_cost_is_a_function_for_the_users_own_jax_code():
    sample = gauss_sample(5000)
    prior = jp.GaussianConstraint("A1", 10, 0.1)
    cost = (
        jp.UnbinnedNLL(gauss, jp.Dataset(sample, np.linspace(-1, 3, 5000)), normalization_mc=sample, devices=2) + prior
    )
    function, arrays = cost.as_function()
    p = {"A1": 9.5, "A2": 3.2, "A3": 10.4, "A4": 2.9}
    value, gradient = jax.jit(jax.value_and_grad(function))(p, arrays)
    expected_value, expected = cost.value_and_grad(p)
    assert float(value) == pytest.approx(expected_value, rel=1e-12)
    assert {k: float(v) for k, v in gradient.items()} == pytest.approx(expected, rel=1e-10)
    hessian = jax.jit(jax.hessian(function))(p, arrays)
    matrix = np.array([[float(hessian[a][b]) for b in p] for a in p])
    np.testing.assert_allclose(matrix, cost.hessian(p), rtol=1e-9, atol=1e-8)
    assert float(function(p, arrays)) == pytest.approx(cost(p), rel=1e-12)


def test_repr_tells_what_is_minimised():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(10)) + jp.GaussianConstraint("A1", 1, 1)
    assert repr(cost) == (
        "<UnbinnedNLL(gauss) + GaussianConstraint(A1): 10 entries, errordef 0.5; parameters: A1, A2, A3, A4>"
    )


def test_weighted_gauss_matches_its_closed_form():
    sample, w = gauss_sample(20_000), np.random.default_rng(8).normal(1, 2, 20_000)
    p = {"A1": 9.5, "A2": 3.2, "A3": 10.4, "A4": 2.9}
    assert jp.UnbinnedNLL(gauss, jp.Dataset(sample, w))(p) == pytest.approx(
        gauss_nll(p, weights=w, **sample), rel=1e-12
    )
