"""Ties, penalties and asymmetric constraints against closed forms and finite differences."""

import numpy as np
import pytest
from models import central_gradient, gauss, gauss_sample

import jax
import jax.numpy as jnp

import jaxpwa as jp

DATA = gauss_sample(1500)
START = {"A1": 9.0, "A2": 2.5, "A3": 9.0, "A4": 2.5}


def round_gauss():
    """Both widths are one, and one mean is that of the other."""
    return jp.UnbinnedNLL(gauss, DATA).tied(A4=lambda p: p["A2"], A3=lambda p: 2.0 * p["A1"] - 10.0)


def test_a_tied_cost_is_the_cost_at_the_values_of_the_ties():
    cost, free = jp.UnbinnedNLL(gauss, DATA), {"A1": 9.5, "A2": 2.9}
    full = {**free, "A4": 2.9, "A3": 9.0}
    assert round_gauss()(free) == cost(full)
    assert round_gauss().parameters == ("A1", "A2")
    assert round_gauss()(full) == cost(full)


def test_gradient_and_hessian_of_a_tied_cost_are_those_of_differences():
    cost = jp.UnbinnedNLL(gauss, DATA).tied(
        A4=lambda p: jnp.exp(p["s"]), A2=lambda p: p["A4"] * p["r"] ** 2, A3=lambda p: p["A1"] * jnp.cos(p["r"])
    )
    at = {"A1": 9.7, "r": 0.9, "s": 1.1}
    value, gradient = cost.value_and_grad(at)
    assert value == cost(at)
    assert gradient == pytest.approx(central_gradient(cost, at), rel=1e-7)
    hessian = cost.hessian(at)
    for i, name in enumerate(at):
        row = central_gradient(lambda p, n=name: cost.value_and_grad(p)[1][n], at)
        np.testing.assert_allclose(hessian[i], list(row.values()), rtol=1e-6, atol=1e-4)


def test_a_fit_reports_tied_parameters_with_errors_and_correlation():
    result = jp.fit(round_gauss(), {"A1": 9.0, "A2": 2.5})
    assert result.valid
    assert result.names == ("A1", "A2", "A4", "A3")
    assert result.tied == ("A4", "A3")
    assert result.values["A4"] == result.values["A2"]
    assert result.errors["A3"] == pytest.approx(2 * result.errors["A1"], rel=1e-12)
    assert result.correlation[0, 3] == pytest.approx(1.0, rel=1e-12)
    assert len(jp.evaluate(gauss, result.values, DATA)) == 1500
    width = np.sqrt(np.mean(2 * ((DATA["x"] - result.values["A1"]) ** 2 + (DATA["y"] - result.values["A3"]) ** 2)) / 2)
    assert result.values["A2"] == pytest.approx(width, rel=1e-5)
    assert "tied" in str(result)
    assert result.propagate(lambda p: p["A3"] - 2 * p["A1"]).error == pytest.approx(0.0, abs=1e-9)


def test_a_tied_fit_is_that_of_the_model_written_so():
    def written(p, d):
        return gauss({**p, "A4": p["A2"], "A3": 2.0 * p["A1"] - 10.0}, d)

    ours = jp.fit(round_gauss(), {"A1": 9.0, "A2": 2.5})
    theirs = jp.fit(jp.UnbinnedNLL(written, DATA, parameters=["A1", "A2"]), {"A1": 9.0, "A2": 2.5})
    for name in theirs.names:
        assert ours.values[name] == pytest.approx(theirs.values[name], rel=1e-6)
        assert ours.errors[name] == pytest.approx(theirs.errors[name], rel=1e-5)


def test_a_tied_result_is_a_start_and_comes_back_from_a_file(tmp_path):
    result = jp.fit(round_gauss(), {"A1": 9.0, "A2": 2.5})
    again = jp.fit(round_gauss(), result)
    assert again.names == result.names
    assert again.values["A3"] == pytest.approx(result.values["A3"], rel=1e-6)
    result.save(tmp_path / "fit.json")
    back = jp.load_result(tmp_path / "fit.json")
    assert back.tied == result.tied
    assert jp.fit(round_gauss(), back).valid
    many = jp.fit_many(round_gauss(), [result, {"A1": 11.0, "A2": 3.3}])
    assert len(many.minima[0]) == 1
    assert many.best.tied == result.tied


