"""Isobar chains against amplitudes of spins at rest in plain numpy: harmonics, Clebsch-Gordan sums, boosted spinors."""

import itertools
from dataclasses import replace
from math import comb, factorial, sqrt

import numpy as np
import pytest
from scipy.special import eval_legendre, sph_harm_y

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.physics.kinematics.threebody import invariants, invariants_of_angle, pair
from jaxpwa.physics.kinematics.threebody_angles import orientation
from jaxpwa.physics.spin import clebsch_gordan
from jaxpwa.physics.waves.composition import CoherentSum
from jaxpwa.physics.waves.isobar_models import IsobarAmplitude, isobar_model, symmetrised
from jaxpwa.physics.waves.isobars import LS, Chain, Helicities, ThreeBodyDecay, angular_part
from jaxpwa.physics.waves.vertices import parity_factor
from jaxpwa.physics.waves.wave import Coupling, Symmetrised

PAULI = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def projections(j):
    return [j - n for n in range(round(2 * j) + 1)]


def pure_boost(p):
    """SL(2, C) matrix of the boost without rotation that gives a particle at rest the momentum p."""
    mass = np.sqrt(p[0] ** 2 - p[1:] @ p[1:])
    x = np.einsum("a,aij->ij", p, PAULI) / mass
    return (x + np.eye(2)) / np.sqrt(2 * (1 + p[0] / mass))


def transformed(matrix, p):
    x = matrix @ np.einsum("a,aij->ij", p, PAULI) @ matrix.conj().T
    return np.real(np.einsum("aij,ji->a", PAULI, x)) / 2


def representation(j, u):
    """Matrix of spin j of an SU(2) matrix, from powers of its action on spinors; rows and columns from m = j down."""
    ms = projections(j)
    out = np.zeros((len(ms), len(ms)), complex)
    for (row, m1), (column, m2) in itertools.product(enumerate(ms), repeat=2):
        up, down, wanted = round(j + m2), round(j - m2), round(j + m1)
        total = sum(
            comb(up, a) * u[0, 0] ** a * u[1, 0] ** (up - a)
            * comb(down, wanted - a) * u[0, 1] ** (wanted - a) * u[1, 1] ** (down - wanted + a)
            for a in range(max(0, wanted - down), min(up, wanted) + 1)
        )  # fmt: skip
        weight = factorial(wanted) * factorial(round(j - m1)) / (factorial(up) * factorial(down))
        out[row, column] = sqrt(weight) * total
    return out


def coupled(j, ls, j1, j2, m, m1, m2, p):
    """Amplitude of spin states at rest and of a direction for a parent of spin j and projection m."""
    (l, s), ms = ls, m1 + m2
    if abs(ms) > s or abs(m - ms) > l:
        return 0
    cosine, phi = p[3] / np.linalg.norm(p[1:]), np.arctan2(p[2], p[1])
    harmonic = sph_harm_y(l, round(m - ms), np.arccos(cosine), phi)
    return clebsch_gordan(j1, m1, j2, m2, s, ms) * clebsch_gordan(l, m - ms, s, ms, j, m) * harmonic


def canonical(spins, first, second, spectator, spin, production, decay, momenta):
    """Amplitude of one event in the rest frame of the parent, without helicities: indices M, m1, m2, m3."""
    p = dict(enumerate(momenta, 1))
    a, b, c = first, second, spectator
    isobar = pure_boost(p[a] + p[b])
    back = np.linalg.inv(isobar)
    inside = {n: transformed(back, p[n]) for n in (a, b)}
    amplitude = np.zeros([round(2 * j) + 1 for j in spins], complex)
    for index in itertools.product(*(range(n) for n in amplitude.shape)):
        m = [projections(j)[n] for j, n in zip(spins, index, strict=True)]
        amplitude[index] = sum(
            coupled(spins[0], production, spin, spins[c], m[0], tau, m[c], p[a] + p[b])
            * coupled(spin, decay, spins[a], spins[b], tau, m[a], m[b], inside[a])
            for tau in projections(spin)
        )
    for n in (a, b):
        turn = np.linalg.inv(pure_boost(p[n])) @ isobar @ pure_boost(inside[n])
        amplitude = np.moveaxis(np.tensordot(representation(spins[n], turn), amplitude, (1, n)), 0, n)
    return amplitude


