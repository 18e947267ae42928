"""Kinematics against published numbers, plain numpy, and the whole chain from a gamp file to intensities."""

import numpy as np
import pytest
from models import rho_numpy

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

import jaxpwa as jp
from jaxpwa.physics import kinematics as kin


def on_shell(momentum, mass):
    momentum = np.atleast_2d(momentum)
    return np.column_stack([np.sqrt(mass**2 + (momentum**2).sum(1)), momentum])


BEAM = np.array([[8.747, 0, 0, 8.747]])
PROTON = on_shell([0.119, 0.374, 0.222], 1.007)
K1 = on_shell([-0.112, 0.293, 3.081], 0.498)
K2 = on_shell([-0.007, -0.667, 5.446], 0.498)
SYSTEM = K1 + K2


def test_a_published_event_has_its_masses_angles_and_transfer():
    """REFERENCE 5.3, numbers of laddu."""
    assert float(kin.invariant_mass(SYSTEM)[0]) == pytest.approx(1.3743786309153077, rel=1e-13)
    costheta, phi = kin.helicity_angles(K1, SYSTEM, PROTON, BEAM)
    assert float(costheta[0]) == pytest.approx(-0.4611175068834238, rel=1e-12)
    assert float(phi[0]) == pytest.approx(-2.657462587335066, rel=1e-12)
    costheta, phi = kin.gottfried_jackson_angles(K1, SYSTEM, PROTON, BEAM)
    assert float(costheta[0]) == pytest.approx(0.09198832278031577, rel=1e-11)
    assert float(phi[0]) == pytest.approx(-2.713913199133907, rel=1e-12)
    target = SYSTEM + PROTON - BEAM
    assert float(kin.momentum_transfer(PROTON, target)[0]) == pytest.approx(-0.19222859969898076, rel=1e-11)


def test_a_published_boost():
    got = kin.boost(np.array([[10.0, 3, 4, 5]]), -np.array([3.4, 2.3, 1.2]) / 9)
    expected = [8.157632144622882, -0.6489200627053444, 1.5316128987581492, 3.712145860221643]
    np.testing.assert_allclose(got[0], expected, rtol=1e-13)


def test_boosts_keep_products_and_undo_each_other():
    rng = np.random.default_rng(0)
    p, beta = rng.normal(size=(200, 4)), rng.uniform(-0.55, 0.55, (200, 3))
    there = kin.boost(p, beta)
    np.testing.assert_allclose(kin.dot(there, there), kin.dot(p, p), atol=1e-12)
    np.testing.assert_allclose(kin.boost(there, -beta), p, atol=1e-12)
    moving = on_shell(rng.normal(size=(200, 3)), 0.9)
    np.testing.assert_allclose(kin.in_rest_frame_of(moving, moving)[:, 1:], 0, atol=1e-14)


def test_massless_and_space_like_vectors_are_not_nan():
    """O24: rounding makes a photon's mass squared -4e-16."""
    odd = np.array([[np.sqrt(3), 1, 1, 1], [1, 2, 0, 0], [1, 1, 0, 0], [0.0, 0, 0, 0]])
    mass = np.asarray(kin.invariant_mass(odd))
    assert abs(mass[0]) < 1e-7
    assert mass[1:].tolist() == [-np.sqrt(3), 0, 0]
    gradient = jax.grad(lambda p: kin.invariant_mass(p).sum())(jnp.asarray(odd))
    assert np.isfinite(gradient[1:]).all()


def test_gradients_of_angles_match_finite_differences():
    arguments = tuple(jnp.asarray(v) for v in (K1, SYSTEM, PROTON, BEAM))
    check_grads(lambda *a: kin.helicity_angles(*a), arguments, order=1, modes=["rev"], rtol=1e-5)
    check_grads(lambda *a: kin.gottfried_jackson_angles(*a), arguments, order=1, modes=["rev"], rtol=1e-5)


def test_the_recoil_proton_gives_t():
    """O24: t = 2 m (m - E) for a target at rest."""
    m = 0.9382720813
    recoil = np.array([[1.5, 0, 0, np.sqrt(1.5**2 - m**2)]])
    assert float(kin.momentum_transfer(recoil, [m, 0, 0, 0])[0]) == pytest.approx(-1.0541072468, abs=1e-10)


def test_the_chain_from_a_gamp_file_to_the_stored_intensities(shared_data, rho_folder):
    table = jp.read(shared_data / "pypwa/tests/test_data/docs/large.gamp")
    beam, proton, pi_minus, pi_plus = table.p4
    costheta, phi = kin.helicity_angles(pi_plus, pi_plus + pi_minus, proton, beam)
    t = np.asarray(kin.momentum_transfer(proton, [0.9382720813, 0, 0, 0]))
    assert t.mean() == pytest.approx(-0.17919362852966123, rel=1e-10)
    assert t[0] == pytest.approx(-1.52119473, abs=1e-8)
    psi = (np.pi - np.asarray(phi) - np.arctan2(proton[:, 2], proton[:, 1])) % (2 * np.pi)
    stored = jp.read(rho_folder / "flat_data.csv").iloc[:1000]
    np.testing.assert_allclose(costheta, stored["ctheta"], atol=6e-7)
    np.testing.assert_allclose(t, stored["tM"], atol=5e-6)
    around = lambda a: (a + np.pi) % (2 * np.pi) - np.pi  # noqa: E731
    assert np.abs(around(np.asarray(phi) - stored["phi"])).max() < 6e-6
    assert np.abs(around(psi - stored["psi"])).max() < 8e-5
    values = rho_numpy(100, 0.4, {"tM": t, "ctheta": costheta, "psi": psi})
    expected = np.loadtxt(rho_folder / "RHOint_intensities.txt")[:1000]
    np.testing.assert_allclose(values, expected, rtol=2e-3, atol=5e-3)
