"""What an intensity may not do is said when the cost is built, in words of the user's own code."""

import numpy as np
import pytest

import jax
import jax.numpy as jnp

import jaxpwa as jp

DATA = {"x": [1.0, 2.0, 3.0], "y": [1.0, 1.0, 2.0], "label": ["a", "b", "c"]}


def no_jnp(p, d):
    return np.exp(d["x"]) * p["a"]


def branches(p, d):
    return d["x"] if p["a"] > 0 else d["y"]


def takes_item(p, d):
    return d["x"] * float(p["a"])


def closes_over_events(p, d):
    return p["a"] * d["x"] * np.ones(5000)


def returns_sum(p, d):
    return jnp.sum(p["a"] * d["x"])


def returns_scalar(p, d):
    return p["a"]


def returns_wide(p, d):
    return p["a"] * jnp.stack([d["x"], d["y"]])


def returns_list(p, d):
    return [p["a"] * d["x"]]


def returns_amplitude(p, d):
    return p["a"] * jnp.exp(1j * d["x"])


def returns_bool(p, d):
    return d["x"] > p["a"]


def unknown_column(p, d):
    return p["a"] * d["mass"]


def text_column(p, d):
    return p["a"] * d["label"]


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (no_jnp, TypeError, r"no_jnp can't be compiled by JAX: .*use jax.numpy for numpy"),
        (branches, TypeError, r"branches can't be compiled by JAX: .*jnp.where for if on event values"),
        (takes_item, TypeError, r"takes_item can't be compiled by JAX: .*no float\(\), .item\(\)"),
        (closes_over_events, ValueError, r"any number of events: .*\(events,\).*\(5000,\).*belong into the data"),
        (returns_sum, ValueError, r"one value per event, shape \(events,\), got shape \(\). Is there a sum"),
        (returns_scalar, ValueError, r"one value per event, shape \(events,\), got shape \(\)"),
        (returns_wide, ValueError, r"got shape \(2, events\)"),
        (returns_list, TypeError, "must return one array .* got list"),
        (returns_amplitude, TypeError, r"must return a real intensity, got complex128: take abs\(amplitude\)\*\*2"),
        (returns_bool, TypeError, "must return real numbers, got bool"),
        (unknown_column, ValueError, "reads column 'mass', which the data do not have; columns: x, y"),
        (text_column, ValueError, "reads column 'label'|column 'label' holds"),
    ],
)  # fmt: skip
def test_wrong_models_are_explained(model, kind, message):
    with pytest.raises(kind, match=message):
        jp.UnbinnedNLL(model, DATA)


@pytest.mark.parametrize(
    ("model", "primitive"),
    [
        (lambda p, d: p["a"] * d["x"] / jnp.max(d["x"]), "reduce_max"),
        (lambda p, d: p["a"] * d["x"] / jnp.mean(d["x"]), "reduce_sum"),
        (lambda p, d: p["a"] * jnp.cumsum(d["x"]), "cumsum"),
        (lambda p, d: p["a"] * jnp.sort(d["x"]), "sort"),
        (lambda p, d: p["a"] * d["x"][::-1], "rev"),
        (lambda p, d: p["a"] * d["x"] + d["x"][0], "slice"),
        (lambda p, d: p["a"] * d["x"] * (d["x"] @ d["y"]), "dot_general"),
        (lambda p, d: p["a"] * jnp.roll(d["x"], 1), "slice"),
        (lambda p, d: p["a"] * jax.jit(lambda x: x / x.sum())(d["x"]), "reduce_sum"),
        (lambda p, d: jax.lax.scan(lambda c, x: (c + x, c * p["a"]), 0.0, d["x"])[1], "scan"),
    ],
)
def test_operations_that_mix_events_are_refused(model, primitive):
    with pytest.raises(ValueError, match=f"must treat every event alone, but {primitive}"):
        jp.UnbinnedNLL(model, DATA)


def test_the_line_that_mixes_events_is_named():
    def normalised_by_hand(p, d):
        return p["a"] * d["x"] / jnp.sum(d["x"])

    with pytest.raises(ValueError, match=r"line \d+ of test_model_checks.py, in normalised_by_hand"):
        jp.UnbinnedNLL(normalised_by_hand, DATA)


