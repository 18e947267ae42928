"""Farms of tasks: executors of four kinds against work in this process, what fails, and costs that travel."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import cloudpickle
import numpy as np
import pytest
from models import gauss, gauss_sample
from test_supplied import Decay, nll

import jax
import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.farms.parcels import Parcel
from jaxpwa.farms.pool import process_pool
from jaxpwa.farms.tasks import farm

RNG = np.random.default_rng(5)
X, FLAT = RNG.exponential(2.0, 3000), RNG.uniform(0, 25, 5000)
WEIGHTS = RNG.integers(0, 3, 3000) * 0.7
LOCK = threading.Lock()  # which can't be pickled


def density(p, d):
    return jnp.exp(-d["x"] / p["tau"]) / p["tau"]


def waves(p, d):
    return jnp.abs(p["a"] * jnp.exp(-d["x"] / 2) + 1j * p["b"] * jnp.sin(d["x"])) ** 2 + 0.1


def as_a_whole(p, d):
    return sum(v * v for v in p.values()) * jnp.exp(-d["x"])


@pytest.fixture(scope="module")
def pool():
    with process_pool(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def wide():
    """One process with as many devices as this one."""
    with process_pool(1, threads=2) as pool:
        yield pool


# Tasks


def cube(x):
    """A task that names its process."""
    return x**3, os.getpid()


def test_results_come_in_the_order_of_the_items_whatever_ends_first(pool):
    def late(x):
        time.sleep(0.2 * (x == 0))
        return cube(x)

    for executor in (None, pool):
        farmed = farm(late, range(6), executor)
        assert list(farmed) == list(farmed.results) == list(range(6))
        assert [value for value, _ in farmed.values()] == [x**3 for x in range(6)]
        assert {process == os.getpid() for _, process in farmed.values()} == {executor is None}
        assert (farmed.problem, farmed.failures, farmed.n_tasks) == ("", {}, 6)
        assert str(farmed).startswith("6 of 6 tasks came back in ")


def test_a_task_that_raises_is_named_and_the_others_come_back(pool):
    def some(x):
        if x % 3 == 1:
            msg = f"no {x}\nand more"
            raise ArithmeticError(msg)
        return x

    for executor in (None, pool):
        with pytest.warns(
            jp.JaxpwaWarning, match=r"^2 of 6 tasks failed \(items 1, 4\); item 1: ArithmeticError: no 1\."
        ):
            farmed = farm(some, range(6), executor)
        assert farmed.results == {0: 0, 2: 2, 3: 3, 5: 5}
        assert list(farmed.failures) == [1, 4]
        assert "in some" in farmed.failures[4].traceback
        assert "and more" in farmed.failures[4].traceback
        assert "\n  item 4 failed: ArithmeticError: no 4" in str(farmed)
        with pytest.raises(KeyError, match="item 4 has no result: ArithmeticError: no 4"):
            farmed[4]
        with pytest.raises(RuntimeError, match="every task failed; the first: ArithmeticError: no 1") as caught:
            farm(some, [1, 4], executor)
        assert "in some" in caught.value.__notes__[0]


def test_a_result_that_cannot_travel_is_a_failure(pool):
    with pytest.warns(jp.JaxpwaWarning, match=r"1 of 2 tasks failed \(items 1\); item 1: TypeError: cannot pickle"):
        farmed = farm(lambda x: threading.Lock() if x else x, [0, 1], pool)
    assert farmed.results == {0: 0}


def test_what_cannot_be_sent_is_an_error_that_names_it(pool):
    with pytest.raises(TypeError, match="^item 1 can't be sent to another process: TypeError: cannot pickle"):
        farm(cube, [1, LOCK], pool)
    with pytest.raises(TypeError, match="^the function can't be sent to another process: TypeError: cannot pickle"):
        farm(lambda x, out=LOCK: x, [1], pool)


def test_a_process_that_ends_loses_its_task_alone_and_is_replaced():
    def some(x):
        if x == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return x, os.getpid()

    with process_pool(1) as own:
        with pytest.warns(jp.JaxpwaWarning, match=r"\(items 2\); item 2: BrokenProcessPool: .*terminated abruptly"):
            farmed = farm(some, range(6), own)
        assert [x for x, _ in farmed.values()] == [0, 1, 3, 4, 5]
        assert farmed.failures[2].traceback == ""
        before, after = {farmed[x][1] for x in (0, 1)}, {farmed[x][1] for x in (3, 4, 5)}
        assert len(before) == len(after) == 1
        assert before != after
        # One that ends while it has nothing to do takes nothing with it.
        os.kill(after.pop(), signal.SIGKILL)
        time.sleep(0.5)
        assert [value for value, _ in farm(cube, range(3), own).values()] == [0, 1, 8]
    with pytest.raises(RuntimeError, match="every task failed; the first: RuntimeError: the pool is shut down"):
        farm(cube, range(2), own)


def test_what_tasks_share_is_opened_once_per_process(pool):
    table = {"opened": 0}

    def count(x):
        table["opened"] += 1
        return table["opened"], os.getpid()

    counts = farm(count, range(8), pool).values()
    processes = {process for _, process in counts}
    for process in processes:
        seen = [n for n, p in counts if p == process]
        assert sorted(seen) == list(range(1, len(seen) + 1))
    assert table == {"opened": 0}


class Held(Executor):
    """Accepts everything and does nothing, until it is interrupted."""

    def __init__(self):
        self.futures = []

    def submit(self, function, /, *args, **keywords):
        self.futures.append(Future())
        if len(self.futures) == 3:
            raise KeyboardInterrupt
        return self.futures[-1]


def test_an_interrupt_cancels_what_was_sent():
    held = Held()
    with pytest.raises(KeyboardInterrupt):
        farm(cube, range(9), held)
    assert [future.cancelled() for future in held.futures] == [True, True, False]


class Counting(ThreadPoolExecutor):
    """Notes how many tasks wait at most."""

    waiting = most = 0

    def submit(self, function, /, *args, **keywords):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        future = super().submit(function, *args, **keywords)
        future.add_done_callback(lambda _: setattr(self, "waiting", self.waiting - 1))
        return future


def test_few_large_tasks_wait_at_a_time(monkeypatch):
    monkeypatch.setattr("jaxpwa.farms.tasks._BYTES_WAITING", 300_000)
    with Counting(1) as threads:
        farmed = farm(lambda x: float(x.sum()), [np.full(10_000, float(k)) for k in range(20)], threads)
    assert [*farmed.values()] == [10_000.0 * k for k in range(20)]
    assert threads.most <= 5


def test_every_worker_has_a_task_however_large(monkeypatch):
    monkeypatch.setattr("jaxpwa.farms.tasks._BYTES_WAITING", 1)
    with Counting(3) as threads:
        farm(lambda x: time.sleep(0.1), range(3), threads)
    assert threads.most == 3


def test_an_item_that_cannot_be_sent_does_not_lose_what_came_back(monkeypatch):
    monkeypatch.setattr("jaxpwa.farms.tasks._MOST_WAITING", 2)
    with ThreadPoolExecutor(1) as threads:
        with pytest.warns(jp.JaxpwaWarning, match=r"\(items 3\); item 3: TypeError: item 3 can't be sent to another"):
            farmed = farm(lambda x: x, [0, 1, 2, LOCK, 4], threads)
    assert farmed.results == {0: 0, 1: 1, 2: 2, 4: 4}


class Mute(Exception):
    """Can't say what it is."""

    def __str__(self):
        raise LookupError


