"""Moments: against closed formulas, quadrature of intensities written in numpy and scipy, and toys."""

from math import sqrt

import numpy as np
import pytest
from scipy.special import sph_harm_y

import jax
import jax.numpy as jnp

from jaxpwa.physics.moments import of_data
from jaxpwa.physics.moments.expansion import Moments, intensity_of_moments, moment_functions, moment_indices
from jaxpwa.physics.moments.of_data import acceptance_matrix, moments_of_data
from jaxpwa.physics.moments.of_models import moments_of_amplitudes, moments_of_model, moments_of_waves, with_errors
from jaxpwa.physics.spin import spherical_harmonic

POLARISATION = 0.4
SPD = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


def complex_numbers(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def waves_of(seed, names=SPD, reflectivity=1):
    values = complex_numbers(np.random.default_rng(seed), len(names))
    return {(ell, m, reflectivity): v for (ell, m), v in zip(names, values, strict=True)}


MIXED = {
    **waves_of(5),
    **waves_of(6, [(0, 0), (1, -1), (1, 0), (1, 1), (2, -2), (2, -1)], -1),
    **waves_of(7, [(1, -1)]),
}


def harmonic(ell, m, costheta, phi):
    return sph_harm_y(ell, m, np.arccos(costheta), phi)


def intensity_of_u(waves, costheta, phi, angle, p):
    """Intensity in numpy, by U and U-tilde."""
    total = 0
    for reflectivity in (1, -1):
        u = u_tilde = 0j
        for (ell, m, r), value in waves.items():
            if r == reflectivity:
                u = u + value * harmonic(ell, m, costheta, phi)
                u_tilde = u_tilde + value * np.conj(harmonic(ell, m, costheta, phi))
        product = u * np.conj(u_tilde)
        i0 = np.abs(u) ** 2 + np.abs(u_tilde) ** 2
        i1, i2 = -2 * reflectivity * product.real, -2 * reflectivity * product.imag
        total = total + i0 - p * i1 * np.cos(2 * angle) - p * i2 * np.sin(2 * angle)
    return total


def intensity_of_z(waves, costheta, phi, angle, p):
    """Intensity in numpy, by real and imaginary parts of Z."""
    total = 0
    for reflectivity in (1, -1):
        real = imaginary = 0j
        for (ell, m, r), value in waves.items():
            if r == reflectivity:
                z = harmonic(ell, m, costheta, phi) * np.exp(-1j * angle)
                real, imaginary = real + value * z.real, imaginary + value * z.imag
        total = total + 2 * (1 + reflectivity * p) * np.abs(real) ** 2
        total = total + 2 * (1 - reflectivity * p) * np.abs(imaginary) ** 2
    return total


def grid(nodes=10):
    """Angles and weights of a quadrature that is exact for waves up to D and moments up to 8."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    phis, angles = np.arange(14) * 2 * np.pi / 14, np.arange(6) * np.pi / 6 + 0.1
    costheta, phi, angle = (a.ravel() for a in np.meshgrid(x, phis, angles, indexing="ij"))
    # Over Phi it is half a turn, twice.
    weights = np.repeat(weights, 14 * 6) * (2 * np.pi / 14) * (2 * np.pi / 6)
    return costheta, phi, angle, weights


def moments_by_quadrature(intensity, waves, lmax):
    costheta, phi, angle, weights = grid()
    values = weights * intensity(waves, costheta, phi, angle, POLARISATION) / (2 * np.pi)
    out = {}
    for alpha, big_l, m in moment_indices(lmax):
        d = sqrt(4 * np.pi / (2 * big_l + 1)) * harmonic(big_l, m, costheta, 0.0).real
        kernel = [
            np.cos(m * phi),
            2 / POLARISATION * np.cos(m * phi) * np.cos(2 * angle),
            -2 / POLARISATION * np.sin(m * phi) * np.sin(2 * angle),
        ][alpha]
        out[alpha, big_l, m] = np.sum(values * d * kernel)
    return out


def published_relations(waves):
    """H0 and H1 up to L = 2 of S0, P0, P1, D0, D1 and D2 with positive reflectivity."""
    s0, p0, p1, d0, d1, d2 = (waves[ell, m, 1] for ell, m in SPD)

    def re(a, b):
        return (a * np.conj(b)).real

    h = {
        (1, 0, 0): 2 * (abs(s0) ** 2 + abs(p0) ** 2 + abs(d0) ** 2),
        (1, 1, 0): 8 / sqrt(15) * re(p0, d0) + 4 / sqrt(3) * re(s0, p0),
        (1, 1, 1): 2 / sqrt(5) * re(p0, d1) - 2 / sqrt(15) * re(p1, d0) + 2 / sqrt(3) * re(s0, p1),
        (1, 2, 0): 4 / 5 * abs(p0) ** 2 + 4 / 7 * abs(d0) ** 2 + 4 / sqrt(5) * re(s0, d0),
        (1, 2, 1): 2 / sqrt(5) * re(s0, d1) + 2 * sqrt(3) / 5 * re(p0, p1) + 2 / 7 * re(d0, d1),
        (0, 2, 2): 2 / sqrt(5) * re(s0, d2) - 4 / 7 * re(d0, d2),
    }
    h[0, 0, 0] = h[1, 0, 0] + 2 * (abs(p1) ** 2 + abs(d1) ** 2 + abs(d2) ** 2)
    h[0, 1, 0] = h[1, 1, 0] + 4 / sqrt(5) * re(p1, d1)
    h[0, 1, 1] = h[1, 1, 1] + 2 * sqrt(2 / 5) * re(p1, d2)
    h[0, 2, 0] = h[1, 2, 0] - 2 / 5 * abs(p1) ** 2 + 2 / 7 * abs(d1) ** 2 - 4 / 7 * abs(d2) ** 2
    h[0, 2, 1] = h[1, 2, 1] + 2 * sqrt(6) / 7 * re(d1, d2)
    h[1, 2, 2] = h[0, 2, 2] + sqrt(6) / 7 * abs(d1) ** 2 + sqrt(6) / 5 * abs(p1) ** 2
    return h


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("intensity", [intensity_of_u, intensity_of_z])
def test_the_published_relations_hold_by_sums_over_waves_and_by_quadrature(seed, intensity):
    waves = waves_of(seed)
    relations = published_relations(waves)
    assert len(relations) == 12
    exact, integrated = moments_of_amplitudes(waves), moments_by_quadrature(intensity, waves, 2)
    for index, value in relations.items():
        assert integrated[index] == pytest.approx(value, abs=1e-12)
        assert float(exact[index]) == pytest.approx(value, abs=1e-13)


@pytest.mark.parametrize("waves", [waves_of(3), MIXED], ids=["positive", "both reflectivities, both signs of m"])
@pytest.mark.parametrize("intensity", [intensity_of_u, intensity_of_z])
def test_every_moment_of_waves_is_its_integral(waves, intensity):
    exact = moments_of_amplitudes(waves, lmax=5)
    integrated = moments_by_quadrature(intensity, waves, 5)
    assert list(integrated) == list(exact.indices)
    np.testing.assert_allclose(exact.values, list(integrated.values()), atol=1e-12)
    above = [v for (_, big_l, _), v in zip(exact.indices, exact.values, strict=True) if big_l == 5]
    assert max(map(abs, above)) == 0
    assert min(abs(float(exact[2, big_l, m])) for big_l in (1, 2, 3, 4) for m in range(1, big_l + 1)) > 0.01


def test_reflectivity_turns_the_sign_of_polarised_moments():
    positive, negative = moments_of_amplitudes(waves_of(4)), moments_of_amplitudes(waves_of(4, reflectivity=-1))
    signs = [1 if alpha == 0 else -1 for alpha, _, _ in positive.indices]
    np.testing.assert_allclose(negative.values, np.array(signs) * positive.values, atol=1e-15)
    # Reflectivities do not interfere.
    both = moments_of_amplitudes({**waves_of(4), **waves_of(5, reflectivity=-1)})
    total = positive.values + moments_of_amplitudes(waves_of(5, reflectivity=-1)).values
    np.testing.assert_allclose(both.values, total, atol=1e-13)


def test_configurations_of_spins_add_and_bins_stay_apart():
    flip, non_flip = waves_of(8), waves_of(9, [(1, 0), (1, 1)])
    added = moments_of_amplitudes([flip, non_flip], lmax=4)
    total = moments_of_amplitudes(flip).values + moments_of_amplitudes(non_flip, lmax=4).values
    np.testing.assert_allclose(added.values, total, atol=1e-14)
    binned = {wave: np.array([value, 2j * value, 0]) for wave, value in flip.items()}
    one = np.asarray(moments_of_amplitudes(flip).values)
    per_bin = moments_of_amplitudes(binned)
    assert per_bin.values.shape == (40, 3)
    np.testing.assert_allclose(per_bin.values, np.outer(one, [1, 4, 0]), atol=1e-13)
    np.testing.assert_allclose(per_bin.normalised().values[:, 1], one / one[0], atol=1e-14)


def test_the_intensity_is_back_from_its_moments():
    costheta, phi, angle, _ = (a[::7] for a in grid())
    moments = moments_of_amplitudes(MIXED)
    back = intensity_of_moments(moments, costheta, phi, Phi=angle, polarisation=POLARISATION)
    np.testing.assert_allclose(back, intensity_of_u(MIXED, costheta, phi, angle, POLARISATION), atol=1e-12)
    mean = intensity_of_moments(moments, costheta, phi)
    np.testing.assert_allclose(mean, intensity_of_u(MIXED, costheta, phi, angle, 0.0), atol=1e-12)


def z_intensity(params, data):
    """A user's polarised model in JAX: S0, P1 and D2 of positive reflectivity."""
    phase = jnp.exp(-1j * data["Phi"])
    values = {(0, 0): params["S"], (1, 1): params["P.re"] + 1j * params["P.im"], (2, 2): params["D"] * jnp.exp(0.3j)}
    z = {wave: spherical_harmonic(*wave, data["costheta"], data["phi"]) * phase for wave in values}
    real = sum(values[w] * z[w].real for w in values)
    imaginary = sum(values[w] * z[w].imag for w in values)
    p = data["P"]
    return 2 * (1 + p) * jnp.abs(real) ** 2 + 2 * (1 - p) * jnp.abs(imaginary) ** 2


def couplings(params):
    phase = jnp.exp(0.3j)
    return {(0, 0, 1): params["S"], (1, 1, 1): params["P.re"] + 1j * params["P.im"], (2, 2, 1): params["D"] * phase}


# Not in the order of the alphabet, into which JAX sorts dicts.
PARAMS = {"S": 1.1, "P.re": -0.4, "P.im": 0.7, "D": 0.9}
COVARIANCE = np.diag([1e-2, 2e-2, 3e-2, 4e-2]) + 5e-3 * (np.ones((4, 4)) - np.eye(4))


def phase_space():
    costheta, phi, angle, weights = grid()
    return {
        "costheta": costheta,
        "phi": phi,
        "Phi": angle,
        "weights": weights,
        "P": np.full(len(phi), POLARISATION),
    }


def test_moments_of_a_model_are_those_of_its_waves():
    expected = moments_of_waves(couplings, PARAMS, covariance=COVARIANCE)
    data = phase_space()
    options = {"polarisation": POLARISATION, "covariance": COVARIANCE}
    found = jax.jit(lambda: moments_of_model(z_intensity, PARAMS, data, 4, **options))()
    np.testing.assert_allclose(found.values, expected.values, atol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)
    assert found.covariance is not None
    plain = jax.jit(lambda: moments_of_model(z_intensity, PARAMS, data, 4, volume=1.0))()
    np.testing.assert_allclose(4 * np.pi * plain.values, expected.values[:15], atol=1e-12)
    assert plain.covariance is None
    # 4 pi and 1 apart, and the weights add up to 8 pi^2.
    waves = {wave: complex(value) for wave, value in couplings(PARAMS).items()}
    values = intensity_of_u(waves, data["costheta"], data["phi"], data["Phi"], POLARISATION)
    assert float(plain[0, 0, 0]) == pytest.approx(np.average(values, weights=data["weights"]), rel=1e-13)


def test_polarisation_may_differ_between_the_events_of_a_model():
    data = phase_space()
    stacked = {name: np.concatenate([column, column, column]) for name, column in data.items()}
    stacked["P"] = np.repeat([0.0, 0.3, 0.9], len(data["phi"]))
    found = jax.jit(lambda p: moments_of_model(z_intensity, p, stacked, 4, polarisation=stacked["P"]))(PARAMS)
    np.testing.assert_allclose(found.values, moments_of_amplitudes(couplings(PARAMS)).values, atol=1e-12)


def test_jacobians_of_moments_are_those_of_differences():
    names, h = list(PARAMS), 1e-6

    def at(name, step):
        return np.asarray(moments_of_waves(couplings, {**PARAMS, name: PARAMS[name] + step}).values)

    jacobian = np.stack([(at(n, h) - at(n, -h)) / (2 * h) for n in names], axis=1)
    expected = jacobian @ COVARIANCE @ jacobian.T
    found = moments_of_waves(couplings, PARAMS, covariance=COVARIANCE)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-9)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(expected)), atol=1e-9)
    # Another order of the names takes the covariance along.
    order = [2, 0, 3, 1]
    shuffled = {names[i]: PARAMS[names[i]] for i in order}
    again = moments_of_waves(couplings, shuffled, covariance=COVARIANCE[np.ix_(order, order)])
    np.testing.assert_allclose(again.covariance, found.covariance, atol=1e-15)
    # Inside jit JAX has sorted the names.
    bound = jax.jit(lambda p: with_errors(lambda q: moments_of_amplitudes(couplings(q)), p, COVARIANCE, names=names))
    np.testing.assert_allclose(bound(PARAMS).covariance, found.covariance, atol=1e-15)
    with pytest.raises(ValueError, match="the order of params is lost .* jit or vmap"):
        jax.jit(lambda p: moments_of_waves(couplings, p, covariance=COVARIANCE))(PARAMS)


