"""Values per event and rejection sampling: against numpy, on any number of devices, any length."""

import numpy as np
import pytest
from models import TRUE_GAUSS, gauss, rho, rho_events, run_with_devices
from scipy import stats

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32

import jaxpwa as jp
from jaxpwa._random import key_words
from jaxpwa.engine import pointwise
from jaxpwa.engine.pointwise import event_uniform, threefry


def line(p, d):
    return p["a"] * d["x"]


@pytest.mark.parametrize("n", [0, 1, 2, 5, 4096, 10_001])
@pytest.mark.parametrize("n_devices", [1, 2])
def test_values_come_back_in_order_without_padding(n, n_devices):
    x = np.random.default_rng(n).normal(size=n)
    values = jp.evaluate(line, {"a": 3.0, "other": 1.0}, {"x": x}, devices=n_devices)
    np.testing.assert_array_equal(values, 3.0 * x)


def test_chunks_join_without_a_seam(monkeypatch):
    x = np.arange(50_001.0)
    whole = jp.rejection_sample(3, line, {"a": 1.0}, {"x": x})
    monkeypatch.setattr(pointwise, "_CHUNK", 4096)
    np.testing.assert_array_equal(jp.evaluate(line, {"a": 2.0}, {"x": x}), 2 * x)
    chunked = jp.rejection_sample(3, line, {"a": 1.0}, {"x": x})
    given = jp.rejection_sample(3, line, {"a": 1.0}, {"x": x}, maximum=50_000.0)
    for mask, report in (chunked, given):
        np.testing.assert_array_equal(mask, whole[0])
        assert report == whole[1]


@pytest.mark.parametrize("offset", [0, 1, 5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_devices", [1, 2])
def test_large_samples_read_in_place_give_what_copies_give(offset, weighted, n_devices):
    """Aligned rows are lent to the devices, both ends are copied: no event is lost, moved or drawn twice."""
    n = 300_000 + offset
    x = np.random.default_rng(0).random(n)[offset:]
    before = x.copy()
    data = jp.Dataset({"x": x}, np.linspace(0, 2, len(x)) if weighted else None)
    np.testing.assert_array_equal(jp.evaluate(line, {"a": 3.0}, data, devices=n_devices), 3 * x)
    product = x * data.weights
    u = np.asarray(event_uniform(jnp.asarray(key_words(9)), jnp.arange(len(x), dtype=jnp.uint64)))
    for maximum in (None, 2.5):
        mask, report = jp.rejection_sample(9, line, {"a": 1.0}, data, maximum=maximum, devices=n_devices)
        np.testing.assert_array_equal(mask, u * (maximum or product.max()) < product)
        assert report.largest == product.max()
    np.testing.assert_array_equal(x, before)


def test_amplitudes_may_be_complex_and_parameters_taken_as_a_whole():
    values = jp.evaluate(lambda p, d: sum(p.values()) * jnp.exp(1j * d["x"]), {"a": 1, "b": 2}, {"x": [0.5]})
    np.testing.assert_allclose(values, [3 * np.exp(0.5j)], rtol=1e-15)


def test_threefry_is_the_generator_of_jax():
    key = np.array([123, 456], np.uint32)
    high, low = np.array([0, 0, 7], np.uint32), np.array([0, 1, 2**32 - 1], np.uint32)
    ours = threefry(jnp.asarray(key), jnp.asarray(high), jnp.asarray(low))
    theirs = threefry_2x32(jnp.asarray(key), jnp.concatenate([high, low]))
    np.testing.assert_array_equal(np.concatenate(ours), theirs)


def test_threefry_has_the_published_test_vectors():
    """Random123's known answers (kat_vectors) for threefry2x32 with 20 rounds."""
    for counter, key, expected in [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ]:
        words = [jnp.uint32(v) for v in (*key, *counter)]
        got = threefry(jnp.stack(words[:2]), words[2], words[3])
        assert tuple(int(v) for v in got) == expected


def test_uniform_numbers_are_uniform_independent_and_below_one():
    key = jnp.array([1, 2], jnp.uint32)
    u = np.asarray(event_uniform(key, jnp.arange(200_000, dtype=jnp.uint64)))
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / np.sqrt(len(u))
    assert u.min() >= 0
    assert u.max() < 1
    beyond = event_uniform(key, jnp.array([5, 5 + 2**32], jnp.uint64))
    assert float(beyond[0]) == u[5] != float(beyond[1])


def test_events_are_kept_in_proportion_to_their_intensity():
    x = np.random.default_rng(0).uniform(0, 20, (2, 400_000))
    mask, report = jp.rejection_sample(1, gauss, TRUE_GAUSS, {"x": x[0], "y": x[1]})
    sigma = np.sqrt(report.n_generated * 0.070685 * (1 - 0.070685))
    assert report.n_accepted == mask.sum()
    assert report.n_accepted == pytest.approx(400_000 * 0.070685, abs=4 * sigma)
    kept = (x[0][mask] - 10) / (3 / np.sqrt(2))
    assert stats.kstest(kept, "norm").pvalue > 0.01
    assert report.efficiency == report.n_accepted / 400_000


def test_the_rho_sample_keeps_as_many_events_as_its_intensities_say(rho_folder):
    _, mc = rho_events(rho_folder)
    counts = [jp.rejection_sample(s, rho, {"A1": 100, "A2": 0.4}, mc)[1].n_accepted for s in range(20)]
    assert np.mean(counts) == pytest.approx(598.4853, abs=4 * 18.69 / np.sqrt(20))
    report = jp.rejection_sample(0, rho, {"A1": 100, "A2": 0.4}, mc)[1]
    assert report.maximum == pytest.approx(134.21778482121053, rel=1e-14)


def test_seeds_and_keys_of_every_kind_repeat_and_differ():
    x = {"x": np.random.default_rng(0).random(2000)}

    def mask(key):
        return jp.rejection_sample(key, line, {"a": 1.0}, x)[0].tolist()

    assert mask(7) == mask(np.int64(7))
    assert mask(7) != mask(8)
    assert mask(7) != mask(7 + 2**32)
    key = jax.random.key(7)
    assert mask(key) == mask(key)
    assert mask(jax.random.PRNGKey(7)) == mask(key)
    assert mask(jax.random.key(7, impl="rbg")) != mask(key)


SCRIPT = """
import json, numpy as np, jax, jaxpwa as jp
x = np.random.default_rng(1).random(30001)
mask, report = jp.rejection_sample(5, lambda p, d: p["a"] * d["x"], {"a": 1.0}, {"x": x}, devices=jax.device_count())
print(json.dumps([np.flatnonzero(mask).tolist(), report.maximum]))
"""


def test_the_mask_is_the_same_on_any_number_of_devices():
    first = run_with_devices(SCRIPT, 1)
    assert all(run_with_devices(SCRIPT, n) == first for n in (2, 3, 5))


def test_several_maxima_count_as_their_largest():
    x = {"x": np.random.default_rng(0).random(1000)}
    several, report = jp.rejection_sample(1, line, {"a": 1.0}, x, maximum=[0.5, 2.0, 1.0])
    one, _ = jp.rejection_sample(1, line, {"a": 1.0}, x, maximum=2.0)
    assert several.tolist() == one.tolist()
    assert report.maximum == 2.0
    assert report.largest == x["x"].max()


def test_events_above_the_maximum_are_counted_and_warned_about():
    with pytest.warns(jp.EnvelopeExceededWarning, match=r"2 of 4 events .* above the maximum 2.5 \(largest: 4\)"):
        mask, report = jp.rejection_sample(1, line, {"a": 1.0}, {"x": [1.0, 2, 3, 4]}, maximum=2.5)
    assert report.n_above == 2
    assert mask[2:].all()
    assert "2 above the maximum" in str(report)


def test_weights_of_generated_events_enter_the_draw():
    """A maximum that ignored weights would keep all of these."""
    data = jp.Dataset({"x": np.ones(40_000)}, np.where(np.arange(40_000) % 2, 1.0, 0.25))
    mask, report = jp.rejection_sample(2, line, {"a": 1.0}, data)
    assert mask[1::2].all()
    assert mask[::2].mean() == pytest.approx(0.25, abs=0.01)
    assert report.maximum == 1.0


def test_zero_intensity_is_never_kept():
    x = np.concatenate([np.zeros(5000), [1.0]])
    assert np.flatnonzero(jp.rejection_sample(1, line, {"a": 1.0}, {"x": x})[0]).tolist() == [5000]


@pytest.mark.parametrize("maximum", [None, 4.0])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1, np.nan, 2, 4], r"intensity is NaN or infinite for event 1 \(nan\); 1 of the 4"),
        ([1, 2, np.inf, np.inf], r"intensity is NaN or infinite for event 2 \(inf\); 2 of"),
        ([1, 2, 3, -1], r"intensity is negative for event 3 \(-1.0\)"),
        ([0, 0, 0, 0], "intensity is 0 for all 4 events"),
        ([], "data must have events to sample from"),
    ],
)
def test_unusable_intensities_are_refused_and_named(x, message, maximum):
    """O20."""
    with pytest.raises(ValueError, match=message):
        jp.rejection_sample(1, line, {"a": 1.0}, {"x": np.array(x, float)}, maximum=maximum)


