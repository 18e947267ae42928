"""Covariances of weighted fits against the formulas in plain numpy, with scores and Hessians worked out on paper."""

import numpy as np
import pytest
from models import run_with_devices

import jax.numpy as jnp

import jaxpwa as jp

RNG = np.random.default_rng(5)
N, N_MC = 3000, 8000
X = RNG.exponential(2.0, N)
WEIGHTS = RNG.uniform(-0.3, 2.5, N)
FLAT = RNG.uniform(0, 20, N_MC)


def shape(p, d):
    return jnp.exp(-d["x"] / p["tau"])


def scaled(p, d):
    return p["n"] * jnp.exp(-d["x"] / p["tau"])


def normalised(weights=WEIGHTS, x=X):
    return jp.UnbinnedNLL(shape, jp.Dataset({"x": x}, weights), normalization_mc={"x": FLAT})


def extended(weights=WEIGHTS, x=X):
    return jp.ExtendedNLL(scaled, jp.Dataset({"x": x}, weights), {"x": FLAT}, 2 * N_MC)


def moments_of_mc(tau):
    """Mean, and mean square, of x over Monte Carlo weighted by the shape, and the sum of the shape."""
    f = np.exp(-FLAT / tau)
    return f @ FLAT / f.sum(), f @ FLAT**2 / f.sum(), f.sum()


def oracle_normalised(tau, w, x=X):
    """H, D of scores, D of squared weights; d ln f / d tau = (x - m) / tau^2, m moves with the variance / tau^2."""
    first, second, _ = moments_of_mc(tau)
    score = (x - first) / tau**2
    curvature = 2 * (x - first) / tau**3 + (second - first**2) / tau**4
    return np.sum(w * curvature), np.sum(w**2 * score**2), np.sum(w**2 * curvature)


def oracle_extended(n, tau, w, squared=False, x=X):
    """Hessian of -sum w ln I + sum I / n_generated, and sum w^2 g g^T; both 2 x 2 in (n, tau)."""
    first, second, total = moments_of_mc(tau)
    scores = np.stack([np.full(len(x), 1 / n), x / tau**2])
    mc = n * total / (2 * N_MC)
    factor = 1.0
    if squared:
        factor, w = np.sum(w**2) / np.sum(w), w**2
    from_mc = (
        factor
        * mc
        * np.array([[0.0, first / (n * tau**2)], [first / (n * tau**2), second / tau**4 - 2 * first / tau**3]])
    )
    from_data = np.diag([np.sum(w) / n**2, np.sum(w * 2 * x) / tau**3])
    return from_data + from_mc, (scores * w**2) @ scores.T


@pytest.mark.parametrize("kind", ["asymptotic", "sumw2"])
def test_the_covariance_of_a_normalised_fit_is_the_sandwich(kind):
    result = jp.fit(normalised(), {"tau": 1.0}, covariance=kind)
    h, d_scores, d_squared = oracle_normalised(result.values["tau"], WEIGHTS)
    d = d_scores if kind == "asymptotic" else d_squared
    assert result.covariance[0, 0] == pytest.approx(d / h**2, rel=1e-9)
    assert result.errors["tau"] == pytest.approx(np.sqrt(d) / h, rel=1e-9)
    assert result.covariance_kind == kind
    assert f"events have weights: errors by the {kind} formula" in result.message
    assert kind in str(result)


@pytest.mark.parametrize("kind", ["asymptotic", "sumw2"])
def test_the_covariance_of_an_extended_fit_is_the_sandwich(kind):
    result = jp.fit(extended(), {"n": 1e4, "tau": 1.0}, covariance=kind)
    n, tau = result.values.values()
    hessian, outer = oracle_extended(n, tau, WEIGHTS)
    middle = outer if kind == "asymptotic" else oracle_extended(n, tau, WEIGHTS, squared=True)[0]
    inverse = np.linalg.inv(hessian)
    np.testing.assert_allclose(result.covariance, inverse @ middle @ inverse, rtol=1e-8)


def test_weights_of_one_change_no_bit():
    for cost, start in ((normalised, {"tau": 1.0}), (extended, {"n": 1e4, "tau": 1.0})):
        plain, ones = (jp.fit(cost(w), start) for w in (None, np.ones(N)))
        assert plain.values == ones.values
        np.testing.assert_array_equal(plain.covariance, ones.covariance)
        assert ones.covariance_kind == "hessian"
        assert plain.message == ones.message == "minimum found"


def test_weights_of_zero_and_one_are_a_selection():
    """Both formulas and the plain Hessian agree where they must: with half of the events left out."""
    keep = np.arange(N) % 2 == 0
    chosen = jp.fit(normalised(x=X[keep], weights=None), {"tau": 1.0})
    masked = jp.fit(normalised(keep.astype(float)), {"tau": 1.0})
    assert masked.covariance_kind == "hessian"
    assert masked.errors["tau"] == pytest.approx(chosen.errors["tau"], rel=1e-9)