def test_errors_of_moments_are_the_scatter_for_parameters_drawn_at_random():
    small = COVARIANCE * 1e-4
    draws = np.random.default_rng(3).multivariate_normal(list(PARAMS.values()), small, size=4000)
    columns = dict(zip(PARAMS, draws.T, strict=True))
    scatter = np.cov(moments_of_amplitudes(couplings(columns)).normalised().values)
    expected = moments_of_waves(couplings, PARAMS, covariance=small).normalised()
    sigma = np.asarray(expected.errors)
    assert sigma[0] == 0
    # Some moments of these waves are 0 whatever their amplitudes.
    there = sigma > 0
    assert there.sum() > 10
    scale = np.outer(sigma[there], sigma[there])
    both = np.ix_(there, there)
    np.testing.assert_allclose(scatter[both] / scale, np.asarray(expected.covariance)[both] / scale, atol=0.11)
    np.testing.assert_allclose(scatter[~there], 0, atol=1e-20)


def test_covariance_of_bins_keeps_its_shape():
    def three_bins(params):
        return {wave: value * jnp.array([1.0, 2.0, 0.5]) for wave, value in couplings(params).items()}

    binned = moments_of_waves(three_bins, PARAMS, covariance=COVARIANCE)
    assert binned.covariance is not None
    assert binned.covariance.shape == (40, 3, 40, 3)
    one = moments_of_waves(couplings, PARAMS, covariance=COVARIANCE)
    np.testing.assert_allclose(binned.errors, np.outer(one.errors, [1, 4, 0.25]), atol=1e-12)
    np.testing.assert_allclose(binned.normalised().errors[:, 2], one.normalised().errors, atol=1e-9)


