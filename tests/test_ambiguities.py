"""Solutions of equal intensity: on grids of angles, against searches from random starts, and through the library."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import sph_harm_y

import jaxpwa as jp
from jaxpwa.physics.spin import real_spherical_harmonic, spherical_harmonic
from jaxpwa.physics.waves.ambiguities import ambiguous_solutions, barrelet_zeros, equivalent_solutions
from jaxpwa.physics.waves.composition import CoherentSum, IncoherentSum
from jaxpwa.physics.waves.equivalence import (
    conjugated,
    equivalent,
    flat_directions,
    interfering,
    rotated,
    to_reference,
)
from jaxpwa.physics.waves.twopseudoscalars import partial_waves, two_pseudoscalar_model
from jaxpwa.physics.waves.vectorpseudoscalar import VectorPseudoscalarWave, vector_pseudoscalar_model
from jaxpwa.physics.waves.wave import Background, Coupling, Wave

COS, PHI = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-np.pi, np.pi, 24)))
QUANTUM_NUMBERS = {f"{'SPDFG'[l]}0": (l, 0, -1) for l in range(5)}
QUANTUM_NUMBERS |= {f"{'SPDFG'[l]}-": (l, 1, -1) for l in range(1, 5)}
QUANTUM_NUMBERS |= {f"{'SPDFG'[l]}+": (l, 1, 1) for l in range(1, 5)}


def harmonic(l, m, reflectivity, cos=COS, phi=PHI):
    """Y of the reflectivity basis, from scipy."""
    y = sph_harm_y(l, m, np.arccos(cos), phi)
    return y.real if m == 0 else np.sqrt(2) * (y.real if reflectivity < 0 else y.imag)


def intensity(waves, cos=COS, phi=PHI):
    """Natural and unnatural waves don't interfere."""
    sums = {1: 0, -1: 0}
    for name, c in waves.items():
        l, m, reflectivity = QUANTUM_NUMBERS[name]
        sums[reflectivity] = sums[reflectivity] + c * harmonic(l, m, reflectivity, cos, phi)
    return abs(sums[1] + 0 * cos) ** 2 + abs(sums[-1] + 0 * cos) ** 2


def random_waves(names, seed, natural=1.0):
    rng = np.random.default_rng(seed)
    size = {name: natural if name.endswith("+") else 1.0 for name in names}
    return {name: complex(rng.normal(), rng.normal()) * size[name] for name in names}


def different(solutions):
    """Each differs from each other."""
    vectors = np.array([list(s.values()) for s in solutions])
    apart = np.max(abs(vectors[:, None] - vectors), axis=2) + np.eye(len(vectors))
    return np.min(apart) > 1e-4


@pytest.mark.parametrize(
    ("names", "natural", "number", "with_conjugates"),
    [
        ("S0 P0", 1, 1, 2),
        ("S0 P0 D0", 1, 2, 4),
        ("S0 P0 D0 F0", 1, 4, 8),
        ("S0 P0 D0 F0 G0", 1, 8, 16),
        ("S0 D0 G0", 1, 2, 4),  # zeros in pairs
        ("S0 P0 D0 P+ D+", 1, 2, 8),
        ("P+ D+ F+", 1, 2, 4),
        ("S0 P0 P- P+", 10, 2, 4),
        ("S0 P0 P- D0 D- P+ D+", 30, 8, 32),
        ("S0 P0 P- D0 D- F0 F- P+ D+ F+", 300, 64, 256),
        ("S0 P0 P- D0 D-", 1, 1, 2),  # no natural waves that could take anything up
        ("S0 P0 D0 D- D+", 1, 1, 2),
    ],
)
def test_solutions_have_the_same_intensity_and_are_as_many_as_there_should_be(names, natural, number, with_conjugates):
    waves = random_waves(names.split(), 4, natural)
    for conjugates, expected in ((False, number), (True, with_conjugates)):
        solutions = ambiguous_solutions(waves, conjugates=conjugates)
        assert len(solutions) == expected
        assert expected == 1 or different(solutions)
        target = intensity(waves)
        for solution in solutions:
            assert list(solution) == list(waves)
            np.testing.assert_allclose(intensity(solution), target, rtol=0, atol=1e-11 * target.mean())