def three_body(rng, mass, masses, n):
    """Momenta (3, n, 4) in the rest frame, of a flat Dalitz plot and any orientation."""
    events = []
    while len(events) < n:
        s12 = rng.uniform(masses[0] + masses[1], mass - masses[2]) ** 2
        q = momentum(np.sqrt(s12), *masses[:2])
        k = momentum(mass, np.sqrt(s12), masses[2])
        ways = rng.normal(size=(2, 3))
        ways /= np.linalg.norm(ways, axis=1)[:, None]
        isobar = np.array([np.sqrt(s12 + k**2), *(k * ways[0])])
        pair = [
            np.array([np.sqrt(m**2 + q**2), *(q * way)]) for m, way in zip(masses, (ways[1], -ways[1]), strict=False)
        ]
        boosted = [transformed(pure_boost(isobar), p) for p in pair]
        events.append([*boosted, np.array([np.sqrt(masses[2] ** 2 + k**2), *(-isobar[1:])])])
    return np.swapaxes(np.array(events), 0, 1)


def momentum(m, a, b):
    return np.sqrt((m**2 - (a + b) ** 2) * (m**2 - (a - b) ** 2)) / (2 * m)


def columns(momenta, reference=1):
    sigma = invariants(*momenta)
    angles = orientation(*momenta, reference)
    names = ("m23", "m31", "m12", "phi", "theta", "chi")
    return dict(zip(names, [*np.sqrt(np.array(sigma)), *angles], strict=True))


def ls_pairs(j, j1, j2):
    totals = [abs(j1 - j2) + n for n in range(round(j1 + j2 - abs(j1 - j2)) + 1)]
    return [(l, s) for s in totals for l in range(8) if abs(l - s) <= j <= l + s and (j - l - s) % 1 == 0]


def random_chains(rng, spins, isobars, spectators):
    """One chain for each spectator, with random vertices and couplings of order 1."""
    chains, couplings = [], {}
    for name, k in zip("abcdef", spectators, strict=False):
        i, j = pair(k)
        fitting = [s for s in isobars if (s - spins[i] - spins[j]) % 1 == 0]
        produced, decayed = [], []
        while not (produced and decayed):
            spin = float(rng.choice(fitting))
            produced, decayed = ls_pairs(spins[0], spin, spins[k]), ls_pairs(spin, spins[i], spins[j])
        ls = produced[rng.integers(len(produced))], decayed[rng.integers(len(decayed))]
        chains.append(Chain(name, k, spin, None, LS(*ls[0]), LS(*ls[1])))
        couplings[name] = complex(*rng.normal(size=2))
    return chains, couplings


def oracle(spins, chains, couplings, momenta):
    """Amplitudes of all events, (events, M, m1, m2, m3), in the normalisation of the library."""
    norm = 4 * np.pi / sqrt(2 * spins[0] + 1)
    out = []
    for event in np.swapaxes(momenta, 0, 1):
        total = 0
        for c in chains:
            vertices = (c.production.l, c.production.s), (c.decay.l, c.decay.s)
            part = canonical(spins, *pair(c.spectator), c.spectator, c.spin, *vertices, event)
            total = total + norm * couplings[c.name] * part
        out.append(total)
    return np.array(out)


REACTIONS = {
    "D -> V P P": ((0, 1, 0, 0), (0, 1, 2)),
    "Lambda_c -> p pi K": ((0.5, 0.5, 0, 0), (0, 0.5, 1, 1.5)),
    "Lambda_b -> J/psi K p": ((0.5, 1, 0, 0.5), (0, 0.5, 1, 1.5)),
    "J/psi -> p pbar eta": ((1, 0.5, 0.5, 0), (0, 0.5, 1, 1.5)),
    "three baryons": ((0.5, 0.5, 0.5, 0.5), (0, 1)),
}
MASS, MASSES = 2.5, (0.9, 0.6, 0.4)


def prepared(reaction, n_events=3, seed=1, masses=MASSES):
    spins, isobars = REACTIONS[reaction]
    rng = np.random.default_rng(seed)
    chains, couplings = random_chains(rng, spins, isobars, (1, 2, 3))
    decay = ThreeBodyDecay(MASS, masses, spins[0], spins[1:])
    return decay, spins, chains, couplings, three_body(rng, MASS, masses, n_events)


def amplitudes(decay, chains, couplings, momenta, reference=1):
    """Amplitudes of the library, (events, M, m1, m2, m3), for chains without line shape."""
    sigma = invariants(*momenta)
    every = [decay.helicities(n) for n in range(4)]
    out = np.zeros((len(sigma[0]), *map(len, every)), complex)
    for chain in chains:
        for index, m in zip(itertools.product(*(range(len(e)) for e in every)), itertools.product(*every), strict=True):
            part = angular_part(decay, chain, sigma, m[0], m[1:], reference)
            out[:, *index] += couplings[chain.name] * np.asarray(part)
    return out


def summed(amplitude):
    return (abs(amplitude) ** 2).sum((1, 2, 3, 4))


