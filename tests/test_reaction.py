"""Reactions by role, t', production plane and polarisation, against published numbers and plain numpy."""

import re

import numpy as np
import pytest
from lorentz import PROTON, decay, momentum, omega_pi_events, on_shell, to_rest

import jax
import jax.numpy as jnp

from jaxpwa.physics import kinematics as kin
from jaxpwa.physics.kinematics import frames, reaction

BEAM = np.array([[8.747, 0, 0, 8.747]])
RECOIL = on_shell([0.119, 0.374, 0.222], 1.007)
K1 = on_shell([-0.112, 0.293, 3.081], 0.498)
K2 = on_shell([-0.007, -0.667, 5.446], 0.498)
POLARISATION = 0.38562805 * np.array([np.cos(0.05708078), np.sin(0.05708078), 0])
EVENT = reaction.Reaction(beam=BEAM, recoil=RECOIL, daughters={"K1": K1, "K2": K2})


def around(angle):
    return np.mod(np.asarray(angle) + np.pi, 2 * np.pi) - np.pi


def test_a_published_event_has_its_numbers_by_role():
    """REFERENCE 5.3, numbers of laddu."""
    np.testing.assert_allclose(EVENT.mandelstam().t, -0.19222859969898076, rtol=1e-12)
    np.testing.assert_allclose(EVENT.mandelstam().s, 18.504011052120063, rtol=1e-13)
    np.testing.assert_allclose(EVENT.helicity_angles("K1"), [[-0.4611175068834238], [-2.657462587335066]], rtol=1e-12)
    expected = [[0.09198832278031577], [-2.713913199133907]]
    np.testing.assert_allclose(EVENT.gottfried_jackson_angles("K1"), expected, rtol=1e-12)
    for phi in (EVENT.polarisation_angle(0.05708078), EVENT.polarisation_angle(vector=POLARISATION)):
        np.testing.assert_allclose(phi, 1.935929887818673, rtol=1e-13)


def test_a_reaction_is_a_record_of_the_functions():
    e = omega_pi_events(30)
    daughters = {name: e[name] for name in ("pi_plus", "pi_minus", "pi_zero", "bachelor")}
    r = reaction.Reaction(beam=e["beam"], recoil=e["recoil"], daughters=daughters, target=PROTON)
    omega = ("pi_plus", "pi_minus", "pi_zero")
    np.testing.assert_allclose(r.p4(*omega), e["omega"], atol=1e-12)
    np.testing.assert_allclose(r.system, e["system"], atol=1e-12)
    np.testing.assert_array_equal(r.target, e["target"])
    roles = e["system"], e["recoil"], e["beam"]
    for got, function in (
        (r.helicity_angles(*omega), frames.helicity_angles),
        (r.gottfried_jackson_angles(*omega), frames.gottfried_jackson_angles),
        (r.adair_angles(*omega), frames.adair_angles),
    ):
        np.testing.assert_allclose(got, function(e["omega"], *roles), atol=1e-9)
    np.testing.assert_allclose(r.production_plane_angle(), np.arctan2(e["system"][:, 2], e["system"][:, 1]), atol=1e-12)
    masses = [0.0, PROTON, np.asarray(kin.invariant_mass(e["system"])), PROTON]
    variables = kin.mandelstam(e["beam"], e["target"], e["system"], e["recoil"])
    np.testing.assert_allclose(r.t_prime(), reaction.t_prime(variables.t, variables.s, *masses), atol=1e-12)


@pytest.mark.parametrize("target", [None, PROTON, (PROTON, 0.0, 0.0, 0.0), np.array([PROTON, 0, 0, 0])])
def test_a_target_is_a_mass_four_vectors_or_what_remains(target):
    e = omega_pi_events(5)
    r = reaction.Reaction(beam=e["beam"], recoil=e["recoil"], daughters={"X": e["system"]}, target=target)
    np.testing.assert_allclose(r.target, e["target"], atol=1e-12)


def test_reactions_are_pytrees():
    @jax.jit
    def angle(r):
        return r.helicity_angles("K1")[0].sum()

    gradient = jax.grad(angle)(EVENT)
    assert isinstance(gradient, reaction.Reaction)
    assert gradient.daughters["K1"].shape == (1, 4)
    assert float(angle(EVENT)) == pytest.approx(-0.4611175068834238, rel=1e-12)
    masses = jax.jit(
        lambda m, r: reaction.Reaction(beam=r.beam, recoil=r.recoil, daughters=r.daughters, target=m).target
    )
    np.testing.assert_array_equal(masses(0.9, EVENT), [[0.9, 0, 0, 0]])


