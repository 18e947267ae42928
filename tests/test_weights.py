"""Negative samples and sWeights against closed forms, integrals and finite differences."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.weights import fit_yields, scale_weights, subtract, sweights


def test_a_background_sample_gets_negative_weights_behind_the_data():
    data = jp.Dataset({"x": [1.0, 2.0], "p": np.ones((2, 4))}, weights=[2.0, 3.0], dtype="float32")
    joined = subtract(data, jp.Dataset({"p": np.zeros((1, 4)), "x": [5.0]}, weights=[4.0]), scale=0.25)
    assert joined.columns["x"].tolist() == [1.0, 2.0, 5.0]
    assert list(joined) == ["x", "p"]
    assert joined["p"].shape == (3, 4)
    assert joined.weights.tolist() == [2.0, 3.0, -1.0]
    assert joined.dtype == "float32"


def test_a_subtracted_yield_is_the_difference_of_the_counts():
    data = subtract({"x": np.zeros(100)}, {"x": np.zeros(40)}, scale=0.5)
    cost = jp.ExtendedNLL(lambda p, d: p["n"] + 0 * d["x"], data, {"x": np.zeros(10)})
    assert jp.fit(cost, {"n": 50.0}).values["n"] == pytest.approx(80.0, rel=1e-6)


def test_mismatched_columns_are_named():
    with pytest.raises(ValueError, match=r"same columns: background lacks y; data lack z\. Leave out"):
        subtract({"x": [1.0], "y": [1.0]}, {"x": [1.0], "z": [1.0]})
    with pytest.raises(ValueError, match=r"column 'p' must have one shape per event: \(4,\) in data, \(\) in back"):
        subtract({"p": np.ones((2, 4))}, {"p": np.ones(3)})


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, "1", [1.0], True])
def test_a_scale_that_is_no_positive_number_is_refused(scale):
    with pytest.raises(ValueError, match="scale must be a positive number"):
        subtract({"x": [1.0]}, {"x": [1.0]}, scale)


def test_tables_that_are_none_are_named():
    with pytest.raises(TypeError, match="background: events must come as"):
        subtract({"x": [1.0]}, [1.0])


def test_o03_mixed_sign_weights_give_the_yield_and_alpha_its_error():
    """Four events of weights 1, 1, 1 and -0.5: yield 2.5, error sqrt(sum w^2)."""
    w = np.array([1, 1, 1, -0.5])
    data = jp.Dataset({"x": np.zeros(4)}, w)
    cost = jp.ExtendedNLL(lambda p, d: p["A"] + 0 * d["x"], data, {"x": np.zeros(3)})
    assert cost({"A": 2.5}) == pytest.approx(0.20927317031461223, rel=1e-14)
    alpha = float(scale_weights(w)[0])
    assert alpha == pytest.approx(0.7692307692, abs=1e-10)
    for factor, error in ((1.0, 1.58113883), (alpha, 1.8027756377319946)):
        scaled = cost * factor
        assert jp.fit(scaled, {"A": 1.0}).values["A"] == pytest.approx(2.5, rel=1e-6)
        assert scaled.hessian({"A": 2.5})[0, 0] ** -0.5 == pytest.approx(error, rel=1e-8)


def test_scaled_weights_sum_to_the_effective_number_of_events():
    w = np.random.default_rng(1).normal(1, 0.7, 100)
    assert scale_weights(w).sum() == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-14)
    assert scale_weights(3 * w) == pytest.approx(scale_weights(w), rel=1e-14)
    assert scale_weights(np.full(5, 7)).tolist() == [1.0] * 5


@pytest.mark.parametrize("weights", [[1.0, np.nan], [[1.0]], ["a"]])
def test_weights_that_are_no_numbers_per_event_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be finite real numbers"):
        scale_weights(weights)


def test_weights_without_positive_sum_are_refused():
    with pytest.raises(ValueError, match="weights must have a positive sum, got -1"):
        scale_weights([1.0, -2.0])


GAUSS, FLAT = norm(0.5, 0.05), lambda m: np.ones_like(m)


def peak_on_flat(seed, n_signal=700, n_background=1500):
    rng = np.random.default_rng(seed)
    m = np.concatenate([GAUSS.rvs(n_signal, random_state=rng), rng.uniform(0, 1, n_background)])
    return m, np.stack([GAUSS.pdf(m), FLAT(m)], 1)


def test_yields_maximise_the_extended_likelihood():
    _, f = peak_on_flat(1)
    found = fit_yields(f)
    best = minimize(lambda n: n.sum() - np.log(f @ n).sum(), [1000.0, 1000.0], method="Nelder-Mead", tol=1e-10)
    assert list(found) == ["0", "1"]
    assert list(found.values()) == pytest.approx(best.x, rel=1e-5)
    n = np.array(list(found.values()))
    assert (f / (f @ n)[:, None]).sum(0) == pytest.approx([1, 1], abs=1e-12)
    assert n.sum() == pytest.approx(len(f), rel=1e-12)


def test_a_yield_may_be_negative():
    """A dip where the peak would be."""
    m = np.random.default_rng(2).uniform(0, 1, 3000)
    m = m[np.abs(m - 0.5) > 0.02]
    f = np.stack([GAUSS.pdf(m), FLAT(m)], 1)
    yields = fit_yields({"peak": f[:, 0], "flat": f[:, 1]})
    n = np.array(list(yields.values()))
    assert yields["peak"] < 0
    assert (f / (f @ n)[:, None]).sum(0) == pytest.approx([1, 1], abs=1e-10)


def test_weights_of_an_event_sum_to_one_and_of_a_species_to_its_yield():
    _, f = peak_on_flat(3)
    sw = sweights({"signal": f[:, 0], "background": f[:, 1]})
    assert sw.weights.sum(1) == pytest.approx(np.ones(len(f)), abs=1e-11)
    assert sw.weights.sum(0) == pytest.approx(list(sw.yields.values()), rel=1e-11)
    assert sw.distance < 1e-10
    assert sw.names == ("signal", "background")


def test_weights_are_those_of_integrals_for_a_large_sample():
    """W as an integral over the density, for three species; the sample is a fine grid of quantiles."""
    yields = np.array([300.0, 500.0, 200.0])
    densities = [norm(0.3, 0.1).pdf, norm(0.7, 0.15).pdf, lambda m: 0.25 + 0 * np.asarray(m)]

    def total(m):
        return sum(n * f(m) for n, f in zip(yields, densities, strict=True))

    def overlap(f, g):
        return quad(lambda m: f(m) * g(m) / total(m), -1, 3, limit=200, points=[0.3, 0.7], epsabs=1e-12)[0]

    matrix = [[overlap(f, g) for g in densities] for f in densities]
    # Events on equal steps, as many at each as the density says.
    m = np.linspace(-1, 3, 2001)
    counts = np.round(np.asarray(total(m))).astype(int)
    f = np.stack([g(m) for g in densities], 1)
    sw = sweights(np.repeat(f, counts, axis=0))
    # The sample is 1 / step times as large as the yields say, of which weights know nothing.
    exact = f / np.asarray(total(m))[:, None] @ np.linalg.inv(matrix)
    got = sw.weights[np.cumsum(counts) - 1]
    assert np.abs(got - exact).max() < 0.003 * np.abs(exact).max()


def test_two_species_that_never_overlap_have_weights_0_and_1():
    f = np.array([[2.0, 0.0]] * 3 + [[0.0, 4.0]] * 5)
    sw = sweights(f, [3, 5])
    assert sw.weights == pytest.approx(np.array([[1.0, 0]] * 3 + [[0, 1]] * 5))
    assert sw.covariance == pytest.approx(np.diag([3.0, 5.0]))


def test_weighted_distributions_are_those_of_the_species():
    """The mean of an independent variable comes out within five standard deviations, in both species."""
    m, f = peak_on_flat(4, 4000, 8000)
    rng = np.random.default_rng(5)
    t = np.concatenate([rng.exponential(1.0, 4000), rng.exponential(3.0, 8000)])
    w = sweights(f).weights
    mean = (w * t[:, None]).sum(0) / w.sum(0)
    error = np.sqrt((w**2 * (t[:, None] - mean) ** 2).sum(0)) / w.sum(0)
    assert np.abs(mean - [1, 3]) == pytest.approx([0, 0], abs=5 * error.max())
    assert error.max() < 0.06


def test_yields_off_the_maximum_are_told_with_their_distance():
    _, f = peak_on_flat(6)
    names = ("signal", "background")
    best = fit_yields(dict(zip(names, f.T, strict=True)))
    sigma = np.sqrt(np.diag(sweights(f).covariance))
    moved = {"background": best["background"], "signal": best["signal"] + 2 * sigma[0]}
    with pytest.warns(jp.JaxpwaWarning, match=rf"2\.\d standard .* signal={best['signal']:.6g}, .* leave yields out"):
        sw = sweights(dict(zip(names, f.T, strict=True)), moved)
    assert sw.weights.sum(0) == pytest.approx(list(sw.yields.values()), rel=1e-9)
    assert np.abs(sw.weights.sum(1) - 1).max() > 0.01


def weights_by_hand(f, omega):
    """SWeights where events count ``omega`` times, written from the definition."""
    n = np.full(f.shape[1], omega.sum() / f.shape[1])
    for _ in range(200):
        u = f / (f @ n)[:, None]
        n = n + np.linalg.solve((omega[:, None] * u).T @ u, (omega[:, None] * u).sum(0) - 1)
    u = f / (f @ n)[:, None]
    return u @ np.linalg.inv((omega[:, None] * u).T @ u)


@pytest.mark.parametrize("species", [0, 1, 2])
def test_influence_is_the_derivative_with_respect_to_the_weights_of_events(species):
    m, f = peak_on_flat(7, 60, 90)
    f = np.concatenate([f, 2 * m[:, None] * (m > 0)[:, None]], 1)[(m > 0) & (m < 1)]
    scores = np.random.default_rng(8).normal(1, 1, (len(f), 2))
    got = sweights(f)[species].influence_on(scores)
    for event in (0, 70, len(f) - 1):
        up, down = np.ones(len(f)), np.ones(len(f))
        up[event] += 1e-5
        down[event] -= 1e-5
        slope = (weights_by_hand(f, up) - weights_by_hand(f, down))[:, species] @ scores / 2e-5
        assert got[event] == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_counting_a_species_has_no_error_besides_that_of_the_weights():
    """The sum of the weights is the yield, whose influence is the weight itself: none is left."""
    _, f = peak_on_flat(9)
    sw = sweights(f)
    assert np.abs(sw[0].influence_on(np.ones((len(f), 1)))).max() < 1e-10
    assert sw.weights.T @ sw.weights == pytest.approx(sw.covariance, rel=1e-9)


def test_shape_of_the_species_itself_does_not_move_a_score_but_that_of_another_does():
    """To first order; a score has expectation 0 in its own species, and not in another."""
    rng = np.random.default_rng(10)
    n_signal, n_background, slope = 40_000, 60_000, 0.4
    rising = (np.sqrt((1 - slope) ** 2 + 4 * slope * rng.uniform(0, 1, n_background)) - (1 - slope)) / (2 * slope)
    m = np.concatenate([rng.normal(0.3, 0.05, n_signal), rising])
    g = np.concatenate([rng.normal(0, 1, n_signal), rng.normal(1, 1, n_background)])

    def densities(mean, slope):
        return np.stack([norm(mean, 0.05).pdf(m), 1 - slope + 2 * slope * m], 1)

    def moved(mean, slope):
        return sweights(densities(mean, slope)).weights[:, 0] @ g

    # Errors of the shapes, if each were fitted to its species alone.
    mean_error, slope_error = 0.05 / np.sqrt(n_signal), np.sqrt(3 / n_background)
    own = (moved(0.3 + mean_error, slope) - moved(0.3 - mean_error, slope)) / 2
    other = (moved(0.3, slope + slope_error) - moved(0.3, slope - slope_error)) / 2
    statistical = np.sqrt(((sweights(densities(0.3, slope)).weights[:, 0] * g) ** 2).sum())
    assert abs(own) < 0.03 * statistical
    assert abs(other) > 0.1 * statistical


@pytest.mark.parametrize(
    ("densities", "text"),
    [
        ([1.0, 2.0], r"shape \(events, species\), got float64 of shape \(2,\)"),
        ({"a": [1.0, 2.0], "b": [1.0]}, r"all of shape \(events,\), got a: \(2,\), b: \(1,\)"),
        ([[1.0, -1.0], [1.0, 1.0]], r"1 of 2 events have others \(first: event 0, \[1.0, -1.0\]\)"),
        ([[1.0, 1.0], [0.0, 0.0]], r"positive for one species at least: .* event 1"),
        ([[1.0, 2.0], [2.0, 4.0]], "densities of 0, 1 must be linearly independent"),
    ],
)
def test_densities_that_make_no_sense_are_refused(densities, text):
    for function in (fit_yields, sweights):
        with pytest.raises(ValueError, match=text):
            function(densities)


def test_yields_and_species_that_do_not_fit_are_refused():
    _, f = peak_on_flat(11, 20, 20)
    with pytest.raises(ValueError, match="yields must name the species 0, 1, got a, b"):
        sweights(f, {"a": 1.0, "b": 2.0})
    with pytest.raises(ValueError, match=r"one finite number per species, 0, 1, got shape \(3,\)"):
        sweights(f, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="the sum of yields times densities must be positive: event"):
        sweights(f, [-1.0, -2.0])
    with pytest.raises(ValueError, match="unknown species 'c'; there are: 0, 1"):
        sweights(f)["c"]
    with pytest.raises(ValueError, match="scores must have one entry per event: got 3 for 40 events"):
        sweights(f)["0"].influence_on(np.zeros((3, 1)))


def test_the_record_prints_as_a_table():
    _, f = peak_on_flat(12)
    sw = sweights({"<signal>": f[:, 0], "flat": f[:, 1]})
    assert "sWeights of 2200 events" in str(sw)
    assert "effective events" in str(sw)
    assert "&lt;signal&gt;" in sw._repr_html_()
    assert list(sw.to_pandas()) == ["<signal>", "flat"]
    assert len(sw.to_pandas()) == 2200


def test_a_fit_with_sweights_finds_the_decay_constant():
    m, f = peak_on_flat(13, 3000, 6000)
    rng = np.random.default_rng(14)
    t = np.concatenate([rng.exponential(1.0, 3000), rng.exponential(3.0, 6000)])
    data = jp.Dataset({"t": t}, sweights(f)[0].weights)
    cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["t"] / p["tau"]) / p["tau"], data)
    assert jp.fit(cost, {"tau": 2.0}).values["tau"] == pytest.approx(1.0, abs=0.15)
