import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxpwa as jp

Z = {"z": np.arange(11.0), "i": np.arange(11)}


def sizes(bins):
    return [len(b["z"]) for b in bins]


def test_range_bins_hold_every_event_once_and_the_last_one_is_closed():
    """O08."""
    bins = jp.bin_by_range(Z, "z", 5)
    assert sizes(bins) == [2, 2, 2, 2, 3]
    assert np.concatenate([b["i"] for b in bins]).tolist() == list(range(11))


def test_cuts_are_the_outer_edges_for_any_data():
    assert sizes(jp.bin_by_range(Z, "z", 3, 2, 8)) == [2, 2, 3]
    assert [b["z"].tolist() for b in jp.bin_by_range(Z, "z", 2, 1.5, 8.5)] == [[2, 3, 4], [5, 6, 7, 8]]
    gap = {"z": np.array([0.3, 0.7])}
    assert sizes(jp.bin_by_range(gap, "z", 3, 0.2, 0.8)) == [1, 0, 1]


def test_sampling_draws_distinct_events_of_the_bin_and_repeats_with_its_seed():
    bins = jp.bin_by_range(Z, "z", 5, sample_size=2, seed=4)
    assert sizes(bins) == [2] * 5
    for low, b in zip(range(0, 10, 2), bins, strict=True):
        assert len(set(b["z"])) == 2
        assert b["z"].min() >= low
        assert b["z"].max() <= low + 2
    again = jp.bin_by_range(Z, "z", 5, sample_size=2, seed=4)
    assert [b["i"].tolist() for b in bins] == [b["i"].tolist() for b in again]


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [
        (11, 3, [1, 3, 3, 3, 1]),
        (10, 3, [3, 3, 3, 1]),
        (2, 5, [1, 1]),
        (101, 20, [20] * 5 + [1]),
        (43, 20, [1, 20, 20, 2]),
        (9, 3, [3, 3, 3]),
    ],
)
def test_fixed_size_bins_split_the_remainder_between_the_ends(n, size, expected):
    bins = jp.bin_with_fixed_widths({"z": np.arange(float(n))[::-1]}, "z", size)
    assert sizes(bins) == expected
    assert max(bins[0]["z"]) < min(bins[-1]["z"])


def test_fixed_size_bins_keep_row_order_inside_a_bin_and_respect_cuts():
    bins = jp.bin_with_fixed_widths({"z": np.array([5.0, 1, 4, 2, 3, 9])}, "z", 2, lower_cut=2, upper_cut=5)
    assert [b["z"].tolist() for b in bins] == [[2, 3], [5, 4]]


@pytest.mark.parametrize("kind", ["frame", "dict", "structured", "dataset"])
def test_bins_have_the_type_that_came_in(kind):
    frame = pd.DataFrame(Z, index=range(50, 61))
    table = {
        "frame": frame,
        "dict": Z,
        "structured": frame.to_records(index=False).view(np.ndarray),
        "dataset": jp.Dataset(frame, weights=np.arange(11.0)),
    }[kind]
    bins = jp.bin_by_edges(table, "z", [0, 5, 10])
    assert all(type(b) is type(table) for b in bins)
    assert sizes(bins) == [5, 6]
    if kind == "dataset":
        assert bins[1].weights.tolist() == [5, 6, 7, 8, 9, 10]


@given(st.lists(st.floats(0, 10), max_size=40), st.lists(st.floats(-1, 11), min_size=2, max_size=8, unique=True))
def test_edges_sort_events_as_numpy_counts_them(values, edges):
    edges = sorted(edges)
    bins = jp.bin_by_edges({"z": np.array(values)}, "z", edges)
    assert sizes(bins) == np.histogram(values, edges)[0].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jp.bin_by_edges(Z, "z", [1, 1, 2]), "edges must be at least two strictly rising numbers"),
        (lambda: jp.bin_by_edges(Z, "q", [1, 2]), "unknown column 'q'; the data have: z, i"),
        (lambda: jp.bin_by_edges(Z, [1.0, 2.0], [1, 2]), "one entry per event: got 2 for 11 events"),
        (lambda: jp.bin_by_edges({"z": [1, np.nan]}, "z", [1, 2]), r"NaN for 1 events \(first: event 1\)"),
        (lambda: jp.bin_by_edges({"z": np.ones((2, 4))}, "z", [1, 2]), r"shape \(events,\), got shape \(2, 4\)"),
        (lambda: jp.bin_by_range({"z": np.ones(4)}, "z", 3), "must have a width: lower edge 1.0, upper edge 1.0"),
        (lambda: jp.bin_by_range(Z, "z", 0), "number_of_bins must be at least 1, got 0"),
        (lambda: jp.bin_by_range(Z, "z", 5, sample_size=5, seed=1), "bin 0 has 2 events, fewer than sample_size=5"),
        (lambda: jp.bin_by_range(Z, "z", 5, sample_size=1), "sample_size needs a seed"),
        (lambda: jp.bin_by_range({"z": np.empty(0)}, "z", 5), "without events has no range"),
        (lambda: jp.bin_with_fixed_widths(Z, "z", 0), "fixed_size must be at least 1, got 0"),
    ],
)
def test_bad_bins_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [jp.bin_by_range, jp.bin_with_fixed_widths])
@pytest.mark.parametrize("count", [2.5, "3", True])
def test_counts_must_be_whole_numbers(call, count):
    with pytest.raises(TypeError, match="must be a whole number, got"):
        call(Z, "z", count)
