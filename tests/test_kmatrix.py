"""K matrix and P vector: inverses by NumPy, closed forms, unitarity, analyticity, finite differences."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import root

import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics.breakup import phase_space_factor
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf
from jaxpwa.physics.lineshapes.coupledchannels import KMatrix
from jaxpwa.physics.lineshapes.kmatrix import f_vector, k_matrix, t_matrix

PI, KAON, ETA = 0.13957, 0.493677, 0.547862
CHANNELS = ((PI, PI), (KAON, KAON), (ETA, ETA))
MASSES, COUPLINGS = np.array([0.95, 1.4]), np.array([[0.6, 0.35, -0.2], [0.3, -0.4, 0.5]])
BACKGROUND = np.array([[0.3, -0.2, 0.1], [-0.2, -0.1, 0.05], [0.1, 0.05, 0.4]])
BETAS = np.array([0.7 - 0.4j, -0.3 + 0.9j])
THREE = KMatrix(MASSES, COUPLINGS, CHANNELS, BACKGROUND)
KINDS = {
    "analytic": THREE,
    "rho": replace(THREE, phase_space="rho", adler=(0.01, 1.0)),
    "P wave": replace(THREE, l=1, background=np.stack([BACKGROUND, -0.2 * BACKGROUND, 0.1 * np.eye(3)])),
    "D wave": replace(THREE, l=2, phase_space="rho", normalised=False),
    "per pole": replace(
        THREE, l=2, phase_space="chew_mandelstam_s_wave", momenta="modulus", background_form="per pole"
    ),
    "own": replace(THREE, phase_space=lambda s, m1, m2: 1j * phase_space_factor(s, m1, m2) + 0.1 * s, adler=jnp.sin),
}
THRESHOLDS = np.array([sum(pair) ** 2 for pair in CHANNELS])
POINTS = {
    "above": np.linspace(1.1, 2.2, 8) ** 2,
    "one open": np.linspace(0.29, 0.98, 8) ** 2,
    "poles": MASSES**2,
    "before poles": MASSES**2 - 1e-6,
    "behind poles": MASSES**2 + 1e-6,
    "thresholds": THRESHOLDS,
    "below thresholds": THRESHOLDS - 1e-12,
    "above thresholds": THRESHOLDS + 1e-12,
}
PRODUCTION, DIRECT = np.array([0.2, 0.1, 0.4]), np.array([0.1, 0.2j, -0.3])


@cache
def amplitudes(kind):
    """T and F with real production at all points, by one compilation."""

    @jax.jit
    def both(s):
        return KINDS[kind].t_matrix(s), KINDS[kind].f_vector(s, [0.8, -0.5], PRODUCTION)

    t, f = (np.asarray(x) for x in both(np.concatenate(list(POINTS.values()))))
    places = np.cumsum([0, *map(len, POINTS.values())])
    return {name: (t[i:j], f[i:j]) for name, i, j in zip(POINTS, places[:-1], places[1:], strict=True)}


def by_inverse(s, masses, g, loops, betas, c=None, b=None):
    """K, T and F by np.linalg.inv."""
    gap = masses**2 - s[..., None]
    k = np.einsum("...ai,...aj,...a->...ij", g, g, 1 / gap) + (0 if c is None else c)
    inverse = np.linalg.inv(np.eye(g.shape[-1]) - k * loops[..., None, :])
    p = np.einsum("...ai,a,...a->...i", g, betas, 1 / gap) + (0 if b is None else b)
    return k, inverse @ k, (inverse @ p[..., None])[..., 0]


@pytest.mark.parametrize(
    ("poles", "n", "shape"), [(1, 1, ()), (1, 2, (6,)), (3, 2, (2, 3)), (2, 3, (6,)), (5, 4, (6,))]
)
def test_k_t_and_f_are_those_of_inverse_matrices(poles, n, shape):
    rng = np.random.default_rng(10 * poles + n)
    s, masses, g = rng.uniform(0.5, 3, shape), rng.uniform(0.7, 1.8, poles), rng.normal(size=(poles, n))
    c = rng.normal(size=(n, n))
    c += c.T
    loops = rng.normal(size=(*shape, n)) + 1j * rng.uniform(0, 1, (*shape, n))
    betas, b = (rng.normal(size=size) + 1j * rng.normal(size=size) for size in (poles, n))

    @jax.jit
    def ours(s):
        return [
            (
                k_matrix(s, masses, g, bg),
                t_matrix(s, masses, g, loops, bg),
                f_vector(s, masses, g, loops, betas, bg, prod),
                f_vector(s, masses, g, loops, betas, bg, prod, channel=n - 1),
            )
            for bg, prod in ((None, b), (c, None), (c, b))
        ]

    for got, (bg, prod) in zip(ours(s), ((None, b), (c, None), (c, b)), strict=True):
        k, t, f = by_inverse(s, masses, g, loops, betas, bg, prod)
        for one, expected in zip(got, (k, t, f, f[..., n - 1]), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_scattering_is_unitary_and_symmetric(kind):
    for place, n_open in (("above", 3), ("one open", 1)):
        t = amplitudes(kind)[place][0]
        np.testing.assert_allclose(t, np.swapaxes(t, -1, -2), rtol=1e-10, atol=1e-13)
        t = t[:, :n_open, :n_open]
        rho = np.stack([np.sqrt(1 - x / POINTS[place]) for x in THRESHOLDS[:n_open]], axis=-1)
        flow = np.swapaxes(t.conj(), -1, -2) @ (rho[..., None] * t)
        np.testing.assert_allclose(t.imag, flow, rtol=1e-9, atol=1e-11)


def test_one_pole_in_one_channel_is_a_breit_wigner_amplitude():
    s = np.linspace(0.1, 2, 40)
    one = KMatrix([0.77], [[0.5]], [(PI, PI)], phase_space="rho")
    expected = 0.25 / (0.77**2 - s - 0.25j * np.sqrt(1 - 4 * PI**2 / s))
    t, f = jax.jit(lambda s: (one.t_matrix(s), one.f_vector(s, [0.3 + 1j], channel=0)))(s)
    np.testing.assert_allclose(t[:, 0, 0], expected, rtol=1e-13)
    np.testing.assert_allclose(f, expected * (0.3 + 1j) / 0.5, rtol=1e-13)
    # With a barrier the width at the pole is that of the coupling, and the barrier is relative to the pole.
    p_wave = replace(one, l=1)
    z, z0 = ((x / 4 - PI**2) / 0.1973**2 for x in (s, 0.77**2))
    ratio = z / (z + 1) / z0 * (z0 + 1)
    expected = 0.25 * ratio / (0.77**2 - s - 0.25j * ratio * np.sqrt(1 - 4 * PI**2 / s))
    np.testing.assert_allclose(jax.jit(p_wave.t_matrix)(s)[:, 0, 0], expected, rtol=1e-12)


def test_one_pole_in_two_channels_is_flattes_amplitude_on_both_sides_of_the_threshold():
    s = np.linspace(0.5, 1.5, 41) ** 2
    two = KMatrix([0.98], [[0.4, 0.7]], CHANNELS[:2], phase_space="rho")
    closed = 1j * np.sqrt(np.maximum(4 * KAON**2 / s - 1, 0)) + np.sqrt(np.maximum(1 - 4 * KAON**2 / s, 0))
    below = 0.98**2 - s - 1j * (0.16 * np.sqrt(1 - 4 * PI**2 / s) + 0.49 * closed)
    expected = np.outer([0.4, 0.7], [0.4, 0.7]) / below[:, None, None]
    np.testing.assert_allclose(jax.jit(two.t_matrix)(s), expected, rtol=1e-12)


def test_two_channels_have_their_closed_form():
    (r1, r2), (a, b, c) = (0.7j, 0.2 + 0.4j), (0.6, -0.3, 1.1)
    determinant = (1 - a * r1) * (1 - c * r2) - b * b * r1 * r2
    expected = np.array([[a - (a * c - b * b) * r2, b], [b, c - (a * c - b * b) * r1]]) / determinant
    # A pole without couplings adds nothing.
    t = t_matrix(1.0, [1.3], [[0.0, 0.0]], [r1, r2], [[a, b], [b, c]])
    np.testing.assert_allclose(t, expected, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_amplitudes_are_continuous_at_thresholds(kind):
    places = (amplitudes(kind)[f"{x}thresholds"] for x in ("", "below ", "above "))
    for at, below, above in zip(*places, strict=True):
        np.testing.assert_allclose(below, above, atol=2e-5)
        np.testing.assert_allclose(at, above, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_masses_of_poles_are_no_special_points(kind):
    for at, before, behind in zip(*(amplitudes(kind)[f"{x}poles"] for x in ("", "before ", "behind ")), strict=True):
        np.testing.assert_allclose(at, (before + behind) / 2, rtol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_phase_of_production_is_that_of_scattering_where_one_channel_is_open(kind):
    t, f = amplitudes(kind)["one open"]
    interference = f[:, 0] * t[:, 0, 0].conj()
    np.testing.assert_allclose(interference.imag, 0, atol=1e-10 * np.abs(interference).max())
    assert np.abs(interference.real).min() > 0


@pytest.mark.parametrize(("kind", "sheets"), [("analytic", (1, 2, 1)), ("P wave", (2, 2, 2)), ("D wave", (2, 2, 2))])
def test_amplitudes_are_analytic_in_s_and_sheets_are_joined_at_the_cut(kind, sheets):
    f = jax.jit(lambda s: KINDS[kind].t_matrix(s, sheets))
    some, h = np.array([0.9 + 0.2j, 1.5 + 0.1j, 1.1 - 0.3j]), 1e-5
    above = POINTS["above"] + 0j
    steps = [some + h, some - h, some + 1j * h, some - 1j * h, some, some.conj(), above - 1e-9j]
    right, left, up, down, at, mirrored, below_cut = np.split(
        np.asarray(f(np.concatenate(steps))), np.cumsum([len(x) for x in steps])[:-1]
    )
    np.testing.assert_allclose((right - left) / (2 * h), (up - down) / (2j * h), rtol=1e-6, atol=1e-7)
    # Schwarz' reflection, up to the sign of the ends of odd waves.
    np.testing.assert_allclose(np.abs(mirrored), np.abs(at), rtol=1e-10)
    if sheets == (2, 2, 2):
        np.testing.assert_allclose(np.abs(below_cut), np.abs(amplitudes(kind)["above"][0]), rtol=1e-6)


def test_a_resonance_is_a_pole_on_the_second_sheet():
    one = KMatrix([0.9], [[0.4]], [(PI, PI)], phase_space="rho")

    def denominator(x):
        s = complex(*x)
        d = 0.81 - s - 0.16j * np.sqrt(1 - 4 * PI**2 / s)
        return [d.real, d.imag]

    at = complex(*root(denominator, [0.8, -0.15], tol=1e-13).x)
    second, first = jax.jit(lambda s: (one.t_matrix(s, (2,)), one.t_matrix(s, (1,))))(at)
    assert abs(second[0, 0]) > 1e10
    assert abs(first[0, 0]) < 1


def test_barriers_may_as_well_stand_at_the_couplings():
    s = POINTS["above"]
    ends = np.asarray(blatt_weisskopf(2, np.sqrt(s[:, None] - THRESHOLDS) / 2))
    q0 = np.sqrt(MASSES[:, None] ** 2 - THRESHOLDS + 0j) / 2
    for change in ({}, {"normalised": True}, {"normalised": True, "background_form": "per pole"}):
        kind = replace(KINDS["D wave"], **change)
        weights = np.abs(blatt_weisskopf(2, q0)) ** -1.0 if kind.normalised else np.ones((2, 3))
        g = ends[:, None, :] * COUPLINGS * weights
        c = BACKGROUND * ends[:, :, None] * ends[:, None, :]
        c = c * (weights.T @ weights) if kind.background_form == "per pole" else c
        loops = 1j * np.sqrt(1 - THRESHOLDS / s[:, None])
        at_ends = DIRECT * ends * (weights.sum(axis=0) if kind.background_form == "per pole" else 1)
        expected = by_inverse(s, MASSES, g, loops, BETAS, c, at_ends)
        got = jax.jit(lambda s, k=kind: (k.k_matrix(s), k.t_matrix(s), k.f_vector(s, BETAS, DIRECT)))(s)
        for one, wanted in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-9, atol=1e-12)


NUMBERS = {"masses": MASSES, "couplings": COUPLINGS, "background": BACKGROUND}


@pytest.mark.parametrize("kind", ["analytic", "D wave", "per pole"])
def test_gradients_are_those_of_differences_also_at_masses_of_poles_and_thresholds(kind):
    s = np.array([0.25, *MASSES**2, 1.21, *THRESHOLDS])
    weights = np.random.default_rng(5).normal(size=(7, 3))

    @jax.jit
    def value(numbers):
        k = replace(KINDS[kind], **{n: numbers[n] for n in NUMBERS})
        f = k.f_vector(numbers["s"], numbers["re"] + 1j * numbers["im"], numbers["b"])
        return jnp.sum(weights * jnp.abs(f) ** 2)

    start = NUMBERS | {"re": BETAS.real, "im": BETAS.imag, "b": np.array([0.1, -0.2, 0.3]), "s": s}
    start = {n: jnp.asarray(v) for n, v in start.items()}
    gradient = jax.jit(jax.grad(value))(start)
    assert all(np.isfinite(slope).all() for slope in gradient.values())
    rng = np.random.default_rng(6)
    for name, at in start.items():
        direction = rng.normal(size=at.shape)
        direction = direction + direction.T if name == "background" else direction
        if name == "s":
            direction[4:] = 0  # slopes at thresholds are infinite
        up, down = (value(start | {name: at + step * direction}) for step in (1e-6, -1e-6))
        slope = np.sum(np.asarray(gradient[name]) * direction)
        assert slope == pytest.approx(float(up - down) / 2e-6, rel=1e-6, abs=1e-7), name


def test_channels_are_found_by_index_and_by_name():
    kind = replace(KINDS["rho"], names=("pi pi", "K K", "eta eta"))
    mass = np.linspace(1.2, 1.5, 4)

    @jax.jit
    def found(m):
        return (
            kind.f_vector(m**2, BETAS),
            kind.production_amplitude(m, BETAS, "K K"),
            kind.production_amplitude(m, list(BETAS), 2),
        )

    every, by_name, by_index = found(mass)
    np.testing.assert_allclose(by_name, every[:, 1], rtol=1e-12)
    np.testing.assert_allclose(by_index, every[:, 2], rtol=1e-12)
    for wrong in ("pi", 3, -1, True):
        with pytest.raises(ValueError, match="channel must be an index below 3 or one of"):
            kind.production_amplitude(mass, BETAS, wrong)


def test_numbers_may_be_traced_and_mapped():
    def value(mass, g):
        k = replace(KINDS["rho"], masses=[mass, 1.4], couplings=[[g, 0.35, -0.2], [0.3, -0.4, 0.5]])
        return k.production_amplitude(1.1, [mass + 0j, 1.0], 0)

    masses = np.array([0.9, 0.95, 1.0])
    mapped = jax.jit(jax.vmap(value, in_axes=(0, None)))(masses, 0.6)
    one = jax.jit(value)
    np.testing.assert_allclose(mapped, [one(m, 0.6) for m in masses], rtol=1e-12)


def test_precision_follows_the_events():
    for kind in (KINDS["rho"], KINDS["per pole"]):
        both = jax.jit(lambda s, k=kind: (k.t_matrix(s), k.f_vector(s, BETAS, [0.1, 0.2, 0.3])))
        single, double = both(jnp.float32([0.9, 1.5])), both(np.array([0.9, 1.5]))
        for x, y in zip(single, double, strict=True):
            assert (x.dtype, y.dtype) == (jnp.complex64, jnp.complex128)
            np.testing.assert_allclose(x, y, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masses": 1.0}, "one mass per pole"),
        ({"channels": ()}, "one pair of masses per channel"),
        ({"couplings": COUPLINGS.T}, r"couplings must have the shape \(2, 3\) = \(poles, channels\), got \(3, 2\)"),
        ({"background": np.eye(2)}, r"background must have the shape \(3, 3\)"),
        ({"background": np.triu(BACKGROUND)}, "background must be symmetric"),
        ({"l": 9}, "l must be a whole number from 0 to 8, got 9"),
        ({"l": True}, "l must be a whole number from 0 to 8, got True"),
        ({"names": ("a",)}, "names must be one for each of the 3 channels"),
        ({"phase_space": "flat"}, "phase_space must be one of .* or a function of s, m1, m2, got 'flat'"),
        ({"momenta": "real"}, "momenta must be one of"),
        ({"background_form": "twice"}, "background_form must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(THREE, **change)


def test_numbers_of_production_and_sheets_are_checked():
    with pytest.raises(ValueError, match=r"betas must have the shape \(2,\) = \(poles,\), got \(3,\)"):
        THREE.f_vector(1.0, [1, 2, 3])
    for kind, sheets in ((THREE, (1, 2)), (THREE, (0, 1, 1)), (KINDS["own"], (2, 1, 1))):
        with pytest.raises(ValueError, match="sheets must be 1 or 2 for each of 3 channels"):
            kind.loops(1.0, sheets)
