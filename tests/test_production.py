"""beam + target -> X + recoil against integrals of phase space, and proposals against their densities."""

from functools import cache
from math import pi

import numpy as np
import pytest
from scipy import integrate, stats

import jax
import jax.numpy as jnp

from jaxpwa.physics import kinematics as kin
from jaxpwa.physics.phasespace.nbody import phase_space_volume
from jaxpwa.physics.phasespace.production import generate_production
from jaxpwa.physics.phasespace.proposals import (
    BreitWignerProposal,
    ExponentialProposal,
    MixtureProposal,
    UniformProposal,
)

ETA, PION, PROTON = 0.547862, 0.1349768, 0.93827208943
N = 40_000
ENERGY = 8.5
W = np.sqrt(PROTON**2 + 2 * ENERGY * PROTON)
TWO, THREE = {"eta": ETA, "pi0": PION}, {"pi+": PION, "pi-": PION, "eta": ETA}

PROPOSALS = {
    "flat": {},
    "resonance": {"mass": MixtureProposal((BreitWignerProposal(1.318, 0.107), UniformProposal()), (0.3, 0.7))},
    "exchange": {
        "mass": BreitWignerProposal(2.0, 2.0),
        "t": MixtureProposal((ExponentialProposal(1.0), ExponentialProposal(0.1), UniformProposal())),
    },
}


@cache
def events(proposals="flat", n_daughters=2):
    daughters = TWO if n_daughters == 2 else THREE
    return generate_production(1, ENERGY, PROTON, PROTON, daughters, N, **PROPOSALS[proposals])


def system_of(generated):
    first, *others = generated.daughters.values()
    return sum(others, first)


def mass_of(generated):
    return np.asarray(kin.invariant_mass(system_of(generated)))


def q(m, m1, m2):
    """Momentum in the rest frame, from the textbook."""
    product = (m**2 - (m1 + m2) ** 2) * (m**2 - (m1 - m2) ** 2)
    return np.sqrt(np.maximum(product, 0)) / (2 * m)


def limits_of_t(m, w=W, beam_mass=0.0):
    """The Particle Data Group's t_0 and t_1, by energies in the centre-of-mass system."""
    e_beam = (w**2 + beam_mass**2 - PROTON**2) / (2 * w)
    e_system = (w**2 + m**2 - PROTON**2) / (2 * w)
    p, k = np.sqrt(e_beam**2 - beam_mass**2), q(w, m, PROTON)
    return (e_beam - e_system) ** 2 - (p + k) ** 2, (e_beam - e_system) ** 2 - (p - k) ** 2


def volume_of(*masses, w=W):
    """Phase space of the final state by scipy: of X and recoil, times that of the decay of X."""
    recoil, *daughters = masses

    def density(m):
        outer = pi * q(w, m, recoil) / (w * (2 * pi) ** 6) * (2 * pi) ** 3 * 2 * m
        return outer * (pi * q(m, *daughters) / (m * (2 * pi) ** 6))

    return integrate.quad(density, sum(daughters), w - recoil, epsabs=0, epsrel=1e-10)[0]


# Weighted events.


@pytest.mark.parametrize("proposals", PROPOSALS)
def test_the_mean_of_the_weights_is_the_volume_of_three_bodies_whatever_is_proposed(proposals):
    weights = np.asarray(events(proposals).weights)
    assert (weights > 0).all()
    assert abs(weights.mean() - volume_of(PROTON, ETA, PION)) < 4 * weights.std() / np.sqrt(N)


def test_the_mean_of_the_weights_is_the_volume_of_four_bodies():
    weights = np.asarray(events("resonance", 3).weights)
    volume = float(phase_space_volume(W, [PROTON, *THREE.values()]))
    assert abs(weights.mean() - volume) < 4 * weights.std() / np.sqrt(N)


