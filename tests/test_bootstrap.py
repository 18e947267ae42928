"""Samples drawn from the sample: against Hessian and sandwich errors, closed forms and single fits."""

import numpy as np
import pytest
from models import run_with_devices

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.results import resampling as module

RNG = np.random.default_rng(8)
X = RNG.exponential(2.0, 4000)
WEIGHTS = RNG.uniform(-0.3, 2.0, 4000)
FLAT = RNG.uniform(0, 25, 10_000)


def density(p, d):
    return jnp.exp(-d["x"] / p["tau"]) / p["tau"]


def shape(p, d):
    return jnp.exp(-d["x"] / p["tau"])


def scaled(p, d):
    return p["n"] * jnp.exp(-d["x"] / p["tau"])


def costs():
    data = jp.Dataset({"x": X}, WEIGHTS)
    return {
        "density": (jp.UnbinnedNLL(density, {"x": X}), {"tau": 1.0}),
        "normalised, weighted": (jp.UnbinnedNLL(shape, data, normalization_mc={"x": FLAT}), {"tau": 1.0}),
        "extended, weighted": (jp.ExtendedNLL(scaled, data, {"x": FLAT}), {"n": 1e4, "tau": 1.0}),
    }


@pytest.mark.parametrize("which", costs())
def test_errors_are_those_of_the_fit(which):
    """400 samples know an error to 3.5 %."""
    cost, start = costs()[which]
    result = jp.fit(cost, start)
    again = jp.bootstrap(1, cost, result, 400)
    assert len(again) == 400
    assert again.n_failed == 0
    for name, error in result.errors.items():
        assert again.errors[name] == pytest.approx(error, rel=0.12)
        assert abs(again.samples[name].mean() - result.values[name]) < 0.25 * error
    np.testing.assert_allclose(np.sqrt(np.diag(again.covariance)), list(again.errors.values()))


def test_each_sample_is_at_the_minimum_that_a_fit_finds(monkeypatch):
    cost, start = costs()["extended, weighted"]
    cost = cost + jp.GaussianConstraint("tau", 2.0, 0.05)
    result = jp.fit(cost, start)
    fast = jp.bootstrap(2, cost, result, 6)
    monkeypatch.setattr(module, "_MOST_STEPS", 0)
    slow = jp.bootstrap(2, cost, result, 6)
    for name in result.names:
        np.testing.assert_allclose(fast.samples[name], slow.samples[name], atol=2e-3 * result.errors[name])


def test_a_sample_of_a_density_is_the_weighted_mean():
    """The minimum of -sum n_e ln f is known: tau = sum n_e x_e / sum n_e, with n_e of mean 1 and variance 1."""
    cost, start = costs()["density"]
    result = jp.fit(cost, start)
    again = jp.bootstrap(3, cost, result, 300)
    mean = X.mean()
    expected = np.sqrt(np.sum((X - mean) ** 2)) / len(X)
    assert again.errors["tau"] == pytest.approx(expected, rel=0.1)


