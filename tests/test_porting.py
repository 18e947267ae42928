"""Ported numpy amplitudes give what the original gives; `models` and the original classes are the oracles."""

import cmath
import math

import numpy as np
import pandas as pd
import pytest
import scipy.special
from models import TRUE_GAUSS, central_gradient, gauss, gauss_nll, gauss_sample
from scipy.special import sph_harm_y

import jax
import jax.numpy as jnp

import jaxpwa
from jaxpwa_compat.amplitudes import FunctionAmplitude, NestedFunction
from jaxpwa_compat.porting import Port, PortingError, PortReport, to_jax
from jaxpwa_compat.tables import pandas_to_numpy, to_contiguous

RNG = np.random.default_rng(11)
N = 300
FRAME = pd.DataFrame(
    {
        "x": RNG.normal(size=N),
        "y": RNG.normal(size=N),
        "theta": np.arccos(RNG.uniform(-1, 1, N)),
        "phi": RNG.uniform(-np.pi, np.pi, N),
        "mass": RNG.uniform(0.7, 2.0, N),
        "bin": RNG.integers(0, 3, N),
        "good": RNG.uniform(size=N) > 0.3,
    },
    index=np.arange(N)[::-1] + 50,
)
DICT = {name: FRAME[name].to_numpy() for name in FRAME}
STRUCTURED = pandas_to_numpy(FRAME)
WAVES = [(0, 0), (1, 0), (1, 1), (1, -1), (2, 1), (2, 2)]


class Gauss(NestedFunction):
    setups = 0

    def __init__(self):
        super().__init__()
        self.__x = self.__y = None

    def setup(self, data):
        Gauss.setups += 1
        self.__x = data["x"]
        self.__y = data["y"]

    def calculate(self, params):
        scaling = 1 / (params["A2"] * params["A4"])
        left = ((self.__x - params["A1"]) ** 2) / (params["A2"] ** 2)
        right = ((self.__y - params["A3"]) ** 2) / (params["A4"] ** 2)
        return scaling * np.exp(-(left + right))


class EtaPi(NestedFunction):
    """Six waves; harmonics computed once into a private list, couplings by name."""

    def __init__(self, waves):
        self.waves = waves

    def setup(self, data):
        self.__theta, phi = data["theta"], data["phi"]
        self.__harmonics = [sph_harm_y(spin, m, self.__theta, phi) for spin, m in self.waves]

    def calculate(self, params):
        total = np.zeros(len(self.__theta), dtype=complex)
        for (spin, m), harmonic in zip(self.waves, self.__harmonics, strict=True):
            V = complex(params[f"r.1.{spin}.{m}"], params[f"i.1.{spin}.{m}"])
            total += V * harmonic
        return np.absolute(total) ** 2


MASSES = (0.547, 0.135)


def momentum(m, a, b):
    return np.sqrt(((m**2 - (a + b) ** 2) * (m**2 - (a - b) ** 2)).astype(complex)) / (2 * m)


class Resonance:
    """A helper class: relativistic Breit-Wigner with running width."""

    def __init__(self, spin):
        self.spin = spin

    def __call__(self, m, m0, width):
        q, q0 = momentum(m, *MASSES), cmath.sqrt((m0**2 - (MASSES[0] + MASSES[1]) ** 2) / 4)
        running = width * (m0 / m) * (q / q0) ** (2 * self.spin + 1)
        return 1 / (m0**2 - m**2 - 1j * m0 * running)


class Base(NestedFunction):
    def setup(self, data):
        self.m = data["mass"]
        self.resonance = Resonance(2)

    def shape(self, params):
        return self.resonance(self.m, params["m0"], float(params["width"]))

    def calculate(self, params):
        return np.abs(self.shape(params)) ** 2


class Derived(Base):
    def setup(self, data):
        super().setup(data)
        self.x = data["x"]

    def calculate(self, params):
        return super().calculate(params) * (1 + self.slope(params["b"], self.x) ** 2)

    @staticmethod
    def slope(b, x):
        return b * x

    @property
    def unused(self):
        return self.x


class ByNumber(NestedFunction):
    def setup(self, data):
        self.x, self.y = to_contiguous(data, ["x", "y"])

    def calculate(self, params):
        return params[0] * np.exp(-params[1] * self.x**2) + params[2] * self.y**2


class Whole(NestedFunction):
    def setup(self, data):
        self.x = data["x"]

    def calculate(self, params):
        return sum(value * self.x ** (2 * k) for k, value in enumerate(params.values()))


