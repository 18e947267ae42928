"""Decay angles against published numbers, the definitions in plain numpy, and what physics demands of them."""

import numpy as np
import pytest
from lorentz import angles, momentum, omega_pi_events, on_shell, to_rest, unit

import jax
import jax.numpy as jnp

from jaxpwa.physics import kinematics as kin
from jaxpwa.physics.kinematics import frames

BEAM = np.array([[8.747, 0, 0, 8.747]])
RECOIL = on_shell([0.119, 0.374, 0.222], 1.007)
K1 = on_shell([-0.112, 0.293, 3.081], 0.498)
K2 = on_shell([-0.007, -0.667, 5.446], 0.498)
SYSTEM = K1 + K2

N = 50
PRODUCED = {
    "helicity": frames.helicity_frame,
    "gottfried_jackson": frames.gottfried_jackson_frame,
    "adair": frames.adair_frame,
}


@jax.jit
def all_angles(event):
    """Every angle of an event of gamma p -> omega pi0 p, by name."""
    out = {}
    # One compilation serves all tests: they have the same number of events.
    for name, make in PRODUCED.items():
        frame = make(event["system"], event["recoil"], event["beam"])
        inner = frame.decay_frame(event["omega"])
        out[f"{name} omega"] = frame.angles(event["omega"])
        out[f"{name} bachelor"] = frame.angles(event["bachelor"])
        out[f"{name} normal"] = inner.normal_angles(event["pi_plus"], event["pi_minus"])
        out[f"{name} pi_zero"] = inner.angles(event["pi_zero"])
    return out


def same_angles(got, expected, atol):
    (c, phi), (expected_c, expected_phi) = ((np.asarray(v) for v in pair) for pair in (got, expected))
    np.testing.assert_allclose(c, expected_c, atol=atol)
    # Azimuths lose digits near the poles.
    sine = np.sqrt(1 - c**2)
    np.testing.assert_allclose(sine * np.exp(1j * phi), sine * np.exp(1j * expected_phi), atol=atol)


def test_a_published_event_has_its_angles():
    """REFERENCE 5.3, numbers of laddu."""
    costheta, phi = frames.helicity_angles(K1, SYSTEM, RECOIL, BEAM)
    assert float(costheta[0]) == pytest.approx(-0.4611175068834238, rel=1e-12)
    assert float(phi[0]) == pytest.approx(-2.657462587335066, rel=1e-12)
    costheta, phi = frames.gottfried_jackson_angles(K1, SYSTEM, RECOIL, BEAM)
    assert float(costheta[0]) == pytest.approx(0.09198832278031577, rel=1e-12)
    assert float(phi[0]) == pytest.approx(-2.713913199133907, rel=1e-12)


def numpy_axes(e):
    """Axes z of the three frames in the rest frame of the system and the common y, written from the definitions."""
    total = e["system"] + e["recoil"]
    beam, system = to_rest(e["beam"], total), to_rest(e["system"], total)
    axes = {"helicity": system[:, 1:], "adair": beam[:, 1:], "gottfried_jackson": to_rest(beam, system)[:, 1:]}
    return axes, np.cross(beam[:, 1:], system[:, 1:]), lambda p: to_rest(to_rest(p, total), system)


def test_angles_in_the_three_frames_are_those_of_their_definitions():
    e = omega_pi_events(N)
    got = all_angles(e)
    axes, y, see = numpy_axes(e)
    for name, z in axes.items():
        same_angles(got[f"{name} omega"], angles(see(e["omega"])[:, 1:], z, y), 1e-12)
    for name, function in (("adair", frames.adair_angles), ("helicity", frames.helicity_angles)):
        single = function(*(e[p][0] for p in ("omega", "system", "recoil", "beam")))
        np.testing.assert_allclose(single, [a[0] for a in got[f"{name} omega"]], atol=1e-12)


