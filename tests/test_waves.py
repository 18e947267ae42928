"""Composed models: plain numpy sums, names that switch parts off, start values, and every refusal."""

import numpy as np
import pytest

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.physics.waves.composition import CoherentSum, IncoherentSum
from jaxpwa.physics.waves.wave import Background, Coupling, Symmetrised, Wave

RNG = np.random.default_rng(7)
DATA = {"x": RNG.normal(size=40), "y": RNG.normal(size=40)}
X, Y = DATA["x"], DATA["y"]


def plane(k):
    return lambda p, d: jnp.exp(1j * k * d["x"])


def peak(p, d):
    return 1 / (p["m0"] - d["y"] - 0.1j)


def ones(p, d):
    return 1 + 0 * d["x"]


def model(form="cartesian"):
    s, p, q = Coupling("S", form, real=True), Coupling("P", form), Coupling("Q", form)
    return IncoherentSum(
        [
            CoherentSum("left", [Wave("S", plane(0), s), Wave("P", [plane(1), peak], p)]),
            CoherentSum("right", [Wave("P", plane(2), p), Wave("Q", plane(3), q)]),
            Background("flat", ones),
        ]
    )


PARAMS = {"S.re": 1.2, "P.re": 0.3, "P.im": -0.8, "Q.re": -0.2, "Q.im": 0.4, "flat": 0.7, "m0": 0.25}


def by_hand(s=1.2, p=0.3 - 0.8j, q=-0.2 + 0.4j, flat=0.7):
    left = s + p * np.exp(1j * X) / (0.25 - Y - 0.1j)
    right = p * np.exp(2j * X) + q * np.exp(3j * X)
    return abs(left) ** 2 + abs(right) ** 2 + flat


def test_a_model_is_the_sum_of_squares_of_sums():
    np.testing.assert_allclose(jp.evaluate(model(), PARAMS, DATA), by_hand(), rtol=1e-13)
    polar = {"S.abs": 1.2, "P.abs": abs(0.3 - 0.8j), "P.arg": np.angle(0.3 - 0.8j)}
    polar |= {"Q.abs": abs(-0.2 + 0.4j), "Q.arg": np.angle(-0.2 + 0.4j), "flat": 0.7, "m0": 0.25}
    np.testing.assert_allclose(jp.evaluate(model("polar"), polar, DATA), by_hand(), rtol=1e-13)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (model().only("S"), by_hand(p=0, q=0, flat=0)),
        (model().only("P"), by_hand(s=0, q=0, flat=0)),
        (model().only("flat", "Q"), by_hand(s=0, p=0)),
        (
            model().only("left"),
            by_hand(flat=0) - abs((0.3 - 0.8j) * np.exp(2j * X) + (-0.2 + 0.4j) * np.exp(3j * X)) ** 2,
        ),
        (model().only("[SPQ]"), by_hand(flat=0)),
        (model().without("P"), by_hand(p=0)),
        (model().without("right", "flat"), model().only("left")(PARAMS, DATA)),
    ],
)
def test_names_switch_waves_sums_and_backgrounds_off(part, expected):
    np.testing.assert_allclose(part(PARAMS, DATA), expected, rtol=1e-12)


def test_switching_off_is_the_same_as_couplings_of_zero():
    off = PARAMS | {"P.re": 0.0, "P.im": 0.0}
    np.testing.assert_allclose(model().without("P")(PARAMS, DATA), model()(off, DATA), rtol=1e-13)


def test_a_part_needs_only_its_own_parameters():
    cost = jp.UnbinnedNLL(model().only("right"), DATA)
    assert set(cost.parameters) == {"P.re", "P.im", "Q.re", "Q.im"}


def test_what_several_waves_share_is_computed_once():
    calls = []

    def shape(p, d):
        calls.append(1)
        return jnp.exp(1j * d["x"])

    class Unhashable:
        __hash__ = None

        def __call__(self, p, d):
            return shape(p, d)

    def sums(factor):
        return [CoherentSum(name, [Wave("a", factor), Wave("b", [factor, plane(1)])]) for name in "st"]

    start = {"a.re": 1.0, "a.im": 0.5, "b.re": 0.3, "b.im": 0.0}
    once = IncoherentSum(sums(shape))(start, DATA)
    assert len(calls) == 1
    np.testing.assert_array_equal(IncoherentSum(sums(Unhashable()))(start, DATA), once)


def test_gradients_are_those_of_finite_differences():
    def total(values):
        return jnp.sum(jnp.log(model()(dict(zip(PARAMS, values, strict=True)), DATA)))

    at = np.array(list(PARAMS.values()))
    for i, slope in enumerate(jax.jit(jax.grad(total))(at)):
        step = np.zeros(len(at))
        step[i] = 1e-6
        assert float(slope) == pytest.approx(float(total(at + step) - total(at - step)) / 2e-6, rel=1e-6)


