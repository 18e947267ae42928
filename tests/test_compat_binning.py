"""PyPWA's binning: numbers of events per bin, edges, sampling, and that no event is lost or counted twice."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxpwa as jp
from jaxpwa_compat.binning import bin_by_list, bin_by_range, bin_with_fixed_widths
from jaxpwa_compat.vectors import ParticlePool

Z = np.arange(11.0)


def frame_of(z):
    z = np.asarray(z, np.float64)
    return pd.DataFrame({"z": z, "row": np.arange(len(z))}, index=np.arange(len(z)) * 2 + 1)


def structured_of(z):
    return frame_of(z).to_records(index=False).view(np.ndarray)


def dict_of(z):
    return {"z": np.asarray(z, np.float64), "row": np.arange(len(z))}


def dataset_of(z):
    return jp.Dataset(dict_of(z))


KINDS = pytest.mark.parametrize("make", [frame_of, structured_of, dict_of, dataset_of])


def rows(bins):
    return [np.asarray(part["row"]).tolist() for part in bins]


def sizes(bins):
    return [len(part) for part in rows(bins)]


@KINDS
def test_ranges_have_known_counts_and_lose_nothing(make):
    """O08."""
    table = make(Z)
    bins = bin_by_range(table, "z", 5)
    assert rows(bins) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9, 10]]
    assert all(type(part) is type(table) for part in bins)
    assert rows(bin_by_range(table, Z, 3, 2, 8)) == [[2, 3], [4, 5], [6, 7, 8]]


def test_range_edges_follow_the_surviving_events_not_the_cuts():
    """O08, as in PyPWA: cuts 1.5 to 8.5 leave 2 to 8, so the edges are 2, 4, 6, 8; jaxpwa's own follow the cuts."""
    assert rows(bin_by_range(frame_of(Z), "z", 3, 1.5, 8.5)) == [[2, 3], [4, 5], [6, 7, 8]]
    data, monte_carlo = frame_of([0.2, 0.5, 0.8]), frame_of([0.3, 0.5, 0.7])
    assert rows(bin_by_range(data, "z", 2, 0.1, 0.9)) == [[0], [1, 2]]
    assert rows(bin_by_range(monte_carlo, "z", 2, 0.1, 0.9)) == [[0], [1, 2]]
    assert rows(bin_by_range(frame_of([0.2, 0.45, 0.6]), "z", 2, 0, 1)) == [[0], [1, 2]]
    assert rows(jp.bin_by_range(frame_of([0.2, 0.45, 0.6]), "z", 2, 0, 1)) == [[0, 1], [2]]


@KINDS
def test_equal_values_are_all_in_the_last_bin(make):
    """O08."""
    bins = bin_by_range(make([3.0] * 4), "z", 3)
    assert rows(bins) == [[], [], [0, 1, 2, 3]]
    assert all(type(part) is type(make([0.0])) for part in bins)


@KINDS
def test_samples_are_different_events_of_their_bin_and_repeat_with_the_global_seed(make):
    """O08."""
    table = make(Z)
    whole = rows(bin_by_range(table, "z", 5))
    np.random.seed(3)
    first = rows(bin_by_range(table, "z", 5, sample_size=2))
    assert [len(set(part)) for part in first] == [2] * 5
    assert all(set(part) <= set(known) for part, known in zip(first, whole, strict=True))
    np.random.seed(3)
    assert rows(bin_by_range(table, "z", 5, sample_size=2)) == first
    drawn = {tuple(rows(bin_by_range(table, "z", 5, sample_size=2))[4]) for _ in range(100)}
    assert drawn == {(8, 9), (8, 10), (9, 10)}


def test_nothing_is_printed(capsys):
    bin_by_range(frame_of(Z), "z", 5, sample_size=1)
    bin_by_list(frame_of(Z), "z", [0, 5])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda t: bin_by_range(t, "z", 5, sample_size=5), ValueError,
         "sample_size must not exceed the events of any bin: bin 0 has 2, got 5"),
        (lambda t: bin_by_range(t, "z", 5, sample_size=-1), ValueError, "sample_size must be at least 0, got -1"),
        (lambda t: bin_by_range(t, "z", 5, sample_size=1.5), TypeError, "sample_size must be a whole number, got 1.5"),
        (lambda t: bin_by_range(t, "z", 0), ValueError, "number_of_bins must be at least 1, got 0"),
        (lambda t: bin_by_range(t, "z", 2.0), TypeError, "number_of_bins must be a whole number, got 2.0"),
        (lambda t: bin_by_range(t, "z", 2, 20, 30), ValueError,
         "none of 11 is between lower_cut=20 and upper_cut=30. Widen the cuts"),
        (lambda t: bin_by_range(t, [*Z[:10], np.inf], 2), ValueError, "must be finite between the cuts, .* to inf"),
        (lambda t: bin_by_range(t, [*Z[:10], np.nan], 2), ValueError, r"NaN for 1 of 11 events \(first: event 10\)"),
        (lambda t: bin_by_range(t, "y", 2), ValueError, "unknown column 'y'; the data have: z, row"),
        (lambda t: bin_by_range(t, Z[:7], 2), ValueError, r"got shape \(7,\) for 11 events"),
        (lambda t: bin_by_list(t, Z[:7], [0, 1]), ValueError, r"got shape \(7,\) for 11 events"),
        (lambda t: bin_with_fixed_widths(t, Z[:7], 2), ValueError, r"got shape \(7,\) for 11 events"),
        (lambda t: bin_by_list(t, "z", [0]), ValueError, "at least two strictly rising numbers"),
        (lambda t: bin_by_list(t, "z", [0, 2, 1]), ValueError, "at least two strictly rising numbers"),
        (lambda t: bin_with_fixed_widths(t, "z", 0), ValueError, "fixed_size must be at least 1, got 0"),
        (lambda t: bin_with_fixed_widths(t, "z", 2.5), TypeError, "fixed_size must be a whole number, got 2.5"),
        (lambda t: bin_by_range(list(Z), "z", 2), TypeError, "events to bin must be a DataFrame, .* got list"),
        (lambda t: bin_by_range(Z, "z", 2), TypeError, "A plain array has no column names"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [frame_of, structured_of])