@pytest.mark.parametrize(("proposals", "n_daughters"), [("flat", 2), ("exchange", 2), ("resonance", 3)])
def test_events_conserve_momentum_on_the_mass_shell_in_the_laboratory(proposals, n_daughters):
    got = events(proposals, n_daughters)
    lost = np.asarray(got.beam + got.target - got.recoil - system_of(got))
    assert np.abs(lost).max() < 1e-13 * ENERGY
    np.testing.assert_array_equal(got.beam, np.broadcast_to([ENERGY, 0, 0, ENERGY], (N, 4)))
    np.testing.assert_array_equal(got.target, np.broadcast_to([PROTON, 0, 0, 0], (N, 4)))
    masses = TWO if n_daughters == 2 else THREE
    assert list(got.daughters) == list(masses)
    for p4, mass in [(got.recoil, PROTON), *((got.daughters[name], m) for name, m in masses.items())]:
        np.testing.assert_allclose(kin.dot(p4, p4), mass**2, atol=1e-12)


def test_weighted_masses_agree_between_proposals_and_with_the_density():
    edges = np.linspace(ETA + PION, W - PROTON, 21)
    expected = np.array(
        [
            integrate.quad(lambda m: q(W, m, PROTON) * q(m, ETA, PION), low, high, epsabs=1e-12)[0]
            for low, high in zip(edges, edges[1:], strict=False)
        ]
    )
    expected *= volume_of(PROTON, ETA, PION) / expected.sum()
    for proposals in PROPOSALS:
        got = events(proposals)
        weights = np.asarray(got.weights) / N
        counts, _ = np.histogram(mass_of(got), edges, weights=weights)
        variance, _ = np.histogram(mass_of(got), edges, weights=weights**2)
        chi_squared = ((counts - expected) ** 2 / variance).sum()
        assert 1e-3 < stats.chi2.sf(chi_squared, 20) < 1 - 1e-3, proposals


@pytest.mark.parametrize("proposals", PROPOSALS)
def test_weighted_events_are_flat_in_the_production_angle_and_in_the_decay_angles(proposals):
    got = events(proposals)
    weights = np.asarray(got.weights)
    centre = got.beam + got.target
    production = np.asarray(kin.in_rest_frame_of(system_of(got), centre)[:, 1:])
    decay = np.asarray(kin.in_rest_frame_of(got.daughters["eta"], system_of(got))[:, 1:])
    for vector in (production, decay):
        cosine = vector[:, 2] / np.linalg.norm(vector, axis=1)
        azimuth = np.arctan2(vector[:, 1], vector[:, 0]) / pi
        for flat in (cosine, azimuth):
            counts, _ = np.histogram(flat, 10, (-1, 1), weights=weights)
            variance, _ = np.histogram(flat, 10, (-1, 1), weights=weights**2)
            chi_squared = ((counts - weights.sum() / 10) ** 2 / variance).sum()
            assert stats.chi2.sf(chi_squared, 9) > 1e-3


def test_t_of_the_recoil_is_within_the_limits_of_its_mass_and_that_of_the_beam():
    got = events("exchange")
    t = np.asarray(kin.momentum_transfer(got.recoil, got.target))
    difference = got.beam - system_of(got)
    np.testing.assert_allclose(t, kin.dot(difference, difference), atol=1e-12)
    low, high = limits_of_t(mass_of(got))
    assert (t > low - 1e-12).all()
    assert (t < high + 1e-12).all()


# Events that follow the proposals.


def truncated(slope, t, low, high):
    """Cumulative probability of an exponential in t between limits."""
    return np.expm1(slope * (t - low)) / np.expm1(slope * (high - low))


