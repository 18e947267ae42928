"""Shapes without a model against scipy and numpy, and as factors of waves."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.physics.lineshapes.breitwigner import relativistic_breit_wigner
from jaxpwa.physics.lineshapes.freeshapes import FreeShape, cubic_spline, linear_interpolation, piecewise_constant
from jaxpwa.physics.spin import spherical_harmonic

RNG = np.random.default_rng(5)
KNOTS = np.array([0.65, 0.7, 0.85, 0.9, 1.1, 1.3, 1.35, 1.7])
VALUES = RNG.normal(size=8) + 1j * RNG.normal(size=8)
X = np.concatenate([RNG.uniform(0.65, 1.7, 200), KNOTS])
OUTSIDE = np.array([0.5, 0.649999, 1.700001, 2.0])


@pytest.mark.parametrize(("ends", "n"), [("natural", n) for n in (2, 3, 8)] + [("not-a-knot", n) for n in (4, 5, 8)])
def test_splines_are_scipys(ends, n):
    oracle = CubicSpline(KNOTS[:n], VALUES[:n], bc_type=ends)
    x = np.concatenate([np.linspace(KNOTS[0], KNOTS[n - 1], 100), KNOTS[:n], KNOTS[0] - [0.02], KNOTS[n - 1] + [0.02]])
    np.testing.assert_allclose(cubic_spline(x, KNOTS[:n], VALUES[:n], ends), oracle(x), rtol=1e-11, atol=1e-12)
    slopes = jax.jit(jax.vmap(jax.grad(lambda x: cubic_spline(x, KNOTS[:n], VALUES[:n], ends).real)))(x)
    np.testing.assert_allclose(slopes, oracle(x, 1).real, rtol=1e-9, atol=1e-10)


def test_real_values_give_real_shapes():
    for shape, values in ((cubic_spline, VALUES), (linear_interpolation, VALUES), (piecewise_constant, VALUES[1:])):
        assert jnp.isrealobj(shape(X, KNOTS, values.real))
        complex_ = np.asarray(shape(X, KNOTS, values))
        np.testing.assert_allclose(shape(X, KNOTS, values.real), complex_.real, atol=1e-14)
        np.testing.assert_allclose(shape(X, KNOTS, list(values.imag)), complex_.imag, atol=1e-14)


def test_straight_lines_are_numpys_and_go_on_outside():
    value = np.asarray(linear_interpolation(X, KNOTS, VALUES))
    np.testing.assert_allclose(value.real, np.interp(X, KNOTS, VALUES.real), atol=1e-13)
    np.testing.assert_allclose(value.imag, np.interp(X, KNOTS, VALUES.imag), atol=1e-13)
    left = VALUES[0] + (OUTSIDE[:2] - KNOTS[0]) * (VALUES[1] - VALUES[0]) / (KNOTS[1] - KNOTS[0])
    right = VALUES[-1] + (OUTSIDE[2:] - KNOTS[-1]) * (VALUES[-1] - VALUES[-2]) / (KNOTS[-1] - KNOTS[-2])
    expected = np.concatenate([left, right])
    np.testing.assert_allclose(linear_interpolation(OUTSIDE, KNOTS, VALUES), expected, rtol=1e-12)


def test_bins_have_their_lower_edges_and_nothing_is_outside():
    which = np.minimum(np.searchsorted(KNOTS, X, side="right") - 1, 6)
    np.testing.assert_array_equal(piecewise_constant(X, KNOTS, VALUES[1:]), VALUES[1:][which])
    np.testing.assert_array_equal(piecewise_constant(KNOTS, KNOTS, VALUES[1:]), VALUES[[1, 2, 3, 4, 5, 6, 7, 7]])
    assert not np.any(np.asarray(piecewise_constant(OUTSIDE, KNOTS, VALUES[1:])))


@pytest.mark.parametrize("shape", [cubic_spline, linear_interpolation, piecewise_constant])
def test_shapes_are_linear_in_their_values(shape):
    values = VALUES if shape is not piecewise_constant else VALUES[1:]
    one, other = values, values[::-1]
    both = shape(X, KNOTS, 2 * one - 3j * other)
    np.testing.assert_allclose(both, 2 * shape(X, KNOTS, one) - 3j * shape(X, KNOTS, other), atol=1e-12)
    # So the derivative is the shape of a unit value, whatever the values are.
    slopes = jax.jit(jax.jacfwd(lambda v: shape(X, KNOTS, v)))(jnp.asarray(values.real))
    for k, unit in enumerate(np.eye(len(values))):
        np.testing.assert_allclose(slopes[:, k], shape(X, KNOTS, unit), atol=1e-14)


def test_precision_follows_the_masses_and_shapes_are_kept():
    x = X[:6].reshape(2, 3)
    for shape, values in ((cubic_spline, VALUES), (linear_interpolation, VALUES), (piecewise_constant, VALUES[1:])):
        numbers = [float(v) for v in values.real]
        single, double = shape(x.astype(np.float32), KNOTS, numbers), shape(x, KNOTS, numbers)
        assert single.dtype == jnp.float32
        assert double.dtype == jnp.float64
        assert single.shape == double.shape == (2, 3)
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["cubic", "linear", "constant"])
@pytest.mark.parametrize("form", ["cartesian", "polar"])
def test_a_free_shape_has_named_values(kind, form):
    shape = FreeShape("S", KNOTS, kind, form)
    values = VALUES[: len(shape.couplings)]
    first, second = ("re", "im") if form == "cartesian" else ("abs", "arg")
    assert shape.parameters[:3] == (f"S[0].{first}", f"S[0].{second}", f"S[1].{first}")
    assert len(shape.parameters) == 2 * (7 if kind == "constant" else 8)
    start = shape.start(values)
    assert tuple(start) == shape.parameters
    function = {"cubic": cubic_spline, "linear": linear_interpolation, "constant": piecewise_constant}[kind]
    np.testing.assert_allclose(shape(start, X), function(X, KNOTS, values), atol=1e-13)


def test_start_values_may_come_from_a_function():
    wave = FreeShape("S", KNOTS)
    start = wave.start(lambda m: np.exp(2j * m) / m)
    np.testing.assert_allclose(wave(start, KNOTS), np.exp(2j * KNOTS) / KNOTS, rtol=1e-13)
    bins = FreeShape("S", KNOTS, "constant")
    middle = (KNOTS[1:] + KNOTS[:-1]) / 2
    np.testing.assert_allclose(bins(bins.start(lambda m: m + 0j), middle), middle, rtol=1e-13)


def test_free_shapes_are_known_by_their_fields():
    assert FreeShape("S", KNOTS) == FreeShape("S", tuple(KNOTS.tolist()))
    assert hash(FreeShape("S", KNOTS)) == hash(FreeShape("S", list(KNOTS)))
    assert FreeShape("S", KNOTS) != FreeShape("S", KNOTS, "linear")


@pytest.mark.parametrize("kind", ["cubic", "constant"])
def test_an_intensity_with_a_free_shape_stays_quadratic(kind):
    shape = FreeShape("S", KNOTS, kind)

    def intensity(p, d):
        s_wave = shape(p, d["m"]) * spherical_harmonic(0, 0, d["c"], 0.0)
        p_wave = relativistic_breit_wigner(d["m"], 0.892, 0.05, 0.4937, 0.1396, 1)
        p_wave = p_wave * spherical_harmonic(1, 0, d["c"], 0.0)
        return jnp.abs(s_wave + p["P"] * p_wave) ** 2

    def events(n, seed):
        rng = np.random.default_rng(seed)
        return {"m": rng.uniform(0.65, 1.7, n), "c": rng.uniform(-1, 1, n)}

    start = shape.start(lambda m: np.exp(2j * m)) | {"P": 0.2}
    cost = jp.ExtendedNLL(intensity, events(500, 1), events(3000, 2), 3000)
    direct = jp.ExtendedNLL(intensity, events(500, 1), events(3000, 2), 3000, normalization="direct")
    assert cost(start) == pytest.approx(direct(start), rel=1e-12)
    assert "integrals" in cost.explain().splitlines()[-1]
    one, other = cost.value_and_grad(start)[1], direct.value_and_grad(start)[1]
    np.testing.assert_allclose(list(one.values()), [other[name] for name in one], rtol=1e-9, atol=1e-9)


def test_what_is_no_shape_is_refused():
    with pytest.raises(ValueError, match=r"knots must be finite and rise from each to the next, got \[1.0, 1.0\]"):
        cubic_spline(X, [1.0, 1.0], [1, 2])
    with pytest.raises(ValueError, match="edges must be finite"):
        piecewise_constant(X, [0.0, np.nan], [1])
    with pytest.raises(ValueError, match="knots must be a list of at least 4 numbers, got shape"):
        cubic_spline(X, [1, 2, 3], [1, 2, 3], "not-a-knot")
    with pytest.raises(ValueError, match="knots must be a list of at least 2 numbers"):
        linear_interpolation(X, 1.0, [1])
    with pytest.raises(ValueError, match="ends must be 'natural' or 'not-a-knot', got 'clamped'"):
        cubic_spline(X, KNOTS, VALUES, "clamped")
    with pytest.raises(ValueError, match="values must be 8, one per knot, got 7"):
        linear_interpolation(X, KNOTS, VALUES[1:])
    with pytest.raises(ValueError, match="values must be 7, one per bin, got a single number"):
        piecewise_constant(X, KNOTS, 1.0)
    with pytest.raises(TypeError, match="knots must be numbers that are known when the model is written"):
        jax.jit(lambda k: linear_interpolation(X, [0.0, k], [1, 2]))(1.0)
    with pytest.raises(TypeError, match="knots must be numbers that are known when the model is written"):
        jax.jit(lambda k: linear_interpolation(X, k, [1, 2]))(jnp.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="kind of 'S' must be 'constant', 'linear' or 'cubic', got 'quintic'"):
        FreeShape("S", KNOTS, "quintic")
    with pytest.raises(ValueError, match="form of coupling 'S' must be 'cartesian' or 'polar'"):
        FreeShape("S", KNOTS, form="spherical")
    with pytest.raises(ValueError, match="must have a name"):
        FreeShape(" ", KNOTS)
    with pytest.raises(ValueError, match="values of 'S' must be 8, got shape"):
        FreeShape("S", KNOTS).start([1, 2])