def test_samples_share_parameters_through_ties():
    """Two decay times with one ratio: the sum of costs is tied as a whole, by name."""
    rng = np.random.default_rng(2)

    def decay(name):
        return lambda p, d: jnp.exp(-d["x"] / p[name]) / p[name]

    x, y = rng.exponential(1.0, 4000), rng.exponential(3.0, 1000)
    both = jp.UnbinnedNLL(decay("a"), {"x": x}) + jp.UnbinnedNLL(decay("b"), {"x": y})
    result = jp.fit(both.tied(b=lambda p: 3.0 * p["a"]), {"a": 2.0})
    assert result.values["a"] == pytest.approx((x.sum() + y.sum() / 3) / 5000, rel=1e-6)
    assert result.errors["a"] == pytest.approx(result.values["a"] / np.sqrt(5000), rel=1e-5)


def test_weights_go_through_ties():
    weights = np.random.default_rng(3).uniform(0, 2, 1500)
    plain = jp.UnbinnedNLL(gauss, jp.Dataset(DATA, weights))
    result = jp.fit(plain.tied(A2=lambda p: 1 / p["k"]), {"A1": 9.0, "k": 0.4, "A3": 9.0, "A4": 2.5})
    free = jp.fit(plain, START)
    assert result.covariance_kind == "asymptotic"
    assert result.errors["A2"] == pytest.approx(free.errors["A2"], rel=1e-5)
    assert result.errors["k"] == pytest.approx(free.errors["A2"] / free.values["A2"] ** 2, rel=1e-5)


def test_a_tied_cost_is_a_function_for_jax():
    cost = round_gauss()
    function, arrays = cost.as_function()
    at = {"A1": 9.5, "A2": 2.9}
    assert float(function(at, arrays)) == pytest.approx(cost(at), rel=1e-13)
    gradient = jax.jit(jax.grad(function))(at, arrays)
    for name, value in cost.value_and_grad(at)[1].items():
        assert float(gradient[name]) == pytest.approx(value, rel=1e-12)


def test_a_fixed_parameter_fixes_what_is_tied_to_it():
    result = jp.fit(round_gauss(), {"A1": 9.0, "A2": 2.5}, fixed="A2")
    assert result.values["A4"] == 2.5
    assert result.errors["A4"] == 0.0


def test_ties_that_make_no_sense_are_refused():
    cost = jp.UnbinnedNLL(gauss, DATA)
    with pytest.raises(ValueError, match="tied names unknown parameter B; this cost depends on: A1, A2, A3, A4"):
        cost.tied(B=lambda p: p["A1"])
    with pytest.raises(TypeError, match="the tie of 'A1' must be a function of \\(params\\), got 3"):
        cost.tied(A1=3)
    with pytest.raises(ValueError, match="the tie of 'A1' reads A3, tied itself and not before it"):
        cost.tied(A1=lambda p: p["A3"], A3=lambda p: p["A2"])
    with pytest.raises(ValueError, match="ties leave no parameter free"):
        jp.GaussianConstraint("a", 0, 1).tied(a=lambda p: 3.0)
    with pytest.raises(TypeError, match=r"the tie of 'A1' must return one real number, got complex128 of shape \(\)"):
        cost.tied(A1=lambda p: p["A2"] * 1j)
    with pytest.raises(TypeError, match="the tie of 'A1' can't be compiled by JAX"):
        cost.tied(A1=lambda p: float(p["A2"]))
    with pytest.raises(TypeError, match="the tie of 'A1' must read parameters by name in brackets"):
        cost.tied(A1=lambda p: sum(p.values()))
    with pytest.raises(ValueError, match="start names A3, A4, which the cost ties to other parameters"):
        jp.fit(round_gauss(), START)
    with pytest.raises(ValueError, match="A4, A3 is tied in one of the costs that are added, and free in another"):
        round_gauss() + cost
    with pytest.raises(ValueError, match="'A4' is tied in two ways"):
        cost.tied(A4=lambda p: p["A2"]) + cost.tied(A4=lambda p: 2 * p["A2"])
    whole = jp.UnbinnedNLL(lambda p, d: jnp.exp(-sum(p.values()) * d["x"]), DATA)
    with pytest.raises(ValueError, match=r"name them first, cost.bind\(names\).tied"):
        whole.tied(a=lambda p: p["b"])


