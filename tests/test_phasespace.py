"""Phase space against closed forms, scipy's integrals and densities worked out by hand."""

from functools import cache
from math import factorial, gamma, log, pi

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import jax
import jax.numpy as jnp

from jaxpwa.physics import kinematics as kin
from jaxpwa.physics.phasespace import _decays
from jaxpwa.physics.phasespace.nbody import (
    generate_phase_space,
    generate_unweighted,
    maximum_weight,
    phase_space_volume,
)

PION, KAON, PROTON = 0.13957039, 0.493677, 0.93827208943
# One number of events nearly everywhere: JAX compiles for each.
N = 20_000
FAMILIES = [
    (1.2, [PION, KAON]),
    (1.0, [0.0, 0.0, 0.0]),
    (1.86966, [KAON, PION, PION]),
    (0.95778, [0.547862, 0.1349768, 0.1349768]),
    (2.5, [PROTON, PION, KAON, 0.0]),
    (1.5, [PION] * 5),
]


def q(m, m1, m2):
    """Momentum in the rest frame, from the textbook."""
    product = (m**2 - (m1 + m2) ** 2) * (m**2 - (m1 - m2) ** 2)
    return np.sqrt(np.maximum(product, 0)) / (2 * m)


@cache
def weighted(m, *masses):
    daughters, weights = generate_phase_space(11, m, list(masses), N)
    return daughters, np.asarray(weights)


def total(daughters):
    return np.sum([np.asarray(p4) for p4 in daughters], axis=0)


def dalitz_volume(m, m1, m2, m3):
    """Area of the Dalitz plot, with the element dm12^2 dm23^2 / ((2 pi)^7 16 M^2) of the Particle Data Group."""

    def height(s12):
        m12 = np.sqrt(s12)
        e2 = (s12 - m1**2 + m2**2) / (2 * m12)
        e3 = (m**2 - s12 - m3**2) / (2 * m12)
        return 4 * np.sqrt(max(e2**2 - m2**2, 0) * max(e3**2 - m3**2, 0))

    area, _ = integrate.quad(height, (m1 + m2) ** 2, (m - m3) ** 2, epsabs=0, epsrel=1e-11, limit=200)
    return area / ((2 * pi) ** 7 * 16 * m**2)


def spacings_weight(shares, m, masses):
    """The weight of an event, from James's formula, with the masses of the chain written out."""
    n, kinetic = len(masses), m - sum(masses)
    inner = [masses[0]]
    for k in range(1, n):
        inner.append(inner[-1] + masses[k] + kinetic * shares[k - 1])
    inner[-1] = m
    momenta = np.prod([q(inner[k], inner[k - 1], masses[k]) for k in range(1, n)])
    norm = pi ** (n - 1) * 2 ** (n - 2) / (2 * pi) ** (3 * n)
    return norm * kinetic ** (n - 2) / factorial(n - 2) / m * momenta


# Volumes.


def test_the_volume_of_two_bodies_is_the_momentum_over_the_mass():
    m = np.array([0.7, 1.2, 5.0])
    expected = pi * q(m, PION, KAON) / (m * (2 * pi) ** 6)
    np.testing.assert_allclose(phase_space_volume(m, [PION, KAON]), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "family",
    [
        (1.86966, KAON, PION, PION),
        (0.95778, 0.547862, 0.1349768, 0.1349768),
        (10.0, PROTON, PION, PION),
        (2, 0, 1, 0.5),
    ],
)
def test_the_volume_of_three_bodies_is_the_area_of_the_dalitz_plot(family):
    m, *masses = family
    assert float(phase_space_volume(m, masses)) == pytest.approx(dalitz_volume(*family), rel=1e-9)


