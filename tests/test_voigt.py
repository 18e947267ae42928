"""Voigt's profile against scipy, 40 digits, its limits and its differential equation."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import voigt_profile

import jax
import jax.numpy as jnp

from jaxpwa.physics.lineshapes import voigtprofile as module

voigt = jax.jit(module.voigt)


def exact(away, width, sigma):
    with mpmath.workdps(40):
        z = mpmath.mpc(away, mpmath.mpf(width) / 2) / (mpmath.sqrt(2) * mpmath.mpf(sigma))
        return float(mpmath.re(mpmath.exp(-z * z) * mpmath.erfc(-1j * z)) / (mpmath.sqrt(2 * mpmath.pi) * sigma))


def test_it_is_scipys_profile_in_peaks_and_tails():
    rng = np.random.default_rng(1)
    away = rng.choice([-1, 1], 20000) * 10 ** rng.uniform(-5, 3, 20000)
    width, sigma = 10 ** rng.uniform(-8, 2, 20000), 10 ** rng.uniform(-4, 2, 20000)
    expected = voigt_profile(away, sigma, width / 2)
    np.testing.assert_allclose(
        voigt(1.5 + away, 1.5, width, sigma), voigt_profile((1.5 + away) - 1.5, sigma, width / 2)
    )
    np.testing.assert_allclose(voigt(away, 0.0, width, sigma), expected, rtol=2e-13)


def test_it_is_right_to_14_digits_where_scipy_is_not_either():
    rng = np.random.default_rng(2)
    away, width = rng.uniform(-12, 12, 200), 10 ** rng.uniform(-6, 1.5, 200)
    away[:4], width[:4] = [0, 0.5117, 0.2558, 6.1], 1e-9
    expected = [exact(float(a), float(g), 1.0) for a, g in zip(away, width, strict=True)]
    np.testing.assert_allclose(voigt(away, 0.0, width, 1.0), expected, rtol=5e-14)


def test_laddu_has_its_root_as_an_amplitude():
    assert float(voigt(1.3743786309153077, 0.98, 0.08, 0.02)) ** 0.5 == pytest.approx(0.2857389147779551, rel=1e-13)


def test_without_resolution_it_is_the_lorentzian_and_without_width_the_gaussian():
    m = np.linspace(0.9, 1.1, 41)
    lorentzian = 0.01 / np.pi / ((m - 1.0) ** 2 + 0.01**2)
    gaussian = np.exp(-((m - 1.0) ** 2) / (2 * 0.01**2)) / np.sqrt(2 * np.pi) / 0.01
    for sigma in (0.0, 1e-300, 1e-20, 1e-10):
        np.testing.assert_allclose(voigt(m, 1.0, 0.02, sigma), lorentzian, rtol=1e-13)
    for width in (0.0, 1e-300, 1e-20):
        np.testing.assert_allclose(voigt(m, 1.0, width, 0.01), gaussian, rtol=1e-13, atol=1e-18)


def test_its_integral_is_one():
    area = sum(quad(lambda m: float(voigt(m, 1.0, 0.1, 0.05)), a, b)[0] for a, b in ((0, 0.9), (0.9, 1.1), (1.1, 3)))
    tails = 0.05 / np.pi * (1 / 1.0 + 1 / 2.0)
    assert area + tails == pytest.approx(1, abs=1e-4)


def test_gradients_are_finite_differences_and_smooth_at_the_peak():
    x = np.array(
        [[m, 1.0, g, s] for m in (1.0, 1.013, 0.97, 1.4) for g, s in ((0.03, 0.02), (1e-4, 0.02), (0.03, 1e-3))]
    )
    slopes = jax.jit(jax.vmap(jax.grad(lambda x: module.voigt(*x))))(x)
    step = 1e-7
    numeric = np.stack([(voigt(*(x + d).T) - voigt(*(x - d).T)) / (2 * step) for d in step * np.eye(4)], -1)
    np.testing.assert_allclose(slopes, numeric, rtol=1e-5, atol=1e-4)


def test_it_solves_the_heat_equation():
    """dV/d(sigma) = sigma d2V/dm2, also at the peak and without resolution or width."""
    points = np.array([[m, g, s] for m in (1.0, 1.02, 0.95) for g, s in ((0.03, 0.02), (0.03, 0.0), (0.0, 0.02))])

    def residual(x):
        first = jax.grad(lambda s: module.voigt(x[0], 1.0, x[1], s))(x[2])
        second = jax.grad(jax.grad(lambda m: module.voigt(m, 1.0, x[1], x[2])))(x[0])
        return first - x[2] * second, second

    difference, second = jax.jit(jax.vmap(residual))(points)
    np.testing.assert_allclose(difference, 0, atol=1e-11 * abs(second).max())
    assert float(second[0]) < 0


def test_precision_follows_the_mass_and_shapes_are_kept():
    m = np.array([[0.9, 1.0, 1.1], [0.5, 1.05, 3.0]])
    single, double = module.voigt(m.astype(np.float32), 1.0, 0.03, 0.02), module.voigt(m, 1.0, 0.03, 0.02)
    assert single.shape == double.shape == (2, 3)
    assert single.dtype == jnp.float32
    assert double.dtype == jnp.float64
    np.testing.assert_allclose(single, double, rtol=1e-4)
