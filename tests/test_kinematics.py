"""Four-vectors against published numbers, plain numpy, and the whole chain from a gamp file to intensities."""

import re

import numpy as np
import pandas as pd
import pytest
from lorentz import PI_ZERO, PION, PROTON, boost_matrix, omega_pi_events, on_shell, to_rest
from models import rho_numpy

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

import jaxpwa as jp
from jaxpwa.physics import kinematics as kin
from jaxpwa.physics.kinematics import frames

BEAM = np.array([[8.747, 0, 0, 8.747]])
RECOIL = on_shell([0.119, 0.374, 0.222], 1.007)
K1 = on_shell([-0.112, 0.293, 3.081], 0.498)
K2 = on_shell([-0.007, -0.667, 5.446], 0.498)
SYSTEM = K1 + K2


def test_a_published_event_has_its_mass_and_mandelstam_variables():
    """REFERENCE 5.3, numbers of laddu."""
    assert float(kin.invariant_mass(SYSTEM)[0]) == pytest.approx(1.3743786309153077, rel=1e-13)
    target = SYSTEM + RECOIL - BEAM
    s, t, u = kin.mandelstam(BEAM, target, SYSTEM, RECOIL)
    assert float(s[0]) == pytest.approx(18.504011052120063, rel=1e-14)
    assert float(t[0]) == pytest.approx(-0.19222859969898076, rel=1e-13)
    assert float(u[0]) == pytest.approx(-14.404198931464428, rel=1e-14)
    assert float(kin.momentum_transfer(RECOIL, target)[0]) == pytest.approx(-0.19222859969898076, rel=1e-11)


def test_mandelstam_variables_add_up_to_the_masses_squared():
    e = omega_pi_events(100)
    variables = kin.mandelstam(e["beam"], e["target"], e["system"], e["recoil"])
    masses = sum(kin.invariant_mass_squared(e[name]) for name in ("beam", "target", "system", "recoil"))
    np.testing.assert_allclose(sum(variables), masses, atol=1e-12)
    np.testing.assert_allclose(variables.t, kin.momentum_transfer(e["recoil"], [PROTON, 0, 0, 0]), atol=1e-12)


def test_a_published_boost():
    got = kin.boost(np.array([[10.0, 3, 4, 5]]), -np.array([3.4, 2.3, 1.2]) / 9)
    expected = [8.157632144622882, -0.6489200627053444, 1.5316128987581492, 3.712145860221643]
    np.testing.assert_allclose(got[0], expected, rtol=1e-13)


def test_boosts_are_lorentz_matrices_and_undo_each_other():
    rng = np.random.default_rng(0)
    p, beta = rng.normal(size=(200, 4)), rng.uniform(-0.55, 0.55, (200, 3))
    there = kin.boost(p, beta)
    np.testing.assert_allclose(there, np.einsum("nij,nj->ni", boost_matrix(beta), p), atol=1e-13)
    np.testing.assert_allclose(kin.dot(there, there), kin.dot(p, p), atol=1e-12)
    np.testing.assert_allclose(kin.boost(there, -beta), p, atol=1e-12)


def test_rest_frames_are_reached_by_boosts_without_rotation():
    rng = np.random.default_rng(1)
    moving, p = on_shell(rng.normal(size=(200, 3)), 0.9), rng.normal(size=(200, 4))
    at_rest = kin.in_rest_frame_of(moving, moving)
    np.testing.assert_allclose(at_rest, np.tile([0.9, 0, 0, 0], (200, 1)), atol=1e-14)
    expected = np.einsum("nij,nj->ni", boost_matrix(-moving[:, 1:] / moving[:, :1]), p)
    np.testing.assert_allclose(kin.in_rest_frame_of(p, moving), expected, atol=1e-13)
    # What is at rest already leaves everything as it is.
    np.testing.assert_array_equal(kin.in_rest_frame_of(p, [2.0, 0, 0, 0]), p)


def test_massless_and_space_like_vectors_are_not_nan():
    """O24: rounding makes a photon's mass squared -4e-16."""
    odd = np.array([[np.sqrt(3), 1, 1, 1], [1, 2, 0, 0], [1, 1, 0, 0], [0.0, 0, 0, 0]])
    mass = np.asarray(kin.invariant_mass(odd))
    assert abs(mass[0]) < 1e-7
    assert mass[1:].tolist() == [-np.sqrt(3), 0, 0]
    assert np.asarray(kin.invariant_mass_squared(odd))[1:].tolist() == [-3, 0, 0]
    gradient = jax.grad(lambda p: kin.invariant_mass(p).sum())(jnp.asarray(odd))
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[2:], 0)


