"""Goodness of fit: statistics against sums over all pairs in numpy, p-values against toys, published values."""

import itertools

import numpy as np
import pytest
from models import run_with_devices
from scipy import optimize, stats

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa._random import key_words
from jaxpwa.quality import chi2_test, energy, energy_test, mixed_sample_test
from jaxpwa.quality.neighbours import label_variance

TRUTH = {"a": 3.0, "b": 0.5}
WRONG = {"a": 1.0, "b": 0.5}
COLUMNS = ("x", "phi")
CIRCLE = {"phi": 2 * np.pi}


def decay(p, d):
    return jnp.exp(-p["a"] * d["x"]) * (1 + p["b"] * jnp.cos(d["phi"]))


def decay_numpy(p, d):
    return np.exp(-p["a"] * d["x"]) * (1 + p["b"] * np.cos(d["phi"]))


def flat(n, rng):
    return {"x": rng.random(n), "phi": rng.uniform(-np.pi, np.pi, n)}


def decay_sample(n, rng):
    events = flat(40 * n, rng)
    kept = np.flatnonzero(1.5 * rng.random(40 * n) < decay_numpy(TRUTH, events))[:n]
    assert len(kept) == n
    return {name: v[kept] for name, v in events.items()}


def with_background(events, n, rng):
    """Signal and background, and what subtracts the latter."""
    more, n_signal = flat(2 * n, rng), len(events["x"])
    weights = np.concatenate([np.ones(n_signal + n), -np.ones(n)])
    return jp.Dataset({name: np.concatenate([events[name], more[name]]) for name in events}, weights)


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(5)
    return decay_sample(400, rng), flat(1500, rng)


# ------------------------------------------------------------------------------------------------ in bins


def by_hand(data, mc, w, v, edges, scale=None):
    """Contents and chi-squared written out; chi-squared is the least over a common scale where there is one."""
    o, oo = (np.histogram(data, edges, weights=u)[0] for u in (w, w**2))
    m, mm = (np.histogram(mc, edges, weights=u)[0] for u in (v, v**2))
    s = o.sum() / m.sum() if scale is None else scale
    variance = (s * m if np.all(w == 1) else oo) + s**2 * mm

    def chi2(a):
        return np.sum((o - a * s * m) ** 2 / variance)

    return o, s * m, chi2(1.0) if scale else optimize.minimize_scalar(chi2, bracket=(0.8, 1.2), tol=1e-12).fun


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_generated", [None, 1.1])
def test_chi_squared_of_given_bins_is_that_of_histograms(events, weighted, n_generated):
    data, mc = events
    w = np.random.default_rng(1).normal(1, 0.4, 400) if weighted else np.ones(400)
    edges = np.linspace(0, 0.9, 7)
    test = chi2_test(
        TRUTH, decay, jp.Dataset(data, w if weighted else None), mc, "x", bins=edges, n_generated=n_generated,
        min_expected=1e-9 if not weighted else 1,
    )  # fmt: skip
    o, m, chi2 = by_hand(data["x"], mc["x"], w, decay_numpy(TRUTH, mc), edges, n_generated and 1 / n_generated)
    table = test.joint
    np.testing.assert_allclose(table.observed, o, rtol=1e-12)
    np.testing.assert_allclose(table.expected, m, rtol=1e-12)
    assert test.statistic == test.chi2 == pytest.approx(chi2, rel=1e-9)
    assert test.ndof == 6 - (n_generated is None)
    assert test.p_value == pytest.approx(stats.chi2.sf(chi2, test.ndof), rel=1e-8)
    np.testing.assert_allclose(np.c_[table.lower, table.upper], np.c_[edges[:-1], edges[1:]])
    assert table.n_outside == np.count_nonzero(data["x"] > 0.9)
    assert f"{table.n_outside} events of data outside" in str(table)