class Columns(NestedFunction):
    """Reads a table in every way that a table of its kind has."""

    def setup(self, data):
        self.n = len(data)
        self.m = pandas_to_numpy(data)["mass"] if isinstance(data, pd.DataFrame) else data["mass"]
        self.xy = data[["x", "y"]]
        self.good, self.bin = data["good"], data["bin"]
        self.table = np.array([0.5, 1.0, 2.0])
        self.names = data.dtype.names if hasattr(data, "dtype") else list(data.columns)

    def calculate(self, params):
        weight = np.where(self.good & ~(self.m < 0.8), np.take(self.table, self.bin), 0.1)
        x, y = self.xy["x"], self.xy["y"]
        return params["a"] * weight * np.sum([x**2, y**2], axis=0) * np.ones(self.n) * len(self.names)


def check(amplitude, sample=STRUCTURED, **options):
    """Port, and compare once more at a point that `to_jax` has not seen."""
    port = to_jax(amplitude, sample, **options)
    point = {name: 0.83 + 0.07 * k for k, name in enumerate(port.parameters)}
    amplitude.setup(sample)
    given = (
        np.array(list(point.values())) if options.get("array_parameters") or isinstance(amplitude, ByNumber) else point
    )
    np.testing.assert_allclose(jaxpwa.evaluate(port, point, sample), amplitude.calculate(given), rtol=1e-9, atol=1e-12)
    return port


@pytest.mark.parametrize(
    "sample", [FRAME, STRUCTURED, DICT, jaxpwa.Dataset(DICT)], ids=["frame", "array", "dict", "jp"]
)
def test_tutorial_gauss_is_ported_from_every_kind_of_table(sample):
    port = to_jax(Gauss(), sample)
    events = gauss_sample(1000)
    cost = jaxpwa.UnbinnedNLL(port, events)
    assert cost(TRUE_GAUSS) == pytest.approx(gauss_nll(TRUE_GAUSS, events["x"], events["y"]), rel=1e-12)


def test_six_waves_with_harmonics_and_complex_couplings():
    port = check(EtaPi(WAVES), FRAME)
    assert port.parameters[:4] == ("r.1.0.0", "i.1.0.0", "r.1.1.0", "i.1.1.0")
    assert port.columns == ("theta", "phi")
    assert (port.report.gradient_deviation or 0.0) < 1e-8


@pytest.mark.parametrize("amplitude", [Base(), Derived()], ids=["base", "derived"])
def test_helper_functions_helper_classes_and_super(amplitude):
    check(amplitude)


@pytest.mark.parametrize("sample", [FRAME, STRUCTURED], ids=["frame", "array"])
def test_columns_masks_and_table_lookups(sample):
    check(Columns(), sample)


def test_pair_of_functions():
    state = {"calls": 0}

    def setup():
        state["calls"] += 1

    def processing(data, params):
        return params["a"] * np.exp(-(data["x"] ** 2)) + math.exp(params["b"])

    check(FunctionAmplitude(setup, processing))
    assert state["calls"] == 2  # by the original in the comparison and by `check`; the port has a state of its own


def test_array_of_parameters_is_found_out_from_a_list_of_names():
    port = check(ByNumber(), parameters=["A1", "A2", "A3"])
    assert port.parameters == ("A1", "A2", "A3")


def test_parameters_may_be_unpacked_from_an_array():
    class Unpacking(ByNumber):
        def calculate(self, params):
            a, b = params
            return a * np.exp(-b * self.x**2)

    assert check(Unpacking(), parameters=["a", "b"], array_parameters=True).parameters == ("a", "b")
    assert check(Unpacking(), parameters=["a", "b"]).parameters == ("a", "b")


def test_typical_values_are_the_first_point():
    port = to_jax(Whole(), FRAME, parameters={"a": 3.0, "b": 0.0})
    assert port.report.points[0] == {"a": 3.0, "b": 0.0}
    x = FRAME["x"].to_numpy()
    np.testing.assert_allclose(jaxpwa.evaluate(port, {"a": 2.0, "b": 0.5}, FRAME), 2 + 0.5 * x**2, rtol=1e-12)


@pytest.mark.parametrize("amplitude", [Whole(), ByNumber()])
def test_names_that_can_not_be_found_are_asked_for(amplitude):
    with pytest.raises(PortingError, match=r"Pass them with typical values: to_jax\(\.\.\., parameters="):
        to_jax(amplitude, STRUCTURED)


# The engine.


