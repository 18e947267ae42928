"""Chew and Mandelstam's function against its dispersion integral, and its closed form, in 20 and 40 digits."""

import mpmath
import numpy as np
import pytest

import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics.breakup import breakup_momentum_squared, phase_space_factor
from jaxpwa.physics.lineshapes import chewmandelstam
from jaxpwa.physics.lineshapes.barriers import denominator

chew_mandelstam = jax.jit(chewmandelstam.chew_mandelstam, static_argnames=("l", "sheet"))

PI, K, P = 0.13957, 0.493677, 0.938272
PAIRS = [(K, K), (PI, K), (PI, 0.134977), (P, PI), (0.547862, 0.95778), (0.000511, P)]


def closed_form(s, m1, m2):
    """As the Review of Particle Physics writes it, times 16 pi; real s on the upper side of the cut."""
    with mpmath.workdps(40):
        s = mpmath.mpc(s) if isinstance(s, complex) else mpmath.mpc(s, mpmath.mpf(10) ** -38)
        m1, m2 = mpmath.mpf(m1), mpmath.mpf(m2)
        root = mpmath.sqrt(s - (m1 + m2) ** 2) * mpmath.sqrt(s - (m1 - m2) ** 2)
        first = root / s * mpmath.log((m1**2 + m2**2 - s + root) / (2 * m1 * m2))
        second = (m1**2 - m2**2) * (1 / s - 1 / (m1 + m2) ** 2) * mpmath.log(m1 / m2)
        return complex((first - second) / mpmath.pi)


def integral(s, m1, m2, l=0, q_scale=1.0, angle=0.5):
    """Integrate over a ray below the real axis, which leaves s + i0 above it."""
    with mpmath.workdps(20):
        s, m1, m2, q_scale = mpmath.mpmathify(s), mpmath.mpf(m1), mpmath.mpf(m2), mpmath.mpf(q_scale)
        threshold, pseudo = (m1 + m2) ** 2, (m1 - m2) ** 2
        d = [mpmath.mpf(c) for c in denominator(l)]
        turn = mpmath.expj(-angle)

        def integrand(t):
            x = threshold + t * t * turn
            z = (x - threshold) * (x - pseudo) / (4 * x * q_scale**2)
            rho = mpmath.sqrt(x - threshold) * mpmath.sqrt(x - pseudo) / x
            return 2 / t * rho * sum(d) * z**l / mpmath.polyval(d, z) / (x - s)

        scales = [0, 0.2, 1, 5, 50, mpmath.inf]
        return complex((s - threshold) / mpmath.pi * mpmath.quad(integrand, scales))


@pytest.mark.parametrize("pair", PAIRS)
def test_the_s_wave_is_the_closed_form_everywhere_on_the_real_axis(pair):
    above, below = sum(pair) ** 2, (pair[0] - pair[1]) ** 2
    places = [-50, -1, -0.06 * above, -0.04 * above, -1e-6, 1e-9, 1e-4, 0.99 * below, 1.01 * below + 1e-5]
    places += [0.06 * above, (above + below) / 2, 0.99 * above, 1.01 * above, 1.2 * above, 2 * above, 10 * above, 1e4]
    expected = np.array([closed_form(s, *pair) for s in places])
    np.testing.assert_allclose(chew_mandelstam(np.array(places), *pair), expected, rtol=1e-13, atol=2e-14)
    np.testing.assert_allclose(chew_mandelstam(np.array(places), *pair[::-1]), expected, rtol=1e-13, atol=2e-14)


