"""Fits: against plain gradient-free Migrad, published numbers, and the truth about every minimum."""

import warnings

import iminuit
import numpy as np
import pytest
from models import TRUE_GAUSS, gauss, gauss_nll, gauss_sample, rho, rho_events, rho_numpy

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.engine.sums import compiled_sum
from jaxpwa.inference.basin import judge
from jaxpwa.inference.fit import _off_the_saddle
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.parameters import ParameterTable

P = jp.Parameter
GAUSS_START = {"A1": P(1, lower=0.1), "A2": P(1, lower=1), "A3": P(1, lower=0.1), "A4": P(1, lower=1)}


def plain_migrad(function, start, limits=None, errordef=0.5):
    """Fit a function of named numbers with iminuit alone, numerical derivatives."""
    minuit = iminuit.Minuit(lambda *x: function(dict(zip(start, x, strict=True))), *start.values(), name=list(start))
    minuit.errordef = errordef
    for name, pair in (limits or {}).items():
        minuit.limits[name] = pair
    minuit.strategy = 2
    minuit.tol = 1e-3
    minuit.migrad()
    minuit.hesse()
    assert minuit.valid
    return minuit


@pytest.mark.parametrize("strategy", [0, 1, 2])
def test_the_gauss_fit_ends_where_plain_migrad_ends(strategy):
    sample = gauss_sample(20_000)
    result = jp.fit(jp.UnbinnedNLL(gauss, sample), GAUSS_START, strategy=strategy)
    plain = plain_migrad(lambda p: gauss_nll(p, **sample), TRUE_GAUSS)
    assert result.valid
    assert result.fval == pytest.approx(plain.fval, abs=1e-4)
    for name in TRUE_GAUSS:
        assert result.values[name] == pytest.approx(plain.values[name], abs=0.01 * plain.errors[name])
        assert result.errors[name] == pytest.approx(plain.errors[name], rel=2e-3)
    np.testing.assert_allclose(result.covariance, np.array(plain.covariance), rtol=5e-3, atol=1e-7)
    assert result.minuit.values.to_dict() == result.values
    assert result.calls["gradient"] > 0
    assert result.calls["hessian"] > 0


def test_the_unextended_rho_fit_has_the_published_numbers(rho_folder):
    data, _ = rho_events(rho_folder)
    result = jp.fit(jp.UnbinnedNLL(rho, data), {"A1": 5, "A2": 0.3}, fixed="A1", minos=True)
    assert result.values["A2"] == pytest.approx(0.375016577711, abs=1e-5)
    assert result.errors["A2"] == pytest.approx(0.0272666, abs=1e-6)
    assert result.fval == pytest.approx(-2150.12007038, abs=1e-6)
    assert result.minos["A2"] == pytest.approx((-0.027421, 0.027103), abs=2e-5)
    assert result.values["A1"] == 5.0
    assert result.errors["A1"] == 0.0
    assert result.fixed == ("A1",)


def test_the_extended_rho_fit_has_the_published_numbers(rho_folder):
    data, mc = rho_events(rho_folder)
    for start in ({"A1": 5000, "A2": 0.3}, {"A1": 50, "A2": P(0.3, 0, 1)}):
        result = jp.fit(jp.ExtendedNLL(rho, data, mc, 2499), start)
        assert result.values["A1"] == pytest.approx(7776.026071, abs=0.02)
        assert result.values["A2"] == pytest.approx(0.410462107, abs=1e-5)
        assert result.errors["A1"] == pytest.approx(155.604, abs=1e-2)
        assert result.errors["A2"] == pytest.approx(0.0266117, abs=1e-6)
        assert result.correlation[0, 1] == pytest.approx(0.02599, abs=1e-4)
        assert result.fval == pytest.approx(-18016.3192497, abs=1e-5)
        assert result.valid