def test_monte_carlo_weights_multiply_the_intensity_and_its_error(events):
    data, mc = events
    u = np.random.default_rng(2).normal(1, 0.5, 1500)
    edges = np.linspace(0, 1, 6)
    table = chi2_test(TRUTH, decay, data, jp.Dataset(mc, u), "x", bins=edges).joint
    v = u * decay_numpy(TRUTH, mc)
    _, m, chi2 = by_hand(data["x"], mc["x"], np.ones(400), v, edges)
    np.testing.assert_allclose(table.expected, m, rtol=1e-12)
    scale = m.sum() / np.histogram(mc["x"], edges, weights=v)[0].sum()
    np.testing.assert_allclose(table.expected_variance, scale**2 * np.histogram(mc["x"], edges, weights=v**2)[0])
    assert table.chi2 == pytest.approx(chi2, rel=1e-9)
    none = chi2_test(None, None, data, jp.Dataset(mc, v), "x", bins=edges)
    assert none.chi2 == pytest.approx(table.chi2, rel=1e-12)


def test_pairs_are_binned_in_the_product_of_their_bins(events):
    data, mc = events
    bins = {"x": np.linspace(0, 1, 4), "phi": np.linspace(-np.pi, np.pi, 4)}
    test = chi2_test(TRUTH, decay, data, mc, COLUMNS, bins=bins, pairs=[("phi", "x")], min_expected=1e-9)
    table = test.projections["phi", "x"]
    counts = np.histogram2d(data["phi"], data["x"], [bins["phi"], bins["x"]])[0]
    assert table.n_bins == 9
    for low, high, seen in zip(table.lower, table.upper, table.observed, strict=True):
        i, j = np.searchsorted(bins["phi"], low[0]), np.searchsorted(bins["x"], low[1])
        assert seen == counts[i, j]
        np.testing.assert_allclose(high, [bins["phi"][i + 1], bins["x"][j + 1]])


def test_bins_are_closed_below_and_the_last_one_at_both_ends():
    data, mc = {"x": [0.0, 1.0, 1.0, 2.0, 2.5, -0.1]}, {"x": np.repeat([0.5, 1.5], 100)}
    table = chi2_test({}, lambda p, d: jnp.ones_like(d["x"]), data, mc, "x", bins=[0, 1, 2], min_expected=1).joint
    assert table.observed.tolist() == [1, 3]
    assert table.n_outside == 2


def test_quantile_bins_expect_equal_numbers_and_hold_every_event(events):
    data, mc = events
    test = chi2_test(TRUTH, decay, data, mc, COLUMNS, bins=8, joint_bins=13)
    for table in (test.joint, *test.projections.values()):
        assert table.n_outside == 0
        assert table.observed.sum() == 400
        np.testing.assert_allclose(table.expected, 400 / table.n_bins, rtol=0.05)
    assert (test.joint.n_bins, test.projections["x"].n_bins) == (13, 8)
    # Boxes tile the plane: their areas add up, and each event lies in the box that counts it.
    box = test.joint
    whole = np.prod(box.upper.max(0) - box.lower.min(0))
    assert np.prod(box.upper - box.lower, axis=1).sum() == pytest.approx(whole, rel=1e-12)
    points = np.stack([data[n] for n in COLUMNS], axis=1)
    inside = np.all((points[:, None] >= box.lower) & (points[:, None] < box.upper), axis=2)
    np.testing.assert_allclose(inside.sum(0), box.observed, atol=1)  # the largest value lies on its box's edge


def test_nearly_empty_bins_join_the_next(events):
    data, mc = events
    test = chi2_test(TRUTH, decay, data, mc, "x", bins=np.linspace(0, 1, 201), min_expected=25)
    table = test.joint
    assert table.joined.sum() == 200
    assert table.observed.sum() == 400
    assert table.expected.sum() == pytest.approx(400, rel=1e-12)
    assert np.all(table.expected >= 25)
    effective = table.expected**2 / table.expected_variance
    assert np.all(effective >= 25 * (1 - 1e-12))
    np.testing.assert_allclose(table.lower[1:], table.upper[:-1])