def drawn(rng, waves, n, efficiency=None, polarisation=POLARISATION):
    """Draw events from waves by rejection, in numpy; the number that was drawn before the efficiency is ``n``."""
    parts, have = [], 0
    top = 1.05 * max(intensity_of_u(waves, *np.array(grid())[:3], np.max(polarisation)))
    while have < n:
        costheta, phi, angle = rng.uniform([[-1], [-np.pi], [-np.pi]], [[1], [np.pi], [np.pi]], (3, 2 * n))
        p = rng.choice(np.atleast_1d(polarisation), 2 * n)
        values = intensity_of_u(waves, costheta, phi, angle, p)
        assert values.max() < top
        keep = rng.uniform(0, top, 2 * n) < values
        parts.append(np.stack([costheta, phi, angle, p])[:, keep])
        have += keep.sum()
    events = np.concatenate(parts, axis=1)[:, :n]
    if efficiency is not None:
        events = events[:, rng.uniform(size=n) < efficiency(*events[:3])]
    return events


def flat(rng, n, polarisation=POLARISATION):
    angles = rng.uniform([[-1], [-np.pi], [-np.pi]], [[1], [np.pi], [np.pi]], (3, n))
    return np.concatenate([angles, rng.choice(np.atleast_1d(polarisation), n)[None]])


