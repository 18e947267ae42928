"""Angular functions: against Wigner's sum in 50 digits, scipy, exact sums over states, and their own symmetries."""

import itertools
from math import sqrt

import mpmath
import numpy as np
import pytest
from scipy.special import sph_harm_y

import jax
import jax.numpy as jnp

from jaxpwa.physics.spin import (
    clebsch_gordan,
    real_spherical_harmonic,
    spherical_harmonic,
    wigner_3j,
    wigner_d,
    wigner_small_d,
    wigner_small_d_of_cosine,
)

ANGLES = np.array([0.0, 1e-9, 0.1, 0.7, np.pi / 2, 2.2, 3.1, np.pi - 1e-9, np.pi])
MOMENTA = [0, 0.5, 1, 1.5, 2, 2.5, 3, 4.5, 6, 8.5, 10]


def projections(j):
    return [m - j for m in range(round(2 * j) + 1)]


def wigner_sum(j, m1, m2, beta):
    """Wigner's sum over powers of sine and cosine of half the angle, in 50 digits."""
    with mpmath.workdps(50):
        f = mpmath.factorial
        c, s = mpmath.cos(mpmath.mpf(beta) / 2), mpmath.sin(mpmath.mpf(beta) / 2)
        total = mpmath.mpf(0)
        for k in range(round(2 * j) + 1):
            parts = (j + m2 - k, k, m1 - m2 + k, j - m1 - k)
            if min(parts) >= 0:
                weight = f(parts[0]) * f(parts[1]) * f(parts[2]) * f(parts[3])
                power = c ** round(2 * j + m2 - m1 - 2 * k) * s ** round(m1 - m2 + 2 * k)
                total += (-1) ** round(m1 - m2 + k) * power / weight
        return float(total * mpmath.sqrt(f(j + m1) * f(j - m1) * f(j + m2) * f(j - m2)))


