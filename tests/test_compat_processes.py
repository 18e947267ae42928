"""Worker processes: JAX beside them, exceptions, sudden ends, and what is left behind."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import amplitudes as amp
import numpy as np
import pandas as pd
import pytest
from models import ROOT

import jaxpwa as jp
import jaxpwa_compat as pwa

X = {"x": np.arange(1003) / 1003}
P = {"a": 1.0}


def jax_likelihood():
    import jax.numpy as jnp

    return jp.UnbinnedNLL(lambda p, d: jnp.exp(-p["a"] * d["x"]), X)


def three_calls(amplitude=None, likelihood=None):
    likelihood = likelihood or pwa.LogLikelihood(amplitude, X, num_of_processes=2)
    for _ in range(3):
        likelihood(P)


def children():
    return multiprocessing.active_children()


@pytest.mark.parametrize("jax_first", [True, False])
def test_o15_workers_and_jax_live_together(jax_first):
    for _ in range(5):
        if jax_first:
            assert jax_likelihood()(P) == pytest.approx(501.0, rel=1e-12)
        with pwa.LogLikelihood(amp.Decay(), X, num_of_processes=2) as likelihood:
            assert len(children()) == 2
            for _ in range(20):
                assert likelihood(P) == pytest.approx(501.0, rel=1e-12)
        if not jax_first:
            assert jax_likelihood()(P) == pytest.approx(501.0, rel=1e-12)
        assert children() == []


def test_closing_twice_is_fine_and_a_closed_likelihood_says_so():
    likelihood = pwa.LogLikelihood(amp.Decay(), X, num_of_processes=2)
    likelihood.close()
    likelihood.close()
    with pytest.raises(RuntimeError, match="this likelihood is closed: its worker processes have ended. Build it anew"):
        likelihood(P)
    for kind in (amp.DecayInline, amp.GaussThreads):
        data = X if kind is amp.DecayInline else {"x": X["x"], "y": X["x"]}
        inline = pwa.LogLikelihood(kind(), data)
        inline.close()
        inline.close()


def test_a_likelihood_that_is_forgotten_leaves_no_process():
    likelihood = pwa.LogLikelihood(amp.Decay(), X, num_of_processes=2)
    assert len(children()) == 2
    del likelihood
    assert children() == []


@pytest.mark.parametrize("how", ["setup", "third call"])
def test_o16_an_exception_arrives_with_its_type_and_text(how):
    began = time.monotonic()
    with pytest.raises(ValueError, match="boom") as caught:
        three_calls(amp.Fails(how))
    assert type(caught.value) is ValueError
    assert "raised in worker" in caught.value.__notes__[-1]
    assert "in calculate" in caught.value.__notes__[-1] or how == "setup"
    assert time.monotonic() - began < 10
    assert children() == []
    with pwa.LogLikelihood(amp.Decay(), X, num_of_processes=2) as following:
        assert following(P) == pytest.approx(501.0)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", r"worker 1 of 2 \(events 502 to 1002\) ended while calculating, exit status 3. Set DEBUG = True"),
        ("unloadable", r"worker 1 of 2 raised what can't be pickled:\n(?s:.*)Unloadable: 1"),
    ],
)
def test_o16_a_sudden_end_and_an_unpicklable_exception_name_the_worker(how, message):
    likelihood = pwa.LogLikelihood(amp.Fails(how), X, num_of_processes=2)
    began = time.monotonic()
    with pytest.raises(pwa.WorkerError, match=message):
        three_calls(likelihood=likelihood)
    assert time.monotonic() - began < 10
    assert children() == []
    likelihood.close()
    likelihood.close()


def test_a_worker_that_is_killed_is_noticed():
    likelihood = pwa.LogLikelihood(amp.Slow(), X, num_of_processes=2)
    victim = sorted(children(), key=lambda p: p.name)[0]
    threading.Timer(0.3, victim.kill).start()
    began = time.monotonic()
    with pytest.raises(pwa.WorkerError, match=r"worker 0 of 2 .*exit status -9"):
        likelihood(P)
    assert time.monotonic() - began < 15
    assert children() == []


def test_what_can_not_be_sent_is_refused_with_the_attribute():
    with pytest.raises(
        TypeError, match=r"HoldsALock can't be sent to worker processes: .*\(attribute 'lock'\).*USE_MP"
    ):
        pwa.LogLikelihood(amp.HoldsALock(), X, num_of_processes=2)
    assert children() == []


def test_a_class_of_the_main_script_needs_no_guard(tmp_path):
    (tmp_path / "analysis.py").write_text(
        "import numpy as np, jaxpwa_compat as pwa, json\n"
        "from scipy.special import sph_harm_y, erf\n"
        "print('main', flush=True)\n"
        "FACTOR = 2.0\n"
        "def helper(x): return np.exp(-FACTOR * x) * erf(9.0) * 4 * np.pi * abs(sph_harm_y(0, 0, x, x))**2\n"
        "class A(pwa.NestedFunction):\n"
        "    def __init__(self): super().__init__(); self.__k = 1.0\n"
        "    def setup(self, data): self.__x = data['x']\n"
        "    def calculate(self, p): return helper(self.__k * p['a'] * self.__x)\n"
        "with pwa.LogLikelihood(A(), {'x': np.arange(1003) / 1003}, num_of_processes=2) as f:\n"
        "    print(json.dumps(f({'a': 1.0})))\n"
    )
    command = [sys.executable, "-W", "error", "analysis.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    main, value = done.stdout.split()
    assert main == "main"
    assert json.loads(value) == pytest.approx(1002.0)


def test_workers_end_with_their_parent():
    code = (
        "import numpy as np, os, jaxpwa_compat as pwa, amplitudes as amp, multiprocessing as mp\n"
        "f = pwa.LogLikelihood(amp.Decay(), {'x': np.ones(10)}, num_of_processes=2)\n"
        "print([p.pid for p in mp.active_children()], flush=True)\n"
        "os._exit(0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    pids = json.loads(done.stdout)
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@pytest.mark.parametrize("kind", ["array", "frame", "pool"])
def test_workers_load_neither_jax_nor_jaxpwa(kind):
    """Each would take a second or two per worker and likelihood."""

    class Loaded(pwa.NestedFunction):
        def setup(self, data):
            if hasattr(data, "event_count"):
                data = {"x": data.get_particles_by_id(14)[0].get_mass()}
            self.n = len(pwa.to_contiguous(data, "x"))

        def calculate(self, p):
            import sys

            return np.full(self.n, float(sum(m in sys.modules for m in ("jax", "jaxpwa"))))

    x = np.ones(4)
    frame = pd.DataFrame({"x": x})
    data = {
        "array": pwa.pandas_to_numpy(frame),
        "frame": frame,
        "pool": pwa.ParticlePool([pwa.Particle(14, 1, 2 * x, x, x, x)]),
    }
    with pwa.EmptyLikelihood(Loaded(), data[kind], num_of_processes=2) as likelihood:
        assert likelihood() == 0


def test_threads_of_numexpr_are_shared_between_workers():
    pytest.importorskip("numexpr")
    values, _ = pwa.simulate.process_user_function(amp.Threads(), X, None, 2)
    assert values.max() <= max(1, multiprocessing.cpu_count() // 2)


def test_threads_pass_exceptions_on():
    class Failing(amp.GaussThreads):
        def calculate(self, p):
            msg = f"boom in part {self.THREAD}"
            raise KeyError(msg)

    with (
        pwa.LogLikelihood(Failing(), {"x": X["x"], "y": X["x"]}, num_of_processes=2) as likelihood,
        pytest.raises(KeyError, match="boom in part 0"),
    ):
        likelihood(P)


def test_old_habits_in_an_amplitude_are_told_what_to_write():
    with pytest.raises(AttributeError) as caught:
        pwa.LogLikelihood(amp.OldComplex(), X)
    assert "numpy.complex is gone from numpy: write complex or numpy.complex128." in caught.value.__notes__
    import scipy.special

    if not hasattr(scipy.special, "sph_harm"):
        with pytest.raises(AttributeError) as caught:
            pwa.LogLikelihood(amp.OldSpherical(), X)
        assert "write sph_harm_y(l, m, polar, azimuth)" in caught.value.__notes__[0]


@pytest.mark.slow
def test_ten_likelihoods_in_a_row_start_and_end_within_seconds():
    began = time.monotonic()
    for _ in range(10):
        with pwa.LogLikelihood(amp.Decay(), X, num_of_processes=2) as likelihood:
            likelihood(P)
    assert time.monotonic() - began < 30
    assert children() == []