def test_fitted_parameters_take_degrees_of_freedom_and_fixed_ones_do_not(events):
    data, mc = events
    cost = jp.UnbinnedNLL(decay, data, normalization_mc=mc)
    result = jp.fit(cost, {"a": 2.0, "b": 0.4})
    test = chi2_test(result, decay, data, mc, COLUMNS)
    assert (test.joint.n_fitted, test.joint.n_norm) == (2, 1)
    assert test.ndof == test.joint.n_bins - 3
    assert test.joint.p_value_unfitted == pytest.approx(stats.chi2.sf(test.chi2, test.ndof + 2), rel=1e-8)
    assert test.p_value < test.joint.p_value_unfitted
    assert "fitted" in str(test)
    held = jp.fit(cost, {"a": 2.0, "b": 0.5}, fixed="b")
    assert chi2_test(held, decay, data, mc, "x").joint.n_fitted == 1
    assert chi2_test(held, decay, data, mc, "x", n_fitted=0).joint.n_fitted == 0
    for test in (
        mixed_sample_test(1, result, decay, data, mc, COLUMNS),
        energy_test(1, result, decay, data, mc, COLUMNS),
    ):
        assert test.p_value > 0.01


def test_wrong_models_are_rejected_by_each_test_and_the_right_one_is_not(events):
    data, mc = events
    for p, low, high in ((TRUTH, 0.01, 1.0), (WRONG, 0.0, 0.01)):
        tests = [
            chi2_test(p, decay, data, mc, COLUMNS),
            mixed_sample_test(7, p, decay, data, mc, COLUMNS, periodic=CIRCLE),
            energy_test(7, p, decay, data, mc, COLUMNS, periodic=CIRCLE),
        ]
        for test in tests:
            assert low <= test.p_value <= high, test


def test_records_print_as_tables_and_become_frames(events):
    data, mc = events
    tests = [
        chi2_test(TRUTH, decay, data, mc, COLUMNS, pairs=[COLUMNS]),
        mixed_sample_test(7, TRUTH, decay, data, mc, COLUMNS),
        energy_test(7, TRUTH, decay, data, mc, COLUMNS, permutations=50),
    ]
    for test in tests:
        assert "x, phi" in str(test)
        assert "<table>" in test._repr_html_()
        frame = test.to_pandas()
        assert frame["p_value"][0] == test.p_value
    table = tests[0].joint.to_pandas()
    assert len(table) == tests[0].joint.n_bins
    np.testing.assert_allclose(
        table["pull"],
        (table["observed"] - table["expected"]) / np.hypot(table["observed_error"], table["expected_error"]),
    )
    assert list(tests[0].to_pandas()["columns"]) == ["x, phi", "x", "phi", "x, phi"]


# ------------------------------------------------------------------------------------------ nearest neighbours


def distances(points, names, periodic=(), scales=None):
    """All distances, written out: columns over their spread, angles by the chord."""
    square, used = 0.0, {}
    for k, name in enumerate(names):
        x = points[:, k]
        z = np.exp(1j * x) if name in periodic else x
        used[name] = np.sqrt(np.mean(np.abs(z - z.mean()) ** 2)) if scales is None else scales[name]
        square = square + np.abs(z[:, None] - z[None, :]) ** 2 / used[name] ** 2
    return np.sqrt(square), used


@pytest.mark.parametrize("periodic", [{}, CIRCLE])
def test_the_mixed_sample_statistic_is_that_of_all_distances(events, periodic):
    data, rng = events[0], np.random.default_rng(3)
    mc = decay_sample(300, rng)
    test = mixed_sample_test(1, None, None, data, mc, COLUMNS, n_neighbours=7, periodic=periodic)
    assert (test.n_data, test.n_mc) == (400, 300)
    both = np.stack([np.concatenate([data[n], mc[n]]) for n in COLUMNS], axis=1)
    d, used = distances(both, COLUMNS, periodic)
    np.fill_diagonal(d, np.inf)
    label = np.arange(700) < 400
    near = np.argsort(d, axis=1)[:, :7]
    assert test.statistic == pytest.approx(np.mean(label[near] == label[:, None]), abs=1e-15)
    assert test.spreads == pytest.approx(used, rel=1e-12)
    assert test.expected == pytest.approx((400 * 399 + 300 * 299) / (700 * 699), rel=1e-14)
    assert test.pull == pytest.approx((test.statistic - test.expected) / test.sigma)
    assert test.p_value == pytest.approx(stats.norm.sf(test.pull), rel=1e-10)