def test_what_makes_no_reaction_is_refused():
    with pytest.raises(ValueError, match="daughters must have at least one name"):
        reaction.Reaction(beam=BEAM, recoil=RECOIL, daughters={})
    with pytest.raises(
        ValueError, match=re.escape("beam (1, 4), recoil (1, 4), daughter 'a' (2, 4), daughter 'b' (3, 4)")
    ):
        reaction.Reaction(beam=BEAM, recoil=RECOIL, daughters={"a": np.ones((2, 4)), "b": np.ones((3, 4))})
    with pytest.raises(ValueError, match="unknown daughter 'eta'; the daughters are: K1, K2"):
        EVENT.helicity_angles("K1", "eta")
    with pytest.raises(ValueError, match="one or more daughters must be named; the daughters are: K1, K2"):
        EVENT.p4()


def test_phi_is_the_polarisation_minus_the_production_plane():
    e = omega_pi_events(50, seed=1)
    azimuth = np.arctan2(e["system"][:, 2], e["system"][:, 1])
    np.testing.assert_allclose(reaction.production_plane_angle(e["beam"], e["recoil"]), azimuth, atol=1e-12)
    for alpha in (0.0, 0.7, np.linspace(-3, 3, 50)):
        phi = reaction.polarisation_angle(e["beam"], e["recoil"], alpha)
        np.testing.assert_allclose(around(phi - (alpha - azimuth)), 0, atol=1e-12)


def test_phi_does_not_depend_on_where_one_looks_along_and_around_the_beam():
    e = omega_pi_events(50, seed=2)
    here = reaction.polarisation_angle(e["beam"], e["recoil"], 0.4)
    along = [kin.boost(e[name], (0.0, 0.0, -0.7)) for name in ("beam", "recoil")]
    np.testing.assert_allclose(around(reaction.polarisation_angle(*along, 0.4) - here), 0, atol=1e-12)
    turned = [kin.rotate(e[name], "z", 1.3) for name in ("beam", "recoil")]
    np.testing.assert_allclose(around(reaction.polarisation_angle(*turned, 0.4 + 1.3) - here), 0, atol=1e-12)
    # With a vector the beam may have any direction.
    vector = (0.0, 2 * np.cos(0.4), 2 * np.sin(0.4), 0.0)
    beam, recoil, vector = (kin.rotate(p, (1.0, -2.0, 0.5), 0.9) for p in (e["beam"], e["recoil"], vector))
    got = reaction.polarisation_angle(beam, recoil, vector=vector[1:])
    np.testing.assert_allclose(around(got - here), 0, atol=1e-12)


def test_without_a_plane_phi_is_0_with_gradient_0():
    forward = jnp.array([1.0, 0, 0, 0.3])
    value, gradient = jax.value_and_grad(lambda r: reaction.polarisation_angle(BEAM[0], r, 0.3))(forward)
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, 0)


def test_a_polarisation_is_an_angle_or_a_vector():
    with pytest.raises(TypeError, match=re.escape("must have either an angle or a vector: got none.")):
        reaction.polarisation_angle(BEAM, RECOIL)
    with pytest.raises(TypeError, match=re.escape("must have either an angle or a vector: got both.")):
        EVENT.polarisation_angle(0.3, vector=POLARISATION)
    with pytest.raises(ValueError, match=re.escape("angle and four-vectors must have one entry per event each: got")):
        reaction.polarisation_angle(np.ones((3, 4)), np.ones((3, 4)), np.ones(2))


@pytest.mark.parametrize("masses", [(0.0, PROTON, 1.3, PROTON), (0.14, PROTON, 0.6, 1.1), (0.5, 1.4, 0.3, 0.9)])
def test_limits_of_t_are_those_of_events_going_forward_and_backward(masses):
    b, t, x, r = masses
    w = np.array([2.6, 4.1, 30.0])
    p = momentum(w, b, t)
    zero = np.zeros(3)
    beam = np.column_stack([np.sqrt(b**2 + p**2), zero, zero, p])
    total = np.column_stack([w, zero, zero, zero])
    found = []
    for cosine in (1.0, -1.0, 0.3):
        system, recoil = decay(np.random.default_rng(0), total, x, r, np.full(3, cosine))
        found.append(np.asarray(kin.mandelstam(beam, total - beam, system, recoil).t))
    limits = reaction.t_limits(w**2, *masses)
    np.testing.assert_allclose(limits, found[:2], rtol=1e-9, atol=1e-11)
    prime = reaction.t_prime(np.array(found), w**2, *masses)
    np.testing.assert_allclose(prime[0], 0, atol=1e-9)
    # t' = 2 p_b p_X (1 - cos theta).
    np.testing.assert_allclose(prime[2], 2 * p * momentum(w, x, r) * (1 - 0.3), rtol=1e-9)
    assert (prime[1] > prime[2]).all()


