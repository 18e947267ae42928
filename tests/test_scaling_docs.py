"""What docs/scaling.md says of costs is what the code does, and its formula is the benchmark's."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from models import ROOT

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.engine.sums import compiled_sum
from jaxpwa.inference.traceable import event_terms

TEXT = (ROOT / "docs" / "scaling.md").read_text()

FORMULA = """
from benchmarks.costmodel import Machine
three = lambda *values: dict(zip(("value", "gradient", "hessian"), values))
m = Machine(three(2e-9, 5e-9, 5e-8), three(1e-4, 2e-4, 3e-4), three(0.0, 0.0, 0.0), three(1e-5, 2e-5, 3e-5))
print(m.call(1e9, 1, "value"), m.call(1e9, 64, "gradient"), m.fit(1e9, 64, {"value": 2, "gradient": 30}))
print(m.break_even(64, "gradient"), m.most_useful(1e9, "gradient"))
"""


def test_the_formula_of_the_benchmark_is_that_of_the_text():
    pytest.importorskip("matplotlib")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA"))}
    done = subprocess.run(
        [sys.executable, "-c", FORMULA], cwd=ROOT, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = [float(word) for word in done.stdout.split()]
    gradient = 1e9 * 5e-9 / 64 + 2e-4 + 63 * 2e-5
    value = 1e9 * 2e-9 / 64 + 1e-4 + 63 * 1e-5
    expected = [2.0001, gradient, 2 * value + 30 * gradient, (63 * 2e-5 + 2e-4) / 5e-9, math.sqrt(1e9 * 5e-9 / 2e-5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [4, 11])
def test_a_device_gives_one_row_of_value_derivatives_and_parameters(n):
    names = [f"p{i}" for i in range(n)]
    cost = jp.UnbinnedNLL(lambda p, d: 1 + sum(p[k] for k in names) * d["x"] ** 2, {"x": np.linspace(0, 1, 50)})
    (term,) = event_terms(cost._terms)
    rows = [compiled_sum(term.total.spec, k)(jnp.ones(n), term.total.arrays)[0] for k in range(3)]
    # Parameters follow where a mesh spans processes.
    sizes = [8 * (len(row) + n) for row in rows]
    lines = [line for line in TEXT.splitlines() if re.match(r"\| (value|and gradient|and Hessian) \|", line)]
    told = [int(re.findall(r"(\d+) bytes", line)[[4, 11].index(n)]) for line in lines]
    assert told == sizes


def test_its_commands_and_files_are_there():
    for module in set(re.findall(r"python -m (benchmarks\.\w+)", TEXT)):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    for path in set(re.findall(r"examples/\w+\.py|benchmarks/\w+\.py", TEXT)):
        assert (ROOT / path).exists(), path
    for name in set(re.findall(r"`jp\.(\w+)", TEXT)):
        assert hasattr(jp, name), name
