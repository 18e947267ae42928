"""PyPWA's likelihoods: formulas, forms of data, flags, and what they refuse."""

import copy

import amplitudes as amp
import numpy as np
import pandas as pd
import pytest
from models import TRUE_GAUSS, gauss_nll, gauss_sample, rho_events, rho_numpy

import jaxpwa as jp
import jaxpwa_compat as pwa

DATA = gauss_sample(2003)
MC = dict(zip("xy", np.random.default_rng(5).uniform(0, 20, (2, 3001)), strict=True))
P = {"A1": 9.0, "A2": 3.5, "A3": 10.5, "A4": 2.5}
KINDS = [amp.Gauss, amp.GaussInline, amp.GaussThreads, amp.GaussDebug, amp.GaussNumexpr, amp.GaussTorch]
LN = gauss_nll(P, DATA["x"], DATA["y"])


def intensity(p, d):
    return np.exp(-(((d["x"] - p["A1"]) / p["A2"]) ** 2) - ((d["y"] - p["A3"]) / p["A4"]) ** 2) / (p["A2"] * p["A4"])


@pytest.mark.parametrize("kind", [*KINDS, amp.GaussTorchProcesses])
@pytest.mark.parametrize("processes", [0, 1, 2, 3])
def test_every_kind_and_number_of_parts_gives_the_same_value(kind, processes):
    with pwa.LogLikelihood(kind(), DATA, num_of_processes=processes) as likelihood:
        value = likelihood(P)
    assert isinstance(value, np.float64)
    assert value == pytest.approx(LN, rel=1e-12)


@pytest.mark.parametrize("kind", [amp.Gauss, amp.GaussInline, amp.GaussTorch])
def test_the_extended_form_adds_the_mean_of_the_monte_carlo(kind):
    expected = LN + intensity(P, MC).sum() / 9000
    with pwa.LogLikelihood(kind(), DATA, MC, generated_length=9000, num_of_processes=2) as likelihood:
        assert likelihood(P) == pytest.approx(expected, rel=1e-12)


def test_o02_lengths_that_parts_do_not_divide():
    data, mc = {"x": np.arange(1003) / 1003}, {"x": np.arange(1001) / 1001}
    for processes in (0, 1, 2, 3):
        with pwa.LogLikelihood(amp.Decay(), data, num_of_processes=processes) as plain:
            assert plain({"a": 1.0}) == pytest.approx(501.0, rel=1e-12)
        with pwa.LogLikelihood(amp.Decay(), data, mc, generated_length=1001, num_of_processes=processes) as extended:
            assert extended({"a": 1.0}) == pytest.approx(501.63243635593495, rel=1e-12)


def test_quality_factor_and_binned_multiply_the_logarithm():
    rng = np.random.default_rng(1)
    q, b = rng.normal(1, 1, 2003), rng.uniform(0, 2, 2003)
    for given, w in (({"quality_factor": q}, q), ({"binned": b}, b), ({"quality_factor": q, "binned": b}, q * b)):
        likelihood = pwa.LogLikelihood(amp.GaussInline(), DATA, **given)
        assert likelihood(P) == pytest.approx(gauss_nll(P, DATA["x"], DATA["y"], w), rel=1e-12)


def test_binned_beside_monte_carlo_is_ignored_and_says_so():
    with pytest.warns(jp.JaxpwaWarning, match="binned is ignored where monte_carlo is given"):
        likelihood = pwa.LogLikelihood(amp.GaussInline(), DATA, MC, binned=np.full(2003, 7.0))
    assert likelihood(P) == pytest.approx(LN + intensity(P, MC).mean(), rel=1e-12)


def test_is_minimizer_false_turns_the_sign_and_refuses_to_be_minimised():
    likelihood = pwa.LogLikelihood(amp.GaussInline(), DATA, is_minimizer=False)
    assert likelihood(P) == pytest.approx(-LN, rel=1e-12)
    for attempt in (
        lambda: jp.fit(likelihood, P),
        lambda: pwa.minuit(P, likelihood),
        lambda: pwa.minuit(np.ones(4), likelihood),
        lambda: likelihood + jp.GaussianConstraint("A1", 10, 1),
    ):
        with pytest.raises(ValueError, match=r"is to be maximised \(is_minimizer=False"):
            attempt()