@pytest.mark.parametrize("factor", [0.01, 7.0])
def test_the_scale_of_weights_does_not_matter_to_a_shape(factor):
    one, other = (jp.fit(normalised(f * WEIGHTS), {"tau": 1.0}) for f in (1.0, factor))
    assert other.errors["tau"] == pytest.approx(one.errors["tau"], rel=1e-6)
    multiplied = jp.fit(factor * normalised(), {"tau": 1.0})
    assert multiplied.errors["tau"] == pytest.approx(one.errors["tau"], rel=1e-6)


def test_the_naive_error_is_there_on_request_and_says_what_it_is():
    result = jp.fit(normalised(), {"tau": 1.0}, covariance="hessian")
    h, *_ = oracle_normalised(result.values["tau"], WEIGHTS)
    assert result.errors["tau"] == pytest.approx(1 / np.sqrt(h), rel=1e-9)
    assert "errors take them for numbers of events" in result.message


def test_fixed_parameters_and_those_at_a_limit_take_no_part():
    start = {"n": jp.Parameter(1e4, fixed=True), "tau": 1.0}
    result = jp.fit(extended(), start)
    tau = result.values["tau"]
    hessian, outer = oracle_extended(1e4, tau, WEIGHTS)
    assert result.covariance[1, 1] == pytest.approx(outer[1, 1] / hessian[1, 1] ** 2, rel=1e-8)
    assert not result.covariance[0].any()
    pressed = jp.fit(extended(), {"n": 1e4, "tau": jp.Parameter(1.0, 0.5, 1.5)})
    assert pressed.at_limit == ("tau",)
    assert np.isnan(pressed.errors["tau"])
    hessian, outer = oracle_extended(pressed.values["n"], 1.5, WEIGHTS)
    assert pressed.covariance[0, 0] == pytest.approx(outer[0, 0] / hessian[0, 0] ** 2, rel=1e-8)


def test_a_constraint_scatters_as_its_error_says():
    """H = H_data + P and D = D_data + P."""
    result = jp.fit(normalised() + jp.GaussianConstraint("tau", 2.1, 0.03), {"tau": 1.0})
    h, d, _ = oracle_normalised(result.values["tau"], WEIGHTS)
    p = 0.03**-2
    assert result.covariance[0, 0] == pytest.approx((d + p) / (h + p) ** 2, rel=1e-8)


def test_samples_that_share_a_parameter_add_up():
    half = N // 2
    both = normalised(WEIGHTS[:half], X[:half]) + normalised(WEIGHTS[half:], X[half:])
    result = jp.fit(both, {"tau": 1.0})
    whole = jp.fit(normalised(), {"tau": 1.0})
    assert result.values["tau"] == pytest.approx(whole.values["tau"], rel=1e-6)
    assert result.errors["tau"] == pytest.approx(whole.errors["tau"], rel=1e-6)


def test_one_weighted_sample_among_others_is_enough():
    """A sample without weights adds its own scores, which are its Hessian on average only."""
    half = N // 2
    both = normalised(None, X[:half]) + normalised(WEIGHTS[half:], X[half:])
    result = jp.fit(both, {"tau": 1.0})
    w = np.concatenate([np.ones(half), WEIGHTS[half:]])
    h, d, _ = oracle_normalised(result.values["tau"], w)
    assert result.covariance_kind == "asymptotic"
    assert result.covariance[0, 0] == pytest.approx(d / h**2, rel=1e-8)


def test_float32_columns_give_nearly_the_same_covariance():
    data = jp.Dataset({"x": X}, WEIGHTS, dtype="float32")
    single = jp.fit(jp.UnbinnedNLL(shape, data, normalization_mc={"x": FLAT}), {"tau": 1.0})
    double = jp.fit(normalised(), {"tau": 1.0})
    # Intensities of 24 bits are good to 6e-8; the slope of ln I is a difference of such.
    assert single.errors["tau"] == pytest.approx(double.errors["tau"], rel=3e-4)


def test_weights_that_do_not_move_add_nothing_and_those_that_do_enter_the_scores():
    cost = normalised()
    plain = jp.fit(cost, {"tau": 1.0})
    still = jp.fit(cost, {"tau": 1.0}, influence=lambda g: np.zeros_like(g))
    assert still.errors["tau"] == pytest.approx(plain.errors["tau"], rel=1e-9)
    moved = jp.fit(cost, {"tau": 1.0}, influence=lambda g: 0.5 * WEIGHTS[:, None] * g)
    assert moved.errors["tau"] == pytest.approx(1.5 * plain.errors["tau"], rel=1e-9)

    class Normalised:
        """Weights divided by their sum: moves the scale, which a shape does not feel."""

        def influence_on(self, g):
            return -WEIGHTS[:, None] / WEIGHTS.sum() * (WEIGHTS @ g)

    same = jp.fit(cost, {"tau": 1.0}, influence=Normalised())
    assert same.errors["tau"] == pytest.approx(plain.errors["tau"], rel=1e-5)


