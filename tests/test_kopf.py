"""K matrices of Kopf et al.: published numbers of two other programs, the authors' formula in NumPy, differences."""

from dataclasses import replace

import numpy as np
import pytest

import jax
import jax.numpy as jnp

from jaxpwa.physics.lineshapes.kmatrix import f_vector
from jaxpwa.physics.lineshapes.kopf import KOPF, KOPF_GLUEX

S = 1.8889166211166355
# REFERENCE: channel 1 with betas (0.1 + 0.2 k) + i (0.2 + 0.2 k).
NO_BARRIER_AT_BACKGROUND = {
    "a0": -0.800275915726 - 0.1359306632058216j,
    "f0": 0.2674945594859746 + 0.7289451151846619j,
    "a2": -0.2092661754354623 - 0.0985062130982985j,
    "f2": 0.0252330452402263 + 0.3971239385838626j,
    "pi1": -0.1101758680774738 + 0.2638717244927622j,
    "rho": 0.0948355875411770 + 0.2609183741271106j,
}
MODULUS = NO_BARRIER_AT_BACKGROUND | {
    "a2": -0.2087815057065275 - 0.1017320017130651j,
    "f2": 0.0246313438129292 + 0.3964232300397033j,
    "pi1": -0.1102837189594729 + 0.2634689121978873j,
    "rho": 0.0946103537951349 + 0.2609991250357260j,
}
COMPLEX = MODULUS | {"rho": 0.0944901184574725 + 0.2609094192601877j}
SLOPES = {
    "a0": [0.2906192438 - 0.0998906046j, -1.3136838757 + 1.1380269958j],
    "a2": [-0.5907384086 + 0.9577393827j, -0.0767649592 - 0.1621742486j],
    "rho": [0.0273458472 - 0.0280622858j, 0.5165660573 + 0.1720668516j],
    "pi1": [0.8333082109 + 0.9680727002j],
}


def as_in_laddu(name):
    """laddu's coupling of the pi1 to pi eta' is 1.04595; the authors' is 1.046953."""
    wave = KOPF_GLUEX[name]
    return replace(wave, couplings=[[0.80564, 1.04595]]) if name == "pi1" else wave


def betas(wave):
    return np.array([(0.1 + 0.2 * k) + 1j * (0.2 + 0.2 * k) for k in range(wave.masses.size)])


def authors(wave, s, beta, b=None):
    """F and T at one real s, as the authors' scripts write them: inverses, their Chew-Mandelstam function, |q|."""
    m1, m2 = np.array(wave.channels).T
    c = wave.background if wave.background is not None else np.zeros((len(m1),) * 2)

    def barrier(s):
        z = np.abs((s - (m1 + m2) ** 2) * (s - (m1 - m2) ** 2)) / (4 * s) / 0.1973**2
        return np.sqrt([1 + 0 * z, 2 * z / (z + 1), 13 * z**2 / (z**2 + 3 * z + 9)][wave.l])

    k, p = np.zeros((len(m1),) * 2, complex), np.zeros(len(m1), complex)
    for mass, g, strength in zip(wave.masses, wave.couplings, beta, strict=True):
        ends = barrier(s) / barrier(mass**2)
        k += np.outer(ends, ends) * (np.outer(g, g) / (mass**2 - s) + c)
        p += ends * (strength * g / (mass**2 - s) + (0 if b is None else b))
    k *= (s - wave.adler[0]) / wave.adler[1] if wave.adler else 1
    xi, up = 1 - (m1 + m2) ** 2 / s, s + 1e-13j
    rho = np.sqrt(1 - (m1 + m2) ** 2 / up) * np.sqrt(1 - (m1 - m2) ** 2 / up)
    # The logarithm's argument is negative above the threshold, on the lower side of its cut.
    logs = np.log(np.abs((xi + rho) / (xi - rho))) - 1j * np.pi
    logs = np.where(s > (m1 + m2) ** 2, logs, np.log((xi + rho) / (xi - rho)))
    chew = rho / np.pi * logs - xi / np.pi * (m2 - m1) / (m2 + m1) * np.log(m2 / m1)
    inverse = np.linalg.inv(np.eye(len(m1)) + k @ np.diag(chew))
    return inverse @ p, inverse @ k


