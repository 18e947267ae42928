"""Samples of a given size from a model or a fit."""

import numpy as np
import pytest

import jax.numpy as jnp

import jaxpwa as jp


def rising(p, d):
    return 1 + p["a"] * d["x"]


def flat(seed, n):
    return {"x": np.random.default_rng(seed).uniform(0, 1, n), "y": np.arange(n)}


def mean_of_rising(a):
    return (1 / 2 + a / 3) / (1 + a / 2)


def test_as_many_events_as_wanted_follow_the_model():
    toy = jp.simulate(1, rising, {"a": 3.0}, flat, 40_000)
    assert len(toy) == 40_000
    assert not toy.is_weighted
    assert set(toy) == {"x", "y"}
    assert toy["x"].mean() == pytest.approx(mean_of_rising(3.0), abs=5 * 0.27 / 200)


def test_one_key_gives_one_sample():
    one, same, other = (jp.simulate(key, rising, {"a": 3.0}, flat, 500)["x"] for key in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_fit_of_what_its_result_generates_finds_it_again():
    toy = jp.simulate(1, rising, {"a": 3.0}, flat, 30_000)
    result = jp.fit(jp.UnbinnedNLL(rising, toy, normalization_mc=flat(5, 100_000)), {"a": 1.0})
    again = jp.simulate(2, rising, result, flat, 30_000)
    second = jp.fit(jp.UnbinnedNLL(rising, again, normalization_mc=flat(5, 100_000)), {"a": 1.0})
    assert abs(second.values["a"] - result.values["a"]) < 5 * result.errors["a"]


def test_a_table_gives_a_fair_part_of_what_it_yields():
    table = {"x": np.sort(np.random.default_rng(3).uniform(0, 1, 50_000))}
    every = jp.simulate(1, rising, {"a": 3.0}, table)
    mask, _ = jp.rejection_sample(1, rising, {"a": 3.0}, table)
    np.testing.assert_array_equal(every["x"], table["x"][mask])
    some = jp.simulate(1, rising, {"a": 3.0}, table, 10_000)
    assert len(some) == 10_000
    assert some["x"].mean() == pytest.approx(mean_of_rising(3.0), abs=5 * 0.27 / 100)
    with pytest.raises(ValueError, match="events are kept, 50000 are wanted: generate more events"):
        jp.simulate(1, rising, {"a": 3.0}, table, 50_000)


def test_a_larger_intensity_that_turns_up_late_thins_out_what_was_kept():
    """A narrow peak, of which the first batch may see nothing: the sample has its right share."""

    def peak(p, d):
        return 1 + 200 * jnp.exp(-0.5 * ((d["x"] - 0.3) / 1e-4) ** 2)

    toy = jp.simulate(4, peak, {}, flat, 40_000)
    in_peak = np.abs(toy["x"] - 0.3) < 6e-4
    share = 200 * 1e-4 * np.sqrt(2 * np.pi)
    expected = (share + 12e-4) / (1 + share)
    assert in_peak.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / 40_000))


def test_weights_of_generated_events_are_used_up():
    def half(seed, n):
        x = np.random.default_rng(seed).uniform(0, 1, n)
        return jp.Dataset({"x": x}, np.where(x < 0.5, 2.0, 1.0))

    toy = jp.simulate(1, lambda p, d: jnp.ones_like(d["x"]), {}, half, 20_000)
    assert np.mean(toy["x"] < 0.5) == pytest.approx(2 / 3, abs=5 * 0.47 / 141)
    assert not toy.is_weighted


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="n_events must be a whole number of events, at least 1, got 0"):
        jp.simulate(1, rising, {"a": 3.0}, flat, 0)
    with pytest.raises(ValueError, match="n_events must say how many events are wanted from a function"):
        jp.simulate(1, rising, {"a": 3.0}, flat)
    with pytest.raises(ValueError, match="intensity times weight must be finite and not negative: event 0 of a batch"):
        jp.simulate(1, lambda p, d: -jnp.ones_like(d["x"]), {}, flat, 10)
    with pytest.raises(ValueError, match="is above the maximum given, 2: pass a larger one, or none"):
        jp.simulate(1, rising, {"a": 3.0}, flat, 10, maximum=2.0)
    with pytest.raises(ValueError, match="intensity is 0 for all of .* events that were generated"):
        jp.simulate(1, lambda p, d: jnp.zeros_like(d["x"]), {}, flat, 10)
