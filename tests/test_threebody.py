"""Three-body kinematics against momenta that are boosted and turned by matrices in plain numpy."""

import itertools

import numpy as np
import pytest
from lorentz import boost_matrix, decay, to_rest

import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics.breakup import kallen
from jaxpwa.physics.kinematics.threebody import (
    dalitz_boundary,
    invariants,
    invariants_of_angle,
    is_inside_dalitz,
    kibble,
    pair,
)
from jaxpwa.physics.kinematics.threebody_angles import cos_theta, cos_zeta, orientation, theta, zeta
from jaxpwa.physics.spin import wigner_d

MASS, MASSES = 2.28646, (0.938272046, 0.13957018, 0.493677)
NUMBERS = (1, 2, 3)


def events(n, seed=0, mass=MASS, masses=MASSES):
    """Momenta of three particles, flat in a pair's mass, in the rest frame of the decaying particle."""
    rng = np.random.default_rng(seed)
    at_rest = np.tile([mass, 0, 0, 0.0], (n, 1))
    m12 = rng.uniform(masses[0] + masses[1] + 1e-3, mass - masses[2] - 1e-3, n)
    p12, p3 = decay(rng, at_rest, m12, masses[2])
    return (*decay(rng, p12, *masses[:2]), p3)


def about_y(angle):
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    rows = [[one, zero, zero, zero], [zero, c, zero, s], [zero, zero, one, zero], [zero, -s, zero, c]]
    return np.moveaxis(np.array(rows), -1, 0)


def along_z(p):
    """Boost to a frame in which the particle at rest flies along z, as fast as it does."""
    size, still = np.linalg.norm(p[:, 1:], axis=1), np.zeros(len(p))
    return boost_matrix(np.column_stack([still, still, size / p[:, 0]]))


def axes(momenta, k):
    """Lorentz matrix whose columns are the axes of the frame of chain k in the rest frame of the decaying particle."""
    z = -momenta[k - 1][:, 1:] / np.linalg.norm(momenta[k - 1][:, 1:], axis=1)[:, None]
    y = np.cross(momenta[1][:, 1:], momenta[0][:, 1:])
    y /= np.linalg.norm(y, axis=1)[:, None]
    out = np.tile(np.eye(4), (len(z), 1, 1))
    out[:, 1:, 1:] = np.stack([np.cross(y, z), y, z], axis=-1)
    return out


def frame_of(n, k, momenta):
    """Lorentz matrix from the rest frame of particle n, with the axes to which chain k leads, to that of the decay."""
    first = axes(momenta, k)
    i, j = pair(k)
    half_turn = about_y(np.full(len(first), np.pi))
    if n == k:
        return first @ half_turn @ along_z(momenta[k - 1])
    step = first @ along_z(momenta[i - 1] + momenta[j - 1])
    inside = np.linalg.solve(step, momenta[i - 1][..., None])[..., 0]
    step = step @ about_y(np.arctan2(inside[:, 1], inside[:, 3]))
    return (
        step @ along_z(inside) if n == i else step @ half_turn @ along_z(to_rest(momenta[j - 1], pair_of(momenta, k)))
    )


def pair_of(momenta, k):
    i, j = pair(k)
    return momenta[i - 1] + momenta[j - 1]


def turn_about_y(matrix):
    """Angle of a rotation about y, which it is shown to be."""
    angle = np.arctan2(matrix[:, 1, 3], matrix[:, 3, 3])
    np.testing.assert_allclose(matrix, about_y(angle), atol=1e-10)
    return angle