def test_fit_of_a_port_finds_what_the_native_model_finds():
    events = gauss_sample(4000)
    port = to_jax(Gauss(), events)
    Gauss.setups = 0
    start = dict.fromkeys(TRUE_GAUSS, 5.0)
    results = [jaxpwa.fit(jaxpwa.UnbinnedNLL(model, events), start) for model in (port, gauss)]
    for name in start:
        assert results[0].values[name] == pytest.approx(results[1].values[name], rel=1e-6)
        assert results[0].errors[name] == pytest.approx(results[1].errors[name], rel=1e-4)
    assert Gauss.setups == 0  # the user's own class is never touched


def test_setup_runs_only_when_jax_traces():
    seen = []

    class Counting(Gauss):
        def setup(self, data):
            seen.append(len(data))
            super().setup(data)

    events = gauss_sample(4000)
    port = to_jax(Counting(), events)
    cost = jaxpwa.UnbinnedNLL(port, events)
    cost(TRUE_GAUSS)
    jaxpwa.fit(cost, dict.fromkeys(TRUE_GAUSS, 5.0))
    assert len(seen) == 1  # the copy that the comparison made: lists of the closure are copied, too


def test_value_and_gradient_of_an_extended_likelihood():
    port = to_jax(EtaPi(WAVES[:3]), FRAME)
    cost = jaxpwa.ExtendedNLL(port, FRAME, FRAME)
    point = {name: 0.5 + 0.1 * k for k, name in enumerate(port.parameters)}
    value, gradient = cost.value_and_grad(point)
    assert value == pytest.approx(cost(point))
    for name, wanted in central_gradient(cost, point).items():
        assert gradient[name] == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_hessian_forward_over_reverse():
    port = to_jax(Gauss(), STRUCTURED)
    data = {name: jnp.asarray(DICT[name]) for name in ("x", "y")}
    point = {name: 0.9 for name in port.parameters}
    hessian = jax.jit(jax.jacfwd(jax.grad(lambda p: port(p, data).sum())))(point)
    step = 1e-5
    slopes = [jax.grad(lambda p: port(p, data).sum())({**point, "A1": 0.9 + s * step})["A2"] for s in (1, -1)]
    assert hessian["A2"]["A1"] == pytest.approx(float(slopes[0] - slopes[1]) / (2 * step), rel=1e-6)


def test_no_tracer_stays_behind():
    memory = {}

    class Keeping(Gauss):
        kept: list = []

        def setup(self, data):
            super().setup(data)
            self.kept.append(data["x"])
            memory["x"] = data["x"]

    with jax.checking_leaks():
        port = to_jax(Keeping(), STRUCTURED)
        jax.jit(port)(dict.fromkeys(port.parameters, 1.0), {"x": DICT["x"], "y": DICT["y"]})
    assert all(isinstance(kept, np.ndarray) for kept in Keeping.kept)
    assert all(isinstance(kept, np.ndarray) for kept in memory.values())


def test_later_changes_of_the_object_do_not_reach_the_port():
    class Scaled(NestedFunction):
        scale = 2.0

        def setup(self, data):
            self.x = data["x"]

        def calculate(self, params):
            return params["a"] * self.scale * self.x**2

    amplitude = Scaled()
    port = to_jax(amplitude, STRUCTURED)
    amplitude.scale = 5.0
    assert port({"a": 1.0}, {"x": np.array([3.0])}).tolist() == [18.0]


def test_port_works_on_two_devices_and_any_number_of_events():
    port = to_jax(Gauss(), STRUCTURED)
    for n in (1, 3, 7):
        some = {name: DICT[name][:n] for name in ("x", "y")}
        values = [jaxpwa.evaluate(port, TRUE_GAUSS, some, devices=k) for k in (1, 2)]
        np.testing.assert_array_equal(*values)


def test_report_says_what_was_checked():
    port = to_jax(EtaPi(WAVES[:2]), FRAME, points=3)
    report = port.report
    assert isinstance(port, Port)
    assert isinstance(report, PortReport)
    assert (report.name, report.kind, report.n_events, len(report.points)) == ("EtaPi", "numpy", N, 3)
    assert report.deviation < 1e-12
    assert "scipy.special.sph_harm_y" in report.replaced
    assert "largest relative deviation" in str(report)
    assert port.__name__ == "EtaPi"


def test_at_most_two_thousand_events_are_compared():
    port = to_jax(Gauss(), gauss_sample(50_000))
    assert port.report.n_events == 2000


# Everything that a class may do with arrays, one formula each.