@pytest.mark.parametrize("name", KOPF)
def test_amplitudes_are_those_of_the_other_programs(name):
    wave = as_in_laddu(name)

    @jax.jit
    def ours(s):
        continued = replace(wave, momenta="complex")
        return wave.f_vector(s, betas(wave), channel=1), continued.f_vector(s, betas(wave), channel=1)

    modulus, continued = map(complex, ours(S))
    assert modulus == pytest.approx(MODULUS[name], rel=1e-13)
    assert continued == pytest.approx(COMPLEX[name], rel=1e-13)
    # Without barriers at the background, by the functions that take barriers as they come.
    poles = replace(wave, background=None)
    g = np.sqrt(np.abs(np.array([poles_of_k(poles, a) for a in range(wave.masses.size)]))) * np.sign(wave.couplings)
    n_c = None if wave.background is None else wave.masses.size * wave.background
    loops = replace(wave, l=0).loops(S) * ((S - wave.adler[0]) / wave.adler[1] if wave.adler else 1)
    plain = complex(f_vector(S, wave.masses, g, loops, betas(wave), n_c, channel=1))
    assert plain == pytest.approx(NO_BARRIER_AT_BACKGROUND[name], rel=1e-13)


def poles_of_k(wave, pole):
    """Squares of the couplings with barriers at S, from K of one pole."""
    m1, m2 = np.array(wave.channels).T
    z = [np.abs((s - (m1 + m2) ** 2) * (s - (m1 - m2) ** 2)) / (4 * s) / 0.1973**2 for s in (S, wave.masses[pole] ** 2)]
    squares = [[1 + 0 * x, 2 * x / (x + 1), 13 * x**2 / (x**2 + 3 * x + 9)][wave.l] for x in z]
    return np.asarray(wave.couplings)[pole] ** 2 * squares[0] / squares[1]


def test_a_background_that_stands_there_once_makes_other_numbers():
    once = replace(KOPF_GLUEX["f0"], background_form="once")
    value = complex(once.f_vector(S, betas(once), channel=1))
    assert value == pytest.approx(0.285895 + 0.712405j, abs=1e-6)