def assert_same_angle(got, expected):
    difference = (np.asarray(got) - expected + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(difference, 0, atol=1e-7)


def test_invariants_are_masses_of_pairs_and_hold_the_mass():
    p1, p2, p3 = events(50)
    sigma = invariants(p1, p2, p3)
    for got, (a, b) in zip(sigma, ((p2, p3), (p3, p1), (p1, p2)), strict=True):
        total = a + b
        np.testing.assert_allclose(got, total[:, 0] ** 2 - (total[:, 1:] ** 2).sum(1), rtol=1e-13)
    np.testing.assert_allclose(sum(sigma), MASS**2 + sum(m**2 for m in MASSES), rtol=1e-13)


@pytest.mark.parametrize("k", NUMBERS)
def test_theta_is_the_angle_in_the_rest_frame_of_the_pair(k):
    momenta = events(50)
    sigma = invariants(*momenta)
    i, _ = pair(k)
    of_pair = pair_of(momenta, k)
    inside, against = (to_rest(p, of_pair)[:, 1:] for p in (momenta[i - 1], -momenta[k - 1]))
    expected = (inside * against).sum(1) / np.linalg.norm(inside, axis=1) / np.linalg.norm(against, axis=1)
    np.testing.assert_allclose(cos_theta(sigma, MASSES, k), expected, atol=1e-11)
    np.testing.assert_allclose(theta(sigma, MASSES, k), np.arccos(expected), atol=1e-7)
    again = invariants_of_angle(MASS, MASSES, k, sigma[k - 1], expected)
    np.testing.assert_allclose(again, sigma, rtol=1e-11)


@pytest.mark.parametrize(("k", "r"), list(itertools.product(NUMBERS, repeat=2)))
def test_zeta_is_the_rotation_between_the_frames_that_chains_lead_to(k, r):
    momenta = events(30, seed=k)
    sigma = invariants(*momenta)
    of_parent = np.linalg.inv(axes(momenta, r)) @ axes(momenta, k)
    assert_same_angle(zeta(sigma, MASSES, 0, k, r), turn_about_y(of_parent))
    np.testing.assert_allclose(cos_zeta(sigma, MASSES, 0, k, r), of_parent[:, 3, 3], atol=1e-10)
    for n in NUMBERS:
        turn = np.linalg.inv(frame_of(n, k, momenta)) @ frame_of(n, r, momenta)
        assert_same_angle(zeta(sigma, MASSES, n, k, r), turn_about_y(turn))
        np.testing.assert_allclose(cos_zeta(sigma, MASSES, n, k, r), turn[:, 3, 3], atol=1e-10)


def test_zetas_of_a_particle_add_up_exactly():
    sigma = invariants(*events(50))
    for n, k, l, r in itertools.product((0, *NUMBERS), NUMBERS, NUMBERS, NUMBERS):
        both = zeta(sigma, MASSES, n, k, l) + zeta(sigma, MASSES, n, l, r)
        np.testing.assert_allclose(both, zeta(sigma, MASSES, n, k, r), atol=1e-7)


def test_angles_between_the_three_momenta_make_a_full_turn():
    """What ThreeBodyDecays.jl and AmpForm-DPD use for the decaying particle."""
    sigma = invariants(*events(50))
    total = sum(np.arccos(cos_zeta(sigma, MASSES, 0, k, k % 3 + 1)) for k in NUMBERS)
    np.testing.assert_allclose(total, 2 * np.pi, atol=1e-7)


def test_a_massless_particle_is_not_rotated():
    masses = (0.9, 0.5, 0.0)
    sigma = invariants(*events(50, mass=2.0, masses=masses))
    for k, r in itertools.product(NUMBERS, repeat=2):
        assert np.all(np.asarray(zeta(sigma, masses, 3, k, r)) == 0)
        np.testing.assert_allclose(cos_zeta(sigma, masses, 3, k, r), 1, atol=1e-10)


def test_kibbles_function_is_the_area_that_momenta_span():
    p1, p2, p3 = events(100)
    sigma = invariants(p1, p2, p3)
    area = (np.cross(p1[:, 1:], p2[:, 1:]) ** 2).sum(1)
    np.testing.assert_allclose(kibble(sigma, MASSES), 4 * MASS**2 * area, atol=1e-11)
    # Kallen's function of three of Kallen's functions is the form of many textbooks.
    inner = [kallen(MASS**2, m**2, s) for m, s in zip(MASSES, sigma, strict=True)]
    np.testing.assert_allclose(-16 * MASS**2 * kibble(sigma, MASSES), kallen(*inner), atol=1e-8)
    np.testing.assert_allclose(kibble(sigma, (0, 0, 0)), np.prod(np.array(sigma), axis=0), rtol=1e-13)


@pytest.mark.parametrize("axis", list(itertools.permutations(NUMBERS, 2)))
def test_the_boundary_is_where_all_momenta_are_collinear(axis):
    x, y = (np.asarray(v) for v in dalitz_boundary(MASS, MASSES, axes=axis, points=301))
    sigma = dict(zip(axis, (x, y), strict=True))
    sigma[6 - sum(axis)] = MASS**2 + sum(m**2 for m in MASSES) - x - y
    ordered = [sigma[n] for n in NUMBERS]
    np.testing.assert_allclose(kibble(ordered, MASSES), 0, atol=1e-12)
    assert (x[0], y[0]) == pytest.approx((x[-1], y[-1]), rel=1e-12)
    for n in axis:
        i, j = pair(n)
        assert sigma[n].max() == pytest.approx((MASS - MASSES[n - 1]) ** 2, rel=1e-4)
        assert sigma[n].min() == pytest.approx((MASSES[i - 1] + MASSES[j - 1]) ** 2, rel=1e-3)


def test_the_boundary_encloses_what_is_inside():
    x, y = (np.asarray(v) for v in dalitz_boundary(MASS, MASSES, points=4001))
    area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
    grid_x, grid_y = np.meshgrid(np.linspace(0, 6, 1201), np.linspace(0, 6, 1201))
    sigma = (grid_x, grid_y, MASS**2 + sum(m**2 for m in MASSES) - grid_x - grid_y)
    inside = np.asarray(is_inside_dalitz(sigma, MASSES))
    assert inside.sum() * 0.005**2 == pytest.approx(area, rel=3e-3)
    # Regions of scattering, where Kibble's function is positive too, are not part of the plot.
    assert (np.asarray(kibble(sigma, MASSES))[~inside] > 0).any()
    assert np.all(is_inside_dalitz(invariants(*events(200)), MASSES))


def test_orientation_turns_the_axes_of_the_events_into_those_of_a_chain():
    momenta = events(50)
    boosted = [np.einsum("ij,nj->ni", boost_matrix([0.3, -0.2, 0.5])[0], p) for p in momenta]
    for k in NUMBERS:
        for p in (momenta, boosted):
            phi, polar, chi = orientation(*p, reference=k)
            expected = axes(momenta, k)
            z, zero = np.tile(np.eye(4), (50, 1, 1)), np.zeros(50)
            for angle, turn in ((phi, "z"), (polar, "y"), (chi, "z")):
                c, s = np.cos(angle), np.sin(angle)
                step = about_y(np.asarray(angle)) if turn == "y" else np.moveaxis(
                    np.array([[zero + 1, zero, zero, zero], [zero, c, -s, zero], [zero, s, c, zero],
                              [zero, zero, zero, zero + 1]]), -1, 0)  # fmt: skip
                z = z @ step
            np.testing.assert_allclose(z, expected, atol=1e-10)


def test_orientation_exists_along_the_axis_and_for_collinear_momenta():
    def at(*p):
        return [np.array([[np.sqrt(m**2 + np.dot(q, q)), *q]]) for m, q in zip(MASSES, p, strict=True)]

    up = at([0, 0, -0.3], [0.2, 0, 0.1], [-0.2, 0, 0.2])
    for sign in (1, -1):
        turned = [p * np.array([1, sign, 1, sign]) for p in up]
        phi, polar, chi = (float(a[0]) for a in orientation(*turned))
        assert (phi, polar) == pytest.approx((0, 0 if sign == 1 else np.pi))
        rotated = wigner_d(1, 1, 0, phi, polar, chi), wigner_d(0.5, 0.5, 0.5, phi, polar, chi)
        assert np.all(np.isfinite(rotated))
        assert np.cos(chi) == pytest.approx(1)
    flat = at([0, 0, -0.3], [0, 0, 0.1], [0, 0, 0.2])
    slopes = jax.jit(jax.grad(lambda p: sum(a.sum() for a in orientation(*p))))([jnp.asarray(p) for p in flat])
    assert np.all(np.isfinite(np.array(slopes)))


def test_gradients_match_finite_differences_and_are_finite_on_the_edge():
    rng = np.random.default_rng(4)
    factors = rng.normal(size=8)

    @jax.jit
    @jax.value_and_grad
    def total(x):
        s, m = x
        out = [f(s, m, k) for f in (cos_theta, theta) for k in (1, 3)]
        out += [zeta(s, m, n, 1, 2) for n in (0, *NUMBERS)]
        return sum(jnp.sum(factor * angle) for factor, angle in zip(factors, out, strict=True))

    masses = tuple(jnp.asarray(m) for m in MASSES)
    inside = invariants_of_angle(MASS, MASSES, 1, np.linspace(0.6, 1.6, 41), np.linspace(-0.8, 0.8, 41))
    start = (tuple(inside), masses)
    _, slopes = total(start)
    for _ in range(3):
        way = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), start)
        up, down = (total(jax.tree.map(lambda a, b, e=e: a + e * b, start, way))[0] for e in (1e-6, -1e-6))
        along = sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(slopes), jax.tree.leaves(way), strict=True))
        assert float(along) == pytest.approx(float(up - down) / 2e-6, rel=1e-5)
    x, y = dalitz_boundary(MASS, MASSES, points=41)
    # With the corners, where a pair is at its threshold.
    for shift in (0.0, 1e-9, -1e-9):
        edge = (x + shift, y, MASS**2 + sum(m**2 for m in MASSES) - x - y)
        value, slopes = total((edge, masses))
        assert np.isfinite(value)
        assert all(np.all(np.isfinite(s)) for s in jax.tree.leaves(slopes))