def test_a_fixed_parameter_stays_to_the_last_bit_and_the_gradient_is_used(rho_folder):
    """O22."""
    data, mc = rho_events(rho_folder)
    cost = jp.ExtendedNLL(rho, data, mc, 2499)
    value = 0.1 + 0.2
    result = jp.fit(cost, {"A1": 5000, "A2": P(value, fixed=True)})
    assert result.values["A2"] == value
    for strategy in (0, 1, 2):
        free = jp.fit(cost, {"A1": 5000, "A2": 0.3}, strategy=strategy)
        plain = iminuit.Minuit(
            lambda a, b: -np.log(rho_numpy(a, b, data)).sum() + rho_numpy(a, b, mc).sum() / 2499, 5000, 0.3
        )
        plain.errordef = 0.5
        plain.strategy = strategy
        plain.migrad()
        assert free.minuit.ngrad > 0
        assert free.calls["value"] + free.calls["gradient"] < plain.nfcn


def test_a_parameter_at_its_limit_is_flagged_and_has_no_error(rho_folder):
    """O05 (b)."""
    data, _ = rho_events(rho_folder)
    cost = jp.UnbinnedNLL(rho, data)
    result = jp.fit(cost, {"A1": 5, "A2": P(0.45, 0.4, 1)}, fixed="A1", minos=True)
    assert result.valid
    assert result.values["A2"] == pytest.approx(0.4, abs=1e-4)
    assert result.fval == pytest.approx(-2149.69566, abs=1e-5)
    assert result.at_limit == ("A2",)
    assert np.isnan(result.errors["A2"])
    assert np.isnan(result.minos["A2"]).all()
    assert "A2 at a limit" in result.message
    assert "at limit" in str(result)
    control = jp.fit(cost, {"A1": 5, "A2": P(0.45, 0.2, 1)}, fixed="A1")
    assert control.at_limit == ()
    assert control.values["A2"] == pytest.approx(0.375017, abs=1e-5)
    assert control.errors["A2"] == pytest.approx(0.0272, abs=1e-4)


@pytest.mark.parametrize("start", [-1.0, 0.0, 1.0])
def test_a_parabola_beyond_the_limit_ends_at_the_limit(start):
    """O05 (a), from inside and from either limit."""
    cost = jp.ChiSquared(lambda p, d: p["p"] * d["one"], {"one": [1.0]}, [1.2], [1.0])
    result = jp.fit(cost, {"p": P(start, -1, 1)})
    assert result.values["p"] == pytest.approx(1, abs=1e-3)
    assert result.fval == pytest.approx(0.04, abs=1e-4)
    assert result.at_limit == ("p",)


def test_other_parameters_keep_conditional_errors_next_to_one_at_a_limit():
    sample = gauss_sample(5000)
    held = {**GAUSS_START, "A2": P(3.5, 3.3, 4)}
    result = jp.fit(jp.UnbinnedNLL(gauss, sample), held)
    assert result.at_limit == ("A2",)
    fixed = jp.fit(jp.UnbinnedNLL(gauss, sample), {**GAUSS_START, "A2": P(3.3, fixed=True)})
    assert result.errors["A1"] == pytest.approx(fixed.errors["A1"], rel=1e-6)
    assert result.covariance[1].tolist() == [0, 0, 0, 0]


def two_minima(p, d):
    """A quartic with a shallow minimum near -1 and a deep one near 1."""
    return jnp.exp(-40 * (p["x"] ** 2 - 1) ** 2 + 8 * p["x"]) * jnp.ones_like(d["one"])


def test_no_wrong_point_is_ever_called_valid_for_the_gauss():
    """From 500 random starts: every valid result is the minimum, and nearly all are valid."""
    sample = gauss_sample(500)
    cost = jp.UnbinnedNLL(gauss, sample)
    best = plain_migrad(lambda p: gauss_nll(p, **sample), TRUE_GAUSS)
    rng = np.random.default_rng(11)
    n_valid = n_refused = 0
    for _ in range(500):
        values = rng.uniform([0.1, 1, 0.1, 1], [20, 20, 20, 20])
        start = {n: P(v, lower=low) for n, v, low in zip(TRUE_GAUSS, values, (0.1, 1, 0.1, 1), strict=True)}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jp.ConvergenceWarning)
                result = jp.fit(cost, start)
        except ValueError as error:
            # e^-745 is the smallest double: far from a narrow Gauss the intensity is 0.
            assert "not finite at the start" in str(error)  # noqa: PT017
            n_refused += 1
            continue
        if result.valid:
            n_valid += 1
            assert result.fval == pytest.approx(best.fval, abs=1e-3)
            for name in TRUE_GAUSS:
                assert result.values[name] == pytest.approx(best.values[name], abs=0.05 * best.errors[name])
                assert result.errors[name] == pytest.approx(best.errors[name], rel=5e-3)
    assert n_valid + n_refused == 500
    assert n_refused < 25