def test_equal_masses_take_a_shorter_way_to_the_same_values():
    s = np.array([-1.0, 0.0, 0.3, 0.9, 1.2, 4.0, 0.5 + 0.2j, 1.5 - 0.1j])
    short = jax.jit(lambda s, m: chewmandelstam.chew_mandelstam(s, m, m))(s, K)
    np.testing.assert_allclose(short, chew_mandelstam(s, K, K), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_s_wave_is_the_closed_form_in_the_upper_half_plane_and_mirrored_below(pair):
    rng = np.random.default_rng(3)
    s = rng.uniform(-2, 6, 40) + 1j * rng.exponential(1, 40)
    values = np.asarray(chew_mandelstam(s, *pair))
    np.testing.assert_allclose(values, [closed_form(complex(x), *pair) for x in s], rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(chew_mandelstam(s.conj(), *pair), values.conj())


@pytest.mark.parametrize(
    ("l", "q_scale", "pair"),
    [(0, 1.0, (PI, K)), (1, 0.1973, (K, K)), (1, 1.0, (PI, K)), (2, 0.1973, (PI, K)), (4, 0.6, (K, K))],
)
def test_every_wave_is_the_dispersion_integral(l, q_scale, pair):
    above = sum(pair) ** 2
    places = [-0.5, 0.8 * above, 0.97 * above, 1.02 * above, 4.0]
    expected = np.array([integral(s, *pair, l, q_scale) for s in places])
    scale = abs(expected).max()
    np.testing.assert_allclose(chew_mandelstam(np.array(places), *pair, l, q_scale), expected, atol=1e-12 * scale)
    s = np.array([0.9 + 0.3j, 1.5 + 0.01j])
    expected = [integral(complex(x), *pair, l, q_scale) for x in s]
    np.testing.assert_allclose(chew_mandelstam(s, *pair, l, q_scale), expected, atol=1e-11 * scale)


@pytest.mark.parametrize("l", [0, 1, 2, 5, 8])
def test_the_imaginary_part_is_phase_space_above_the_threshold_and_0_below(l):
    s = np.linspace(1.0, 5.0, 50)
    z = np.asarray(breakup_momentum_squared(s, K, K)) / 0.2**2
    d = np.array(denominator(l), float)
    expected = np.where(z > 0, np.sqrt(np.maximum(1 - 4 * K**2 / s, 0)) * d.sum() * z**l / np.polyval(d, z), 0)
    np.testing.assert_allclose(chew_mandelstam(s, K, K, l, 0.2).imag, expected, rtol=1e-12, atol=1e-15)
    assert not np.any(np.asarray(chew_mandelstam(np.linspace(-2, 4 * K**2, 50), K, K, l, 0.2)).imag)


@pytest.mark.parametrize("l", [0, 1])
def test_special_points_are_finite_and_lie_between_their_neighbours(l):
    every = jax.value_and_grad(lambda s, m: chew_mandelstam(s, m, K, l).real, argnums=(0, 1))
    every = jax.jit(jax.vmap(every, in_axes=(0, None)))
    for mass in (K, PI):
        above, below = (mass + K) ** 2, (mass - K) ** 2
        step = 1e-4 * above
        places = np.array([0.0, below, 0.05 * above, -0.05 * above, (above + below) / 2, above])
        (value, slopes), (left, _), (right, _) = (every(places + d, mass) for d in (0, -step, step))
        assert value[-1] == 0
        assert np.all(np.isfinite(slopes))
        np.testing.assert_allclose(value[:-1], (left + right)[:-1] / 2, rtol=1e-6)
        np.testing.assert_allclose(slopes[0][:-1], (right - left)[:-1] / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("l", [0, 1])
def test_gradients_are_finite_differences(l):
    def parts(x):
        value = chew_mandelstam(x[0], x[1], x[2], l, x[3])
        return jnp.stack([value.real, value.imag])

    x = np.array([[s, 0.2, 0.5, 0.3] for s in (-0.7, 0.01, 0.3, 0.45, 0.6, 2.0)])
    exact = jax.jit(jax.vmap(jax.jacrev(parts)))(x)
    step, value = 1e-5, jax.jit(jax.vmap(parts))
    numeric = np.stack([(value(x + d) - value(x - d)) / (2 * step) for d in step * np.eye(4)], -1)
    np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("l", [0, 1, 4])
def test_it_is_analytic_off_the_cut(l):
    rng = np.random.default_rng(3)
    s = rng.uniform(-1, 4, 100) + 1j * np.sign(rng.normal(size=100)) * rng.uniform(0.1, 2, 100)
    f = jax.jit(lambda s: chew_mandelstam(s, PI, K, l))
    along, across = ((f(s + h) - f(s - h)) / (2 * h) for h in (1e-4, 1e-4j))
    np.testing.assert_allclose(along, across, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("l", [0, 2])
def test_the_second_sheet_goes_on_from_the_first_through_the_cut(l):
    s = np.linspace(1.0, 3.0, 20)
    upper = chew_mandelstam(s + 1e-9j, K, K, l)
    np.testing.assert_allclose(chew_mandelstam(s - 1e-9j, K, K, l, sheet=2), upper, atol=1e-6)
    assert np.all(np.abs(chew_mandelstam(s - 1e-9j, K, K, l) - upper)[1:] > 1e-2)


def test_below_the_threshold_the_sheets_differ_by_twice_the_phase_space():
    s = np.linspace(0.3, 0.9, 20)
    difference = chew_mandelstam(s, K, K) - chew_mandelstam(s, K, K, sheet=2)
    np.testing.assert_allclose(difference, 2j * phase_space_factor(s, K, K), rtol=1e-14)


def test_the_point_of_subtraction_has_no_real_part():
    for point in ((K - PI) ** 2, 0.892**2, 1.43**2):
        s = np.linspace(point, 2.5, 20)
        shifted, plain = (np.asarray(chew_mandelstam(s, PI, K, subtraction=p)) for p in (point, None))
        assert shifted[0].real == pytest.approx(0, abs=1e-16)
        np.testing.assert_allclose(shifted.imag, plain.imag)
        np.testing.assert_allclose((shifted - plain).real, -plain[0].real, atol=1e-15)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="l must be a whole number from 0 to 8, got 9"):
        chewmandelstam.chew_mandelstam(1.0, K, K, 9)
    with pytest.raises(ValueError, match="l must be a whole number from 0 to 8, got False"):
        chewmandelstam.chew_mandelstam(1.0, K, K, False)
    with pytest.raises(ValueError, match="sheet must be 1 or 2, got 3"):
        chewmandelstam.chew_mandelstam(1.0, K, K, sheet=3)


def test_precision_follows_the_input_and_shapes_are_kept():
    s = jnp.float32([0.0, 0.5, 1.3])
    for l in (0, 2):
        value, double = chew_mandelstam(s, K, K, l), chew_mandelstam(s.astype(float), K, K, l)
        assert value.dtype == jnp.complex64
        assert double.dtype == jnp.complex128
        np.testing.assert_allclose(value, double, rtol=2e-5, atol=2e-5)
        table = jax.vmap(lambda m, l=l: chew_mandelstam(np.ones((2, 3)), m, K, l))(jnp.array([0.1, 0.3]))
        assert table.shape == (2, 2, 3)
