"""Two-body momenta, phase-space factors and barriers: published numbers, 50-digit sums, finite differences."""

import mpmath
import numpy as np
import pytest

import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics.breakup import (
    breakup_momentum,
    breakup_momentum_squared,
    kallen,
    phase_space_factor,
    real_breakup_momentum,
)
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf, blatt_weisskopf_squared

# REFERENCE numbers at q(1.2; 0.4, 0.5) above the threshold and q(1.2; 1.4, 1.5) below it.
ABOVE = [1, 1.2654752018685698, 2.375285855793918, 5.6265876867850695, 12.747554064467208]
ABOVE += [27.151693399012903, 56.33586748066216, 115.52043228761175, 235.35781855515106]
BELOW = [1, 1.4303942491449333, 3.724659004227952, 17.689297320491015, 124.05258418258987, 1138.5868292398761]
BELOW += [12861.696947129334, 172727.1738179158, 2630882.804294494]


def test_the_break_up_momentum_has_the_published_values():
    assert complex(breakup_momentum(1.2, 0.4, 0.5)) == pytest.approx(0.3954823004889093, rel=1e-15)
    assert complex(breakup_momentum(1.2, 1.4, 1.5)) == pytest.approx(1.3154464282347478j, rel=1e-15)
    assert complex(phase_space_factor(1.3, 0.51, 0.62)) == pytest.approx(0.1326794642613792, rel=1e-14)
    assert complex(phase_space_factor(1.3, 1.23, 0.62)) == pytest.approx(1.0795209736472833j, rel=1e-14)
    assert float(real_breakup_momentum(1.2, 0.4, 0.5)) == pytest.approx(0.3954823004889093, rel=1e-15)
    assert float(real_breakup_momentum(1.2, 1.4, 1.5)) == 0


def test_kallen_is_the_sum_of_six_terms_and_symmetric():
    x, y, z = np.random.default_rng(1).uniform(0.01, 5, (3, 100))
    expected = x**2 + y**2 + z**2 - 2 * (x * y + y * z + z * x)
    np.testing.assert_allclose(kallen(x, y, z), expected, atol=1e-13)
    np.testing.assert_allclose(kallen(z, x, y), expected, atol=1e-13)
    np.testing.assert_allclose(kallen(x, y, z) / (4 * x), breakup_momentum_squared(x, y**0.5, z**0.5), atol=1e-10)


def test_energies_add_up_to_the_mass():
    m = np.linspace(0.7, 3, 50)
    q = np.asarray(real_breakup_momentum(m, 0.13957, 0.493677))
    np.testing.assert_allclose(np.hypot(q, 0.13957) + np.hypot(q, 0.493677), m, rtol=1e-14)
    np.testing.assert_allclose(phase_space_factor(m**2, 0.13957, 0.493677), 2 * q / m, atol=1e-14)


def test_real_s_is_the_upper_side_of_the_cut():
    s = np.array([0.01, 0.03, 0.3, 0.9, 1.1, 2.5])
    for f in (phase_space_factor, lambda x, a, b: breakup_momentum(jnp.sqrt(x), a, b)):
        above = np.asarray(f(s + 1e-10j, 0.4, 0.6))
        np.testing.assert_allclose(f(s, 0.4, 0.6), above, atol=1e-8)
        np.testing.assert_allclose(f(s + 0j, 0.4, 0.6), above, atol=1e-8)


def test_the_physical_sheet_is_cut_above_the_threshold_only():
    s = np.array([-0.5, 0.3, 0.9])
    for x in s:
        upper, lower = (complex(phase_space_factor(x + side * 1e-9j, 0.4, 0.6)) for side in (1, -1))
        assert upper == pytest.approx(-lower.conjugate(), abs=1e-7)
    for x in (0.3, 0.9, 1.5):
        upper, lower = (complex(phase_space_factor(x + side * 1e-9j, 0.4, 0.6)) for side in (1, -1))
        assert upper == pytest.approx(lower if x < 1 else -lower, abs=1e-7)


def test_nothing_moves_below_the_threshold():
    np.testing.assert_array_equal(real_breakup_momentum([0.01, 0.1, 0.3, 0.9], 0.14, 0.938), 0)


def test_thresholds_give_finite_values_and_gradients():
    q = np.exp(1)
    for f in (lambda m: jnp.abs(breakup_momentum(m, 0.5, 0.5)), lambda m: real_breakup_momentum(m, 0.5, 0.5)):
        value, slope = jax.value_and_grad(f)(1.0)
        assert float(value) == 0
        assert np.isfinite(slope)
    slope = jax.grad(lambda m: jnp.abs(phase_space_factor(m**2, 0.5, 0.5)))(q)
    step = 1e-6
    up, down = (float(jnp.abs(phase_space_factor((q + d) ** 2, 0.5, 0.5))) for d in (step, -step))
    assert float(slope) == pytest.approx((up - down) / (2 * step), rel=1e-8)


@pytest.mark.parametrize("l", range(9))
def test_barriers_have_the_published_values(l):
    q = 0.3954823004889093
    assert float(blatt_weisskopf(l, q)) == pytest.approx(ABOVE[l], rel=1e-13)
    q = breakup_momentum(1.2, 1.4, 1.5)
    assert abs(complex(blatt_weisskopf(l, q))) == pytest.approx(BELOW[l], rel=1e-13)
    assert float(blatt_weisskopf_squared(l, (q * q).real / 0.1973**2)) == pytest.approx(BELOW[l] ** 2, rel=1e-13)


@pytest.mark.parametrize("l", range(9))
def test_barriers_are_hankel_functions(l):
    def size(x):
        with mpmath.workdps(40):
            h = mpmath.sqrt(mpmath.pi / (2 * x)) * mpmath.hankel1(l + mpmath.mpf(1) / 2, x)
            return abs(x * h)

    for q in (0.01, 0.15, 1.3):
        expected = float(size(mpmath.mpf(1)) / size(mpmath.mpf(q / 0.2)))
        assert float(blatt_weisskopf(l, q, 0.2)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("l", range(9))
def test_barriers_are_smooth_at_the_threshold(l):
    value, slope = jax.value_and_grad(lambda q: blatt_weisskopf(l, q))(0.0)
    assert float(value) == (l == 0)
    assert float(slope) == pytest.approx(np.sqrt(2) / 0.1973 if l == 1 else 0)
    slope = jax.grad(lambda q: blatt_weisskopf(l, q))(0.3)
    numeric = (blatt_weisskopf(l, 0.3 + 1e-6) - blatt_weisskopf(l, 0.3 - 1e-6)) / 2e-6
    assert float(slope) == pytest.approx(float(numeric), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("l", [9, -1, 1.5, True, "1"])
def test_an_angular_momentum_without_a_barrier_is_refused(l):
    with pytest.raises(ValueError, match="l must be a whole number from 0 to 8, got"):
        blatt_weisskopf(l, 0.3)


def test_precision_follows_the_input():
    m = jnp.float32([0.7, 1.2])
    assert breakup_momentum(m, 0.4, 0.5).dtype == jnp.complex64
    assert real_breakup_momentum(m, 0.4, 0.5).dtype == jnp.float32
    assert blatt_weisskopf(3, m).dtype == jnp.float32
    assert (m * blatt_weisskopf_squared(3, 0.7)).dtype == jnp.float32