def test_no_wrong_point_is_ever_called_valid_for_rho():
    rng = np.random.default_rng(4)
    events = {"ctheta": rng.uniform(-1, 1, 800), "psi": rng.uniform(-3, 3, 800), "tM": -rng.exponential(0.2, 800)}
    keep = rho_numpy(1, 0.5, events) > rng.random(800) * 1.5
    mc = {n: rng.permutation(v) for n, v in events.items()}
    data = {n: v[keep] for n, v in events.items()}
    cost = jp.ExtendedNLL(rho, data, mc)

    def by_hand(p):
        return -np.log(rho_numpy(p["A1"], p["A2"], data)).sum() + rho_numpy(p["A1"], p["A2"], mc).mean()

    best = plain_migrad(by_hand, {"A1": 300.0, "A2": 0.3})
    for a1, a2 in zip(10 ** rng.uniform(-1, 5, 500), rng.uniform(-0.99, 0.99, 500), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jp.ConvergenceWarning)
            result = jp.fit(cost, {"A1": a1, "A2": a2})
        if result.valid:
            assert result.fval == pytest.approx(best.fval, abs=1e-3)
            for name in ("A1", "A2"):
                assert result.values[name] == pytest.approx(best.values[name], abs=0.05 * best.errors[name])


def test_no_wrong_point_is_ever_called_valid_with_two_minima():
    cost = jp.UnbinnedNLL(two_minima, {"one": np.ones(3)})
    function = lambda x: 3 * (40 * (x**2 - 1) ** 2 - 8 * x)  # noqa: E731
    roots = np.sort(np.roots([160.0, 0, -160, -8]).real)
    minima = roots[[0, 2]]
    n_valid = 0
    for start in np.random.default_rng(5).uniform(-2, 2, 500):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jp.ConvergenceWarning)
            result = jp.fit(cost, {"x": start})
        if result.valid:
            n_valid += 1
            nearest = minima[np.argmin(abs(minima - result.values["x"]))]
            assert result.values["x"] == pytest.approx(nearest, abs=1e-4)
            assert result.fval == pytest.approx(function(nearest), abs=1e-4)
    assert n_valid == 500


def test_starting_on_a_saddle_moves_off_it():
    """A real start leaves the imaginary part without slope: the conjugate solutions lie on either side."""
    z = np.linspace(-1, 1, 400)

    def model(p, d):
        return jnp.abs(1 + (p["re"] + 1j * p["im"]) * d["z"]) ** 2

    cost = jp.ChiSquared(model, {"z": z}, abs(1 + (0.2 + 0.9j) * z) ** 2, np.full(400, 0.1))
    assert cost.value_and_grad({"re": 0.2, "im": 0.0})[1]["im"] == 0
    result = jp.fit(cost, {"re": 0.2, "im": 0.0})
    assert result.valid
    assert abs(result.values["im"]) == pytest.approx(0.9, abs=1e-5)


def coupled(p, d):
    """A saddle at the origin that no single parameter sees, minima at x = -y = +-sqrt(1/4)."""
    x, y = p["x"], p["y"]
    return jnp.exp(-20 * (x**2 / 2 + y**2 / 2 + 1.5 * x * y + x**4 + y**4)) * jnp.ones_like(d["one"])


