"""Checkpoints: fits that are killed and started again end where those end that were let run."""

import os
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import amplitudes as amp
import numpy as np
import processes
import pytest
from models import ROOT, gauss, gauss_sample

import jax.numpy as jnp

import jaxpwa as jp
import jaxpwa_compat as pwa
from jaxpwa._files import replacing
from jaxpwa.data.packing import pack, unpack
from jaxpwa.inference import checkpoint as checkpoints
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.starts import bind_to_start

P = jp.Parameter
MAGIC = b"jaxpwa checkpoint 1\n"
GAUSS_START = {"A1": P(6.0, lower=0.1), "A2": P(2.0, lower=1), "A3": P(7.0, lower=0.1), "A4": P(4.0, lower=1)}
LINE = np.random.default_rng(8).uniform(0, 2, 40)


class Power(jp.IntensitySource):
    """(1 + a) x^a between 0 and 1, times a Gauss of b - a: two parameters that mix."""

    has_gradient = True

    def __init__(self, n=4000):
        self.x = np.random.default_rng(5).uniform(0, 1, n) ** (1 / 2.5)
        self.sizes = (n,)

    def launch(self, params, keep):
        return params["a"], params["b"]

    def collect(self, ab):
        self.a, self.b = ab
        self.value = (1 + self.a) * self.x**self.a * np.exp(-0.5 * (self.b - self.a) ** 2)
        return [self.value.copy()]

    def pullback(self, slopes):
        weighted = slopes[0] * self.value
        da = weighted @ (1 / (1 + self.a) + np.log(self.x) + (self.b - self.a))
        return np.array([float(da), float(weighted.sum() * (self.a - self.b))])


def gauss_fit():
    return jp.UnbinnedNLL(gauss, gauss_sample(900)), GAUSS_START, {}


def minos_fit():
    return jp.UnbinnedNLL(gauss, gauss_sample(500)), GAUSS_START, {"minos": True, "fixed": "A4"}


def tied_fit():
    w = np.random.default_rng(9).normal(1.0, 0.3, 900)
    nll = jp.UnbinnedNLL(gauss, jp.Dataset(gauss_sample(900), w)) + jp.GaussianConstraint("A2", 3.2, 0.05)
    start = {n: p for n, p in GAUSS_START.items() if n != "A3"}
    return nll.tied(A3=lambda p: p["A1"] + 0.1), start, {"minos": "A2"}


def gradient_fit():
    return jp.Cost([jp.SuppliedTerm.make(Power(), "log", scale=-1.0)], 0.5, 4000, "power"), {"a": 0.1, "b": 5.0}, {}


def pypwa_fit():
    return pwa.LogLikelihood(amp.GaussInline(), gauss_sample(600)), GAUSS_START, {}


# Costs, starts and keywords; after which part of all calls the fit is killed, and in which stage that is.
CASES = {
    "exact": (gauss_fit, 0.95, "migrad"),
    "minos": (minos_fit, 0.7, "errors"),
    "tied": (tied_fit, 0.3, "descent"),
    "gradient": (gradient_fit, 0.5, "migrad"),
    "pypwa": (pypwa_fit, 0.5, "migrad"),
}


class Counted:
    """Counts how often costs are computed, and does something at one of the calls."""

    def __init__(self, monkeypatch, at=0, what=lambda: None):
        self.n = 0
        compute = Cost._compute

        def counting(cost, theta, order):
            self.n += 1
            if self.n == at:
                what()
            return compute(cost, theta, order)

        monkeypatch.setattr(Cost, "_compute", counting)


def run_until_killed(case, path, at):
    """Fit in this process, which kills itself at one of the calls."""
    checkpoints._EVERY = 0.0
    cost, start, keywords = CASES[case][0]()
    Counted(pytest.MonkeyPatch(), int(at), lambda: os.kill(os.getpid(), signal.SIGKILL))
    jp.fit(cost, start, checkpoint=path, **keywords)