@pytest.mark.parametrize("j", MOMENTA)
def test_small_d_is_wigners_sum(j):
    pairs = list(itertools.product(projections(j), repeat=2))
    for m1, m2 in pairs[:: max(1, len(pairs) // 40)]:
        expected = [wigner_sum(j, m1, m2, b) for b in ANGLES]
        np.testing.assert_allclose(
            wigner_small_d(j, m1, m2, ANGLES), expected, rtol=0, atol=1e-13, err_msg=f"{m1} {m2}"
        )


@pytest.mark.parametrize("j", MOMENTA)
def test_small_d_is_exact_at_0_and_pi(j):
    for m1, m2 in itertools.product(projections(j), repeat=2):
        assert float(wigner_small_d(j, m1, m2, 0.0)) == (m1 == m2)
        assert float(wigner_small_d(j, m1, m2, np.pi)) == ((-1) ** round(j - m2) if m1 == -m2 else 0)


@pytest.mark.parametrize("j", [0.5, 1, 2.5, 4, 10])
def test_rotations_are_unitary_and_compose(j):
    ms = projections(j)

    def matrix(*angles):
        return np.array([[complex(wigner_d(j, a, b, *angles)) for b in ms] for a in ms])

    first, second = matrix(0.3, 1.1, -0.4), matrix(0.4, 0.5, 1.7)
    np.testing.assert_allclose(first @ first.conj().T, np.eye(len(ms)), atol=1e-13)
    # The angles about z between them cancel, and those about y add.
    np.testing.assert_allclose(first @ second, matrix(0.3, 1.6, 1.7), atol=1e-13)


@pytest.mark.parametrize(
    ("j", "m1", "m2"), [(0.5, 0.5, -0.5), (1, 1, 0), (1, 1, 1), (2, -1, 2), (3.5, 0.5, -1.5), (6, 0, 0)]
)
def test_gradients_of_small_d_are_those_of_differences(j, m1, m2):
    slope = jax.vmap(jax.grad(lambda b: wigner_small_d(j, m1, m2, b)))(ANGLES)
    h = 1e-6
    expected = [(wigner_sum(j, m1, m2, b + h) - wigner_sum(j, m1, m2, b - h)) / (2 * h) for b in ANGLES]
    np.testing.assert_allclose(slope, expected, atol=1e-8)


@pytest.mark.parametrize("ell", [0, 1, 2, 3, 5, 8])
def test_harmonics_are_those_of_scipy(ell):
    costheta = np.array([-1.0, -0.93, -0.2, 0.0, 0.4, 0.99, 1.0])
    phi = np.linspace(-3, 3, 7)
    for m in range(-ell, ell + 1):
        expected = sph_harm_y(ell, m, np.arccos(costheta), phi)
        np.testing.assert_allclose(spherical_harmonic(ell, m, costheta, phi), expected, atol=1e-13)


def test_the_harmonic_of_the_reference_event():
    found = spherical_harmonic(1, 1, -0.4611175068834238, -2.657462587335066)
    np.testing.assert_allclose(found, 0.2713394403451035 + 0.1426897184196572j, rtol=1e-12)


def test_gradients_of_harmonics_are_finite_at_the_poles_and_right_elsewhere():
    def part(c):
        return jnp.real(spherical_harmonic(3, 1, c, 0.4))

    slopes = jax.vmap(jax.grad(part))(jnp.array([-1.0, -0.3, 0.5, 1.0]))
    assert np.isfinite(slopes).all()
    for c, slope in ((-0.3, slopes[1]), (0.5, slopes[2])):
        assert slope == pytest.approx(float(part(c + 1e-6) - part(c - 1e-6)) / 2e-6, rel=1e-7)


def test_clebsch_gordan_coefficients_of_textbooks():
    assert clebsch_gordan(0.5, 0.5, 0.5, 0.5, 1, 1) == 1
    assert clebsch_gordan(0.5, 0.5, 0.5, -0.5, 1, 0) == pytest.approx(1 / sqrt(2), rel=1e-15)
    assert clebsch_gordan(0.5, 0.5, 0.5, -0.5, 0, 0) == pytest.approx(1 / sqrt(2), rel=1e-15)
    assert clebsch_gordan(1, 0, 1, 0, 2, 0) == pytest.approx(sqrt(2 / 3), rel=1e-15)
    assert clebsch_gordan(1, 0, 1, 0, 0, 0) == pytest.approx(-1 / sqrt(3), rel=1e-15)
    assert clebsch_gordan(1, 0, 1, 0, 1, 0) == 0
    assert clebsch_gordan(1.5, 0.5, 1, -1, 2.5, -0.5) == pytest.approx(sqrt(3 / 10), rel=1e-15)
    assert clebsch_gordan(1, 1, 1, 1, 2, 0) == 0
    assert clebsch_gordan(1, 0, 1, 0, 3, 0) == 0


@pytest.mark.parametrize(("j1", "j2"), [(0.5, 0.5), (1, 0.5), (2, 1.5), (3, 3), (10, 7.5)])
def test_clebsch_gordan_coefficients_are_orthonormal(j1, j2):
    states = [(a, b) for a in projections(j1) for b in projections(j2) if abs(a + b) <= 1]
    for m in sorted({a + b for a, b in states}):
        couples = [(a, b) for a, b in states if a + b == m]
        js = [j for j in np.arange(abs(j1 - j2), j1 + j2 + 1) if j >= abs(m)]
        table = np.array([[clebsch_gordan(j1, a, j2, b, j, m) for a, b in couples] for j in js])
        np.testing.assert_allclose(table @ table.T, np.eye(len(js)), atol=1e-14)


def test_products_of_rotations_couple_by_clebsch_gordan():
    """d^1 d^1.5 is the sum over j of d^j with two coefficients: signs of both conventions agree."""
    b = 0.83
    for m1, n1, m2, n2 in [(1, 0, 0.5, -1.5), (-1, 1, 1.5, 0.5), (0, 0, -0.5, -0.5)]:
        product = wigner_small_d(1, m1, n1, b) * wigner_small_d(1.5, m2, n2, b)
        total = sum(
            clebsch_gordan(1, m1, 1.5, m2, j, m1 + m2)
            * clebsch_gordan(1, n1, 1.5, n2, j, n1 + n2)
            * float(wigner_small_d(j, m1 + m2, n1 + n2, b))
            for j in (0.5, 1.5, 2.5)
            if j >= max(abs(m1 + m2), abs(n1 + n2))
        )
        assert float(product) == pytest.approx(total, abs=1e-14)


def test_3j_symbols_have_their_symmetries():
    value = wigner_3j(2, 1.5, 0.5, 1, -0.5, -0.5)
    assert value != 0
    assert wigner_3j(1.5, 0.5, 2, -0.5, -0.5, 1) == pytest.approx(value, rel=1e-14)
    assert wigner_3j(1.5, 2, 0.5, -0.5, 1, -0.5) == pytest.approx((-1) ** 4 * value, rel=1e-14)
    assert wigner_3j(2, 2, 1, 1, -1, 0) == pytest.approx(-wigner_3j(2, 2, 1, -1, 1, 0), rel=1e-14)
    assert wigner_3j(1, 1, 1, 1, 1, 1) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wigner_small_d(1, 2, 0, 0.1), r"m1 must be one of -j, -j \+ 1, ..., j: got m1=2 for j=1"),
        (lambda: wigner_small_d(1, 0, 0.5, 0.1), "m2 must be one of"),
        (lambda: wigner_small_d(0.3, 0, 0, 0.1), "j must be a whole or half-whole number, got 0.3"),
        (lambda: wigner_small_d(-1, 0, 0, 0.1), "j must not be negative"),
        (lambda: spherical_harmonic(1, 2, 0.1, 0.1), "m must be one of -l, .* got m=2 for l=1"),
        (lambda: spherical_harmonic(0.5, 0.5, 0.1, 0.1), "l must be a whole number"),
        (lambda: clebsch_gordan(1, 2, 1, 0, 2, 2), "m1 must be one of -j1"),
        (lambda: wigner_3j(1, 1, 1, 0, 0, 3), "m3 must be one of"),
    ],
)
def test_impossible_quantum_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("j", [0, 0.5, 1, 2.5, 4])
def test_small_d_of_a_cosine_is_that_of_the_angle(j):
    for m1, m2 in itertools.product(projections(j), repeat=2):
        of_cosine = wigner_small_d_of_cosine(j, m1, m2, np.cos(ANGLES))
        np.testing.assert_allclose(of_cosine, wigner_small_d(j, m1, m2, ANGLES), atol=1e-8)
        ends = jax.vmap(jax.grad(lambda c, a=m1, b=m2: wigner_small_d_of_cosine(j, a, b, c)))(
            jnp.array([-1.0, 0.3, 1.0])
        )
        assert np.all(np.isfinite(ends))
    np.testing.assert_array_equal(wigner_small_d_of_cosine(1, 0, 0, [1 + 1e-15, -1 - 1e-15]), [1, -1])