def cover(spins, chain):
    """Sign of a whole chain that comes with the range of the rotation angles."""
    return (-1) ** round(2 * {1: 0, 2: spins[3], 3: spins[2]}[chain.spectator])


@pytest.mark.parametrize("reaction", REACTIONS)
def test_intensities_are_those_of_boosted_spinors_for_every_reference(reaction):
    decay, spins, chains, couplings, momenta = prepared(reaction)
    signed = {c.name: cover(spins, c) * couplings[c.name] for c in chains}
    expected = summed(oracle(spins, chains, signed, momenta))
    apart = sum(summed(oracle(spins, [c], signed, momenta)) for c in chains)
    assert np.all(abs(expected / apart - 1) > 1e-3), "chains must interfere for their signs to count"
    for reference in (1, 2, 3):
        got = summed(amplitudes(decay, chains, couplings, momenta, reference))
        np.testing.assert_allclose(got, expected, rtol=1e-10, err_msg=str(reference))


def exchanged(amplitude, order):
    """Amplitude with the spins of particles 1, 2, 3 in the places of others."""
    return np.transpose(amplitude, (0, 1, *(2 + np.array(order))))


@pytest.mark.parametrize(
    ("spins", "isobars", "masses", "identical"),
    [
        ((0, 0, 0, 0), (0, 1, 2), (0.9, 0.4, 0.4), (2, 3)),
        ((0, 0, 0, 0), (0, 2), (0.4, 0.4, 0.4), (1, 2, 3)),
        ((1, 0, 0, 1), (0, 1, 2), (0.4, 0.4, 0.9), (1, 2)),
        ((0.5, 0.5, 0, 0), (0.5, 1, 1.5), (0.9, 0.4, 0.4), (2, 3)),
        ((0.5, 0, 0.5, 0), (0.5, 1, 1.5), (0.4, 0.9, 0.4), (1, 3)),
        ((0, 0.5, 0.5, 0), (0.5, 1, 1.5), (0.9, 0.9, 0.4), (1, 2)),
        ((1, 0, 0.5, 0.5), (0.5, 1, 1.5), (0.4, 0.9, 0.9), (2, 3)),
        ((1, 0.5, 0, 0.5), (0.5, 1, 1.5), (0.9, 0.4, 0.9), (1, 3)),
        ((0.5, 0.5, 0.5, 0.5), (0, 1), (0.7, 0.7, 0.7), (1, 2, 3)),
    ],
)
def test_identical_particles_have_the_symmetry_of_boosted_spinors(spins, isobars, masses, identical):
    rng = np.random.default_rng(5)
    decay = ThreeBodyDecay(MASS, masses, spins[0], spins[1:])
    chains = []
    while len(chains) < 2:
        (chain,), _ = random_chains(rng, spins, isobars, [rng.choice(identical)])
        if not forbidden(decay, chain, identical):
            chains.append(replace(chain, name=f"chain {len(chains)}"))
    couplings = {c.name: complex(*rng.normal(size=2)) for c in chains}
    momenta = three_body(rng, MASS, masses, 2)
    signed = {c.name: cover(spins, c) * couplings[c.name] for c in chains}
    total = 0
    for order in itertools.permutations(identical):
        place = np.arange(3)
        place[np.array(identical) - 1] = np.array(order) - 1
        odd = round(np.linalg.det(np.eye(3)[place])) < 0
        sign = -1 if odd and spins[identical[0]] % 1 else 1
        total = total + sign * exchanged(oracle(spins, chains, signed, momenta[place]), np.argsort(place))
    every = symmetrised(decay, chains, identical)
    assert len(every) > len(chains) > 0
    ratio = summed(total) / summed(amplitudes(decay, every, couplings, momenta))
    weight = len(list(itertools.permutations(identical))) * len(chains) / len(every)
    np.testing.assert_allclose(ratio, weight**2, rtol=1e-9)
    wrong = [c if c in chains else replace(c, sign=-c.sign) for c in every]
    assert np.any(abs(summed(total) / summed(amplitudes(decay, wrong, couplings, momenta)) / weight**2 - 1) > 1e-3)


def forbidden(decay, chain, identical):
    try:
        symmetrised(decay, [chain], identical)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(("j", "j1", "j2"), [(0, 1, 1), (1.5, 0.5, 1), (0.5, 1.5, 1), (2, 1, 2)])