def test_o04_a_generated_length_of_1_means_as_many_as_the_monte_carlo():
    data, mc = {"x": np.ones(4)}, {"x": np.array([0.2, 0.4, 0.6])}
    for given, best in ((1, 10.0), (3, 10.0), (10, 100 / 3), (1 + 1e-12, 10 / 3)):
        with pwa.LogLikelihood(amp.Slope(), data, mc, generated_length=given) as likelihood:
            result = jp.fit(likelihood, {"A": 5.0})
        assert result.values["A"] == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("wrong", [None, 0, -3, "many", np.nan, True])
def test_a_generated_length_that_is_no_number_of_events_is_refused(wrong):
    with pytest.raises(ValueError, match="generated_length must be the number of events generated, or 1 for as many"):
        pwa.LogLikelihood(amp.GaussInline(), DATA, MC, generated_length=wrong)


@pytest.mark.parametrize("index", [[0, 1, 2], [1, 3, 4], [4, 3, 1]])
@pytest.mark.parametrize("processes", [0, 2])
def test_o07_weights_are_paired_by_position_whatever_the_index(index, processes):
    frame = pd.DataFrame({"x": np.arange(1.0, 7)}).iloc[[1, 3, 4]]
    q = pd.Series([1.0, 2, 3], index=index)
    for data in (frame, pwa.pandas_to_numpy(frame), {"x": frame["x"].to_numpy()}):
        kind = amp.SlopeProcesses if processes else amp.Slope
        with pwa.LogLikelihood(kind(), data, quality_factor=q, num_of_processes=processes) as likelihood:
            assert likelihood({"A": 1.0}) == pytest.approx(-8.294049640102028, rel=1e-14)


def test_o07_wrong_lengths_are_refused_with_both():
    for name in ("quality_factor", "binned"):
        with pytest.raises(
            ValueError, match=rf"{name} must have one entry per event: got shape \(4,\) for 2003 events"
        ):
            pwa.LogLikelihood(amp.GaussInline(), DATA, **{name: np.ones(4)})


@pytest.mark.parametrize("kind", [amp.Slope, amp.SlopeNumexpr, amp.SlopeTorch, amp.SlopeProcesses])
@pytest.mark.parametrize("processes", [1, 2])
def test_o01_an_intensity_of_0_is_infinite_and_named_unless_its_weight_is_0(kind, processes):
    data, mc = {"x": np.array([0, 0.25, 0.5])}, {"x": np.array([0.2, 0.4, 0.6, 0.8])}
    with (
        pwa.LogLikelihood(kind(), data, mc, generated_length=4, num_of_processes=processes) as likelihood,
        pytest.warns(jp.JaxpwaWarning, match=r"is inf: intensity is 0 for 1 of 3 data events \(first: event 0\)"),
    ):
        assert likelihood({"A": 2.0}) == np.inf
    q = np.array([0.0, 1, 1])
    with pwa.LogLikelihood(kind(), data, mc, None, q, 4, num_of_processes=processes) as likelihood:
        assert likelihood({"A": 2.0}) == pytest.approx(1.6931471805599454, rel=1e-14)
        if kind is amp.SlopeTorch:
            assert likelihood.value_and_grad({"A": 2.0})[1]["A"] == pytest.approx(-0.5, rel=1e-12)


def test_negative_and_nan_intensities_give_nan_and_are_named():
    for fault, word in ((-1.0, "negative"), (np.nan, "NaN or infinite")):
        data = {"x": np.array([1.0, 2, fault, 3])}
        likelihood = pwa.LogLikelihood(amp.Slope(), data)
        with pytest.warns(jp.JaxpwaWarning, match=rf"intensity is {word} for 1 of 4 data events \(first: event 2\)"):
            assert np.isnan(likelihood({"A": 1.0}))


def test_o03_sweights_and_their_multiplier():
    data, mc = {"x": np.ones(4)}, {"x": np.ones(9)}
    s = np.array([1, 1, 1, -0.5])
    alpha = s.sum() / (s**2).sum()
    for multiplier, error in ((-1, np.sqrt(2.5)), (-alpha, 1.8027756377319946)):
        likelihood = pwa.sweightedLogLikelihood(amp.Slope(), data, mc, sweight=s, multiplier=multiplier)
        assert likelihood({"A": 2.5}) == pytest.approx(-multiplier * 0.20927317031461223, rel=1e-12)
        result = jp.fit(likelihood, {"A": 1.0}, tolerance=1e-3)
        assert result.values["A"] == pytest.approx(2.5, abs=1e-4)
        assert result.errors["A"] == pytest.approx(error, rel=1e-3)


