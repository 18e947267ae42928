"""Polarised photoproduction: helicity amplitudes with a photon's density matrix, published numbers, normalisation."""

import itertools

import numpy as np
import pytest
from scipy.special import sph_harm_y

import jax

import jaxpwa as jp
from jaxpwa.physics.spin import clebsch_gordan, wigner_d
from jaxpwa.physics.waves.polarised import polarised_model
from jaxpwa.physics.waves.twopseudoscalars import TwoPseudoscalarWave, partial_waves, two_pseudoscalar_model, z_lm
from jaxpwa.physics.waves.vectorpseudoscalar import (
    VectorPseudoscalarWave,
    omega_dalitz_factor,
    vector_pseudoscalar_amplitude,
    vector_pseudoscalar_model,
)

N = 60
RNG = np.random.default_rng(5)
DATA = {
    "costheta": RNG.uniform(-1, 1, N),
    "phi": RNG.uniform(-np.pi, np.pi, N),
    "costheta_h": RNG.uniform(-1, 1, N),
    "phi_h": RNG.uniform(-np.pi, np.pi, N),
    "Phi": RNG.uniform(-np.pi, np.pi, N),
    "polarisation": RNG.uniform(0.1, 0.9, N),
}


X = DATA["costheta"]


def from_helicities(plus, minus):
    """Intensity of two photon helicities, rho = [[1, -P exp(-2i Phi)], [-P exp(2i Phi), 1]] / 2."""
    interference = (plus * np.conj(minus) * np.exp(-2j * DATA["Phi"])).real
    return (abs(plus) ** 2 + abs(minus) ** 2) / 2 - DATA["polarisation"] * interference


def test_z_has_the_published_value():
    # The event of REFERENCE 5.3: helicity angles, Phi and P of laddu's event.
    angles = (-0.4611175068834238, -2.657462587335066, 1.935929887818673, 0.38562805)
    z = complex(z_lm(1, 1, 1, *angles))
    assert z == pytest.approx(0.042841277808013944 - 0.23859639139484332j, rel=1e-12)
    plain = sph_harm_y(1, 1, np.arccos(angles[0]), angles[1]) * np.exp(-1j * angles[2])
    p = angles[3]
    assert complex(z_lm(1, 1, -1, *angles)) == pytest.approx(
        np.sqrt(1 - p) * plain.real + 1j * np.sqrt(1 + p) * plain.imag, rel=1e-12
    )


@pytest.mark.parametrize("reflectivity", [1, -1])
def test_two_pseudoscalars_are_helicity_amplitudes_related_by_parity(reflectivity):
    waves = [(0, 0), (1, -1), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    model = two_pseudoscalar_model([TwoPseudoscalarWave(l, m, reflectivity) for l, m in waves], reference=None)
    couplings = RNG.normal(size=len(waves)) + 1j * RNG.normal(size=len(waves))
    couplings[0] = abs(couplings[0])
    start = model.start(dict(zip(model.names, couplings, strict=True)))
    theta = np.arccos(DATA["costheta"])
    plus, minus = np.zeros(N, complex), np.zeros(N, complex)
    for (l, m), c in zip(waves, couplings, strict=True):
        plus += c * sph_harm_y(l, m, theta, DATA["phi"])
        # Reflection in the production plane, of a system of parity (-1)^l.
        minus += -reflectivity * (-1) ** m * c * sph_harm_y(l, -m, theta, DATA["phi"])
    expected = from_helicities(plus, minus)
    np.testing.assert_allclose(jp.evaluate(model, start, DATA), expected, rtol=1e-11, atol=1e-12)


def vector_decay(j, m, l):
    """Sum over the vector's helicities, from D functions of three angles."""
    total = np.zeros(N, complex)
    for h in (-1, 0, 1):
        if abs(h) <= j:
            f = np.sqrt((2 * l + 1) / (2 * j + 1)) * clebsch_gordan(l, 0, 1, h, j, h)
            outer = np.conj(wigner_d(j, m, h, DATA["phi"], np.arccos(DATA["costheta"]), np.zeros(N)))
            inner = np.conj(wigner_d(1, h, 0, DATA["phi_h"], np.arccos(DATA["costheta_h"]), np.zeros(N)))
            total += f * outer * inner
    return np.sqrt((2 * j + 1) / (4 * np.pi) * 3 / (4 * np.pi)) * total


@pytest.mark.parametrize("reflectivity", [1, -1])
def test_vector_pseudoscalars_are_helicity_amplitudes_related_by_parity(reflectivity):
    waves = [(1, 0, 0), (1, 1, 0), (1, -1, 2), (1, 1, 1), (0, 0, 1), (2, -2, 1), (2, 1, 2), (2, 2, 3)]
    model = vector_pseudoscalar_model([VectorPseudoscalarWave(*wave, reflectivity) for wave in waves])
    couplings = RNG.normal(size=len(waves)) + 1j * RNG.normal(size=len(waves))
    couplings[0] = abs(couplings[0])
    start = model.start(dict(zip(model.names, couplings, strict=True)))
    plus, minus = np.zeros(N, complex), np.zeros(N, complex)
    for (j, m, l), c in zip(waves, couplings, strict=True):
        plus += c * vector_decay(j, m, l)
        naturality = (-1) ** l * (-1) ** j
        minus += -reflectivity * naturality * (-1) ** m * c * vector_decay(j, -m, l)
    expected = from_helicities(plus, minus)
    np.testing.assert_allclose(jp.evaluate(model, start, DATA), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("j", "l"), [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2)])