def killed(case, path, at):
    """Run a fit in a process of its own that is killed; return its exit status and what it said."""
    folders = [str(ROOT / "tests"), str(ROOT), str(ROOT / "compat"), os.environ.get("PYTHONPATH", "")]
    code = "import sys, test_checkpoint as t; t.run_until_killed(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, case, str(path), str(at)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def whole_and_killed(tmp_path_factory):
    """Fits that were let run, how often they computed, and the files that killed ones left."""
    out, folder = {}, tmp_path_factory.mktemp("killed")
    with ThreadPoolExecutor(2) as pool:
        for case, (make, part, _) in CASES.items():
            cost, start, keywords = make()
            with pytest.MonkeyPatch.context() as patch:
                count = Counted(patch)
                whole = jp.fit(cost, start, **keywords)
            path = folder / case
            out[case] = whole, count.n, path, pool.submit(killed, case, path, int(part * count.n))
    return out


@pytest.mark.parametrize("case", CASES)
def test_a_killed_fit_goes_on_and_ends_where_a_whole_one_does(case, whole_and_killed, monkeypatch):
    whole, n_whole, path, ended = whole_and_killed[case]
    status, said = ended.result()
    assert status == -signal.SIGKILL, said
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(f".{case}")] == []
    left = read(path)
    assert left["stage"] == CASES[case][2]
    cost, start, keywords = CASES[case][0]()
    count = Counted(monkeypatch)
    result = jp.fit(cost, start, checkpoint=path, **keywords)
    assert not path.exists()
    assert result.valid
    assert result.message.startswith("minimum found, going on from a checkpoint")
    # MINOS begins anew, and how often it asks depends on the version of iminuit.
    assert "minos" in keywords or count.n < n_whole
    # As near as the estimated distance says that either is to the minimum.
    near = 1e-6 + 2 * np.sqrt(2 * max(whole.edm, result.edm))
    assert near < 1e-4
    for name, error in whole.errors.items():
        assert abs(result.values[name] - whole.values[name]) <= near * error
    np.testing.assert_allclose(result.covariance, whole.covariance, rtol=1e-5, atol=1e-6 * whole.covariance.max())
    assert result.fval == pytest.approx(whole.fval, rel=1e-12)
    assert set(result.minos) == set(whole.minos)
    for name, pair in whole.minos.items():
        assert result.minos[name] == pytest.approx(pair, rel=1e-5)
    assert (result.at_limit, result.tied, result.fixed) == (whole.at_limit, whole.tied, whole.fixed)
    assert result.settings["start"] == whole.settings["start"]
    resumed = result.settings["resumed"]
    assert resumed["values"] == left["values"]
    assert resumed["start"] == whole.settings["start"]
    assert (resumed["runs"], resumed["stage"], resumed["calls"]) == (1, left["stage"], left["calls"])
    assert all(n >= left["calls"][kind] for kind, n in result.calls.items())
    assert result.seconds > left["seconds"] > 0


def read(path):
    content = path.read_bytes()
    assert content.startswith(MAGIC)
    return unpack(content.removeprefix(MAGIC))


def line(y=LINE):
    """A cost of two parameters that is made and computed fast."""
    x = np.linspace(0, 1, len(y))
    return jp.ChiSquared(lambda p, d: p["a"] * jnp.exp(p["b"] * d["x"]), {"x": x}, y, np.full(len(y), 0.5))


BASE = {"a": 0.3, "b": -1.0}


class Stop(BaseException):
    """Ends a fit as Ctrl-C does."""


def interrupted(path, monkeypatch, cost=None, start=None, at=5, **keywords):
    """Leave the checkpoint of a fit that did not end."""

    def stop():
        raise Stop

    with monkeypatch.context() as patch:
        Counted(patch, at, stop)
        with pytest.raises(Stop):
            jp.fit(cost or line(), start or BASE, checkpoint=path, **keywords)
    return read(path)


def test_an_interrupted_fit_leaves_its_best_point_at_once(tmp_path, monkeypatch):
    left = interrupted(tmp_path / "c", monkeypatch)
    assert set(left) == {
        "cost", "entries", "errordef", "values", "value", "start", "stage", "calls", "seconds", "runs"
    }  # fmt: skip
    assert (left["cost"], left["entries"], left["errordef"]) == (line()._label, 40, 1.0)
    assert left["start"] == BASE
    assert (left["stage"], left["runs"], left["calls"]["gradient"]) == ("descent", 1, 4)
    cost = line()
    assert cost(left["values"]) == pytest.approx(left["value"], rel=1e-13)
    assert left["value"] < cost(left["start"])