def test_published_values_of_the_mixed_sample_statistic_are_reproduced():
    """Two samples with T and p in the limit as in the tests of GNU Octave's knntest (values of MATLAB R2026a)."""
    x = np.array([[8, 4], [13, 1], [14, 2], [3, 3]])
    y = np.array([[3, 19], [1, 7], [1, 17], [4, 10], [2, 17]])
    one, other = ({"u": s[:, 0], "v": s[:, 1]} for s in (x, y))
    test = mixed_sample_test(1, None, None, one, other, ("u", "v"), n_neighbours=1)
    assert test.statistic == pytest.approx(7 / 9, rel=1e-14)
    limit = stats.norm.sf((test.statistic - test.expected) / test.sigma_limit)
    assert limit == pytest.approx(0.076726923031103, rel=1e-12)


@pytest.mark.parametrize(("n_a", "n_b", "k"), [(3, 5, 1), (4, 4, 2), (2, 6, 3)])
def test_the_variance_is_that_over_all_labellings(n_a, n_b, k):
    n, rng = n_a + n_b, np.random.default_rng(n_a)
    near = np.argsort(np.abs(np.subtract.outer(*[rng.random(n)] * 2)), axis=1)[:, 1 : k + 1]
    values = []
    for chosen in itertools.combinations(range(n), n_a):
        label = np.isin(np.arange(n), chosen)
        values.append(np.mean(label[near] == label[:, None]))
    assert label_variance(near, n_a, n_b) == pytest.approx(np.var(values), rel=1e-11)
    assert np.mean(values) == pytest.approx((n_a * (n_a - 1) + n_b * (n_b - 1)) / (n * (n - 1)), rel=1e-12)


def test_an_event_is_never_its_own_neighbour_among_equal_ones():
    test = mixed_sample_test(1, None, None, {"x": [0.0, 5.0]}, {"x": [0.0, 9.0]}, "x", n_neighbours=1)
    assert test.statistic == 0.0
    many = mixed_sample_test(1, None, None, {"x": np.zeros(50)}, {"x": [*np.zeros(50), 1.0]}, "x", n_neighbours=5)
    assert 0 < many.statistic < 1


def test_monte_carlo_is_unweighted_by_the_fit_and_may_be_thinned(events):
    data, mc = events
    test = mixed_sample_test(3, TRUTH, decay, data, mc, COLUMNS)
    mask, _ = jp.rejection_sample(1, decay, TRUTH, mc)
    assert abs(test.n_mc - mask.sum()) < 5 * np.sqrt(mask.sum())
    assert mixed_sample_test(3, TRUTH, decay, data, mc, COLUMNS, n_mc=100).n_mc == 100
    again = mixed_sample_test(3, TRUTH, decay, data, mc, COLUMNS)
    assert (again.statistic, again.n_mc) == (test.statistic, test.n_mc)
    assert mixed_sample_test(4, TRUTH, decay, data, mc, COLUMNS).n_mc != test.n_mc


# ------------------------------------------------------------------------------------------------- all pairs


def energy_by_hand(psi, w, v):
    """T from the whole matrix, data first."""
    n = len(w)
    off = psi * (1 - np.eye(len(psi)))
    dd, mm, dm = w @ off[:n, :n] @ w, v @ off[n:, n:] @ v, w @ off[:n, n:] @ v
    within = dd / (2 * (w.sum() ** 2 - (w**2).sum())) + mm / (2 * (v.sum() ** 2 - (v**2).sum()))
    return within - dm / (w.sum() * v.sum())


def psi_by_hand(d, kernel, width):
    return np.exp(-(d**2) / (2 * width**2)) if kernel == "gaussian" else -np.log(d + width)