def efficiency(costheta, phi, angle):
    """Neither even in phi nor uniform in Phi, and 0 in a corner."""
    value = (0.55 + 0.35 * costheta) * (1 + 0.4 * np.sin(phi)) * (0.8 + 0.2 * np.cos(2 * angle + 0.4))
    return np.where((costheta > 0.7) & (np.abs(phi) < 0.5), 0.0, value)


SP = {**waves_of(10, [(0, 0), (1, 0), (1, 1)]), **waves_of(11, [(1, 0), (1, 1)], -1)}


def truth(waves, n, lmax):
    """True moments in numbers of events, ``n`` of them expected."""
    moments = moments_of_amplitudes(waves, lmax=lmax)
    return np.asarray(moments.values / moments[0, 0, 0] * n)


def test_moments_of_data_are_the_true_ones_within_errors():
    events = drawn(np.random.default_rng(20), MIXED, 60_000)
    found = moments_of_data(*events[:2], 4, Phi=events[2], polarisation=POLARISATION)
    assert float(found[0, 0, 0]) == 60_000
    assert float(found.error((0, 0, 0))) == pytest.approx(sqrt(60_000), rel=1e-12)
    ratio, expected = found.normalised(), truth(MIXED, 1, 4)
    pulls = (np.asarray(ratio.values) - expected)[1:] / np.asarray(ratio.errors)[1:]
    assert np.abs(pulls).max() < 4
    assert np.abs(expected[1:] / np.asarray(ratio.errors)[1:]).max() > 50
    # A chi-squared of 39 with the whole covariance: its mean is 39 and its deviation sqrt(78).
    away, covariance = np.asarray(ratio.values) - expected, np.asarray(ratio.covariance)
    assert away[1:] @ np.linalg.solve(covariance[1:, 1:], away[1:]) < 39 + 4 * sqrt(78)


