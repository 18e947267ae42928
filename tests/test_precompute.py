"""What is computed once, sums by pseudo-events, and that neither changes a result."""

import numpy as np
import pytest
from zoo import ZOO, events, ylm

import jax
import jax.numpy as jnp

import jaxpwa as jp

DATA, MC = events(1501, 1), events(2003, 2)
RNG = np.random.default_rng(4)
W, W_MC = RNG.normal(1, 0.7, 1501), RNG.uniform(0, 2, 2003)
DATASET, MC_SET = jp.Dataset(DATA, weights=W), jp.Dataset(MC, weights=W_MC)


def points(start, n=2):
    rng = np.random.default_rng(8)
    yield start
    for _ in range(n - 1):
        yield {name: v * (1 + 0.1 * rng.normal()) + (0.05 * rng.normal() if v else 0.0) for name, v in start.items()}


def bound(cost, start):
    return cost.bind(tuple(start)) if cost.parameters is None else cost


@pytest.mark.parametrize(("name", "weighted"), [(name, number % 2 == 1) for number, name in enumerate(ZOO)])
def test_neither_storing_nor_integrals_change_value_gradient_or_hessian(name, weighted):
    model = ZOO[name]
    data, mc = (DATASET, MC_SET) if weighted else (DATA, MC)
    plain = bound(
        jp.ExtendedNLL(model.intensity, data, mc, 4000, precompute=False, normalization="direct"), model.start
    )
    fast = bound(jp.ExtendedNLL(model.intensity, data, mc, 4000), model.start)
    held = {n: model.start[n] for n in model.fixed}
    fast = fast.holding(held)
    free = [i for i, n in enumerate(model.start) if n not in held]
    for point in points(model.start):
        p = point | held
        a, b = plain.value_and_grad(p), fast.value_and_grad(p)
        assert b[0] == pytest.approx(a[0], rel=1e-10)
        assert fast(p) == pytest.approx(plain(p), rel=1e-10)
        gradients = [np.array([g[n] for n in p])[free] for _, g in (a, b)]
        np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-9, atol=1e-9 * np.abs(gradients[0]).max())
        hessians = [c.hessian(p)[np.ix_(free, free)] for c in (plain, fast)]
        np.testing.assert_allclose(hessians[1], hessians[0], rtol=1e-8, atol=1e-8 * np.abs(hessians[0]).max())
    path = fast._terms[1].account.path
    assert path.startswith("integrals" if model.quadratic else "direct"), fast.explain()


@pytest.mark.parametrize("name", ["w2", "rho", "K-matrix", "closed over"])
def test_the_normalised_likelihood_goes_over_pseudo_events_too(name):
    model = ZOO[name]
    plain = jp.UnbinnedNLL(model.intensity, DATASET, normalization_mc=MC_SET, precompute=False, normalization="direct")
    fast = jp.UnbinnedNLL(model.intensity, DATASET, normalization_mc=MC_SET)
    for p in points(model.start):
        a, b = plain.value_and_grad(p), fast.value_and_grad(p)
        assert b[0] == pytest.approx(a[0], rel=1e-10, abs=1e-9)
        assert b[1] == pytest.approx(a[1], rel=1e-8, abs=1e-8)
    assert fast._terms[1].account.path.startswith("integrals")


@pytest.mark.parametrize("name", ["w2", "rho", "free mass", "polarised"])
def test_exact_gradients_are_those_of_differences(name):
    model = ZOO[name]
    cost = jp.ExtendedNLL(model.intensity, DATA, MC)
    _, gradient = cost.value_and_grad(model.start)
    for parameter, value in model.start.items():
        step = 1e-5
        up, down = (cost(model.start | {parameter: value + s * step}) for s in (1, -1))
        assert gradient[parameter] == pytest.approx((up - down) / (2 * step), rel=2e-5, abs=1e-3)


def two_sums(p, d):
    """One coherent sum with a free mass, minus nothing, and one of fixed shapes: incoherent."""
    fixed = p["a"] * ylm(1, 0, d["c"], d["phi"]) + (p["b"] + 1j * p["e"]) * ylm(2, 1, d["c"], d["phi"])
    free = ylm(0, 0, d["c"], d["phi"]) + p["f"] / (p["m"] ** 2 - d["m"] ** 2 - 0.2j) * ylm(1, 1, d["c"], d["phi"])
    return jnp.abs(fixed) ** 2 + p["n"] ** 2 + jnp.abs(free) ** 2


