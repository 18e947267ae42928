"""PyPWA's vectors against the numbers of O24 and O02, real events, and plain numpy."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from mpmath import mp, mpf

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa_compat.vectors import FourVector, Particle, ParticlePool, ThreeVector

PROTON_MASS = 0.9382720813
COLUMNS = {"e": [5.0, 6, 7], "x": [0.1, 0.2, 0.3], "y": [1.0, -1, 2], "z": [3.0, 4, 5]}
P4 = np.array(list(COLUMNS.values()))


def vector():
    return FourVector(*P4)


def components(v):
    return np.array([np.atleast_1d(v[name]) for name in v.dataframe.columns])


def pool(n_events):
    rng = np.random.default_rng(n_events)
    kinds = [(1, 0), (14, 1), (8, 1), (9, -1)]
    return ParticlePool(Particle(i, c, FourVector(*rng.uniform(1, 2, (4, n_events)))) for i, c in kinds)


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """Ufuncs and rows work, as in a JAX trace; anything that wants the numbers fails."""

    __jaxpwa_traced__ = True

    def __init__(self, hidden):
        self.hidden = hidden
        self.shape = np.shape(hidden)

    def __array__(self, *args, **kwargs):
        msg = "the numbers of a traced array were asked for"
        raise RuntimeError(msg)

    def __array_ufunc__(self, ufunc, method, *inputs):
        assert method == "__call__"
        return Traced(ufunc(*(i.hidden if isinstance(i, Traced) else i for i in inputs)))

    def __getitem__(self, rows):
        return Traced(self.hidden[rows])


structured = np.zeros(3, [(name, float) for name in COLUMNS])
for column, numbers in COLUMNS.items():
    structured[column] = numbers


@pytest.mark.parametrize(
    "given",
    [
        tuple(P4),
        tuple(COLUMNS.values()),
        tuple(pd.Series(v, index=[7, 8, 9]) for v in P4),
        tuple(pd.Series(v, dtype="Float64") for v in P4),
        tuple(jnp.asarray(v) for v in P4),
        (COLUMNS,),
        (pd.DataFrame(COLUMNS, index=[3, 2, 1]),),
        (pd.DataFrame(COLUMNS).rename(columns={"e": "E", "x": "px", "y": "Py", "z": "PZ"}),),
        (pd.DataFrame(COLUMNS).assign(text="a"),),
        (structured,),
        (jp.Dataset(COLUMNS),),
        (FourVector(*P4),),
        (Particle(14, 1, *P4),),
    ],
)
def test_every_kind_of_input_gives_the_same_components(given):
    v = FourVector(*given)
    assert (type(v), len(v)) == (FourVector, 3)
    np.testing.assert_array_equal(components(v), P4)
    three = ThreeVector(*given[-3:])
    np.testing.assert_array_equal(components(three), P4[1:])


@pytest.mark.parametrize("kind", [int, float, np.int8, np.uint64, np.int64, np.float32, np.float64, np.array])
def test_scalars_of_any_kind_give_scalars(kind):
    v = FourVector(kind(5), kind(1), kind(2), kind(3))
    assert [v.e, v.x, v.y, v.z] == [5, 1, 2, 3]
    assert all(np.ndim(c) == 0 and c.dtype == np.float64 for c in (v.e, v.x, v.y, v.z))
    assert len(v) == 1


def test_one_row_of_a_table_gives_scalars():
    frame = pd.DataFrame(COLUMNS)
    expected = FourVector(6, 0.2, -1, 4)
    assert FourVector(frame.iloc[1]) == expected
    assert FourVector(structured[1]) == expected
    assert FourVector(frame.iloc[1]).e.ndim == 0


@pytest.mark.parametrize("n", [3, np.int64(3), np.uint8(3)])
def test_a_whole_number_gives_that_many_zeros(n):
    np.testing.assert_array_equal(components(FourVector(n)), np.zeros((4, 3)))
    np.testing.assert_array_equal(components(ThreeVector(n)), np.zeros((3, 3)))


def test_zero_gives_scalar_zeros():
    v = FourVector(0)
    assert [v.e, v.x, v.y, v.z] == [0.0] * 4
    assert np.ndim(v.e) == 0
    assert ThreeVector(0).x == 0.0


def test_a_scalar_next_to_arrays_holds_for_every_event():
    np.testing.assert_array_equal(FourVector(9, 0, 0, [1.0, 2]).e, [9, 9])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((1.0,), ValueError, r"FourVector takes e, x, y, z, missing: x, y, z\. Alone may stand"),
        ((P4.T,), ValueError, r"one row per event: FourVector\(\*array\.T\)"),
        (([1.0], [1.0]), ValueError, "missing: y, z"),
        ((True,), ValueError, "missing: x, y, z"),
        ((-1,), ValueError, "number of events must be at least 0, got -1"),
        (({"e": [1.0], "x": [1.0]},), ValueError, r"needs the columns e, x, y, z .* missing: y, z\. .*has: e, x"),
        (({},), ValueError, r"The table has: \(none\)"),
        (([1.0, 2], [1.0], 0, 0), ValueError, "FourVector must have equal lengths, got e 2, x 1 events"),
        ((P4, 0, 0, 0), ValueError, r"e must be one number or have shape \(events,\), got shape \(4, 3\)"),
        ((1, "2", 3, 4), TypeError, "x must be real numbers.*got str"),
        ((1, 2j, 3, 4), TypeError, "x must be real numbers.*complex"),
        ((1, ThreeVector(3), 3, 4), TypeError, "a ThreeVector is no array"),
        ((pd.Series([1j]), 0, 0, 0), TypeError, "e must be real numbers.*Series of dtype complex"),
    ],
)
def test_wrong_components_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        FourVector(*given)


def test_vectors_never_share_memory_with_the_callers_arrays():
    mine = P4.copy()
    v = FourVector(*mine)
    v.e = 1
    v.x[0] = 77
    energy = np.array([1.0, 2, 3])
    v.e = energy
    v.e[:] = 5
    part, column, frame, again = v[:2], v["y"], v.dataframe, FourVector(v)
    part.x[:], column[:], frame["z"], again.z[:] = 4, 4, 4, 4
    np.testing.assert_array_equal(mine, P4)
    assert energy.tolist() == [1, 2, 3]
    assert (v.x.tolist(), v.y.tolist(), v.z.tolist()) == ([77, 0.2, 0.3], [1, -1, 2], [3, 4, 5])


def test_setting_a_scalar_replaces_nan_in_every_event():
    v = FourVector(*np.full((4, 2), np.nan))
    v.e = v.x = v.y = v.z = 0
    np.testing.assert_array_equal(components(v), np.zeros((4, 2)))
    single = ThreeVector(np.nan, 0, 0)
    single.x = 3
    assert single.x == 3


@pytest.mark.parametrize(
    ("start", "value", "message"),
    [
        (3, [1.0, 2], "y must be set to 3 events, got 2 events"),
        (0, [1.0], "y must be set to a number, as the other components are, got 1 events"),
    ],
)
def test_setting_another_length_is_refused(start, value, message):
    v = ThreeVector(start)
    with pytest.raises(ValueError, match=message):
        v.y = value


def test_angles_of_a_known_three_vector():
    """O24."""
    for v in (ThreeVector(3, 0, 4), FourVector(9, 3, 0, 4)):
        assert v.get_theta() == pytest.approx(0.6435011087932843, abs=1e-12)
        assert v.get_sin_theta() == pytest.approx(0.6, abs=1e-12)
        assert v.get_cos_theta() == pytest.approx(0.8, abs=1e-12)
        assert (v.get_phi(), v.get_length()) == (0, 5)
    assert ThreeVector(3, 0, 4).get_length_squared() == 25
    assert FourVector(9, 3, 0, 4).get_length_squared() == 56


def test_angles_agree_with_numpy_in_every_direction():
    x, y, z = np.random.default_rng(1).normal(size=(3, 500))
    v = ThreeVector(x, y, z)
    length = np.linalg.norm([x, y, z], axis=0)
    np.testing.assert_allclose(v.get_length(), length, rtol=1e-14)
    np.testing.assert_allclose(v.get_theta(), np.arccos(z / length), atol=1e-12)
    np.testing.assert_allclose(v.get_sin_theta(), np.sin(np.arccos(z / length)), atol=1e-12)
    np.testing.assert_allclose(v.get_phi(), np.angle(x + 1j * y), atol=1e-14)


def test_a_vector_of_length_zero_points_along_z():
    v = FourVector(2)
    assert [v.get_theta()[0], v.get_phi()[0], v.get_sin_theta()[0], v.get_cos_theta()[0]] == [0, 0, 0, 1]


def test_rounding_does_not_give_photons_a_mass_of_nan():
    """O24: E² - p² of the first is -4.4e-16; some of the many are above 0, some below."""
    assert FourVector(np.sqrt(3), 1, 1, 1).get_mass() == 0
    p = np.random.default_rng(0).normal(size=(3, 10_000)) * 10.0 ** np.arange(-5, 5).repeat(1000)
    photons = FourVector(np.linalg.norm(p, axis=0), *p)
    assert (photons.get_length_squared() < 0).any()
    assert (photons.get_length_squared() > 0).any()
    np.testing.assert_array_equal(photons.get_mass(), 0)


def test_small_masses_are_kept():
    electron = FourVector(np.sqrt(0.000511**2 + 12.0**2), 0, 0, 12)
    assert electron.get_mass() == pytest.approx(0.000511, rel=1e-5)


def test_space_like_vectors_have_mass_nan_without_a_warning():
    v = FourVector([1, 3, np.nan], [2, 0, 0], [0, 0, 0], [0, 0, 0])
    np.testing.assert_array_equal(v.get_mass(), [np.nan, 3, np.nan])
    assert np.isnan(FourVector(1, 2, 0, 0).get_mass())


def test_products_agree_with_numpy():
    a, b = np.random.default_rng(2).normal(size=(2, 4, 50))
    metric = np.array([1, -1, -1, -1])
    np.testing.assert_allclose(FourVector(*a).get_dot(FourVector(*b)), metric @ (a * b), atol=1e-13)
    three_a, three_b = ThreeVector(*a[1:]), ThreeVector(*b[1:])
    np.testing.assert_allclose(three_a.get_dot(three_b), (a * b)[1:].sum(0), atol=1e-13)
    np.testing.assert_allclose(components(three_a * three_b), np.cross(a[1:].T, b[1:].T).T, atol=1e-13)
    np.testing.assert_array_equal(components(FourVector(*a).get_three_vector()), a[1:])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (lambda v, w: v + w, P4 + P4[:, ::-1]),
        (lambda v, w: v - w, P4 - P4[:, ::-1]),
        (lambda v, w: 5 - v, -(P4 - 5)),
        (lambda v, w: v - 5, P4 - 5),
        (lambda v, w: 5 + v, P4 + 5),
        (lambda v, w: np.float64(5) - v, 5 - P4),
        (lambda v, w: np.int8(5) * v, 5 * P4),
        (lambda v, w: v / 2, P4 / 2),
        (lambda v, w: -v, -P4),
        (lambda v, w: v * v.e, P4 * P4[0]),
        (lambda v, w: v.e * v, P4 * P4[0]),
        (lambda v, w: v.e - v, P4[0] - P4),
        (lambda v, w: v / v.e, P4 / P4[0]),
        (lambda v, w: pd.Series(v.e, index=[5, 6, 7]) * v, P4 * P4[0]),
        (lambda v, w: jnp.asarray(v.e) - v, P4[0] - P4),
        (lambda v, w: sum([v, w]), P4 + P4[:, ::-1]),
        (lambda v, w: v + FourVector(1, 2, 3, 4), P4 + np.array([[1], [2], [3], [4]])),
        (lambda v, w: FourVector(1, 2, 3, 4) - v, np.array([[1], [2], [3], [4]]) - P4),
    ],
)
def test_arithmetic_agrees_with_numpy(expression, expected):
    for first in (vector(), Particle(8, 1, *P4)):
        got = expression(first, FourVector(*P4[:, ::-1]))
        assert type(got) is FourVector
        np.testing.assert_allclose(components(got), expected, rtol=1e-15)
    np.testing.assert_array_equal(components(vector()), P4)


def test_three_vectors_have_all_arithmetic():
    a, b = ThreeVector(1, 2, 3), ThreeVector(4, 5, 7)
    assert a + b == ThreeVector(5, 7, 10)
    assert b - a == ThreeVector(3, 3, 4)
    assert 1 - a == ThreeVector(0, -1, -2)
    assert 2 * a == a * 2 == a + a
    assert a / 2 == ThreeVector(0.5, 1, 1.5)
    assert a * b == -(b * a) == ThreeVector(-1, 5, -3)


def test_in_place_arithmetic_leaves_other_names_alone():
    v = total = vector()
    total += 1
    np.testing.assert_array_equal(components(v), P4)
    np.testing.assert_array_equal(components(total), P4 + 1)


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        (lambda v: 6 / v, TypeError, "int / FourVector has no meaning: a vector can't be divided by"),
        (lambda v: 1 / v.get_three_vector(), TypeError, "int / ThreeVector has no meaning"),
        (lambda v: np.ones(3) / v, TypeError, "ndarray / FourVector has no meaning"),
        (lambda v: v / v, TypeError, "a FourVector can be divided by numbers, not by a FourVector"),
        (lambda v: np.asarray(v), TypeError, "FourVector is no array: take its components e, x, y, z, or"),
        (lambda v: np.sqrt(v), TypeError, "does not support ufuncs"),
        (lambda v: v * v, TypeError, r"can't be multiplied by a FourVector: use get_dot\(\)"),
        (lambda v: v.get_three_vector() * v, TypeError, "ThreeVector can't be multiplied by a FourVector"),
        (lambda v: v + v.get_three_vector(), TypeError, "FourVector and a ThreeVector can't be combined"),
        (lambda v: v + "1", TypeError, "unsupported operand"),
        (lambda v: v * 2j, TypeError, "unsupported operand"),
        (lambda v: v + None, TypeError, "unsupported operand"),
        (lambda v: v * np.ones(2), ValueError, "vector of 3 events can't be combined with 2 events"),
        (lambda v: v + FourVector(4), ValueError, "vector of 3 events can't be combined with 4 events"),
        (lambda v: v.get_dot(v.get_three_vector()), TypeError, "takes a FourVector, got ThreeVector"),
        (lambda v: v.get_three_vector().get_dot(v), TypeError, "takes a ThreeVector, got FourVector"),
        (lambda v: v.get_dot(FourVector(4)), ValueError, "3 events can't be combined with 4"),
        (lambda v: ThreeVector(3) * ThreeVector(4), ValueError, "3 events can't be combined with 4"),
    ],
)
def test_what_has_no_meaning_is_refused(expression, error, message):
    with pytest.raises(error, match=message):
        expression(vector())


@pytest.mark.parametrize("other", [5, None, "e", np.ones(3), pd.Series([1, 2, 3]), ThreeVector(3), FourVector(2)])
def test_a_vector_equals_nothing_of_another_kind(other):
    v = vector()
    assert not v == other
    assert v != other
    assert not other == v


def test_vectors_are_equal_when_all_numbers_are():
    v, w = vector(), vector()
    assert v == w
    w.z[2] += 1
    assert v != w
    assert Particle(14, 1, v) == v
    assert Particle(14, 1, v) == Particle(14, 1, v)
    assert Particle(14, 1, v) != Particle(8, 1, v)
    assert Particle(14, 1, v) != Particle(14, -1, v)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        ([True, False, True], [0, 2]),
        (np.array([False, False, False]), []),
        (pd.Series([False, True, True], index=[9, 1, 0]), [1, 2]),
        (pd.Series([False, True, True], dtype="boolean"), [1, 2]),
        (np.array([2, 0, 0, -1]), [2, 0, 0, 2]),
        ([], []),
        (range(2), [0, 1]),
        (pd.Series([2, 1]), [2, 1]),
    ],
)
def test_picking_events_agrees_with_numpy(rows, expected):
    for v in (vector(), Particle(9, -1, *P4)):
        got = v[rows]
        assert type(got) is type(v)
        np.testing.assert_array_equal(components(got), P4[:, expected])


@pytest.mark.parametrize("row", [1, -2, np.int32(1), np.uint8(1), np.array(1)])
def test_a_whole_number_picks_one_event_as_scalars(row):
    one = Particle(9, -1, *P4)[row]
    assert (one.id, one.charge, one.e.ndim) == (9, -1, 0)
    assert FourVector(one) == FourVector(6, 0.2, -1, 4)


def test_single_numbers_are_one_event():
    v = FourVector(6, 0.2, -1, 4)
    assert v[0] == v[-1] == v[[True]] == v[:] == v
    assert len(v[[False]]) == 0
    assert [len(part) for part in v.split(2)] == [1, 0]


def test_iteration_goes_over_events():
    assert [v.e for v in vector()] == [5, 6, 7]


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        ("mass", ValueError, "FourVector has no component 'mass', only e, x, y, z"),
        (3, IndexError, "out of bounds"),
        ([True, False], ValueError, "mask must have one entry per event: got 2 for 3 events"),
        ([0.0, 1.0], TypeError, "must be picked by a whole number, a slice, a boolean mask"),
        (True, TypeError, r"got True \(bool\)"),
        (None, TypeError, "got None"),
        ((0, 1), TypeError, r"got \(0, 1\) \(tuple\)"),
        (np.zeros((2, 2), int), ValueError, r"one axis, got shape \(2, 2\)"),
    ],
)
def test_wrong_rows_are_refused(item, error, message):
    with pytest.raises(error, match=message):
        vector()[item]


@pytest.mark.parametrize("name", ["e", "x", "y", "z"])
def test_a_name_gives_a_component(name):
    np.testing.assert_array_equal(vector()[name], COLUMNS[name])


def test_splitting_keeps_every_event_in_order():
    parts = Particle(14, 1, *P4).split(2)
    assert [(type(p), p.id, len(p)) for p in parts] == [(Particle, 14, 2), (Particle, 14, 1)]
    np.testing.assert_array_equal(np.concatenate([components(p) for p in parts], axis=1), P4)


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        (0, ValueError, "number of parts must be at least 1, got 0"),
        (2.0, TypeError, r"number of parts must be a whole number, got 2\.0 \(float\)"),
    ],
)
def test_wrong_numbers_of_parts_are_refused(count, error, message):
    for thing in (vector(), pool(3)):
        with pytest.raises(error, match=message):
            thing.split(count)


@pytest.mark.parametrize("copied", [lambda v: v.get_copy(), copy.copy, copy.deepcopy, lambda v: v[:]])
def test_copies_are_independent_and_keep_id_and_charge(copied):
    proton = Particle(14, 1, *P4)
    again = copied(proton)
    assert (again.id, again.charge, again.name) == (14, 1, "Proton")
    assert again == proton
    again.e[0], again.x = 0, 0
    np.testing.assert_array_equal(components(proton), P4)
    assert pickle.loads(pickle.dumps(proton)) == proton


def test_the_dataframe_has_the_energy():
    pd.testing.assert_frame_equal(vector().dataframe, pd.DataFrame(COLUMNS))
    assert FourVector(5, 1, 2, 3).dataframe.to_numpy().tolist() == [[5, 1, 2, 3]]


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (FourVector(0), "FourVector(e=0, x=0, y=0, z=0)"),
        (ThreeVector(1.5, np.nan, -np.inf), "ThreeVector(x=1.5, y=nan, z=-inf)"),
        (ThreeVector(2), "ThreeVector(2 events: x=[0., 0.], y=[0., 0.], z=[0., 0.])"),
        (FourVector(2)[[]], "FourVector(0 events: e=[], x=[], y=[], z=[])"),
        (Particle(14, 1, 1, 0, 0, 0), "Particle(14 Proton, charge +1, e=1, x=0, y=0, z=0)"),
        (
            ParticlePool([Particle(1, 0, 5), Particle(77, 0, 5)]),
            "ParticlePool(5 events of 2 particles: 1 Gamma, 77 Unknown)",
        ),
    ],
)
def test_representations_are_short(thing, expected):
    assert repr(thing) == str(thing) == expected


def test_the_representation_of_a_million_events_is_short():
    assert len(repr(FourVector(1_000_000))) < 250


@pytest.mark.parametrize(
    ("identity", "name"),
    [(1, "Gamma"), (2, "Positron"), (8, "Pion +"), (9, "Pion -"), (10, "Kaon 0 Long"), (11, "Kaon +"), (14, "Proton")]
    + [(16, "Kaon 0 Short"), (18, "Lambda"), (24, "Omega -"), (25, "Antineutron"), (32, "Antiomega +")]
    + [(45, "Deuteron"), (49, "He3"), (33, "Unknown"), (0, "Unknown"), (9999, "Unknown")],
)
def test_particles_have_the_names_of_geant3(identity, name):
    assert Particle(identity, 0, 1).name == name
    assert Particle(np.int64(identity), np.int64(0), 1).name == name


@pytest.mark.parametrize(
    ("identity", "charge", "error", "message"),
    [
        (1.5, 0, TypeError, r"particle_id must be a whole number, got 1\.5"),
        ("Proton", 1, TypeError, "particle_id must be a whole number, got 'Proton'"),
        (-1, 0, ValueError, "particle_id must be at least 0, got -1"),
        (8, "1", ValueError, "charge must be a whole number, got '1'"),
        (8, np.nan, ValueError, "charge must be a whole number, got nan"),
        (8, 0.5, ValueError, r"charge must be a whole number, got 0\.5"),
    ],
)
def test_wrong_ids_and_charges_are_refused(identity, charge, error, message):
    with pytest.raises(error, match=message):
        Particle(identity, charge, 1)


def test_a_pool_counts_and_iterates_as_documented():
    p = pool(10)
    assert (len(p), p.particle_count, p.event_count) == (4, 4, 10)
    assert [q.id for q in p.iter_particles()] == [q.id for q in p] == [q.id for q in p.stored] == [1, 14, 8, 9]
    events = list(p.iter_events())
    assert [e.event_count for e in events] == [1] * 10
    np.testing.assert_array_equal([e.stored[2].x for e in events], p.stored[2].x)
    assert next(iter(events[3].iter_events())).stored[1] == events[3].stored[1]


def test_particles_are_found_by_id_and_by_either_name(shared_data):
    p = ParticlePool.from_table(jp.read(shared_data / "pypwa/tests/test_data/docs/multiple.gamp"))
    assert [q.charge for q in p] == [0, 1, 1, -1, 0, 0]
    assert [q is r for q, r in zip(p.get_particles_by_id(1), [p.stored[i] for i in (0, 4, 5)], strict=True)] == [
        True
    ] * 3
    assert p.get_particles_by_name("Gamma") == p.get_particles_by_name("gamma") == p.get_particles_by_id(1)
    assert p.get_particles_by_name("Kaon +")[0] is p.get_particles_by_name("K+")[0] is p.stored[2]


def test_a_name_that_nothing_has_is_refused_without_the_package_of_names(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "particle", None)
    assert pool(2).get_particles_by_name("Pion -")[0].id == 9
    with pytest.raises(ValueError, match="None has the name 'pi-'; the pool has .*9 .Pion -."):
        pool(2).get_particles_by_name("pi-")


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (
            lambda p: p.get_particles_by_id(13),
            r"No particles found! None has id 13; the pool has 1 \(Gamma\), 14 \(Pro",
        ),
        (lambda p: p.get_particles_by_name("Neutron"), "No particles found! None has the name 'Neutron'; .*8 .Pion +"),
        (lambda p: ParticlePool(p.stored[1:]).get_s(), "No particles found! None has id 1;"),
        (lambda p: ParticlePool(p.stored[2:]).get_t(), "No particles found! None has id 14;"),
        (lambda p: ParticlePool(p.stored[:2]).get_event_mass(), "No particles found! X has no particles besides beam"),
    ],
)
def test_missing_particles_are_refused_with_those_there_are(look, message):
    with pytest.raises(ValueError, match=message):
        look(pool(3))


@pytest.mark.parametrize(
    ("particles", "error", "message"),
    [
        ([], ValueError, "must have at least one Particle, got none"),
        ([Particle(1, 0, 3), FourVector(3)], TypeError, "takes Particles, number 2 is FourVector"),
        ([Particle(1, 0, 3), Particle(14, 1, 4)], ValueError, "equal numbers of events, got 3, 4"),
    ],
)
def test_wrong_pools_are_refused(particles, error, message):
    with pytest.raises(error, match=message):
        ParticlePool(particles)


@pytest.mark.parametrize("count", [1, 3, 4, 10, 11])
def test_splitting_a_pool_keeps_all_events_in_order(count):
    """O02."""
    whole = pool(10)
    parts = whole.split(count)
    assert (len(parts), sum(p.event_count for p in parts)) == (count, 10)
    assert max(p.event_count for p in parts) - min(p.event_count for p in parts) <= 1
    for number, particle in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([p.stored[number].z for p in parts]), particle.z)
        assert {(p.stored[number].id, p.stored[number].charge) for p in parts} == {(particle.id, particle.charge)}


@pytest.mark.parametrize(
    "mask",
    [
        [True, False, True, False],
        np.array([True, False, True, False]),
        pd.Series([True, False, True, False], index=[3, 2, 1, 0]),
        np.array([0, 2]),
        slice(None, None, 2),
    ],
)
def test_picking_events_of_a_pool_prints_nothing(mask, capsys):
    p = pool(4)
    picked = p[mask]
    assert (len(picked), picked.event_count) == (4, 2)
    for before, after in zip(p, picked, strict=True):
        np.testing.assert_array_equal(after.x, before.x[[0, 2]])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        ("Proton", TypeError, r"picks events, not names: get_particles_by_name\('Proton'\)"),
        ([True], ValueError, "got 1 for 4 events"),
        (4, IndexError, "out of bounds"),
    ],
)
def test_wrong_rows_of_a_pool_are_refused(item, error, message):
    with pytest.raises(error, match=message):
        pool(4)[item]


def test_a_pool_of_one_event_has_its_kinematics():
    one = pool(5)[2]
    for quantity in ("get_event_mass", "get_s", "get_t", "get_t_prime"):
        np.testing.assert_array_equal(getattr(one, quantity)(), getattr(pool(5), quantity)()[2])


def test_a_table_survives_the_way_there_and_back(shared_data):
    table = jp.read(shared_data / "pypwa/tests/test_data/docs/multiple.gamp")
    there = ParticlePool.from_table(table)
    back = there.to_table()
    assert (back.ids, back.charges) == (table.ids, table.charges)
    np.testing.assert_array_equal(back.p4, table.p4)
    there.stored[0].e[:] = 0
    assert (table.p4[0][:, 0] == 9).all()
    np.testing.assert_array_equal(there[3].to_table().p4[1], table.p4[1][3:4])


def test_a_recoil_proton_along_z_gives_t():
    """O24: t = 2 m (m - E)."""
    proton = Particle(14, 1, 1.5, 0, 0, np.sqrt(1.5**2 - PROTON_MASS**2))
    assert ParticlePool([proton]).get_t() == pytest.approx(-1.0541072468, abs=1e-10)


def test_kinematics_of_real_events(shared_data):
    """MANIFEST 1; t' as -2 p p' (1 - cos theta) in the centre of mass, boosted by hand."""
    table = jp.read(shared_data / "pypwa/tests/test_data/docs/large.gamp")
    p = ParticlePool.from_table(table)
    assert (len(p), p.event_count) == (4, 1000)
    mass = p.get_event_mass()
    assert mass.mean() == pytest.approx(0.8140668057527183, rel=1e-12)
    assert mass.min() == pytest.approx(0.60034, abs=1e-5)
    t = p.get_t()
    assert t.mean() == pytest.approx(-0.17919362852966123, rel=1e-12)
    assert t[0] == pytest.approx(-1.52119473, abs=1e-8)
    np.testing.assert_allclose(p.get_s(), PROTON_MASS**2 + 2 * 9 * PROTON_MASS, rtol=1e-14)

    energy, root_s = 9 + PROTON_MASS, np.sqrt(PROTON_MASS**2 + 18 * PROTON_MASS)
    e, _, _, z = (table.p4[2] + table.p4[3]).T
    along = (energy * z - 9 * e) / root_s
    system = np.sqrt(((energy * e - 9 * z) / root_s) ** 2 - mass**2)
    expected = -2 * (9 * PROTON_MASS / root_s) * (system - along)
    np.testing.assert_allclose(p.get_t_prime(), expected, atol=2e-5)  # six digits in the file
    assert p.get_t_prime().max() < 0


@pytest.mark.parametrize("costheta", [1, 0.999, 0.3, -1])
@pytest.mark.parametrize("mass", [0.3, 1.27, 2.5])
@pytest.mark.parametrize("beam", [8.5, 20])
def test_t_prime_is_the_transfer_beyond_forward_production(costheta, mass, beam):
    """Gamma p -> X p made in the centre of mass and boosted, 40 digits; t - t(theta = 0) is -2 p p' (1 - cos theta)."""
    with mp.workdps(40):
        m, mx, k, c = mpf(PROTON_MASS), mpf(mass), mpf(beam), mpf(costheta)
        root_s = mp.sqrt(m**2 + 2 * m * k)
        before, energy = m * k / root_s, (root_s**2 + m**2 - mx**2) / (2 * root_s)
        after = mp.sqrt(energy**2 - m**2)
        gamma, gamma_beta = (k + m) / root_s, k / root_s
        along, across = -after * c, -after * mp.sqrt(1 - c**2)
        recoil = [gamma * energy + gamma_beta * along, across, 0, gamma * along + gamma_beta * energy]
        system = [k + m - recoil[0], -recoil[1], 0, k - recoil[3]]
        expected = float(-2 * before * after * (1 - c))
    particles = [
        Particle(1, 0, beam, 0, 0, beam),
        Particle(14, 1, *map(float, recoil)),
        Particle(37, 0, *map(float, system)),
    ]
    p = ParticlePool(particles)
    assert p.get_s() == pytest.approx(float(root_s**2), rel=1e-14)
    assert p.get_event_mass() == pytest.approx(mass, rel=1e-12)
    assert p.get_t_prime() == pytest.approx(expected, abs=1e-12)