def test_a_valid_end_removes_the_file_and_the_next_fit_starts_from_its_start(tmp_path):
    path = tmp_path / "c"
    plain = jp.fit(line(), BASE)
    for _ in range(2):
        result = jp.fit(line(), BASE, checkpoint=str(path))
        assert list(tmp_path.iterdir()) == []
        assert (result.values, result.calls, result.message) == (plain.values, plain.calls, plain.message)
        assert result.settings == plain.settings


def test_an_end_that_is_not_valid_keeps_the_file_and_the_next_run_goes_on(tmp_path):
    path, cost, start = tmp_path / "c", jp.UnbinnedNLL(gauss, gauss_sample(500)), {"A1": 7, "A2": 3, "A3": 8, "A4": 2}
    with pytest.warns(jp.ConvergenceWarning, match=f"The checkpoint {path} is kept: the same fit goes on from there"):
        first = jp.fit(cost, start, max_calls=1, checkpoint=path)
    assert read(path)["value"] <= first.fval
    with pytest.raises(jp.FitError, match="Remove it to start afresh"):
        jp.fit(cost, start, max_calls=1, throw=True, checkpoint=path)
    assert read(path)["runs"] == 2
    result = jp.fit(cost, start, checkpoint=path)
    assert result.valid
    assert not path.exists()
    assert result.settings["resumed"]["runs"] == 2
    assert result.values == pytest.approx(jp.fit(cost, start).values, rel=1e-6)
    assert result.calls["gradient"] > result.settings["resumed"]["calls"]["gradient"] > first.calls["gradient"]


def test_every_run_is_counted_and_the_first_start_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "c"
    first = interrupted(path, monkeypatch, at=4)
    second = interrupted(path, monkeypatch, at=3, start={"b": 0.0, "a": 2.0})
    assert second["runs"] == 2
    assert second["start"] == BASE
    assert second["calls"]["gradient"] == first["calls"]["gradient"] + 2
    assert second["seconds"] > first["seconds"]
    assert second["value"] <= first["value"]
    result = jp.fit(line(), {"b": 0.5, "a": 3.0}, checkpoint=path)
    assert result.names == ("b", "a")
    assert result.settings["start"] == {"b": 0.5, "a": 3.0}
    assert result.settings["resumed"]["start"] == BASE
    result.save(tmp_path / "result.json")
    assert jp.load_result(tmp_path / "result.json").settings == result.settings


def test_short_fits_write_at_the_ends_of_stages_and_long_ones_when_it_is_time(tmp_path, monkeypatch):
    stages, write = [], checkpoints.write_packed

    def noted(path, magic, thing):
        stages.append(thing["stage"])
        write(path, magic, thing)

    monkeypatch.setattr(checkpoints, "write_packed", noted)
    jp.fit(line(), BASE, checkpoint=tmp_path / "c")
    assert stages == ["descent", "migrad"]
    stages.clear()
    monkeypatch.setattr(checkpoints, "_EVERY", 0.0)
    jp.fit(line(), BASE, checkpoint=tmp_path / "c", minos=True)
    assert min(stages.count(stage) for stage in ("descent", "migrad", "errors")) > 1
    stages.clear()
    jp.fit(line(), BASE)
    assert stages == []


def test_the_minuit_object_of_an_ended_fit_writes_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_EVERY", 0.0)
    result = jp.fit(line(), BASE, checkpoint=tmp_path / "c")
    result.minuit.minos()
    assert list(tmp_path.iterdir()) == []


def test_a_cost_of_minus_infinity_on_the_way_is_no_best_point(tmp_path):
    cost, table = bind_to_start(line(), BASE, ())
    with checkpoints.Checkpoint(tmp_path / "c", cost, table, 0.0) as saved:
        saved.follow(Objective(cost))
        for value in (3.0, -np.inf, 2.0, np.nan, 2.5):
            saved.seen(np.array([value, 0.0]), value)
        saved.begin("migrad")
    left = read(tmp_path / "c")
    assert (left["value"], left["values"]) == (2.0, {"a": 2.0, "b": 0.0})