@pytest.mark.parametrize("daughters", [TWO, THREE], ids=["two", "three"])
def test_events_can_follow_the_proposals(daughters):
    shape = BreitWignerProposal(1.318, 0.107, 0.9, 2.0)
    got = generate_production(
        2, ENERGY, PROTON, PROTON, daughters, N, mass=shape, t=ExponentialProposal(3.0), follow="proposals"
    )
    assert (np.asarray(got.weights) == 1).all()
    m = mass_of(got)
    peak = stats.cauchy(1.318, 0.107 / 2)
    covered = (peak.cdf(m) - peak.cdf(0.9)) / (peak.cdf(2.0) - peak.cdf(0.9))
    assert stats.kstest(covered, "uniform").pvalue > 1e-3
    t = np.asarray(kin.momentum_transfer(got.recoil, got.target))
    low, high = limits_of_t(m)
    assert stats.kstest(truncated(3.0, t, low, high), "uniform").pvalue > 1e-3
    assert (high - t).mean() == pytest.approx(1 / 3.0, rel=0.02)
    if len(daughters) == 3:
        # The decay is flat at each mass: so is the cumulative density of the pair's mass.
        pair = np.asarray(kin.invariant_mass(got.daughters["pi+"] + got.daughters["pi-"]))
        shares = (np.arange(64) + 0.5) / 64
        cumulative = []
        for m_x, m_pair in zip(m[:2000], pair[:2000], strict=True):
            grid = 2 * PION + shares * (m_x - ETA - 2 * PION)
            density = q(grid, PION, PION) * q(m_x, grid, ETA)
            cumulative.append(density[grid < m_pair].sum() / density.sum())
        assert stats.kstest(np.array(cumulative), "uniform").pvalue > 1e-3


# Beams.


def test_a_spectrum_of_energies_gives_the_mean_of_the_volumes():
    energies = 3.0 + 6 * np.random.default_rng(3).random(N) ** 2
    got = generate_production(3, energies, PROTON, PROTON, TWO, N)
    np.testing.assert_array_equal(got.beam[:, 0], energies)
    lost = np.asarray(got.beam + got.target - got.recoil - system_of(got))
    assert np.abs(lost).max() < 1e-12
    weights = np.asarray(got.weights)
    centre = np.sqrt(PROTON**2 + 2 * energies * PROTON)
    difference = weights - np.asarray(phase_space_volume(centre, [PROTON, ETA, PION]))
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(N)


def test_beams_may_have_mass_and_recoils_another_one_than_the_target():
    got = generate_production(4, 5.0, PROTON, 1.232, TWO, N, beam_mass=0.493677)
    w = np.sqrt(0.493677**2 + PROTON**2 + 2 * 5.0 * PROTON)
    np.testing.assert_allclose(kin.dot(got.beam, got.beam), 0.493677**2, rtol=1e-12)
    np.testing.assert_allclose(kin.invariant_mass(got.recoil), 1.232, rtol=1e-12)
    lost = np.asarray(got.beam + got.target - got.recoil - system_of(got))
    assert np.abs(lost).max() < 1e-12
    weights = np.asarray(got.weights)
    assert abs(weights.mean() - volume_of(1.232, ETA, PION, w=w)) < 4 * weights.std() / np.sqrt(N)


def test_a_range_of_masses_covers_a_part_of_phase_space():
    got = generate_production(5, ENERGY, PROTON, PROTON, TWO, N, mass=UniformProposal(1.0, 1.5))
    assert mass_of(got).min() > 1.0 - 1e-12
    assert mass_of(got).max() < 1.5 + 1e-12

    def density(m):
        return pi**2 * q(W, m, PROTON) * q(m, ETA, PION) * 2 / (W * (2 * pi) ** 9)

    weights = np.asarray(got.weights)
    assert abs(weights.mean() - integrate.quad(density, 1.0, 1.5)[0]) < 4 * weights.std() / np.sqrt(N)