def test_the_given_solution_comes_first_with_its_references_real_and_positive():
    waves = random_waves("S0 P0 P- D0 D- P+ D+".split(), 1, 10.0)
    for solution in ambiguous_solutions(waves, reference=["D0", "D+"]):
        for name in ("D0", "D+"):
            assert solution[name].imag == 0
            assert solution[name].real > 0
    first = ambiguous_solutions(waves)[0]
    for group in (["S0", "P0", "P-", "D0", "D-"], ["P+", "D+"]):
        ratios = np.array([first[name] / waves[name] for name in group])
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-14)
        assert abs(ratios[0]) == pytest.approx(1)


def canonical(waves):
    """One number for each wave, the same for solutions that differ by phases and conjugates."""
    out = []
    for sign in (-1, 1):
        group = np.array([c for name, c in waves.items() if QUANTUM_NUMBERS[name][2] == sign])
        if len(group):
            group = group * np.conj(group[0]) / abs(group[0])
            out.append(group if np.sum(group.imag * np.arange(1, len(group) + 1)) > 0 else np.conj(group))
    return np.concatenate(out)


# Weak natural waves can't take up what some of the eight solutions ask of them.
@pytest.mark.parametrize(
    ("names", "seed", "natural", "starts", "number"),
    [
        ("S0 P0 D0 F0", 1, 1.0, 60, 4),
        ("S0 P0 P- P+", 1, 1.0, 20, 1),
        pytest.param("S0 P0 P- D0 D- P+ D+", 1, 3.0, 150, 8, marks=pytest.mark.slow),
        pytest.param("S0 P0 P- D0 D- P+ D+", 2, 1.0, 150, 4, marks=pytest.mark.slow),
    ],
)
def test_a_search_from_random_starts_finds_the_same_solutions(names, seed, natural, starts, number):
    names = names.split()
    rng = np.random.default_rng(seed)
    waves = {n: complex(rng.normal(), rng.normal()) * (natural if n.endswith("+") else 1) for n in names}
    cos, phi = rng.uniform(-1, 1, 120), rng.uniform(-np.pi, np.pi, 120)
    target = intensity(waves, cos, phi)
    harmonics = np.array([harmonic(*QUANTUM_NUMBERS[n], cos, phi) for n in names])
    sums = [np.array([n.endswith("+") is positive for n in names]) for positive in (True, False)]

    def difference(v):
        c = v[::2] + 1j * v[1::2]
        return sum(abs(c[some] @ harmonics[some]) ** 2 for some in sums) - target

    def slopes(v):
        c, out = v[::2] + 1j * v[1::2], np.empty((len(target), len(v)))
        for some in sums:
            total = c[some] @ harmonics[some]
            out[:, ::2][:, some] = (2 * total.real * harmonics[some]).T
            out[:, 1::2][:, some] = (2 * total.imag * harmonics[some]).T
        return out

    found = []
    for _ in range(starts):
        start = 2 * rng.normal(size=2 * len(names))
        fit = least_squares(difference, start, slopes, xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=300)
        if np.max(abs(fit.fun)) < 1e-8 * target.mean():
            vector = canonical(dict(zip(names, fit.x[::2] + 1j * fit.x[1::2], strict=True)))
            if not any(np.max(abs(vector - other)) < 1e-4 for other in found):
                found.append(vector)
    listed = [canonical(solution) for solution in ambiguous_solutions(waves)]
    assert len(listed) == number
    assert len(found) == number
    assert all(min(np.max(abs(a - b)) for b in listed) < 1e-4 for a in found)