def test_angles_along_a_chain_are_those_of_gluex():
    """The frame of omega in the frame of X: z along omega there, y along X (in the centre of mass) cross z."""
    e = omega_pi_events(N, seed=1)
    got = all_angles(e)
    axes, _, see = numpy_axes(e)
    omega = see(e["omega"])
    plus, minus, zero = (to_rest(see(e[name]), omega)[:, 1:] for name in ("pi_plus", "pi_minus", "pi_zero"))
    for name, parent_z in axes.items():
        y = np.cross(parent_z, omega[:, 1:])
        same_angles(got[f"{name} normal"], angles(np.cross(plus, minus), omega[:, 1:], y), 1e-11)
        same_angles(got[f"{name} pi_zero"], angles(zero, omega[:, 1:], y), 1e-11)


def test_back_to_back_daughters_and_opposite_normals_have_opposite_directions():
    e = omega_pi_events(N)
    other = all_angles({**e, "pi_plus": e["pi_minus"], "pi_minus": e["pi_plus"]})
    here = all_angles(e)
    for (c, phi), (other_c, other_phi) in (
        (here["helicity omega"], here["helicity bachelor"]),
        (here["helicity normal"], other["helicity normal"]),
    ):
        np.testing.assert_allclose(c, -other_c, atol=1e-12)
        np.testing.assert_allclose(np.cos(phi - other_phi), -1, atol=1e-12)


@pytest.mark.parametrize(
    "move",
    [
        lambda p: kin.rotate(p, "z", 1.1),
        lambda p: kin.boost(p, (0.0, 0.0, -0.6)),
        lambda p: kin.rotate(kin.boost(p, (0.3, -0.2, 0.4)), (1.0, 2.0, -1.0), 0.8),
    ],
    ids=["turned about the beam", "boosted along the beam", "moved anyhow"],
)
def test_angles_are_the_same_from_wherever_one_looks(move):
    e = omega_pi_events(N, seed=2)
    there, here = all_angles({name: move(p) for name, p in e.items()}), all_angles(e)
    for name in here:
        same_angles(there[name], here[name], 1e-10)


def test_the_three_frames_differ_by_rotations_about_y():
    e = omega_pi_events(N, seed=3)
    got = all_angles(e)
    along_y = [np.sqrt(1 - c**2) * np.sin(phi) for c, phi in (got[f"{name} omega"] for name in PRODUCED)]
    np.testing.assert_allclose(along_y[1], along_y[0], atol=1e-12)
    np.testing.assert_allclose(along_y[2], along_y[0], atol=1e-12)
    # From Adair to helicity by the production angle in the centre of mass.
    s, t, _ = kin.mandelstam(e["beam"], e["target"], e["system"], e["recoil"])
    mass, proton = (np.asarray(kin.invariant_mass(e[n])) for n in ("system", "recoil"))
    p_in, p_out, w = (s - proton**2) / (2 * np.sqrt(s)), momentum(np.sqrt(s), mass, proton), np.sqrt(s)
    cosine = (t - mass**2 + 2 * p_in * (s + mass**2 - proton**2) / (2 * w)) / (2 * p_in * p_out)
    helicity, adair = (PRODUCED[name](e["system"], e["recoil"], e["beam"]) for name in ("helicity", "adair"))
    np.testing.assert_allclose((helicity.z * adair.z).sum(1), cosine, atol=1e-10)
    np.testing.assert_allclose(helicity.y, adair.y, atol=1e-12)


def test_the_three_frames_are_the_same_where_the_system_goes_forward():
    """Exactly forward there is no plane, and x and y are those of the laboratory."""
    e = omega_pi_events(N, seed=4, costheta=np.ones(N))
    got = all_angles(e)
    _, y, z = np.eye(3)[:, None]
    expected = angles(to_rest(e["omega"], e["system"])[:, 1:], z, y)
    for name in PRODUCED:
        same_angles(got[f"{name} omega"], expected, 1e-12)
    nearly = all_angles(omega_pi_events(N, seed=4, costheta=np.full(N, 1 - 1e-14)))
    for name in ("gottfried_jackson", "adair"):
        same_angles(nearly[f"{name} omega"], nearly["helicity omega"], 1e-5)