def mutter(x):
    if x:
        raise Mute
    return x


def test_an_error_that_cannot_say_what_it_is_is_a_failure():
    with pytest.warns(jp.JaxpwaWarning, match=r"item 1: Mute: its message can't be had \(LookupError\)"):
        assert farm(mutter, [0, 1]).results == {0: 0}


class Slow:
    """Takes a while to open."""

    def __reduce__(self):
        return slowly, ()


def slowly():
    time.sleep(0.1)
    return [0]


def test_threads_of_one_process_open_what_they_share_once():
    parcel = Parcel.of(Slow(), "it")
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: parcel.open(), range(4)))
    assert all(thing is opened[0] for thing in opened)


def test_processes_that_are_forked_are_refused():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forking:
        with pytest.raises(ValueError, match=r"executor forks its processes, in which JAX hangs: write with jaxpwa\.p"):
            farm(cube, [1], forking)


def test_what_is_no_farm_is_refused():
    with pytest.raises(TypeError, match=r"items must be a sequence, such as range\(100\), got int"):
        farm(cube, 5)
    with pytest.raises(TypeError, match="function must be callable as function"):
        farm(3, [1])
    with pytest.raises(ValueError, match="items must hold at least one item, got none"):
        farm(cube, [])
    with pytest.raises(
        TypeError, match=r"executor must be a concurrent\.futures\.Executor or None, got int: write with"
    ):
        farm(cube, [1], 4)
    for keywords in ({"n": 0}, {"n": True}, {"threads": 1.5}):
        with pytest.raises(ValueError, match=f"{next(iter(keywords))} must be a whole number, at least 1, got "):
            process_pool(**keywords)