FORMULAS = {
    "einsum": lambda d, p: np.einsum("i,ij->j", np.array([p["a"], p["b"]]), np.stack([d["x"] ** 2, d["y"] ** 2])),
    "matmul": lambda d, p: np.array([p["a"], p["b"]]) @ np.array([d["x"] ** 2, d["y"] ** 2]),
    "ranks": lambda d, p: (np.array([[1.0], [2.0]]) * d["x"] ** 2 + p["a"]).sum(axis=0),
    "column": lambda d, p: (d["x"][:, None] * np.array([p["a"], 2.0]))[:, 0] ** 2,
    "newaxis": lambda d, p: np.concatenate([d["x"][np.newaxis], d["y"][np.newaxis]]).T[:, 1] ** 2 * p["a"],
    "mod": lambda d, p: p["a"] * (d["mass"] % 0.3 + d["mass"] // 0.3 + divmod(d["mass"], 0.2)[1]),
    "integers": lambda d, p: p["a"] * (((d["bin"] & 1) == 0) + (d["bin"] << 1) + d["bin"] ** 2),
    "clip": lambda d, p: p["a"] * np.clip(d["x"], -0.5, 0.5) ** 2 + d["x"].clip(0, 1),
    "piecewise": lambda d, p: p["a"] * np.select([d["x"] < 0, d["x"] < 1], [d["x"] ** 2, d["y"] ** 2], 1.0),
    "interp": lambda d, p: p["a"] * np.interp(d["mass"], [0, 1, 2], [0.0, 1.0, 0.5]),
    "legendre": lambda d, p: p["a"] * np.polynomial.legendre.legval(np.cos(d["theta"]), [1, 0.3, 0.2]) ** 2,
    "basis": lambda d, p: p["a"] * np.polynomial.Legendre.basis(3)(np.cos(d["theta"])) ** 2,
    "polynomial": lambda d, p: p["a"] * (np.poly1d([1, 2, 3])(d["x"]) + np.polyval([1.0, p["b"]], d["y"])) ** 2,
    "special polynomial": lambda d, p: p["a"] * scipy.special.legendre(2)(np.cos(d["theta"])) ** 2,
    "lpmv": lambda d, p: p["a"] * scipy.special.lpmv(2, 3, np.cos(d["theta"])) ** 2,
    "voigt": lambda d, p: p["a"] * scipy.special.voigt_profile(d["x"], 0.5, p["b"]),
    "erf": lambda d, p: p["a"] * (1.1 + scipy.special.erf(d["x"])),
    "root": lambda d, p: p["a"] * np.abs(np.lib.scimath.sqrt(d["x"]) + np.emath.sqrt(d["y"])) ** 2,
    "polar": lambda d, p: np.abs(cmath.rect(p["a"], p["b"]) + d["x"] + cmath.exp(1j * p["b"])) ** 2,
    "math": lambda d, p: math.sqrt(p["a"]) * math.pow(p["b"], 2) * d["x"] ** 2 + math.fabs(p["a"]) * math.pi,
    "extremes": lambda d, p: max(p["a"], 0.1) * np.maximum(d["x"], 0) + min([p["a"], p["b"]]) * d["y"] ** 2,
    "types": lambda d, p: np.float64(p["a"]) * np.abs(np.complex128(p["b"]) * d["x"].astype(np.complex128)) ** 2,
    "instances": lambda d, p: (p["a"] if isinstance(p["a"], (int, float)) else 7) * d["x"] ** 2,
    "rotation": lambda d, p: p["a"] * np.tensordot(np.eye(2) * 2, np.array([d["x"], d["y"]]), axes=1)[1] ** 2,
    "norm": lambda d, p: p["a"] * np.linalg.norm(np.stack([d["x"], d["y"]], axis=1), axis=1),
    "reduce": lambda d, p: p["a"] * np.multiply.reduce([d["x"] ** 2, d["y"] ** 2]),
    "arctan2": lambda d, p: p["a"] * np.arctan2(d["y"], d["x"]) ** 2 + np.hypot(d["x"], 1),
    "angle": lambda d, p: p["a"] * np.real(np.exp(1j * d["phi"]) * np.conj(1j * d["x"])) ** 2 + np.angle(1j * d["x"]),
    "power": lambda d, p: d["mass"] ** p["a"] + p["b"] ** d["x"] + 2 ** d["x"] + d["mass"] ** 0.5 + d["mass"] ** -1.0,
    "list product": lambda d, p: p["a"] * np.dot([1.0, 2.0], np.array([d["x"] ** 2, d["y"] ** 2])),
    "round": lambda d, p: p["a"] * np.round(d["x"], 1) ** 2 + np.floor(d["y"]) ** 2,
}  # fmt: skip


NOT_OF_PANDAS = ("column", "newaxis", "special polynomial", "ranks", "integers")


if not hasattr(jax.scipy.special, "wofz"):  # JAX before 0.9
    del FORMULAS["voigt"]


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    to_jax(FunctionAmplitude(lambda: None, FORMULAS[name]), STRUCTURED)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in NOT_OF_PANDAS])
def test_formula_of_a_frame(name):
    to_jax(FunctionAmplitude(lambda: None, FORMULAS[name]), FRAME.reset_index(drop=True))