def test_helicity_vertices_are_sums_of_ls_vertices(j, j1, j2):
    """Both kinds are orthonormal bases of the couplings of a decay."""
    pairs = [m for m in itertools.product(projections(j1), projections(j2)) if abs(m[0] - m[1]) <= j]
    vertices = [LS(*ls) for ls in ls_pairs(j, j1, j2)]
    assert len(pairs) == len(vertices) > 1
    matrix = np.array([[vertex.coupling(j, j1, j2, *m) for m in pairs] for vertex in vertices])
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(pairs)), atol=1e-12)
    for index, m in enumerate(pairs):
        one = [Helicities(*m).coupling(j, j1, j2, *other) for other in pairs]
        np.testing.assert_allclose(matrix[:, index] @ matrix, one, atol=1e-12)


def test_a_vertex_without_parity_partner_has_one_pair_of_helicities():
    vertex, both = Helicities(1, 0.5), Helicities(1, 0.5, mirrored=-1)
    pairs = list(itertools.product((1, 0, -1), (0.5, -0.5)))
    assert {p: vertex.coupling(1.5, 1, 0.5, *p) for p in pairs if vertex.coupling(1.5, 1, 0.5, *p)} == {(1, 0.5): 1}
    assert {p: both.coupling(1.5, 1, 0.5, *p) for p in pairs if both.coupling(1.5, 1, 0.5, *p)} == {
        (1, 0.5): 1,
        (-1, -0.5): -1,
    }


@pytest.mark.parametrize(("j", "j1", "j2"), [(0, 0.5, 0.5), (1, 1, 0), (1.5, 0.5, 1), (2, 1, 2)])
def test_an_exchanged_vertex_is_the_same_state(j, j1, j2):
    """Jacob and Wick's states of two particles in the other order differ by (-1)^(J - j1 - j2)."""
    pairs = [m for m in itertools.product(projections(j1), projections(j2)) if abs(m[0] - m[1]) <= j]
    for vertex in [*(LS(*ls) for ls in ls_pairs(j, j1, j2)), *(Helicities(*m, -1) for m in pairs)]:
        other, sign = vertex.exchanged(j, j1, j2)
        for m1, m2 in pairs:
            expected = (-1) ** round(j - j1 - j2) * vertex.coupling(j, j1, j2, m1, m2)
            assert sign * other.coupling(j, j2, j1, m2, m1) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("j", "j1", "j2"), [(0, 1, 1), (1, 1, 0), (1.5, 0.5, 1), (0.5, 0.5, 0), (2, 1, 2)])
def test_ls_vertices_have_the_parity_of_their_orbital_angular_momentum(j, j1, j2):
    for l, s in ls_pairs(j, j1, j2):
        vertex = LS(l, s)
        for m1, m2 in itertools.product(projections(j1), projections(j2)):
            one, other = (vertex.coupling(j, j1, j2, sign * m1, sign * m2) for sign in (1, -1))
            assert other == pytest.approx(parity_factor((-1) ** l, 1, 1, j, j1, j2) * one, abs=1e-14)


def test_a_decay_that_conserves_parity_does_not_see_the_signs_of_all_spins():
    """J/psi -> p pbar eta with N* and a rho-like state, all vertices of the right parity."""
    decay = ThreeBodyDecay(MASS, MASSES, 1, (0.5, 0.5, 0))
    chains = [
        Chain("N(1535)", 1, 0.5, None, LS(1, 1), LS(0, 0.5)),
        Chain("N(1535)bar", 2, 0.5, None, LS(1, 0), LS(0, 0.5)),
        Chain("N(1700)", 1, 1.5, None, LS(1, 2), LS(2, 0.5)),
        Chain("rho", 3, 1, None, LS(1, 1), LS(0, 1)),
        Chain("rho D", 3, 1, None, LS(1, 1), LS(2, 1)),
    ]
    rng = np.random.default_rng(1)
    couplings = {c.name: complex(*rng.normal(size=2)) for c in chains}
    got = amplitudes(decay, chains, couplings, three_body(rng, MASS, MASSES, 3))
    np.testing.assert_allclose(abs(got), abs(got[:, ::-1, ::-1, ::-1, ::-1]), atol=1e-12)
    broken = amplitudes(decay, [replace(chains[0], decay=LS(1, 0.5)), *chains[1:]], couplings, three_body(
        np.random.default_rng(2), MASS, MASSES, 3))  # fmt: skip
    assert abs(abs(broken) - abs(broken[:, ::-1, ::-1, ::-1, ::-1])).max() > 1e-2


M_D0 = 1.86484
D0 = ThreeBodyDecay(M_D0, (0.497611, 0.13957039, 0.13957039))


def dalitz(decay, n, seed=0):
    """Columns of events in the Dalitz plot."""
    rng = np.random.default_rng(seed)
    i, j = pair(3)
    low, high = decay.masses[i - 1] + decay.masses[j - 1], decay.mass - decay.masses[2]
    sigma = invariants_of_angle(decay.mass, decay.masses, 3, rng.uniform(low, high, n) ** 2, rng.uniform(-1, 1, n))
    return {name: np.sqrt(s) for name, s in zip(decay.columns, sigma, strict=True)}


