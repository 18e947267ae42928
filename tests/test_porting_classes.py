"""What classes are made of besides formulas: helpers, containers, modules, splines. The originals are the oracles."""

import collections
import dataclasses
import enum
import functools
import importlib
import importlib.machinery
import importlib.util
import math

import numpy as np
import pandas as pd
import pytest
from scipy import interpolate

import jax.numpy as jnp

import jaxpwa
from jaxpwa_compat.amplitudes import FunctionAmplitude, NestedFunction
from jaxpwa_compat.porting import PortingError, to_jax

RNG = np.random.default_rng(1)
N = 300
FRAME = pd.DataFrame(
    {
        "x": RNG.normal(size=N),
        "y": RNG.uniform(0.5, 1.5, N),
        "kind": RNG.integers(0, 3, N),
        "mass": RNG.uniform(1, 2, N),
    }
)
TABLE = {"cache": {}}
KNOTS = np.linspace(-1, 1, 9)


class Sign(enum.Enum):
    PLUS = 1
    MINUS = -1


Wave = collections.namedtuple("Wave", "spin m")


@dataclasses.dataclass
class Settings:
    spin: int
    scale: float = 2.0
    waves: list = dataclasses.field(default_factory=list)

    def damping(self, x):
        return np.exp(-self.scale * x**2)


class Slotted:
    __slots__ = ("__values", "factor")

    def __init__(self):
        self.factor, self.__values = 1.0, np.arange(3.0)

    def total(self):
        return self.__values.sum() * self.factor


class Barrier:
    def __init__(self, spin):
        self.spin = spin

    def __call__(self, q):
        return 1.0 if self.spin == 0 else np.sqrt(2 * q**2 / (q**2 + 1))


@functools.lru_cache
def spin_factor(spin):
    return math.sqrt(2 * spin + 1)


@functools.lru_cache
def doubled(value):
    return 2 * value


@np.vectorize
def parabola(x):
    return x * x + 1


class Everything(NestedFunction):
    shared: list = []

    def __init__(self):
        self.settings = Settings(1, waves=[Wave(1, 0)])
        self.sign, self.slotted = Sign.PLUS, Slotted()
        self.functions = {"cos": lambda x: np.cos(x), "power": functools.partial(np.power, 2.0)}
        self.barriers = [Barrier(0), Barrier(1)]

    def setup(self, data):
        if not isinstance(data, pd.DataFrame):
            raise AssertionError
        self.data = data
        self.shared.append(len(data))
        TABLE["cache"]["x"] = data["x"].values

    def factors(self):
        for barrier in self.barriers:
            yield barrier(self.data.y)

    def calculate(self, params):
        x, total = TABLE["cache"]["x"], 0

        def add(value):
            nonlocal total
            total = total + value

        add(params["a"] * x**2)
        for factor in self.factors():
            add(factor)
        if self.sign is Sign.PLUS and len(x) > 0:
            total = total * spin_factor(1) * self.slotted.total()
        total = total + self.settings.damping(x) + self.functions["cos"](x) ** 2 * self.functions["power"](x)
        total = total + parabola(x) + doubled(params["a"]) * self.settings.waves[0].spin + pow(x, 2)
        return np.asarray(total + params["b"] * abs(x))


def test_class_of_many_parts():
    port = to_jax(Everything(), FRAME)
    TABLE["cache"].clear()
    values = [port(dict.fromkeys(port.parameters, 1.0), {n: FRAME[n] for n in ("x", "y")}) for _ in range(2)]
    np.testing.assert_array_equal(*values)
    assert TABLE["cache"] == {}


class KMatrix(NestedFunction):
    """Two channels, two poles: the inverse of a matrix per event."""

    def setup(self, data):
        self.s = np.asarray(data["mass"], dtype=np.float64) ** 2

    def calculate(self, params):
        k11 = params["g1"] ** 2 / (params["m0"] ** 2 - self.s)
        k12 = params["g1"] * params["g2"] / (params["m0"] ** 2 - self.s)
        k22 = params["g2"] ** 2 / (params["m0"] ** 2 - self.s) + 0.3
        matrices = np.moveaxis(np.array([[k11, k12], [k12, k22]]), -1, 0)
        phase_space = np.zeros((2, 2), complex) + np.diag([0.5, 0.3])
        production = np.linalg.inv(np.eye(2) - 1j * phase_space @ matrices) @ np.array([1.0, params["b"]])
        return np.abs(production[:, 0]) ** 2


