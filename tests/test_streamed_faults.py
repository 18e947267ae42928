"""Events in files in odd states, and work over them that fails or is interrupted: nothing stays behind."""

import threading

import numpy as np
import pytest
from test_streamed import MC, SHAPE, TABLE, TINY, WAVES, N, assert_same, files, folder, shape, waves

import jax.numpy as jnp

import jaxpwa as jp

pytest.importorskip("pyarrow")

__all__ = ["folder"]


def test_integrals_of_sorted_files_are_refused_to_an_intensity_that_differs_in_later_events(tmp_path):
    x = np.linspace(0, 1, 20_000)
    jp.write(tmp_path / "mc.parquet", {"x": x})
    sample = {"x": x[::40]}

    def line(p, d):
        return p["a"] + p["b"] * d["x"]

    def other(p, d):
        return p["a"] + p["b"] * d["x"] * jnp.where(d["x"] > 0.5, 2.0, 1.0)

    at = {"a": 1.0, "b": 0.5}
    mc = jp.Dataset.from_files(tmp_path / "mc.parquet", memory_budget=TINY)
    cost = jp.ExtendedNLL(line, sample, mc)
    pieces = ({"x": x[i : i + 500]} for i in range(0, len(x), 500))
    for kept in (cost.integrals(at), jp.accumulate_integrals(line, pieces, at)):
        assert jp.ExtendedNLL(line, sample, kept)(at) == pytest.approx(cost(at), rel=1e-12)
        with pytest.raises(ValueError, match="these integrals are not of .*other as it is now"):
            jp.ExtendedNLL(other, sample, kept)


def test_integrals_of_files_that_begin_with_events_of_weight_0_keep_some_that_count(tmp_path):
    weighted = dict(MC, x=MC["x"].copy(), w=np.ones(N))
    weighted["w"][:5000], weighted["x"][:5000] = 0.0, np.nan
    jp.write(tmp_path / "mc.parquet", weighted)
    mc = jp.Dataset.from_files(tmp_path / "mc.parquet", weights="w", memory_budget=TINY)
    memory = jp.ExtendedNLL(waves, TABLE, jp.Dataset(weighted, "w"))
    kept = jp.ExtendedNLL(waves, TABLE, mc).integrals(WAVES)
    np.testing.assert_array_equal(kept.sample["x"], memory.integrals(WAVES).sample["x"])
    assert_same(jp.ExtendedNLL(waves, TABLE, kept), memory, WAVES)


def test_monte_carlo_of_which_nothing_counts_but_the_number_may_be_in_files(folder):
    def even(p, d):
        return p["a"] * jnp.ones_like(d["x"])

    at = {"a": 1.5}
    cost = jp.ExtendedNLL(even, TABLE, files(folder, "mc", memory_budget=TINY))
    assert "read at every call" in cost.explain()
    assert "the intensity is a function of the parameters alone" in cost.explain()
    assert_same(cost, jp.ExtendedNLL(even, TABLE, MC), at)
    with pytest.raises(ValueError, match="no integrals of .*even: the intensity is a function of the parameters alone"):
        jp.accumulate_integrals(even, files(folder, "mc"), at)


@pytest.mark.parametrize("chunks", [MC, jp.Dataset(MC), None])
def test_accumulated_integrals_want_pieces(chunks):
    with pytest.raises(TypeError, match=r"chunks must be pieces of the Monte Carlo.* put a single table into a list"):
        jp.accumulate_integrals(waves, chunks, WAVES)
    with pytest.raises(TypeError, match="params must map names to numbers, got NoneType"):
        jp.accumulate_integrals(waves, [MC], None)


@pytest.mark.parametrize("budget", [1 << 63, 10**30])
def test_a_budget_beyond_all_memory_holds_everything(folder, budget):
    cost = jp.UnbinnedNLL(shape, files(folder, memory_budget=budget))
    assert cost(SHAPE) == pytest.approx(jp.UnbinnedNLL(shape, TABLE)(SHAPE), rel=1e-13)


def test_what_goes_wrong_in_the_middle_of_a_pass_ends_it_and_its_thread_and_the_next_call_works(folder):
    wrong = {"at": None, "error": None, "calls": 0}

    def derive(d):
        wrong["calls"] += 1
        if wrong["at"] == wrong["calls"]:
            raise wrong["error"]
        return {"x2": d["x"] ** 2}

    def width(p, d):
        return jnp.exp(-0.5 * d["x2"] / p["s"] ** 2) / p["s"]

    mc = files(folder, derive=derive, memory_budget=TINY)
    cost = jp.UnbinnedNLL(width, mc) + jp.UnbinnedNLL(lambda p, d: width(p, d), mc)
    cost({"s": 1.0})
    wrong["calls"] = 0
    value = cost({"s": 1.0})
    calls = wrong["calls"]

    def accumulated():
        return jp.accumulate_integrals(lambda p, d: jnp.exp(p["s"] * d["x2"]), mc, {"s": 1.0})

    for error, text in (
        (KeyError("gone"), "gone"),
        (ValueError("odd"), "events from .* on: odd"),
        (KeyboardInterrupt(), None),
    ):
        wrong |= {"at": 3, "error": error, "calls": 0}
        with pytest.raises(type(error), match=text) as told:
            cost.value_and_grad({"s": 1.0})
        # The second sum has not read its events first, and nobody reads on for an error that is looked at.
        assert wrong["calls"] <= calls // 2 + 1
        assert told.value is not None
        assert not readers()
        wrong["at"] = None
        assert cost({"s": 1.0}) == value
    with pytest.raises(ValueError, match="exp of what is stored is no polynomial") as told:
        accumulated()
    assert told.value is not None
    assert not readers()


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "jaxpwa-read-ahead"]


def test_models_that_take_parameters_as_a_whole_get_them_in_the_order_given():
    def by_order(p, d):
        first, second = p.values()
        return first + 10 * second * d["x"]

    events, at = {"x": np.array([0.5, 1.0])}, {"a": 1.0, "b": 2.0}
    found = jp.project(lambda p, d: p["b"] * d["x"], at, events, {"x": [0, 2]}, components={"order": by_order})
    assert found["x"].sums.tolist() == [[3.0], [jp.evaluate(by_order, at, events).sum()]]