def test_t_prime_of_photoproduction_is_that_of_mpmath():
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 40
    m, x, energy = mp.mpf("0.93827208816"), mp.mpf("1.3183"), mp.mpf("8.65")
    s = m * m + 2 * m * energy
    p_in = (s - m * m) / (2 * mp.sqrt(s))
    e_out = (s + x * x - m * m) / (2 * mp.sqrt(s))
    forward = x * x - 2 * p_in * (e_out - mp.sqrt(e_out**2 - x * x))
    got = reaction.t_prime(-0.2, float(s), 0.0, float(m), float(x), float(m))
    assert float(got) == pytest.approx(float(forward + mp.mpf("0.2")), rel=1e-13)


def test_t_prime_is_not_negative_in_events():
    e = omega_pi_events(200, seed=3)
    r = reaction.Reaction(beam=e["beam"], recoil=e["recoil"], daughters={"X": e["system"]}, target=PROTON)
    assert float(r.t_prime().min()) > -1e-12


def test_limits_of_t_are_finite_at_and_below_the_threshold():
    s = jnp.array([(1.2 + PROTON) ** 2, 3.0])
    for limit in (0, 1):
        total = jax.value_and_grad(lambda v, i=limit: reaction.t_limits(v, 0.0, PROTON, 1.2, PROTON)[i].sum())
        value, gradient = total(s)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def longitudinal(omega, r, seed=0):
    """Three particles whose momenta along z are those of van Hove's formula, in their rest frame."""
    rng = np.random.default_rng(seed)
    q = np.sqrt(2 / 3) * r * np.sin(omega + np.array([0, 2, 4])[:, None] * np.pi / 3)
    across = rng.normal(size=(3, 2, len(omega)))
    across[2] = -across[0] - across[1]
    return [on_shell(np.column_stack([*a, along]), m) for a, along, m in zip(across, q, (0.5, 0.14, 0.94), strict=True)]


def test_van_hoves_coordinates_are_those_of_his_formula():
    omega, r = np.linspace(0.01, 2 * np.pi - 0.01, 40), np.linspace(0.1, 3, 40)
    particles = longitudinal(omega, r)
    got = reaction.van_hove(*particles, BEAM[0])
    np.testing.assert_allclose(got, [omega, r], atol=1e-12)
    moved = [kin.rotate(kin.boost(p, (0.0, 0.0, 0.8)), "x", 0.7) for p in (*particles, BEAM[0])]
    np.testing.assert_allclose(reaction.van_hove(*moved), got, atol=1e-10)


def test_van_hoves_sectors_tell_who_goes_forward():
    e = omega_pi_events(200)
    total = e["system"] + e["recoil"]
    particles = e["omega"], e["bachelor"], e["recoil"]
    omega, r = (np.asarray(v) for v in reaction.van_hove(*particles, e["beam"]))
    q = np.array([to_rest(p, total)[:, 3] for p in particles])
    np.testing.assert_allclose(r, np.sqrt((q**2).sum(0)), rtol=1e-12)
    sector = np.floor(omega / (np.pi / 3)).astype(int)
    # Signs of the three, from omega = 0 on.
    signs = np.array([[1, 1, -1], [1, -1, -1], [1, -1, 1], [-1, -1, 1], [-1, 1, 1], [-1, 1, -1]])
    np.testing.assert_array_equal(signs[sector], np.sign(q.T))


def test_motion_across_the_beam_alone_is_finite():
    particles = [jnp.array(on_shell(p, 0.5)[0]) for p in ([0.25, 0.125, 0], [-0.125, 0.25, 0], [-0.125, -0.375, 0])]
    value, gradient = jax.value_and_grad(lambda p: sum(reaction.van_hove(*p, BEAM[0])))(particles)
    assert float(value) == 0
    assert all(np.isfinite(g).all() for g in gradient)
