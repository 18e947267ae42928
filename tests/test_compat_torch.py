"""Torch amplitudes: tensors of every sort, gradients, and torch that is not there."""

import os
import subprocess
import sys

import amplitudes as amp
import numpy as np
import pytest
from models import ROOT, central_gradient, gauss_nll, gauss_sample

import jaxpwa as jp
import jaxpwa_compat as pwa

torch = pytest.importorskip("torch")

DATA = gauss_sample(4001)
MC = dict(zip("xy", np.random.default_rng(5).uniform(0, 20, (2, 3001)), strict=True))
P = {"A1": 9.0, "A2": 3.5, "A3": 10.5, "A4": 2.5}
T = torch.arange(12, dtype=torch.float64).reshape(4, 3)
T[:, 1] = torch.tensor([1.0, 2, 3, 4])


class Returning(pwa.NestedFunction):
    USE_MP = False
    USE_TORCH = True

    def __init__(self, make):
        self.make = make

    def setup(self, data):
        self.t = data

    def calculate(self, p):
        return self.make(self.t)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: 2 * t[:, 1],
        lambda t: (2 * t)[:, 1],
        lambda t: (2 * t).requires_grad_()[:, 1],
        lambda t: torch.complex(2 * t, t)[:, 1].conj().real,
        lambda t: torch.complex(t, -2 * t)[:, 1].conj().imag,
        lambda t: (2 * t[:, 1]).flip(0).flip(0),
    ],
)
def test_o21_strided_tracked_and_lazily_negated_tensors_give_the_same_value(make):
    before = T.clone()
    assert pwa.LogLikelihood(Returning(make), T)({}) == pytest.approx(-5.950642552587727, rel=1e-14)
    assert torch.equal(T, before)


def test_o21_single_precision_is_added_in_double():
    value = pwa.LogLikelihood(Returning(lambda t: (2 * t[:, 1]).float()), T)({})
    assert value == pytest.approx(-5.950642552587727, abs=1e-6)
    many = pwa.LogLikelihood(Returning(lambda t: torch.full((2_000_000,), 0.999)), torch.zeros(2_000_000))({})
    assert many == pytest.approx(-2_000_000 * np.log(np.float64(np.float32(0.999))), rel=1e-9)


def test_o21_a_bool_mask_counts_as_0_and_1():
    likelihood = pwa.EmptyLikelihood(Returning(lambda t: t[:, 1] > 2), T)
    assert likelihood({}) == 2


def test_tensors_reach_jax_in_the_same_memory():
    from jaxpwa_compat.tensors import to_jax_array

    tensor = torch.rand(100_000, dtype=torch.float64)
    assert to_jax_array(tensor).unsafe_buffer_pointer() == tensor.data_ptr()


def test_the_intensities_of_an_amplitude_are_not_copied_on_their_way():
    likelihood = pwa.LogLikelihood(Returning(lambda t: t), torch.rand(100_000, dtype=torch.float64) + 0.1)
    source = likelihood._terms[0].source
    (array,) = source.collect(source.launch({}, False))
    assert array.unsafe_buffer_pointer() == source.parts[0].amplitude.t.data_ptr()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda t: t[:, 1].numpy(),
            TypeError,
            "has USE_TORCH = True, so calculate must return a torch tensor, got nda",
        ),
        (lambda t: torch.complex(t, t)[:, 1], TypeError, r"must return real intensities, got torch.complex128"),
        (lambda t: t, ValueError, r"one value per event, shape \(4,\), got shape \(4, 3\)"),
        (lambda t: t.sum(), ValueError, r"got shape \(\)\. Is there a sum over events in it"),
    ],
)
def test_what_a_torch_amplitude_returns_is_checked(make, error, message):
    with pytest.raises(error, match=message):
        pwa.LogLikelihood(Returning(make), T)({})


