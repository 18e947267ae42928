"""minuit and mcmc as PyPWA's users call them."""

import subprocess
import sys

import amplitudes as amp
import iminuit
import numpy as np
import pytest
from models import gauss_sample

import jax.numpy as jnp

import jaxpwa as jp
import jaxpwa_compat as pwa

DATA = gauss_sample(3001)
START = {"A1": 9.0, "A2": 3.5, "A3": 10.5, "A4": 2.5}


def likelihood(**keywords):
    return pwa.LogLikelihood(amp.GaussInline(), DATA, **keywords)


def test_minuit_is_live_and_not_yet_fitted():
    minuit = pwa.minuit(START, likelihood())
    assert isinstance(minuit, iminuit.Minuit)
    assert minuit.fmin is None
    assert minuit.parameters == tuple(START)
    assert minuit.errordef == 0.5
    minuit.limits["A2", "A4"] = (1, None)
    assert minuit.migrad().valid
    assert minuit.values["A1"] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("kind", [amp.Gauss, amp.GaussInline, amp.GaussThreads])
def test_arrays_give_numbered_names_and_reach_the_amplitude_as_arrays(kind):
    with pwa.LogLikelihood(kind(), DATA, num_of_processes=2) as f:
        minuit = pwa.minuit(np.array([9.0, 3.5, 10.5, 2.5]), f).migrad()
    assert minuit.parameters == ("x0", "x1", "x2", "x3")
    by_name = pwa.minuit(START, likelihood()).migrad()
    np.testing.assert_allclose(minuit.values, by_name.values, atol=1e-6)


@pytest.mark.parametrize("order", [("b", "a"), ("a", "b")])
def test_o06_values_belong_to_their_names_in_any_order(order):
    class Exponential(pwa.NestedFunction):
        USE_MP = False

        def setup(self, data):
            self.x = data["x"]

        def calculate(self, p):
            return p["b"] * np.exp(-p["a"] * self.x)

    f = pwa.LogLikelihood(Exponential(), {"x": np.array([1.0, 2])})
    settings = {name: {"a": 0.5, "b": 3.0}[name] for name in order}
    assert f(settings) == pytest.approx(-0.6972245773362196, rel=1e-14)
    minuit = pwa.minuit(settings, f)
    assert minuit.parameters == order
    assert minuit.fcn(list(settings.values())) == pytest.approx(-0.6972245773362196, rel=1e-14)


def test_errordef_comes_from_what_is_minimised():
    points = {"x": np.ones(3), "y": np.ones(3)}
    chi2 = pwa.ChiSquared(amp.GaussInline(), points, event_errors=np.ones(3), expected_values=np.ones(3))
    assert pwa.minuit(START, chi2).errordef == 1.0
    assert pwa.minuit(START, pwa.EmptyLikelihood(amp.GaussInline(), DATA)).errordef == 1.0
    assert pwa.minuit({"a": 1.0}, lambda p: p["a"] ** 2).errordef == 1.0

    class Own:
        TYPE = "LIKELIHOOD"

        def __call__(self, p):
            return p["a"] ** 2

    assert pwa.minuit({"a": 1.0}, Own()).errordef == 0.5
    native = jp.UnbinnedNLL(lambda p, d: p["a"] * jnp.exp(-p["a"] * d["x"]), DATA)
    assert pwa.minuit({"a": 1.0}, native).errordef == 0.5


def test_functions_get_a_dict_or_an_array_like_the_settings():
    assert pwa.minuit({"a": 1.0}, lambda p: (p["a"] - 3) ** 2).migrad().values["a"] == pytest.approx(3, abs=1e-3)
    assert pwa.minuit(np.ones(2), lambda x: np.sum((x - 3) ** 2)).migrad().values["x1"] == pytest.approx(3, abs=1e-3)


def test_a_cost_of_jaxpwa_brings_its_derivatives():
    native = jp.UnbinnedNLL(lambda p, d: p["a"] * jnp.exp(-p["a"] * d["x"]), DATA)
    minuit = pwa.minuit({"a": 0.1}, native).migrad()
    assert minuit.ngrad > 0
    assert minuit.values["a"] == pytest.approx(1 / DATA["x"].mean(), rel=1e-4)


def test_a_parameter_may_be_called_name():
    assert pwa.minuit({"name": 1.0}, lambda p: (p["name"] - 2) ** 2).migrad().values["name"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("limit_A1", r"m\.limits\['A1'\] = \(lower, upper\)"),
        ("error_A1", r"m\.errors\['A1'\] = step"),
        ("fix_A1", r"m\.fixed\['A1'\] = True"),
        ("limit_z", r"m\.limits\['z'\] = \(lower, upper\)"),
        ("errordef", "errordef comes from the likelihood"),
        ("print_level", "attributes of the Minuit object"),
    ],
)
def test_settings_of_old_versions_are_told_what_to_write(key, instead):
    with pytest.raises(ValueError, match=f"'{key}' is no parameter but (?s:.*){instead}"):
        pwa.minuit({**START, key: 1.0}, likelihood())


