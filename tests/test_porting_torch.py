"""Ported torch amplitudes give what torch gives, also those written for a CUDA device that is not here."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from models import TRUE_GAUSS, gauss_nll, gauss_sample
from scipy.special import sph_harm_y
from torch import exp as exponential

import jaxpwa
from jaxpwa_compat.amplitudes import FunctionAmplitude, NestedFunction
from jaxpwa_compat.porting import PortingError, to_jax

RNG = np.random.default_rng(8)
N = 200
DATA = {
    "x": RNG.normal(size=N),
    "y": RNG.uniform(0.1, 2.0, N),
    "theta": RNG.uniform(0, np.pi, N),
    "phi": RNG.uniform(-3, 3, N),
}


class Gauss(NestedFunction):
    USE_MP = False
    USE_THREADS = True
    USE_TORCH = True
    device = "cpu"

    def setup(self, data):
        self.__x = torch.from_numpy(data["x"]).to(self.device)
        self.__y = torch.tensor(data["y"], device=torch.device(self.device))
        self.__one = torch.ones(len(data["x"]), dtype=torch.float64, device=self.device)

    def calculate(self, params):
        scaling = 1 / (params["A2"] * params["A4"])
        left = ((self.__x - params["A1"]) ** 2) / (params["A2"] ** 2)
        right = (self.__y - params["A3"]).pow(2) / (params["A4"] ** 2)
        return self.__one * scaling * exponential(-(left + right))


class OnCuda(Gauss):
    def setup(self, data):
        self.device = f"cuda:{self.THREAD}"
        super().setup(data)
        self.mask = torch.from_numpy(data["x"] < 1e6).cuda()

    def calculate(self, params):
        return torch.where(self.mask, super().calculate(params).to("cuda:0").cuda(), 0.0)


class Waves(NestedFunction):
    """Couplings as a tensor, harmonics from scipy in a stack, a loop and a product over waves."""

    USE_TORCH = True

    def setup(self, data):
        harmonics = [torch.from_numpy(sph_harm_y(1, m, data["theta"], data["phi"])) for m in (0, 1)]
        self.harmonics = torch.stack(harmonics)

    def calculate(self, params):
        V = torch.tensor([complex(params["r.0"], params["i.0"]), complex(params["r.1"], 0)], dtype=torch.complex128)
        total = torch.zeros(self.harmonics.shape[1], dtype=torch.complex128)
        for k in range(2):
            total += V[k] * self.harmonics[k]
        again = (V.unsqueeze(1) * self.harmonics).sum(dim=0)
        return (total.abs() ** 2 + (again * again.conj()).real).detach().cpu()


def test_tutorial_gauss_in_torch():
    port = to_jax(Gauss(), gauss_sample(500))
    events = gauss_sample(1000)
    cost = jaxpwa.UnbinnedNLL(port, events)
    assert cost(TRUE_GAUSS) == pytest.approx(gauss_nll(TRUE_GAUSS, events["x"], events["y"]), rel=1e-12)
    assert port.report.kind == "torch"


def test_amplitude_for_cuda_is_ported_without_cuda():
    port = to_jax(OnCuda(), DATA)
    plain = to_jax(Gauss(), DATA)
    values = [jaxpwa.evaluate(p, dict.fromkeys(p.parameters, 1.2), DATA) for p in (port, plain)]
    np.testing.assert_allclose(*values, rtol=1e-13)


def test_waves_with_tensors_of_couplings():
    port = to_jax(Waves(), DATA)
    amplitude = Waves()
    amplitude.setup(DATA)
    point = {"r.0": 0.4, "i.0": -0.2, "r.1": 1.1}
    np.testing.assert_allclose(jaxpwa.evaluate(port, point, DATA), amplitude.calculate(point).numpy(), rtol=1e-12)


def t(values):
    return torch.from_numpy(np.ascontiguousarray(values))


double = torch.float64
FORMULAS = {
    "methods": lambda x, y, phi, a: a * x.sin().abs().add(1, alpha=2).clamp(min=0.1, max=3.0).sqrt(),
    "functions": lambda x, y, phi, a: torch.add(torch.cos(x) * a, 2) / torch.hypot(y, x),
    "joined": lambda x, y, phi, a: torch.cat([x[None], y[None]], dim=0).pow(2).sum(0) * a,
    "einsum": lambda x, y, phi, a: torch.einsum("i,ij->j", torch.ones(2, dtype=double), torch.stack([y] * 2)) * a,
    "matmul": lambda x, y, phi, a: a * (torch.ones(1, 2, dtype=double) @ torch.stack([y] * 2)).squeeze(0),
    "complex": lambda x, y, phi, a: torch.polar(y, phi).conj().real ** 2 * a + torch.complex(x, y).imag,
    "view as real": lambda x, y, phi, a: torch.view_as_real(torch.complex(x, y))[:, 1] * a,
    "reflected": lambda x, y, phi, a: 2 ** x + (1 - x) ** 2 + 1 / y + a * (5 // y),
    "mask": lambda x, y, phi, a: torch.where((x > 0) & ~(y > 1), y, a * torch.ones_like(y)),
    "filled": lambda x, y, phi, a: a * y.masked_fill(x > 0, 0.5),
    "shapes": lambda x, y, phi, a: a * y.view(-1, 1).expand(-1, 3).transpose(0, 1).reshape(3, -1).mean(dim=0),
    "types": lambda x, y, phi, a: a * y.to(torch.complex128).real.to(dtype=double).double() * y.dim(),
    "special": lambda x, y, phi, a: a * torch.special.erf(x) ** 2 + torch.sigmoid(x) + torch.lgamma(y),
    "real with traced": lambda x, y, phi, a: torch.ones(1, dtype=double) * a * y - torch.zeros(1) + y,
    "numpy": lambda x, y, phi, a: a * np.exp(x.numpy()) * np.ones(len(x)),
    "norm": lambda x, y, phi, a: a * torch.linalg.norm(torch.stack([x, y], dim=1), dim=1),
    "shape": lambda x, y, phi, a: a * y * y.dim() * (2 if y.dtype == double else 3),
    "index": lambda x, y, phi, a: a * torch.stack([x, y])[1, :].unsqueeze(0)[0, ...],
    "no grad": lambda x, y, phi, a: a * y.clone().contiguous().detach().requires_grad_(False),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    def processing(data, params):
        return FORMULAS[name](t(data["x"]), t(data["y"]), t(data["phi"]), params["a"])

    to_jax(FunctionAmplitude(lambda: None, processing), DATA)


@pytest.mark.parametrize("make", [lambda x: x.float(), lambda x: x.to(torch.float32)])
def test_single_precision_is_compared_more_loosely_and_reported(make):
    def processing(data, params):
        return torch.exp(-((make(t(data["x"])) - params["a"]) ** 2))

    report = to_jax(FunctionAmplitude(lambda: None, processing), DATA).report
    assert report.tolerance == 1e-5
    assert report.deviation < 1e-5
    assert report.notes[0] == "single precision: 1e-05 is allowed"


def test_parameter_rounded_to_single_precision_by_torch_is_kept_exact():
    def processing(data, params):
        return torch.tensor(params["a"]) * t(data["y"])

    port = to_jax(FunctionAmplitude(lambda: None, processing), DATA)
    assert float(port({"a": 0.1}, {"y": np.array([1.0])})[0]) == 0.1
    assert port.report.tolerance == 1e-5


def element(d, p):
    total = torch.zeros(len(d["x"]), dtype=torch.float64)
    total[0:] = t(d["y"]) * p["a"]
    return total


def underscore(d, p):
    total = torch.zeros(len(d["x"]), dtype=torch.float64)
    total.add_(t(d["y"]) * p["a"])
    return total


def item(d, p):
    return t(d["y"]) * (torch.ones(1) * p["a"]).item()


def branch(d, p):
    if (t(d["y"]) > -1).all():
        return t(d["y"]) * p["a"]
    return None


def mean(d, p):
    return t(d["y"]) * p["a"] / t(d["y"]).mean()


def derivative(d, p):
    y = t(d["y"])
    (y * torch.ones(1, requires_grad=True, dtype=torch.float64)).sum().backward()
    return y * p["a"]


def unknown(d, p):
    return p["a"] * torch.special.bessel_j0(t(d["y"]))


def ordered(d, p):
    return p["a"] * torch.sort(t(d["y"])).values


def running(d, p):
    return p["a"] * torch.cumsum(t(d["y"]), dim=0)


@pytest.mark.parametrize(
    ("function", "match", "line"),
    [
        (element, "changes a tensor in place", 'total[0:] = t(d["y"])'),
        (underscore, "changes a tensor in place", "total.add_("),
        (item, r".item\(\) asks for a Python number", ".item()"),
        (branch, "several events", ".all()"),
        (mean, "several events", ".mean()"),
        (derivative, "several events", ".backward()"),
        (unknown, "torch.bessel_j0 has no counterpart", "bessel_j0"),
        (ordered, "torch.sort puts events in order", "torch.sort"),
        (running, "torch.cumsum works along the events", "torch.cumsum"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_refusal_names_the_line(function, match, line):
    with pytest.raises(PortingError, match=match) as refusal:
        to_jax(FunctionAmplitude(lambda: None, function), DATA)
    assert line in str(refusal.value).split("\n")[1]
    assert "test_porting_torch.py:" in str(refusal.value)


def test_torch_is_not_imported_by_porting():
    script = (
        "import sys, numpy as np; from jaxpwa_compat.porting import to_jax\n"
        "from jaxpwa_compat.amplitudes import FunctionAmplitude\n"
        "to_jax(FunctionAmplitude(lambda: None, lambda d, p: p['a'] * np.exp(d['x'])), {'x': np.arange(5.0)})\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
