"""Fits whose results others have published: the same minima, values and errors."""

import json

import numpy as np
import pytest

import jax.numpy as jnp
from jax.scipy.special import erf

import jaxpwa as jp

LOW, HIGH = -10.0, 10.0


def peak_on_slope(p, d):
    """Gauss and exponential, both normalised on [-10, 10], times their numbers of events."""
    x = d["x"]
    u = (x - p["mu"]) / p["sigma"]
    inside = 0.5 * (erf((HIGH - p["mu"]) / p["sigma"] / 2**0.5) - erf((LOW - p["mu"]) / p["sigma"] / 2**0.5))
    gauss = jnp.exp(-0.5 * u**2) / (p["sigma"] * (2 * jnp.pi) ** 0.5 * inside)
    slope = p["lambda"] / (jnp.exp(p["lambda"] * HIGH) - jnp.exp(p["lambda"] * LOW)) * jnp.exp(p["lambda"] * x)
    return p["n_sig"] * gauss + p["n_bkg"] * slope


@pytest.fixture(scope="module")
def zfit(shared_data):
    with np.load(shared_data / "zfit" / "deterministic_fit_data.npz", allow_pickle=False) as file:
        return file["data"][:, 0], json.loads(str(file["fitted_params_json"]))


def test_the_deterministic_sample_of_zfit_gives_its_stored_parameters(zfit):
    """Extended: the expected number of events, known in closed form, is a penalty."""
    x, stored = zfit
    cost = jp.UnbinnedNLL(peak_on_slope, {"x": x}) + jp.Penalty(lambda p: p["n_sig"] + p["n_bkg"], "expected events")
    at = dict(zip(["n_sig", "n_bkg", "mu", "sigma", "lambda"], STORED, strict=True))
    assert sorted(np.ravel(list(_numbers(stored)))) == pytest.approx(sorted(STORED), rel=1e-12)
    assert cost(at) == pytest.approx(-127671.29335610, abs=1e-6)
    start = {"n_sig": 800.0, "n_bkg": 20000.0, "mu": 0.5, "sigma": jp.Parameter(1.5, lower=0.1), "lambda": -0.1}
    result = jp.fit(cost, start)
    assert result.valid
    # That fit stopped within its tolerance above the minimum.
    assert -127671.29360733 - 1e-4 < result.fval <= -127671.29360733
    for name, value, error in zip(at, REFITTED, ERRORS, strict=True):
        assert result.values[name] == pytest.approx(value, abs=0.01 * error)
        assert result.errors[name] == pytest.approx(error, rel=0.01)
        assert result.values[name] == pytest.approx(at[name], abs=0.03 * error)
    assert result.values["n_sig"] + result.values["n_bkg"] == pytest.approx(len(x), rel=1e-4)


# MANIFEST of the data: stored by zfit, and found and estimated by an independent fit with iminuit.
STORED = [1043.6546693644218, 20155.453272549144, 1.051502784537238, 1.0777868920807305, -0.0610131559789947]
REFITTED = [1043.867, 20156.236, 1.05194, 1.07807, -0.0609888]
ERRORS = [91.4, 165.5, 0.0961, 0.0940, 0.00133]


def _numbers(stored):
    """Yield the numbers in a nested record."""
    if isinstance(stored, dict):
        for value in stored.values():
            yield from _numbers(value)
    elif isinstance(stored, (int, float)):
        yield float(stored)
