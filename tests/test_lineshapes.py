"""Line shapes of resonances: published check sums, numbers of other programs, unitarity, finite differences."""

import json
import re
from cmath import exp

import numpy as np
import pytest
from scipy.integrate import quad

import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics.breakup import real_breakup_momentum
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf
from jaxpwa.physics.lineshapes.breitwigner import (
    breit_wigner,
    breit_wigner_normalisation,
    bugg_breit_wigner,
    mass_dependent_width,
    nonresonant_exponential,
    production_phase_space,
    relativistic_breit_wigner,
)
from jaxpwa.physics.lineshapes.multichannel import DecayChannel, flatte, multichannel_breit_wigner

PI, K, ETA, P = 0.13957, 0.493677, 0.547862, 0.938272

# REFERENCE event: two kaons and a proton.
MASS, KAON, S = 1.3743786309153077, 0.498, 18.504011052120063

POLYNOMIALS = [[1], [1, 1], [1, 3, 9], [1, 6, 45, 225], [1, 10, 135, 1575, 11025]]


def momentum(m, m1, m2):
    return np.sqrt((m**2 - (m1 + m2) ** 2) * (m**2 - (m1 - m2) ** 2) + 0j) / (2 * m)


def width_by_hand(m, m0, g0, m1, m2, l, q_scale):
    """Widths as in textbooks, with powers of q and Blatt and Weisskopf's polynomials one by one."""
    q, q0 = abs(momentum(m, m1, m2)), abs(momentum(m0, m1, m2))
    d, d0 = (np.polyval(POLYNOMIALS[l], (x / q_scale) ** 2) for x in (q, q0))
    return np.where(m > m1 + m2, g0 * m0 / m * (q / q0) ** (2 * l + 1) * d0 / d, 0)


@pytest.fixture(scope="module")
def published(shared_data):
    """The amplitude model of LHCb's Lambda_c -> p K pi with its check sums."""
    return json.loads((shared_data / "amplitude_serialization" / "lc2ppik-lhcb-2683025.json").read_text())


def test_published_check_sums_of_breit_wigner_functions_are_met(published):
    points = {p["name"]: p["parameters"][0]["value"] for p in published["parameter_points"]}
    functions = {f["name"]: f for f in published["functions"]}
    seen = 0
    for check in published["misc"]["amplitude_model_checksums"]:
        f = functions.get(check["distribution"])
        if f is None:
            continue
        mass = points[check["point"]] ** 0.5
        if f["type"] == "BreitWigner":
            value = relativistic_breit_wigner(mass, f["mass"], f["width"], f["ma"], f["mb"], f["l"], 1 / f["d"])
        else:
            assert f["type"] == "MultichannelBreitWigner"
            assert not any(c["l"] for c in f["channels"])
            couplings = [np.sqrt(f["mass"] * c["gsq"]) for c in f["channels"]]
            value = flatte(mass, f["mass"], couplings, [(c["ma"], c["mb"]) for c in f["channels"]])
        expected = complex(check["value"].replace(" ", "").replace("i", "j"))
        assert complex(value) == pytest.approx(expected, rel=1e-13), check["distribution"]
        seen += 1
    assert seen == 10


def test_published_expressions_of_bugg_are_met(published):
    for f in published["functions"]:
        if f["type"] != "generic_function":
            continue
        # 1/(m^2 - s - i * m * (s - sA) / (m^2 - sA) * width * exp(-slope * s))
        text = re.sub(r"\bi\b", "1j", f["expression"].replace("^", "**").replace("\u03c3", "s"))
        numbers = [float(x) for x in re.findall(r"\d+\.\d+", f["expression"])]
        m0, width, slope, zero = numbers[0], numbers[-2], numbers[-1], numbers[2]
        for s in (0.5, 1.4, 2.3):
            expected = eval(text, {"s": s, "exp": exp})
            assert complex(bugg_breit_wigner(s**0.5, m0, width, slope, zero)) == pytest.approx(expected, rel=1e-13)