def test_a_link_stays_and_the_file_that_it_leads_to_is_written_and_removed(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "c", tmp_path / "disk" / "c"
    link.symlink_to(target)
    interrupted(link, monkeypatch)
    assert link.is_symlink()
    assert target.is_file()
    result = jp.fit(line(), BASE, checkpoint=link)
    assert "going on" in result.message
    assert link.is_symlink()
    assert not target.exists()
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_only_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, kind, told in [("pipe", OSError, "is a device or a pipe"), ("folder", IsADirectoryError, "is a folder")]:
        with pytest.raises(kind, match=f"{told}: give the name of a file"), replacing(tmp_path / name) as temporary:
            temporary.write_text("new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_disk_that_is_full_ends_no_fit(tmp_path, monkeypatch):
    def full(path, magic, thing):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_packed", full)
    with pytest.warns(
        jp.JaxpwaWarning, match=r"checkpoint .*c \(No space left on device\) can't be written; the fit goes"
    ):
        assert jp.fit(line(), BASE, checkpoint=tmp_path / "c").valid


def test_a_file_that_can_not_be_removed_is_told_of(tmp_path, monkeypatch):
    def denied(path, missing_ok):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.warns(jp.JaxpwaWarning, match=r"c \(Permission denied\) can't be removed: do that before you start"):
        assert jp.fit(line(), BASE, checkpoint=tmp_path / "c").valid


def test_a_fit_with_nothing_free_takes_a_checkpoint(tmp_path):
    result = jp.fit(line(), BASE, fixed=["a", "b"], checkpoint=tmp_path / "c")
    assert result.valid
    assert list(tmp_path.iterdir()) == []


def test_parameters_at_a_limit_are_within_it_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_EVERY", 0.0)
    start = {"a": P(0.6, 0.1, 0.7), "b": P(0.0, -0.3, 0.3)}
    interrupted(tmp_path / "c", monkeypatch, start=start, at=9)
    result = jp.fit(line(), start, checkpoint=tmp_path / "c")
    assert result.valid
    assert result.at_limit == jp.fit(line(), start).at_limit != ()


@pytest.mark.parametrize(
    ("other", "start", "keywords", "message"),
    [
        (lambda: line(LINE[:-1]), BASE, {}, "of another fit: the number of entries is 40 there and 39 here"),
        (lambda: 2 * line(), BASE, {}, r"the cost is ChiSquared\(<lambda>\) there and 2 \* \(ChiSquared"),
        (lambda: line().tied(b=lambda p: -p["a"]), {"a": 0.3}, {}, "parameters are a, b there and a here"),
        (line, BASE, {"fixed": "b"}, "b, fixed here, is .* there and -1.0 here"),
        (
            lambda: line() + jp.GaussianConstraint("a", 1, 0.1),
            BASE,
            {},
            "the cost is .*; errordef is 1.0 there and 0.5",
        ),
        (
            lambda: line(LINE + 1e-4),
            BASE,
            {},
            "at its point the cost was .* so that data, weights or intensity are oth",
        ),
        (line, {"a": 0.3, "b": P(5, 4, 6)}, {}, r"has b=.*, outside the limits \[4, 6\] of this fit. Widen them, or"),
    ],
)
def test_checkpoints_of_other_fits_are_refused_and_left_alone(tmp_path, monkeypatch, other, start, keywords, message):
    path = tmp_path / "c"
    interrupted(path, monkeypatch)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"the checkpoint {path} .*{message}") as caught:
        jp.fit(other(), start, checkpoint=path, **keywords)
    assert "emove the file to start afresh" in str(caught.value)
    assert path.read_bytes() == before
    assert "going on" in jp.fit(line(), BASE, checkpoint=path).message


def test_the_cost_may_differ_by_rounding(tmp_path, monkeypatch):
    path = tmp_path / "c"
    left = interrupted(path, monkeypatch)
    path.write_bytes(MAGIC + pack({**left, "value": left["value"] * (1 + 1e-11)}))
    assert "checkpoint" in jp.fit(line(), BASE, checkpoint=path).message
    single = jp.UnbinnedNLL(gauss, jp.Dataset(gauss_sample(500), dtype="float32"))
    left = interrupted(path, monkeypatch, single, GAUSS_START)
    path.write_bytes(MAGIC + pack({**left, "value": left["value"] * (1 + 1e-8)}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jp.JaxpwaWarning)
        assert "checkpoint" in jp.fit(single, GAUSS_START, checkpoint=path).message


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "was not written as a checkpoint by this jaxpwa. Remove the file"),
        (lambda content: b"jaxpwa checkpoint 2\n", "was not written as a checkpoint by this jaxpwa"),
        (lambda content: content[:-9], "damaged content"),
        (lambda content: MAGIC + pack([1, 2]), "TypeError"),
        (lambda content: MAGIC + pack({"cost": "x"}), "KeyError: 'entries'"),
        (lambda content: MAGIC + pack({"cost": "x", "entries": np.inf}), "OverflowError"),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path, monkeypatch, damage, message):
    path = tmp_path / "c"
    interrupted(path, monkeypatch)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"the checkpoint can't be read: .*{path}.*{message}"):
        jp.fit(line(), BASE, checkpoint=path)
    assert path.read_bytes() == before