def test_sweights_divide_by_the_length_of_the_monte_carlo_not_by_its_weights():
    rng = np.random.default_rng(3)
    s, w = rng.normal(1, 1, 2003), rng.uniform(0, 3, 3001)
    likelihood = pwa.sweightedLogLikelihood(amp.Gauss(), DATA, MC, s, w, num_of_processes=2)
    expected = gauss_nll(P, DATA["x"], DATA["y"], s) + np.sum(w * intensity(P, MC)) / 3001
    with likelihood:
        assert likelihood(P) == pytest.approx(expected, rel=1e-12)
    upside_down = pwa.sweightedLogLikelihood(amp.GaussInline(), DATA, MC, s, w, multiplier=2)
    assert upside_down(P) == pytest.approx(-2 * expected, rel=1e-12)
    assert not upside_down.is_minimizer


def test_sweights_need_a_monte_carlo_and_a_multiplier():
    with pytest.raises(ValueError, match="sweightedLogLikelihood needs monte_carlo; without it use LogLikelihood"):
        pwa.sweightedLogLikelihood(amp.Gauss(), DATA)
    with pytest.raises(ValueError, match="multiplier must be a number other than 0"):
        pwa.sweightedLogLikelihood(amp.Gauss(), DATA, MC, multiplier=0)


def test_errors_of_the_users_setup_are_not_hidden_by_sweights():
    with pytest.raises(ValueError, match="boom"):
        pwa.sweightedLogLikelihood(amp.Fails("setup"), DATA, MC, num_of_processes=2)


def test_chi_squared_divides_by_what_is_given_and_not_by_its_square():
    expected, variances, predicted = np.array([4.0, 2, 9]), np.array([0.5, 0.25, 1]), np.array([5.0, 1, 9])
    likelihood = pwa.ChiSquared(amp.Slope(), {"x": predicted}, event_errors=variances, expected_values=expected)
    assert likelihood({"A": 1.0}) == pytest.approx(6.0, rel=1e-14)
    assert likelihood.errordef == 1.0
    binned = pwa.ChiSquared(
        amp.Slope(), {"x": predicted}, np.array([4.0, 2, 9]), variances, expected, is_minimizer=False
    )
    assert binned({"A": 1.0}) == pytest.approx(-(1 / 4 + 1 / 2), rel=1e-14)


def test_o19_empty_bins_are_left_out_with_a_warning_and_not_all_may_be_empty():
    data = {"x": np.array([5.0, 1, 9])}
    with pytest.warns(jp.JaxpwaWarning, match=r"binned is 0 for 1 of 3 events \(first: 1\): left out"):
        likelihood = pwa.ChiSquared(amp.Slope(), data, binned=np.array([4, 0, 9]))
    assert likelihood({"A": 1.0}) == pytest.approx(0.25, rel=1e-14)
    assert likelihood.ndata == 2
    with pytest.raises(ValueError, match="binned must be positive, as the divisor of chi-squared: event 0 has 0"):
        pwa.ChiSquared(amp.Slope(), data, binned=np.zeros(3))
    with pytest.raises(ValueError, match="event_errors must be positive.*event 1 has -1"):
        pwa.ChiSquared(amp.Slope(), data, event_errors=np.array([1, -1, 1]), expected_values=np.ones(3))
    with pytest.raises(ValueError, match=r"needs binned \(Binned\), or both event_errors and expected_values"):
        pwa.ChiSquared(amp.Slope(), data, event_errors=np.ones(3))


