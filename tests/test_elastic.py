"""Gounaris and Sakurai's rho and LASS's K pi S wave: the papers' formulas in plain numpy, phases, analyticity."""

import numpy as np
import pytest

import jax
import jax.numpy as jnp

from jaxpwa.physics.lineshapes import elastic
from jaxpwa.physics.lineshapes.elastic import generalised_lass, lass, rho_omega_mixing

PI, K = 0.13957039, 0.493677
M0, G0 = 0.77526, 0.1474
# Mass, width, scattering length and effective range, near those of LASS.
KPI = (1.435, 0.279, 1.95, 1.76)

gounaris_sakurai = jax.jit(elastic.gounaris_sakurai)


def h(s):
    k = np.sqrt(s / 4 - PI**2)
    return 2 / np.pi * k / np.sqrt(s) * np.log((np.sqrt(s) + 2 * k) / (2 * PI))


def denominator(s):
    """As BaBar and others write it, above the threshold, with h' by finite differences."""
    k, k0, s0 = np.sqrt(s / 4 - PI**2), np.sqrt(M0**2 / 4 - PI**2), M0**2
    slope = (h(s0 + 1e-4) - h(s0 - 1e-4)) / 2e-4
    shift = G0 * s0 / k0**3 * (k**2 * (h(s) - h(s0)) + (s0 - s) * k0**2 * slope)
    return s0 - s + shift - 1j * M0 * G0 * (k / k0) ** 3 * M0 / np.sqrt(s)


def test_gounaris_and_sakurai_is_the_papers_formula():
    m = np.linspace(2 * PI + 1e-6, 2.0, 50)
    k0 = np.sqrt(M0**2 / 4 - PI**2)
    d = 3 / np.pi * PI**2 / k0**2 * np.log((M0 + 2 * k0) / (2 * PI)) + M0 / (2 * np.pi * k0)
    d -= PI**2 * M0 / (np.pi * k0**3)
    expected = M0**2 * (1 + d * G0 / M0) / denominator(m**2)
    np.testing.assert_allclose(gounaris_sakurai(m, M0, G0, PI), expected, rtol=1e-7)
    assert d == pytest.approx(0.48, abs=0.01)


def test_gounaris_and_sakurai_is_one_at_0_and_real_below_the_threshold():
    m = np.array([0.0, 1e-8, 0.1, 0.2, 2 * PI])
    value = np.asarray(gounaris_sakurai(m, M0, G0, PI))
    assert value[0] == 1
    assert value[1] == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(value.imag, 0)
    assert np.all(np.diff(value.real) > 0)


def test_gounaris_and_sakurai_has_90_degrees_at_the_mass_and_the_width_there():
    step = 1e-5
    inverse = 1 / np.asarray(gounaris_sakurai(np.array([M0 - step, M0, M0 + step]), M0, G0, PI))
    assert inverse[1].real / inverse[1].imag == pytest.approx(0, abs=1e-14)
    # d cot(delta) / ds = -1 / (m0 Gamma0), which is what makes mass and width those of a Breit-Wigner.
    cot = -inverse.real / inverse.imag
    slope = (cot[2] - cot[0]) / ((M0 + step) ** 2 - (M0 - step) ** 2)
    assert slope == pytest.approx(-1 / (M0 * G0), rel=1e-7)


def test_gounaris_and_sakurai_is_analytic_and_continuous():
    s = np.array([0.05 + 0.1j, 0.6 + 0.2j, 1.5 + 0.3j, -0.5 + 0.2j])

    def f(s):
        return np.asarray(gounaris_sakurai(np.sqrt(s), M0, G0, PI))

    along, across = ((f(s + h) - f(s - h)) / (2 * h) for h in (1e-4, 1e-4j))
    np.testing.assert_allclose(along, across, rtol=1e-5)
    edge = 4 * PI**2 + np.array([-1e-9, 0, 1e-9, 0]) + 0j
    np.testing.assert_allclose(np.diff(f(edge)), 0, atol=1e-6)
    np.testing.assert_allclose(f(s.real + 1e-10j)[1:3], f(s.real + 0j)[1:3], atol=1e-8)


def test_the_omega_is_a_small_narrow_addition():
    m = np.array([0.0, 0.77, 0.78266, 0.8])
    expected = 1 + 0.002 * np.exp(0.2j) * m**2 / (0.78266**2 - m**2 - 1j * 0.78266 * 0.00868)
    np.testing.assert_allclose(rho_omega_mixing(m, 0.78266, 0.00868, 0.002 * np.exp(0.2j)), expected, rtol=1e-13)


def phases(m):
    """Phase shifts of background and resonance, and q, as LASS writes them."""
    mass, width, a, r = KPI
    q, q0 = (np.sqrt((x**2 - (K + PI) ** 2) * (x**2 - (K - PI) ** 2)) / (2 * x) for x in (m, mass))
    back = np.arctan2(1, 1 / (a * q) + r * q / 2)
    return back, np.arctan2(mass * width * (q / q0) * (mass / m), mass**2 - m**2), q