def test_any_frame_can_be_had():
    e = omega_pi_events(N, seed=5)
    beam, recoil, system, omega = (e[name] for name in ("beam", "recoil", "system", "omega"))
    given = frames.rest_frame(system, z=lambda see: -see(recoil), y=lambda see: jnp.cross(see(beam), -see(recoil)))
    same_angles(given.angles(omega), all_angles(e)["helicity omega"], 1e-12)
    # Directions as arrays; of y what is perpendicular to z counts.
    z, y = np.array([1.0, 2, 2]), np.array([5.0, 0, 1])
    perpendicular = y - z * (y @ z) / (z @ z)
    expected = angles(to_rest(omega, system)[:, 1:], z[None], perpendicular[None])
    same_angles(frames.rest_frame(system, z=z, y=y).angles(omega), expected, 1e-12)
    # The axes of the events.
    rest = to_rest(omega, system)
    np.testing.assert_allclose(frames.rest_frame(system).see(omega), rest, atol=1e-12)
    # y alone: z stays.
    turned = frames.rest_frame(system, y=(1.0, 0, 0)).see(omega)
    np.testing.assert_allclose(turned, np.column_stack([rest[:, 0], -rest[:, 2], rest[:, 1], rest[:, 3]]), atol=1e-12)


def test_a_y_along_z_counts_as_none():
    z = np.array([0.3, -0.5, 0.8])
    expected = frames.rest_frame(SYSTEM, z=z)
    got = frames.rest_frame(SYSTEM, z=z, y=3 * z)
    np.testing.assert_array_equal(got.y, expected.y)
    np.testing.assert_allclose(expected.y, unit(np.cross([0, 0, 1.0], z)), atol=1e-15)
    np.testing.assert_array_equal(frames.rest_frame(SYSTEM, z=(0.0, 0, -2)).y, [0, 1, 0])


def test_a_frame_sees_a_right_handed_lorentz_transformation():
    e = omega_pi_events(N, seed=6)
    frame = frames.helicity_frame(e["system"], e["recoil"], e["beam"]).decay_frame(e["omega"])
    seen = {name: frame.see(p) for name, p in e.items()}
    for a, b in (("pi_plus", "beam"), ("recoil", "pi_minus"), ("target", "target")):
        np.testing.assert_allclose(kin.dot(seen[a], seen[b]), kin.dot(e[a], e[b]), atol=1e-10)
    np.testing.assert_allclose(seen["omega"][:, 1:], 0, atol=1e-12)
    np.testing.assert_allclose(np.cross(frame.x, frame.y), frame.z, atol=1e-14)