def test_four_vectors_are_made_of_columns():
    e, px, py, pz = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(kin.four_vector(e, px, py, pz), np.column_stack([e, px, py, pz]))
    np.testing.assert_array_equal(kin.four_vector([1, 2], [3, 4], 0, [5, 6]), [[1, 3, 0, 5], [2, 4, 0, 6]])
    np.testing.assert_allclose(kin.four_vector_from_mass(0.5, px, py, pz), on_shell(np.column_stack([px, py, pz]), 0.5))
    gradient = jax.grad(lambda m: kin.four_vector_from_mass(m, 0.0, 0.0, 0.0)[0])(0.0)
    assert float(gradient) == 0
    with pytest.raises(ValueError, match=re.escape("columns of four_vector must have one entry per event each: got")):
        kin.four_vector(e, px, py, pz[:2])


def test_four_vectors_are_taken_as_arrays_or_columns_of_any_length():
    columns = tuple(SYSTEM.T)
    for same in (SYSTEM, jnp.asarray(SYSTEM), columns, list(columns), pd.DataFrame(SYSTEM)):
        np.testing.assert_array_equal(kin.invariant_mass(same), kin.invariant_mass(SYSTEM))
    assert kin.invariant_mass(SYSTEM[0]).shape == ()
    assert kin.invariant_mass((5, 3, 0, 0)).shape == ()
    assert kin.dot(np.ones((5, 1, 4)), np.ones((3, 4))).shape == (5, 3)
    np.testing.assert_array_equal(jax.vmap(kin.invariant_mass)(SYSTEM), kin.invariant_mass(SYSTEM))
    np.testing.assert_allclose(
        jax.jit(kin.boost)(columns, (0.1, 0.2, 0.3)), kin.boost(SYSTEM, np.array([0.1, 0.2, 0.3])), rtol=1e-14
    )


def test_precision_follows_the_input():
    single = SYSTEM.astype(np.float32)
    for result in (
        kin.invariant_mass(single),
        kin.boost(single, (0.1, 0.2, 0.3)),
        kin.rotate(single, "y", 0.4),
        kin.in_rest_frame_of(single, single),
        kin.momentum_transfer(single, [0.938, 0, 0, 0]),
    ):
        assert result.dtype == jnp.float32
    assert kin.invariant_mass(np.array([5, 3, 0, 0])).dtype == jnp.float64
    assert kin.invariant_mass([5, 3, 0, 0]).dtype == jnp.float64


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            np.ones((7, 3)),
            ValueError,
            "a must be an array of shape (events, 4) or 4 columns (E, px, py, pz), got s",
        ),
        (1.0, ValueError, "a must be an array of shape (events, 4) or 4 columns (E, px, py, pz), got shape ()"),
        ([[5.0, 0, 0, 3]], ValueError, "a, as a list, must have the 4 columns (E, px, py, pz): got 1 (list). Rows of"),
        ([[1, 2, 3, 4]] * 4, ValueError, "must have the 4 columns (E, px, py, pz): got 4 (list, list, list, list)"),
        (np.ones((3, 4)), ValueError, "four-vectors must have one entry per event each: got a (3, 4), b (2, 4)"),
        (np.ones((2, 4)) * 1j, TypeError, "a must be of real numbers, got dtype complex128"),
        (("one", 1, 2, 3), TypeError, "E of a must be of real numbers, got dtype <U3"),
    ],
)
def test_what_is_no_four_vector_is_refused(wrong, error, message):
    with pytest.raises(error, match=re.escape(message)):
        kin.dot(wrong, np.ones((2, 4)))


def test_what_is_no_velocity_is_refused():
    with pytest.raises(
        ValueError, match=re.escape("velocity must be an array of shape (events, 3) or 3 columns (x, y, z)")
    ):
        kin.boost(SYSTEM, np.ones(4))


@pytest.mark.parametrize(("axis", "i", "j"), [("x", 2, 3), ("y", 3, 1), ("z", 1, 2)])
def test_rotations_about_axes_are_active(axis, i, j):
    angle = np.array([0.3, -2.0])
    p = np.array([[5.0, 1, 2, 3], [6.0, -1, 0.5, 2]])
    expected = p.copy()
    expected[:, i] = np.cos(angle) * p[:, i] - np.sin(angle) * p[:, j]
    expected[:, j] = np.sin(angle) * p[:, i] + np.cos(angle) * p[:, j]
    np.testing.assert_allclose(kin.rotate(p, axis, angle), expected, atol=1e-15)
    np.testing.assert_allclose(kin.rotate(p, 3 * np.eye(3)["xyz".index(axis)], angle), expected, atol=1e-15)
    np.testing.assert_allclose(kin.rotate(p[0], axis, angle)[1], kin.rotate(p[:1], axis, -2.0)[0], atol=1e-15)


def test_rotations_about_any_axis_are_those_of_scipy():
    transform = pytest.importorskip("scipy.spatial.transform")
    rng = np.random.default_rng(2)
    p, axis, angle = rng.normal(size=(20, 4)), rng.normal(size=(20, 3)), rng.uniform(-3, 3, 20)
    unit = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    expected = transform.Rotation.from_rotvec(angle[:, None] * unit).apply(p[:, 1:])
    got = kin.rotate(p, axis, angle)
    np.testing.assert_allclose(got[:, 1:], expected, atol=1e-14)
    np.testing.assert_array_equal(got[:, 0], p[:, 0])