@pytest.mark.parametrize("kernel", ["gaussian", "log"])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (30, 33), (30, 34), (64, 2), (100, 250)])
def test_the_energy_is_that_of_all_pairs_whatever_the_padding(kernel, n, m):
    rng = np.random.default_rng(n)
    data, mc = flat(n, rng), flat(m, rng)
    w, v = rng.normal(1, 0.3, n), rng.random(m) + 0.1
    scales = {"x": 0.3, "phi": 1.7}
    test = energy_test(
        1, TRUTH, decay, jp.Dataset(data, w), jp.Dataset(mc, v), COLUMNS,
        kernel=kernel, width=0.6, periodic=CIRCLE, scales=scales, permutations=3,
    )  # fmt: skip
    both = np.stack([np.concatenate([data[c], mc[c]]) for c in COLUMNS], axis=1)
    d, _ = distances(both, COLUMNS, CIRCLE, scales)
    expected = energy_by_hand(psi_by_hand(d, kernel, 0.6), w, v * decay_numpy(TRUTH, mc))
    assert test.statistic == pytest.approx(expected, rel=1e-10, abs=1e-14)
    assert test.method == "multiplier"
    total = np.sum(v * decay_numpy(TRUTH, mc)) ** 2 / np.sum((v * decay_numpy(TRUTH, mc)) ** 2)
    assert test.n_mc == pytest.approx(total, rel=1e-12)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(8)
    data, mc = flat(60, rng), flat(90, rng)
    both = np.stack([np.concatenate([data[c], mc[c]]) for c in COLUMNS], axis=1)
    return data, mc, both


def test_permutations_are_shuffles_done_by_hand(small):
    data, mc, both = small
    test = energy_test(4, None, None, data, mc, COLUMNS, permutations=40)
    assert test.method == "permutation"
    d, used = distances(both, COLUMNS)
    assert test.spreads == pytest.approx(used, rel=1e-12)
    assert test.width == 0.5
    psi = psi_by_hand(d, "gaussian", 0.5)
    rng, label = np.random.default_rng(key_words(4)), np.arange(150) < 60
    null = []
    for _ in range(40):
        drawn = rng.permutation(label.astype(np.int8)).astype(bool)
        order = np.concatenate([np.flatnonzero(drawn), np.flatnonzero(~drawn)])
        null.append(energy_by_hand(psi[np.ix_(order, order)], np.ones(60), np.ones(90)))
    np.testing.assert_allclose(test.null, null, rtol=1e-9, atol=1e-14)
    assert test.statistic == pytest.approx(energy_by_hand(psi, np.ones(60), np.ones(90)), rel=1e-10)
    assert test.p_value == (1 + np.sum(np.array(null) >= test.statistic)) / 41


@pytest.mark.parametrize("signed", [False, True])
def test_weighted_events_move_with_their_weights_where_permutations_are_asked_for(small, signed):
    data, mc, both = small
    rng = np.random.default_rng(1)
    w, v = rng.normal(1, 0.8, 60) if signed else rng.random(60), rng.random(90)
    samples = jp.Dataset(data, w), jp.Dataset(mc, v)
    test = energy_test(
        4, None, None, *samples, COLUMNS, permutations=10, method="permutation", scales={"x": 1, "phi": 1}
    )
    psi = psi_by_hand(distances(both, COLUMNS, (), {"x": 1, "phi": 1})[0], "gaussian", 0.5)
    weights = np.concatenate([w / w.mean(), v / v.mean()])
    rng, label = np.random.default_rng(key_words(4)), np.arange(150) < 60
    for t in test.null:
        drawn = rng.permutation(label.astype(np.int8)).astype(bool)
        order = np.concatenate([np.flatnonzero(drawn), np.flatnonzero(~drawn)])
        hand = energy_by_hand(psi[np.ix_(order, order)], *np.split(weights[order], [60]))
        assert t == pytest.approx(hand, rel=1e-9, abs=1e-13)