def test_terms_of_second_degree_leave_a_sum_whose_other_terms_stay(monkeypatch):
    start = {"a": 0.7, "b": -0.4, "e": 0.2, "f": 0.5, "m": 1.3, "n": 0.3}
    monkeypatch.setattr("jaxpwa.engine.prepare._WORTH_A_SPLIT", 0.0)
    plain = jp.ExtendedNLL(two_sums, DATASET, MC_SET, precompute=False, normalization="direct")
    split = jp.ExtendedNLL(two_sums, DATASET, MC_SET)
    assert "decided at the first call" in split.explain()
    for p in points(start, 3):
        assert split(p) == pytest.approx(plain(p), rel=1e-10)
        (a, slope), (b, other) = split.value_and_grad(p), plain.value_and_grad(p)
        assert a == pytest.approx(b, rel=1e-10)
        np.testing.assert_allclose(list(slope.values()), list(other.values()), rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(split.hessian(p), plain.hessian(p), rtol=1e-8, atol=1e-7)
    assert "for terms of second degree; the rest over all events: " in split.explain()
    function, arrays = split.as_function()
    assert float(function(start, arrays)) == pytest.approx(plain(start), rel=1e-10)
    values, gradients = split._compute_at(np.array([list(start.values())] * 16), 3)
    np.testing.assert_allclose(values[:3], plain(start), rtol=1e-10)


def test_small_samples_are_not_worth_a_second_set_of_functions():
    cost = jp.ExtendedNLL(two_sums, DATA, MC)
    cost({"a": 0.7, "b": -0.4, "e": 0.2, "f": 0.5, "m": 1.3, "n": 0.3})
    assert "sum of the intensity: direct: " in cost.explain()


def test_what_is_not_chosen_and_not_a_number_stays_out_of_the_sums():
    def rooted(p, d):
        return p["a"] ** 2 + jnp.where(d["m"] > 1.1, p["b"] * jnp.sqrt(d["m"] - 1.1), 0.0) ** 2

    cost = jp.ExtendedNLL(rooted, DATA, MC)
    above = [np.where(t["m"] > 1.1, 0.09 * (t["m"] - 1.1), 0.0) + 0.25 for t in (DATA, MC)]
    assert cost({"a": 0.5, "b": 0.3}) == pytest.approx(-np.log(above[0]).sum() + above[1].mean(), rel=1e-12)


def test_negative_weights_of_the_monte_carlo_are_kept():
    w = RNG.normal(0, 1, 2003)
    model = ZOO["w2"]
    mc = jp.Dataset(MC, weights=w)
    plain = jp.ExtendedNLL(model.intensity, DATA, mc, 100, normalization="direct")
    fast = jp.ExtendedNLL(model.intensity, DATA, mc, 100)
    for p in points(model.start):
        assert fast(p) == pytest.approx(plain(p), rel=1e-9)


def test_pseudo_events_have_the_moments_that_they_were_made_for():
    from jaxpwa.engine.quadratic import pseudo_events

    rng = np.random.default_rng(3)
    y = np.hstack([np.ones((500, 1)), rng.normal(size=(500, 7)) * 10.0 ** np.arange(-3, 4)])
    for w in (np.ones(500), rng.uniform(0, 1, 500), rng.normal(size=500), -np.ones(500)):
        matrix = y.T @ (w[:, None] * y)
        numbers, weights = pseudo_events(matrix)
        z = np.hstack([np.ones((len(numbers), 1)), numbers])
        scale = np.sqrt(np.outer(np.diag(y.T @ y), np.diag(y.T @ y)))
        np.testing.assert_allclose(z.T @ (weights[:, None] * z) / scale, matrix / scale, atol=1e-12)
        assert len(numbers) <= 2 * 8 + 2


@pytest.mark.parametrize("n_devices", [1, 2])
def test_results_do_not_depend_on_devices(n_devices):
    model = ZOO["w2"]
    cost = jp.ExtendedNLL(model.intensity, DATA, MC, devices=n_devices)
    one = jp.ExtendedNLL(model.intensity, DATA, MC, precompute=False, devices=1)
    assert cost(model.start) == pytest.approx(one(model.start), rel=1e-12)
    assert cost.value_and_grad(model.start)[1] == pytest.approx(one.value_and_grad(model.start)[1], rel=1e-9, abs=1e-9)


def test_a_formula_by_hand_agrees():
    """W2 in plain numpy, written without the code under test."""
    from scipy.special import sph_harm_y

    start = ZOO["w2"].start

    def total(d):
        theta = np.arccos(d["c"])
        a = sum(
            (start[f"r{ell}{m}"] + 1j * start[f"i{ell}{m}"]) * sph_harm_y(ell, m, theta, d["phi"])
            for ell, m in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
        )
        return np.abs(a) ** 2

    expected = -np.log(total(DATA)).sum() + total(MC).sum() / 5000
    assert jp.ExtendedNLL(ZOO["w2"].intensity, DATA, MC, 5000)(start) == pytest.approx(expected, rel=1e-12)


def test_data_only_parts_run_once_and_not_at_every_call():
    """The harmonics are gone from the compiled sum: no sine, cosine or root is left in it."""
    model = ZOO["w2"]
    term = jp.ExtendedNLL(model.intensity, DATA, MC)._terms[0]
    names = {step.eqn.primitive.name for step in term.total.spec.plan.late}
    assert names <= {"mul", "add", "add_any", "sub", "square", "integer_pow", "abs", "complex", "convert_element_type",
                     "broadcast_in_dim", "real", "imag", "neg", "conj"}  # fmt: skip


def test_columns_that_are_not_needed_any_more_are_dropped():
    def intensity(p, d):
        return p["a"] + p["b"] * jnp.exp(-d["x"]) * jnp.cos(d["phi"]) * jnp.sin(d["Phi"])

    term = jp.UnbinnedNLL(intensity, DATA)._terms[0]
    assert len(term.total.arrays[0]) == 1


def test_equal_parts_are_stored_once_and_real_where_they_are_real():
    def intensity(p, d):
        one = ylm(1, 0, d["c"], d["phi"]) * jnp.exp(d["m"])
        two = ylm(1, 0, d["c"], d["phi"]) * jnp.exp(d["m"])
        return jnp.abs(p["a"] * one + 1j * p["b"] * two) ** 2

    term = jp.UnbinnedNLL(intensity, DATA)._terms[0]
    assert [size for _, size in term.account.stored] == [8]


def test_a_broadcast_is_not_stored():
    def intensity(p, d):
        powers = jnp.exp(d["m"])[:, None] * jnp.ones((1, 50)) * p["a"]
        return jnp.sum(powers, axis=1)

    term = jp.UnbinnedNLL(intensity, DATA)._terms[0]
    assert sum(size for _, size in term.account.stored) <= 8


def test_a_memory_budget_is_kept_and_named():
    model = ZOO["w2"]
    cost = jp.UnbinnedNLL(model.intensity, DATA, memory_budget=1000)
    assert cost._terms[0].account.stored == []
    assert "above the memory_budget of 0.0 MB" in cost.explain()
    assert cost(model.start) == pytest.approx(jp.UnbinnedNLL(model.intensity, DATA)(model.start), rel=1e-12)


def test_explain_tells_what_is_stored_and_how_sums_are_taken():
    model = ZOO["w2"]
    cost = jp.ExtendedNLL(model.intensity, DATA, MC)
    assert "decided at the first call" in cost.explain()
    cost(model.start)
    text = cost.explain()
    assert "data, 1501 events that count:" in text
    assert "stored once: 72 bytes per event" in text
    assert "zoo.py" in text
    assert "sum of the intensity: integrals" in text
    assert "pseudo-events" in text
    direct = jp.ExtendedNLL(model.intensity, DATA, MC, normalization="direct")
    direct(model.start)
    assert "sum of the intensity: direct: normalization='direct'" in direct.explain()
    free = jp.ExtendedNLL(ZOO["free mass"].intensity, DATA, MC)
    assert "is no polynomial of second degree" in free.explain() or "degree" in free.explain()
    off = jp.ExtendedNLL(model.intensity, DATA, MC, precompute=False)
    assert "nothing is stored: precompute=False" in off.explain()
    penalty = cost + jp.GaussianConstraint("r00", 1.0, 0.1)
    assert "penalty on r00" in penalty.explain()


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"precompute": "yes"}, TypeError, "precompute must be True or False, got 'yes'"),
        ({"memory_budget": -1}, ValueError, "memory_budget must be a number of bytes, or None"),
        ({"normalization": "fast"}, ValueError, "normalization must be 'auto' or 'direct', got 'fast'"),
    ],
)
def test_keywords_are_checked(keywords, error, message):
    with pytest.raises(error, match=message):
        jp.ExtendedNLL(ZOO["rho"].intensity, DATA, MC, **keywords)