def test_fixed_shapes_are_summed_over_pseudo_events():
    rng = np.random.default_rng(3)
    mc = {"x": rng.normal(size=4000), "y": rng.normal(size=4000)}
    fixed = IncoherentSum([CoherentSum("left", [Wave("S", plane(0)), Wave("P", plane(1))]), Background("flat", ones)])
    cost = jp.ExtendedNLL(fixed, {k: v[:100] for k, v in mc.items()}, mc, 4000)
    start = fixed.start()
    direct = jp.ExtendedNLL(fixed, {k: v[:100] for k, v in mc.items()}, mc, 4000, normalization="direct")
    assert cost(start) == pytest.approx(direct(start), rel=1e-12)
    assert "pseudo-events" in str(cost.explain())


@pytest.mark.parametrize("form", ["cartesian", "polar"])
def test_couplings_start_where_they_are_told(form):
    values = {"S": 2.0, "P": 1 - 2j, "Q": -1j, "flat": 0.5}
    start = model(form).start(values)
    found = model(form).coupling_values(start)
    assert {k: complex(v) for k, v in found.items()} == pytest.approx({k: v for k, v in values.items() if k != "flat"})
    assert start["flat"] == 0.5
    assert set(model(form).start()) == set(start)
    assert model().start(2j)["S.re"] == 2.0
    assert model().start(2j)["P.im"] == 2.0


def test_symmetrised_amplitudes_do_not_change_under_exchange():
    def one(p, d):
        return jnp.exp(1j * d["x"]) * d["y"]

    swap = {"x": "y", "y": "x"}
    both = Symmetrised(one, swap)(PARAMS, DATA)
    np.testing.assert_allclose(both, np.exp(1j * X) * Y + np.exp(1j * Y) * X, rtol=1e-13)
    np.testing.assert_allclose(Symmetrised(one, [swap])(PARAMS, {"x": Y, "y": X}), both, rtol=1e-13)
    model = CoherentSum("both", [Wave("a", Symmetrised(one, swap))])
    cost = jp.UnbinnedNLL(model, DATA | {"run": np.array(["a"] * len(X))})  # a column that nobody reads
    expected = -np.sum(np.log(abs(np.exp(1j * X) * Y + np.exp(1j * Y) * X) ** 2))
    assert cost({"a.re": 1.0, "a.im": 0.0}) == pytest.approx(expected, rel=1e-12)
    odd = Symmetrised(one, swap, sign=-1)
    np.testing.assert_allclose(odd(PARAMS, {"x": Y, "y": X}), -odd(PARAMS, DATA), rtol=1e-12)


def test_a_model_prints_its_sums():
    assert str(model()) == "left: |S + P|²\nright: |P + Q|²\nflat"
    assert model().names == ("S", "P", "Q", "flat")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: model().only("Sx"),
            ValueError,
            "no wave, background or sum 'Sx'; there are S, P, Q, flat, left, right",
        ),
        (lambda: model().only("lefd"), ValueError, "Did you mean 'left'"),
        (lambda: model().only(), ValueError, "name at least one of S, P"),
        (lambda: model().without("*"), ValueError, "nothing is left of 'model'"),
        (lambda: model().start({"R": 1.0}), ValueError, "no coupling or background 'R'"),
        (lambda: model().start({"S": 1j}), ValueError, "'S' is a reference and real, got 1j"),
        (lambda: Coupling("a", "round"), ValueError, "must be 'cartesian' or 'polar', got 'round'"),
        (lambda: Coupling(" "), ValueError, "a coupling must have a name"),
        (lambda: Wave("a", 3.0), TypeError, r"must be functions factor\(params, data\), got float"),
        (lambda: Wave("a", []), ValueError, "'a' must have at least one factor"),
        (lambda: Wave("", ones), ValueError, "a wave must have a name"),
        (lambda: Wave("a", ones, "b"), TypeError, "coupling of wave 'a' must be a Coupling, got str"),
        (lambda: Background("", ones), ValueError, "a background must have a name"),
        (lambda: CoherentSum("a", []), ValueError, "'a' must have at least one wave"),
        (lambda: CoherentSum("", [Wave("a", ones)]), ValueError, "a coherent sum must have a name"),
        (lambda: CoherentSum("a", [ones]), TypeError, "must consist of Waves, got function"),
        (lambda: CoherentSum("a", [Wave("b", ones)] * 2), ValueError, "different names: b occur more than once"),
        (lambda: IncoherentSum([]), ValueError, "at least one part"),
        (lambda: IncoherentSum([Wave("b", ones)]), TypeError, "got Wave: put it into a CoherentSum"),
        (lambda: IncoherentSum([Background("b", ones)] * 2), ValueError, "b occur more than once"),
        (
            lambda: CoherentSum("a", [Wave("b", ones, Coupling("c")), Wave("d", ones, Coupling("c", "polar"))]),
            ValueError,
            "couplings of one name must be equal: 'c'",
        ),
        (lambda: Symmetrised(ones, {"x": "y"}), ValueError, "must use each column once on both sides"),
    ],
)
def test_what_makes_no_model_is_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
