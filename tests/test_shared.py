"""Sums over events that several processes share: the numbers of one process, in all of them."""

import numpy as np
import pytest
from processes import run

import jaxpwa as jp

pytest.importorskip("pyarrow")

PREAMBLE = """
import sys
import warnings
import numpy as np
import jaxpwa as jp
import jax
import jax.numpy as jnp
from processes import give

jp.distributed.initialize()
folder = sys.argv[1]

def peak(p, d):
    wave = p["g"] / (d["m"] - p["m0"] + 1j * p["g"])
    return jnp.abs(wave) ** 2 * (1 + p["a"] * d["c"] ** 2) + p["b"]

def waves(p, d):
    z = p["s"] * jnp.cos(d["m"]) + (p["x"] + 1j * p["y"]) * d["c"] * d["m"]
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2 + p["b"]

PEAK = {"m0": 0.75, "g": 0.1, "a": 0.5, "b": 0.2}
WAVES = {"s": 1.0, "x": 0.4, "y": 0.3, "b": 0.1}
everywhere = tuple(jax.devices())

def numbers(cost, start):
    value, gradient = cost.value_and_grad(start)
    names = list(start)
    return np.concatenate([[cost(start), value], [gradient[n] for n in names], cost.hessian(start).ravel()])

def fitted(cost, start, **settings):
    result = jp.fit(cost, start, **settings)
    assert result.valid, result.message
    names = [*start, *[n for n in result.values if n not in start]]
    table = [[result.values[n], result.errors[n]] for n in names]
    return np.concatenate([[result.fval], np.ravel(table), result.covariance.ravel()])
"""

TABLES = """
table = {k: v for k, v in np.load(folder + "/table.npz").items()}
mc = {k: v for k, v in np.load(folder + "/mc.npz").items()}
weighted = jp.Dataset(table, weights="w")
out = {}
limits = {n: jp.Parameter(v, lower=0.01) for n, v in PEAK.items()}
density = jp.UnbinnedNLL(peak, table, normalization_mc=mc, devices=everywhere)
out["numbers_peak"] = numbers(density, PEAK)
out["fit_peak"] = fitted(density, limits, fixed=["b"])
yield_ = jp.ExtendedNLL(waves, weighted, mc, devices=everywhere)
out["numbers_waves"] = numbers(yield_, WAVES)
assert "integrals" in yield_.explain(), yield_.explain()
out["fit_waves"] = fitted(yield_, WAVES, fixed=["y"])
out["fit_sumw2"] = fitted(yield_, WAVES, fixed=["y"], covariance="sumw2")
class Others:
    def influence_on(self, scores):
        return 0.1 * (scores.mean(axis=0) - scores)
out["fit_influence"] = fitted(yield_, WAVES, fixed=["y"], influence=Others())
direct = jp.ExtendedNLL(waves, weighted, mc, devices=everywhere, normalization="direct")
out["numbers_direct"] = numbers(direct, WAVES)
part = {k: v[:3000] for k, v in table.items()}
mixed = direct + jp.UnbinnedNLL(peak, part, normalization_mc=mc) + jp.GaussianConstraint(["a"], [0.5], [0.1])
both = {**WAVES, **PEAK}
out["numbers_mixed"] = numbers(mixed, both)
function, arrays = mixed.as_function()
value, gradient = jax.jit(jax.value_and_grad(function))(both, arrays)
out["function"] = np.array([float(value), *[float(gradient[n]) for n in mixed.parameters]])
binned = jp.BinnedNLL(lambda p, d: p["n"] * jnp.exp(-p["k"] * d["x"]), {"x": np.arange(50.0)}, table["n"][:50])
out["fit_bins"] = fitted(binned, {"n": 20.0, "k": 0.01})
many = jp.fit_many([yield_], [WAVES] * 2, fixed=["y"])
out["many"] = np.array([many[0].fval, *many[0].values.values()])
samples = jp.bootstrap(1, yield_, many[0], 20)
out["bootstrap"] = np.concatenate([samples.errors[n] * np.ones(1) for n in WAVES])
mask, report = jp.rejection_sample(5, waves, WAVES, mc)
out["mask"], out["report"] = mask, np.array([report.n_accepted, report.maximum])
out["values"] = jp.evaluate(waves, WAVES, mc)
give(**out)
"""