def surroundings(_):
    return jax.device_count(), jax.default_backend(), os.environ["OMP_NUM_THREADS"], jnp.ones(3).sum().dtype


def test_processes_of_a_pool_have_their_share_of_the_cores(pool, wide):
    before = dict(os.environ)
    assert farm(surroundings, [0], pool)[0] == (1, "cpu", "1", np.float64)
    assert farm(surroundings, [0], wide)[0] == (2, "cpu", "2", np.float64)
    assert dict(os.environ) == before


def test_a_script_needs_no_guard_and_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import jaxpwa as jp
from jaxpwa.farms.parcels import Parcel
from jaxpwa.farms.pool import process_pool
from jaxpwa.farms.tasks import farm
print("once", flush=True)
class Scale:
    def __init__(self, by): self.by = by
    def __call__(self, x): return helper(x) * self.by
def helper(x):
    return x + 1
with process_pool(1) as pool:
    print(farm(Scale(10), [1, 2], pool).results)
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "once\n{0: 20, 1: 30}\n", done.stderr


# Other executors


def check_executor(executor):
    """Tasks, one that fails, and a fit, as in this process."""
    assert [value for value, _ in farm(cube, range(5), executor).values()] == [0, 1, 8, 27, 64]
    with pytest.warns(jp.JaxpwaWarning, match=r"1 of 3 tasks failed \(items 1\); item 1: ZeroDivisionError"):
        farmed = farm(lambda x: 1 / (x - 1), range(3), executor)
    assert farmed.results == {0: -1.0, 2: 1.0}
    cost = jp.UnbinnedNLL(density, {"x": X})
    fits = jp.fit_many([cost], {"tau": 1.0}, executor=executor)
    assert fits[0].values["tau"] == pytest.approx(X.mean(), rel=1e-6)


def test_threads_run_tasks():
    with ThreadPoolExecutor(1) as threads:
        check_executor(threads)


@pytest.mark.slow
def test_loky_runs_tasks():
    loky = pytest.importorskip("loky")
    with loky.ProcessPoolExecutor(1) as executor:
        check_executor(executor)