def test_one_key_gives_one_set_of_samples():
    cost, start = costs()["density"]
    result = jp.fit(cost, start)
    one, same, other = (jp.bootstrap(key, cost, result, 20).samples["tau"] for key in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(jp.bootstrap(1, cost, result, 5).samples["tau"], one[:5])


def test_ties_and_constraints_take_part():
    cost, start = costs()["normalised, weighted"]
    both = (cost + jp.GaussianConstraint("tau", 2.0, 0.02)).tied(tau=lambda p: 1 / p["rate"])
    result = jp.fit(both, {"rate": 0.4})
    again = jp.bootstrap(1, both, result, 300)
    assert list(again.samples) == ["rate", "tau"]
    np.testing.assert_allclose(again.samples["tau"] * again.samples["rate"], 1.0)
    for name, error in result.errors.items():
        assert again.errors[name] == pytest.approx(error, rel=0.15)


def test_fixed_parameters_stay_and_those_at_a_limit_stay_there():
    cost, start = costs()["extended, weighted"]
    result = jp.fit(cost, {"n": jp.Parameter(9e3, fixed=True), "tau": 1.0})
    again = jp.bootstrap(1, cost, result, 10)
    assert set(again.samples["n"]) == {9e3}
    assert again.errors["tau"] > 0
    pressed = jp.fit(cost, {"n": 1e4, "tau": jp.Parameter(1.0, 0.5, 1.5)})
    assert set(jp.bootstrap(1, cost, pressed, 10).samples["tau"]) == {1.5}


def test_a_derived_quantity_has_the_error_of_the_delta_method():
    cost, start = costs()["extended, weighted"]
    result = jp.fit(cost, start)
    again = jp.bootstrap(1, cost, result, 400)

    def derived(p):
        return {"integral": p["n"] * p["tau"], "both": jnp.stack([p["tau"], p["tau"] ** 2])}

    ours, theirs = again.propagate(derived), result.propagate(derived)
    assert ours.value["integral"] == pytest.approx(theirs.value["integral"], rel=1e-12)
    assert ours.error["integral"] == pytest.approx(theirs.error["integral"], rel=0.12)
    np.testing.assert_allclose(ours.error["both"], theirs.error["both"], rtol=0.12)
    assert ours.covariance.shape == (3, 3)


def test_the_interval_holds_the_part_asked_for_and_the_table_says_it():
    cost, start = costs()["density"]
    again = jp.bootstrap(1, cost, jp.fit(cost, start), 200)
    low, high = again.interval("tau", 0.5)
    inside = (again.samples["tau"] > low) & (again.samples["tau"] < high)
    assert inside.mean() == pytest.approx(0.5, abs=0.02)
    assert "bootstrap: 200 samples" in str(again)
    assert "<table>" in again._repr_html_()
    assert again.to_pandas().shape == (200, 1)
    with pytest.raises(ValueError, match="unknown parameter 'a'; there are tau"):
        again.interval("a")
    with pytest.raises(ValueError, match="probability must be between 0 and 1, got 68"):
        again.interval("tau", 68)


def test_what_has_no_events_to_draw_is_refused():
    binned = jp.BinnedNLL(lambda p, d: p["a"] * d["x"], {"x": [1.0, 2.0]}, [3, 5])
    result = jp.fit(binned, {"a": 1.0})
    with pytest.raises(ValueError, match=r"BinnedNLL\(<lambda>\) has bins or points \(bins\): fit simulated samples"):
        jp.bootstrap(1, binned, result)
    constraint = jp.GaussianConstraint("a", 0.0, 1.0)
    with pytest.raises(ValueError, match=r"GaussianConstraint\(a\) has none"):
        jp.bootstrap(1, constraint, jp.fit(constraint, {"a": 1.0}))
    cost, start = costs()["density"]
    with pytest.raises(ValueError, match="n_replicas must be a whole number of samples, at least 2, got 1"):
        jp.bootstrap(1, cost, jp.fit(cost, start), 1)
    with pytest.raises(ValueError, match="result must be the valid result of a fit, where the samples start, got dict"):
        jp.bootstrap(1, cost, start)


SCRIPT = """
import json
import numpy as np, jax.numpy as jnp, jaxpwa as jp
rng = np.random.default_rng(1)
data = jp.Dataset({"x": rng.exponential(2.0, 1003)}, rng.uniform(0, 2, 1003))
flat = {"x": rng.uniform(0, 20, 2001)}
out = []
for n in (1, 2, 3):
    cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["x"] / p["tau"]), data, normalization_mc=flat, devices=n)
    out.append(jp.bootstrap(1, cost, jp.fit(cost, {"tau": 1.0}), 20).samples["tau"].tolist())
print(json.dumps(out))
"""


def test_samples_are_the_same_on_one_two_and_three_devices():
    one, *others = np.array(run_with_devices(SCRIPT, 3))
    for other in others:
        np.testing.assert_allclose(other, one, rtol=1e-5)