def test_solutions_meet_where_zeros_are_real():
    waves = {"S0": 1.0, "P0": 2.0, "D0": 0.3}
    assert np.all(barrelet_zeros(waves).imag == 0)
    assert len(ambiguous_solutions(waves, conjugates=True)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_natural_waves_of_equal_phase_are_a_boundary_that_is_found(seed):
    rng = np.random.default_rng(seed)
    waves = random_waves("S0 P0 P- D0 D- P+ D+".split(), seed) | {"P+": 20.0, "D+": rng.uniform(1, 3)}
    target = intensity(waves)
    solutions = ambiguous_solutions(waves, conjugates=True)
    assert any(np.all(np.isreal([s["P+"], s["D+"]])) for s in solutions)
    for solution in solutions:
        np.testing.assert_allclose(intensity(solution), target, rtol=0, atol=1e-10 * target.mean())
        # From any of them the others are found, from below the boundary too.
        again = ambiguous_solutions(solution, conjugates=True)
        assert len(again) == len(solutions)


def test_all_solutions_are_found_from_each():
    waves = random_waves("S0 P0 P- D0 D- P+ D+".split(), 7, 20.0)
    solutions = ambiguous_solutions(waves)
    for solution in solutions:
        again = [canonical(s) for s in ambiguous_solutions(solution)]
        assert len(again) == len(solutions)
        for s in solutions:
            assert min(np.max(abs(canonical(s) - other)) for other in again) < 1e-8


def test_a_wave_that_is_0_is_a_wave_of_the_set():
    waves = {"S0": 1.0 + 0j, "P0": 0.4 + 1j, "D0": 0j}
    solutions = ambiguous_solutions(waves, conjugates=True)
    assert len(solutions) == 2
    assert all(abs(s["D0"]) < 1e-12 for s in solutions)
    assert ambiguous_solutions({"S0": 0.0, "P+": 0.0}) == [{"S0": 0.0, "P+": 0.0}]


def test_waves_are_named_in_several_ways():
    values = {"S0": 1.0, "P0": 1 + 1j, "P-": 0.5j, "P+": 9.0}
    keys = (["S", "P0", "P-", "P+"], ["S0-", "P0-", "P1-", "P1+"], [(0, 0), (1, 0), (1, 1, -1), (1, 1, 1)])
    expected = [list(s.values()) for s in ambiguous_solutions(values)]
    assert len(expected) == 2
    for names in keys:
        found = ambiguous_solutions(dict(zip(names, values.values(), strict=True)))
        assert [list(s.values()) for s in found] == expected
        assert list(found[0]) == names


def test_zeros_are_zeros_of_the_amplitude():
    waves = random_waves("S0 P0 P- D0 D-".split(), 3)
    u = barrelet_zeros(waves)
    assert u.shape == (4,)
    # u = tan(theta / 2) with complex theta, by the formulas that Y has there.
    c, s = (1 - u**2) / (1 + u**2), 2 * u / (1 + u**2)
    d = {"S0": 1, "P0": c, "P-": -s / np.sqrt(2), "D0": (3 * c**2 - 1) / 2, "D-": -np.sqrt(1.5) * s * c}
    size = {"S": 1, "P": np.sqrt(3), "D": np.sqrt(5)}
    total = sum(w * size[n[0]] * d[n] * (np.sqrt(2) if n[1] == "-" else 1) for n, w in waves.items())
    np.testing.assert_allclose(total, 0, atol=1e-12)
    x = barrelet_zeros({"S": 2.0, "P": 1j, "D": 0.5})
    np.testing.assert_allclose(2 + 1j * np.sqrt(3) * x + 0.25 * np.sqrt(5) * (3 * x**2 - 1), 0, atol=1e-12)
    natural = barrelet_zeros({"P+": 1.0, "D+": 1j})
    np.testing.assert_allclose(natural, [1j / np.sqrt(5)], atol=1e-14)  # sqrt(3/2) + i sqrt(15/2) cos(theta)


def test_zeros_follow_each_other_from_point_to_point():
    t = np.linspace(0, 1, 200)
    waves = {"S": 1 + 0.3j + 0 * t, "P": np.exp(3j * t), "D": 0.8 * np.exp(2j * t - 1j) * t}
    zeros = barrelet_zeros(waves)
    assert zeros.shape == (200, 2)
    assert np.isinf(zeros[0]).sum() == 1  # D is 0 there
    # Each row is what the single point gives, in another order, and steps are small where zeros are.
    for i in (1, 50, 199):
        single = barrelet_zeros({name: value[i] for name, value in waves.items()})
        np.testing.assert_allclose(np.sort_complex(zeros[i]), np.sort_complex(single), rtol=1e-12)
    assert np.max(abs(np.diff(zeros[60:], axis=0))) < 0.2 * np.min(abs(zeros[60:, 0] - zeros[60:, 1]))


def spinless_model(names=("S0-", "P0-", "P1-", "D0-", "D1-", "P1+", "D1+"), form="cartesian", harmonic_of=None):
    """As a user writes it, with the library's harmonics, of other signs than those of the formula."""

    def factor(l, m, reflectivity):
        return lambda p, d: real_spherical_harmonic(l, m if reflectivity < 0 else -m, d["costheta"], d["phi"])

    sums = {}
    for name in names:
        numbers = "SPDF".index(name[0]), int(name[1]), 1 if name[2] == "+" else -1
        real = name[2] not in sums
        wave = Wave(name, (harmonic_of or factor)(*numbers), Coupling(name, form, real=real))
        sums.setdefault(name[2], []).append(wave)
    return IncoherentSum([CoherentSum({"-": "unnatural", "+": "natural"}[k], v) for k, v in sums.items()])


ANGLES = {"costheta": COS, "phi": PHI}


@pytest.mark.parametrize("form", ["cartesian", "polar"])
def test_a_model_of_a_beam_without_spin_has_its_eight_solutions(form):
    model = spinless_model(form=form)
    start = model.start({"S0-": 1.0, "P0-": 1 + 1j, "P1-": 0.4 - 1j, "D0-": 0.6j, "D1-": 0.7, "P1+": -20, "D1+": 5j})
    solutions = equivalent_solutions(model, start | {"mass": 1.3}, ANGLES)
    assert len(solutions) == 32  # 8, and conjugates of each of the two sums
    cost = jp.UnbinnedNLL(model, ANGLES, normalization_mc=ANGLES)
    expected = cost(start)
    for solution in solutions:
        assert list(solution) == [*start, "mass"]
        assert solution["mass"] == 1.3
        assert all(isinstance(value, float) for value in solution.values())
        assert cost({name: solution[name] for name in start}) == pytest.approx(expected, rel=1e-12)
    assert equivalent(model, start | {"mass": 1.3}, solutions[-1], ANGLES, 1e-11)
    assert different([{n: np.asarray(v).item() for n, v in model.coupling_values(s).items()} for s in solutions])


def test_only_what_is_true_is_listed_where_a_model_is_another_than_its_names_say():
    # Harmonics of spin 1 for D waves: no polynomial that the zeros are of.
    odd = spinless_model(
        ["S0-", "P0-", "D0-"],
        harmonic_of=lambda l, m, r: lambda p, d: real_spherical_harmonic(min(l, 1), 0, d["costheta"], d["phi"]) ** l,
    )
    solutions = equivalent_solutions(odd, odd.start({"P0-": 1 + 1j, "D0-": 0.5j}), ANGLES)
    assert len(solutions) == 2


def polarised_intensity(couplings, degree, angle):
    """Sum of both reflectivities as published, with harmonics from scipy."""
    total = 0
    for reflectivity, sign in ((1, "+"), (-1, "-")):
        real = imaginary = 0
        for name, c in couplings.items():
            if name.endswith(sign):
                z = sph_harm_y("SPDF".index(name[0]), int(name[1:-1]), np.arccos(COS), PHI) * np.exp(-1j * angle)
                real, imaginary = real + complex(c) * z.real, imaginary + complex(c) * z.imag
        share = reflectivity * degree
        total = total + (1 + share) * abs(real) ** 2 + (1 - share) * abs(imaginary) ** 2
    return total


# The last has more solutions than are listed.
@pytest.mark.parametrize(
    ("names", "number"),
    [
        ("S0+ P0+ P1+ D0+ D1+ D2+ S0- D0- D1-", 4),
        ("S0+ D-2+ D-1+ D0+ D1+ D2+", 2),
        ("S0+ P0+ D0+", 4),
        ("P1+ D1+ F1+ S0- P1-", 8),
        ("D-2+ F-2+", 2),
        ("P1+ P0+ P-1+ P1- P0- P-1-", 4),
    ],
)
def test_polarised_photons_leave_conjugates_and_zeros_of_one_m(names, number):
    model = two_pseudoscalar_model(names.split())
    rng = np.random.default_rng(2)
    params = {name: rng.normal() for name in model.start()}
    solutions = equivalent_solutions(model, params)
    assert len(solutions) == number
    degree, angle = rng.uniform(0, 1, len(COS)), rng.uniform(-np.pi, np.pi, len(COS))
    target = polarised_intensity(model.coupling_values(params), degree, angle)
    for solution in solutions:
        found = polarised_intensity(model.coupling_values(solution), degree, angle)
        np.testing.assert_allclose(found, target, rtol=0, atol=1e-11 * target.mean())
    assert different([{k: np.asarray(v).item() for k, v in model.coupling_values(s).items()} for s in solutions])


def test_unpolarised_photons_can_be_changed_continuously():
    names = ["S0+", "D2+", "S0-", "D2-"]
    rng = np.random.default_rng(2)
    data = ANGLES | {"Phi": rng.uniform(-np.pi, np.pi, len(COS))}
    params = {name: rng.normal() for name in two_pseudoscalar_model(names).start()}
    assert len(flat_directions(two_pseudoscalar_model(names, polarisation=0.0), params, data)) == 3
    assert not flat_directions(two_pseudoscalar_model(names, polarisation=0.3), params, data)
    # P waves of m = 1 and -1 with both reflectivities, and what their flat direction does.
    model = two_pseudoscalar_model(["P1+", "P-1+", "P1-", "P-1-"], polarisation=0.3)
    params = {name: rng.normal() for name in model.start()}
    (direction,) = flat_directions(model, params, data)
    assert np.linalg.norm(list(direction.values())) == pytest.approx(1)
    before, moved = (np.asarray(model({n: params[n] + h * direction[n] for n in params}, data)) for h in (0, 1e-4))
    assert np.max(abs(moved - before)) < 1e-6 * before.mean()


def test_configurations_of_spins_are_conjugated_alone_and_turned_into_each_other():
    model = two_pseudoscalar_model(["S0+", "D1+", "D2+"], polarisation=0.3, configurations=2)
    rng = np.random.default_rng(8)
    params = {name: rng.normal() for name in model.start()}
    assert len(equivalent_solutions(model, params)) == 4  # each of the two alone
    data = ANGLES | {"Phi": rng.uniform(-np.pi, np.pi, len(COS))}
    # Two configurations are vectors of four real numbers, which O(4) turns, less two phases.
    assert len(flat_directions(model, params, data)) == 4


def test_waves_of_vectors_from_polarised_photons_are_conjugated():
    model = vector_pseudoscalar_model([VectorPseudoscalarWave(1, 1, 0, 1), VectorPseudoscalarWave(2, 1, 1, 1)])
    rng = np.random.default_rng(8)
    data = {name: rng.uniform(-1, 1, 100) for name in ("costheta", "phi", "costheta_h", "phi_h", "Phi")}
    data["polarisation"] = rng.uniform(0, 1, 100)
    params = {name: rng.normal() for name in model.start()}
    assert len(equivalent_solutions(model, params, data)) == 2
    with pytest.raises(ValueError, match="data must be given"):
        equivalent_solutions(model, params)


def test_complex_shapes_fix_the_sign_of_phases_and_common_ones_do_not():
    def shape(width):
        return lambda p, d: 1 / (1.3**2 - d["mass"] ** 2 - 1j * width)

    rng = np.random.default_rng(8)
    data = ANGLES | {"Phi": rng.uniform(-3, 3, len(COS)), "mass": rng.uniform(1, 1.6, len(COS))}
    for shapes, number in (({"S*": shape(0.1), "D*": shape(0.3)}, 1), ({"*": shape(0.1)}, 2)):
        model = two_pseudoscalar_model(["S0+", "D0+"], shapes=shapes, polarisation=0.3)
        params = {name: rng.normal() for name in model.start()}
        assert len(equivalent_solutions(model, params, data)) == number
        assert equivalent(model, params, conjugated(model, params), data) is (number == 2)


def test_conjugates_of_harmonics_are_seen_without_the_reflectivity_basis():
    model = CoherentSum(
        "all",
        [Wave(f"{l}{m}", lambda p, d, l=l, m=m: spherical_harmonic(l, m, d["costheta"], d["phi"])) for l, m in
         product((0, 1), (0, 1)) if m <= l],
    )  # fmt: skip
    params = model.start({"00": 1.0, "10": 1j, "11": 0.5 + 0.2j})
    assert not equivalent(model, params, conjugated(model, params), ANGLES)
    assert len(equivalent_solutions(model, params, ANGLES)) == 1


def test_groups_are_what_interferes_through_others_too():
    def wave(name):
        return Wave(name, lambda p, d: d["x"])

    model = IncoherentSum(
        [
            CoherentSum("1", [wave("a"), wave("b")]),
            CoherentSum("2", [wave("d"), wave("e")]),
            CoherentSum("3", [wave("c"), wave("b")]),
            CoherentSum("4", [wave("e"), wave("c")]),
            CoherentSum("5", [wave("f")]),
            Background("flat", lambda p, d: 1.0),
        ]
    )
    assert interfering(model) == (("a", "b", "d", "e", "c"), ("f",))
    assert interfering(two_pseudoscalar_model(["S0+", "S0-", "D1-"], configurations=2)) == (
        ("S0+ k1",), ("S0- k1", "D1- k1"), ("S0+ k2",), ("S0- k2", "D1- k2"),
    )  # fmt: skip


@pytest.mark.parametrize("form", ["cartesian", "polar"])
def test_phases_are_those_of_the_convention(form):
    model = spinless_model(form=form)
    rng = np.random.default_rng(1)
    params = {name: rng.normal() for name in model.start()} | {"mass": 1.0}
    first = next(iter(params))
    params[first] = -abs(params[first])
    found = to_reference(model, params)
    assert found[first] == pytest.approx(-params[first], rel=1e-14)
    assert found["mass"] == 1.0
    assert equivalent(model, params, found, ANGLES, 1e-13)
    for name, value in model.coupling_values(conjugated(model, params, "S0-")).items():
        before = complex(model.coupling_values(params)[name])
        assert complex(value) == pytest.approx(before.conjugate() if name[2] == "-" else before, rel=1e-12)
    flipped = rotated(model, params, np.pi, "D1+")
    assert complex(model.coupling_values(flipped)["P1+"]) == pytest.approx(-model.coupling_values(params)["P1+"])
    assert flipped["P0-.re" if form == "cartesian" else "P0-.arg"] == pytest.approx(
        params["P0-.re" if form == "cartesian" else "P0-.arg"]
    )


def test_any_coupling_can_be_the_reference_of_a_model_that_has_none():
    model = CoherentSum("all", [Wave(n, lambda p, d, n=n: d[n]) for n in ("a", "b")])
    params = model.start({"a": 1j, "b": 1 + 1j})
    assert to_reference(model, params)["a.re"] == pytest.approx(1)
    found = to_reference(model, params, "b")
    assert found == pytest.approx({"a.re": 0.5**0.5, "a.im": 0.5**0.5, "b.re": 2**0.5, "b.im": 0}, abs=1e-15)
    turned = rotated(model, found, 0.3)
    assert complex(turned["b.re"], turned["b.im"]) == pytest.approx(2**0.5 * np.exp(0.3j))
    assert to_reference(model, model.start({"a": 0.0, "b": 1j}))["b.im"] == 1.0
    assert len(flat_directions(model, params, {"a": np.arange(9.0), "b": np.ones(9)})) == 1


def test_equivalence_is_a_matter_of_the_tolerance():
    model, data = (lambda p, d: p["a"] * d["x"]), {"x": [1.0, 2.0, 3.0]}
    assert equivalent(model, {"a": 1.0}, {"a": 1 + 1e-8}, data)
    assert not equivalent(model, {"a": 1.0}, {"a": 1 + 1e-5}, data)
    assert equivalent(model, {"a": 1.0}, {"a": 1.01}, data, tolerance=0.02)


def test_partial_waves_of_fits_are_seen_through_their_solutions():
    model = two_pseudoscalar_model(["S0+", "P0+", "D0+"], polarisation=0.3)
    params = model.start({"P0+": 1j, "D0+": 0.4 + 0.2j})
    found = [partial_waves(model, solution) for solution in equivalent_solutions(model, params)]
    sizes = {tuple(round(float(abs(w)), 6) for w in waves.values()) for waves in found}
    assert len(sizes) == 2  # two solutions whose waves are of different size, and conjugates


S, P = {"S0": 1.0}, {"P0": 1j}
MODEL = two_pseudoscalar_model(["S0+", "D2+", "D1+"], polarisation=0.3)
START = MODEL.start()


def line(p, d):
    return p["a"] * d["x"]


@pytest.mark.parametrize(
    ("call", "kind", "match"),
    [
        (lambda: ambiguous_solutions({}), TypeError, "dict of at least one amplitude"),
        (lambda: ambiguous_solutions([1.0]), TypeError, "dict of at least one amplitude"),
        (lambda: ambiguous_solutions({"S0": np.nan}), ValueError, "must be finite, got nan for 'S0'"),
        (lambda: ambiguous_solutions({"D2+": 1.0}), ValueError, "must be of m = 0 and 1.*got 'D2\\+'"),
        (lambda: ambiguous_solutions({"S0+": 1.0}), ValueError, "m = 0 has reflectivity -1: got 'S0\\+'"),
        (lambda: ambiguous_solutions({"P1": 1.0}), ValueError, "got 'P1'"),
        (lambda: ambiguous_solutions({(1, 1): 1.0}), ValueError, r"got \(1, 1\)"),
        (lambda: ambiguous_solutions({3: 1.0}), ValueError, "got 3"),
        (lambda: ambiguous_solutions({"S": 1.0, "S0": 1.0}), ValueError, "different, got 'S' and 'S0'"),
        (lambda: ambiguous_solutions(S | P, reference=["D0"]), ValueError, "reference names 'D0'.*S0, P0"),
        (lambda: ambiguous_solutions(S | P, reference=["S0", "P0"]), ValueError, "one wave of each reflectivity"),
        (lambda: ambiguous_solutions({"N0": 1.0, "N-": 1j}), ValueError, "more than 16384: take fewer waves"),
        (lambda: barrelet_zeros({"S": [1, 2], "P": 1.0}), ValueError, "one shape"),
        (lambda: equivalent_solutions(lambda p, d: 1, {}), TypeError, "CoherentSum or an IncoherentSum, got function"),
        (lambda: equivalent_solutions(MODEL, {"S0+.re": 1.0}), ValueError, "D2\\+.re, D2\\+.im.*missing"),
        (lambda: equivalent_solutions(MODEL, START | {"D2+.re": np.inf}), ValueError, "finite: D2\\+ aren't"),
        (lambda: equivalent_solutions(MODEL, START, 3), TypeError, "data must be a dict of columns, got int"),
        (lambda: interfering(print), TypeError, "CoherentSum or an IncoherentSum"),
        (lambda: conjugated(MODEL, START, "S"), ValueError, "no coupling 'S'; there are S0\\+, D2\\+, D1\\+"),
        (lambda: rotated(MODEL, START, 0.5), ValueError, "multiple of pi, as the model has S0\\+ real, got 0.5"),
        (lambda: to_reference(MODEL, START, ["D2+"]), ValueError, "model has S0\\+ real"),
        (lambda: to_reference(MODEL, START, ["D2+", "D1+"]), ValueError, "at most one coupling of each group"),
        (lambda: equivalent(3, {}, {}, {"x": [1.0]}), TypeError, "must be a function"),
        (lambda: equivalent(MODEL, START, {}, {"x": [1.0]}), ValueError, "same names, but D1\\+.im"),
        (lambda: equivalent(line, {"a": 1.0}, {"a": 1.0}, {"x": [1.0, np.nan]}), ValueError, "finite on data"),
        (lambda: equivalent(lambda p, d: d["x"], {}, {}, [1.0]), TypeError, "dict of columns, got list"),
        (lambda: flat_directions(line, {"a": 1.0}, {"x": []}), ValueError, "got 0 for 1"),
    ],
)  # fmt: skip
def test_refusals_say_what_is_wrong(call, kind, match):
    with pytest.raises(kind, match=match):
        call()