@pytest.mark.parametrize("spin", range(5))
def test_spinless_particles_leave_legendre_polynomials(spin):
    c = np.array([-1, -0.3, 0, 0.5, 1.0])
    sigma = invariants_of_angle(M_D0, D0.masses, 2, 0.9, c)
    got = angular_part(D0, Chain("x", 2, spin), sigma, 0, (0, 0, 0))
    np.testing.assert_allclose(got, sqrt(2 * spin + 1) * eval_legendre(spin, c), atol=1e-12)


def test_a_spin_1_isobar_is_zemachs_tensor_with_a_zero_in_the_middle():
    """p3 . p1 in the rest frame of the pair (1, 2) in terms of masses, as B factories write it."""
    data = dalitz(D0, 50)
    s23, s31, s12 = (data[name] ** 2 for name in D0.columns)
    m1, m2, m3 = (m**2 for m in D0.masses)
    m0 = M_D0**2
    zemach = s23 - s31 + (m0 - m3) * (m1 - m2) / s12
    q, p = (
        momentum(np.sqrt(s12), *D0.masses[:2]),
        momentum(M_D0, np.sqrt(s12), D0.masses[2]) * M_D0 / np.sqrt(s12),
    )
    got = angular_part(D0, Chain("K*", 3, 1), D0.invariants(data), 0, (0, 0, 0))
    np.testing.assert_allclose(got, -sqrt(3) * zemach / (4 * p * q), atol=1e-10)
    middle = angular_part(D0, Chain("K*", 3, 1), invariants_of_angle(M_D0, D0.masses, 3, 0.8, 0.0), 0, (0, 0, 0))
    assert float(abs(middle)) < 1e-13


def test_isobars_of_different_spin_are_orthogonal_over_the_angle():
    nodes, weights = np.polynomial.legendre.leggauss(12)
    sigma = invariants_of_angle(M_D0, D0.masses, 1, 0.7, nodes)
    waves = np.array([angular_part(D0, Chain("x", 1, spin), sigma, 0, (0, 0, 0)) for spin in range(5)])
    np.testing.assert_allclose((waves * weights) @ waves.T / 2, np.eye(5), atol=1e-12)


def test_isobars_of_different_spin_are_orthogonal_with_spins_too():
    decay = ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))
    nodes, weights = np.polynomial.legendre.leggauss(12)
    sigma = invariants_of_angle(MASS, MASSES, 2, 1.9, nodes)
    chains = [Chain(f"{j}", 2, j, None, LS(round(j - 0.5), j), LS(round(j + 0.5), 0.5)) for j in (0.5, 1.5, 2.5)]
    overlap = np.zeros((3, 3))
    for nu, m in itertools.product((0.5, -0.5), repeat=2):
        waves = np.array([angular_part(decay, c, sigma, nu, (m, 0, 0), 1) for c in chains])
        overlap += (waves * weights) @ waves.T
    assert np.all(np.diag(overlap) > 0.1)
    np.testing.assert_allclose(overlap - np.diag(np.diag(overlap)), 0, atol=1e-12)


def at(model, params, data):
    return np.asarray(model(params, data))


def breit_wigner(mass, width):
    return lambda p, m: 1 / (mass**2 - m**2 - 1j * mass * p[width])


K_STAR = Chain("K*", 3, 1, breit_wigner(0.892, "width"))
RHO = Chain("rho", 1, 1, breit_wigner(0.775, "rho width"), coupling=Coupling("rho", real=True))


def test_a_model_of_pseudoscalars_is_one_coherent_sum_without_rotations():
    model = isobar_model(D0, [RHO, K_STAR, Chain("nonresonant", 2, 0)])
    assert isinstance(model, CoherentSum)
    assert model.names == ("rho", "K*", "nonresonant")
    params = model.start({"rho": 2.0, "K*": 0.3 - 1j, "nonresonant": 1j}) | {"width": 0.05, "rho width": 0.15}
    data = dalitz(D0, 40)
    sigma = [data[name] ** 2 for name in D0.columns]

    def cosine(k):
        i, j = pair(k)
        s, m, m0 = dict(enumerate(sigma, 1)), {n: mass**2 for n, mass in enumerate(D0.masses, 1)}, M_D0**2
        p = momentum(np.sqrt(s[k]), *(D0.masses[n - 1] for n in (i, j)))
        q = momentum(M_D0, np.sqrt(s[k]), D0.masses[k - 1]) * M_D0 / np.sqrt(s[k])
        e_i, e_k = (s[k] + m[i] - m[j]) / (2 * np.sqrt(s[k])), (m0 - s[k] - m[k]) / (2 * np.sqrt(s[k]))
        return (s[j] - m[i] - m[k] - 2 * e_i * e_k) / (2 * p * q)

    shapes = [1 / (m**2 - data[n] ** 2 - 1j * m * w) for m, n, w in ((0.775, "m23", 0.15), (0.892, "m12", 0.05))]
    amplitude = 2 * sqrt(3) * shapes[0] * cosine(1) + (0.3 - 1j) * sqrt(3) * shapes[1] * cosine(3) + 1j
    np.testing.assert_allclose(jp.evaluate(model, params, data), abs(amplitude) ** 2, rtol=1e-9)
    text = str(jax.make_jaxpr(model)(params, data))
    assert not any(f" {name} " in text for name in ("sin", "cos", "atan2"))


