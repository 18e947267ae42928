"""Expressions of numexpr mean the same in JAX; numexpr itself is the oracle."""

import numexpr
import numpy as np
import pytest
from numexpr import evaluate
from scipy.special import sph_harm_y

import jaxpwa
from jaxpwa_compat.amplitudes import FunctionAmplitude, NestedFunction
from jaxpwa_compat.porting import PortingError, to_jax
from jaxpwa_compat.porting.expressions import compiled
from jaxpwa_compat.porting.traced import wrap

RNG = np.random.default_rng(2)
N = 200
DATA = {
    "x": RNG.normal(size=N),
    "y": RNG.uniform(0.1, 2.0, N),
    "theta": RNG.uniform(0, np.pi, N),
    "phi": RNG.uniform(-3, 3, N),
}
OFFSET = 0.25

f, g = np.array([-7.0, 7, 3, -3]), np.array([0.5, 2, 0.1, 1])
VALUES = {
    "f": f, "g": g, "i": np.array([-7, 7, 3, -3]), "j": np.array([2, -2, 2, -2]), "b": f > 0, "c": f + 1j * g,
    "u": f / 8,
}  # fmt: skip
EXPRESSIONS = """
f+g*2 f-g f/g f//2 f%2 f%j i%j i//j i/j i/2 1/2*f f**2 f**3 f**-2 g**0.5 c**2 c**0.5 2**f g**f f**20 -f +f f*1j
b&(f>1) b|(i<0) ~b i&j i|j i^j i<<1 i>>1 f<g f<=3 f>g f>=3 i==3 f!=3 c==c (f>1)==b b*f b*2 True*f
where(b,f,0) where(f>g,c,0) where(b,i,2.5) sqrt(g) sqrt(c) abs(f) abs(c) abs(i) real(c) imag(c) c.real c.imag real(f)
conj(c) conj(f) complex(f,g) complex(f,1) exp(f) exp(c) expm1(f) log(g) log(c) log10(g) log2(g) log1p(g) sin(f) cos(f)
tan(f) arcsin(u) arccos(u) arctan(f) arctan2(f,g) sinh(u) cosh(u) tanh(f) arcsinh(f) arccosh(g+1) arctanh(u)
floor(f) ceil(g) trunc(f*1.5) round(g) sign(f) fmod(f,2) fmod(i,j) hypot(f,g) maximum(f,g) minimum(f,0) isnan(f)
isfinite(c) isinf(f) signbit(f) copysign(g,f) ones_like(f) exp(-((f-1)**2/(2*g**2)))/(g*2.5)
""".split()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression_means_the_same(expression):
    wanted = numexpr.evaluate(expression, VALUES, {})
    found = compiled(expression, {name: wrap(value) for name, value in VALUES.items()}).value
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)
    assert found.dtype.kind == wanted.dtype.kind


class WithDict(NestedFunction):
    def setup(self, data):
        self._x, self._y = data["x"], data["y"]

    def calculate(self, params):
        return numexpr.evaluate(
            "(1/(a2*a4)) * exp(-((((x-a1)**2)/(a2**2))+(((y-a3)**2)/(a4**2))))",
            local_dict={
                "a1": params["A1"], "a2": params["A2"], "a3": params["A3"], "a4": params["A4"],
                "x": self._x, "y": self._y,
            },
        )  # fmt: skip


class WithFrame(WithDict):
    def calculate(self, params):
        a1, a2, a3, a4 = (params[f"A{k}"] for k in (1, 2, 3, 4))
        x, y = self._x, self._y
        return evaluate("exp(-((x-a1)**2/a2**2 + (y-a3)**2/a4**2))/(a2*a4)") + 0 * (a1 + a2 + a3 + a4 + x + y)


class Precomputed(NestedFunction):
    """Parts computed by numexpr in setup, globals and constants in expressions, several calls."""

    def setup(self, data):
        theta, phi = data["theta"], data["phi"]
        self.wave = sph_harm_y(1, 1, theta, phi)
        self.weight = evaluate("1 + OFFSET * cos(theta)**2")
        self.fixed = evaluate("3 * OFFSET")

    def calculate(self, params):
        amplitude = numexpr.evaluate("(re + 1j*im) * wave + fixed", {
            "re": params["r.1.1.1"], "im": params["i.1.1.1"], "wave": self.wave, "fixed": self.fixed,
        })  # fmt: skip
        return evaluate("weight * real(amplitude * conj(amplitude))", {"weight": self.weight, "amplitude": amplitude})


@pytest.mark.parametrize("amplitude", [WithDict(), WithFrame(), Precomputed()], ids=lambda a: type(a).__name__)
def test_class_with_expressions(amplitude):
    port = to_jax(amplitude, DATA)
    point = {name: 0.8 + 0.1 * k for k, name in enumerate(port.parameters)}
    amplitude.setup(DATA)
    np.testing.assert_allclose(jaxpwa.evaluate(port, point, DATA), amplitude.calculate(point), rtol=1e-11)
    assert "numexpr" in port.report.kind
    assert any(name.startswith("numexpr '") for name in port.report.replaced)


def test_expression_compiled_beforehand():
    class Compiled(NestedFunction):
        def setup(self, data):
            self.x = data["x"]
            self.compiled = numexpr.NumExpr("a * x**2 + 1", [("x", np.float64), ("a", np.float64)])

        def calculate(self, params):
            return self.compiled(self.x, params["a"])

    to_jax(Compiled(), DATA)


def test_expression_evaluated_again():
    def processing(data, params):
        x, a = data["x"], params["a"]
        first = numexpr.evaluate("a * x**2")
        x, a = data["y"], 2.0
        return first + numexpr.re_evaluate({"x": x, "a": a}) + 0 * a

    to_jax(FunctionAmplitude(lambda: None, processing), DATA)


def test_validated_expression():
    def processing(data, params):
        values = {"x": data["x"], "a": params["a"]}
        assert numexpr.validate("a * x**2", values) is None
        return numexpr.re_evaluate(values)

    to_jax(FunctionAmplitude(lambda: None, processing), DATA)


@pytest.mark.parametrize(
    ("expression", "what"),
    [("sum(x * a)", "several events"), ("where(contains(s, s), a * x, x)", r"contains\(s, s\)")],
)
def test_reductions_and_text_are_refused(expression, what):
    s = np.array(b"a")

    def processing(data, params):
        return numexpr.evaluate(expression, {"x": data["x"], "a": params["a"], "s": s}) * data["x"]

    with pytest.raises(PortingError, match=rf"{what}.*(\n.*)*in processing: return numexpr.evaluate"):
        to_jax(FunctionAmplitude(lambda: None, processing), DATA)


def test_result_written_into_an_array_is_refused():
    def processing(data, params):
        out = np.empty(len(data["x"]))
        numexpr.evaluate("a * x", {"x": data["x"], "a": params["a"]}, out=out)
        return out

    with pytest.raises(PortingError, match=r"(?s)writes its result into an array.*out=out.*without out="):
        to_jax(FunctionAmplitude(lambda: None, processing), DATA)