SERIES = {
    "methods": lambda d, p: p["a"] * d["x"].abs().pow(2).add(d["y"].values ** 2).mul(2).to_numpy(),
    "where": lambda d, p: p["a"] * d["x"].where(d["x"] > 0, 0.0).clip(0, 1).fillna(0.0) * d["y"].between(-1, 1),
    "apply": lambda d, p: p["a"] * d["x"].apply(lambda x: x**2) + d.mass.astype(float).copy(),
    "frame": lambda d, p: p["a"] * d[["x", "y"]].to_numpy()[:, 1] ** 2 + d[["x", "y"]].values.T[0] ** 2,
    "new column": lambda d, p: p["a"] * d.copy().shape[1] * d["x"] ** 2 + d.get("nothing", 1.0),
}


@pytest.mark.parametrize("name", SERIES)
def test_formula_of_pandas_columns(name):
    to_jax(FunctionAmplitude(lambda: None, SERIES[name]), FRAME)


def test_columns_may_be_added_to_the_table():
    class Adding(NestedFunction):
        def setup(self, data):
            data["r2"] = data["x"] ** 2 + data["y"] ** 2
            self.data = data

        def calculate(self, params):
            return params["a"] * self.data.r2

    to_jax(Adding(), FRAME)
    assert "r2" not in FRAME


def test_modules_imported_inside_functions():
    def processing(data, params):
        import math as m

        import numpy as npy
        from numpy import exp as e

        return params["a"] * npy.sin(data["x"]) ** 2 * m.exp(params["b"]) + e(data["y"])

    to_jax(FunctionAmplitude(lambda: None, processing), STRUCTURED)


@pytest.mark.parametrize("order", [(0, 0), (1, -1), (1, 1), (2, -2), (3, 2), (7, -5), (20, 13), (60, 3)])
def test_harmonics_agree_with_scipy(order):
    theta = np.concatenate([[0.0, np.pi, 1e-9], DICT["theta"]])
    phi = np.concatenate([[0.3, 1.0, -2.0], DICT["phi"]])
    amplitude = FunctionAmplitude(lambda: None, lambda d, p: p["a"] * sph_harm_y(*order, d["theta"], d["phi"]))
    port = to_jax(amplitude, {"theta": theta, "phi": phi})
    found = jaxpwa.evaluate(port, {"a": 1.0}, {"theta": theta, "phi": phi})
    np.testing.assert_allclose(found, sph_harm_y(*order, theta, phi), atol=2e-13)


def test_harmonics_have_finite_slopes_at_the_poles():
    from jaxpwa_compat.porting.special import sph_harm_y as ported

    for spin, m in WAVES:
        slope = jax.grad(lambda t, s=spin, o=m: ported(s, o, t, 0.4).real)(0.0)
        step = 1e-7
        wanted = (sph_harm_y(spin, m, step, 0.4) - sph_harm_y(spin, m, 0.0, 0.4)).real / step
        assert float(slope) == pytest.approx(wanted, abs=1e-6)


def test_harmonics_for_arrays_of_orders():
    spins, m = np.array([w[0] for w in WAVES]), np.array([w[1] for w in WAVES])

    def processing(data, params):
        harmonics = sph_harm_y(spins[:, None], m[:, None], data["theta"], data["phi"])
        return np.abs(params["a"] * harmonics.sum(axis=0)) ** 2

    to_jax(FunctionAmplitude(lambda: None, processing), STRUCTURED)


def test_narrow_resonance_has_its_derivatives_compared():
    masses = {"m": np.linspace(3.09, 3.1, 500)}

    def narrow(data, params):
        return np.abs(1 / (params["m0"] ** 2 - data["m"] ** 2 - 1j * params["m0"] * params["width"])) ** 2

    port = to_jax(FunctionAmplitude(lambda: None, narrow), masses, parameters={"m0": 3.0969, "width": 9.3e-5})
    assert (port.report.gradient_deviation or 1.0) < 1e-5