def test_lass_is_elastic_with_the_sum_of_both_phases():
    m = np.linspace(K + PI + 1e-3, 1.8, 60)
    back, resonance, q = phases(m)
    value = np.asarray(lass(m, *KPI, K, PI))
    np.testing.assert_allclose(q / m * value, np.sin(back + resonance) * np.exp(1j * (back + resonance)), atol=1e-13)
    np.testing.assert_allclose(abs(1 + 2j * q / m * value), 1, rtol=1e-13)
    assert abs(q / m * value).max() <= 1 + 1e-14


def test_lass_is_the_sum_of_the_papers_two_terms():
    m = np.linspace(0.65, 1.7, 20)
    back, _, q = phases(m)
    mass, width, a, r = KPI
    q0 = np.sqrt((mass**2 - (K + PI) ** 2) * (mass**2 - (K - PI) ** 2)) / (2 * mass)
    first = m / (q * (1 / (a * q) + r * q / 2) - 1j * q)
    second = mass * width * mass / q0 / (mass**2 - m**2 - 1j * mass * width * q / m * mass / q0)
    np.testing.assert_allclose(lass(m, *KPI, K, PI), first + np.exp(2j * back) * second, rtol=1e-12)


def test_lass_has_the_scattering_length_at_the_threshold():
    edge = K + PI
    mass, width, a, _ = KPI
    q0 = np.sqrt((mass**2 - edge**2) * (mass**2 - (K - PI) ** 2)) / (2 * mass)
    expected = a * edge + mass**2 * width / q0 / (mass**2 - edge**2)
    value = np.asarray(lass(edge + np.array([-1e-12, 0, 1e-12]), *KPI, K, PI))
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert value[1] == pytest.approx(expected, rel=1e-7)
    assert np.all(np.isfinite(lass(np.array([0.4, 0.5, 0.6]), *KPI, K, PI)))


def test_the_generalised_form_is_the_papers_and_contains_lass():
    m = np.linspace(0.64, 1.8, 30)
    back, resonance, q = phases(m)
    free = {"background": 0.6, "background_phase": 0.3, "resonance": 1.4, "resonance_phase": -0.5}
    b, r = back + 0.3, resonance - 0.5
    expected = 0.6 * np.sin(b) * np.exp(1j * b) + 1.4 * np.sin(r) * np.exp(1j * (r + 2 * b))
    np.testing.assert_allclose(generalised_lass(m, *KPI, K, PI, **free), expected, atol=1e-13)
    plain = np.asarray(lass(m, *KPI, K, PI))
    np.testing.assert_allclose(generalised_lass(m, *KPI, K, PI), q / m * plain, atol=1e-13)


SHAPES = {
    "rho": (elastic.gounaris_sakurai, (M0, G0, PI)),
    "rho below its threshold": (lambda m, m0, g: elastic.gounaris_sakurai(m, m0, g, PI), (0.25, 0.1)),
    "omega": (lambda m, x: rho_omega_mixing(m, 0.78266, 0.00868, x), (0.002,)),
    "LASS": (lass, (*KPI, K, PI)),
    "generalised": (
        lambda m, m0, g, a, b, c, d: generalised_lass(
            m, m0, g, a, 1.76, K, PI, background=b, background_phase=c, resonance=1.2, resonance_phase=d
        ),
        (1.441, 0.193, 1.95, 0.6, 0.3, -0.5),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_finite_differences(name):
    shape, parameters = SHAPES[name]

    def parts(x):
        value = shape(x[0], *x[1:])
        return jnp.stack([value.real, value.imag])

    # In the last row the slope of an S wave is infinite: there it must only be finite.
    x = np.array([[m, *parameters] for m in (0.1, 0.5, 0.77, 1.3, 1.7, 2 * PI, K + PI)])
    value, exact = jax.jit(jax.vmap(parts)), np.asarray(jax.jit(jax.vmap(jax.jacrev(parts)))(x))
    step = 1e-6
    numeric = np.stack([(value(x + d) - value(x - d)) / (2 * step) for d in step * np.eye(x.shape[1])], -1)
    np.testing.assert_allclose(exact[:-2], numeric[:-2], rtol=2e-6, atol=2e-6)
    assert np.all(np.isfinite(exact))


def test_a_rho_at_the_threshold_leaves_no_nan():
    m = np.array([0.1, 0.25, 0.5, 0.9])
    for m0 in (2 * PI, 2 * PI + 1e-9, 0.2):
        assert np.all(np.isfinite(gounaris_sakurai(m, m0, 0.1, PI)))


@pytest.mark.parametrize("name", SHAPES)
def test_precision_follows_the_mass_and_shapes_are_kept(name):
    shape, parameters = SHAPES[name]
    m = np.array([[0.7, 0.8, 0.9], [1.0, 1.2, 1.9]])
    single, double = shape(m.astype(np.float32), *parameters), shape(m, *parameters)
    assert single.shape == double.shape == (2, 3)
    assert double.dtype == jnp.complex128
    assert single.dtype == jnp.complex64
    np.testing.assert_allclose(single, double, rtol=1e-3)