def test_sums_and_covariance_are_those_of_the_definition():
    events = drawn(np.random.default_rng(21), MIXED, 500)
    weights = np.random.default_rng(22).normal(1, 1, 500)
    found = moments_of_data(*events[:2], 2, Phi=events[2], polarisation=POLARISATION, weights=weights)
    kernels = []
    for alpha, big_l, m in found.indices:
        y = sqrt(4 * np.pi / (2 * big_l + 1)) * harmonic(big_l, m, events[0], events[1])
        cosine, sine = 2 / POLARISATION * np.cos(2 * events[2]), -2 / POLARISATION * np.sin(2 * events[2])
        kernels.append([y.real, cosine * y.real, sine * y.imag][alpha])
    terms = weights * np.array(kernels)
    np.testing.assert_allclose(found.values, terms.sum(axis=1), atol=1e-10)
    np.testing.assert_allclose(found.covariance, terms @ terms.T, atol=1e-9)
    unpolarised = moments_of_data(*events[:2], 2, weights=weights)
    np.testing.assert_allclose(unpolarised.values, found.values[:6], atol=1e-10)
    assert unpolarised.indices == found.indices[:6]


def test_covariance_knows_that_the_mean_square_of_polarisations_fluctuates():
    events = drawn(np.random.default_rng(26), SP, 500, polarisation=[0.0, 0.3, 0.9])
    weights = np.random.default_rng(27).normal(1, 1, 500)
    found = moments_of_data(*events[:2], 2, Phi=events[2], polarisation=events[3], weights=weights)
    square, number = np.sum(weights * events[3] ** 2) / weights.sum(), weights.sum()
    terms = []
    for alpha, big_l, m in found.indices:
        y = sqrt(4 * np.pi / (2 * big_l + 1)) * harmonic(big_l, m, events[0], events[1])
        cosine, sine = events[3] * np.cos(2 * events[2]), -events[3] * np.sin(2 * events[2])
        term = weights * [y.real, 2 / square * cosine * y.real, 2 / square * sine * y.imag][alpha]
        assert float(found[alpha, big_l, m]) == pytest.approx(term.sum(), abs=1e-10)
        if alpha:
            # The derivative of one over the mean square, by hand.
            term = term + weights * term.sum() / number * (1 - events[3] ** 2 / square)
        terms.append(term)
    np.testing.assert_allclose(found.covariance, np.array(terms) @ np.array(terms).T, atol=1e-8)


def test_order_does_not_matter_nor_does_sharing_a_weight(monkeypatch):
    events = drawn(np.random.default_rng(23), SP, 450)
    weights = np.random.default_rng(24).uniform(0.5, 2, 450)

    def of(events, weights):
        return moments_of_data(*events[:2], 2, Phi=events[2], polarisation=events[3], weights=weights)

    found = of(events, weights)
    order = np.random.default_rng(25).permutation(450)
    mixed = of(events[:, order], weights[order])
    np.testing.assert_allclose(mixed.values, found.values, atol=1e-10)
    np.testing.assert_allclose(mixed.covariance, found.covariance, atol=1e-9)
    halves = of(np.concatenate([events, events], axis=1), np.concatenate([0.3 * weights, 0.7 * weights]))
    np.testing.assert_allclose(halves.values, found.values, atol=1e-10)
    # Whoever shares an event's weight between two calls them independent: 0.3^2 + 0.7^2 of the variance.
    np.testing.assert_allclose(halves.covariance, 0.58 * np.asarray(found.covariance), atol=1e-9)
    monkeypatch.setattr(of_data, "_BLOCK", 128)
    blocks = of(events, weights)
    np.testing.assert_allclose(blocks.values, found.values, atol=1e-10)
    np.testing.assert_allclose(blocks.covariance, found.covariance, atol=1e-9)


def pulls_of_toys(rng, n_toys, mean, efficiency=None, mc=None, polarisation=POLARISATION):
    """Moments of Poisson toys of S and P waves, less the truth, in errors, ``(toys, moments)``."""
    counts = rng.poisson(mean, n_toys)
    events = drawn(rng, SP, counts.sum(), polarisation=polarisation)
    weights = np.ones(counts.sum())
    if efficiency is not None:
        # What is lost has weight 0: toys are cut at the same places.
        weights[rng.uniform(size=counts.sum()) > efficiency(*events[:3])] = 0
    padded = np.zeros((5, n_toys, counts.max()))
    for toy, (end, count) in enumerate(zip(counts.cumsum(), counts, strict=True)):
        padded[:4, toy, :count] = events[:, end - count : end]
        padded[4, toy, :count] = weights[end - count : end]

    expected = truth(SP, mean, 2)

    def away(data, simulated):
        acceptance = None
        if simulated is not None:
            c, phi, angle, p, v = simulated
            acceptance = acceptance_matrix(c, phi, 2, n_generated=len(c), Phi=angle, polarisation=p, weights=v)
        c, phi, angle, p, w = data
        found = moments_of_data(c, phi, 2, Phi=angle, polarisation=p, weights=w, acceptance=acceptance)
        return (found.values - expected) / found.errors

    # The sums must be near normal, so the error is taken from each toy.
    return np.asarray(jax.jit(jax.vmap(away))(tuple(padded), mc))


