"""Costs of intensities that come from outside of JAX."""

import numpy as np
import pytest

import jaxpwa as jp

X = np.random.default_rng(1).exponential(0.5, 5001)


class Decay(jp.IntensitySource):
    """a exp(-a x) in two parts of plain numpy, with or without a gradient."""

    def __init__(self, x=X, gradient=False, slope=1.0, cut=2000):
        self.x, self.sizes = x, (cut, len(x) - cut)
        self.has_gradient, self.slope = gradient, slope

    def split(self, values):
        return [values[: self.sizes[0]].copy(), values[self.sizes[0] :].copy()]

    def launch(self, params, keep):
        self.a = params["a"]
        return self.a

    def collect(self, a):
        return self.split(a * np.exp(-a * self.x))

    def pullback(self, slopes):
        d = (1 - self.a * self.x) * np.exp(-self.a * self.x)
        return np.array([self.slope * sum(float(np.dot(s, p)) for s, p in zip(slopes, self.split(d), strict=True))])


def nll(source, **keywords):
    term = jp.SuppliedTerm.make(source, "log", scale=-1.0, **keywords)
    return jp.Cost([term], 0.5, source.n_events, "decay")


def by_hand(a, w=1.0):
    return -np.sum(w * (np.log(a) - a * X))


def test_the_value_is_the_sum_over_all_parts():
    assert nll(Decay())({"a": 2.0}) == pytest.approx(by_hand(2.0), rel=1e-13)


def test_weights_enter_and_events_of_weight_0_take_no_part():
    w = np.random.default_rng(2).normal(1, 1, len(X))
    assert nll(Decay(), weights=w)({"a": 2.0}) == pytest.approx(by_hand(2.0, w), rel=1e-12)
    x, w = X.copy(), np.ones(len(X))
    x[7], w[7] = np.inf, 0.0
    assert nll(Decay(x), weights=w)({"a": 2.0}) == pytest.approx(by_hand(2.0, w), rel=1e-12)


def test_single_precision_intensities_are_added_in_double():
    class Single(Decay):
        def collect(self, a):
            return [part.astype(np.float32) for part in super().collect(a)]

    single = [np.log(p.astype(np.float64)) for p in Single().collect(2.0)]
    assert nll(Single())({"a": 2.0}) == pytest.approx(-sum(s.sum() for s in single), rel=1e-13)


def test_longer_arrays_of_neutral_values_change_nothing():
    class Padded(Decay):
        def collect(self, a):
            parts = []
            for part in super().collect(a):
                buffer = np.full(self.buffer_length(len(part)), jp.SuppliedTerm.neutral("log"))
                buffer[: len(part)] = part
                parts.append(buffer)
            return parts

    assert len(Padded().collect(1.0)[0]) == 4096
    assert nll(Padded())({"a": 2.0}) == pytest.approx(by_hand(2.0), rel=1e-13)