def test_laddu_0_15_has_the_prefactor_and_the_barrier():
    value = breit_wigner_normalisation(1.5, 0.3) * relativistic_breit_wigner(MASS, 1.5, 0.3, KAON, KAON, 2)
    value = value * blatt_weisskopf(2, real_breakup_momentum(MASS, KAON, KAON))
    assert complex(value) == pytest.approx(1.458569174900372 + 1.4107341131495694j, rel=1e-12)


def test_laddu_has_the_root_of_the_production_phase_space():
    value = production_phase_space(MASS, S, KAON, KAON, 1.007)
    assert float(value) ** 0.5 == pytest.approx(7.028417575882146e-5, rel=1e-13)
    assert float(production_phase_space(0.9, S, KAON, KAON, 1.007)) == 0


def test_laddu_has_the_same_flatte_with_couplings_times_the_mass():
    g = [np.sqrt(0.98 * 0.7), np.sqrt(0.98 * 0.2)]
    value = flatte(MASS, 0.98, g, [(KAON, KAON), (0.1349768, 0.547862)])
    assert complex(value) == pytest.approx(-0.7338320342780681 + 0.5018145529787819j, rel=1e-13)


def test_a_breit_wigner_rises_through_90_degrees_at_its_mass():
    m = np.linspace(0.6, 1.0, 401)
    for shape in (
        breit_wigner(m, 0.775, 0.149),
        relativistic_breit_wigner(m, 0.775, 0.149, PI, PI, 1),
        multichannel_breit_wigner(m, 0.775, [DecayChannel.of_width(0.775, 0.149, PI, PI, 1)]),
    ):
        phase = np.angle(np.asarray(shape))
        assert np.all(np.diff(phase) > 0)
        assert np.interp(0.775, m, phase) == pytest.approx(np.pi / 2, abs=1e-9)
    assert complex(breit_wigner(0.775, 0.775, 0.149)) == pytest.approx(1j / (0.775 * 0.149), rel=1e-14)


def test_the_normalisation_makes_the_area_one():
    def density(s):
        return float(abs(breit_wigner_normalisation(1.5, 0.1) / complex(1.5**2 - s, -1.5 * 0.1)) ** 2)

    areas = [quad(density, a, b, epsabs=1e-12)[0] for a, b in ((-np.inf, 0), (0, 2), (2, 2.5), (2.5, 5), (5, np.inf))]
    assert sum(areas) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("l", range(5))
def test_the_width_is_the_textbooks(l):
    m = np.linspace(1.1, 3.0, 40)
    for m0 in (1.52, 1.2):
        expected = width_by_hand(m, m0, 0.2, K, P, l, 0.6)
        np.testing.assert_allclose(mass_dependent_width(m, m0, 0.2, K, P, l, 0.6), expected, rtol=1e-12)
        amplitude = relativistic_breit_wigner(m, m0, 0.2, K, P, l, 0.6)
        np.testing.assert_allclose(amplitude, 1 / (m0**2 - m**2 - 1j * m0 * expected), rtol=1e-12)
    assert float(mass_dependent_width(1.52, 1.52, 0.2, K, P, l, 0.6)) == pytest.approx(0.2, rel=1e-14)


@pytest.mark.parametrize("l", [0, 2])
def test_a_resonance_at_the_threshold_leaves_no_nan(l):
    def size(x):
        return jnp.abs(relativistic_breit_wigner(x[1], x[0], 0.1, K, K, l)) ** 2

    x = np.array([[m0, m] for m in (0.9, 2 * K, 1.1) for m0 in (2 * K, 2 * K + 1e-9, 2 * K - 1e-9, 0.95) if m != m0])
    value, slopes = jax.jit(jax.vmap(jax.value_and_grad(size)))(x)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(slopes))
    assert float(size([2 * K, 1.1])) < 1e-30
    assert np.isfinite(mass_dependent_width(1.1, 2 * K, 0.1, K, K, l))


@pytest.mark.parametrize("l", range(4))
def test_one_channel_is_the_breit_wigner_function(l):
    m = np.linspace(2 * K + 1e-3, 2, 30)
    one = multichannel_breit_wigner(m, 1.3, [DecayChannel.of_width(1.3, 0.2, K, K, l)])
    np.testing.assert_allclose(one, relativistic_breit_wigner(m, 1.3, 0.2, K, K, l), rtol=1e-12)