# JAX before 0.9 casts to real in the derivative of a complex solve.
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_matrices_per_event():
    to_jax(KMatrix(), FRAME)


HELPERS = """
import numpy as np
import numexpr as ne
WIDTHS = {"narrow": 0.1}
def breit_wigner(m, m0, width):
    return 1 / (m0**2 - m**2 - 1j * m0 * width)
def density(x, a):
    return ne.evaluate("exp(-a*x**2)")
class Shape:
    def __call__(self, m):
        return abs(breit_wigner(m, 1.3, complex(WIDTHS["narrow"]))) ** 2
"""


def test_helpers_from_another_module_of_the_users(tmp_path, monkeypatch):
    (tmp_path / "analysis_helpers.py").write_text(HELPERS)
    monkeypatch.syspath_prepend(tmp_path)
    analysis_helpers = importlib.import_module("analysis_helpers")
    density = analysis_helpers.density

    def processing(data, params):
        peak = np.abs(analysis_helpers.breit_wigner(data.mass.values, 1.3, float(params["w"]))) ** 2
        return peak + density(data.x.values, params["a"]) + analysis_helpers.Shape()(data.mass.values)

    port = to_jax(FunctionAmplitude(lambda: None, processing), FRAME)
    assert "numexpr 'exp(-a*x**2)'" in port.report.replaced


def test_class_of_a_script_keeps_the_globals_that_it_had(tmp_path):
    source = (
        "import numpy as np\nfrom jaxpwa_compat.amplitudes import NestedFunction as Base\nSCALE = 3.0\n"
        "class Cell(Base):\n"
        "    def setup(self, data):\n        self.x = data['x']\n"
        "    def calculate(self, params):\n        return SCALE * params['a'] * np.exp(-self.x**2)\n"
        "class Bad(Cell):\n"
        "    def calculate(self, params):\n        return super().calculate(params) if params['a'] > 0 else None\n"
    )
    (tmp_path / "script.py").write_text(source)
    loader = importlib.machinery.SourceFileLoader("__main__", str(tmp_path / "script.py"))
    cell = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("__main__", loader))
    loader.exec_module(cell)
    port = to_jax(cell.Cell(), FRAME)
    cell.SCALE = 7.0  # a later change does not reach the port, whose compiled code could not follow it
    assert port({"a": 1.0}, {"x": np.zeros(1)}).tolist() == [3.0]
    with pytest.raises(PortingError, match=r"script\.py:11, in calculate: return super\(\)\.calculate"):
        to_jax(cell.Bad(), FRAME)


SPLINES = {
    "cubic": interpolate.CubicSpline(KNOTS, np.sin(KNOTS)),
    "slope": interpolate.CubicSpline(KNOTS, np.sin(KNOTS)).derivative(),
    "pchip": interpolate.PchipInterpolator(KNOTS, np.sin(KNOTS)),
    "bounded": interpolate.Akima1DInterpolator(KNOTS, np.sin(KNOTS)),
    "basis": interpolate.make_interp_spline(KNOTS, np.sin(KNOTS), k=3),
    "fitted": interpolate.UnivariateSpline(KNOTS, np.sin(KNOTS), s=0.001),
    "zero outside": interpolate.UnivariateSpline(KNOTS, np.sin(KNOTS), k=2, ext=1),
    "constant outside": interpolate.InterpolatedUnivariateSpline(KNOTS, np.sin(KNOTS), ext=3),
}


@pytest.mark.parametrize("name", SPLINES)
def test_splines_in_attributes_and_made_on_the_way(name):
    class Acceptance(NestedFunction):
        def __init__(self, spline):
            self.spline = spline

        def setup(self, data):
            self.x = data["x"].to_numpy()

        def calculate(self, params):
            other = interpolate.CubicSpline(KNOTS, KNOTS**2)(self.x)
            return params["a"] * (self.spline(self.x) + 2) + other

    to_jax(Acceptance(SPLINES[name]), FRAME)