def test_a_penalty_is_its_function_with_exact_derivatives():
    penalty = jp.Penalty(lambda p: jnp.cosh(p["a"] - 2 * p["b"]), "valley")
    at = {"a": 0.7, "b": -0.2}
    u = 0.7 + 0.4
    assert penalty(at) == pytest.approx(np.cosh(u), rel=1e-14)
    value, gradient = penalty.value_and_grad(at)
    assert value == pytest.approx(np.cosh(u), rel=1e-14)
    assert gradient == pytest.approx({"a": np.sinh(u), "b": -2 * np.sinh(u)}, rel=1e-14)
    np.testing.assert_allclose(penalty.hessian(at), np.cosh(u) * np.array([[1, -2], [-2, 4]]), rtol=1e-14)
    assert (3 * penalty)(at) == pytest.approx(3 * np.cosh(u), rel=1e-14)
    assert penalty.errordef == 0.5
    assert "penalty on a, b" in penalty.explain()


def test_a_quadratic_penalty_is_a_gaussian_constraint():
    cost = jp.UnbinnedNLL(gauss, DATA)
    ours = jp.fit(cost + jp.Penalty(lambda p: 0.5 * ((p["A2"] - 3.2) / 0.05) ** 2), START)
    theirs = jp.fit(cost + jp.GaussianConstraint("A2", 3.2, 0.05), START)
    assert ours.values == pytest.approx(theirs.values, rel=1e-7)
    assert ours.errors == pytest.approx(theirs.errors, rel=1e-6)
    assert jp.fit_many(cost + jp.Penalty(lambda p: p["A2"] ** 2), jp.random_starts(1, START, 70, spread=0.1)).best.valid


def test_penalties_are_functions_for_jax():
    cost = jp.UnbinnedNLL(gauss, DATA) + jp.Penalty(lambda p: p["A2"] ** 2)
    function, arrays = cost.as_function()
    assert float(jax.jit(function)(START, arrays)) == pytest.approx(cost(START), rel=1e-13)


def test_penalties_that_make_no_sense_are_refused():
    with pytest.raises(TypeError, match=r"the penalty must return one real number, got float64 of shape \(2,\)"):
        jp.Penalty(lambda p: jnp.array([p["a"], 1.0]))
    with pytest.raises(ValueError, match="the penalty must depend on at least one parameter"):
        jp.Penalty(lambda p: 3.0)
    with pytest.raises(TypeError, match=r"the penalty must be a function of \(params\), but <lambda>\(p, d\)"):
        jp.Penalty(lambda p, d: p["a"])
    with pytest.raises(ValueError, match=r"the cost is not finite: penalty <lambda> is (nan|inf), at a=-1"):
        jp.Penalty(lambda p: jnp.log(p["a"]))({"a": -1.0})


def test_an_asymmetric_constraint_has_the_two_errors():
    constraint = jp.AsymmetricConstraint("m", 1.3, below=0.02, above=0.05)
    for away, expected in ((0.05, 0.5), (-0.02, 0.5), (0.1, 2.0), (-0.04, 2.0), (0.0, 0.0)):
        assert constraint({"m": 1.3 + away}) == pytest.approx(expected, abs=1e-12)
    for m in (1.27, 1.34):
        assert constraint.value_and_grad({"m": m})[1] == pytest.approx(central_gradient(constraint, {"m": m}), rel=1e-6)
    result = jp.fit(constraint, {"m": 1.25}, minos=True)
    assert result.minos["m"] == pytest.approx((-0.02, 0.05), rel=1e-3)


def test_asymmetric_constraints_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="below of the constraint on 'm' must be one positive number"):
        jp.AsymmetricConstraint("m", 1.3, below=-0.02, above=0.05)
    with pytest.raises(ValueError, match="mean of the constraint on 'm' must be one number, got nan"):
        jp.AsymmetricConstraint("m", np.nan, below=0.02, above=0.05)
    with pytest.raises(TypeError, match="name must be the name of one parameter, got \\['m'\\]"):
        jp.AsymmetricConstraint(["m"], 1.3, below=0.02, above=0.05)