@pytest.mark.parametrize("name", KOPF)
def test_amplitudes_are_those_of_the_authors_formula_unitary_and_symmetric(name):
    wave = KOPF[name]
    s = np.array([0.45, 0.7, 1.01, 1.2, 1.5, 1.6, 1.9, 2.3]) ** 2
    b = np.array([0.3 - 0.1j, 0.2, 0.5j, 0.7, -0.4])[: len(wave.channels)]
    f, t = map(np.asarray, jax.jit(lambda s: (wave.f_vector(s, betas(wave), b), wave.t_matrix(s)))(s))
    for i, at in enumerate(s):
        expected = authors(wave, at, betas(wave), b)
        np.testing.assert_allclose(f[i], expected[0], rtol=1e-9)
        np.testing.assert_allclose(t[i], expected[1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(t, np.swapaxes(t, 1, 2), rtol=1e-9, atol=1e-13)
    s, t = s[5:], t[5:]
    m1, m2 = np.array(wave.channels).T
    rho = np.sqrt((1 - (m1 + m2) ** 2 / s[:, None]) * (1 - (m1 - m2) ** 2 / s[:, None]))
    np.testing.assert_allclose(t.imag, np.swapaxes(t.conj(), 1, 2) @ (rho[..., None] * t), atol=1e-11)


def test_production_of_the_pi1_in_compass_is_that_of_the_authors_script():
    """A linear background in s, as in the authors' P vector of COMPASS."""
    wave, s = KOPF["pi1"], np.linspace(0.75, 2, 9) ** 2
    beta = 101.3643146415384 * np.exp(1j * 0.1965729386642642)
    low, high = [-7.689428940848806, -139.9999961614917], [14.53171845010211, 39.44684637184774]
    b = np.array(low) + np.array(high) * s[:, None]
    f = jax.jit(lambda s: wave.f_vector(s, [beta], b))(s)
    for i, at in enumerate(s):
        np.testing.assert_allclose(f[i], authors(wave, at, [beta], b[i])[0], rtol=1e-9)


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_those_published_and_those_of_differences(name):
    wave = replace(as_in_laddu(name), momenta="complex")
    start = betas(wave)

    def parts(x):
        f = wave.f_vector(S, x[0] + 1j * x[1], channel=1)
        return jnp.stack([f.real, f.imag])

    at = jnp.stack([start.real, start.imag])
    slope = np.asarray(jax.jit(jax.jacobian(parts))(at))
    np.testing.assert_allclose(slope[0, 0] + 1j * slope[1, 0], SLOPES[name], rtol=1e-9)
    # The amplitude is analytic in betas.
    np.testing.assert_allclose(slope[0, 1] + 1j * slope[1, 1], 1j * np.array(SLOPES[name]), rtol=1e-9)
    value = jax.jit(parts)
    for k in range(start.size):
        step = np.zeros((2, start.size))
        step[0, k] = 1e-6
        numeric = (value(at + step) - value(at - step)) / 2e-6
        np.testing.assert_allclose(slope[:, 0, k], numeric, rtol=1e-7, atol=1e-9)


def test_the_adler_zero_of_the_f0_is_in_scattering_and_not_in_production():
    wave = KOPF["f0"]
    t, f = jax.jit(lambda s: (wave.t_matrix(s), wave.f_vector(s, betas(wave))))(0.0091125)
    np.testing.assert_allclose(t, 0, atol=1e-15)
    assert np.abs(f).min() > 1e-4


# Couplings and masses with all digits, from the authors' scripts.
FULL = {
    "f0": [
        [0.5146109988244556, 0.749866997688989, -0.01257099832673861, 0.2753599978535977, -0.1510199937514032],
        [0.9062999999986513, 0.06400735441028882, 0.002039993700021009, 0.7741299935288173, 0.5099954460483236],
        [1.23089000002673, -0.2341669602361275, -0.01031664796738707, 0.7228310629513335, 0.1193373160160431],
        [1.461043944511787, 0.01270001206662291, 0.2670000044701449, 0.09214335545338775, 0.02742288751616556],
        [1.696114327468766, -0.1424226773316178, 0.2277971435654336, 0.1598113086438209, 0.162720778677211],
    ],
    "f2": [
        [1.152989902015372, 0.4003279488527079, 0.1547855579730676, -0.08900000050965565, -0.001134042567039056],
        [1.483591387238627, 0.01819999860301777, 0.1729999857292003, 0.3239256460800748, 0.1525632940358444],
        [1.729226406267156, -0.06709734248406923, 0.2294058495107097, -0.4313312049403804, 0.2372109717029494],
        [1.969999999998483, -0.4992419169695315, 0.1929461301610656, 0.279745459722337, -0.03986921341499428],
    ],
    "pi1": [[1.385518356865105, 0.8056407725708118, 1.046952875320115]],
}


@pytest.mark.parametrize("name", FULL)
def test_tables_are_the_authors_numbers_to_five_digits(name):
    full = np.array(FULL[name])
    wave = KOPF[name]
    np.testing.assert_allclose(wave.masses, full[:, 0], atol=1.01e-5)
    np.testing.assert_allclose(wave.couplings[:, : full.shape[1] - 1], full[:, 1:], atol=1.01e-5)


def test_the_other_programs_differ_by_masses_alone():
    for name, wave in KOPF.items():
        other = KOPF_GLUEX[name]
        assert other.names == wave.names
        np.testing.assert_array_equal(other.couplings, wave.couplings)
        np.testing.assert_allclose(other.channels, wave.channels, atol=0.0047)
        np.testing.assert_allclose(other.masses, wave.masses, atol=0.0031)
        # Tables are plain numbers, so that an import starts no device.
        assert isinstance(wave.masses, np.ndarray)