@pytest.mark.parametrize("use_mp", [False, True])
def test_the_empty_likelihood_adds_whatever_is_returned(use_mp):
    data = {"x": np.arange(7.0)}
    for values, expected in (
        (lambda d: d["x"] - 3, 0.0),
        (lambda d: float(np.sum(d["x"])), 21.0),
        (lambda d: np.array([d["x"].sum(), 1.0, 0.5]), 22.5 + 1.5 * use_mp),
    ):
        with pwa.EmptyLikelihood(amp.Returns(values, use_mp), data, num_of_processes=2) as likelihood:
            assert likelihood() == pytest.approx(expected, abs=1e-13)
            assert (likelihood.TYPE, likelihood.errordef) == ("OTHER", 1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda d: pd.DataFrame(d, index=np.arange(2003) * 7 % 2003),
        lambda d: pwa.pandas_to_numpy(pd.DataFrame(d)),
        dict,
        jp.Dataset,
    ],
)
@pytest.mark.parametrize("processes", [0, 2])
def test_blocks_have_the_type_that_was_given(make, processes):
    data = make(DATA)
    amplitude = amp.Gauss()
    with pwa.LogLikelihood(amplitude, data, num_of_processes=processes) as likelihood:
        assert likelihood(P) == pytest.approx(LN, rel=1e-12)
    if processes == 0:
        assert amplitude.block_type == type(data).__name__


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_a_frame_arrives_as_a_frame_in_every_process(processes):
    frame = pd.DataFrame({"x": np.arange(10.0)}, index=np.arange(10)[::-1])
    with pwa.EmptyLikelihood(amp.Columns(), frame, num_of_processes=processes) as likelihood:
        assert likelihood() == pytest.approx(55.0)


def test_each_part_knows_its_number_and_sizes_differ_by_at_most_one():
    data = np.zeros(11)
    values, top = pwa.simulate.process_user_function(amp.Part(), data, None, 4)
    assert values.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert top == 3
    few, _ = pwa.simulate.process_user_function(amp.Part(), np.zeros(2), None, 4)
    assert few.tolist() == [0, 1]


def test_a_particle_pool_is_split_into_unequal_parts():
    class Energy(pwa.NestedFunction):
        def setup(self, data):
            self.e = np.asarray(data.get_particles_by_id(14)[0].e)

        def calculate(self, p):
            return self.e

    pool = pwa.ParticlePool([pwa.Particle(14, 1, np.arange(1.0, 11), np.zeros(10), np.zeros(10), np.zeros(10))])
    with pwa.EmptyLikelihood(Energy(), pool, num_of_processes=3) as likelihood:
        assert likelihood() == pytest.approx(55.0)


def test_in_one_process_the_data_amplitude_is_the_users_own_and_the_monte_carlo_a_copy():
    amplitude = amp.GaussInline()
    pwa.LogLikelihood(amplitude, DATA, MC)
    assert len(amplitude.x) == 2003
    untouched = amp.Gauss()
    with pwa.LogLikelihood(untouched, DATA, num_of_processes=2):
        assert not hasattr(untouched, "x")
    threads = amp.GaussThreads()
    with pwa.LogLikelihood(threads, DATA, num_of_processes=2):
        assert not hasattr(threads, "x")


@pytest.mark.parametrize("processes", [0, 2])
def test_parameters_reach_the_amplitude_as_they_were_given(processes):
    with pwa.LogLikelihood(amp.Gauss(), DATA, num_of_processes=processes) as likelihood:
        assert likelihood(np.array(list(P.values()))) == pytest.approx(LN, rel=1e-12)
    with pwa.LogLikelihood(amp.Decay(), {"x": np.arange(4.0)}, num_of_processes=processes) as likelihood:
        assert likelihood() == likelihood(None) == pytest.approx(6.0)


def test_flags_are_looked_at_when_the_likelihood_is_built():
    class Both(amp.Gauss):
        USE_THREADS = True

    with pytest.raises(RuntimeError, match="USE_MP and USE_THREADS can't both be true: set USE_MP = False"):
        pwa.LogLikelihood(Both(), DATA)
    Both.DEBUG = True
    assert pwa.LogLikelihood(Both(), DATA)(P) == pytest.approx(LN, rel=1e-12)