def test_a_saddle_between_two_parameters_is_recognised_and_left():
    cost = jp.UnbinnedNLL(coupled, {"one": [1.0]}).bind(("x", "y"))
    table = ParameterTable.make({"x": 0.0, "y": 0.0})
    objective = Objective(cost)
    verdict = judge(objective, table, np.zeros(2), 0.5)
    assert verdict.reason == "this is a saddle: the cost falls along x, y"
    assert verdict.covariance is None
    away = _off_the_saddle(objective, table, np.zeros(2), verdict, 0.5)
    assert objective.value(away) < verdict.value
    result = jp.fit(cost, {"x": 0.0, "y": 0.0})
    assert result.valid
    assert abs(result.values["x"]) == pytest.approx(np.sqrt(0.125), abs=1e-4)
    assert result.values["x"] == pytest.approx(-result.values["y"], abs=1e-4)


def test_a_maximum_along_one_parameter_is_recognised():
    cost = jp.UnbinnedNLL(two_minima, {"one": np.ones(3)}).bind(("x",))
    verdict = judge(Objective(cost), ParameterTable.make({"x": 0.0}), np.array([-0.0502]), 0.5)
    assert verdict.reason == "the cost falls on both sides along x"


def test_parameters_that_stand_in_for_each_other_are_named():
    cost = jp.ChiSquared(lambda p, d: (p["a"] + p["b"]) * d["x"] + p["c"], {"x": [1.0, 2, 3]}, [1, 2, 4], [1.0] * 3)
    with pytest.warns(jp.ConvergenceWarning, match="a direction is flat: the data do not determine a, b separately"):
        result = jp.fit(cost, {"a": 1.0, "b": 1.0, "c": 0.0})
    assert not result.valid
    assert np.isnan(result.errors["a"])
    assert result.fval < 1


def test_a_parameter_that_does_nothing_is_named():
    cost = jp.ChiSquared(lambda p, d: p["a"] * d["x"] + 0 * p["idle"], {"x": [1.0, 2]}, [1, 2], [1.0] * 2)
    with pytest.warns(jp.ConvergenceWarning, match="the cost does not depend on idle here"):
        assert not jp.fit(cost, {"a": 0.5, "idle": 1.0}).valid


def test_a_scale_without_normalisation_runs_away_and_the_remedy_is_named():
    cost = jp.UnbinnedNLL(lambda p, d: p["scale"] * jnp.exp(-d["x"] * p["slope"]), {"x": [1.0, 2]})
    with pytest.warns(
        jp.ConvergenceWarning,
        match="where the fit ended. If the cost falls without end.*use normalization_mc or ExtendedNLL",
    ):
        assert not jp.fit(cost, {"scale": 1.0, "slope": 1.0}).valid


def test_a_failed_fit_can_raise_and_loses_nothing():
    cost = jp.ChiSquared(lambda p, d: (p["a"] + p["b"]) * d["x"], {"x": [1.0, 2]}, [1, 2], [1.0] * 2)
    with pytest.raises(jp.FitError, match="a direction is flat") as caught:
        jp.fit(cost, {"a": 1.0, "b": 1.0}, throw=True)
    assert caught.value.result.values["a"] + caught.value.result.values["b"] == pytest.approx(1.0, abs=1e-4)


def test_too_few_calls_end_invalid_and_say_so():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(2000))
    with pytest.warns(jp.ConvergenceWarning, match="estimated distance to the minimum is .* larger max_calls"):
        result = jp.fit(cost, {"A1": 8.0, "A2": 4.0, "A3": 8.0, "A4": 4.0}, max_calls=1)
    assert not result.valid
    assert np.isfinite(result.fval)


def test_an_indefinite_hessian_far_from_the_minimum_does_not_break_the_bare_minimizer():
    """iminuit 2.33 with a Hessian alone raised "'NoneType' object is not callable" here."""
    cost = jp.UnbinnedNLL(two_minima, {"one": np.ones(3)})
    assert cost.hessian({"x": 0.1})[0, 0] < 0
    minuit = jp.minimizer(cost, {"x": 0.1})
    minuit.migrad()
    assert minuit.valid