def test_multipliers_are_signs_of_the_centred_kernel_done_by_hand(small):
    data, mc, both = small
    w, v = np.random.default_rng(1).normal(1, 0.8, 60), decay_numpy(TRUTH, mc)
    test = energy_test(4, TRUTH, decay, jp.Dataset(data, w), mc, COLUMNS, permutations=20, scales={"x": 1, "phi": 1})
    psi = psi_by_hand(distances(both, COLUMNS, (), {"x": 1, "phi": 1})[0], "gaussian", 0.5)
    psi[np.diag_indices(150)] = 0
    c = np.concatenate([u / np.sqrt(u.sum() ** 2 - (u**2).sum()) for u in (w, v)])
    share = np.concatenate([u * u.sum() / (u**2).sum() for u in (w, v)])
    share /= share.sum()
    centred = psi - (psi @ share)[:, None] - (psi @ share)[None, :] + share @ psi @ share
    centred[np.diag_indices(150)] = 0
    rng = np.random.default_rng(key_words(4))
    signs = [2 * rng.integers(0, 2, 150, dtype=np.int8) - 1 for _ in range(20)]
    null = [0.5 * (c * s) @ centred @ (c * s) for s in signs]
    np.testing.assert_allclose(test.null, null, rtol=1e-9, atol=1e-14)


def test_several_passes_give_the_draws_of_one(small, monkeypatch):
    data, mc, _ = small
    whole = {m: energy_test(2, None, None, data, mc, COLUMNS, method=m, permutations=25) for m in energy._METHODS[1:]}
    monkeypatch.setattr(energy, "_LABEL_BYTES", 1000)
    for method, test in whole.items():
        parts = energy_test(2, None, None, data, mc, COLUMNS, method=method, permutations=25)
        np.testing.assert_allclose(parts.null, test.null, rtol=1e-12, atol=1e-16)
        assert parts.p_value == test.p_value


def test_the_order_of_events_does_not_matter(events):
    data, mc = events
    rng = np.random.default_rng(0)
    order, mc_order = rng.permutation(400), rng.permutation(1500)
    turned = {n: v[order] for n, v in data.items()}, {n: v[mc_order] for n, v in mc.items()}
    for test in (chi2_test, lambda *a: energy_test(1, *a, permutations=2)):
        one, other = test(TRUTH, decay, data, mc, COLUMNS), test(TRUTH, decay, *turned, COLUMNS)
        assert other.statistic == pytest.approx(one.statistic, rel=1e-9)
    two = decay_sample(200, rng)
    mixed = [mixed_sample_test(1, None, None, d, two, COLUMNS).statistic for d in (data, turned[0])]
    assert mixed[1] == pytest.approx(mixed[0], rel=1e-12)


def test_events_of_weight_zero_do_not_count(small):
    data, mc, _ = small
    more = {n: np.concatenate([v, [0.5, 0.7]]) for n, v in data.items()}
    padded = jp.Dataset(more, [*np.ones(60), 0, 0])
    for test in (
        lambda d: mixed_sample_test(1, None, None, d, mc, COLUMNS),
        lambda d: energy_test(1, None, None, d, mc, COLUMNS),
    ):
        assert test(padded).statistic == pytest.approx(test(data).statistic, rel=1e-12)


def test_the_smallest_p_value_is_one_over_the_draws_and_one(events):
    data, mc = events
    test = energy_test(1, WRONG, decay, data, mc, COLUMNS, permutations=99)
    assert test.p_value == 0.01
    assert test.p_error == pytest.approx(np.sqrt(0.01 * 0.99 / 99))