@pytest.mark.parametrize("maximum", [0, -1, np.nan, [], [np.inf], "big"])
def test_impossible_maxima_are_refused(maximum):
    with pytest.raises(ValueError, match="maximum must be positive and finite"):
        jp.rejection_sample(1, line, {"a": 1.0}, {"x": [1.0]}, maximum=maximum)


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        (None, TypeError, "a whole number .seed. or a JAX key, got None"),
        (1.5, TypeError, "got 1.5"),
        (-1, ValueError, r"a seed must be between 0 and 2\*\*64 - 1, got -1"),
        (np.ones(3), TypeError, r"a JAX key must come from jax.random.key\(seed\), got an array float64"),
        (jax.random.split(jax.random.key(0)), ValueError, r"got an array of keys of shape \(2,\)"),
    ],
)
def test_impossible_keys_are_refused(key, kind, message):
    with pytest.raises(kind, match=message):
        jp.rejection_sample(key, line, {"a": 1.0}, {"x": [1.0]})


def test_missing_parameters_and_wrong_tables_are_named():
    with pytest.raises(ValueError, match="line needs parameter a; given: b"):
        jp.evaluate(line, {"b": 1.0}, {"x": [1.0]})
    with pytest.raises(TypeError, match="data: events must come as"):
        jp.evaluate(line, {"a": 1.0}, [1.0])
    with pytest.raises(TypeError, match="must return a real intensity"):
        jp.rejection_sample(1, lambda p, d: 1j * d["x"], {}, {"x": [1.0]})


def test_values_for_float32_datasets_are_float32():
    data = jp.Dataset({"x": np.ones(3)}, dtype="float32")
    assert jp.evaluate(line, {"a": 1 / 3}, data).dtype == np.float32


def test_a_report_reads_as_a_sentence():
    report = jp.SimulationReport(1000, 71, 2.0, 1.5, 0)
    assert str(report) == "kept 71 of 1000 events (7.100 %), maximum 2, largest intensity 1.5"