def assert_standard_normal(pulls):
    n = len(pulls)
    assert np.abs(pulls.mean(axis=0)).max() < 4.5 / sqrt(n)
    assert np.abs(pulls.std(axis=0) - 1).max() < 4.5 / sqrt(2 * n)


def test_pulls_of_toys_are_standard_normal():
    pulls = pulls_of_toys(np.random.default_rng(30), 300, 700.0)
    assert pulls.shape == (300, 15)
    assert_standard_normal(pulls)


def test_pulls_are_standard_normal_where_polarisations_differ():
    assert_standard_normal(pulls_of_toys(np.random.default_rng(31), 300, 700.0, polarisation=[0.0, 0.2, 0.8]))


def test_pulls_are_standard_normal_after_acceptance_with_a_monte_carlo_as_small_as_the_data():
    rng = np.random.default_rng(32)
    mc = flat(rng, 250 * 2000)
    accepted = (rng.uniform(size=mc.shape[1]) < efficiency(*mc[:3])) * 1.0
    columns = tuple(np.concatenate([mc, accepted[None]]).reshape(5, 250, 2000))
    pulls = pulls_of_toys(rng, 250, 950.0, efficiency, columns)
    assert_standard_normal(pulls)


def acceptance_of(mc, lmax, n_generated, **options):
    return acceptance_matrix(
        mc[0], mc[1], lmax, n_generated=n_generated, Phi=mc[2], polarisation=POLARISATION, **options
    )


def test_acceptance_is_corrected_for():
    rng = np.random.default_rng(40)
    events = drawn(rng, SP, 20_000, efficiency)
    mc = flat(rng, 100_000)
    mc = mc[:, rng.uniform(size=100_000) < efficiency(*mc[:3])]
    acceptance = acceptance_of(mc, 2, 100_000)
    assert 1.5 < float(acceptance.condition) < 20
    expected = truth(SP, 20_000, 2)

    def of(**options):
        return moments_of_data(*events[:2], 2, Phi=events[2], polarisation=POLARISATION, **options)

    corrected, without = of(acceptance=acceptance), of()
    assert np.abs((np.asarray(corrected.values) - expected) / np.asarray(corrected.errors)).max() < 4
    assert np.abs((np.asarray(without.values) - expected) / np.asarray(without.errors)).max() > 40
    shape = without.normalised()
    pulls = (np.asarray(shape.values) - expected / expected[0])[1:] / np.asarray(shape.errors)[1:]
    assert np.abs(pulls).max() > 10
    smaller = of(acceptance=acceptance, mc_errors=False)
    np.testing.assert_array_equal(smaller.values, corrected.values)
    assert (smaller.errors < corrected.errors).all()
    # Weights of one over the efficiency do it also, where it is not 0.
    whole = drawn(rng, SP, 20_000, lambda c, phi, angle: 0.6 + 0.3 * c)
    weighted = moments_of_data(*whole[:2], 2, Phi=whole[2], polarisation=0.4, weights=1 / (0.6 + 0.3 * whole[0]))
    assert np.abs((np.asarray(weighted.values) - expected) / np.asarray(weighted.errors)).max() < 4


def test_the_acceptance_matrix_is_the_integral_of_its_definition():
    """On the points of a quadrature with weights, for an efficiency that the quadrature integrates exactly."""
    costheta, phi, angle, weights = grid()
    loss = (0.5 + 0.3 * costheta) * (1 + 0.3 * np.sin(phi))
    weights = weights / weights.mean()
    found = acceptance_of((costheta, phi, angle), 2, len(phi), weights=weights)
    np.testing.assert_allclose(found.matrix, np.eye(15), atol=1e-13)
    assert float(found.condition) == pytest.approx(1, rel=1e-12)
    # Events on the same points: measured moments of I times the loss give back those of I.
    values = intensity_of_u(SP, costheta, phi, angle, POLARISATION)
    lossy = acceptance_of((costheta, phi, angle), 2, len(phi), weights=weights * loss)
    back = moments_of_data(
        costheta,
        phi,
        2,
        Phi=angle,
        polarisation=POLARISATION,
        weights=weights * loss * values * 4 * np.pi / len(phi),
        acceptance=lossy,
    )
    np.testing.assert_allclose(back.values, moments_of_amplitudes(SP).values, atol=1e-12)