# ComPWA/ampform, tests/conftest.py: J/psi at rest to pi0, gamma, pi0, pi0, ten events.
JPSI = np.array(
    [
        [(1.35527, 0.514208, -0.184219, 1.23296), (0.841933, 0.0727385, -0.0528868, 0.826163),
         (0.550927, -0.162529, 0.29976, -0.411133), (0.425195, 0.0486171, 0.151922, 0.370309),
         (0.186869, -0.0555915, -0.100214, -0.0597338), (1.26375, 0.238921, 0.266712, -1.20442),
         (0.737698, 0.450724, -0.439515, -0.360076), (0.965809, 0.552298, 0.440006, 0.644927),
         (0.397113, -0.248155, -0.158587, -0.229673), (1.38955, 1.33491, 0.358535, 0.0457548)],
        [(0.755744, -0.305812, 0.284, -0.630057), (1.02861, 0.784483, 0.614347, -0.255334),
         (0.356875, -0.20767, 0.272796, 0.0990739), (0.70757, 0.404557, 0.510467, -0.276426),
         (0.953902, 0.47713, 0.284575, -0.775431), (0.220732, -0.204775, -0.0197981, 0.0799868),
         (0.734602, 0.00590727, 0.709346, -0.190877), (0.607787, 0.329157, -0.431973, 0.272873),
         (0.626325, -0.201436, -0.534829, 0.256253), (0.386432, -0.196357, 0.00211926, -0.33282)],
        [(0.208274, -0.061663, -0.0211864, 0.144596), (0.461193, -0.243319, -0.283044, -0.234866),
         (1.03294, 0.82872, -0.0465425, -0.599834), (0.752466, 0.263003, -0.089236, 0.686187),
         (0.746588, 0.656892, -0.107848, 0.309898), (0.692537, 0.521569, -0.0448683, 0.43283),
         (0.865147, -0.517582, -0.676002, -0.0734335), (1.35759, -0.975278, -0.0207817, -0.934467),
         (0.852141, -0.41665, 0.237646, 0.691269), (0.616162, -0.464203, -0.358114, 0.13307)],
        [(0.777613, -0.146733, -0.0785946, -0.747499), (0.765168, -0.613903, -0.278416, -0.335962),
         (1.15616, -0.458522, -0.526014, 0.911894), (1.21167, -0.716177, -0.573154, -0.780069),
         (1.20954, -1.07843, -0.0765127, 0.525267), (0.919879, -0.555715, -0.202046, 0.691605),
         (0.759452, 0.0609506, 0.406171, 0.624387), (0.165716, 0.0938229, 0.012748, 0.0166676),
         (1.22132, 0.866241, 0.455769, -0.717849), (0.704759, -0.674348, -0.0025409, 0.153994)],
    ]
)  # fmt: skip
JPSI_ANGLES = {
    "123": (
        [-0.914298, -0.994127, 0.769715, -0.918418, 0.462214, 0.958535, 0.496489, -0.674376, 0.614968, -0.0330843],
        [2.79758, 2.51292, -1.07396, -1.88051, 1.06433, -2.30129, 2.36878, -2.46888, 0.568649, -2.8792],
    ),
    "23 in 123": (
        [-0.772533, 0.163659, 0.556365, 0.133251, -0.0264361, 0.227188, -0.166924, 0.652761, 0.443122, 0.503577],
        [1.04362, 1.87349, 0.160733, -2.81088, 2.84379, 2.29128, 2.24539, -1.20272, 0.615838, 2.98067],
    ),
    "2 in 23": (
        [0.460324, -0.410464, 0.248566, -0.301959, -0.522502, 0.787267, 0.488066, 0.954167, -0.553114, 0.00256349],
        np.array([-2.77203, 1.45339, -2.51096, 2.71085, -1.12706, -3.01323, 2.07305, 0.502648, -1.23689, 1.7605])
        + np.pi * np.array([1, -1, 1, -1, 1, 1, -1, -1, 1, -1]),
    ),
}


def test_published_chains_of_helicity_angles():
    """REFERENCE 5.6: angles 0, 1^123 and 2^23,123 of ampform, where 0 and 1 name what recoils against the daughter."""
    _, one, two, three = JPSI
    overall = frames.rest_frame(np.array([3.0969, 0, 0, 0]))
    frame = overall.decay_frame(one + two + three)
    # Published angles have six digits, and so have the four-vectors.
    for got, name in (
        (overall.angles(one + two + three), "123"),
        (frame.angles(two + three), "23 in 123"),
        (frame.decay_frame(two + three).angles(two), "2 in 23"),
    ):
        costheta, phi = JPSI_ANGLES[name]
        np.testing.assert_allclose(got[0], costheta, atol=1e-5)
        np.testing.assert_allclose(np.exp(1j * np.asarray(got[1])), np.exp(1j * np.asarray(phi)), atol=1e-5)


def test_the_helicity_boost_is_two_rotations_and_a_boost_along_z():
    e = omega_pi_events(N, seed=7)
    system = e["omega"]
    p = np.linalg.norm(system[:, 1:], axis=1)
    theta, phi = np.arccos(system[:, 3] / p), np.arctan2(system[:, 2], system[:, 1])
    turned = kin.rotate(kin.rotate(e["pi_plus"], "z", -phi), "y", -theta)
    expected = kin.boost(turned, np.column_stack([0 * p, 0 * p, -p / system[:, 0]]))
    np.testing.assert_allclose(frames.helicity_boost(e["pi_plus"], system), expected, atol=1e-13)
    np.testing.assert_array_equal(frames.helicity_boost(e["pi_plus"], [2.0, 0, 0, 0]), e["pi_plus"])