def test_a_start_whose_gradient_overflows_is_refused():
    cost = jp.UnbinnedNLL(lambda p, d: jnp.sqrt(p["a"]) + d["x"], {"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="gradient with respect to a is not finite at the start"):
        jp.fit(cost, {"a": 0.0})


def test_a_fit_walks_back_from_where_the_cost_is_not_finite():
    """Steps into negative intensities are refused, the minimum beside them is found."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 3000)
    x = x[1 + 0.95 * x > 2 * rng.random(3000)]
    cost = jp.UnbinnedNLL(lambda p, d: (1 + p["slope"] * d["x"]) / 2, {"x": x})
    result = jp.fit(cost, {"slope": -0.9})
    plain = plain_migrad(lambda p: -np.log(np.maximum(1e-300, (1 + p["slope"] * x) / 2)).sum(), {"slope": 0.9},
                         {"slope": (-0.999, 0.999)})  # fmt: skip
    assert result.valid
    assert result.values["slope"] == pytest.approx(plain.values["slope"], abs=0.01 * plain.errors["slope"])


def test_everything_fixed_is_evaluated_and_valid():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(100))
    result = jp.fit(cost, TRUE_GAUSS, fixed=list(TRUE_GAUSS))
    assert result.valid
    assert result.fval == pytest.approx(cost(TRUE_GAUSS))
    assert set(result.errors.values()) == {0.0}


def test_an_earlier_result_is_a_start():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(2000))
    first = jp.fit(cost, GAUSS_START)
    again = jp.fit(cost, first)
    assert again.values == pytest.approx(first.values, rel=1e-6)
    assert again.calls["gradient"] < first.calls["gradient"]


def test_minos_matches_the_crossing_of_the_profile():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(300))
    result = jp.fit(cost, GAUSS_START, minos=["A2"])
    assert set(result.minos) == {"A2"}
    low, high = result.minos["A2"]
    for shift in (low, high):
        side = jp.fit(cost, {**GAUSS_START, "A2": P(result.values["A2"] + shift, fixed=True)})
        assert side.fval - result.fval == pytest.approx(0.5, abs=5e-3)
    wide = jp.fit(cost, GAUSS_START, minos="A2", cl=0.95)
    assert wide.minos["A2"][1] > 1.8 * high


def test_minuit_settings_are_handed_on():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(500))
    result = jp.fit(cost, GAUSS_START, strategy=2, tolerance=0.01, precision=1e-12, print_level=0)
    assert result.minuit.strategy.strategy == 2
    assert result.minuit.tol == 0.01
    assert result.minuit.precision == 1e-12
    assert result.minuit.errordef == 0.5


def test_the_bare_minimizer_is_unfitted_and_has_limits_steps_fixes_and_derivatives():
    cost = jp.UnbinnedNLL(gauss, gauss_sample(2000))
    start = {"A4": P(2.5, step=0.1), "A1": P(9, 0.1, 20), "A2": P(3, fixed=True), "A3": 10}
    minuit = jp.minimizer(cost, start, fixed="A3")
    assert minuit.fmin is None
    assert minuit.parameters == ("A4", "A1", "A2", "A3")
    assert minuit.limits["A1"] == (0.1, 20)
    assert minuit.errors["A4"] == 0.1
    assert list(minuit.fixed) == [False, False, True, True]
    minuit.migrad()
    assert minuit.valid
    assert minuit.ngrad > 0
    assert minuit.values["A1"] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize(
    ("start", "options", "kind", "message"),
    [
        ({}, {}, ValueError, "start must name at least one parameter"),
        ([1.0], {}, TypeError, "start must map names to numbers or Parameter, got list"),
        (
            {"A1": (1, 0, 2)},
            {},
            TypeError,
            r"start value of 'A1': .*write jaxpwa.Parameter\(value, lower=",
        ),
        ({"A1": "1"}, {}, TypeError, "start value of 'A1': value of a parameter must be one real number, got '1'"),
        ({"A1": None}, {}, TypeError, "start value of 'A1': value .* got None"),
        ({"A1": np.nan}, {}, ValueError, "start value of 'A1': value of a parameter must be a number, got NaN"),
        ({3: 1.0}, {}, TypeError, "parameter names must be strings, got 3"),
        (TRUE_GAUSS, {"fixed": "B"}, ValueError, "fixed names unknown parameter B; start has: A1, A2, A3, A4"),
        (TRUE_GAUSS, {"minos": "B"}, ValueError, "minos names B, which the fit does not vary; free: A1, A2, A3, A4"),
        (TRUE_GAUSS, {"strategy": 7}, ValueError, "strategy must be 0, 1, 2 or an iminuit MnStrategy, got 7"),
        (TRUE_GAUSS, {"tolerance": 0}, ValueError, "tolerance must be positive, got 0"),
        ({"A1": 1.0}, {}, ValueError, "start does not fit the cost: parameter A2, A3, A4 is missing; given: A1"),
    ],
)
def test_bad_starts_are_refused_before_any_step(start, options, kind, message):
    with pytest.raises(kind, match=message):
        jp.fit(jp.UnbinnedNLL(gauss, gauss_sample(10)), start, **options)


def test_an_intensity_is_not_a_cost():
    with pytest.raises(TypeError, match="cost must be a jaxpwa cost .* got function.*has no data to fit"):
        jp.fit(gauss, TRUE_GAUSS)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"value": 1, "lower": 2}, ValueError, r"start value 1.0 must be finite and within its limits \[2.0, inf\]"),
        ({"value": 1, "lower": 2, "upper": 0}, ValueError, "lower must be below upper, got lower=2.0, upper=0.0"),
        ({"value": 1, "step": 0}, ValueError, "step must be positive, got 0.0"),
        ({"value": np.inf}, ValueError, "must be finite"),
        ({"value": [1, 2]}, TypeError, r"value of a parameter must be one real number, got \[1, 2\]"),
        ({"value": 1j}, TypeError, "one real number, got 1j"),
        ({"value": 1, "lower": "a"}, TypeError, "lower of a parameter must be one real number, got 'a'"),
    ],
)
def test_bad_parameters_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        jp.Parameter(**arguments)


def test_compiling_side_by_side_is_compiling_once():
    def bell(p, d):
        return jnp.exp(-0.5 * ((d["x"] - p["m"]) / p["s"]) ** 2) / p["s"]

    x = np.random.default_rng(1).normal(size=(2, 4000))
    costs = [jp.UnbinnedNLL(bell, {"x": row}, normalization_mc={"x": np.linspace(-4, 4, 999)}) for row in x]
    costs[0]._compile((1, 2))
    sums = [compiled_sum(term.total.spec, order) for term in costs[0]._terms for order in (1, 2)]
    assert [s._cache_size() for s in sums] == [1] * 4
    for cost in costs:
        assert jp.fit(cost, {"m": 0.5, "s": P(2, lower=0.1)}).valid
    assert [s._cache_size() for s in sums] == [1] * 4
    assert [task for term in costs[1]._terms for task in term.total.to_compile((1, 2))] == []


def test_a_fit_leaves_the_threads_of_blas_as_they_were():
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import ThreadpoolController

    from jaxpwa._threads import one_blas_thread

    def numbers():
        return [library["num_threads"] for library in ThreadpoolController().info() if library["user_api"] == "blas"]

    before = numbers()
    with one_blas_thread(), one_blas_thread():
        assert set(numbers()) == {1}
    assert numbers() == before
    cost = jp.ChiSquared(lambda p, d: p["a"] * d["x"], {"x": [1.0, 2.0]}, [1.0, 2.1], [0.1, 0.1])
    with ThreadPoolExecutor(4) as pool:
        assert all(r.valid for r in pool.map(lambda a: jp.fit(cost, {"a": a}), range(8)))
    assert numbers() == before
    with pytest.raises(ValueError, match="not finite at the start"):
        jp.fit(jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"], {"x": [1.0]}), {"a": 0.0})
    assert numbers() == before