@pytest.mark.parametrize("n", [1, 4096, 4097, 70_000, 1_000_003])
def test_buffers_are_whole_blocks_and_waste_little(n):
    length = jp.IntensitySource.buffer_length(n)
    assert length % 4096 == 0
    assert n <= length <= max(4096 * -(-n // 4096), 1.13 * n + 4096)


def test_it_adds_with_other_costs_and_is_fitted_by_differences():
    cost = nll(Decay()) + jp.GaussianConstraint("a", 2.0, 0.01)
    native = jp.UnbinnedNLL(lambda p, d: p["a"] * jp_exp(-p["a"] * d["x"]), {"x": X})
    exact = jp.fit(native + jp.GaussianConstraint("a", 2.0, 0.01), {"a": 1.0})
    result = jp.fit(cost, {"a": 1.0})
    assert result.valid
    assert result.calls["gradient"] == 0
    assert result.values["a"] == pytest.approx(exact.values["a"], abs=1e-3 * exact.errors["a"])
    assert result.errors["a"] == pytest.approx(exact.errors["a"], rel=1e-3)


def jp_exp(x):
    import jax.numpy as jnp

    return jnp.exp(x)


def test_a_gradient_of_the_source_is_used():
    cost = nll(Decay(gradient=True))
    value, gradient = cost.value_and_grad({"a": 1.7})
    assert value == pytest.approx(by_hand(1.7), rel=1e-13)
    assert gradient["a"] == pytest.approx(-np.sum(1 / 1.7 - X), rel=1e-10)
    result = jp.fit(cost, {"a": 1.0})
    assert result.calls["gradient"] > 0
    assert result.values["a"] == pytest.approx(1 / X.mean(), abs=1e-3 * result.errors["a"])


def test_a_wrong_gradient_is_found_and_not_used():
    cost = nll(Decay(gradient=True, slope=1.2))
    with pytest.warns(jp.JaxpwaWarning, match=r"gradient that came with the intensities of decay is not that of the v"):
        result = jp.fit(cost, {"a": 1.0})
    assert result.values["a"] == pytest.approx(1 / X.mean(), abs=1e-3 * result.errors["a"])
    with pytest.warns(jp.JaxpwaWarning, match="MINUIT takes differences"):
        assert jp.minimizer(cost, {"a": 1.0}).migrad().ngrad == 0


def test_a_parameter_at_its_limit_is_flagged_and_has_no_error():
    result = jp.fit(nll(Decay()), {"a": jp.Parameter(1.0, lower=0.5, upper=1.5)})
    assert result.valid
    assert result.at_limit == ("a",)
    assert result.values["a"] == 1.5
    assert np.isnan(result.errors["a"])


def test_what_is_fixed_stays_and_a_fit_without_free_parameters_is_a_value():
    result = jp.fit(nll(Decay()), {"a": 2.0}, fixed="a")
    assert result.valid
    assert result.fval == pytest.approx(by_hand(2.0), rel=1e-13)


def test_a_cost_without_minimum_is_not_called_valid():
    class Flat(Decay):
        def collect(self, a):
            return self.split(np.full(len(self.x), 1.0))

    with pytest.warns(jp.ConvergenceWarning, match="not valid"):
        assert not jp.fit(nll(Flat()), {"a": 1.0}).valid


def test_derivatives_that_there_are_not_are_refused():
    cost = nll(Decay())
    assert (cost.derivatives, nll(Decay(gradient=True)).derivatives) == (0, 1)
    with pytest.raises(TypeError, match="decay has no exact gradient: its intensities are computed outside of JAX"):
        cost.value_and_grad({"a": 1.0})
    with pytest.raises(TypeError, match="no exact second derivatives"):
        nll(Decay(gradient=True)).hessian({"a": 1.0})
    with pytest.raises(TypeError, match="to_jax ports PyPWA-style classes"):
        cost.as_function()


def test_events_of_zero_negative_and_nan_intensity_are_named():
    class Faulty(Decay):
        def __init__(self, fault):
            super().__init__()
            self.fault = fault

        def collect(self, a):
            values = a * np.exp(-a * self.x)
            values[4321] = self.fault
            return self.split(values)

    with pytest.warns(
        jp.JaxpwaWarning, match=r"intensity is 0 for 1 of 5001 data events \(first: event 4321\), at a=1"
    ):
        assert nll(Faulty(0.0))({"a": 1.0}) == np.inf
    for fault, word in ((-1.0, "negative"), (np.nan, "NaN or infinite")):
        with pytest.raises(ValueError, match=rf"intensity is {word} for 1 of 5001 data events \(first: event 4321\)"):
            nll(Faulty(fault))({"a": 1.0})


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"weights": np.ones(3)}, ValueError, "weights of data must have one entry per event: got 3 for 5001 events"),
        ({"weights": np.ones((5001, 2))}, ValueError, r"weights of data must have shape \(events,\), got shape"),
        ({"weights": np.full(5001, "a")}, TypeError, "weights of data must be real numbers"),
        ({"weights": np.where(np.arange(5001) == 3, np.nan, 1)}, ValueError, "must be finite: event 3 has nan"),
    ],
)
def test_weights_that_do_not_fit_are_refused(keywords, error, message):
    with pytest.raises(error, match=message):
        nll(Decay(), **keywords)


def test_kinds_of_sums_are_known():
    with pytest.raises(ValueError, match="kind must be one of log, intensity, pull, got 'sum'"):
        jp.SuppliedTerm.make(Decay(), "sum", scale=1.0)


def test_a_pull_is_chi_squared():
    y, sigma = np.full(len(X), 0.3), np.full(len(X), 0.2)
    term = jp.SuppliedTerm.make(Decay(), "pull", scale=1.0, extras=(y, sigma))
    cost = jp.Cost([term], 1.0, len(X), "chi2")
    assert cost({"a": 2.0}) == pytest.approx(np.sum(((2 * np.exp(-2 * X) - y) / sigma) ** 2), rel=1e-12)