def test_what_can_be_no_file_is_refused_before_any_step(tmp_path):
    for bad, kind, message in [
        (3, TypeError, "checkpoint must be the name of a file, or None, got int"),
        (True, TypeError, "checkpoint must be the name of a file, or None, got bool"),
        ("", ValueError, "checkpoint must be the name of a file, got an empty one"),
        (tmp_path, ValueError, "is a folder. Give the name of a file"),
        (tmp_path / ("c" * 300), ValueError, "the checkpoint .* can't be written: File name too long. Give the name"),
        (tmp_path / "none" / "c", ValueError, "can't be written: there is no folder .*none. Give the name"),
    ]:
        with pytest.raises(kind, match=message):
            jp.fit(line(), BASE, checkpoint=bad)


DISTRIBUTED = """
import os, sys
import jax
jax.distributed.initialize(*(kind(os.environ[f"JAX_{name}"]) for kind, name in
    [(str, "COORDINATOR_ADDRESS"), (int, "NUM_PROCESSES"), (int, "PROCESS_ID")]))
import jaxpwa as jp
import test_checkpoint as t
from jaxpwa.inference import checkpoint as checkpoints
from processes import give

path = os.path.join(sys.argv[1], os.environ["JAX_PROCESS_ID"], "c")
writes, write = [], checkpoints.write_packed
checkpoints.write_packed = lambda *arguments: (writes.append(1), write(*arguments))
checkpoints._EVERY = 0.0
cost, start, _ = t.gauss_fit()
texts = []
for other in (2 * cost, jp.UnbinnedNLL(t.gauss, t.gauss_sample(900, seed=4))):
    try:
        jp.fit(other, start, checkpoint=path)
    except ValueError as error:
        texts.append(str(error))
result = jp.fit(cost, start, checkpoint=path)
give(texts=texts, message=result.message, values=list(result.values.values()), writes=len(writes),
     calls=list(result.settings["resumed"]["calls"].values()), left=os.listdir(os.path.dirname(path)))
"""


def test_processes_that_share_no_disk_go_on_from_the_file_of_the_first_one_or_refuse_it_together(tmp_path, monkeypatch):
    for number in "01":
        (tmp_path / number).mkdir()
    cost, start, _ = gauss_fit()
    left = interrupted(tmp_path / "0" / "c", monkeypatch, cost, start)
    first, second = (p.results for p in processes.run(2, DISTRIBUTED, tmp_path, timeout=120))
    for name in ("texts", "message", "values", "calls"):
        np.testing.assert_array_equal(second[name], first[name])
    assert "of another fit: the cost is" in first["texts"][0]
    assert "of another fit: at its point the cost was" in first["texts"][1]
    assert "going on from a checkpoint" in str(first["message"])
    assert first["calls"].tolist() == list(left["calls"].values())
    assert first["writes"] > 3
    assert second["writes"] == 0
    assert first["left"].size == second["left"].size == 0