FILES = """
budget = int(sys.argv[2])
data = jp.Dataset.from_files(folder + "/data_*.parquet", memory_budget=budget)
weighted = jp.Dataset.from_files(folder + "/data_*.parquet", weights="w", memory_budget=budget)
mc = jp.Dataset.from_files(folder + "/mc_*.parquet", memory_budget=budget)
out, on = {}, {"devices": everywhere}
limits = {n: jp.Parameter(v, lower=0.01) for n, v in PEAK.items()}
density = jp.UnbinnedNLL(peak, data, normalization_mc=mc, **on)
out["numbers_peak"] = numbers(density, PEAK)
out["fit_peak"] = fitted(density, limits, fixed=["b"])
yield_ = jp.ExtendedNLL(waves, weighted, mc, **on)
out["numbers_waves"] = numbers(yield_, WAVES)
assert "integrals" in yield_.explain(), yield_.explain()
out["fit_waves"] = fitted(yield_, WAVES, fixed=["y"])
out["fit_sumw2"] = fitted(yield_, WAVES, fixed=["y"], covariance="sumw2")
kept = yield_.integrals(WAVES)
out["integrals"] = np.array([kept.n_events, kept.sum_of_weights])
out["numbers_kept"] = numbers(jp.ExtendedNLL(waves, weighted, kept), WAVES)
direct = jp.ExtendedNLL(waves, weighted, mc, **on, normalization="direct")
out["numbers_direct"] = numbers(direct, WAVES)
many = jp.fit_many([yield_], [WAVES] * 2, fixed=["y"])
out["many"] = np.array([many[0].fval, *many[0].values.values()])
try:
    direct({**WAVES, "b": -1.0})
except ValueError as error:
    out["error"] = np.array(str(error))
give(**out)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    rng = np.random.default_rng(5)
    n = 20_000
    m = np.where(rng.uniform(size=n) < 0.7, 0.77 + 0.08 * rng.standard_cauchy(n), rng.uniform(0.4, 1.2, n))
    m = np.where((m > 0.4) & (m < 1.2), m, rng.uniform(0.4, 1.2, n))
    weights = rng.uniform(0.5, 1.5, n) * (rng.uniform(size=n) > 0.1)
    table = {"m": m, "c": rng.uniform(-1, 1, n), "w": weights, "n": rng.poisson(15, n).astype(float)}
    mc = {"m": rng.uniform(0.4, 1.2, 3 * n), "c": rng.uniform(-1, 1, 3 * n)}
    np.savez(folder / "table.npz", **table)
    np.savez(folder / "mc.npz", **mc)
    for name, events in (("data", table), ("mc", mc)):
        cuts = [0, 7001, 7001 + 5000, len(events["m"])]
        for i, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            jp.write(folder / f"{name}_{i}.parquet", {k: v[start:stop] for k, v in events.items()})
    return folder


def is_fit(name):
    return name.startswith("fit") or name == "many"


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_tables_spread_over_processes_give_the_numbers_of_as_many_devices_in_one_to_the_last_bit(folder, n):
    (one,) = run(1, PREAMBLE + TABLES, folder, devices=n, timeout=300, environments=[{}])
    for other in run(n, PREAMBLE + TABLES, folder, timeout=600):
        for name, expected in one.results.items():
            # In a function for the user's own code, XLA adds up the devices' parts.
            tolerance = 1e-13 if name == "function" else 0
            np.testing.assert_allclose(other.results[name], expected, rtol=tolerance, atol=0, err_msg=name)


@pytest.mark.parametrize(
    ("n", "budget"),
    [(2, 10**9), (2, 1), pytest.param(4, 1, marks=pytest.mark.slow), pytest.param(3, 10**9, marks=pytest.mark.slow)],
)
def test_files_read_in_shares_give_the_numbers_of_one_process(folder, n, budget):
    (one,) = run(1, PREAMBLE + FILES, folder, budget, devices=2, timeout=300, environments=[{}])
    ended = run(n, PREAMBLE + FILES, folder, budget, timeout=600)
    for other in ended:
        for name, expected in one.results.items():
            found = other.results[name]
            np.testing.assert_array_equal(found, ended[0].results[name], err_msg=name)
            if name == "error":
                assert "intensity is negative for" in str(found)
                continue
            # A sum's rounding, 1e-16 of the cost, moves its minimum by the root of that, in standard deviations.
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, err_msg=name)
            scale = np.abs(expected).max()
            np.testing.assert_allclose(
                found, expected, rtol=1e-6 if is_fit(name) else 1e-12, atol=scale * 1e-12, err_msg=name
            )


EXCHANGES = """
from jaxpwa.engine import processes
table = {k: v for k, v in np.load(folder + "/table.npz").items()}
mc = {k: v for k, v in np.load(folder + "/mc.npz").items()}
direct = jp.ExtendedNLL(waves, table, mc, devices=everywhere, normalization="direct")
three = direct + jp.UnbinnedNLL(peak, table, devices=everywhere) + jp.GaussianConstraint(["a"], [0.5], [0.1])
ordinary, asked = processes.exchange, []
def counted(array):
    asked.append(array)
    return ordinary(array)
