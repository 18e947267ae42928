"""Integrals saved and loaded: the same cost as with the Monte Carlo, and refused for any other intensity."""

from dataclasses import replace

import numpy as np
import pytest
from zoo import ZOO, events, ylm

import jax.numpy as jnp

import jaxpwa as jp

DATA, MC = events(1501, 1), events(5003, 2)
W_MC = np.random.default_rng(4).uniform(0, 2, 5003) * (np.arange(5003) % 7 > 0)
MC_SET = jp.Dataset(MC, weights=W_MC)
W2 = ZOO["w2"]


def waves(p, d, twist=1.0):
    total = p["a"] * ylm(0, 0, d["c"], d["phi"]) + (p["b"] + 1j * p["e"]) * ylm(2, 1, d["c"], twist * d["phi"])
    return jnp.abs(total) ** 2 + p["n"] ** 2


START = {"a": 0.7, "b": -0.4, "e": 0.2, "n": 0.3}


@pytest.mark.parametrize(
    "name", ["w2", "rho", "K-matrix", "w2 stacked", "piecewise", "closed over", "parameters as a whole"]
)
def test_a_cost_of_loaded_integrals_is_that_of_the_monte_carlo(name, tmp_path):
    model = ZOO[name]
    full = jp.ExtendedNLL(model.intensity, DATA, MC_SET, 9000)
    if full.parameters is None:
        full = full.bind(tuple(model.start))
    full.integrals(model.start).save(tmp_path / "mc.msgpack")
    loaded = jp.load_integrals(tmp_path / "mc.msgpack")
    cost = jp.ExtendedNLL(model.intensity, DATA, loaded, 9000)
    if cost.parameters is None:
        cost = cost.bind(tuple(model.start))
    point = {n: 1.1 * v + 0.01 for n, v in model.start.items()}
    a, b = full.value_and_grad(point), cost.value_and_grad(point)
    assert b[0] == pytest.approx(a[0], rel=1e-13)
    np.testing.assert_allclose(list(b[1].values()), list(a[1].values()), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(cost.hessian(point), full.hessian(point), rtol=1e-10, atol=1e-9)
    direct = jp.ExtendedNLL(model.intensity, DATA, MC_SET, 9000, precompute=False, normalization="direct")
    if direct.parameters is None:
        direct = direct.bind(tuple(model.start))
    assert cost(point) == pytest.approx(direct(point), rel=1e-10)


def test_the_normalised_likelihood_takes_them_and_fits_the_same():
    full = jp.UnbinnedNLL(waves, DATA, normalization_mc=MC_SET)
    cost = jp.UnbinnedNLL(waves, DATA, normalization_mc=full.integrals(START))
    one, two = (jp.fit(c, START, fixed="n") for c in (full, cost))
    assert two.fval == pytest.approx(one.fval, rel=1e-12)
    np.testing.assert_allclose(list(two.values.values()), list(one.values.values()), rtol=1e-5)
    assert "from integrals over 5003 events" in cost.explain()


def test_without_n_generated_the_monte_carlo_counts_as_generated():
    full = jp.ExtendedNLL(waves, DATA, MC_SET)
    assert jp.ExtendedNLL(waves, DATA, full.integrals(START))(START) == pytest.approx(full(START), rel=1e-12)


def test_single_precision_monte_carlo_is_summed_in_double(tmp_path):
    data, mc = (jp.Dataset(t, dtype="float32") for t in (DATA, MC))
    full = jp.ExtendedNLL(waves, data, mc)
    found = full.integrals(START)
    assert "pseudo-events" in full.explain()
    assert found.single
    found.save(tmp_path / "a")
    cost = jp.ExtendedNLL(waves, data, jp.load_integrals(tmp_path / "a"))
    exact = jp.ExtendedNLL(waves, DATA, MC)
    assert cost(START) == pytest.approx(full(START), rel=1e-12)
    assert cost(START) == pytest.approx(exact(START), rel=1e-6)
    np.testing.assert_allclose(cost.hessian(START), exact.hessian(START), rtol=1e-4)


def test_they_know_their_monte_carlo():
    found = jp.ExtendedNLL(waves, DATA, MC_SET).integrals(START)
    assert found.belong_to(MC_SET)
    assert not found.belong_to(MC)
    assert not found.belong_to(jp.Dataset({n: v[::-1] for n, v in MC.items()}, weights=W_MC))
    changed = {n: v.copy() for n, v in MC.items()}
    changed["c"][4000] += 1e-9
    assert not found.belong_to(jp.Dataset(changed, weights=W_MC))
    # What the intensity does not read may change.
    changed = {**MC, "m": MC["m"] + 1}
    assert found.belong_to(jp.Dataset(changed, weights=W_MC))
    assert "5003 events" in repr(found)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda p, d: waves(p, d, 1.01), "what it computes of the events kept with them differs"),
        (lambda p, d: waves(p, d) + p["n"] ** 2, "a sum is"),
        (
            lambda p, d: waves(p, d) * d["t"] ** 2,
            "of another intensity: <lambda> reads column 't'",
        ),
        (
            lambda p, d: waves({k: p[k] for k in "abe"} | {"n": p["z"]}, d),
            "of another intensity: it reads a, b, e, n and columns c, phi, and <lambda> reads a, b, e, z",
        ),
        (lambda p, d: p["a"] * p["b"] * p["e"] * p["n"] * d["c"] * d["phi"], "not of <lambda> as it is now"),
    ],
)
def test_any_other_intensity_is_refused(other, message):
    found = jp.ExtendedNLL(waves, DATA, MC_SET).integrals(START)
    with pytest.raises(ValueError, match=message):
        jp.ExtendedNLL(other, DATA, found)