SPECIAL = {
    "forward": ([8.0, 0, 0, 8], [1.0, 0, 0, 0.3], [3.0, 0, 0, 2.7], [1.0, 0.2, 0.1, 0.8]),
    "at threshold": ([8.0, 0, 0, 8], [2.0, 0, 0, 1.0], [3.0, 0, 0, 1.5], [1.0, 0.2, 0.1, 0.8]),
    "daughter at rest": ([8.0, 0, 0, 8], [1.0, 0.1, 0, 0.2], [4.0, -0.1, 0, 3.2], [2.0, -0.05, 0, 1.6]),
    "daughter along the system": ([8.0, 0, 0, 8], [1.0, 0, 0, 0.3], [3.0, 0, 0, 2.7], [1.0, 0, 0, 0.8]),
    "all at rest": ([8.0, 0, 0, 8], [1.0, 0, 0, 0], [3.0, 0, 0, 0], [1.0, 0, 0, 0]),
    "nothing special": ([8.0, 0, 0, 8], [1.1, -0.3, 0.1, 0.3], [7.8, 0.3, -0.1, 7.6], [3.0, 0.2, 0.3, 2.8]),
}


def weighted_angles(beam, recoil, system, daughter):
    made = [make(system, recoil, beam) for make in PRODUCED.values()]
    inner = made[0].decay_frame(daughter)
    pairs = [frame.angles(daughter) for frame in made] + [inner.angles(beam), inner.normal_angles(beam, recoil)]
    found = jnp.stack([a for pair in pairs for a in pair])
    return found @ jnp.arange(1.0, 11.0), found


angles_and_gradients = jax.jit(jax.vmap(jax.value_and_grad(weighted_angles, argnums=(0, 1, 2, 3), has_aux=True)))
SPECIAL_ARGUMENTS = np.array(list(SPECIAL.values())).transpose(1, 0, 2)


def test_angles_and_gradients_are_finite_where_directions_do_not_exist():
    (_, found), gradients = angles_and_gradients(*SPECIAL_ARGUMENTS)
    assert np.isfinite(found).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    for row, case in zip(np.asarray(found), SPECIAL, strict=True):
        # What has no direction counts as along z; along z, either way, the azimuth is 0.
        if case in ("daughter at rest", "daughter along the system", "all at rest"):
            np.testing.assert_allclose(row[1:6:2], 0, atol=1e-12)
            np.testing.assert_allclose(np.abs(row[:6:2]), 1, atol=1e-12)


def test_gradients_of_angles_match_finite_differences():
    rng = np.random.default_rng(8)
    step = 1e-6 * rng.normal(size=SPECIAL_ARGUMENTS.shape)
    (_, _), gradients = angles_and_gradients(*SPECIAL_ARGUMENTS)
    (ahead, _), _ = angles_and_gradients(*(SPECIAL_ARGUMENTS + step))
    (behind, _), _ = angles_and_gradients(*(SPECIAL_ARGUMENTS - step))
    slope = np.sum(np.array(gradients) * 2 * step, axis=(0, -1))
    np.testing.assert_allclose((ahead - behind)[-1], slope[-1], rtol=1e-6)


def test_cosines_never_exceed_1():
    rng = np.random.default_rng(9)
    direction = rng.normal(size=(2000, 3))
    moving = on_shell(direction, 0.5)
    costheta, phi = frames.rest_frame([1.0, 0, 0, 0], z=direction).angles(moving)
    assert float(jnp.abs(costheta).max()) <= 1
    np.testing.assert_allclose(costheta, 1, atol=1e-15)
    assert np.isfinite(phi).all()


def test_frames_are_pytrees_and_keep_single_precision():
    e = omega_pi_events(N, seed=10)
    single = [e[name].astype(np.float32) for name in ("system", "recoil", "beam", "omega")]
    frame = jax.jit(jax.vmap(frames.helicity_frame))(*single[:3])
    assert isinstance(frame, frames.Frame)
    costheta, phi = jax.jit(lambda f, p: f.angles(p))(frame, single[3])
    assert costheta.dtype == phi.dtype == jnp.float32
    np.testing.assert_allclose(costheta, all_angles(e)["helicity omega"][0], atol=1e-4)


def test_axes_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"z must be an array of shape \(events, 3\) or 3 columns"):
        frames.rest_frame(SYSTEM, z=lambda see: BEAM)
    with pytest.raises(ValueError, match=r"y must be an array of shape \(events, 3\) or 3 columns"):
        frames.rest_frame(SYSTEM, y=np.ones((1, 4)))