def test_an_impure_part_runs_at_every_call():
    calls = []

    def outside(c):
        calls.append(1)
        return np.asarray(c) ** 2

    def intensity(p, d):
        c2 = jax.pure_callback(
            outside, jax.ShapeDtypeStruct(d["c"].shape, d["c"].dtype), d["c"], vmap_method="expand_dims"
        )
        return p["a"] + jax.lax.stop_gradient(c2)

    cost = jp.UnbinnedNLL(intensity, DATA)
    cost({"a": 1.0})
    before = len(calls)
    assert cost({"a": 2.0}) == pytest.approx(-np.log(2 + DATA["c"] ** 2).sum(), rel=1e-12)
    assert len(calls) > before


def test_a_fixed_mass_is_computed_once_and_can_be_freed_afterwards():
    model = ZOO["held mass"]
    cost = jp.ExtendedNLL(model.intensity, DATA, MC)
    result = jp.fit(cost, model.start, fixed=("m0", "w0"))
    assert result.valid
    minuit = result.minuit
    minuit.fixed["m0"] = False
    minuit.migrad()
    fval: float = minuit.fval  # pyright: ignore[reportAssignmentType]
    assert fval < result.fval
    plain = jp.ExtendedNLL(model.intensity, DATA, MC, precompute=False)
    end = dict(zip(model.start, minuit.values, strict=True))
    value, gradient = plain.value_and_grad(end)
    assert minuit.fval == pytest.approx(value, rel=1e-12)
    assert abs(gradient["m0"]) * minuit.errors["m0"] < 0.05