def test_a_device_that_is_not_there_is_torchs_own_clear_error():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises((RuntimeError, AssertionError), match="(?i)cuda"):
        pwa.LogLikelihood(Returning(lambda t: t[:, 1].to("cuda:0")), T)({})


def test_tensors_that_jax_can_not_share_go_through_the_host_with_one_notice(monkeypatch):
    from jaxpwa_compat import tensors

    class OnAnotherDevice:
        """Stands for a tensor in memory that JAX has no backend for, such as Apple's MPS."""

        device = type("Device", (), {"type": "mps", "__str__": lambda self: "mps:0"})()

        def contiguous(self):
            return self

        def cpu(self):
            return T[:, 1]

    with pytest.warns(jp.PerformanceWarning, match="intensities on torch's device 'mps:0' go to JAX through the host"):
        assert tensors.to_jax_array(OnAnotherDevice()).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", [amp.GaussTorch, amp.GaussTorchProcesses])
@pytest.mark.parametrize("extended", [False, True])
def test_the_gradient_is_that_of_the_value(kind, extended):
    rng = np.random.default_rng(2)
    q = rng.normal(1, 0.5, 4001)
    with pwa.LogLikelihood(kind(), DATA, MC if extended else None, quality_factor=q, num_of_processes=2) as likelihood:
        value, gradient = likelihood.value_and_grad(P)
        assert value == pytest.approx(likelihood(P), rel=1e-14)
        assert gradient == pytest.approx(central_gradient(likelihood, P), rel=1e-6, abs=1e-4)
    if not extended:
        analytic = central_gradient(lambda p: gauss_nll(p, DATA["x"], DATA["y"], q), P)
        assert gradient == pytest.approx(analytic, rel=1e-6, abs=1e-4)


def test_the_gradient_of_chi_squared_and_of_sums_is_that_of_the_value():
    chi2 = pwa.ChiSquared(amp.GaussTorch(), DATA, event_errors=np.full(4001, 0.1), expected_values=np.full(4001, 0.05))
    assert chi2.value_and_grad(P)[1] == pytest.approx(central_gradient(chi2, P), rel=1e-6, abs=1e-6)
    total = pwa.EmptyLikelihood(amp.GaussTorch(), DATA)
    assert total.value_and_grad(P)[1] == pytest.approx(central_gradient(total, P), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", [amp.GaussTorch, amp.GaussTorchProcesses])
def test_o22_minuit_uses_the_gradient_and_needs_fewer_values(kind):
    start = {"A1": 9.0, "A2": 3.5, "A3": 10.5, "A4": 2.5}
    with pwa.LogLikelihood(kind(), DATA, num_of_processes=2) as likelihood:
        exact = pwa.minuit(start, likelihood)
        exact.strategy = 0
        exact.migrad()
        for style in (start, np.array(list(start.values()))):
            assert pwa.minuit(style, likelihood).migrad().ngrad > 0
    with pwa.LogLikelihood(amp.GaussInline(), DATA) as likelihood:
        numeric = pwa.minuit(start, likelihood)
        numeric.strategy = 0
        numeric.migrad()
    assert exact.valid
    assert numeric.valid
    assert exact.ngrad > 0
    assert numeric.ngrad == 0
    assert exact.nfcn < numeric.nfcn
    np.testing.assert_allclose(exact.values, numeric.values, atol=2e-3)


def test_a_fixed_parameter_stays_bit_equal_under_a_gradient():
    likelihood = pwa.LogLikelihood(amp.GaussTorch(), DATA)
    minuit = pwa.minuit({**P, "A1": 9.7}, likelihood)
    minuit.fixed["A1"] = True
    minuit.migrad()
    assert minuit.values["A1"] == 9.7


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (amp.GaussTorchDetached, "may take parameters out as plain numbers"),
        (amp.GaussTorchThroughNumpy, r"Can't call numpy\(\) on Tensor that requires grad"),
    ],
)
def test_a_gradient_that_misses_a_parameter_is_found_and_left_out(kind, reason):
    likelihood = pwa.LogLikelihood(kind(), DATA)
    assert likelihood(P) == pytest.approx(gauss_nll(P, DATA["x"], DATA["y"]), rel=1e-12)
    with pytest.warns(
        jp.JaxpwaWarning, match=f"is not that of the value (?s:.*){reason}(?s:.*)MINUIT takes differences"
    ):
        minuit = pwa.minuit(P, likelihood)
    minuit.migrad()
    assert minuit.ngrad == 0
    assert minuit.valid
    native = pwa.minuit(P, pwa.LogLikelihood(amp.GaussTorch(), DATA)).migrad()
    np.testing.assert_allclose(minuit.values, native.values, atol=2e-3)