def test_two_columns_are_enough_and_the_mass_may_come_from_three():
    params = {"rho.re": 1.0, "K*.re": 0.5, "K*.im": -0.2, "width": 0.05, "rho width": 0.15}
    data = dalitz(D0, 10)
    expected = at(isobar_model(D0, [RHO, K_STAR]), params, data)
    for left_out in D0.columns:
        two = {name: column for name, column in data.items() if name != left_out}
        np.testing.assert_allclose(at(isobar_model(D0, [RHO, K_STAR]), params, two), expected, rtol=1e-9)
    for_any_mass = replace(D0, mass=None)
    np.testing.assert_allclose(at(isobar_model(for_any_mass, [RHO, K_STAR]), params, data), expected, rtol=1e-9)
    renamed = replace(D0, columns=("a", "b", "c"))
    other = dict(zip("abc", (data[name] for name in D0.columns), strict=True))
    np.testing.assert_allclose(at(isobar_model(renamed, [RHO, K_STAR]), params, other), expected, rtol=1e-12)


def test_the_dalitz_plot_of_identical_pions_is_symmetric():
    """D+ -> K- pi+ pi+, with chains that are symmetrised or an amplitude whose columns are exchanged."""
    decay = ThreeBodyDecay(1.86966, (0.493677, 0.13957039, 0.13957039))
    chains = [K_STAR, Chain("K2*", 3, 2, breit_wigner(1.43, "width")), Chain("pi pi", 1, 0)]
    model = isobar_model(decay, symmetrised(decay, chains, (2, 3)))
    assert model.names == ("K*", "K2*", "pi pi")
    params = model.start({"K*": 1, "K2*": 0.5 + 1j, "pi pi": -3j}) | {"width": 0.1}
    data = dalitz(decay, 60)
    moved = {"m23": data["m23"], "m31": data["m12"], "m12": data["m31"]}
    values = at(model, params, data)
    np.testing.assert_allclose(at(model, params, moved), values, rtol=1e-9)
    plain = isobar_model(decay, chains[:2])
    assert abs(at(plain, params, moved) / at(plain, params, data) - 1).max() > 0.1
    both = Symmetrised(plain.amplitude, {"m31": "m12", "m12": "m31"})
    by_columns = abs(np.asarray(both(params, {n: jnp.asarray(c) for n, c in data.items()}))) ** 2
    np.testing.assert_allclose(at(model.without("pi pi"), params, data), by_columns, rtol=1e-9)


def test_three_identical_pions_have_six_equal_sextants():
    decay = ThreeBodyDecay(1.0, (0.13957,) * 3)
    model = isobar_model(
        decay, symmetrised(decay, [Chain("f0", 1, 0, breit_wigner(0.5, "width")), Chain("f2", 2, 2)], (1, 2, 3))
    )
    params = model.start({"f0": 1.0, "f2": 2j}) | {"width": 0.2}
    data = dalitz(decay, 20)
    values = at(model, params, data)
    for order in itertools.permutations(decay.columns):
        moved = dict(zip(order, data.values(), strict=True))
        np.testing.assert_allclose(at(model, params, moved), values, rtol=1e-9)


SPIN_HALF, SPIN_ONE = (0.5, 0.5, 0, 0), (1, 0, 0.5, 0.5)


