"""Compiled code is kept where a model computes the same, and made anew where it does not."""

from functools import partial

import numpy as np
import pytest

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.engine.model import ModelRef
from jaxpwa.physics.waves.composition import CoherentSum
from jaxpwa.physics.waves.wave import Wave

DATA = {"x": [1.0, 2.0]}
SCALE = 2.0


def helper(x):
    return SCALE * x


def through_a_global(p, d):
    return p["a"] * helper(d["x"])


def value(model):
    return jp.UnbinnedNLL(model, DATA)({"a": 1.0})


def expected(scale):
    return pytest.approx(-np.log(scale * 1.0) - np.log(scale * 2.0), rel=1e-14)


def test_a_changed_global_of_a_helper_is_seen(monkeypatch):
    assert value(through_a_global) == expected(2.0)
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert value(through_a_global) == expected(5.0)
    monkeypatch.setitem(globals(), "helper", lambda x: 7.0 * x)
    assert value(through_a_global) == expected(7.0)


def test_a_changed_attribute_closure_or_default_is_seen():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, p, d):
            return p["a"] * self.scale * d["x"]

        def method(self, p, d):
            return self(p, d)

    model = Model(2.0)
    assert value(model) == value(model.method) == expected(2.0)
    model.scale = 3.0
    assert value(model) == value(model.method) == expected(3.0)

    scale = 2.0

    def closed(p, d):
        return p["a"] * scale * d["x"]

    assert value(closed) == expected(2.0)
    scale = 4.0
    assert value(closed) == expected(4.0)

    def defaulted(p, d, scale=2.0):
        return p["a"] * scale * d["x"]

    assert value(defaulted) == expected(2.0)
    defaulted.__defaults__ = (6.0,)
    assert value(defaulted) == expected(6.0)


def test_a_lambda_written_in_a_loop_is_compiled_once():
    traces = []

    def count():
        traces.append(1)
        return 1.0

    sizes = []
    for k in range(5):
        cost = jp.UnbinnedNLL(lambda p, d: count() * p["a"] * d["x"], {"x": np.arange(1.0, 3.0 + k)})
        cost({"a": 1.0})
        sizes.append(len(traces))
    assert sizes[0] == sizes[-1]


def test_lambdas_of_different_surroundings_are_told_apart():
    values = [value(lambda p, d, k=k: p["a"] * k * d["x"]) for k in (1.0, 2.0, 3.0)]
    assert values == [expected(k) for k in (1.0, 2.0, 3.0)]
    models = [lambda p, d: p["a"] * d["x"], lambda p, d: p["a"] * d["x"] ** 2]
    assert ModelRef(models[0]) != ModelRef(models[1])
    assert ModelRef(models[0]) != models[0]


@pytest.mark.parametrize("constants", [(1, 1.0), (1, True), (0.0, -0.0), ((1, 2), (1, 3)), ("a", b"a")])
def test_constants_of_another_type_or_sign_make_another_model(constants):
    def make(k):
        return lambda p, d: p["a"] * d["x"] * (k is not None)

    assert ModelRef(make(constants[0])) != ModelRef(make(constants[1]))
    assert ModelRef(make(constants[0])) == ModelRef(make(constants[0]))
    assert ModelRef(make(float("nan"))) == ModelRef(make(float("nan")))


def test_partial_functions_are_known_by_function_and_arguments():
    def model(p, d, *, k):
        return p["a"] * k * d["x"]

    assert value(partial(model, k=2.0)) == expected(2.0)
    assert value(partial(model, k=3.0)) == expected(3.0)
    assert ModelRef(partial(model, k=2.0)) == ModelRef(partial(model, k=2.0))
    assert ModelRef(partial(model, k=2.0)) != ModelRef(partial(model, k=3.0))


def test_arrays_count_as_changed_when_replaced():
    def make(table):
        return lambda p, d: p["a"] * d["x"] * table.sum()

    first = np.ones(3)
    assert ModelRef(make(first)) == ModelRef(make(first))
    assert ModelRef(make(first)) != ModelRef(make(np.ones(3)))


def test_recursive_functions_and_objects_end():
    def countdown(n, x):
        return x if n == 0 else countdown(n - 1, x + 1)

    def model(p, d):
        return p["a"] * countdown(3, d["x"])

    class Ring:
        def __init__(self):
            self.me = self

        def __call__(self, p, d):
            return p["a"] * jnp.ones_like(d["x"])

    assert ModelRef(model) == ModelRef(model)
    ring = Ring()
    assert ModelRef(ring) == ModelRef(ring)


def composed():
    def shape(p, d):
        return helper(d["x"])

    return CoherentSum("all", [Wave("S", shape), Wave("P", partial(through_a_global)), Wave("D", [shape, shape])])


def test_a_composed_model_is_known_by_what_its_waves_compute(monkeypatch):
    assert ModelRef(composed()) == ModelRef(composed())
    assert hash(ModelRef(composed())) == hash(ModelRef(composed()))
    assert ModelRef(composed()) != ModelRef(composed().without("P"))
    before = ModelRef(composed())
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert ModelRef(composed()) != before