def test_unpolarised_acceptance_is_the_part_of_alpha_0():
    mc = flat(np.random.default_rng(41), 480)
    polarised = acceptance_of(mc, 2, 1200)
    plain = acceptance_matrix(mc[0], mc[1], 2, n_generated=1200)
    np.testing.assert_allclose(plain.matrix, polarised.matrix[:6, :6], atol=1e-14)
    assert float(plain.matrix[0, 0]) == pytest.approx(0.4, rel=1e-13)
    events = drawn(np.random.default_rng(42), SP, 300)
    found = moments_of_data(*events[:2], 2, acceptance=plain)
    measured = moments_of_data(*events[:2], 2)
    np.testing.assert_allclose(plain.matrix @ found.values, measured.values, atol=1e-11)


def test_fluctuations_of_the_monte_carlo_are_those_of_its_generated_events():
    """Each event of Monte Carlo, accepted or not, moves the moments by its share of the matrix."""
    rng = np.random.default_rng(44)
    mc, events, generated = flat(rng, 480), drawn(rng, SP, 500), 800
    acceptance = acceptance_matrix(mc[0], mc[1], 2, n_generated=generated)
    options = [{"acceptance": acceptance, "mc_errors": errors} for errors in (True, False)]
    both, data_only = (moments_of_data(*events[:2], 2, **one) for one in options)
    matrix, shares = 0, np.zeros((generated, 6))
    for event, angles in enumerate(mc[:2].T):
        f = [sqrt(4 * np.pi / (2 * n + 1)) * harmonic(n, m, *angles).real for _, n, m in both.indices]
        share = np.outer(f, [(2 * n + 1) * (2 if m else 1) * g for (_, n, m), g in zip(both.indices, f, strict=True)])
        matrix = matrix + share / generated
        shares[event] = share @ np.asarray(both.values) / generated
    np.testing.assert_allclose(acceptance.matrix, matrix, atol=1e-13)
    inverse = np.linalg.inv(matrix)
    expected = inverse @ (generated * np.cov(shares.T, bias=True)) @ inverse.T
    found = np.asarray(both.covariance) - np.asarray(data_only.covariance)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)


def test_moments_go_through_jit_and_grad_and_stay_in_single_precision():
    @jax.jit
    def total(params):
        moments = moments_of_model(z_intensity, params, phase_space(), 4, polarisation=POLARISATION)
        return jnp.sum(moments.normalised().values ** 2)

    slopes = jax.jit(jax.grad(total))(PARAMS)
    for name, slope in slopes.items():
        ends = [float(total({**PARAMS, name: PARAMS[name] + h})) for h in (1e-5, -1e-5)]
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)
    # The slope of an amplitude at 0 is finite.
    flat_slope = jax.grad(lambda s: moments_of_amplitudes({(0, 0, 1): s, (1, 0, 1): 1.0})[0, 1, 0])(0.0)
    assert float(flat_slope) == pytest.approx(4 / sqrt(3), rel=1e-14)
    events = drawn(np.random.default_rng(43), SP, 500).astype(np.float32)
    found = moments_of_data(*events[:2], 2, Phi=events[2], polarisation=0.4)
    assert found.values.dtype == found.errors.dtype == jnp.float32
    assert moments_of_amplitudes({(1, 1, 1): np.complex64(1j)}).values.dtype == jnp.float32
    assert moments_of_amplitudes({(1, 1, 1): 1}).values.dtype == jnp.float64


def test_functions_stay_finite_at_the_poles():
    rows = moment_functions(np.array([-1.0, 1.0]), np.zeros(2), 4)
    np.testing.assert_allclose(rows[1], [-1, 1], atol=1e-15)
    slopes = jax.jit(jax.jacfwd(lambda c: moment_functions(c, np.zeros(2), 4)))(np.array([-1.0, 1.0]))
    assert np.isfinite(slopes).all()


def test_names_and_places():
    moments = moments_of_amplitudes({(1, 1, 1): 1.0})
    assert moments.names[:4] == ("H0(0,0)", "H0(1,0)", "H0(1,1)", "H0(2,0)")
    assert moments.names[-1] == "H2(2,2)"
    assert len(moment_indices(4)) == 40
    assert moment_indices(4)[:15] == moment_indices(4, polarised=False)


