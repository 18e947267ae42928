"""Polarised rho photoproduction, gamma p -> rho0 p -> pi+ pi- p: unextended and extended fits.

With --data FOLDER, or JAXPWA_DATA pointing at the data collection, the fits run on its files RHOw.csv and
flat_data.csv; else on a sample that the example generates itself.

    python examples/rho.py
    python examples/rho.py --quick
"""

import argparse
import os
from pathlib import Path

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp

HERE = Path(__file__).resolve().parent


def intensity(p, d):
    """s-channel helicity conservation: sin^2(theta), cos(2 psi) with the polarisation A2, slope 6 / GeV^2 in t."""
    return p["A1"] * jnp.exp(6 * d["tM"]) * (1 - d["ctheta"] ** 2) * (1 + p["A2"] * jnp.cos(2 * d["psi"]))


def find_data(folder):
    """Return the folder with the real events, or None."""
    inside = Path("pypwa/tests/test_data/docs/program_data/rho")
    collection = Path(os.environ.get("JAXPWA_DATA", HERE.parent.parent / "shared" / "data"))
    for candidate in (folder, collection / inside):
        if candidate is not None and (candidate / "RHOw.csv").exists():
            return candidate
    return None


def generate(n_flat):
    """Return data and Monte Carlo: flat in angles, and t as the beam sees it."""
    rng = np.random.default_rng(7)
    flat = {
        "ctheta": rng.uniform(-1, 1, n_flat),
        "psi": rng.uniform(-np.pi, np.pi, n_flat),
        "tM": -rng.exponential(0.2, n_flat),
    }
    mask, report = jp.rejection_sample(1, intensity, {"A1": 100.0, "A2": 0.4}, flat)
    print(f"generated: {report}")
    mc = {name: rng.permutation(values) for name, values in flat.items()}
    return {name: values[mask] for name, values in flat.items()}, mc


def main(arguments=None):
    """Run both fits and return their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small generated sample")
    parser.add_argument("--data", type=Path, help="folder with RHOw.csv and flat_data.csv")
    options = parser.parse_args(arguments)
    folder = None if options.quick else find_data(options.data)
    if folder is None:
        data, mc = generate(5_000 if options.quick else 200_000)
        n_generated = len(mc["psi"])
    else:
        print(f"events: {folder}")
        data, mc = jp.read(folder / "RHOw.csv"), jp.read(folder / "flat_data.csv")
        n_generated = 2499

    # The scale A1 cancels in no likelihood without normalisation: it is fixed here, and fitted below.
    unextended = jp.fit(jp.UnbinnedNLL(intensity, data), {"A1": 5.0, "A2": 0.375}, fixed="A1", minos=True)
    print(unextended, "\n")
    extended = jp.fit(jp.ExtendedNLL(intensity, data, mc, n_generated), {"A1": 5000.0, "A2": 0.3})
    print(extended)
    print(f"correlation {extended.correlation[0, 1]:.3f}")
    return unextended, extended


if __name__ == "__main__":
    main()
