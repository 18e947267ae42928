"""Posteriors: chains against distributions known in closed form, and against fits."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from models import rho, rho_events, run_with_devices
from scipy import stats

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa._checks import ConvergenceWarning
from jaxpwa.posterior import Posterior, sample_posterior
from jaxpwa.posterior.transforms import Limits, Line

pytest.importorskip("blackjax")

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 1.2, -0.3], [0.0, -0.3, 0.04 + 0.3]])
TIMES = np.random.default_rng(5).exponential(2.0, 20)


def lifetime(p, d):
    return jnp.exp(-d["t"] * p["rate"]) * p["rate"]


@pytest.fixture(scope="module")
def gauss():
    cost = jp.GaussianConstraint(["a", "b", "c"], MEAN, covariance=COVARIANCE)
    result = jp.fit(cost, {"a": 0.0, "b": 0.0, "c": 0.0})
    return cost, result, sample_posterior(1, cost, result, draws=300)


@pytest.fixture(scope="module")
def decay():
    cost = jp.UnbinnedNLL(lifetime, {"t": TIMES})
    result = jp.fit(cost, {"rate": jp.Parameter(1.0, lower=0.0)})
    return cost, result, sample_posterior(2, cost, result, draws=1000)


def independent(x):
    """Every fifth draw of each chain."""
    return np.asarray(x)[:, ::5].ravel()


@pytest.mark.parametrize(
    ("lower", "upper"), [(-np.inf, np.inf), (0.5, np.inf), (-np.inf, 4.0), (-1.0, 3.0)], ids=["none", "l", "u", "both"]
)
def test_limits_map_the_line_one_to_one_with_their_jacobian(lower, upper):
    limits = Limits(np.array([lower]), np.array([upper]))
    for y in (-3.0, 0.0, 2.0):
        x, log_slope = limits.from_line(jnp.array([y]))
        slope = jax.grad(lambda v: limits.from_line(v)[0][0])(jnp.array([y]))[0]
        assert lower < x[0] < upper
        assert np.isclose(log_slope, np.log(slope), atol=1e-12)
        back, again = limits.to_line(np.asarray(x))
        assert np.isclose(back[0], y)
        assert np.isclose(again[0], slope)
    for y in (-800.0, 800.0):
        assert not np.isnan(jax.grad(lambda v: limits.from_line(v)[1])(jnp.array([y]))).any()


def test_a_gaussian_cost_is_sampled_with_its_mean_and_covariance(gauss):
    _, _, posterior = gauss
    x = np.stack([posterior.samples[n].ravel() for n in "abc"])
    ess = posterior.summary()["ess_bulk"].min()
    assert ess > 500
    assert np.all(np.abs(x.mean(1) - MEAN) < 4 * np.sqrt(np.diag(COVARIANCE) / ess))
    error = np.sqrt((COVARIANCE**2 + np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE))) / (ess / 2))
    assert np.all(np.abs(np.cov(x) - COVARIANCE) < 4 * error)
    flat = {n: v[1, 7] for n, v in posterior.samples.items()}
    assert np.isclose(posterior.log_density[1, 7], -gauss[0](flat))


def test_quantiles_of_the_table_are_those_of_a_gaussian(gauss):
    table = gauss[2].summary().loc["a"]
    assert np.allclose([table["16%"], table["84%"]], MEAN[0] + stats.norm.ppf([0.16, 0.84]), atol=0.15)
    assert np.isclose(table["mean"], gauss[2].samples["a"].mean())
    assert table["r_hat"] < 1.01


def test_the_rate_of_a_decay_with_a_flat_prior_is_gamma_distributed(decay):
    known = stats.gamma(len(TIMES) + 1, scale=1 / TIMES.sum())
    assert stats.kstest(independent(decay[2].samples["rate"]), known.cdf).pvalue > 0.01


def test_a_limit_cuts_the_density(decay):
    low = len(TIMES) / TIMES.sum()
    cost, _, _ = decay
    result = jp.fit(cost, {"rate": jp.Parameter(2.0, lower=1.1 * low)})
    assert result.at_limit == ("rate",)
    posterior = sample_posterior(3, cost, result, draws=1000, target_accept=0.95)
    known = stats.gamma(len(TIMES) + 1, scale=1 / TIMES.sum())
    below = known.cdf(1.1 * low)
    x = independent(posterior.samples["rate"])
    assert x.min() > 1.1 * low
    assert stats.kstest(x, lambda v: (known.cdf(v) - below) / (1 - below)).pvalue > 0.01


def test_a_prior_is_a_term_of_the_cost(decay):
    """A Gaussian beside a nearly Gaussian likelihood: the density is that of the product, by numbers on a grid."""
    cost, result, _ = decay
    grid = np.linspace(0.01, 3, 4000)
    density = np.exp(len(TIMES) * np.log(grid) - TIMES.sum() * grid - 0.5 * ((grid - 0.8) / 0.05) ** 2)
    cdf = np.cumsum(density) / density.sum()
    total = cost + jp.GaussianConstraint("rate", 0.8, 0.05)
    x = independent(sample_posterior(4, total, result, draws=1000).samples["rate"])
    assert stats.kstest(x, lambda v: np.interp(v, grid, cdf)).pvalue > 0.01


def test_chi_squared_enters_with_one_half():
    cost = jp.ChiSquared(lambda p, d: p["a"] * d["x"], {"x": [1.0, 1.0]}, [3.0, 5.0], [0.2, 0.2])
    posterior = sample_posterior(jax.random.key(5), cost, jp.fit(cost, {"a": 1.0}), draws=300)
    assert np.isclose(posterior.samples["a"].std(), 0.2 / np.sqrt(2), rtol=0.15)
    assert np.isclose(posterior.samples["a"].mean(), 4.0, atol=0.03)


def test_the_rho_sample_has_the_errors_of_its_fit(rho_folder):
    data, mc = rho_events(rho_folder)
    cost = jp.ExtendedNLL(rho, data, mc)
    result = jp.fit(cost, {"A1": 1000.0, "A2": jp.Parameter(0.1, -1, 1)})
    posterior = sample_posterior(6, cost, result, draws=300)
    table = posterior.summary()
    assert posterior.limits == {"A2": (-1.0, 1.0)}
    for name in ("A1", "A2"):
        assert abs(table.loc[name, "mean"] - result.values[name]) < 0.2 * result.errors[name]
        assert np.isclose(table.loc[name, "sd"], result.errors[name], rtol=0.12)


def test_fixed_parameters_stay_and_others_are_conditional_on_them(gauss):
    cost, result, _ = gauss
    posterior = sample_posterior(7, cost, result, draws=300, fixed="b")
    precision = np.linalg.inv(COVARIANCE)
    assert np.isclose(
        posterior.samples["a"].std(), np.linalg.inv(precision[np.ix_([0, 2], [0, 2])])[0, 0] ** 0.5, rtol=0.15
    )
    assert posterior.fixed == {"b": result.values["b"]}
    assert list(posterior.samples) == ["a", "c"]
    assert np.allclose(posterior.propagate(lambda p: p["b"]), result.values["b"])
    line = Line.at_fit(cost, result, ("a", "c"))
    assert np.allclose(line.root @ line.root.T, np.linalg.inv(precision[np.ix_([0, 2], [0, 2])]))


def test_tied_parameters_are_sampled_with_what_they_are_tied_to(gauss):
    cost = gauss[0].tied(c=lambda p: 0.5 * p["a"])
    posterior = sample_posterior(8, cost, jp.fit(cost, {"a": 0.0, "b": 0.0}), draws=300)
    assert list(posterior.samples) == ["a", "b", "c"]
    assert np.allclose(posterior.samples["c"], 0.5 * posterior.samples["a"])
    # Along (1, b, 1/2) the Gaussian in a and b alone.
    direction = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
    expected = np.linalg.inv(direction.T @ np.linalg.inv(COVARIANCE) @ direction)
    assert np.isclose(posterior.samples["a"].std(), expected[0, 0] ** 0.5, rtol=0.15)


def test_the_same_key_gives_the_same_draws_in_pieces_of_any_length(gauss, monkeypatch):
    cost, result, posterior = gauss
    monkeypatch.setattr("jaxpwa.posterior.nuts._SECONDS_PER_PIECE", 0.0)
    again = sample_posterior(1, cost, result, draws=300)
    assert all(np.array_equal(again.samples[n], posterior.samples[n]) for n in "abc")


def test_chains_one_after_the_other_are_those_side_by_side_and_few_draws_warn(decay, monkeypatch):
    cost, result, posterior = decay
    monkeypatch.setattr("jaxpwa.posterior.sample._FEW_NUMBERS", 0)
    with pytest.warns(ConvergenceWarning, match="ess_bulk of rate is below 100 per chain"):
        alone = sample_posterior(2, cost, result, draws=20)
    assert alone.samples["rate"].shape == (4, 20)
    assert np.allclose(alone.samples["rate"][:, :3], posterior.samples["rate"][:, :3], rtol=1e-6)


DEVICES = """
import json, numpy as np, jax.numpy as jnp, jaxpwa as jp
from jaxpwa.posterior import sample_posterior
x = np.random.default_rng(1).exponential(2.0, 3000)
cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["t"] / p["tau"]) / p["tau"], {"t": x}, devices=DEVICES)
posterior = sample_posterior(1, cost, jp.fit(cost, {"tau": jp.Parameter(1.0, lower=0.0)}), draws=300)
tau = posterior.samples["tau"]
print(json.dumps([tau.mean(), tau.std(), posterior.summary()["ess_bulk"]["tau"]]))
"""


def test_several_devices_give_the_posterior_of_one():
    one, two = (run_with_devices(DEVICES.replace("DEVICES", str(n)), n) for n in (1, 2))
    sigma = one[1]
    assert abs(one[0] - two[0]) < 4 * sigma * np.sqrt(1 / one[2] + 1 / two[2])
    assert np.isclose(one[1], two[1], rtol=0.2)


def test_derived_quantities_are_computed_at_every_draw(gauss):
    posterior = gauss[2]
    out = posterior.propagate(lambda p: {"sum": p["a"] + p["b"], "both": jnp.stack([p["a"], p["c"]])})
    assert np.allclose(out["sum"], posterior.samples["a"] + posterior.samples["b"])
    assert out["both"].shape == (4, 300, 2)
    with pytest.raises(TypeError, match="the function can't be traced: write it with jax.numpy"):
        posterior.propagate(lambda p: float(p["a"]))


def test_it_goes_to_pandas_and_arviz(gauss):
    posterior = gauss[2]
    frame = posterior.to_pandas()
    assert list(frame.columns) == ["chain", "draw", "a", "b", "c", "log_density", "diverging"]
    assert frame.query("chain == 2 and draw == 5")["b"].item() == posterior.samples["b"][2, 5]
    arviz_stats = pytest.importorskip("arviz_base")
    tree = posterior.to_arviz()
    assert tree["posterior"]["a"].dims == ("chain", "draw")
    assert np.array_equal(tree["posterior"]["c"].values, posterior.samples["c"])
    assert set(tree["sample_stats"].data_vars) >= {
        "lp",
        "diverging",
        "acceptance_rate",
        "n_steps",
        "tree_depth",
        "energy",
    }
    assert arviz_stats.convert_to_datatree(tree) is tree


def test_it_prints_as_a_table(gauss):
    posterior = gauss[2]
    text = str(posterior)
    assert "4 chains of 300 draws after 200" in text
    assert "ess_bulk" in text
    assert "r_hat" in text
    assert "<table>" in posterior._repr_html_()
    assert repr(posterior) == "<Posterior of GaussianConstraint(a, b, c): 4 chains of 300 draws; parameters: a, b, c>"
    assert posterior.versions["blackjax"]
    assert posterior.calls["draws"] == posterior.steps.sum()


def made(samples, **changes):
    """A record with these samples."""
    x = next(iter(samples.values()))
    none, zeros = np.zeros(x.shape, bool), np.zeros(x.shape)
    fields = {"diverging": none, "acceptance": zeros, "steps": none.astype(int), "depth": none.astype(int)}
    fields |= {"energy": zeros, "step_size": 1.0, "warmup": 20, "log_density": -0.5 * x**2, **changes}
    return Posterior(samples=samples, fixed={}, limits={}, **fields)


def test_it_says_what_is_wrong_with_chains_and_what_to_do():
    x = np.random.default_rng(1).normal(size=(4, 300))
    assert made({"a": x}).problem == ""
    assert "r_hat of a is above 1.01: chains disagree" in made({"a": x + np.arange(4)[:, None]}).problem
    assert "ess_bulk of a is below 100 per chain" in made({"a": np.cumsum(x, axis=1)}).problem
    assert "7 of 1200 trajectories diverged" in made({"a": x}, diverging=np.arange(1200).reshape(4, 300) < 7).problem
    assert "No chain moved" in made({"a": x}, log_density=np.ones((4, 300))).problem
    assert np.isnan(made({"a": x[:1]}).summary()["r_hat"]["a"])


class Outside(jp.IntensitySource):
    sizes = (20,)

    def launch(self, params, keep):
        return params["rate"] * np.exp(-params["rate"] * TIMES)

    def collect(self, running):
        return [running]


def test_a_cost_without_derivatives_is_sent_to_emcee(decay):
    cost = jp.Cost([jp.SuppliedTerm.make(Outside(), "log", scale=-1.0)], 0.5, 20, "decay").bind(("rate",))
    with pytest.raises(TypeError, match="decay has no exact derivatives.*jaxpwa_compat.mcmc"):
        sample_posterior(1, cost, decay[1])


def test_emcee_samples_the_cost_of_a_ported_class_and_goes_to_arviz():
    emcee, arviz_base = pytest.importorskip("emcee"), pytest.importorskip("arviz_base")
    import jaxpwa_compat as pwa

    class Lifetime(pwa.NestedFunction):
        USE_MP = False

        def setup(self, data):
            self.t = np.asarray(data["t"])

        def calculate(self, p):
            return p["rate"] * np.exp(-p["rate"] * self.t)

    cost = jp.UnbinnedNLL(pwa.to_jax(Lifetime(), {"t": TIMES}), {"t": TIMES})
    start = len(TIMES) / TIMES.sum() + 0.05 * np.random.default_rng(1).normal(size=(20, 1))
    np.random.seed(1)  # noqa: NPY002 - emcee starts from the global generator
    sampler = pwa.mcmc(
        ["rate"], lambda p: -cost(p), 20, nsteps=400, startpars=start, parlimits=[(0, np.inf)],
        emceemoves=emcee.moves.StretchMove(), progress=False,
    )  # fmt: skip
    tree = arviz_base.from_emcee(sampler, var_names=["rate"])
    assert dict(tree["posterior"].sizes) == {"draw": 400, "chain": 20}
    x = tree["posterior"]["rate"].values[100::20].ravel()
    assert stats.kstest(x, stats.gamma(21, scale=1 / TIMES.sum()).cdf).pvalue > 0.01


def test_arguments_are_checked(gauss):
    cost, result, _ = gauss
    with pytest.raises(ValueError, match="draws must be a whole number, at least 4, got 2"):
        sample_posterior(1, cost, result, draws=2)
    with pytest.raises(ValueError, match="warmup must be a whole number, at least 20, got 1.5"):
        sample_posterior(1, cost, result, warmup=1.5)
    with pytest.raises(ValueError, match="chains must be a whole number, at least 1, got 0"):
        sample_posterior(1, cost, result, chains=0)
    with pytest.raises(ValueError, match="target_accept must be between 0 and 1, got 1"):
        sample_posterior(1, cost, result, target_accept=1)
    with pytest.raises(TypeError, match="cost must be a jaxpwa cost.*got function"):
        sample_posterior(1, lifetime, result)
    with pytest.raises(TypeError, match="result must be that of jaxpwa.fit, got dict"):
        sample_posterior(1, cost, {"a": 1.0})
    with pytest.raises(ValueError, match="fixed names unknown parameter z; the fit has: a, b, c"):
        sample_posterior(1, cost, result, fixed="z")
    with pytest.raises(ValueError, match="all parameters are fixed"):
        sample_posterior(1, cost, result, fixed=["a", "b", "c"])
    with pytest.raises(ValueError, match="result does not fit the cost: parameter z is missing"):
        sample_posterior(1, cost + jp.GaussianConstraint("z", 0.0, 1.0), result)
    with pytest.raises(TypeError, match="the first argument must be a whole number"):
        sample_posterior(None, cost, result)


def test_a_fit_without_errors_can_not_be_a_start():
    cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-((d["t"] - p["a"] - p["b"]) ** 2)), {"t": TIMES})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = jp.fit(cost, {"a": 1.0, "b": 1.0})
    with pytest.raises(ValueError, match="the fit has no covariance"):
        sample_posterior(1, cost, result)


def test_without_blackjax_it_says_what_to_install():
    code = """
import sys
sys.modules["blackjax"] = None
import jaxpwa as jp
from jaxpwa.posterior import sample_posterior
cost = jp.GaussianConstraint("a", 0.0, 1.0)
sample_posterior(1, cost, jp.fit(cost, {"a": 1.0}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "sample_posterior needs the package 'blackjax': pip install 'jaxpwa[mcmc]'" in done.stderr


def test_weighted_data_are_sampled_with_a_warning_unless_they_are_scaled():
    rng = np.random.default_rng(4)
    w = rng.uniform(0.2, 2.0, 300)
    data = jp.Dataset({"t": rng.exponential(2.0, 300)}, w)
    cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["t"] / p["tau"]) / p["tau"], data)
    result = jp.fit(cost, {"tau": 1.0})
    few = {"draws": 800, "warmup": 200, "chains": 2}
    with pytest.warns(jp.JaxpwaWarning, match=r"have weights, which sampling takes for numbers of events"):
        sample_posterior(1, cost, result, **few)
    posterior = sample_posterior(1, cost * (w.sum() / (w**2).sum()), result, **few)
    assert posterior.samples["tau"].std() == pytest.approx(result.errors["tau"], rel=0.25)