def test_a_range_of_t_covers_a_part_of_phase_space():
    got = generate_production(
        6,
        ENERGY,
        PROTON,
        PROTON,
        TWO,
        N,
        mass=UniformProposal(1.0, 1.5),
        t=ExponentialProposal(2.0, low=-1.0, high=-0.2),
    )
    t = np.asarray(kin.momentum_transfer(got.recoil, got.target))
    assert t.min() > -1 - 1e-12
    assert t.max() < -0.2 + 1e-12

    def density(m):
        return pi**2 * q(W, m, PROTON) * q(m, ETA, PION) * 2 / (W * (2 * pi) ** 9) * 0.8 / np.ptp(limits_of_t(m))

    weights = np.asarray(got.weights)
    assert abs(weights.mean() - integrate.quad(density, 1.0, 1.5)[0]) < 4 * weights.std() / np.sqrt(N)


def test_the_same_key_gives_the_same_events_under_jit_too():
    key = jax.random.key(1)
    once = generate_production(key, ENERGY, PROTON, PROTON, TWO, N)
    jitted = jax.jit(lambda k, e: generate_production(k, e, PROTON, PROTON, TWO, N))(key, ENERGY)
    for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(jitted), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    again = generate_production(1, ENERGY, PROTON, PROTON, TWO, N)
    np.testing.assert_array_equal(again.recoil, events().recoil)
    assert not np.isclose(again.recoil, once.recoil).all(axis=1).any()


# Proposals alone.

LOW, HIGH = 0.3, 2.2
DENSITIES = [
    UniformProposal(),
    UniformProposal(0.5, 1.0),
    UniformProposal(low=-5.0, high=1.1),
    BreitWignerProposal(1.3, 0.1),
    BreitWignerProposal(1.3, 0.1, high=1.35),
    BreitWignerProposal(60.0, 0.1),
    ExponentialProposal(4.0),
    ExponentialProposal(1e-9),
    ExponentialProposal(900.0),
    ExponentialProposal(4.0, 0.2, 1.0),
    MixtureProposal((BreitWignerProposal(1.3, 0.1), UniformProposal(0.5, 1.0), ExponentialProposal(3.0)), (1, 2, 5)),
    MixtureProposal((UniformProposal(high=0.6), UniformProposal(low=1.6))),
]


@pytest.mark.parametrize("proposal", DENSITIES, ids=str)
def test_draws_have_the_density_and_the_density_is_normalised(proposal):
    low, high = jnp.full(N, LOW), jnp.full(N, HIGH)
    drawn = np.asarray(proposal.draw(jax.random.key(5), low, high))
    assert drawn.min() >= LOW
    assert drawn.max() <= HIGH
    assert (np.asarray(proposal.density(drawn, low, high)) > 0).all()
    # Fine where the steepest exponential is.
    middle = np.sort(
        np.concatenate(
            [LOW + (HIGH - LOW) * (np.arange(N - 9000) + 0.5) / (N - 9000), HIGH - np.geomspace(1e-7, 0.05, 9000)]
        )
    )
    density = np.asarray(proposal.density(middle, low, high))
    cumulative = integrate.cumulative_trapezoid(density, middle, initial=0)
    assert cumulative[-1] == pytest.approx(1, abs=2e-3)
    assert stats.kstest(drawn, lambda x: np.interp(x, middle, cumulative / cumulative[-1])).pvalue > 1e-3
    outside = proposal.density(jnp.full(N, HIGH + 0.1), low, high)
    assert (np.asarray(outside) == 0).all()


def test_ranges_differ_between_events():
    low = jnp.linspace(0.3, 0.9, N)
    for proposal in DENSITIES[3], DENSITIES[6]:
        drawn = proposal.draw(jax.random.key(6), low, low + 1)
        assert (np.asarray(drawn) >= np.asarray(low)).all()
        assert (np.asarray(drawn) <= np.asarray(low + 1)).all()
    flat = UniformProposal().draw(jax.random.key(6), low, low + 1)
    assert stats.kstest(np.asarray(flat - low), "uniform").pvalue > 1e-3