def test_partial_widths_add_up():
    halves = [DecayChannel.of_width(1.318, 0.06, PI, ETA, 2), DecayChannel.of_width(1.318, 0.05, K, K, 2)]
    m = np.linspace(1.1, 1.6, 20)
    total = sum(width_by_hand(m, 1.318, g, *pair, 2, 0.1973) for g, pair in ((0.06, (PI, ETA)), (0.05, (K, K))))
    expected = 1 / (1.318**2 - m**2 - 1j * 1.318 * total)
    np.testing.assert_allclose(multichannel_breit_wigner(m, 1.318, halves), expected, rtol=1e-12)


def test_scattering_through_a_resonance_is_unitary():
    """S = 1 + 2i T with T_ab = g_a sqrt(rho_a) F_a A F_b sqrt(rho_b) g_b, of the channels that are open."""
    channels = [DecayChannel(PI, ETA, 0.4), DecayChannel(K, K, 0.5), DecayChannel(PI, 0.95778, 0.3, 2, 0.5)]
    for m, open_ in ((0.8, 1), (0.95, 1), (1.05, 2), (1.4, 3)):
        amplitude = complex(multichannel_breit_wigner(m, 0.98, channels))
        roots = [c.coupling * np.sqrt(complex(c.phase_space(m)).real) for c in channels]
        assert sum(r > 0 for r in roots) == open_
        scattering = np.eye(3) + 2j * amplitude * np.outer(roots, roots)
        np.testing.assert_allclose(scattering @ scattering.conj().T, np.eye(3), atol=1e-14)


def test_a_closed_channel_of_flatte_adds_to_the_real_part():
    pairs = [(PI, PI), (K, K)]
    m = np.array([0.7, 0.9, 0.98])
    denominator = 1 / np.asarray(flatte(m, 0.97, [0.4, 0.6], pairs))
    rho = np.sqrt(1 - 4 * PI**2 / m**2), np.sqrt(4 * K**2 / m**2 - 1)
    np.testing.assert_allclose(denominator, 0.97**2 - m**2 + 0.36 * rho[1] - 0.16j * rho[0], rtol=1e-13)
    near = 2 * K + np.array([-1e-10, 0, 1e-10])
    np.testing.assert_allclose(np.diff(np.asarray(flatte(near, 0.97, [0.4, 0.6], pairs))), 0, atol=1e-3)
    # Physical sheet: the continuation of the upper half-plane.
    above = 1 / (0.97**2 - (m + 1e-9j) ** 2 - 0.16j * rho[0] - 0.36j * np.sqrt(1 - 4 * K**2 / (m + 1e-9j) ** 2))
    np.testing.assert_allclose(1 / denominator, above, rtol=1e-6)


def test_nothing_opens_again_below_the_pseudo_threshold():
    m = np.array([0.3, 0.6, 0.81])  # 0.95778 - 0.13957 = 0.81821
    for l in (0, 1):
        assert not np.any(np.asarray(DecayChannel(PI, 0.95778, 0.5, l).phase_space(m)))
        assert not np.any(np.asarray(mass_dependent_width(m, 1.3, 0.1, PI, 0.95778, l)))
    assert not np.any(np.asarray(production_phase_space(m, S, PI, 0.95778, P)))


def test_waves_with_a_barrier_are_closed_below_their_threshold():
    channel = DecayChannel(K, K, 0.5, 1, 0.1973)
    m = np.array([0.5, 0.9, 0.905, 2 * K])
    assert not np.any(np.asarray(channel.phase_space(m)))
    assert np.all(np.isfinite(multichannel_breit_wigner(m, 1.0, [channel])))


CHANNELS = [(PI, ETA, 0), (K, K, 0), (PI, 0.95778, 2)]