def test_where_there_are_none_the_reason_is_told():
    model = ZOO["free mass"]
    cost = jp.ExtendedNLL(model.intensity, DATA, MC)
    with pytest.raises(ValueError, match="no integrals over accepted_mc: div of what is stored"):
        cost.integrals(model.start)
    with pytest.raises(ValueError, match="m0, w0 is held fixed"):
        cost.holding({"m0": 1.3, "w0": 0.1}).integrals(model.start)
    with pytest.raises(ValueError, match="has 0 sums over Monte Carlo"):
        jp.UnbinnedNLL(waves, DATA).integrals(START)
    two = jp.ExtendedNLL(waves, DATA, MC) + jp.ExtendedNLL(waves, DATA, MC)
    with pytest.raises(ValueError, match="has 2 sums"):
        two.integrals(START)
    with pytest.raises(ValueError, match="normalization='direct'"):
        jp.ExtendedNLL(waves, DATA, MC, normalization="direct").integrals(START)
    once = jp.ExtendedNLL(waves, DATA, jp.ExtendedNLL(waves, DATA, MC).integrals(START))
    with pytest.raises(ValueError, match="from integrals over 5003 events"):
        once.integrals(START)


def test_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="holds no integrals"):
        jp.load_integrals(path)
    jp.ExtendedNLL(waves, DATA, MC).integrals(START).save(path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match="damaged"):
        jp.load_integrals(path)
    found = jp.ExtendedNLL(waves, DATA, MC).integrals(START)
    for change in ({"weights": found.weights[:-1]}, {"layout": "x"}, {"values": None}, {"sample": {}}):
        replace(found, **change).save(path)
        with pytest.raises(ValueError, match="damaged"):
            jp.load_integrals(path)
    with pytest.raises(FileNotFoundError):
        jp.load_integrals(tmp_path / "nowhere")


def pieces(table, sizes, weights=None):
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        part = {n: v[rows] for n, v in table.items()}
        yield part if weights is None else jp.Dataset(part, weights=weights[rows])
        start += size


@pytest.mark.parametrize("name", ["w2", "rho", "K-matrix", "parameters as a whole", "piecewise"])
def test_integrals_over_pieces_are_those_over_the_whole(name):
    model = ZOO[name]
    found = jp.accumulate_integrals(model.intensity, pieces(MC, (1000, 0, 2500, 1503), W_MC), model.start)
    assert found.belong_to(MC_SET)
    cost = jp.ExtendedNLL(model.intensity, DATA, found, 9000)
    direct = jp.ExtendedNLL(model.intensity, DATA, MC_SET, 9000, precompute=False, normalization="direct")
    if cost.parameters is None:
        cost, direct = cost.bind(tuple(model.start)), direct.bind(tuple(model.start))
    point = {n: 1.1 * v + 0.01 for n, v in model.start.items()}
    a, b = direct.value_and_grad(point), cost.value_and_grad(point)
    assert b[0] == pytest.approx(a[0], rel=1e-10)
    np.testing.assert_allclose(list(b[1].values()), list(a[1].values()), rtol=1e-9, atol=1e-8)


def test_integrals_are_taken_of_a_file_piece_by_piece(tmp_path):
    jp.write(tmp_path / "mc.npz", {n: MC[n] for n in ("c", "phi")})
    found = jp.accumulate_integrals(waves, jp.iter_chunks(tmp_path / "mc.npz", 700), START)
    assert found.belong_to(MC)
    assert found.n_events == found.sum_of_weights == 5003
    assert len(found.sample["c"]) == 256
    found.save(tmp_path / "a")
    full = jp.ExtendedNLL(waves, DATA, MC)
    assert jp.ExtendedNLL(waves, DATA, jp.load_integrals(tmp_path / "a"))(START) == pytest.approx(
        full(START), rel=1e-10
    )


def test_pieces_that_give_no_integrals_are_refused():
    free = ZOO["free mass"]
    with pytest.raises(ValueError, match="no integrals of free_mass: div of what is stored"):
        jp.accumulate_integrals(free.intensity, pieces(MC, (100,)), free.start)
    with pytest.raises(ValueError, match="must have events that count: there are none"):
        jp.accumulate_integrals(waves, [], START)
    with pytest.raises(ValueError, match="must have events that count: there are none"):
        jp.accumulate_integrals(waves, [jp.Dataset(MC, weights=np.zeros(5003))], START)
    with pytest.raises(ValueError, match="piece 1 of the Monte Carlo has other columns than the first"):
        jp.accumulate_integrals(waves, [MC, {"c": MC["c"]}], START)
    with pytest.raises(ValueError, match="waves needs parameter n; given: a, b, e"):
        jp.accumulate_integrals(waves, [MC], {k: START[k] for k in "abe"})
    bad = {**MC, "phi": np.where(np.arange(5003) == 7, np.nan, MC["phi"])}
    with pytest.raises(ValueError, match="piece 0 of the Monte Carlo: column 'phi' is NaN .*event 7"):
        jp.accumulate_integrals(waves, [bad], START)
