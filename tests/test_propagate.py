"""Errors of functions of fitted parameters: closed forms, draws from the covariance, refusals."""

import numpy as np
import pytest
from models import gauss, gauss_sample

import jax.numpy as jnp

import jaxpwa as jp


@pytest.fixture(scope="module")
def result():
    return jp.fit(jp.UnbinnedNLL(gauss, gauss_sample(800)), {"A3": 9.0, "A1": 9.0, "A2": 3.5, "A4": 3.0}, fixed="A4")


def test_a_product_has_the_error_of_the_textbook(result):
    estimate = result.propagate(lambda p: p["A1"] * p["A2"])
    i, j = result.names.index("A1"), result.names.index("A2")
    slope = np.zeros(4)
    slope[[i, j]] = result.values["A2"], result.values["A1"]
    assert estimate.value == pytest.approx(result.values["A1"] * result.values["A2"], rel=1e-14)
    assert estimate.error == pytest.approx(np.sqrt(slope @ result.covariance @ slope), rel=1e-12)
    assert str(estimate).startswith(f"{estimate.value:.6g} +- ")


def test_parameters_themselves_keep_their_errors_in_any_form(result):
    estimate = result.propagate(lambda p: {"z": jnp.stack([p["A1"], p["A3"]]), "a": [p["A4"], 2.0]})
    np.testing.assert_allclose(estimate.error["z"], [result.errors["A1"], result.errors["A3"]], rtol=1e-12)
    assert estimate.error["a"] == [0.0, 0.0]
    assert estimate.value["a"] == [3.0, 2.0]
    order = [result.names.index(n) for n in ("A1", "A3")]
    np.testing.assert_allclose(estimate.covariance[2:, 2:], result.covariance[np.ix_(order, order)], rtol=1e-12)


def test_errors_are_those_of_draws_from_the_covariance(result):
    draws = np.random.default_rng(2).multivariate_normal(list(result.values.values()), result.covariance, 100_000)
    estimate = result.propagate(lambda p: jnp.exp(p["A1"] / 10) * jnp.sin(p["A3"] / 10))
    columns = dict(zip(result.names, draws.T, strict=True))
    assert estimate.error == pytest.approx(np.std(np.exp(columns["A1"] / 10) * np.sin(columns["A3"] / 10)), rel=0.02)


def test_a_loaded_result_propagates_alike(result, tmp_path):
    result.save(tmp_path / "fit.json")
    again = jp.load_result(tmp_path / "fit.json").propagate(lambda p: p["A1"] ** 2)
    assert again.error == result.propagate(lambda p: p["A1"] ** 2).error


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p: p["A1"] * 1j, "real numbers, got complex ones. Of a complex number take .real"),
        (lambda p: "a", "real numbers, got a"),
        (lambda p: float(p["A1"]), "can't be differentiated: write it with jax.numpy"),
        (lambda p: np.sin(p["A1"]), "can't be differentiated: write it with jax.numpy"),
        (lambda p: {}, "at least one number"),
    ],
)
def test_what_can_not_be_propagated_is_refused(result, function, message):
    with pytest.raises(TypeError, match=message):
        result.propagate(function)