# Refusals.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformProposal(1.0, 1.0), "UniformProposal: low must be below high, got low=1.0 and high=1.0"),
        (lambda: UniformProposal(low=np.nan), "UniformProposal: low must be finite or None, got nan"),
        (lambda: BreitWignerProposal(1.3, 0.0), "width finite and positive, got mass=1.3 and width=0.0"),
        (lambda: BreitWignerProposal(np.inf, 0.1), "mass must be finite"),
        (lambda: BreitWignerProposal(1.3, 0.1, 2.0, 1.0), "BreitWignerProposal: low must be below high"),
        (lambda: ExponentialProposal(-1.0), "slope must be positive and finite, got -1.0; 0 is UniformProposal"),
        (lambda: ExponentialProposal(1.0, high=np.inf), "ExponentialProposal: high must be finite or None, got inf"),
        (lambda: MixtureProposal((UniformProposal(),)), "two or more components are needed, got 1"),
        (lambda: MixtureProposal((UniformProposal(),) * 2, (1.0,)), "fractions must be 2 positive numbers"),
        (lambda: MixtureProposal((UniformProposal(),) * 2, (1.0, 0.0)), "fractions must be 2 positive numbers"),
    ],
)
def test_proposals_refuse_what_is_no_density(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def generate(**changes):
    arguments = {
        "key_or_seed": 0,
        "beam_energy": ENERGY,
        "target_mass": PROTON,
        "recoil_mass": PROTON,
        "daughters": TWO,
        "n_events": 10,
    }
    return generate_production(**(arguments | changes))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"beam_energy": 0.5}, ValueError, "beam_energy is too low for event 0: 0.5 GeV makes .* weigh 1.62111 GeV"),
        ({"beam_energy": np.r_[np.full(9, 8.0), 0.1]}, ValueError, "beam_energy is too low for event 9: 0.1 GeV"),
        ({"beam_energy": 0.1, "beam_mass": 0.14}, ValueError, "above the mass of the beam, 0.14 GeV, got 0.1 GeV"),
        ({"beam_energy": np.ones(3)}, ValueError, r"beam_energy must .* shape \(10,\), got shape \(3,\)"),
        ({"beam_energy": np.nan}, ValueError, "beam_energy must be finite and not negative, got nan"),
        ({"beam_mass": -1.0}, ValueError, "beam_mass must be finite and not negative, got -1"),
        ({"target_mass": 0.0}, ValueError, "target_mass must be positive"),
        ({"recoil_mass": np.ones(10)}, ValueError, r"recoil_mass must be one number, got shape \(10,\)"),
        ({"daughters": [ETA, PION]}, TypeError, "daughters must be masses by name, .* got list"),
        ({"daughters": {"eta": ETA}}, ValueError, r"two or more particles, got \['eta'\]"),
        ({"daughters": {"eta": ETA, "pi0": -0.1}}, ValueError, "the mass of pi0 must be finite and not negative"),
        (
            {"daughters": {"eta": ETA, "pi0": [0.1]}},
            ValueError,
            r"the mass of pi0 must be one number, got shape \(1,\)",
        ),
        ({"n_events": 0}, ValueError, "n_events must be at least 1, got 0"),
        ({"n_events": 2.0}, TypeError, "n_events must be a whole number"),
        ({"follow": "t"}, ValueError, "follow must be 'phase space' or 'proposals', got 't'"),
        ({"key_or_seed": None}, TypeError, "a JAX key"),
        ({"mass": UniformProposal(5.0, 6.0)}, ValueError, "low=5.0 to high=6.0 lies outside .* for event 0, 0.68"),
        (
            {"t": UniformProposal(0.5, 1.0)},
            ValueError,
            "UniformProposal: the range from low=0.5 to high=1.0 lies outside",
        ),
        ({"t": ExponentialProposal(3.0, low=0.1)}, ValueError, "ExponentialProposal: the range .* cut afterwards"),
    ],
)
def test_what_can_not_be_generated_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        generate(**changes)
