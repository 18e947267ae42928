"""Simulation as PyPWA does it, and with jaxpwa's own generator."""

import amplitudes as amp
import numpy as np
import pandas as pd
import pytest
from models import TRUE_GAUSS

import jaxpwa as jp
import jaxpwa_compat as pwa

FLAT = dict(zip("xy", np.random.default_rng(9).uniform(0, 20, (2, 20_001)), strict=True))


def expected():
    u, v = (FLAT["x"] - 10) / 3, (FLAT["y"] - 10) / 3
    return np.exp(-(u**2) - v**2) / 9


@pytest.mark.parametrize("kind", [amp.Gauss, amp.GaussThreads, amp.GaussNumexpr, amp.GaussTorch])
@pytest.mark.parametrize("processes", [0, 1, 3])
def test_intensities_come_in_the_order_of_the_events(kind, processes):
    values, top = pwa.simulate.process_user_function(kind(), FLAT, TRUE_GAUSS, processes)
    np.testing.assert_allclose(values, expected(), rtol=1e-12)
    assert top == values.max()


@pytest.mark.parametrize("make", [pd.DataFrame, lambda d: pwa.pandas_to_numpy(pd.DataFrame(d)), dict])
def test_the_mask_is_that_of_numpys_global_generator(make):
    np.random.seed(4)
    mask = pwa.monte_carlo_simulation(amp.GaussInline(), make(FLAT), TRUE_GAUSS)
    np.random.seed(4)
    np.testing.assert_array_equal(mask, expected() / expected().max() > np.random.rand(20_001))
    assert mask.dtype == bool


def test_a_seed_gives_the_mask_of_jaxpwas_simulator():
    mask = pwa.monte_carlo_simulation(amp.GaussInline(), FLAT, TRUE_GAUSS, seed=7)
    native, _ = jp.rejection_sample(7, lambda p, d: d["i"], {}, {"i": expected()})
    assert (mask != native).sum() <= 1
    assert mask.mean() == pytest.approx(0.0707, abs=0.008)


@pytest.mark.parametrize("seed", [None, 3])
def test_one_maximum_for_several_files(seed):
    np.random.seed(1)
    values = np.full(40_000, 1.0)
    for maxima in (4.0, [1.0, 4.0, 2.0], np.array([4.0, 1.0])):
        assert pwa.simulate.make_rejection_list(values, maxima, seed=seed).mean() == pytest.approx(0.25, abs=0.01)


def test_a_series_comes_back_as_a_series():
    mask = pwa.simulate.make_rejection_list(pd.Series([0.0, 5.0], index=[7, 3]), 5.0)
    assert isinstance(mask, pd.Series)
    assert mask.index.tolist() == [7, 3]
    assert mask.tolist() == [False, True]


def test_o20_intensities_that_can_not_be_sampled_are_named():
    for bad, word in ((np.nan, "NaN or infinite"), (-1.0, "negative"), (np.inf, "NaN or infinite")):
        values = np.array([1.0, bad, 2, 4])
        with pytest.raises(ValueError, match=rf"intensity is {word} for 1 of 4 events \(first: event 1"):
            pwa.simulate.make_rejection_list(values, 4.0)
        with pytest.raises(ValueError, match=f"intensity is {word}"):
            pwa.monte_carlo_simulation(amp.Returns(values), np.zeros(4))


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, [], "much"])
def test_a_maximum_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="max_value must be positive and finite, one number or several"):
        pwa.simulate.make_rejection_list(np.ones(3), wrong)


def test_intensities_above_the_maximum_are_counted():
    with pytest.warns(jp.EnvelopeExceededWarning, match=r"1 of 3 events have an intensity above max_value 2"):
        mask = pwa.simulate.make_rejection_list(np.array([0.0, 0.0, 3.0]), 2.0)
    assert mask.tolist() == [False, False, True]


def test_a_sample_that_is_no_sample_is_refused():
    with pytest.raises(TypeError, match="data must be a table, an array or a ParticlePool, got int"):
        pwa.monte_carlo_simulation(amp.Gauss(), 3, TRUE_GAUSS)
    with pytest.raises(ValueError, match=r"intensities must have shape \(events,\) with at least one event"):
        pwa.simulate.make_rejection_list(np.ones((2, 2)), 1.0)


def test_a_pool_can_be_simulated():
    class Energy(pwa.NestedFunction):
        USE_MP = False

        def setup(self, data):
            self.e = np.asarray(data.get_particles_by_id(14)[0].e)

        def calculate(self, p):
            return self.e

    pool = pwa.ParticlePool([pwa.Particle(14, 1, np.array([0.0, 2.0]), np.zeros(2), np.zeros(2), np.zeros(2))])
    assert pwa.monte_carlo_simulation(Energy(), pool).tolist() == [False, True]