def test_vector_pseudoscalar_waves_are_orthonormal(j, l):
    x, w = np.polynomial.legendre.leggauss(6)
    f = np.arange(9) * 2 * np.pi / 9
    c, phi, ch, ph = (a.ravel() for a in np.meshgrid(x, f, x, f, indexing="ij"))
    weight = np.einsum("i,j,k,l->ijkl", w, np.ones(9), w, np.ones(9)).ravel() * (2 * np.pi / 9) ** 2
    this = np.asarray(vector_pseudoscalar_amplitude(j, min(j, 1), l, c, phi, ch, ph))
    assert np.sum(weight * abs(this) ** 2) == pytest.approx(1, rel=1e-12)
    for other in {(1, 0, 0), (1, 1, 2), (2, 1, 1), (2, 0, 2)} - {(j, min(j, 1), l)}:
        overlap = np.sum(weight * this * np.conj(vector_pseudoscalar_amplitude(*other, c, phi, ch, ph)))
        assert abs(overlap) < 1e-12


def test_a_wave_alone_integrates_to_the_square_of_its_coupling():
    x, w = np.polynomial.legendre.leggauss(8)
    f = np.arange(12) * 2 * np.pi / 12
    c, phi, big = (a.ravel() for a in np.meshgrid(x, f, f, indexing="ij"))
    weight = np.repeat(w, 144) * (2 * np.pi / 12) / 12
    for name in ("S0+", "P1-", "D-2+"):
        model = two_pseudoscalar_model([name], polarisation=0.4)
        values = model(model.start(3.0), {"costheta": c, "phi": phi, "Phi": big})
        assert float(np.sum(weight * np.asarray(values))) == pytest.approx(9.0, rel=1e-12)


def test_reflectivities_do_not_interfere_and_configurations_neither():
    names = ["S0+", "D1+", "P0-", "D2-"]
    model = two_pseudoscalar_model(names, configurations=2)
    start = model.start({f"{n} k{k}": 1 if n in ("S0+", "P0-") else 1 - 2j for n in names for k in (1, 2)})
    whole = model(start, DATA)
    parts = [model.only(f"{sign} * k{k}")(start, DATA) for sign, k in itertools.product("+-", (1, 2))]
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-12)
    np.testing.assert_allclose(parts[0], parts[1], rtol=1e-12)
    assert model.only("*- k2").names == ("P0- k2", "D2- k2")


def test_shapes_make_a_wave_for_each_resonance():
    def shape(p, d):
        return 1 / (p["m"] - d["costheta"] - 0.1j)

    model = two_pseudoscalar_model(
        ["S0+", "D0+", "D1+"], shapes={"D*": {"a2": shape, "a2'": lambda p, d: 2.0}, "S0+": shape}
    )
    assert model.names == ("S0+", "D0+ a2", "D0+ a2'", "D1+ a2", "D1+ a2'")
    start = model.start() | {"m": 0.2}
    theta = np.arccos(DATA["costheta"])
    bw = 1 / (0.2 - DATA["costheta"] - 0.1j)
    y = [sph_harm_y(l, m, theta, DATA["phi"]) * np.exp(-1j * DATA["Phi"]) for l, m in ((0, 0), (2, 0), (2, 1))]
    p = DATA["polarisation"]
    re, im = (bw * part(y[0]) + (bw + 2) * (part(y[1]) + part(y[2])) for part in (np.real, np.imag))
    np.testing.assert_allclose(model(start, DATA), (1 + p) * abs(re) ** 2 + (1 - p) * abs(im) ** 2, rtol=1e-11)


def test_partial_waves_are_couplings_times_shapes():
    def shape(p, d):
        return 1 / (p["m"] - d["mass"] - 0.1j)

    model = two_pseudoscalar_model(["S0+", "D0+"], shapes={"D*": {"a2": shape, "a2'": lambda p, d: 2.0}})
    params = model.start({"D0+ a2": 1j}) | {"m": 0.2}
    amplitudes = partial_waves(model, params, {"mass": X})
    assert set(amplitudes) == {(0, 0, 1), (2, 0, 1)}
    np.testing.assert_allclose(amplitudes[2, 0, 1], 1j / (0.2 - X - 0.1j) + 2, rtol=1e-13)
    two = partial_waves(two_pseudoscalar_model(["P1-"], configurations=2), {"P1- k1.re": 2.0, "P1- k2.re": 3.0})
    assert [float(one[1, 1, -1]) for one in two] == [2.0, 3.0]
    with pytest.raises(ValueError, match="waves of two pseudoscalars, got 1"):
        partial_waves(vector_pseudoscalar_model(["1+(0)S+"]), params)


