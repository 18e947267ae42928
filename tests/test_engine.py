"""Placement, the ladder, blocked sums: against plain numpy, on any number of devices, at any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import central_gradient, gauss, gauss_nll, gauss_sample, run_with_devices

import jax

import jaxpwa as jp
from jaxpwa._memory import aligned
from jaxpwa.engine import devices
from jaxpwa.engine.blocks import block_size, gather, place, rows_to_alignment, rung, rung_below, split_evenly
from jaxpwa.engine.model import ModelRef, inspect_model
from jaxpwa.engine.sums import compiled_sum

LENGTHS = [1, 2, 3, 4095, 4096, 4097, 8191, 12289, 70001]
POINT = {"A1": 9.5, "A2": 3.2, "A3": 10.4, "A4": 2.9}


@given(st.integers(1, 10**7))
def test_a_rung_holds_the_blocks_and_wastes_an_eighth_at_most(n):
    r = rung(n)
    assert r >= n
    assert rung(r) == r
    if n > 64:
        assert r <= n * 1.125


@given(st.integers(1, 10**7))
def test_the_rung_below_is_the_nearest_one_that_fits(n):
    below = rung_below(n)
    assert below <= n
    assert below in (1, 4) or rung(below) == below
    assert rung(below + 1) > n or below == n


def test_ten_bins_of_a_million_events_share_one_rung():
    counts = np.random.default_rng(0).poisson(70_600, 100)
    assert len({rung(-(-int(n) // 4096)) for n in counts}) == 1


@given(st.integers(0, 10_000), st.integers(1, 17))
def test_even_split_keeps_order_and_sizes_differ_by_one(n, parts):
    sizes = np.diff(split_evenly(n, parts))
    assert sizes.sum() == n
    assert len(sizes) == parts
    assert sizes.tolist() == [len(p) for p in np.array_split(np.arange(n), parts)]


def test_gpu_blocks_grow_with_shard_and_memory(monkeypatch):
    monkeypatch.setattr("jaxpwa.engine.blocks.memory_per_device", lambda: 80 << 30)
    assert [block_size(n, "gpu") for n in (10, 5000, 10**6, 10**8)] == [4096, 16384, 1 << 20, 1 << 20]
    monkeypatch.setattr("jaxpwa.engine.blocks.memory_per_device", lambda: 12 << 30)
    assert [block_size(n, "gpu") for n in (5000, 10**8)] == [16384, 1 << 18]
    assert block_size(10**8, "cpu") == 4096


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("n_devices", [1, 2])
def test_value_gradient_and_hessian_match_numpy_at_any_length(n, n_devices):
    sample = gauss_sample(n)
    cost = jp.UnbinnedNLL(gauss, sample, devices=n_devices)
    assert cost(POINT) == pytest.approx(gauss_nll(POINT, **sample), rel=1e-13)
    value, gradient = cost.value_and_grad(POINT)
    assert value == pytest.approx(cost(POINT), rel=1e-13)
    expected = central_gradient(lambda p: gauss_nll(p, **sample), POINT)
    for name in POINT:
        assert gradient[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-6 * n)
    hessian = cost.hessian(POINT)
    for i, name in enumerate(POINT):
        row = central_gradient(lambda p, name=name: cost.value_and_grad(p)[1][name], POINT, 1e-5)
        np.testing.assert_allclose(hessian[i], list(row.values()), rtol=1e-6, atol=1e-6 * n)


@pytest.mark.parametrize("weights", [None, "mixed"])
def test_padding_and_zero_weights_change_nothing(weights):
    """Events of weight 0 are left out, however bad they are; pads repeat a real row."""
    sample = gauss_sample(5000)
    w = None if weights is None else np.where(np.arange(5000) % 3 == 0, -0.5, 1.0)
    plain = jp.UnbinnedNLL(gauss, jp.Dataset(sample, w))
    junk = {name: np.concatenate([v, [np.nan, np.inf, 1e9]]) for name, v in sample.items()}
    more = jp.UnbinnedNLL(gauss, jp.Dataset(junk, np.concatenate([np.ones(5000) if w is None else w, [0, 0, 0]])))
    assert more.ndata == 5000
    assert more(POINT) == pytest.approx(plain(POINT), rel=1e-14)
    a, b = plain.value_and_grad(POINT)[1], more.value_and_grad(POINT)[1]
    assert a == pytest.approx(b, rel=1e-12)
    assert np.isfinite(more.hessian(POINT)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9000), st.integers(0, 10**6))
def test_the_order_of_events_does_not_matter(n, seed):
    sample = gauss_sample(n, seed=5)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = {name: v[order] for name, v in sample.items()}
    a, b = (jp.UnbinnedNLL(gauss, s).value_and_grad(POINT) for s in (sample, shuffled))
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    assert a[1] == pytest.approx(b[1], rel=1e-9, abs=1e-7)


def test_a_scale_factor_shifts_the_log_likelihood_by_its_log():
    sample = gauss_sample(3000)
    scaled = jp.UnbinnedNLL(lambda p, d: 7.5 * gauss(p, d), sample)
    assert scaled(POINT) - jp.UnbinnedNLL(gauss, sample)(POINT) == pytest.approx(-3000 * np.log(7.5), rel=1e-12)


SCRIPT = """
import sys, json, numpy as np, jax, jaxpwa as jp, jax.numpy as jnp
assert jax.device_count() == int(sys.argv[1])
data = {"x": np.arange(1003) / 1003}
mc = {"x": np.arange(1001) / 1001}
I = lambda p, d: p["a"] * jnp.exp(-d["x"])
few = jp.UnbinnedNLL(I, {"x": [0.25]}, devices=jax.device_count())
n = jax.device_count()
cost = jp.ExtendedNLL(I, data, mc, 1001, devices=n)
plain = jp.UnbinnedNLL(I, data, devices=n)
mask, _ = jp.rejection_sample(5, I, {"a": 2.0}, mc, devices=n)
print(json.dumps(dict(
    plain=plain({"a": 1.0}),
    extended=cost({"a": 1.0}),
    gradient=cost.value_and_grad({"a": 1.0})[1]["a"],
    few=few({"a": 1.0}),
    kept=np.flatnonzero(mask).tolist(),
    values=jp.evaluate(I, {"a": 1.0}, data, devices=n).sum(),
)))
"""


@pytest.fixture(scope="module")
def by_devices():
    return {n: run_with_devices(SCRIPT, n, str(n)) for n in (1, 2, 3, 4, 8)}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_sums_do_not_depend_on_the_number_of_devices(by_devices, n):
    """O02."""
    got = by_devices[n]
    assert got["plain"] == pytest.approx(501.0, rel=1e-12)
    assert got["extended"] == pytest.approx(501.63243635593495, rel=1e-12)
    assert got["gradient"] == pytest.approx(-1003 + 0.6324363559349537, rel=1e-12)
    assert got["few"] == pytest.approx(0.25, rel=1e-14)
    assert got["values"] == pytest.approx(np.exp(-np.arange(1003) / 1003).sum(), rel=1e-13)
    assert got["kept"] == by_devices[1]["kept"]


def test_one_trace_serves_ten_bins():
    calls = []

    def counted(p, d):
        calls.append(1)
        return gauss(p, d)

    start = {"A1": 9.0, "A2": 2.0, "A3": 9.0, "A4": 2.0}
    jp.fit(jp.UnbinnedNLL(counted, gauss_sample(6000)), start)
    before = len(calls)
    for i in range(9):
        jp.fit(jp.UnbinnedNLL(counted, gauss_sample(5000 + 200 * i, seed=i)), start)
    assert len(calls) == before


def test_data_of_many_lengths_share_one_compilation():
    def fresh(p, d):
        return gauss(p, d)

    for n in (100, 200, 4000):
        cost = jp.UnbinnedNLL(fresh, gauss_sample(n))
        cost(POINT)
    assert compiled_sum(cost._terms[0].total.spec, 0)._cache_size() == 1


def test_python_ints_numpy_and_jax_scalars_do_not_retrace():
    calls = []

    def counted(p, d):
        calls.append(1)
        return gauss(p, d)

    cost = jp.UnbinnedNLL(counted, gauss_sample(50))
    cost(POINT)
    before = len(calls)
    for number in (10, 10.0, np.float32(10), np.int64(10), jax.numpy.asarray(10.0)):
        cost({**POINT, "A1": number})
    assert len(calls) == before


def test_few_events_use_one_device_and_many_use_all():
    worth = devices._EVENTS_WORTH_A_DEVICE["cpu"]
    assert len(devices.select_devices(worth)) == 1
    assert len(devices.select_devices(2 * worth)) == 2
    assert len(devices.select_devices(10 * worth)) == 2
    assert devices.select_devices(5, [jax.devices()[1]]) == (jax.devices()[1],)


@pytest.mark.parametrize("wrong", [0, 3, [], ["cpu"], [jax.devices()[0]] * 2, 1.5, jax.devices()[0]])
def test_impossible_devices_are_refused(wrong):
    with pytest.raises(ValueError, match="devices must be"):
        jp.UnbinnedNLL(gauss, gauss_sample(10), devices=wrong)


def test_shards_are_taken_over_without_a_copy_and_padded_with_their_last_row():
    data = jp.Dataset({"x": np.arange(1.0, 6)}, weights=[1, 2, 3, 4, 5])
    placed = place(data, ("x",), devices=2)
    columns, _, weights, n_here = placed.arrays
    assert np.asarray(n_here).tolist() == [3, 2]
    shards = [np.asarray(s.data) for s in columns[0].addressable_shards]
    assert [s[:4].tolist() for s in shards] == [[1, 2, 3, 3], [4, 5, 5, 5]]
    assert (shards[0][3:4096] == 3).all()
    assert np.asarray(weights.addressable_shards[1].data)[:3].tolist() == [4, 5, 0]
    assert gather(columns[0], placed.cuts).tolist() == [1, 2, 3, 4, 5]
    host = aligned((4096,), float)
    assert jax.device_put(host, jax.devices()[0]).unsafe_buffer_pointer() == host.ctypes.data


def test_rows_to_alignment_finds_the_first_row_that_can_be_lent():
    host = aligned((64,), float)
    assert rows_to_alignment([host, host[16:]]) == 0
    assert rows_to_alignment([host[3:], host[11:]]) == 5
    assert rows_to_alignment([host[3:], host[4:]]) is None
    assert rows_to_alignment([host[::2]]) is None
    four = host.reshape(16, 4)
    assert rows_to_alignment([four[1:]]) == 1
    assert rows_to_alignment([aligned((63, 3), float)[1:]]) is None


def test_four_vectors_and_complex_columns_pass_through():
    rng = np.random.default_rng(1)
    p4, z = rng.normal(size=(5000, 4)), rng.normal(size=5000) + 1j * rng.normal(size=5000)
    table = {"p": p4, "z": z}
    values = jp.evaluate(lambda p, d: p["a"] * d["p"][:, 0] ** 2 + abs(d["z"]) ** 2, {"a": 2.0}, table)
    np.testing.assert_allclose(values, 2 * p4[:, 0] ** 2 + abs(z) ** 2, rtol=1e-14)
    amplitude = jp.evaluate(lambda p, d: p["a"] * d["z"], {"a": 2.0}, table)
    np.testing.assert_allclose(amplitude, 2 * z, rtol=1e-15)


def test_inspection_costs_one_trace_and_is_remembered():
    calls = []

    def model(p, d):
        calls.append(1)
        return p["a"] * d["x"]

    for _ in range(3):
        info = inspect_model(ModelRef(model), (("x", (), "float64"), ("y", (), "float64")))
    assert info.parameters == ("a",)
    assert info.columns == ("x",)
    assert len(calls) == 1


class Unhashable:
    __hash__ = None

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, p, d):
        return self.factor * p["a"] * d["x"]


def test_models_may_be_any_callable():
    class Method:
        def intensity(self, p, d):
            return p["a"] * d["x"]

    x = {"x": [1.0, 2.0]}
    method = Method()
    assert jp.UnbinnedNLL(method.intensity, x)({"a": 1.0}) == pytest.approx(-np.log(2))
    assert jp.UnbinnedNLL(Unhashable(2.0), x)({"a": 1.0}) == pytest.approx(-3 * np.log(2))
    assert ModelRef(method.intensity) == ModelRef(method.intensity)
    assert ModelRef(Unhashable(1.0)) != ModelRef(Unhashable(1.0))
    one = Unhashable(1.0)
    assert ModelRef(one) == ModelRef(one)
    assert ModelRef(one) != 3