@pytest.mark.parametrize(
    ("spline", "match"),
    [
        (interpolate.CubicSpline([0, 1, 2.0], [0, 1, 0.0], bc_type="periodic"), "is periodic"),
        (interpolate.CubicSpline(KNOTS, np.ones((9, 2))), "several values per position"),
    ],
)
def test_splines_without_counterpart_are_refused(spline, match):
    amplitude = FunctionAmplitude(
        lambda: None, lambda d, p: p["a"] * np.reshape(spline(d.x.values), (len(d), -1))[:, 0]
    )
    with pytest.raises(PortingError, match=match):
        to_jax(amplitude, FRAME)


FORMULAS = {
    "columns side by side": lambda d, p: (np.c_[d.x.values, d.y.values] * p["a"])[:, 1] + np.r_[1.0, 2.0][0],
    "unpacked parameters": lambda d, p: (lambda a, b: a * d.x**2 + b)(**p),
    "whole frame": lambda d, p: p["a"] * np.asarray(d)[:, 1] ** 2 + np.array(d[["x", "y"]]).sum(axis=1) ** 2 + p["b"],
    "asked for attributes": lambda d, p: (
        p["a"] * (d.y.cpu() if hasattr(d.y, "cpu") else d.y) + hasattr(d, "cpu") + p["b"]
    ),
    "list of moduli": lambda d, p: np.abs([p["a"], -p["b"]]).sum() * d.y,
    "get": lambda d, p: p.get("a", 3.0) * d.x**2 + p.get("other", 2.0) + p["b"],
    "jax.numpy": lambda d, p: jnp.exp(d["x"].values) * p["a"] + p["b"],
    "choose": lambda d, p: p["a"] * np.choose(d.kind.values, [d.y.values, d.x.values**2, 1.0]) + p["b"],
    "text to number": lambda d, p: p["a"] * d.y * float("1.5") * complex("1j").imag * len("ab") + p["b"],
    "is array": lambda d, p: p["a"] * d.y.values * (2 if isinstance(d.y.values, np.ndarray) else 3) + p["b"],
    "records": lambda d, p: p["a"] * d.to_records(index=False).y + p["b"],
    "columns by unpacking": lambda d, p: p["a"] * np.hypot(*d[["x", "y"]].values.T) + p["b"],
    "sum of generator": lambda d, p: sum(p["a"] * d.y.values**k for k in range(3)) + p["b"],
    "type union": lambda d, p: p["a"] * d.y * (1 if isinstance(2.0, float | int) else 5) + p["b"],
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    amplitude = FunctionAmplitude(lambda: None, FORMULAS[name])
    port = to_jax(amplitude, FRAME, parameters={"a": 0.7, "b": 2})
    cost = jaxpwa.UnbinnedNLL(port, FRAME, parameters=["a", "b"])
    assert np.isfinite(cost({"a": 0.5, "b": 2.0}))


MIXING = {
    "reversed": lambda d, p: p["a"] * (d.x.values - d.x.values[::-1]) ** 2,
    "pairs": lambda d, p: p["a"] * np.exp(-((d.x.values[:, None] - d.x.values[None, :]) ** 2)).sum(1),
    "product": lambda d, p: p["a"] * (d.values[:, :2] @ d.values[:, :2].T).sum(0) ** 2,
    "table of events": lambda d, p: p["a"] * np.interp(d.y.values, d.x.values, d.x.values) ** 2,
    "shuffled": lambda d, p: p["a"] * d.y.values[d.kind.values],
    "shifted": lambda d, p: p["a"] * np.roll(d.y.values, 1),
}


@pytest.mark.parametrize("name", MIXING)
def test_events_that_are_mixed_are_refused_with_the_line(name):
    with pytest.raises(PortingError, match=rf"\n  at .*test_porting_classes.py:\d+, in <lambda>: \"{name}\""):
        to_jax(FunctionAmplitude(lambda: None, MIXING[name]), FRAME)