def test_gradients_are_those_of_finite_differences():
    model = vector_pseudoscalar_model(["1+(0)S+", "1+(1)D+", "1-(1)P-"], form="polar", polarisation=0.3)
    names = list(model.start())
    at = RNG.uniform(0.5, 1.5, len(names))

    def total(x):
        return model(dict(zip(names, x, strict=True)), DATA).sum()

    for i, slope in enumerate(jax.jit(jax.grad(total))(at)):
        step = np.eye(len(names))[i] * 1e-6
        assert float(slope) == pytest.approx(float(total(at + step) - total(at - step)) / 2e-6, rel=1e-6, abs=1e-7)


def test_the_omega_decay_factor_is_one_without_parameters():
    z, s = RNG.uniform(0, 1, 9), RNG.uniform(-1, 1, 9)
    np.testing.assert_array_equal(omega_dalitz_factor(z, s), 1.0)
    expected = 1 + 0.2 * z + 0.04 * z**1.5 * s - 0.06 * z**2 + 0.08 * z**2.5 * s
    np.testing.assert_allclose(omega_dalitz_factor(z, s, alpha=0.1, beta=0.02, gamma=-0.03, delta=0.04), expected)
    assert np.isfinite(jax.grad(lambda z: omega_dalitz_factor(z, 0.5, beta=0.1))(0.0))


def test_names_make_waves_and_waves_names():
    for name in ("S0+", "P-1-", "G4+"):
        assert TwoPseudoscalarWave.named(name).name == name
    for name in ("1+(0)S+", "1-(-1)P-", "2-(2)F+", "0-(0)P+"):
        wave = VectorPseudoscalarWave.named(name) if name != "2-(2)F+" else VectorPseudoscalarWave(2, 2, 3, 1)
        assert wave.name == name
    with_dalitz = vector_pseudoscalar_model(["1+(0)S+"], dalitz="costheta_h", polarisation=0.0)
    plain = vector_pseudoscalar_model(["1+(0)S+"], polarisation=0.0)
    ratio = with_dalitz(plain.start(), DATA) / plain(plain.start(), DATA)
    np.testing.assert_allclose(ratio, DATA["costheta_h"] ** 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: z_lm(1, 1, 0, 0.1, 0.1, 0.1, 0.1), ValueError, "reflectivity must be 1 or -1, got 0"),
        (lambda: z_lm(1, 2, 1, 0.1, 0.1, 0.1, 0.1), ValueError, "m must be one of -l"),
        (lambda: TwoPseudoscalarWave(1, 2, 1), ValueError, "got m=2 for l=1"),
        (lambda: TwoPseudoscalarWave(-1, 0, 1), ValueError, "l must be a whole number from 0 to 10, got -1"),
        (lambda: two_pseudoscalar_model(["S0"]), ValueError, "such as 'S0[+]' or 'D-1-', got 'S0'"),
        (lambda: two_pseudoscalar_model("S0+"), TypeError, "waves must be a list of waves, got 'S0[+]'"),
        (lambda: two_pseudoscalar_model([]), ValueError, "at least one wave"),
        (lambda: two_pseudoscalar_model(["S0+", "S0+"]), ValueError, r"S0\+ occur more than once"),
        (lambda: two_pseudoscalar_model(["S0+"], polarisation=1.5), ValueError, "number from -1 to 1, got 1.5"),
        (lambda: two_pseudoscalar_model(["S0+"], configurations=0), ValueError, "at least 1, got 0"),
        (lambda: two_pseudoscalar_model(["S0+"], reference="D0+"), ValueError, "which is none of"),
        (lambda: two_pseudoscalar_model(["S0+", "S0-"], reference="S0+"), ValueError, "one wave of each reflectivity"),
        (lambda: two_pseudoscalar_model(["S0+"], shapes={"D*": abs}), ValueError, "fits none of the waves S0"),
        (lambda: two_pseudoscalar_model(["S0+"], shapes={"S*": 1.0}), TypeError, "must be functions"),
        (lambda: vector_pseudoscalar_model(["1+0S+"]), ValueError, "waves are named by J"),
        (lambda: vector_pseudoscalar_model(["1-(0)S+"]), ValueError, "with l=0 have parity [+], got '1-"),
        (lambda: vector_pseudoscalar_model("1+(0)S+"), TypeError, "must be a list of waves"),
        (lambda: VectorPseudoscalarWave(1, 0, 3, 1), ValueError, "l must be one of 0, 1, 2 for j=1, got 3"),
        (lambda: VectorPseudoscalarWave(0, 0, 0, 1), ValueError, "l must be one of 1 for j=0, got 0"),
        (lambda: VectorPseudoscalarWave(1, 2, 0, 1), ValueError, "got m=2 for j=1"),
        (lambda: vector_pseudoscalar_amplitude(1.5, 0, 0, 0, 0, 0, 0), ValueError, "j must be a whole number"),
        (lambda: polarised_model([]), ValueError, "at least one wave"),
    ],
)
def test_what_is_no_wave_is_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