@pytest.mark.parametrize(
    "model",
    [
        lambda p, d: jnp.stack([d["x"], d["y"]]).sum(0) * p["a"],
        lambda p, d: jnp.einsum("we,w->e", jnp.stack([d["x"], d["y"]]), jnp.stack([p["a"], p["a"]])),
        lambda p, d: jax.lax.map(lambda x: x * p["a"], d["x"]),
        lambda p, d: jax.vmap(lambda x, y: p["a"] * (x + y))(d["x"], d["y"]),
        lambda p, d: sum(p["a"] * d[n] for n in d if n != "label"),
        lambda p, d: p["a"] * d.get("z", d["x"]) * ("y" in d) * len(d),
        lambda p, d: p["a"] * jnp.where(d["x"] > 2, d["x"], d["y"]),
        lambda p, d: p["a"] * jnp.cumsum(jnp.stack([d["x"], d["y"]]), axis=0)[1],
    ],
)
def test_event_by_event_models_of_many_styles_pass(model):
    cost = jp.UnbinnedNLL(model, {k: v for k, v in DATA.items() if k != "label"})
    assert cost.parameters == ("a",)
    assert np.isfinite(cost({"a": 1.0}))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("gauss", r"must be a function of \(params, data\), got 'gauss'"),
        (dict, r"must be a function of \(params, data\), got the class dict"),
        (lambda p: p["a"], r"but <lambda>\(p\) can't be called with these two"),
        (lambda p, d, more: p["a"], r"but <lambda>\(p, d, more\) can't be called"),
    ],
)
def test_what_is_no_function_of_parameters_and_data_is_refused(model, message):
    with pytest.raises(TypeError, match=message):
        jp.UnbinnedNLL(model, DATA)


def test_swapped_arguments_are_recognised():
    with pytest.raises(TypeError, match="got function. Intensity first, then data"):
        jp.UnbinnedNLL(DATA, branches)


@pytest.mark.parametrize("model", [lambda p, d: p.a * d["x"], lambda p, d: p["a"] * d.x])
def test_attributes_in_place_of_brackets_are_explained(model):
    with pytest.raises(AttributeError, match=r"read by name in brackets, p\['.'\] or d\['.'\], not as attributes"):
        jp.UnbinnedNLL(model, DATA)


def test_an_error_of_the_users_own_code_arrives_as_it_is():
    def broken(p, d):
        raise LookupError("the table of couplings is empty")  # noqa: EM101

    with pytest.raises(LookupError, match="the table of couplings is empty"):
        jp.UnbinnedNLL(broken, DATA)


def test_type_and_value_errors_of_the_users_own_code_arrive_as_they_are():
    def wrong_type(p, d):
        return p["a"] * d["x"] * len(5)

    def wrong_value(p, d):
        return p["a"] * d["x"] * int("five")

    with pytest.raises(TypeError, match="has no len"):
        jp.UnbinnedNLL(wrong_type, DATA)
    with pytest.raises(ValueError, match="invalid literal for int"):
        jp.UnbinnedNLL(wrong_value, DATA)


def test_models_may_walk_over_their_columns():
    numbers = {k: v for k, v in DATA.items() if k != "label"}
    for model in (
        lambda p, d: p["a"] * sum(d.values()),
        lambda p, d: p["a"] * sum(v for _, v in d.items()),
        lambda p, d: p["a"] * sum(d[k] for k in d.keys()),
    ):
        assert jp.UnbinnedNLL(model, numbers)({"a": 1.0}) == pytest.approx(-np.log(2 * 3 * 5))


def test_nan_and_infinity_in_columns_that_are_read_name_column_and_event():
    """O20: a blank field must not turn a whole fit into NaN."""
    bad = {"x": np.array([1.0, 2, np.nan, np.inf]), "y": np.ones(4)}
    with pytest.raises(ValueError, match=r"data: column 'x' is NaN or infinite for 2 of 4 events \(first: event 2\)"):
        jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"], bad)
    with pytest.raises(ValueError, match=r"accepted_mc: column 'x' is NaN .* \(first: event 2\)"):
        jp.ExtendedNLL(lambda p, d: p["a"] * d["x"], {"x": [1.0]}, bad)
    with pytest.raises(ValueError, match=r"for 1 of 2 events \(first: event 3\)"):
        jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"], jp.Dataset(bad, [1, 0, 0, 1]))
    assert np.isfinite(jp.UnbinnedNLL(lambda p, d: p["a"] * d["y"], bad)({"a": 2.0}))


def test_huge_finite_columns_are_not_mistaken_for_infinite():
    values = np.full(4, 1.7e308)
    assert np.isfinite(jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"] / 1e300, {"x": values})({"a": 1.0}))


def test_data_without_events_that_count_are_refused():
    with pytest.raises(ValueError, match="data must have events that count: there are none"):
        jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"], {"x": np.empty(0)})
    with pytest.raises(ValueError, match="data must have events that count: all weights are 0"):
        jp.UnbinnedNLL(lambda p, d: p["a"] * d["x"], jp.Dataset({"x": [1.0, 2]}, [0, 0]))
    with pytest.raises(TypeError, match="accepted_mc: events must come as a dict"):
        jp.ExtendedNLL(lambda p, d: p["a"] * d["x"], {"x": [1.0]}, 7)