processes.exchange = counted
at, counts = {**WAVES, **PEAK}, []
for call in (three, three.value_and_grad, three.hessian):
    asked.clear()
    call(at)
    counts.append(len(asked))

class Own(jp.IntensitySource):
    sizes, has_gradient = (3,), False
    def launch(self, params, keep):
        return params
    def collect(self, running):
        z, a = running.values()
        return [np.array([z - a, z, z])]

supplied = jp.Cost([jp.SuppliedTerm.make(Own(), "log", scale=-1.0)], 0.5, 3, "own").bind(("z", "a"))
both = three + supplied
sums = both({**at, "z": 3.0, "a": PEAK["a"]}) - three(at)
give(counts=counts, supplied=sums, expected=-np.log(3.0 - PEAK["a"]) - 2 * np.log(3.0))
"""


def test_a_call_takes_one_exchange_for_all_of_its_sums(folder):
    for one in run(2, PREAMBLE + EXCHANGES, folder):
        np.testing.assert_array_equal(one.results["counts"], [1, 1, 1])
        # What a source of the user's own has started comes back to it as it was.
        np.testing.assert_allclose(one.results["supplied"], one.results["expected"], rtol=1e-9)


ERRORS = """
import os
rank, n = jp.distributed.process_index(), jp.distributed.process_count()
out = {}

def text_of(kind, task):
    try:
        task()
    except kind as error:
        return np.array(str(error))
    return np.array("no error")

for name, budget in (("kept", 10**9), ("read", 1)):
    bad = jp.Dataset.from_files(folder + "/bad.parquet", memory_budget=budget)
    out["nan_" + name] = text_of(ValueError, lambda: jp.UnbinnedNLL(peak, bad))
    data = jp.Dataset.from_files(folder + "/data_*.parquet", memory_budget=budget)
    cost = jp.UnbinnedNLL(peak, data)
    out["apart_" + name] = text_of(RuntimeError, lambda: cost({**PEAK, "b": 0.2 + rank}))
    cost(PEAK)
table = {k: v for k, v in np.load(folder + "/table.npz").items()}
some = tuple(jax.devices()[1:])
out["devices"] = text_of(ValueError, lambda: jp.UnbinnedNLL(peak, table, devices=some))
cost = jp.UnbinnedNLL(peak, table, devices=everywhere)
out["apart_table"] = text_of(RuntimeError, lambda: cost({**PEAK, "b": 0.2 + rank}))
out["places"] = text_of(RuntimeError, lambda: cost(PEAK) if rank else jp.distributed.barrier("here"))
pieces = ["bad", "few"][rank]
unlike = jp.Dataset.from_files(folder + f"/{pieces}.parquet")
out["unlike"] = text_of(ValueError, lambda: jp.UnbinnedNLL(peak, unlike))
out["infinite"] = text_of(ValueError, lambda: cost({**PEAK, "b": -2.0}))
few = jp.Dataset.from_files(folder + "/few.parquet", memory_budget=1)
out["few"] = np.array(jp.UnbinnedNLL(peak, few)(PEAK))
give(**out)
"""


def test_an_error_in_one_share_is_an_error_of_all(folder):
    table = dict(np.load(folder / "table.npz"))
    jp.write(folder / "few.parquet", {k: v[:1] for k, v in table.items()})
    bad = dict(table, m=table["m"].copy())
    bad["m"][15_000] = np.nan
    jp.write(folder / "bad.parquet", bad)
    first, second = (ended.results for ended in run(2, PREAMBLE + ERRORS, folder, timeout=300))
    for name in ("nan_kept", "nan_read"):
        assert "column 'm' is NaN or infinite" in str(second[name])
        assert "(first: event 15000)" in str(second[name])
        assert str(first[name]) == f"process 1 of 2 can't go on: ValueError: {second[name]}"
    for found in (first, second):
        for name in ("apart_kept", "apart_read", "apart_table"):
            assert "the processes of this run ask for different parameters: b is 0.2 or 1.2" in str(found[name])
        assert "see files of different length, [20000, 1] events: give all the same files" in str(found["unlike"])
        assert "are at different places of their scripts" in str(found["places"])
        assert "intensity is negative for" in str(found["infinite"])
    assert "this process's own (jax.local_devices()) or all (jax.devices())" in str(first["devices"])
    assert str(second["devices"]) == "no error"
    # One process has the one event, the other nothing.
    assert first["few"] == second["few"]
    assert np.isfinite(first["few"])


DYING = """
import os
from jaxpwa.inference.cost import Cost