SHAPES = {
    "fixed width": (breit_wigner, (1.3, 0.2)),
    "S wave": (lambda m, m0, g: relativistic_breit_wigner(m, m0, g, K, K, 0), (1.3, 0.2)),
    "D wave": (lambda m, m0, g, m1, q: relativistic_breit_wigner(m, m0, g, m1, K, 2, q), (1.3, 0.2, 0.4, 0.3)),
    "below its threshold": (lambda m, m0, g: relativistic_breit_wigner(m, m0, g, K, K, 1), (0.9, 0.2)),
    "width": (lambda m, m0, g: mass_dependent_width(m, m0, g, K, PI, 1), (0.892, 0.05)),
    "channels": (
        lambda m, m0, *g: multichannel_breit_wigner(
            m, m0, [DecayChannel(*pair, x, l) for x, (*pair, l) in zip(g, CHANNELS, strict=True)]
        ),
        (0.98, 0.4, 0.5, 0.3),
    ),
    "channels of widths": (
        lambda m, m0, *g: multichannel_breit_wigner(
            m, m0, [DecayChannel.of_width(m0, x, *pair, l) for x, (*pair, l) in zip(g, CHANNELS, strict=True)]
        ),
        (1.3, 0.02, 0.03, 0.01),
    ),
    "Flatte": (lambda m, m0, g, h: flatte(m, m0, [g, h], [(PI, PI), (K, K)]), (0.97, 0.4, 0.6)),
    "Bugg": (bugg_breit_wigner, (0.824, 0.478, 0.94, 0.234)),
    "exponential": (nonresonant_exponential, (0.7,)),
    "normalisation": (lambda m, m0, g: breit_wigner_normalisation(m0 * m, g), (1.3, 0.2)),
    "production": (lambda m, s: production_phase_space(m, s, K, K, P), (18.0,)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_finite_differences(name):
    shape, parameters = SHAPES[name]

    def parts(x):
        value = shape(x[0], *x[1:]) + 0j
        return jnp.stack([value.real, value.imag])

    x = np.array([[m, *parameters] for m in (0.96, 1.05, 1.31, 1.7)])
    value, exact = jax.jit(jax.vmap(parts)), jax.jit(jax.vmap(jax.jacrev(parts)))(x)
    step = 1e-6
    numeric = np.stack([(value(x + d) - value(x - d)) / (2 * step) for d in step * np.eye(x.shape[1])], -1)
    np.testing.assert_allclose(exact, numeric, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("name", SHAPES)
def test_thresholds_have_finite_gradients(name):
    shape, parameters = SHAPES[name]
    slopes = jax.jit(jax.vmap(jax.grad(lambda x: jnp.abs(shape(x[0], *x[1:])))))
    places = [2 * K, K + PI, PI + ETA, PI + 0.95778, 2 * PI]
    assert np.all(np.isfinite(slopes(np.array([[m, *parameters] for m in places]))))


@pytest.mark.parametrize("name", SHAPES)
def test_precision_follows_the_mass_and_shapes_are_kept(name):
    shape, parameters = SHAPES[name]
    m = np.array([[1.05, 1.3, 1.7], [0.97, 1.2, 2.0]])
    single, double = shape(m.astype(np.float32), *parameters), shape(m, *parameters)
    assert single.shape == double.shape == (2, 3)
    assert name == "channels of widths" or jnp.finfo(single.dtype).bits == 32
    assert jnp.finfo(double.dtype).bits == 64
    np.testing.assert_allclose(single, double, rtol=1e-3)
    assert jnp.result_type(shape(1, *parameters)) == double.dtype


def test_the_exponential_is_one_at_mass_0():
    np.testing.assert_allclose(nonresonant_exponential([0.0, 1.5], 0.7), [1, np.exp(-0.7 * 2.25)], rtol=1e-15)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="l must be a whole number from 0 to 8, got 9"):
        relativistic_breit_wigner(1.0, 1.0, 0.1, PI, PI, 9)
    with pytest.raises(ValueError, match="channels must hold at least one DecayChannel, got none"):
        multichannel_breit_wigner(1.0, 1.0, [])
    with pytest.raises(TypeError, match="channels must be DecayChannel records, got tuple"):
        multichannel_breit_wigner(1.0, 1.0, [(PI, PI, 0.3)])
    with pytest.raises(ValueError, match="pairs must be as many as couplings, got 1 for 2"):
        flatte(1.0, 1.0, [0.3, 0.4], [(PI, PI)])
    with pytest.raises(ValueError, match="got none"):
        flatte(1.0, 1.0, [], [])