def die_once_in_four(x):
    if x == 2:
        os._exit(1)
    return x


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_dask_runs_tasks_and_goes_on_where_a_worker_dies():
    distributed = pytest.importorskip("distributed")
    from dask import config

    quiet = {"distributed.scheduler.allowed-failures": 0, "logging.distributed": "critical"}
    with (
        config.set(quiet),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        check_executor(executor)
        with pytest.warns(jp.JaxpwaWarning, match=r"item \d: KilledWorker"):
            farmed = farm(die_once_in_four, range(4), executor)
        assert 2 in farmed.failures
        assert farmed.results == {x: x for x in farmed.results}
        assert farm(cube, [2], executor)[0][0] == 8
        with pytest.raises(TypeError, match=r"got Client: write executor=client\.get_executor\(\)"):
            farm(cube, [1], client)


# Costs that travel


def travelling():
    """Costs of every kind, and where to compute them."""
    data = jp.Dataset({"t": np.full(3000, "text"), "x": X, "unread": X}, WEIGHTS)
    mc, p = {"x": FLAT, "unread": np.arange(5000)}, {"a": 1.1, "b": 0.3}
    extended = jp.ExtendedNLL(waves, data, mc, 7000)
    normalised = jp.UnbinnedNLL(waves, data, normalization_mc=mc)
    prior = jp.GaussianConstraint(["a", "b"], [1, 2], [1, 2])
    line = jp.ChiSquared(lambda p, d: p["a"] + p["b"] * d["x"], {"x": [0.0, 1, 2]}, [4, 2, 1], [1, 1, 0.5])
    total = normalised + 2 * prior + jp.Penalty(lambda p: p["a"] ** 2, "ridge") + line
    single = [jp.Dataset({"x": x}, dtype="float32") for x in (X, FLAT)]
    return {
        "density": (jp.UnbinnedNLL(density, data), {"tau": 2.1}),
        "normalised": (normalised, p),
        "extended": (extended, p),
        "on two devices": (jp.ExtendedNLL(waves, data, mc, devices=jax.devices()[:1]), p),
        "direct": (jp.ExtendedNLL(waves, data, mc, normalization="direct", precompute=False), p),
        "integrals": (jp.ExtendedNLL(waves, data, extended.integrals(p), 7000), p),
        "names to come": (jp.UnbinnedNLL(as_a_whole, {"x": X}), p),
        "names bound late": (jp.UnbinnedNLL(as_a_whole, {"x": X}).bind(["b", "a"]), p),
        "counts": (jp.BinnedNLL(lambda p, d: p["n"] * jnp.exp(-d["x"]), {"x": [0.0, 1, 2]}, [4, 2, 1]), {"n": 3.0}),
        "chi-squared": (line, p),
        "constraint": (prior, p),
        "asymmetric": (jp.AsymmetricConstraint("a", 1, 0.1, 0.2), {"a": 1.3}),
        "sum": (total, p),
        "tied": (total.tied(b=lambda p: p["a"] * p["c"]), {"a": 1.1, "c": 0.3}),
        "held": (extended.holding({"b": 0.3}), p),
        "single": (jp.ExtendedNLL(waves, *single), p),
        "from outside": (nll(Decay(gradient=True), weights=np.ones(5001)), {"a": 2.0}),
    }


def everything(cost, params):
    """Value, gradient and Hessian, as far as there are any, and what is said of the cost."""
    value, gradient = cost.value_and_grad(params)
    hessian = cost.hessian(params).tolist() if cost.derivatives == 2 else None
    return value, gradient, hessian, cost.explain(), cost.parameters, type(cost).__name__, jax.device_count()


@pytest.mark.parametrize("kind", travelling())
def test_a_copy_of_a_cost_is_the_same_to_the_last_bit(kind):
    cost, params = travelling()[kind]
    fresh = pickle.loads(pickle.dumps(cost))
    expected = everything(cost, params)
    assert everything(fresh, params) == expected
    assert everything(pickle.loads(pickle.dumps(cost)), params) == expected
    assert everything(pickle.loads(cloudpickle.dumps(fresh)), params) == expected


def test_copies_in_another_process_are_the_same_to_the_last_bit(wide):
    costs = list(travelling().values())
    farmed = farm(lambda task: everything(*task), costs, wide)
    assert list(farmed.values()) == [everything(*task) for task in costs]


@pytest.mark.parametrize("budget", [None, 60_000])
def test_a_cost_over_files_travels_as_their_names(tmp_path, budget):
    for part in range(2):
        jp.write(tmp_path / f"{part}.npy", {"x": FLAT[2500 * part : 2500 * (part + 1)]})
    files = jp.Dataset.from_files([tmp_path / "0.npy", tmp_path / "1.npy"], memory_budget=budget)
    cost, p = jp.ExtendedNLL(waves, {"x": X}, files, normalization="direct"), {"a": 1.1, "b": 0.3}
    assert ("read at every call" in cost.explain()) == (budget is not None)
    content = pickle.dumps(cost)
    assert (len(content) < 24_000 + 10_000) == (budget is not None)
    assert everything(pickle.loads(content), p) == everything(cost, p)


def test_only_the_columns_that_are_read_travel():
    sizes = []
    for n in (0, 40):
        table = {"x": X} | {f"unread {i}": X for i in range(n)}
        sizes.append(len(pickle.dumps(jp.UnbinnedNLL(density, table))))
    assert sizes[1] - sizes[0] < 100
    assert sizes[0] < 24_000 + 3000


def test_a_decision_about_pseudo_events_travels():
    cost = jp.ExtendedNLL(waves, {"x": X}, {"x": FLAT})
    undecided = pickle.loads(pickle.dumps(cost))._terms[1].total
    assert not undecided.is_decided
    cost({"a": 1.0, "b": 0.5})
    copy = pickle.loads(pickle.dumps(cost))
    assert copy._terms[1].total.is_decided
    assert copy._n_summed == cost._n_summed < 3000 + 100
    ours, theirs = (c.integrals({"a": 1.0, "b": 0.5}) for c in (cost, copy))
    assert ours.fingerprint == theirs.fingerprint
    np.testing.assert_array_equal(ours.points, theirs.points)


def test_a_decision_against_pseudo_events_travels(monkeypatch):
    monkeypatch.setattr("jaxpwa.engine.prepare.agree", lambda *_: False)
    cost = jp.ExtendedNLL(waves, {"x": X}, {"x": FLAT})
    cost({"a": 1.0, "b": 0.5})
    monkeypatch.undo()
    copy = pickle.loads(pickle.dumps(cost))
    assert copy._n_summed == cost._n_summed == 8000
    assert "the sums differ" in copy.explain()
    assert everything(copy, {"a": 1.0, "b": 0.5}) == everything(cost, {"a": 1.0, "b": 0.5})


def test_terms_of_one_likelihood_stay_together_and_weighted_errors_come_out_the_same():
    cost = jp.UnbinnedNLL(waves, jp.Dataset({"x": X}, WEIGHTS), normalization_mc={"x": FLAT})
    copy = pickle.loads(pickle.dumps(cost))
    assert copy._terms[0].likelihood is copy._terms[1].likelihood is not None
    start = {"a": jp.Parameter(1.0, fixed=True), "b": 0.5}
    ours, theirs = jp.fit(cost, start), jp.fit(copy, start)
    assert ours.covariance_kind == "asymptotic"
    assert (ours.values, ours.errors, ours.samples) == (theirs.values, theirs.errors, theirs.samples)


def test_what_a_cost_cannot_take_along_is_named():
    out = LOCK

    def talks(p, d):
        assert not out.locked()
        return density(p, d)

    cost = jp.UnbinnedNLL(talks, {"x": X})
    with pytest.raises(TypeError, match=r"UnbinnedNLL\(talks\) can't be pickled: the intensity talks refers to"):
        pickle.dumps(cost)
    source = Decay()
    source.lock = out
    with pytest.raises(TypeError, match="can't be pickled: Decay, where the intensities of data come from, refers"):
        pickle.dumps(nll(source) + jp.GaussianConstraint("a", 2.0, 1.0).bind(["a"]))
    tied = jp.GaussianConstraint(["a", "b"], [1, 2], [1, 2]).tied(b=lambda p, out=out: p["a"])
    with pytest.raises(TypeError, match="the tie of 'b' refers to"):
        pickle.dumps(tied)


def test_a_result_travels_as_it_is_saved(tmp_path):
    result = jp.fit(jp.UnbinnedNLL(density, {"x": X}), {"tau": jp.Parameter(1.0, lower=0)}, minos=True)
    copy = pickle.loads(pickle.dumps(result))
    result.save(tmp_path / "result.json")
    assert copy.to_dict() == result.to_dict() == jp.load_result(tmp_path / "result.json").to_dict()
    assert str(copy) == str(result)
    assert copy.minuit is None
    assert result.minuit is not None
    assert pickle.loads(pickle.dumps(copy)).samples == result.samples
    with pytest.raises(AttributeError, match="cannot assign"):
        copy.fval = 1.0


# Fits


def wells(p, d):
    """-ln I is a double well in each of a and b, with a tilt in a: four minima."""
    a, b = p["a"], p["b"]
    return jnp.exp(-((a**2 - 1) ** 2) - 0.1 * a - (b**2 - 1) ** 2) + 0 * d["x"]


def as_found(fits):
    """Values of all minima, and the starts that led there."""
    return {
        label: [(m.starts, m.result.valid, {n: round(v, 4) for n, v in m.result.values.items()}) for m in minima]
        for label, minima in fits.minima.items()
    }


def test_minima_from_starts_that_are_fitted_apart_are_those_of_one_process(pool):
    start = {"a": jp.Parameter(0.5, lower=-2, upper=2), "b": jp.Parameter(0.5, lower=-2, upper=2)}
    cost = jp.UnbinnedNLL(wells, {"x": np.zeros(50)})
    costs = {"one": cost, "two": cost + jp.GaussianConstraint("a", 1.0, 0.5)}
    starts = {"one": jp.random_starts(3, start, 12), "two": jp.random_starts(4, start, 5)}
    here, there = (jp.fit_many(costs, starts, executor=executor) for executor in (None, pool))
    assert as_found(here) == as_found(there)
    assert len(there.minima["one"]) == 4
    assert there["one"].values == here["one"].values
    assert there["one"].minuit is None


def test_many_starts_go_in_batches_and_find_the_same(pool):
    start = {"a": jp.Parameter(0.5, lower=-2, upper=2), "b": jp.Parameter(0.5, lower=-2, upper=2)}
    cost, starts = jp.UnbinnedNLL(wells, {"x": np.zeros(50)}), jp.random_starts(3, start, 150)
    here, there = (jp.fit_many(cost, starts, executor=executor) for executor in (None, pool))
    assert len(there.minima[0]) == 4
    assert sorted(i for m in there.minima[0] for i in m.starts) == list(range(150))
    for ours, theirs in zip(here.minima[0], there.minima[0], strict=True):
        assert ours.result.fval == pytest.approx(theirs.result.fval, abs=1e-3)


def test_starts_that_fail_are_named_and_a_cost_that_ends_its_process_too(pool):
    def box(p, d):
        return jnp.where(jnp.abs(d["x"] - p["m"]) < 3, jnp.exp(-0.5 * (d["x"] - p["m"]) ** 2), 0.0)

    x = np.random.default_rng(1).uniform(-1, 1, 100)
    good, bad = jp.UnbinnedNLL(box, {"x": x}), jp.UnbinnedNLL(box, {"x": x + 50})
    with pytest.warns(jp.ConvergenceWarning, match=r"no valid fit for 1 of 2 costs \('bad'\).*intensity is 0"):
        fits = jp.fit_many({"bad": bad, "good": good}, [{"m": 0.0}, {"m": 0.2}], executor=pool)
    assert set(fits.failures) == {"bad"}
    assert set(fits.failures["bad"]) == {0, 1}
    assert fits["good"].values["m"] == pytest.approx(x.mean(), abs=1e-5)

    parent = os.getpid()

    def deadly(p, d):
        if os.getpid() != parent:
            os._exit(1)
        return box(p, d)

    with process_pool(1) as own:
        with pytest.warns(jp.ConvergenceWarning, match="start 0: BrokenProcessPool"):
            fits = jp.fit_many({"good": good, "ends": jp.UnbinnedNLL(deadly, {"x": x})}, {"m": 0.0}, executor=own)
    assert fits["good"].valid
    assert "BrokenProcessPool" in fits.failures["ends"][0]


def test_a_cost_or_model_that_cannot_be_sent_is_named(pool, tables):
    out = LOCK
    cost = jp.UnbinnedNLL(lambda p, d: (out, density(p, d))[1], {"x": X})
    with pytest.raises(TypeError, match="^the cost can't be sent to another process: .* the intensity <lambda> refers"):
        jp.bootstrap(1, cost, jp.fit(cost, {"tau": 1.0}), 4, executor=pool)
    with pytest.raises(TypeError, match="^the model, cost or start of fit_bins can't be sent to another process"):
        jp.fit_bins(lambda p, d: (out, slope(p, d))[1], tables, EDGES, start=START, carry=False, executor=pool)
    with pytest.raises(TypeError, match="cost 'talks' can't be sent to another process"):
        jp.fit_many({"talks": cost}, {"tau": 1.0}, executor=pool)


@pytest.mark.parametrize("n", [5, 40])
def test_the_samples_of_a_bootstrap_are_those_of_one_process(pool, n):
    cost = jp.ExtendedNLL(gauss, gauss_sample(800), gauss_sample(1000, 9)) + jp.GaussianConstraint("A1", 10.0, 0.3)
    result = jp.fit(
        cost, {"A1": 9.0, "A2": 3.0, "A3": jp.Parameter(10.0, fixed=True), "A4": jp.Parameter(3, fixed=True)}
    )
    here, there = (jp.bootstrap(7, cost, result, n, executor=executor) for executor in (None, pool))
    assert len(there) == n
    for name, values in here.samples.items():
        np.testing.assert_allclose(there.samples[name], values, rtol=1e-12)
    assert here.n_lost == there.n_lost == 0


class Losing(ThreadPoolExecutor):
    """Loses its second task."""

    def submit(self, function, /, *args, **keywords):
        if args[1] == 1:
            future = Future()
            future.set_exception(OSError("the machine is gone"))
            return future
        return super().submit(function, *args, **keywords)


def test_samples_that_are_lost_are_counted_and_left_out():
    cost = jp.UnbinnedNLL(density, {"x": X})
    result = jp.fit(cost, {"tau": 1.0})
    whole = jp.bootstrap(7, cost, result, 40)
    with Losing(1) as threads:
        with pytest.warns(jp.JaxpwaWarning, match=r"16 of 40 samples are lost: OSError: the machine is gone\."):
            rest = jp.bootstrap(7, cost, result, 40, executor=threads)
    assert (len(rest), rest.n_lost, rest.n_failed) == (24, 16, 0)
    np.testing.assert_array_equal(rest.samples["tau"], np.delete(whole.samples["tau"], slice(16, 32)))
    assert "24 samples, 16 lost" in str(rest)


EDGES = [1.0, 1.3, 1.6, 2.0, 2.5]
START = {"n": jp.Parameter(900.0, lower=10), "a": jp.Parameter(0.1, lower=-1, upper=1)}


def slope(p, d):
    return p["n"] * (1 + p["a"] * d["z"])


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(1)
    flat = {"mass": rng.uniform(1.0, 2.0, 6000), "z": rng.uniform(-1, 1, 6000)}
    seen = flat["z"] > rng.uniform(-3, 1, 6000)
    return {"data": {name: values[seen] for name, values in flat.items()}, "accepted_mc": flat}


def test_bins_fitted_apart_are_those_of_one_process_and_are_kept(pool, tables, tmp_path):
    asked = {"start": START, "carry": False, "starts": 2, "seed": 1}
    here = jp.fit_bins(slope, tables, EDGES, **asked)
    there = jp.fit_bins(slope, tables, EDGES, **asked, executor=pool, folder=tmp_path)
    assert list(here) == list(there) == [0, 1, 2]
    columns = [c for c in here.to_pandas() if c != "edm"]
    for name in columns:
        ours, theirs = (fits.to_pandas()[name] for fits in (here, there))
        if ours.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        else:
            assert ours.tolist() == theirs.tolist()
    assert there.bins[3].reason == "there are no data"
    again = jp.fit_bins(slope, tables, EDGES, **asked, executor=Held(), folder=tmp_path)
    assert [again[i].values for i in again] == [there[i].values for i in there]
    assert list(jp.load_bins(tmp_path)) == [0, 1, 2]


def test_a_bin_whose_task_fails_has_the_reason_and_the_others_stay(tables, tmp_path):
    asked = {"start": START, "carry": False}
    with Losing(1) as threads:
        with pytest.warns(
            jp.ConvergenceWarning, match=r"no valid fit in 1 of 4 bins \(1\); the first: its task failed: OSE"
        ):
            found = jp.fit_bins(slope, tables, EDGES, **asked, executor=threads, folder=tmp_path)
    assert list(found) == list(jp.load_bins(tmp_path)) == [0, 2]
    assert found.bins[1].reason == "its task failed: OSError: the machine is gone"
    assert list(jp.fit_bins(slope, tables, EDGES, **asked, folder=tmp_path)) == [0, 1, 2]


def test_bins_that_start_at_their_neighbours_are_not_fitted_apart(pool, tables):
    with pytest.raises(ValueError, match="an executor needs carry=False: bins that start where a neighbour ended"):
        jp.fit_bins(slope, tables, EDGES, start=START, executor=pool)


def test_a_checkpoint_of_one_fit_is_refused_for_many(tables):
    with pytest.raises(TypeError, match="fit_many has no checkpoint, which is a file of one fit"):
        jp.fit_many(jp.UnbinnedNLL(density, {"x": X}), {"tau": 1.0}, checkpoint="here")
    with pytest.raises(TypeError, match="fit_bins has no checkpoint, which is a file of one fit: folder keeps"):
        jp.fit_bins(slope, tables, EDGES, start=START, checkpoint="here")


@pytest.mark.parametrize("executor", [None, Held()])
def test_a_keyword_that_fit_does_not_have_is_refused_at_once(tables, executor):
    with pytest.raises(TypeError, match="fit_many has no keyword 'minso', and neither has fit, which takes strategy, "):
        jp.fit_many(jp.UnbinnedNLL(density, {"x": X}), {"tau": 1.0}, executor=executor, minso=True)
    with pytest.raises(TypeError, match="fit_bins has no keyword 'minso', and neither has fit"):
        jp.fit_bins(slope, tables, EDGES, start=START, carry=False, executor=executor, minso=True)


def toy(seed):
    """Simulate, fit, and return what is wanted of the result."""
    truth = {"tau": 2.0}
    x = np.random.default_rng(seed).uniform(0, 20, 20_000)
    mask, _ = jp.rejection_sample(seed, density, truth, {"x": x})
    cost = jp.UnbinnedNLL(density, {"x": x[mask]}, normalization_mc={"x": x})
    result = jp.fit(cost, truth)
    return (result.values["tau"] - truth["tau"]) / result.errors["tau"]


@pytest.mark.slow
def test_toys_are_a_function_of_a_seed(pool):
    here, there = (farm(toy, range(4), executor) for executor in (None, pool))
    np.testing.assert_allclose([*here.values()], [*there.values()], rtol=1e-6)
    assert np.abs([*there.values()]).max() < 4
    assert np.ptp([*there.values()]) > 0.1