@pytest.mark.parametrize("rest", [((1, 2, 100), {}), ((), {"strategy": 1})])
def test_the_call_of_pypwa_3_is_told_what_to_write(rest):
    arguments, keywords = rest
    with pytest.raises(TypeError, match=r"minuit takes \(settings, likelihood\), got .* that was PyPWA 3(?s:.*)migrad"):
        pwa.minuit(START, likelihood(), *arguments, **keywords)


@pytest.mark.parametrize("settings", [["a", "b"], 3.0, np.ones((2, 2)), []])
def test_settings_that_are_no_start_values_are_refused(settings):
    with pytest.raises(TypeError, match="settings must be a dict of start values by name, or an array of them"):
        pwa.minuit(settings, likelihood())


def test_a_likelihood_that_can_not_be_called_is_refused():
    with pytest.raises(TypeError, match="likelihood must be a likelihood, a cost or a function of the parameters"):
        pwa.minuit({"a": 1.0}, 3)


def test_the_chain_samples_the_posterior():
    pytest.importorskip("emcee")
    np.random.seed(1)
    x = np.random.default_rng(1).normal(0, 1, 400)

    class Mean(pwa.NestedFunction):
        USE_MP = False

        def setup(self, data):
            self.x = data["x"]

        def calculate(self, p):
            return np.exp(-((self.x - p["m"]) ** 2) / 2)

    f = pwa.LogLikelihood(Mean(), {"x": x}, is_minimizer=False)
    start = np.random.normal(0, 0.05, (20, 1))
    sampler = pwa.mcmc(["m"], f, 20, nsteps=600, startpars=start, parlimits=[(-1, 1)], progress=False)
    chain = sampler.get_chain()
    assert chain.shape == (600, 20, 1)
    assert chain[100:].mean() == pytest.approx(x.mean(), abs=0.015)
    assert chain[100:].std() == pytest.approx(1 / np.sqrt(400), rel=0.2)
    gauss = pwa.mcmc(
        ["m"], f, 20, lambda p: -((p["m"] - 0.5) ** 2) / 2 / 0.05**2, 600, start, {"m": (-1, 1)}, progress=False
    )
    assert gauss.get_chain()[100:].mean() == pytest.approx((x.mean() + 0.5) / 2, abs=0.02)


def test_a_chain_does_not_go_where_the_likelihood_is_no_number():
    pytest.importorskip("emcee")
    f = pwa.LogLikelihood(amp.Slope(), {"x": np.ones(5)}, {"x": np.ones(5)}, is_minimizer=False)
    start = np.random.default_rng(1).uniform(-1, 6, (10, 1))
    chain = pwa.mcmc(["A"], f, 10, nsteps=200, startpars=start, progress=False).get_chain()
    moved = chain[-1][chain[-1] != start]
    assert (moved > 0).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"startpars": None}, ValueError, r"startpars must give every walker its start, shape \(20, 4\), got none"),
        ({"startpars": np.ones((3, 4))}, ValueError, r"shape \(20, 4\), got shape \(3, 4\)"),
        ({"prior": 2}, TypeError, r"prior must be 1 \(flat within parlimits\) or a function"),
        ({"parlimits": [(0, 1)]}, ValueError, r"parlimits must be one \(lower, upper\) for each of A1, A2, A3, A4"),
        ({"parlimits": {"B": (0, 1)}}, ValueError, "parlimits names B, not in parlist: A1, A2, A3, A4"),
        ({"parlimits": [(0, 1)] * 4}, ValueError, "the posterior is 0 at every walker's start"),
    ],
)
def test_chains_that_can_not_start_are_refused(change, error, message):
    pytest.importorskip("emcee")
    arguments = {"startpars": np.full((20, 4), 5.0), **change}
    with pytest.raises(error, match=message):
        pwa.mcmc(list(START), likelihood(is_minimizer=False), **arguments)


def test_a_chain_of_a_likelihood_to_be_minimised_is_refused():
    pytest.importorskip("emcee")
    with pytest.raises(ValueError, match="mcmc maximises: build the likelihood with is_minimizer=False"):
        pwa.mcmc(list(START), likelihood(), startpars=np.ones((20, 4)))


def test_without_emcee_mcmc_says_what_to_install_and_the_star_import_works():
    code = "import sys; sys.modules['emcee'] = None\nfrom jaxpwa_compat import *\nmcmc(['a'], lambda p: 0.0)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "mcmc needs the package 'emcee': pip install 'jaxpwa[mcmc]'" in done.stderr