def test_real_harmonics_are_orthonormal_and_those_of_chemistry():
    x, weights = np.polynomial.legendre.leggauss(8)
    phi = np.arange(16) * 2 * np.pi / 16
    c, f = (a.ravel() for a in np.meshgrid(x, phi, indexing="ij"))
    w = np.repeat(weights, 16) * 2 * np.pi / 16
    lm = [(l, m) for l in range(4) for m in range(-l, l + 1)]
    y = np.array([real_spherical_harmonic(l, m, c, f) for l, m in lm])
    np.testing.assert_allclose((y * w) @ y.T, np.eye(len(lm)), atol=1e-13)
    s = np.sqrt(1 - c**2)
    for m, axis in ((1, s * np.cos(f)), (-1, s * np.sin(f)), (0, c)):
        np.testing.assert_allclose(real_spherical_harmonic(1, m, c, f), sqrt(3 / (4 * np.pi)) * axis, atol=1e-14)
    with pytest.raises(ValueError, match=r"m must be one of -l"):
        real_spherical_harmonic(1, -2, c, f)


@pytest.mark.parametrize(
    ("j", "m1", "m2"), [(1, 0, 0), (2, 0, 0), (3, 0, 0), (1, 1, 1), (2, 1, -1), (2, 2, 0), (4, 2, 2)]
)
def test_slopes_in_the_cosine_are_right_at_both_ends(j, m1, m2):
    d = jax.grad(lambda c: wigner_small_d_of_cosine(j, m1, m2, c))
    for end in (1.0, -1.0):
        inside = end * (1 - 1e-6)
        numeric = float(wigner_small_d_of_cosine(j, m1, m2, end) - wigner_small_d_of_cosine(j, m1, m2, inside)) / 1e-6
        assert float(d(end)) * end == pytest.approx(numeric, abs=2e-4)
    assert float(jax.grad(lambda c: spherical_harmonic(2, 0, c, 0.3).real)(1.0)) == pytest.approx(
        3 * sqrt(5 / (4 * np.pi))
    )
