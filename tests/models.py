"""Models of the tests, each with an oracle in plain numpy that shares no code with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import jax.numpy as jnp

ROOT = Path(__file__).parents[1]

TRUE_GAUSS = {"A1": 10.0, "A2": 3.0, "A3": 10.0, "A4": 3.0}


def gauss(p, d):
    u, v = (d["x"] - p["A1"]) / p["A2"], (d["y"] - p["A3"]) / p["A4"]
    return jnp.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])


def gauss_nll(p, x, y, weights=1.0):
    """-sum w ln I written out: ln I is known in closed form."""
    logs = -np.log(p["A2"] * p["A4"]) - ((x - p["A1"]) / p["A2"]) ** 2 - ((y - p["A3"]) / p["A4"]) ** 2
    return -np.sum(weights * logs)


def gauss_sample(n, seed=3):
    """Events of the Gauss itself: I = exp(-u^2) means a standard deviation of A2 / sqrt(2)."""
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(10, 3 / np.sqrt(2), n), "y": rng.normal(10, 3 / np.sqrt(2), n)}


def rho(p, d):
    return p["A1"] * jnp.exp(6 * d["tM"]) * (1 - d["ctheta"] ** 2) * (1 + p["A2"] * jnp.cos(2 * d["psi"]))


def rho_numpy(a1, a2, table):
    t, c, psi = (np.asarray(table[n]) for n in ("tM", "ctheta", "psi"))
    return a1 * np.exp(6 * t) * (1 - c**2) * (1 + a2 * np.cos(2 * psi))


def rho_events(folder: Path):
    return pd.read_csv(folder / "RHOw.csv"), pd.read_csv(folder / "flat_data.csv")


def central_gradient(function, params, relative=1e-6):
    """Gradient by central differences of a function of a dict."""
    out = {}
    for name, value in params.items():
        step = relative * max(1.0, abs(value))
        up, down = ({**params, name: value + s * step} for s in (1, -1))
        out[name] = (function(up) - function(down)) / (2 * step)
    return out


def run_with_devices(script: str, n_devices: int, *arguments: str, timeout: float = 300):
    """Run a script in a fresh process with this many CPU devices; it prints one line of JSON."""
    env = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    env["JAXPWA_CPU_DEVICES"] = str(n_devices)
    env["PYTHONPATH"] = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True, text=True, env=env, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])