def test_a_function_amplitude_goes_into_a_likelihood():
    amplitude = pwa.FunctionAmplitude(lambda: None, lambda d, p: intensity(p, d))
    with pwa.LogLikelihood(amplitude, DATA, num_of_processes=2) as likelihood:
        assert likelihood(P) == pytest.approx(LN, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (lambda d: 1.0, ValueError, r"one value per event, shape \(7,\), got shape \(\)\. Is there a sum over events"),
        (lambda d: np.ones((7, 2)), ValueError, r"shape \(7,\), got shape \(7, 2\)"),
        (lambda d: np.ones(6), ValueError, r"shape \(7,\), got shape \(6,\)"),
        (lambda d: np.ones(7) * 1j, TypeError, r"must return real intensities, got complex128: take abs\(amplitude\)"),
        (lambda d: np.array(["a"] * 7), TypeError, "must return real numbers, got <U1"),
        (lambda d: None, TypeError, "must return real numbers, got object"),
    ],
)
def test_what_calculate_returns_is_checked(values, error, message):
    with pytest.raises(error, match=f"Returns.calculate {message}" if "must" in message else message):
        pwa.LogLikelihood(amp.Returns(values), {"x": np.ones(7)})({})


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, bool])
def test_o17_o18_intensities_of_any_real_type_are_added_in_double(dtype):
    values = np.full(100_000, 3).astype(dtype)
    likelihood = pwa.LogLikelihood(amp.Returns(values), {"x": np.ones(100_000)})
    value = likelihood({})
    assert type(value) is np.float64
    assert value == pytest.approx(-np.sum(np.log(values.astype(np.float64))), rel=1e-13)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((amp.Gauss, DATA), TypeError, "amplitude must be an object.*got the class Gauss: make an object of it"),
        ((lambda p, d: 1, DATA), TypeError, r"must be an object with setup\(data\) and calculate\(parameters\)"),
        ((amp.Gauss(), {"x": np.ones(3), "y": np.ones(4)}), ValueError, "columns of data must have equal lengths"),
        ((amp.Gauss(), {"x": np.ones(0)}), ValueError, "data has no events"),
        ((amp.Gauss(), 5), TypeError, "data must be a table, an array or a ParticlePool, got int"),
        ((amp.Gauss(), DATA, {"x": np.ones(0)}), ValueError, "monte_carlo has no events"),
    ],
)
def test_arguments_that_are_no_amplitude_or_no_events_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pwa.LogLikelihood(*arguments)


@pytest.mark.parametrize("number", [-1, 1.5, "two", True])
def test_the_number_of_processes_is_a_whole_number(number):
    with pytest.raises(ValueError, match="num_of_processes must be a whole number, 0 for none"):
        pwa.LogLikelihood(amp.Gauss(), DATA, num_of_processes=number)


def test_likelihoods_are_costs_that_fit_and_add_with_constraints(rho_folder):
    data, mc = rho_events(rho_folder)

    class Rho(pwa.NestedFunction):
        USE_MP = False

        def setup(self, table):
            self.table = table

        def calculate(self, p):
            return rho_numpy(p["A1"], p["A2"], self.table)

    likelihood = pwa.LogLikelihood(Rho(), data, mc)
    assert likelihood({"A1": 5000.0, "A2": 0.3}) == pytest.approx(-17798.593051941993, rel=1e-12)
    result = jp.fit(likelihood, {"A1": 5000.0, "A2": 0.3})
    assert result.fval == pytest.approx(-18016.3192497, abs=1e-4)
    assert result.values == pytest.approx({"A1": 7776.026, "A2": 0.410462}, rel=1e-4)
    assert result.errors == pytest.approx({"A1": 155.604, "A2": 0.0266117}, rel=1e-3)
    tied = jp.fit(likelihood + jp.GaussianConstraint("A2", 0.3, 0.001), {"A1": 5000.0, "A2": 0.3})
    assert tied.values["A2"] == pytest.approx(0.3, abs=2e-3)
    limited = jp.fit(pwa.LogLikelihood(Rho(), data), {"A1": 5.0, "A2": jp.Parameter(0.45, lower=0.4)}, fixed="A1")
    assert limited.at_limit == ("A2",)
    assert limited.fval == pytest.approx(-2149.69566, abs=1e-4)


def test_amplitudes_and_data_are_left_as_they_were():
    data = pd.DataFrame(DATA)
    before = data.copy()
    amplitude = amp.Gauss()
    state = copy.deepcopy(vars(amplitude))
    with pwa.LogLikelihood(amplitude, data, num_of_processes=2) as likelihood:
        likelihood(TRUE_GAUSS)
    pd.testing.assert_frame_equal(data, before)
    assert {k: v for k, v in vars(amplitude).items() if k != "THREAD"} == state
