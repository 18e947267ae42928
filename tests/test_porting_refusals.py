"""What can't be ported is refused with the file, the line, its text, and what to write instead."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special
from scipy.interpolate import interp1d

import jaxpwa
from jaxpwa_compat.amplitudes import FunctionAmplitude, NestedFunction
from jaxpwa_compat.porting import PortingError, to_jax

RNG = np.random.default_rng(5)
N = 200
DATA = {"x": RNG.normal(size=N), "y": RNG.uniform(0.5, 1.5, N), "kind": RNG.integers(0, 3, N)}
FRAME = pd.DataFrame(DATA)
STRUCTURED = FRAME.to_records(index=False).view(np.ndarray)
SPLINE = interp1d([-9.0, 0.0, 9.0], [0.0, 1.0, 0.0])


def element(data, params):
    out = np.zeros(len(data["x"]))
    out[:] = params["a"] * data["x"] ** 2
    return out


def masked(data, params):
    out = params["a"] * data["x"] ** 2
    out[data["x"] < 0] = 0.0
    return out


def coupling(data, params):
    couplings = np.zeros(2)
    couplings[0] = params["a"]
    return couplings[0] * data["x"] ** 2


def item(data, params):
    scale = params["a"] * np.ones(1)
    return scale.item() * data["x"] ** 2


def branch(data, params):
    if params["a"] > 0.1:
        return params["a"] * data["x"] ** 2
    return data["x"]


def events_loop(data, params):
    values = [params["a"] * x**2 for x in data["x"]]
    return np.array(values)


def mean(data, params):
    centre = np.mean(data["x"])
    return params["a"] * (data["x"] - centre) ** 2


def method_mean(data, params):
    return params["a"] * data["x"] ** 2 / data["y"].sum()


def first_event(data, params):
    return params["a"] * data["x"] ** 2 + data["y"][0]


def ordered(data, params):
    return params["a"] * np.sort(data["y"])


def running(data, params):
    return params["a"] * np.cumsum(data["y"])


def selected(data, params):
    kept = data["y"][data["x"] < 100]
    return params["a"] * kept


def selected_by_where(data, params):
    return params["a"] * data["y"][np.where(data["x"] < 100)]


def out_argument(data, params):
    buffer = np.zeros(len(data["x"]))
    np.multiply(data["y"], params["a"], out=buffer)
    return buffer


def index(data, params):
    table = np.array([1.0, 2.0, 3.0])
    return params["a"] * table[data["kind"]]


def spline(data, params):
    return params["a"] * SPLINE(data["x"])


def special(data, params):
    return params["a"] * scipy.special.airy(data["y"])[0] ** 2


def orders(data, params):
    return params["a"] * scipy.special.sph_harm_y(data["kind"] + 1, 0, data["y"], data["x"]).real ** 2


def array_to_float(data, params):
    return float(params["a"]) * float(data["x"][:1].sum()) + data["y"]


def histogram(data, params):
    counts, _ = np.histogram(data["x"], bins=3)
    return params["a"] * counts[0] * data["y"]


def whole_number(data, params):
    return int(params["a"] + 1) * data["y"] * params["b"]


def in_place_function(data, params):
    values = params["a"] * data["y"]
    np.putmask(values, data["x"] < 0, 0.0)
    return values


def unknown_method(data, params):
    return np.frombuffer((params["a"] * data["y"]).tobytes())


def table_in_place(data, params):
    return params["a"] * data[data["x"] < 100]["y"]


def wrong_length(data, params):
    return params["a"] * data["y"] * np.ones(N)


REFUSED = {
    element: ("put into an array", "numpy.stack", 2),
    masked: ("changed in place", "numpy.where", 2),
    coupling: ("put into an array", "build a list", 2),
    item: (".item() asks for a Python number", "operators", 2),
    branch: ("a branch", "numpy.where(condition, a, b)", 1),
    events_loop: ("a loop runs over the events", "all events at once", 1),
    mean: ("several events", "compute such numbers beforehand", 1),
    method_mean: ("several events", "treated alone", 1),
    first_event: ("several events", "treated alone", 1),
    ordered: ("numpy.sort works along the events", "treated alone", 1),
    running: ("numpy.cumsum works along the events", "treated alone", 1),
    selected: ("selected by a condition", "numpy.where(condition, value, 0)", 1),
    selected_by_where: ("numpy.where selects events", "numpy.where(condition, value, 0)", 1),
    out_argument: ("numpy.multiply writes its result into an array", "without out=", 2),
    index: ("JAX lacks", "numpy.take(table, index)", 2),
    spline: ("JAX lacks", "compute it beforehand", 1),
    special: ("scipy.special.airy has no counterpart", "beforehand", 1),
    orders: ("orders of scipy.special.sph_harm_y", "whole numbers that are known", 1),
    array_to_float: ("several events", "treated alone", 1),
    histogram: ("several events", "treated alone", 1),
    whole_number: ("made a Python number", "", 1),
    in_place_function: ("numpy.putmask writes", "without out=", 2),
    unknown_method: (".tobytes is not known", "numpy function", 1),
    table_in_place: ("events of the table are selected", "treated alone", 1),
    wrong_length: ("incompatible shapes", "whole arrays", 1),
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_refusal_names_the_line(function):
    what, advice, offset = REFUSED[function]
    with pytest.raises(PortingError) as refusal:
        to_jax(FunctionAmplitude(lambda: None, function), STRUCTURED, parameters={"a": 0.7, "b": 0.4})
    text = str(refusal.value)
    line = function.__code__.co_firstlineno + offset
    source = Path(__file__).read_text().splitlines()[line - 1].strip()
    assert what in text
    assert f"{Path(__file__).name}:{line}, in " in text
    assert source in text
    assert advice in text


class Removed(NestedFunction):
    def __init__(self, name):
        self.name = name

    def setup(self, data):
        self.x = data["x"]

    def calculate(self, params):
        return params["a"] * getattr(np, self.name)(1) * self.x**2


@pytest.mark.parametrize(("name", "instead"), [("complex", "numpy.complex128"), ("float", "numpy.float64")])
def test_types_that_numpy_dropped(name, instead):
    with pytest.raises(PortingError, match=rf"(?s)numpy\.{name} does not exist.*in calculate: .*Write .*{instead}"):
        to_jax(Removed(name), STRUCTURED)


def test_harmonics_that_scipy_dropped():
    def old(data, params):
        return params["a"] * np.abs(scipy.special.sph_harm(0, 1, data["x"], data["y"])) ** 2

    with pytest.raises(PortingError, match=r"in old: .*sph_harm\(0, 1.*\nWrite sph_harm_y\(l, m, polar, azimuth\)"):
        to_jax(FunctionAmplitude(lambda: None, old), STRUCTURED)


def test_refusal_inside_a_helper_class_names_the_helpers_line():
    class Helper:
        def width(self, m):
            return m if m > 0 else -m

    class Using(NestedFunction):
        def setup(self, data):
            self.y, self.helper = data["y"], Helper()

        def calculate(self, params):
            return self.helper.width(params["a"]) * self.y

    with pytest.raises(PortingError, match=r"in width: return m if m > 0 else -m\n"):
        to_jax(Using(), STRUCTURED)


def test_port_that_differs_is_refused_with_event_and_both_values():
    state = {"calls": 0}

    def drifting(data, params):
        state["calls"] += 1
        return params["a"] * data["y"] + state["calls"]

    with pytest.raises(
        PortingError, match=r"differ at \{'a': .*\}: event \d+ is .* in the original and .* in the port"
    ):
        to_jax(FunctionAmplitude(lambda: None, drifting), STRUCTURED)


def test_random_numbers_are_refused():
    def random(data, params):
        return params["a"] * data["y"] * np.random.default_rng().uniform(size=len(data["y"]))

    with pytest.raises(PortingError, match="random numbers"):
        to_jax(FunctionAmplitude(lambda: None, random), STRUCTURED)


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_nothing_to_compare_is_refused(value):
    with pytest.raises(PortingError, match=r"NaN or 0 for all events at all points.*parameters=\{'a': 1.0"):
        to_jax(FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["y"] * value), STRUCTURED)


def test_rounded_parameters_are_refused_by_the_gradient():
    def stepped(data, params):
        return (np.round(params["a"] * 1e7) / 1e7 + 1) * data["y"]

    with pytest.raises(PortingError, match="different derivatives"):
        to_jax(FunctionAmplitude(lambda: None, stepped), STRUCTURED)


def test_slope_that_is_not_finite_is_reported():
    def root(data, params):
        return np.sqrt(np.where(data["x"] > 0, params["a"] * 0, 1.0)) + params["b"] * data["y"]

    report = to_jax(FunctionAmplitude(lambda: None, root), STRUCTURED).report
    assert report.gradient_deviation is None
    assert "derivative by 'a' is not finite" in report.notes[0]
    assert "not compared" in str(report)


def test_errors_of_the_users_own_code_come_through():
    def broken(data, params):
        raise ZeroDivisionError(params["a"])

    with pytest.raises(ZeroDivisionError):
        to_jax(FunctionAmplitude(lambda: None, broken), STRUCTURED)
    with pytest.raises(KeyError, match="z"):
        to_jax(FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["z"]), FRAME)


def test_wrong_arguments_are_named():
    with pytest.raises(PortingError, match="got the class Removed"):
        to_jax(Removed, STRUCTURED)
    with pytest.raises(PortingError, match="got function"):
        to_jax(lambda p, d: d["x"], STRUCTURED)
    with pytest.raises(ValueError, match="needs events"):
        to_jax(FunctionAmplitude(lambda: None, mean), STRUCTURED[:0])
    with pytest.raises(TypeError, match="dict of typical values or a list"):
        to_jax(FunctionAmplitude(lambda: None, lambda d, p: d["x"]), STRUCTURED, parameters="a")
    with pytest.raises(PortingError, match=r"float64 of shape \(\) for 200 events"):
        to_jax(FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["x"].sum()), STRUCTURED)


def test_text_columns_are_refused_where_they_are_read():
    frame = FRAME.assign(name="rho")
    amplitude = FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["y"] * (d["name"] == "rho"))
    with pytest.raises(PortingError, match="column 'name', which holds no numbers"):
        to_jax(amplitude, frame)
    to_jax(FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["y"]), frame)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda d, p: p["a"] * d["y"].to_numpy() * len(list(d.iterrows())), r"\.iterrows of the table"),
        (lambda d, p: p["a"] * d["y"] * d.index.to_numpy(), r"\.index of the table"),
        (lambda d, p: p["a"] * d["y"] * d["y"].index.to_numpy(), "index of a column is read"),
        (lambda d, p: p["a"] * d["y"].rolling(3).sum().fillna(1.0), r"\.rolling is not known"),
        (lambda d, p: p["a"] * d["y"] * len(d["y"].tolist()), r"\.tolist\(\) asks for Python numbers"),
    ],
)  # fmt: skip
def test_what_frames_can_and_ports_can_not(function, match):
    with pytest.raises(PortingError, match=match):
        to_jax(FunctionAmplitude(lambda: None, function), FRAME)


def test_missing_names_are_the_engines_to_report():
    port = to_jax(FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["y"]), FRAME)
    with pytest.raises(ValueError, match="needs parameter a"):
        jaxpwa.evaluate(port, {"b": 1.0}, FRAME)
    with pytest.raises(ValueError, match="reads column 'y', which the data do not have"):
        jaxpwa.evaluate(port, {"a": 1.0}, {"x": np.ones(3)})


def test_refusal_is_a_type_error():
    assert issubclass(PortingError, TypeError)


def test_array_as_a_whole_is_refused_where_it_has_named_columns():
    sample = FRAME[["x", "y"]].to_records(index=False).view(np.ndarray)
    with pytest.raises(PortingError, match="turned into an array as a whole"):
        to_jax(FunctionAmplitude(lambda: None, lambda d, p: p["a"] * d["y"] * len(np.array(d).dtype.names)), sample)