@pytest.mark.parametrize("x", [1e-8, 1e-3, 0.25, 0.9])
def test_three_bodies_of_which_one_has_mass_have_the_closed_form(x):
    """R_3 = pi^2 M^2 / 8 (1 - x^2 + 2 x ln x) with x = m^2 / M^2."""
    expected = pi**2 * 1.7**2 / 8 * (1 - x**2 + 2 * x * log(x)) / (2 * pi) ** 9
    for place in range(3):
        masses = [0.0, 0.0]
        masses.insert(place, 1.7 * x**0.5)
        assert float(phase_space_volume(1.7, masses)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_massless_bodies_have_the_closed_form(n):
    expected = (pi / 2) ** (n - 1) * 1.7 ** (2 * n - 4) / (factorial(n - 1) * factorial(n - 2)) / (2 * pi) ** (3 * n)
    assert float(phase_space_volume(1.7, [0.0] * n)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("masses", [[1.0, 2.0], [1.0, 2.0, 0.5], [1.0, 2.0, 0.5, 0.7]])
def test_slow_bodies_have_the_nonrelativistic_limit(masses):
    n, kinetic = len(masses), 1e-7
    power = (3 * n - 5) / 2
    expected = (2 * pi) ** (1.5 * (n - 1)) / (2**n * gamma(1.5 * (n - 1))) * np.prod(masses) ** 0.5
    expected *= sum(masses) ** -1.5 * kinetic**power / (2 * pi) ** (3 * n)
    assert float(phase_space_volume(sum(masses) + kinetic, masses)) == pytest.approx(expected, rel=1e-6)


def test_the_volume_does_not_depend_on_the_order_of_the_masses():
    expected = float(phase_space_volume(2.5, [0.0, 0.5, 0.9, 0.1]))
    for order in ([0.9, 0.1, 0.0, 0.5], [0.1, 0.0, 0.5, 0.9], [0.5, 0.9, 0.1, 0.0]):
        assert float(phase_space_volume(2.5, order)) == pytest.approx(expected, rel=1e-11)


def test_the_volume_is_0_up_to_the_threshold_with_a_finite_gradient():
    for masses in ([0.2, 0.3], [0.1, 0.2, 0.3]):
        threshold = masses[0] + sum(masses[1:])
        for m in (0.0, threshold / 2, threshold):
            value, slope = jax.value_and_grad(lambda x, masses=masses: phase_space_volume(x, masses))(m)
            assert (float(value), float(slope)) == (0.0, 0.0)


@pytest.mark.parametrize("masses", [[0.2, 0.3], [0.1, 0.0, 0.3], [0.1, 0.2, 0.3, 0.15]])
def test_gradients_of_the_volume_match_finite_differences(masses):
    def volume(values):
        return phase_space_volume(values[0], [values[i] for i in range(1, len(values))])

    at = np.array([1.3, *masses])
    gradient = jax.jit(jax.grad(volume))(at)
    function, step = jax.jit(volume), 1e-5
    for i in range(len(at)):
        if at[i] == 0:
            assert abs(gradient[i]) < 1e-12 * abs(gradient[0])  # even in a mass
            continue
        shift = step * np.eye(len(at))[i]
        expected = (
            8 * (function(at + shift) - function(at - shift)) - function(at + 2 * shift) + function(at - 2 * shift)
        )
        assert float(gradient[i]) == pytest.approx(float(expected) / (12 * step), rel=1e-8)


def test_volumes_broadcast_and_keep_32_bit():
    m, pion = np.linspace(1.0, 2.0, 6).reshape(2, 3), np.array([0.1, 0.2, 0.3])
    together = phase_space_volume(m, [jnp.broadcast_to(pion, (2, 3)), 0.2, 0.3])
    assert together.shape == (2, 3)
    assert float(together[1, 2]) == pytest.approx(float(phase_space_volume(2.0, [0.3, 0.2, 0.3])), rel=1e-13)
    single = phase_space_volume(np.float32(1.5), np.array([0.1, 0.2, 0.3], np.float32))
    assert single.dtype == np.float32
    assert float(single) == pytest.approx(float(phase_space_volume(1.5, [0.1, 0.2, 0.3])), rel=1e-5)


# Weighted events.


@pytest.mark.parametrize(("m", "masses"), FAMILIES)
def test_the_mean_of_the_weights_is_the_volume(m, masses):
    _, weights = weighted(m, *masses)
    volume = float(jax.jit(lambda x: phase_space_volume(x, masses))(m))
    assert abs(weights.mean() - volume) <= 4 * weights.std() / np.sqrt(N) + 1e-13 * volume
    assert weights.max() <= float(maximum_weight(m, masses))


@pytest.mark.parametrize(("m", "masses"), FAMILIES)
def test_events_conserve_momentum_on_the_mass_shell(m, masses):
    daughters, _ = weighted(m, *masses)
    np.testing.assert_allclose(total(daughters), np.broadcast_to([m, 0, 0, 0], (N, 4)), atol=1e-13 * m)
    for p4, mass in zip(daughters, masses, strict=True):
        np.testing.assert_allclose(kin.dot(p4, p4), mass**2, atol=1e-13 * m**2)
        assert (np.asarray(p4[:, 0]) >= mass * (1 - 1e-15)).all()


def test_a_weight_is_that_of_the_masses_in_its_event():
    m, masses = FAMILIES[4]
    daughters, weights = weighted(m, *masses)
    daughters = np.asarray(daughters)
    for i in range(50):
        systems = np.cumsum(daughters[:, i], axis=0)
        inner = [masses[0], *np.sqrt(systems[1:, 0] ** 2 - (systems[1:, 1:] ** 2).sum(1))]
        shares = [(inner[k] - inner[k - 1] - masses[k]) / (m - sum(masses)) for k in range(1, 4)]
        assert weights[i] == pytest.approx(spacings_weight(shares, m, masses), rel=1e-9)


def test_fast_parents_and_light_daughters_lose_no_digits():
    rng = np.random.default_rng(5)
    flight = rng.normal(size=(N, 3)) * np.array([[1.0, 1.0, 1e4]])
    m = 0.134977
    parents = np.column_stack([np.sqrt(m**2 + (flight**2).sum(1)), flight])
    for masses in ([0.0, 0.0], [0.0, 0.0, 5e-4, 0.0]):
        daughters, _ = generate_phase_space(14, parents, masses, N)
        lost = np.abs(np.asarray(total(daughters)) - parents).max(axis=1) / parents[:, 0]
        assert lost.max() < 1e-14
        for p4, mass in zip(daughters, masses, strict=True):
            assert (np.abs(kin.dot(p4, p4) - mass**2) < 1e-14 * np.asarray(p4[:, 0]) * parents[:, 0]).all()


def test_parents_in_flight_have_the_daughters_of_parents_at_rest():
    rng = np.random.default_rng(6)
    flight = rng.normal(size=(N, 3))
    m = 1.2 + rng.random(N)
    parents = np.column_stack([np.sqrt(m**2 + (flight**2).sum(1)), flight])
    moving, in_flight = generate_phase_space(15, parents, [PION, PION, KAON], N)
    resting, at_rest = generate_phase_space(15, m, [PION, PION, KAON], N)
    np.testing.assert_allclose(in_flight, at_rest, rtol=1e-12)
    for a, b in zip(moving, resting, strict=True):
        np.testing.assert_allclose(kin.in_rest_frame_of(a, parents), b, atol=1e-13)


def test_the_same_key_gives_the_same_events_and_another_one_others():
    m, masses = FAMILIES[2]
    one, weights = weighted(m, *masses)
    again, its_weights = generate_phase_space(np.int64(11), m, masses, N)
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(weights, its_weights)
    other, _ = generate_phase_space(12, m, masses, N)
    assert not np.isclose(one[0], other[0]).all(axis=1).any()


def test_keys_of_both_kinds_mean_the_same_under_jit_and_vmap_too():
    m, masses = FAMILIES[2]
    keys = jax.random.split(jax.random.key(3), 2)
    eager, weights = generate_phase_space(keys[1], m, masses, N)
    from_words, _ = generate_phase_space(jax.random.key_data(keys[1]), m, masses, N)
    np.testing.assert_array_equal(eager[2], from_words[2])
    many = jax.jit(jax.vmap(lambda key: generate_phase_space(key, m, masses, N)))
    for of_keys in (keys, jax.random.key_data(keys)):
        vectors, its_weights = many(of_keys)
        np.testing.assert_allclose(vectors[0][1], eager[0], atol=1e-13)
        np.testing.assert_allclose(its_weights[1], weights, rtol=1e-9)


def test_below_the_threshold_events_under_jit_have_no_weight():
    _, weights = jax.jit(lambda m: generate_phase_space(0, m, [0.5, 0.5, 0.5], 2))(np.array([1.4, 1.6]))
    assert float(weights[0]) == 0
    assert float(weights[1]) > 0


def test_32_bit_masses_give_32_bit_events():
    masses = np.array([0.0, 0.0, 0.14], np.float32)
    daughters, weights = generate_phase_space(4, np.float32(1.1), masses, N)
    assert {p4.dtype for p4 in daughters} | {weights.dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(total(daughters)[:, 0], 1.1, rtol=1e-5)
    assert all(np.isfinite(p4).all() for p4 in daughters)


def test_the_derivative_of_an_integral_by_a_mass_is_that_of_the_volume():
    def integral(m):
        return generate_phase_space(21, m, [PION, PION, KAON], N)[1].mean()

    slope = float(jax.grad(integral)(1.5))
    assert slope == pytest.approx(float(jax.grad(lambda m: phase_space_volume(m, [PION, PION, KAON]))(1.5)), rel=0.02)


def test_sequential_decays_with_a_mass_for_each_isobar_fill_three_body_phase_space():
    m = 1.5
    low, high = 2 * PION, m - KAON
    isobar = np.random.default_rng(9).uniform(low, high, N)
    (isobars, kaons), outer = generate_phase_space(22, m, [isobar, KAON], N)
    (a, b), inner = generate_phase_space(23, isobars, [PION, PION], N)
    weights = np.asarray(outer * inner * (2 * pi) ** 3 * 2 * isobar * (high - low))
    np.testing.assert_allclose(np.asarray(a + b + kaons)[:, 0], m, rtol=1e-13)
    assert abs(weights.mean() - dalitz_volume(m, PION, PION, KAON)) < 4 * weights.std() / np.sqrt(N)


# The bound of the weights.


@pytest.mark.parametrize(
    "masses", [[0.0] * 3, [PION] * 4, [0.0] * 6, [0.0, 0.0, 5.0, 0.1], [1e-3, 1e-3, 1.0], [2, 0, 0]]
)
@pytest.mark.parametrize("kinetic", [1e-2, 1.0, 30.0])
def test_the_bound_is_the_largest_weight_and_not_exceeded(masses, kinetic):
    m, n = sum(masses) + kinetic, len(masses)

    def shares(x):
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum()

    found = optimize.minimize(
        lambda x: -np.log(spacings_weight(shares(x), m, masses)), np.zeros(n - 1), method="BFGS", options={"gtol": 1e-9}
    )
    bound = float(maximum_weight(m, masses))
    assert bound / np.exp(-found.fun) == pytest.approx(1, abs=2e-6)
    assert bound >= np.exp(-found.fun) * (1 - 1e-12)


def test_no_weight_of_many_families_exceeds_its_bound():
    rng = np.random.default_rng(1)
    for n in (2, 3, 4, 7):
        masses = [np.where(rng.random(N) < 0.3, 0.0, 10 ** rng.uniform(-4, 1, N)) for _ in range(n)]
        m = total(masses) + 10 ** rng.uniform(-4, 2, N)
        bound = maximum_weight(m, masses)
        _, weights = generate_phase_space(31, m, masses, N)
        assert (np.asarray(weights) <= np.asarray(bound)).all()
        assert (np.asarray(weights) / np.asarray(bound)).max() > (0.95 if n < 7 else 0.6)


def test_the_bound_is_far_below_the_product_of_the_largest_momenta():
    masses, m = [PION] * 10, 10 * PION + 0.5
    largest = [q(m - sum(masses[k + 1 :]), sum(masses[:k]), masses[k]) for k in range(1, 10)]
    loose = pi**9 * 2**8 / (2 * pi) ** 30 * 0.5**8 / factorial(8) / m * np.prod(largest)
    assert float(maximum_weight(m, masses)) < 1e-5 * loose


# Events without weights.


def test_the_dalitz_plot_is_flat():
    m, masses, n = 1.86966, [KAON, PION, PION], N
    daughters = generate_unweighted(41, m, masses, n)
    assert [p4.shape for p4 in daughters] == [(n, 4)] * 3
    s12, s23 = (np.asarray(kin.dot(a + b, a + b)) for a, b in zip(daughters, daughters[1:], strict=False))
    edges12 = np.linspace((masses[0] + masses[1]) ** 2, (m - masses[2]) ** 2, 16)
    edges23 = np.linspace((masses[1] + masses[2]) ** 2, (m - masses[0]) ** 2, 16)
    counts, _, _ = np.histogram2d(s12, s23, [edges12, edges23])

    def limits(s):
        m12 = np.sqrt(s)
        e2, e3 = (s - masses[0] ** 2 + masses[1] ** 2) / (2 * m12), (m**2 - s - masses[2] ** 2) / (2 * m12)
        p2, p3 = np.sqrt(np.maximum(e2**2 - masses[1] ** 2, 0)), np.sqrt(np.maximum(e3**2 - masses[2] ** 2, 0))
        return (e2 + e3) ** 2 - (p2 + p3) ** 2, (e2 + e3) ** 2 - (p2 - p3) ** 2

    inside = np.zeros_like(counts, bool)
    for i in range(15):
        lower, upper = limits(np.linspace(edges12[i] + 1e-12, edges12[i + 1] - 1e-12, 50))
        inside[i] = (edges23[:-1] > lower.max()) & (edges23[1:] < upper.min())
    area = (edges12[1] - edges12[0]) * (edges23[1] - edges23[0])
    expected = n * area / (dalitz_volume(m, *masses) * (2 * pi) ** 7 * 16 * m**2)
    chi_squared = ((counts[inside] - expected) ** 2 / expected).sum()
    assert inside.sum() > 60
    assert 1e-3 < stats.chi2.sf(chi_squared, inside.sum()) < 1 - 1e-3


def kolmogorov(sample, density, low, high):
    """Probability that a sample comes from a density, which is integrated on a grid."""
    grid = np.linspace(low, high, 4001)
    cumulative = integrate.cumulative_simpson(density(grid), x=grid, initial=0)
    return stats.kstest(sample, lambda x: np.interp(x, grid, cumulative / cumulative[-1])).pvalue


def test_masses_of_pairs_have_their_densities_whether_they_are_in_the_chain_or_not():
    m, masses, n = 2.0, [PION, KAON, 0.3, 0.2], N
    daughters = generate_unweighted(42, m, masses, n)
    for i, j in ((0, 1), (1, 3), (2, 3)):
        k, l = sorted({0, 1, 2, 3} - {i, j})
        low, high = masses[i] + masses[j], m - masses[k] - masses[l]

        def density(x, i=i, j=j, k=k, l=l):
            return x * phase_space_volume(x, [masses[i], masses[j]]) * phase_space_volume(m, [x, masses[k], masses[l]])

        pair = np.asarray(kin.invariant_mass(daughters[i] + daughters[j]))
        assert kolmogorov(pair, density, low, high) > 1e-3


def test_directions_are_isotropic():
    for p4 in generate_unweighted(43, 1.2, [PION, 0.0, KAON], N):
        momentum = np.asarray(p4[:, 1:])
        for axis in range(3):
            cosine = momentum[:, axis] / np.linalg.norm(momentum, axis=1)
            assert stats.kstest(cosine, stats.uniform(-1, 2).cdf).pvalue > 1e-3
        assert stats.kstest(np.arctan2(momentum[:, 2], momentum[:, 0]), stats.uniform(-pi, 2 * pi).cdf).pvalue > 1e-3


def test_parents_of_different_mass_have_flat_phase_space_each():
    n = N
    m = np.where(np.arange(n) % 2, 0.5, 3.0)
    a, b, c = generate_unweighted(44, m, [PION, PION, PION], n)
    np.testing.assert_allclose((a + b + c)[:, 0], m, rtol=1e-13)
    pair = np.asarray(kin.invariant_mass(a + b))
    for mass in (0.5, 3.0):
        density = lambda x, mass=mass: q(x, PION, PION) * q(mass, x, PION)  # noqa: E731
        assert kolmogorov(pair[m == mass], density, 2 * PION, mass - PION) > 1e-3


def test_unweighted_and_weighted_events_agree_in_the_mean():
    m, masses = FAMILIES[5]
    daughters, weights = weighted(m, *masses)
    for p4, flat in zip(daughters, generate_unweighted(46, m, masses, N), strict=True):
        energy, other = np.asarray(p4[:, 0]), np.asarray(flat[:, 0])
        mean = np.average(energy, weights=weights)
        error = np.sqrt((weights**2 * (energy - mean) ** 2).sum()) / weights.sum()
        assert abs(mean - other.mean()) < 4 * np.hypot(error, other.std() / np.sqrt(N))


def test_unweighted_events_are_reproducible_and_parents_may_be_in_flight():
    one, again = (generate_unweighted(47, 1.0, [PION] * 3, N)[0] for _ in range(2))
    np.testing.assert_array_equal(one, again)
    parents = np.tile([[2.0, 0.3, 0, 1.0], [3.0, 0, 0, 1]], (N // 2, 1))
    a, b = generate_unweighted(48, parents, [PION, KAON], N)
    np.testing.assert_allclose(a + b, parents, atol=1e-14)


def test_exactly_as_many_events_come_as_are_asked_for_in_as_many_batches_as_it_takes(monkeypatch):
    monkeypatch.setattr(_decays, "_LARGEST_BATCH", 1024)
    for n in (1, 5000):
        shares = _decays.kept_shares(jax.random.key(0), jnp.asarray(0.5), [jnp.asarray(PION)] * 3, n, np.float64)
        assert [share.shape for share in shares] == [(n,), (n,)]
        assert len(np.unique(shares[0])) == n
        np.testing.assert_allclose(shares[0] + shares[1], 1, rtol=1e-14)


def test_unweighted_events_give_up_where_almost_none_is_kept():
    with pytest.raises(ValueError, match="of 25 daughters .* were kept, too few to go on: use the weighted events"):
        generate_unweighted(49, 1.0, [0.0] * 25, N)


# Thresholds and refusals.


def test_events_on_the_threshold_are_finite_and_without_weight():
    masses = [0.1, 0.2, 0.3]
    for threshold in (0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1):
        daughters, weights = generate_phase_space(51, threshold, masses, N)
        assert (np.asarray(weights) == 0).all()
        for p4, mass in zip(generate_unweighted(51, threshold, masses, N), masses, strict=True):
            np.testing.assert_allclose(p4, np.broadcast_to([mass, 0, 0, 0], (N, 4)), atol=1e-15)
        assert all(np.isfinite(p4).all() for p4 in daughters)
        assert float(maximum_weight(threshold, masses)) == 0
    _, weights = generate_phase_space(52, np.where(np.arange(N) % 2, 0.9, 0.6), masses, N)
    np.testing.assert_array_equal(np.asarray(weights) > 0, np.arange(N) % 2 == 1)


def test_parents_in_flight_may_be_on_the_threshold_but_not_a_hair_below_it():
    flight = np.random.default_rng(53).normal(size=(N, 3)) * np.array([[1.0, 1.0, 50.0]])
    parents = np.column_stack([np.sqrt(0.6**2 + (flight**2).sum(1)), flight])
    daughters, _ = generate_phase_space(53, parents, [0.1, 0.2, 0.3], N)
    np.testing.assert_allclose(total(daughters), parents, rtol=1e-9)
    with pytest.raises(ValueError, match="must reach the sum"):
        generate_phase_space(53, 0.6 * (1 - 1e-13), [0.1, 0.2, 0.3], N)


def test_no_share_is_0_even_in_32_bit():
    shares = _decays.draw_shares(jax.random.key(0), 2**23, 3, np.float32)
    assert float(shares[0].min()) > 0


@pytest.mark.parametrize("generate", [generate_phase_space, generate_unweighted])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 0.5, [0.2, 0.4], 10), ValueError, r"must reach the sum .* got 0.5 GeV for a sum of 0.6\d* GeV\."),
        ((0, np.array([1.0, 0.5]), [0.2, 0.4], 2), ValueError, r"got 0.5 GeV for a sum of 0.6\d* GeV for event 1"),
        ((0, np.array([[1.0, 0, 0, 0.9]]), [0.2, 0.4], 1), ValueError, r"got 0.43\d* GeV for a sum of 0.6"),
        ((0, -1.0, [0.2, 0.4], 10), ValueError, "the mass of the parent must be finite and not negative, got -1"),
        ((0, 0.0, [0.0, 0.0], 10), ValueError, "the mass of a parent must be positive, got 0"),
        ((0, np.nan, [0.2, 0.4], 10), ValueError, "the mass of the parent must be finite and not negative, got nan"),
        ((0, 1.0, [0.2, -0.4], 10), ValueError, r"masses must be finite and not negative, got -0\.4"),
        ((0, 1.0, [0.2], 10), ValueError, "two or more daughters, got 1"),
        ((0, 1.0, 0.2, 10), TypeError, "masses must be a sequence of the daughters' masses, got float"),
        ((0, 1.0, {"a": 0.2, "b": 0.1}, 10), TypeError, "must be a sequence .* got dict"),
        (
            (0, np.ones(3), [0.2, 0.4], 10),
            ValueError,
            r"the mass of the parent must .* shape \(10,\), got shape \(3,\)",
        ),
        ((0, 1.0, [np.ones(3) / 5, 0.4], 10), ValueError, r"masses must .* shape \(10,\), got shape \(3,\)"),
        ((0, np.ones((10, 3)), [0.2, 0.4], 10), ValueError, r"must have shape \(10, 4\), got \(10, 3\)"),
        ((0, 1.0, [0.2, 0.4], 0), ValueError, "n_events must be at least 1, got 0"),
        ((0, 1.0, [0.2, 0.4], 1e3), TypeError, "n_events must be a whole number, got 1000.0"),
        (("seed", 1.0, [0.2, 0.4], 10), TypeError, "whole number .seed. or a JAX key"),
    ],
)
def test_what_can_not_be_generated_is_refused(generate, arguments, error, message):
    with pytest.raises(error, match=message):
        generate(*arguments)


def test_bounds_and_volumes_refuse_what_has_no_meaning():
    with pytest.raises(ValueError, match="got 0.5 GeV for a sum of 0.6"):
        maximum_weight(0.5, [0.2, 0.4])
    with pytest.raises(ValueError, match="the mass of a parent must be positive"):
        maximum_weight(0.0, [0.0, 0.0])
    for function in (maximum_weight, phase_space_volume):
        with pytest.raises(ValueError, match="masses must be finite and not negative, got -0.1"):
            function(1.0, [0.1, -0.1])
        with pytest.raises(ValueError, match="two or more daughters, got 1"):
            function(1.0, [0.1])
        with pytest.raises(TypeError, match="must be a sequence"):
            function(1.0, "pions")
    with pytest.raises(ValueError, match="mass must be finite and not negative, got -1"):
        phase_space_volume(-1.0, [0.1, 0.1])