def test_torch_goes_through_jp_fit_with_its_gradient():
    likelihood = pwa.LogLikelihood(amp.GaussTorch(), DATA)
    result = jp.fit(likelihood + jp.GaussianConstraint("A1", 10, 5), P)
    assert result.valid
    assert result.calls["gradient"] > 0
    numeric = jp.fit(pwa.LogLikelihood(amp.GaussInline(), DATA) + jp.GaussianConstraint("A1", 10, 5), P)
    for name in P:
        assert result.values[name] == pytest.approx(numeric.values[name], abs=1e-3 * numeric.errors[name])
        assert result.errors[name] == pytest.approx(numeric.errors[name], rel=1e-3)


@pytest.mark.gpu
def test_cuda_tensors_stay_on_their_device():
    import jax

    if not torch.cuda.is_available() or jax.default_backend() != "gpu":
        pytest.skip("needs a CUDA device for torch and JAX")
    values = torch.rand(1_000_000, dtype=torch.float64, device="cuda") + 0.1
    likelihood = pwa.LogLikelihood(Returning(lambda t: t), values)
    source = likelihood._terms[0].source
    (array,) = source.collect(source.launch({}, False))
    assert array.unsafe_buffer_pointer() == values.data_ptr()
    assert likelihood({}) == pytest.approx(-float(values.log().sum()), rel=1e-12)


def without(module, code):
    """Run code in a process in which a module can't be imported."""
    block = f"import sys; sys.modules[{module!r}] = None\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", block + code],
        capture_output=True, text=True, env=environment, timeout=100, check=False,
    )  # fmt: skip


def test_without_torch_numpy_amplitudes_work_and_torch_ones_say_what_to_install():
    done = without(
        "torch",
        "import numpy as np, jaxpwa_compat as pwa, amplitudes as amp\n"
        "assert not hasattr(np, 'Tensor')\n"
        "d = {'x': np.arange(1003) / 1003}\n"
        "with pwa.LogLikelihood(amp.Decay(), d, num_of_processes=2) as f: print(f({'a': 1.0}))\n"
        "class T(pwa.NestedFunction):\n"
        "    USE_TORCH = True\n"
        "    USE_MP = False\n"
        "    def setup(self, data): pass\n"
        "    def calculate(self, p): return 1\n"
        "pwa.LogLikelihood(T(), d)({'a': 1.0})\n",
    )
    assert float(done.stdout) == pytest.approx(501.0)
    assert "needs the package 'torch': pip install 'jaxpwa[torch]'" in done.stderr


def test_without_numexpr_other_kinds_work_and_the_star_import_too():
    done = without(
        "numexpr",
        "from jaxpwa_compat import *\n"
        "import numpy as np, amplitudes as amp\n"
        "d = {'x': np.arange(1003) / 1003}\n"
        "with LogLikelihood(amp.Decay(), d, num_of_processes=2) as f: print(f({'a': 1.0}))\n"
        "d = {'x': np.ones(3), 'y': np.ones(3)}\n"
        "LogLikelihood(amp.GaussNumexpr(), d, num_of_processes=0)(dict.fromkeys(amp.NAMES, 1.0))\n",
    )
    assert float(done.stdout) == pytest.approx(501.0)
    assert "numexpr" in done.stderr