C, PHI = np.array([0.1, -0.2, 0.3]), np.array([0.1, 2.0, -1.0])
ENOUGH = flat(np.random.default_rng(50), 500)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: moment_indices(-1), ValueError, "lmax must be a whole number from 0, .* got -1"),
        (lambda: moment_indices(2.0), ValueError, "lmax must be a whole number from 0"),
        (lambda: moments_of_amplitudes([]), TypeError, "waves must be a mapping"),
        (lambda: moments_of_amplitudes({}), TypeError, "of at least one wave"),
        (lambda: moments_of_amplitudes(3.0), TypeError, "waves must be a mapping"),
        (lambda: moments_of_amplitudes({(1, 2, 1): 1.0}), ValueError, r"with \|m\| <= l and 1 or -1: got \(1, 2, 1\)"),
        (lambda: moments_of_amplitudes({(1, 1, 0): 1.0}), ValueError, r"got \(1, 1, 0\)"),
        (lambda: moments_of_amplitudes({(1, 1): 1.0}), ValueError, r"named \(l, m, reflectivity\)"),
        (lambda: moments_of_amplitudes({(0, 0, 1): 1.0})[1, 3, 0], ValueError, r"no moment .* \(1, 3, 0\); there are"),
        (lambda: moments_of_amplitudes({(0, 0, 1): 1.0}).errors, ValueError, "no covariance: give covariance="),
        (
            lambda: moments_of_waves(couplings, PARAMS, covariance=np.eye(3)),
            ValueError,
            r"\(4, 4\).*got shape \(3, 3\)",
        ),
        (
            lambda: with_errors(lambda p: moments_of_amplitudes(couplings(p)), PARAMS, COVARIANCE, names=["S", "D"]),
            ValueError,
            "names must be those of params, S, P.re, P.im, D: got S, D",
        ),
        (lambda: with_errors(lambda p: Moments((), p["a"]), {"a": C}, np.eye(1)), ValueError, "'a' must be one number"),
        (lambda: moment_functions(C, PHI, 2, Phi=PHI), ValueError, "Phi and polarisation go together"),
        (lambda: moments_of_model(z_intensity, PARAMS, {"phi": PHI}, 2), ValueError, "must have the column 'costheta'"),
        (
            lambda: moments_of_model(z_intensity, PARAMS, {"phi": PHI, "costheta": C}, 2, polarisation=0.3),
            ValueError,
            "must have the column 'Phi', .* it has: phi, costheta",
        ),
        (
            lambda: moments_of_model(lambda p, d: p["S"], PARAMS, {"phi": PHI, "costheta": C}, 2),
            ValueError,
            r"one number per event, shape \(3,\), got shape \(\)",
        ),
        (lambda: moments_of_data(C[:, None], PHI, 2), ValueError, r"costheta must have shape \(events,\), got shape"),
        (lambda: moments_of_data(C, PHI[:2], 2), ValueError, "phi must have one entry per event: got 2 for 3"),
        (lambda: moments_of_data(C, PHI, 2, weights=[1.0]), ValueError, "weights must have one entry per event"),
        (lambda: moments_of_data(C[:0], PHI[:0], 2), ValueError, "at least one event"),
        (lambda: moments_of_data(PHI, PHI, 2), ValueError, "costheta must be a cosine.*: got 2.0 at event 1, and 1"),
        (lambda: moments_of_data(C, PHI * np.nan, 2), ValueError, "phi must be finite: got nan at event 0, and 3"),
        (lambda: moments_of_data(C, PHI, 2, Phi=PHI), ValueError, "Phi and polarisation go together"),
        (
            lambda: moments_of_data(C, PHI, 2, Phi=PHI, polarisation=35),
            ValueError,
            "polarisation must be a fraction, from -1 to 1: got 35.0",
        ),
        (
            lambda: moments_of_data(C, PHI, 2, Phi=PHI, polarisation=0.0),
            ValueError,
            "polarisation must have a weighted mean square above 0 to fix H1 and H2, got 0.0",
        ),
        (
            lambda: moments_of_data(C, PHI, 2, acceptance=acceptance_of(ENOUGH, 2, 500)),
            ValueError,
            "the same moments, unpolarised up to L = 2: it is polarised up to L = 2",
        ),
        (
            lambda: moments_of_data(C, PHI, 1, Phi=PHI, polarisation=0.4, acceptance=acceptance_of(ENOUGH, 2, 500)),
            ValueError,
            "the same moments, polarised up to L = 1: it is polarised up to L = 2",
        ),
        (lambda: acceptance_of(ENOUGH, 2, 499), ValueError, "n_generated must be .* the 500 accepted: got 499"),
        (lambda: acceptance_of(ENOUGH[:, :50], 5, 50), ValueError, "50 events .* can't fix 57 moments"),
        (
            lambda: acceptance_matrix(ENOUGH[0], np.zeros(500), 2, n_generated=900),
            ValueError,
            "acceptance matrix of 6 moments is singular .* the 500 accepted events",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