def test_what_makes_no_sense_is_refused():
    cost = normalised()
    with pytest.raises(
        ValueError, match="covariance must be one of 'auto', 'hessian', 'asymptotic', 'sumw2', got 'w2'"
    ):
        jp.fit(cost, {"tau": 1.0}, covariance="w2")
    with pytest.raises(ValueError, match="covariance='sumw2' is for unbinned likelihoods of events"):
        jp.fit(jp.GaussianConstraint("a", 0, 1), {"a": 1.0}, covariance="sumw2")
    with pytest.raises(ValueError, match="influence belongs to the asymptotic covariance, got covariance='hessian'"):
        jp.fit(cost, {"tau": 1.0}, covariance="hessian", influence=lambda g: g)
    with pytest.raises(ValueError, match="influence needs a cost with one sample of data"):
        jp.fit(cost + cost, {"tau": 1.0}, influence=lambda g: g)
    with pytest.raises(TypeError, match="influence must have a method influence_on"):
        jp.fit(cost, {"tau": 1.0}, influence=3)
    with pytest.raises(ValueError, match=r"influence must return one row per event .* \(3000, 1\), got \(2, 1\)"):
        jp.fit(cost, {"tau": 1.0}, influence=lambda g: g[:2])


def test_bins_with_weights_are_left_alone():
    """Their weights multiply terms; they are no numbers of events."""
    cost = jp.ChiSquared(
        lambda p, d: p["a"] * d["x"], jp.Dataset({"x": [1.0, 2.0]}, [1.0, 0.5]), [1.0, 2.1], [0.1, 0.1]
    )
    assert jp.fit(cost, {"a": 0.5}).covariance_kind == "hessian"


SCRIPT = """
import json
import numpy as np, jax.numpy as jnp, jaxpwa as jp
rng = np.random.default_rng(1)
x, w, flat = rng.exponential(2.0, 1003), rng.uniform(-0.3, 2.5, 1003), rng.uniform(0, 20, 2001)
data = jp.Dataset({"x": x}, w)
errors = []
for n in (1, 2, 3):
    cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["x"] / p["tau"]), data, normalization_mc={"x": flat}, devices=n)
    for kind in ("asymptotic", "sumw2"):
        errors.append(jp.fit(cost, {"tau": 1.0}, covariance=kind).errors["tau"])
    errors.append(jp.fit(cost, {"tau": 1.0}, influence=lambda g: 0.1 * g).errors["tau"])
print(json.dumps(errors))
"""


def test_errors_are_the_same_on_one_two_and_three_devices():
    errors = np.reshape(run_with_devices(SCRIPT, 3), (3, 3))
    np.testing.assert_allclose(errors, errors[:1].repeat(3, 0), rtol=1e-9)


def test_negative_weights_of_real_data_give_the_yield_and_its_error(shared_data):
    """laddu's bench.parquet: the yield is the sum of weights, its error the root of the sum of their squares."""
    pytest.importorskip("pyarrow")
    table = jp.read(shared_data / "laddu" / "bench.parquet")
    weights = table["weight"].to_numpy(np.float64)
    data = jp.Dataset({"one": np.ones(len(weights))}, weights)
    cost = jp.ExtendedNLL(lambda p, d: p["n"] * d["one"], data, {"one": np.ones(100)})
    result = jp.fit(cost, {"n": 1000.0})
    assert result.values["n"] == pytest.approx(4605.049910414848, rel=1e-6)
    assert result.errors["n"] == pytest.approx(np.sqrt(np.sum(weights**2)), rel=1e-6)


@pytest.mark.slow
def test_pulls_of_a_yield_and_a_slope_are_standard_with_weights_and_are_not_without_the_formula():
    """1000 toys of weights that are random and correct nothing: widths within 0.05 of 1, the naive ones are not."""
    rng = np.random.default_rng(11)
    pulls: dict[str, list[float]] = {"asymptotic": [], "sumw2": [], "hessian": []}
    for _ in range(1000):
        x = rng.exponential(2.0, rng.poisson(1500))
        x = x[x < 20]
        cost = normalised(rng.uniform(-0.3, 2.5, len(x)), x)
        for kind, found in pulls.items():
            result = jp.fit(cost, {"tau": 2.0}, covariance=kind)
            found.append((result.values["tau"] - 2.0) / result.errors["tau"])
    widths = {kind: np.std(found) for kind, found in pulls.items()}
    assert widths["asymptotic"] == pytest.approx(1.0, abs=0.05)
    assert widths["sumw2"] == pytest.approx(1.0, abs=0.05)
    assert widths["hessian"] == pytest.approx(1.3, abs=0.06)  # sqrt(<w^2> / <w>)