@pytest.mark.parametrize(("spins", "isobars"), [(SPIN_HALF, (0, 0.5, 1, 1.5)), (SPIN_ONE, (0, 0.5, 1, 1.5))])
def test_polarised_intensities_follow_the_density_matrix_and_the_axes_of_the_events(spins, isobars):
    rng = np.random.default_rng(7)
    decay = ThreeBodyDecay(MASS, MASSES, spins[0], spins[1:])
    chains, couplings = random_chains(rng, spins, isobars, (1, 2))
    size = round(2 * spins[0]) + 1
    root = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    density = root @ root.conj().T
    momenta = three_body(rng, MASS, MASSES, 3)
    signed = {c.name: cover(spins, c) * couplings[c.name] for c in chains}
    amplitude = oracle(spins, chains, signed, momenta)
    expected = np.einsum("emabc,mn,enabc->e", amplitude, density, amplitude.conj()).real
    names = ("phi", "theta", "chi")
    for reference in (1, 3):
        model = isobar_model(decay, chains, reference=reference, orientation=names, density=density)
        got = model(model.start(couplings), columns(momenta, reference))
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_without_polarisation_the_orientation_drops_out():
    rng = np.random.default_rng(8)
    decay = ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))
    chains, couplings = random_chains(rng, SPIN_HALF, (0, 0.5, 1, 1.5), (1, 2))
    momenta = three_body(rng, MASS, MASSES, 3)
    plain = isobar_model(decay, chains)
    turned = isobar_model(decay, chains, orientation=("phi", "theta", "chi"))
    params = plain.start(couplings)
    values = plain(params, columns(momenta))
    np.testing.assert_allclose(turned(params, columns(momenta)), values, rtol=1e-10)
    half = isobar_model(decay, chains, orientation=("phi", "theta", "chi"), density=np.eye(2) / 2)
    np.testing.assert_allclose(half(params, columns(momenta)), values / 2, rtol=1e-10)


def test_a_model_with_spins_shares_couplings_and_takes_parts_out():
    decay = ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))
    chains = [
        Chain("K*", 1, 1, None, Helicities(0, 0.5)),
        Chain("Lambda", 2, 1.5, breit_wigner(1.5, "width"), LS(1, 1.5), LS(2, 0.5), coupling=Coupling("L", "polar")),
    ]
    model = isobar_model(decay, chains)
    assert {part.name for part in model.parts} == {
        f"M={a}0.5 lambda1={b}0.5" for a, b in itertools.product("+-", repeat=2)
    }
    assert set(model.couplings) == {"K*", "L"}
    params = model.start({"K*": 1 + 1j, "L": 2j}) | {"width": 0.1}
    momenta = three_body(np.random.default_rng(3), MASS, MASSES, 3)
    shape = 1 / (1.5**2 - np.asarray(columns(momenta)["m31"]) ** 2 - 0.15j)
    both = amplitudes(decay, chains[:1], {"K*": 1 + 1j}, momenta)
    both += shape[:, None, None, None, None] * amplitudes(decay, chains[1:], {"Lambda": 2j}, momenta)
    np.testing.assert_allclose(model(params, columns(momenta)), summed(both), rtol=1e-10)
    # The K* has one pair of helicities, and chain 1 is the reference: it occurs for one set of projections.
    assert isinstance(model.only("K*"), type(model))
    assert [part.name for part in model.only("K*").parts] == ["M=-0.5 lambda1=+0.5"]


def test_a_photon_has_two_helicities_and_is_the_limit_of_a_light_vector():
    chains = [
        Chain("p K", 3, 1.5, None, Helicities(0.5, 1), Helicities(0.5, 0, 1)),
        Chain("p gamma", 2, 1.5, None, Helicities(0.5, 0), Helicities(1, 0.5)),
    ]
    momenta = three_body(np.random.default_rng(3), MASS, (0.9, 0.5, 1e-5), 3)
    couplings = {"p K": 1.0, "p gamma": 0.4 + 2j}
    massless = ThreeBodyDecay(MASS, (0.9, 0.5, 0.0), 0.5, (0.5, 0, 1))
    assert massless.helicities(3) == (1, -1)
    light = amplitudes(replace(massless, masses=(0.9, 0.5, 1e-5)), chains, couplings, momenta)
    got = amplitudes(massless, chains, couplings, momenta)
    np.testing.assert_allclose(got, light[..., ::2], atol=1e-3)
    np.testing.assert_allclose(light[..., 1], 0, atol=1e-3)


def test_gradients_are_finite_on_the_edge_and_those_of_parameters_exact():
    decay = ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))
    chains = [
        Chain("K*", 1, 1, breit_wigner(1.2, "width"), Helicities(0, 0.5)),
        Chain("Lambda", 2, 1.5, None, LS(1, 1.5), LS(2, 0.5)),
    ]
    model = isobar_model(decay, chains)
    sigma = invariants_of_angle(MASS, MASSES, 1, jnp.array([1.0, 1.0, 1.4, 2.1]), jnp.array([1.0, -1.0, 0.3, 1.0]))
    data = {name: jnp.sqrt(s) for name, s in zip(decay.columns, sigma, strict=True)}
    params = model.start({"K*": 1 + 1j, "Lambda": 2j}) | {"width": 0.1}
    total = jax.jit(lambda p, d: jnp.sum(model(p, d)))
    slopes = jax.jit(jax.grad(total, argnums=(0, 1)))(params, data)
    assert np.all(np.isfinite(np.concatenate([np.ravel(s) for s in jax.tree.leaves(slopes)])))
    for name in params:
        up, down = (float(total(params | {name: params[name] + step}, data)) for step in (1e-5, -1e-5))
        assert float(slopes[0][name]) == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-7)