def test_cosines_have_their_slope_on_the_edge():
    """cos(theta) is smooth there, unlike theta."""
    sigma = invariants_of_angle(MASS, MASSES, 1, 1.0, 1 - 1e-12)

    def f(s):
        return cos_theta((1.0, s, sigma.sigma2 + sigma.sigma3 - s), MASSES, 1)

    slope = float(jax.grad(f)(sigma.sigma2))
    assert slope == pytest.approx(float((f(sigma.sigma2 + 1e-4) - f(sigma.sigma2)) / 1e-4), rel=1e-6)


def test_angles_outside_of_the_dalitz_plot_are_ends():
    sigma = invariants_of_angle(MASS, MASSES, 2, 2.5, np.array([1.001, -1.001]))
    assert not np.any(is_inside_dalitz(sigma, MASSES))
    np.testing.assert_array_equal(cos_theta(sigma, MASSES, 2), [1, -1])
    np.testing.assert_array_equal(theta(sigma, MASSES, 2), [0, np.pi])


def test_precision_follows_the_input_and_shapes_broadcast():
    sigma = [jnp.float32(s) for s in (1.0, 2.5, 3.0)]
    assert {f(sigma, MASSES, 1).dtype for f in (cos_theta, theta)} == {jnp.dtype("float32")}
    assert zeta(sigma, MASSES, 1, 2, 3).dtype == jnp.float32
    assert kibble(sigma, MASSES).dtype == jnp.float32
    grid = jnp.full((4, 3), 1.0), jnp.full((4, 1), 2.5), jnp.full((1, 3), 3.0)
    assert zeta(grid, MASSES, 1, 2, 1).shape == theta(grid, MASSES, 2).shape == (4, 3)
    same = jax.vmap(lambda a, b, c: cos_zeta((a, b, c), MASSES, 2, 1, 3))(*(jnp.full(4, float(s)) for s in sigma))
    np.testing.assert_allclose(same, float(cos_zeta([1.0, 2.5, 3.0], MASSES, 2, 1, 3)), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pair(0), r"spectator must be one of 1, 2, 3, got 0"),
        (lambda: pair(True), "got True"),
        (lambda: cos_theta((1, 2, 3), MASSES, 4), "spectator must be one of"),
        (lambda: zeta((1, 2, 3), MASSES, 4, 1, 2), r"particle must be one of 0, 1, 2, 3, got 4"),
        (lambda: zeta((1, 2, 3), MASSES, 1, 0, 2), "chain must be one of"),
        (lambda: cos_zeta((1, 2, 3), MASSES, 1, 2, 5), "reference must be one of"),
        (lambda: kibble((1, 2), MASSES), "sigma must have three entries, one per particle, got 2"),
        (lambda: kibble((1, 2, 3), (1, 2)), "masses must have three entries"),
        (lambda: dalitz_boundary(2.0, (0.1, 0.1, 0.1), axes=(1, 1)), "axes must be two different spectators"),
        (lambda: dalitz_boundary(2.0, (0.1, 0.1, 0.1), points=2), "points at least 3"),
        (lambda: dalitz_boundary(0.2, (0.1, 0.1, 0.1)), r"mass must be at least 0.3 GeV"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
