import numpy as np
import pandas as pd
import pytest

import jaxpwa as jp

X = [2.0, 4.0, 5.0]


@pytest.mark.parametrize(
    "table",
    [
        {"x": X},
        {"x": np.array(X, np.float32)},
        pd.DataFrame({"x": X}, index=[1, 3, 4]),
        pd.DataFrame({"x": [1, 2, 3, 4, 5, 6]})[lambda f: f["x"].isin(X)],
        np.array([(v,) for v in X], [("x", "f8")]),
        jp.Dataset({"x": X}),
    ],
)
def test_every_kind_of_table_gives_the_same_columns(table):
    data = jp.Dataset(table)
    assert len(data) == 3
    np.testing.assert_array_equal(data.numbers("x"), X)
    assert data.numbers("x").dtype == np.float64


@pytest.mark.parametrize("index", [[0, 1, 2], [1, 3, 4], [4, 3, 1]])
def test_weights_of_a_series_are_paired_by_position(index):
    """O07: labels must not align after a cut."""
    frame = pd.DataFrame({"x": [1, 2, 3, 4, 5, 6]})[[False, True, False, True, True, False]]
    data = jp.Dataset(frame, weights=pd.Series([1, 2, 3], index=index))
    cost = jp.UnbinnedNLL(lambda p, d: p["one"] * d["x"], data)
    assert cost({"one": 1.0}) == pytest.approx(-8.294049640102028, rel=1e-14)


def test_selecting_keeps_weights_and_order():
    data = jp.Dataset({"x": [1, 2, 3, 4]}, weights=[1.0, -2.0, 3.0, 0.0])
    some = data.select(pd.Series([True, False, True, True], index=[9, 8, 7, 6]))
    assert some["x"].tolist() == [1, 3, 4]
    assert some.weights.tolist() == [1, 3, 0]
    assert data.select([3, 0]).weights.tolist() == [0, 1]
    assert len(data.select([])) == 0
    assert data.select(slice(1, 3))["x"].tolist() == [2, 3]


def test_weights_may_name_a_column():
    data = jp.Dataset({"x": [1.0, 2.0], "qf": [0.5, 2]}, weights="qf")
    assert data.sum_of_weights == 2.5


def test_columns_can_be_added_and_weights_replaced():
    data = jp.Dataset({"x": [1.0, 2.0]}, weights=[1, 2]).with_columns(y=[3, 4])
    assert data.to_frame().columns.tolist() == ["x", "y"]
    assert data.weights.tolist() == [1, 2]
    assert not data.with_weights(None).is_weighted
    assert "y" in data
    assert list(data) == ["x", "y"]


def test_nullable_integers_become_floats_with_nan():
    frame = pd.DataFrame({"n": pd.array([1, None, 3], dtype="Int64")})
    np.testing.assert_array_equal(jp.Dataset(frame).numbers("n"), [1, np.nan, 3])


def test_objects_that_are_numbers_become_floats():
    data = jp.Dataset({"x": np.array([1, 2.5, None], object), "y": np.array([1, "two", 3], object)})
    np.testing.assert_array_equal(data.numbers("x"), [1, 2.5, np.nan])
    with pytest.raises(TypeError, match="column 'y' holds object values"):
        data.numbers("y")


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bool", "float32", "float16"])
def test_numbers_of_any_type_become_float64(dtype):
    values = np.array([0, 1, 1], dtype)
    assert jp.Dataset({"x": values}).numbers("x").dtype == np.float64


def test_a_dataset_is_a_pytree_of_its_arrays():
    import jax

    leaves = jax.tree.leaves(jp.Dataset({"x": np.ones(3), "y": np.ones(3)}, weights=np.ones(3)))
    assert [leaf.shape for leaf in leaves] == [(3,), (3,), (3,)]


@pytest.mark.parametrize(
    ("table", "weights", "kind", "message"),
    [
        (np.ones(3), None, TypeError, "A plain array has no column names"),
        (3, None, TypeError, "events must come as a dict of arrays.*got int"),
        ({}, None, ValueError, "at least one column, got none"),
        ({1: [1.0]}, None, TypeError, "column names must be strings, got 1"),
        ({"x": 1.0}, None, ValueError, "column 'x' must have one value per event"),
        ({"x": [1, 2], "y": [1]}, None, ValueError, "'x' has 2 events, 'y' has 1"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), None, ValueError, "x occur more than once"),
        ({"x": [1, 2, 3]}, [1, 2, 3, 4], ValueError, "weights must have one entry per event: got 4 for 3 events"),
        ({"x": [1, 2]}, [1, np.nan], ValueError, r"weights must be finite: 1 of 2 are not \(first: event 1, nan\)"),
        ({"x": [1, 2]}, ["a", "b"], TypeError, "weights must be real numbers"),
        ({"x": [1, 2]}, [[1, 2]], ValueError, r"weights must have shape \(events,\), got shape \(1, 2\)"),
        ({"x": [1, 2]}, "w", ValueError, "weights names column 'w', which the table does not have; columns: x"),
        (np.zeros((2, 2), [("x", "f8")]), None, ValueError, "one dimension"),
    ],
)
def test_bad_tables_are_refused_at_the_door(table, weights, kind, message):
    with pytest.raises(kind, match=message):
        jp.Dataset(table, weights)


def test_a_mask_of_another_length_is_refused():
    data = jp.Dataset({"x": [1, 2, 3]})
    with pytest.raises(ValueError, match="mask must have one entry per event: got 7 for 3 events"):
        data.select(np.ones(7, bool))


def test_unknown_columns_and_dtypes_are_named():
    data = jp.Dataset({"x": [1.0], "kind": ["a"]})
    with pytest.raises(ValueError, match="unknown column 'z'; the data have: x, kind"):
        data["z"]
    with pytest.raises(TypeError, match="column 'kind' holds .*first: 'a'.*can't use as numbers"):
        data.numbers("kind")
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32', got 'int32'"):
        jp.Dataset({"x": [1]}, dtype="int32")


def test_repr_tells_events_weights_and_columns():
    assert repr(jp.Dataset({"x": [1, 2]}, [1, 0.5])) == "Dataset(2 events, sum of weights 1.5; columns: x)"