def test_precision_follows_the_input():
    decay = ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))
    amplitude = IsobarAmplitude(decay, (Chain("K*", 2, 1.5, None, LS(1, 1.5), LS(2, 0.5)),), 0.5, (0.5, 0, 0))
    data = {name: jnp.float32([1.2, 1.3]) for name in ("m23", "m12")}
    assert amplitude({}, data).dtype == jnp.float32
    complex_one = replace(amplitude, chains=(replace(amplitude.chains[0], line_shape=lambda p, m: 1 / (1 - 1j * m)),))
    assert complex_one({}, data).dtype == jnp.complex64


VECTOR = Chain("x", 1, 1, None, LS(0, 0.5))


def half_spins():
    return ThreeBodyDecay(MASS, MASSES, 0.5, (0.5, 0, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ThreeBodyDecay(2.0, (1, 1)), "masses must have three entries, one per particle, got 2"),
        (lambda: ThreeBodyDecay(2.0, MASSES, 0.5), "spins must be 0, 0.5, 1, ... and add up to a whole number"),
        (lambda: ThreeBodyDecay(2.0, MASSES, 0.3, (0.7, 0, 0)), "spins must be 0, 0.5, 1"),
        (lambda: half_spins().spin_of(4), "particle must be one of 0, 1, 2, 3"),
        (lambda: half_spins().invariants({"m12": 1.0}), "need two of the columns m23, m31, m12; m23, m31 are missing"),
        (lambda: replace(D0, mass=None).invariants({"m12": 1.0, "m23": 1.0}), r"need all .*; m31 are missing"),
        (lambda: Chain("x", 0, 1), "spectator must be one of 1, 2, 3, got 0"),
        (lambda: Chain("x", 1, 0.7), "spin of chain 'x' must be 0, 0.5, 1"),
        (lambda: isobar_model(half_spins(), [Chain("x", 1, 1)]), r"'x': Helicities\(first=0, second=0.* is not poss"),
        (lambda: isobar_model(half_spins(), [Chain("x", 1, 1, None, LS(3, 0.5))]), "chain 'x': LS"),
        (lambda: isobar_model(D0, [Chain("x", 1, 1, None, LS(1, 1), LS(0, 0))]), "for spin 1 to spins 0 and 0"),
        (lambda: isobar_model(D0, []), "at least one chain, got none"),
        (lambda: isobar_model(D0, [RHO, RHO]), "'rho' occurs more than once"),
        (lambda: isobar_model(D0, [RHO, replace(RHO, spectator=2, coupling=None)]), "'rho' have several"),
        (lambda: isobar_model(D0, [RHO], density=[[1]]), "a density needs the orientation"),
        (
            lambda: isobar_model(D0, [RHO], density=np.eye(2), orientation=("a", "b", "c")),
            r"density must be a Hermitian matrix of 1 rows, one per projection, got shape \(2, 2\)",
        ),
        (lambda: isobar_model(D0, [RHO], density=[[-1]], orientation=("a", "b", "c")), "no negative eigenv"),
        (lambda: symmetrised(D0, [RHO], (1, 2)), "particles 1, 2 can't be identical"),
        (lambda: symmetrised(D0, [RHO], (2, 2)), "identical must be two or three of"),
        (lambda: symmetrised(D0, [RHO], (2, 3)), "chain 'rho' is not possible with identical particles"),
        (lambda: IsobarAmplitude(D0, (RHO,), 1), "state must be a projection of spin 0"),
        (lambda: IsobarAmplitude(half_spins(), (), (1, 2, 3)), "have 2 components"),
        (lambda: angular_part(half_spins(), VECTOR, (1, 2, 3), 0.5, (0, 0, 0)), "helicity 1 must be one of 0.5, -0.5"),
        (lambda: angular_part(D0, RHO, (1, 2, 3), 1, (0, 0, 0)), "projection must be one of 0, got 1"),
        (lambda: angular_part(D0, RHO, (1, 2, 3), 0, (0, 0, 0), 4), "reference must be one of"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_line_shape_that_is_no_function_is_refused():
    with pytest.raises(
        TypeError, match=r"line_shape of chain 'x' must be a function line_shape\(params, mass\), got float"
    ):
        Chain("x", 1, 1, 0.5)