def test_nothing_rotates_about_no_axis():
    np.testing.assert_array_equal(kin.rotate(SYSTEM, (0.0, 0, 0), 1.0), SYSTEM)
    assert np.isfinite(jax.grad(lambda n: kin.rotate(SYSTEM, n, 1.0).sum())(jnp.zeros(3))).all()
    with pytest.raises(ValueError, match=re.escape("""axis must be "x", "y", "z" or a vector, got 'beam'.""")):
        kin.rotate(SYSTEM, "beam", 1.0)


def test_gradients_match_finite_differences():
    rng = np.random.default_rng(3)
    p, q, v = (
        jnp.asarray(a) for a in (rng.normal(size=(3, 4)), on_shell(rng.normal(size=(3, 3)), 0.7), [0.1, 0.3, 0.2])
    )
    for function, arguments in (
        (kin.boost, (p, v)),
        (kin.in_rest_frame_of, (p, q)),
        (kin.rotate, (p, v, jnp.array(0.4))),
        (kin.invariant_mass, (q,)),
        (kin.four_vector_from_mass, tuple(p.T)),
    ):
        check_grads(jax.jit(function), arguments, order=1, modes=["rev"], rtol=1e-5)


def test_the_recoil_proton_gives_t():
    """O24: t = 2 m (m - E) for a target at rest."""
    m = 0.9382720813
    recoil = np.array([[1.5, 0, 0, np.sqrt(1.5**2 - m**2)]])
    assert float(kin.momentum_transfer(recoil, [m, 0, 0, 0])[0]) == pytest.approx(-1.0541072468, abs=1e-10)


def test_the_chain_from_a_gamp_file_to_the_stored_intensities(shared_data, rho_folder):
    table = jp.read(shared_data / "pypwa/tests/test_data/docs/large.gamp")
    beam, proton, pi_minus, pi_plus = table.p4
    costheta, phi = frames.helicity_angles(pi_plus, pi_plus + pi_minus, proton, beam)
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


def test_lambda_is_that_of_its_definition():
    e = omega_pi_events(200)
    plus, minus, zero = (to_rest(e[name], e["omega"]) for name in ("pi_plus", "pi_minus", "pi_zero"))
    mean = (2 * PION + PI_ZERO) / 3
    q = plus[:, 0] + minus[:, 0] + zero[:, 0] - 3 * mean
    top = q**2 * (q**2 / 108 + mean * q / 9 + mean**2 / 3)
    expected = (np.cross(plus[:, 1:], minus[:, 1:]) ** 2).sum(1) / top
    got = np.asarray(kin.omega_lambda(e["pi_plus"], e["pi_minus"], e["pi_zero"]))
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    # Any two of the three make the same area.
    np.testing.assert_allclose(kin.omega_lambda(e["pi_zero"], e["pi_plus"], e["pi_minus"]), got, atol=1e-9)
    assert got.min() >= 0
    assert got.max() < 1


def test_lambda_is_1_for_equal_momenta_and_0_for_collinear_ones():
    star = [on_shell([0.2 * np.cos(a), 0.2 * np.sin(a), 0], PION) for a in np.array([0, 2, 4]) * np.pi / 3]
    np.testing.assert_allclose(kin.omega_lambda(*star), 1, rtol=1e-12)
    line = [on_shell([0, 0, p], PION) for p in (0.3, -0.1, -0.2)]
    np.testing.assert_allclose(kin.omega_lambda(*line), 0, atol=1e-14)


def test_the_highest_lambda_is_that_of_its_docstring():
    optimize = pytest.importorskip("scipy.optimize")
    mass = 0.78266

    def value(energies):
        e_plus, e_minus = energies
        p, m, z = e_plus**2 - PION**2, e_minus**2 - PION**2, (mass - e_plus - e_minus) ** 2 - PI_ZERO**2
        cosine = (z - p - m) / (2 * np.sqrt(p * m))
        plus = on_shell([np.sqrt(p), 0, 0], PION)
        minus = on_shell([np.sqrt(m) * cosine, np.sqrt(m * (1 - cosine**2)), 0], PION)
        return float(kin.omega_lambda(plus, minus, np.array([[mass, 0, 0, 0]]) - plus - minus)[0])

    best = optimize.minimize(lambda v: -value(v), [mass / 3, mass / 3], method="Nelder-Mead", options={"maxiter": 60})
    assert -best.fun == pytest.approx(0.99987, abs=1e-5)


def test_lambda_is_0_at_the_threshold_with_a_finite_gradient():
    at_rest = jnp.array([0.5, 0.0, 0.0, 0.0])
    value, gradient = jax.value_and_grad(lambda p: kin.omega_lambda(p, at_rest, at_rest))(at_rest)
    assert float(value) == 0
    assert np.isfinite(gradient).all()
