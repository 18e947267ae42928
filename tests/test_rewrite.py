"""Evaluating a formula again with reciprocals with cheaper operations changes its value in the last bits at most."""

import numpy as np
import pytest

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

from jaxpwa.engine.precompute import simplified


def with_reciprocals(model, a, x):
    return simplified(lambda numbers, columns: model(numbers[0], columns[0]), (a,), (x,))


X = jnp.linspace(0.1, 2, 50)
A = jnp.asarray(0.7)


@jax.custom_jvp
def softly(x):
    return jnp.log1p(jnp.exp(x))


@softly.defjvp
def _(primals, tangents):
    return softly(*primals), jax.nn.sigmoid(primals[0]) * tangents[0]


MODELS = {
    "plain": lambda a, x: jnp.exp(-((x / a) ** 2)) / a,
    "nested jit": lambda a, x: jax.jit(lambda y: y / a + jnp.where(y > a, y, y / (a * a)))(x),
    "vmap": lambda a, x: jax.vmap(lambda y: y / a)(x),
    "scan": lambda a, x: jax.lax.scan(lambda c, k: (c / a + k, None), x, jnp.arange(3.0))[0],
    "cond": lambda a, x: jax.lax.cond(a > 0.5, lambda y: y / a, lambda y: y, x),
    "while": lambda a, x: jax.lax.fori_loop(0, 3, lambda i, y: y / a, x),
    "custom derivative": lambda a, x: softly(x / a) / a,
    "complex": lambda a, x: abs(x / (a - x - 0.1j)) ** 2,
    "complex by scalar": lambda a, x: jnp.real((x + 1j) / a),
    "by a constant": lambda a, x: a * x / 3.0,
    "by a column": lambda a, x: a / x,
    "of scalars": lambda a, x: (1 / (a / 3)) * x,
    "closure": lambda a, x: jnp.asarray(np.arange(50.0)) * x / a,
    "integers": lambda a, x: (jnp.arange(50) // 2) * x / a,
    "two outputs inside": lambda a, x: (
        jnp.linalg.eigh(jnp.stack([jnp.stack([a, 1 / a]), jnp.stack([1 / a, a])]))[0][1] * x
    ),
    "untouched": lambda a, x: x,
    "sum of complex products": lambda a, x: abs((a + 2j * a) * jnp.exp(1j * x) - (x - 1j) * jnp.exp(-1j * a * x)) ** 2,
    "conjugates and parts": lambda a, x: (jnp.conj(a * jnp.exp(1j * x)) * (1j * x + a)).real - (1j * a * x).imag,
    "complex matrix": lambda a, x: jnp.abs(jnp.stack([x, 1j * x], -1) @ jnp.stack([a, 2j * a])) ** 2,
    "complex by complex": lambda a, x: abs((a + 1j * x) / (x + 1j * a)) ** 2,
    "phase": lambda a, x: jnp.angle(a + 1j * x) + jnp.sqrt(a + 1j * x).real + jnp.abs(a * x - 1j),
    "modulus times itself": lambda a, x: jnp.abs(a + 1j * x) * jnp.abs(a + 1j * x),
    "select of complex": lambda a, x: jnp.where(x > 1, a + 1j * x, a * x * 1j).imag,
    "real and complex": lambda a, x: (x * (a + 1j) + jnp.real(a * 1j) + 0j * x).real,
}


@pytest.mark.parametrize("name", MODELS)
def test_values_and_derivatives_stay(name):
    model = MODELS[name]

    def rewritten(a, x):
        return with_reciprocals(model, a, x)

    # One unit in the last place of x / a, times up to ten in the exponent.
    np.testing.assert_allclose(rewritten(A, X), model(A, X), rtol=5e-15)
    for function in (jax.grad, lambda f: jax.jit(jax.grad(f))):
        ours, theirs = (function(lambda a, f=f: f(a, X).sum())(A) for f in (rewritten, model))
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    if name not in ("while", "two outputs inside"):
        check_grads(lambda a: rewritten(a, X), (A,), order=2, modes=["rev"], rtol=1e-4)


def test_divisions_by_scalars_are_gone_and_others_stay():
    def names(function):
        return [eqn.primitive.name for eqn in jax.make_jaxpr(function)(A, X).jaxpr.eqns]

    rewritten = lambda a, x: with_reciprocals(lambda a, x: jax.jit(lambda y: y / a)(x) + a / x, a, x)  # noqa: E731
    wide = [
        e for e in jax.make_jaxpr(rewritten)(A, X).jaxpr.eqns if e.primitive.name == "div" and e.outvars[0].aval.ndim
    ]
    assert len(wide) == 1
    assert "mul" in names(rewritten)