def test_holding_refuses_unknown_names():
    cost = jp.UnbinnedNLL(ZOO["rho"].intensity, DATA)
    with pytest.raises(ValueError, match="unknown parameter B; this cost depends on: A1, A2"):
        cost.holding({"B": 1.0})


def test_a_fit_ends_at_the_same_minimum_with_the_same_errors():
    model = ZOO["w2"]
    mask, _ = jp.rejection_sample(3, model.intensity, model.start, events(20_000, 9))
    data = {n: v[mask] for n, v in events(20_000, 9).items()}
    mc = events(20_000, 10)
    scale = np.sqrt(len(data["c"]) / jp.evaluate(model.intensity, model.start, mc).mean())
    start = {n: scale * v for n, v in model.start.items()}
    fast = jp.fit(jp.ExtendedNLL(model.intensity, data, mc), start, fixed="i00")
    plain = jp.fit(
        jp.ExtendedNLL(model.intensity, data, mc, precompute=False, normalization="direct"), start, fixed="i00"
    )
    assert fast.valid
    assert plain.valid
    assert fast.fval == pytest.approx(plain.fval, abs=1e-5)
    for name in start:
        assert fast.values[name] == pytest.approx(plain.values[name], abs=1e-2 * max(plain.errors[name], 1e-9))
        assert fast.errors[name] == pytest.approx(plain.errors[name], rel=1e-3)


def test_the_traceable_function_has_the_same_derivatives_before_and_after_the_decision():
    model = ZOO["rho"]
    cost = jp.ExtendedNLL(model.intensity, DATA, MC)
    for _ in range(2):
        function, arrays = cost.as_function()
        value, gradient = jax.value_and_grad(function)(model.start, arrays)
        assert float(value) == pytest.approx(cost(model.start), rel=1e-12)
        assert {k: float(v) for k, v in gradient.items()} == pytest.approx(cost.value_and_grad(model.start)[1])


def test_single_precision_columns_go_through():
    model = ZOO["w2"]
    data, mc = (jp.Dataset(t, dtype="float32") for t in (DATA, MC))
    double = jp.ExtendedNLL(model.intensity, DATA, MC)(model.start)
    assert jp.ExtendedNLL(model.intensity, data, mc)(model.start) == pytest.approx(double, rel=1e-5)