SCRIPT = """
import json, numpy as np, jax, jax.numpy as jnp, jaxpwa as jp
from jaxpwa.quality import chi2_test, energy_test, mixed_sample_test
rng = np.random.default_rng(1)
data, mc = ({"x": rng.random(n) ** 0.5, "y": rng.random(n)} for n in (301, 1103))
model = lambda p, d: d["x"] ** p["b"]
n = jax.device_count()
e = energy_test(5, {"b": 0.3}, model, data, mc, ["x", "y"], permutations=50, devices=n)
m = mixed_sample_test(5, {"b": 0.3}, model, data, mc, ["x", "y"], devices=n)
c = chi2_test({"b": 0.3}, model, data, mc, ["x", "y"], devices=n)
print(json.dumps([e.statistic, e.p_value, *e.null.tolist(), m.statistic, m.p_value, c.chi2, c.p_value]))
"""


def test_results_are_the_same_on_any_number_of_devices():
    first = run_with_devices(SCRIPT, 1)
    for n in (2, 3):
        np.testing.assert_allclose(run_with_devices(SCRIPT, n), first, rtol=1e-9, atol=1e-15)


# ------------------------------------------------------------------------------------------------- refusals


def ones(p, d):
    return jnp.ones_like(d["x"])


GOOD = {"x": np.linspace(0, 1, 60), "phi": np.linspace(0, 1, 60) ** 2, "p4": np.ones((60, 4)), "one": np.ones(60)}


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"columns": "z"}, ValueError, "data has no column 'z'; it has: x, phi"),
        ({"columns": ()}, ValueError, "columns must be different names, at least one"),
        ({"columns": ("x", "x")}, ValueError, "columns must be different names"),
        ({"columns": "p4"}, ValueError, "'p4' of data must have one real number per event"),
        ({"data": {"x": [0.0, np.nan]}}, ValueError, "column 'x' of data must be finite: event 1 is nan"),
        ({"data": jp.Dataset({"x": [0.0, 1.0]}, [1, -1])}, ValueError, "weights of data must have a positive sum"),
        ({"model": lambda p, d: -ones(p, d)}, ValueError, "must give an intensity.*-1.0 for event 0"),
        ({"model": lambda p, d: 1j * ones(p, d)}, ValueError, "must give an intensity"),
        ({"model": lambda p, d: 0 * ones(p, d)}, ValueError, "weights of mc, times the intensity, must have"),
        ({"params": 3.0}, TypeError, "the fit must be a FitResult or numbers by name, got float"),
    ],
)
@pytest.mark.parametrize("test", ["chi2", "mixed", "energy"])
def test_what_no_test_can_use_is_refused(test, change, kind, message):
    given = {"params": {}, "model": ones, "data": GOOD, "mc": GOOD, "columns": "x"} | change
    run = {
        "chi2": chi2_test,
        "mixed": lambda *a: mixed_sample_test(1, *a),
        "energy": lambda *a: energy_test(1, *a),
    }[test]
    with pytest.raises(kind, match=message):
        run(*given.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 1}, "bins must be at least 2, got 1"),
        ({"bins": [0, 1]}, "bins of column 'x' must be a whole number or at least three rising finite edges"),
        ({"bins": [0, 2, 1]}, "three rising finite edges"),
        ({"bins": "many"}, "three rising finite edges"),
        ({"bins": {"z": 3}}, "bins names column 'z'"),
        ({"pairs": [("x", "z")]}, "pairs must be pairs of the columns x, phi"),
        ({"n_fitted": -1}, "n_fitted must be a whole number of at least 0, got -1"),
        ({"joint_bins": 1.5}, "joint_bins must be a whole number"),
        ({"n_generated": 0}, "n_generated must be a positive number, got 0"),
        ({"min_expected": np.nan}, "min_expected must be a positive number"),
        ({"n_fitted": 50}, r"no degree of freedom is left .* and 50 fitted parameters: .*joint_bins"),
        ({"bins": {"x": [5, 6, 7]}}, "weights inside the bins of x must have positive sums"),
    ],
)
def test_impossible_binnings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        chi2_test({}, ones, GOOD, GOOD, COLUMNS, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "cauchy"}, "kernel must be one of 'gaussian', 'log', got 'cauchy'"),
        ({"method": "jackknife"}, "method must be one of 'auto', 'permutation', 'multiplier'"),
        ({"width": 0}, "width must be a positive number"),
        ({"permutations": 0}, "permutations must be a whole number of at least 1"),
        ({"periodic": {"z": 1.0}}, "periodic must give positive numbers for columns among x"),
        ({"scales": {"x": -1.0}}, "scales must give positive numbers"),
        ({"columns": "one"}, "column 'one' has the same value for all events"),
        ({"data": jp.Dataset({"x": np.arange(4.0)}, [1, -1, 1, -0.9])}, "must be worth more than one event, got 0.00"),
    ],
)
def test_impossible_energy_tests_are_refused(options, message):
    given = {"data": GOOD, "columns": "x"} | options
    data, columns = given.pop("data"), given.pop("columns")
    with pytest.raises(ValueError, match=message):
        energy_test(1, {}, ones, data, GOOD, columns, **given)