def test_t_prime_below_threshold_is_nan_without_a_warning():
    """Masses of X just above sqrt(s) - m_p = 1.21, and above sqrt(s) + m_p = 3.09."""
    for mass in (1.3, 5):
        rest = [Particle(14, 1, 1, 0, 0, 0), Particle(37, 0, mass, 0, 0, 0)]
        assert np.isnan(ParticlePool([Particle(1, 0, 2, 0, 0, 2), *rest]).get_t_prime())


def test_traced_components_pass_through_every_formula():
    """What a user's class does to vectors can be traced by JAX: no formula may ask for the numbers."""
    hidden = pool(6)
    traced = ParticlePool(Particle(q.id, q.charge, *(Traced(c) for c in components(q))) for q in hidden)
    a, b = traced.stored[2], traced.stored[3]
    c, d = hidden.stored[2], hidden.stored[3]
    for quantity in ("get_event_mass", "get_s", "get_t", "get_t_prime"):
        np.testing.assert_array_equal(getattr(traced, quantity)().hidden, getattr(hidden, quantity)())
    angles = ("get_mass", "get_length", "get_length_squared", "get_theta", "get_phi", "get_cos_theta", "get_sin_theta")
    for quantity in angles:
        np.testing.assert_array_equal(getattr(a, quantity)().hidden, getattr(c, quantity)())
    for got, expected in ((2 * a - b / 3, 2 * c - d / 3), (a.e - b, c.e - d), (1 + a[1:4], 1 + c[1:4])):
        np.testing.assert_array_equal([got[n].hidden for n in "exyz"], components(expected))
    cross = a.get_three_vector() * b.get_three_vector()
    np.testing.assert_array_equal(cross.x.hidden, (c.get_three_vector() * d.get_three_vector()).x)
    np.testing.assert_array_equal(a.get_dot(b).hidden, c.get_dot(d))
    assert (len(a), len(a.get_copy()), [len(part) for part in a.split(4)]) == (6, 6, [2, 2, 1, 1])
    assert "e=<Traced>" in repr(a)
    a.x = a.y = 0
    np.testing.assert_array_equal(a.get_length().hidden, np.abs(c.z))
    mixed = FourVector({"e": Traced(c.e), "x": 0, "y": 0, "z": Traced(c.z)})
    np.testing.assert_array_equal(mixed.get_phi(), 0)
    assert len(mixed) == 6