rank, last, calls = jp.distributed.process_index(), int(sys.argv[2]), [0]
compute = Cost._compute

def counted(self, theta, order):
    calls[0] += 1
    if rank == 1 and calls[0] == last:
        os._exit(9)
    return compute(self, theta, order)

Cost._compute = counted
cost = jp.UnbinnedNLL(peak, jp.Dataset.from_files(folder + "/data_*.parquet"),
                      normalization_mc=jp.Dataset.from_files(folder + "/mc_*.parquet"))
start = {n: jp.Parameter(v, lower=0.01) for n, v in PEAK.items()}
result = jp.fit(cost, start, fixed=["b"], checkpoint=folder + "/fit.checkpoint")
resumed = result.settings.get("resumed", {}).get("calls", {})
give(values=list(result.values.values()), errors=list(result.errors.values()), calls=calls[0],
     before=sum(resumed.values()))
"""


def test_a_fit_whose_process_dies_ends_everywhere_and_goes_on_from_its_checkpoint(folder):
    whole = run(2, PREAMBLE + DYING, folder, 0, timeout=300)
    left, dead = run(2, PREAMBLE + DYING, folder, whole[0].results["calls"] - 3, timeout=300, check=False)
    assert dead.status == 9
    assert left.status == 1
    assert left.seconds - dead.seconds < 30
    assert "has ended or can't be reached (this is process 0 of 2)" in left.err
    assert "goes on from its last checkpoint" in left.err
    for ended, before in zip(run(2, PREAMBLE + DYING, folder, 0, timeout=300), whole, strict=True):
        found, expected = ended.results, before.results
        assert found["before"] > 0
        assert found["calls"] < expected["calls"]
        np.testing.assert_allclose(found["values"], expected["values"], atol=1e-4 * expected["errors"].max())
        np.testing.assert_allclose(found["errors"], expected["errors"], rtol=1e-4)


BINS = """
from pathlib import Path
rank = jp.distributed.process_index()
table = {k: v for k, v in np.load(folder + "/table.npz").items()}
mc = {k: v for k, v in np.load(folder + "/mc.npz").items()}
def fit(where):
    return jp.fit_bins(waves, {"data": table, "accepted_mc": mc}, [0.4, 0.8, 1.2], by="m", start=WAVES, fixed=["y"],
                       folder=where)
found = fit(folder + "/bins")
jp.distributed.barrier("bins are written")
again = fit(folder + "/bins")
own = Path(folder, f"own_{rank}")
if rank == 0:
    own.mkdir()
    for file in Path(folder, "bins").iterdir():
        (own / file.name).write_bytes(file.read_bytes())
else:
    own.mkdir()
try:
    fit(own)
    text = "no error"
except ValueError as error:
    text = str(error)
give(fvals=[found[i].fval for i in found], again=[again[i].fval for i in again], text=np.array(text))
"""


def test_bins_are_kept_in_one_folder_and_another_in_each_process_is_refused(folder):
    first, second = (ended.results for ended in run(2, PREAMBLE + BINS, folder, timeout=300))
    np.testing.assert_array_equal(first["fvals"], second["fvals"])
    np.testing.assert_array_equal(first["again"], second["again"])
    np.testing.assert_allclose(first["again"], first["fvals"], rtol=1e-12)
    for found in (first, second):
        assert str(found["text"]).startswith("folder holds other bins in one process than in another")