def test_neighbours_are_not_counted_for_weighted_samples():
    weighted, negative = jp.Dataset(GOOD, np.linspace(0.5, 2, 60)), jp.Dataset(GOOD, [*np.ones(59), -1.0])
    for data in (weighted, negative):
        with pytest.raises(ValueError, match="data must not have weights here.*energy_test"):
            mixed_sample_test(1, {}, ones, data, GOOD, "x")
    with pytest.raises(ValueError, match="mc must not have negative weights here, got 1.*energy_test"):
        mixed_sample_test(1, {}, ones, GOOD, negative, "x")
    with pytest.raises(ValueError, match="n_neighbours must be a whole number of at least 1, got 0"):
        mixed_sample_test(1, {}, ones, GOOD, GOOD, "x", n_neighbours=0)
    with pytest.raises(ValueError, match="60 events of data and 60 of the model are too few for 200 neighbours"):
        mixed_sample_test(1, {}, ones, GOOD, GOOD, "x", n_neighbours=200)


# ----------------------------------------------------------------------------------------------------- toys

N_TOYS = 200


def toy_p_values(test, n_toys=N_TOYS):
    """P-values for a right model."""
    values = []
    for number in range(n_toys):
        rng = np.random.default_rng(1000 + number)
        values.append(test(number, decay_sample(300, rng), flat(1500, rng), rng).p_value)
    return values


TOYS = {
    "chi2": lambda k, data, mc, rng: chi2_test(TRUTH, decay, data, mc, COLUMNS),
    "chi2 of a projection": lambda k, data, mc, rng: chi2_test(TRUTH, decay, data, mc, "x", bins=10),
    "chi2, background subtracted": lambda k, data, mc, rng: chi2_test(
        TRUTH, decay, with_background(data, 200, rng), mc, COLUMNS
    ),
    "mixed samples": lambda k, data, mc, rng: mixed_sample_test(k, TRUTH, decay, data, mc, COLUMNS, periodic=CIRCLE),
    "energy": lambda k, data, mc, rng: energy_test(k, TRUTH, decay, data, mc, COLUMNS, permutations=199),
    "energy, logarithmic": lambda k, data, mc, rng: energy_test(
        k, TRUTH, decay, data, mc, COLUMNS, permutations=199, kernel="log", periodic=CIRCLE
    ),
    "energy, background subtracted": lambda k, data, mc, rng: energy_test(
        k, TRUTH, decay, with_background(data, 200, rng), mc, COLUMNS, permutations=199
    ),
    "energy, no weights": lambda k, data, mc, rng: energy_test(
        k, None, None, data, decay_sample(600, rng), COLUMNS, permutations=199
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOYS)
def test_p_values_of_a_right_model_are_uniform(name):
    values = toy_p_values(TOYS[name])
    assert stats.kstest(values, "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_permuting_weights_of_different_kinds_gives_p_values_that_are_not_uniform():
    """Why events of a model keep their sample: labels that mix their weights with those of data are too wide."""
    values = toy_p_values(lambda k, data, mc, rng: energy_test(
        k, TRUTH, decay, data, mc, COLUMNS, permutations=199, method="permutation", periodic=CIRCLE
    ))  # fmt: skip
    assert stats.kstest(values, "uniform").pvalue < 1e-3