def test_mistakes_are_answered_in_words(make, call, kind, message):
    with pytest.raises(kind, match=message):
        call(make(Z))


@KINDS
def test_listed_edges_count_every_event_once(make):
    """PyPWA has events on inner edges in both bins: 26 + 26 + 51 of 101."""
    bins = bin_by_list(make(np.arange(101.0)), "z", [0, 25, 50, 100])
    assert sizes(bins) == [25, 25, 51]
    assert sorted(sum(rows(bins), [])) == list(range(101))


@KINDS
def test_empty_bins_are_empty_tables_of_the_same_type(make):
    bins = bin_by_list(make(Z), "z", [-3, -2, 4.5, np.inf])
    assert rows(bins) == [[], [0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10]]
    assert all(type(part) is type(make(Z)) for part in bins)
    assert np.asarray(bins[0]["row"]).dtype == np.asarray(make(Z)["row"]).dtype


@pytest.mark.parametrize(
    ("events", "size", "expected"),
    [
        (101, 20, [20, 20, 20, 20, 20, 1]),
        (43, 20, [1, 20, 20, 2]),
        (5, 20, [2, 3]),
        (10000, 900, [50, *[900] * 11, 50]),
        (11, 3, [1, 3, 3, 3, 1]),
        (10, 3, [3, 3, 3, 1]),
        (2, 5, [1, 1]),
    ],
)
@KINDS
def test_bins_of_fixed_size_have_known_counts(make, events, size, expected):
    """O08."""
    z = np.random.default_rng(1).permutation(events).astype(float)
    bins = bin_with_fixed_widths(make(z), "z", size)
    assert sizes(bins) == expected
    order, start = np.argsort(z), 0
    for part, n in zip(rows(bins), expected, strict=True):
        assert part == sorted(order[start : start + n].tolist())
        start += n


@KINDS
def test_cuts_of_fixed_size_bins_are_inclusive(make):
    assert rows(bin_with_fixed_widths(make(Z), "z", 3, 2, 8)) == [[2, 3, 4], [5, 6, 7], [8]]


def test_series_are_paired_by_position_and_frames_keep_their_index():
    """O07."""
    table = pd.DataFrame({"x": [2.0, 4.0, 5.0]}, index=[1, 3, 4])
    by = np.array([0.0, 1.0, 2.0])
    for index in ([0, 1, 2], [1, 3, 4], [4, 3, 1]):
        series = pd.Series(by, index=index)
        for bins in (
            bin_by_range(table, series, 2),
            bin_by_list(table, series, [0, 1, 2]),
            bin_with_fixed_widths(table, series, 1)[:1] + [table.iloc[1:]],
        ):
            assert [part["x"].tolist() for part in bins] == [[2], [4, 5]]
            assert [part.index.tolist() for part in bins] == [[1], [3, 4]]
    with pytest.raises(ValueError, match=r"got shape \(4,\) for 3 events"):
        bin_by_range(table, pd.Series([1.0, 2, 3, 4]), 2)


def test_four_vectors_are_binned_by_numbers_beside_them(shared_data):
    table = jp.read(shared_data / "pypwa/tests/test_data/docs/large.gamp")
    pool = ParticlePool.from_table(table)
    mass = pool.get_event_mass()
    bins = bin_by_range(pool, mass, 4)
    assert all(isinstance(part, ParticlePool) for part in bins)
    assert [part.event_count for part in bins] == np.histogram(mass, 4)[0].tolist()
    assert [part.event_count for part in bin_with_fixed_widths(pool, mass, 300)] == [50, 300, 300, 300, 50]
    low, high = bin_by_list(pool, mass, [0, 0.77, 2])
    assert (low.get_event_mass().max() < 0.77, high.get_event_mass().min() >= 0.77) == (True, True)
    with pytest.raises(TypeError, match="one number per event for four-vectors, got the name 'mass'"):
        bin_by_range(pool, "mass", 4)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3).map(lambda v: round(v, 2))),
    st.integers(1, 9),
)
def test_every_event_is_in_one_bin_as_numpy_counts_them(z, number):
    bins = bin_by_range(frame_of(z), "z", number)
    assert sorted(sum(rows(bins), [])) == list(range(len(z)))
    assert len(bins) == number
    if z.min() < z.max():
        edges = np.linspace(z.min(), z.max(), number + 1)
        assert sizes(bins) == np.histogram(z, edges)[0].tolist()
    fixed = bin_with_fixed_widths(frame_of(z), "z", number)
    assert sorted(sum(rows(fixed), [])) == list(range(len(z)))
