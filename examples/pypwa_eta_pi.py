"""An eta-pi analysis in PyPWA's style, in bins of mass, before and after porting it to JAX.

Six waves in each of twenty mass bins: complex couplings by name, harmonics computed once in `setup`, an extended
likelihood with accepted Monte Carlo. The data are simulated with an a0(980) in S, a weak exotic P and an a2(1320) in D
wave, behind a detector that loses forward events. Every bin is fitted as PyPWA does it, numpy in worker processes and
MINUIT on differences, and again with the same class ported by `to_jax`. Then the couplings predict the data back.

    python examples/pypwa_eta_pi.py            full size
    python examples/pypwa_eta_pi.py --quick    three bins of few events
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import sph_harm_y

import jaxpwa as jp
import jaxpwa_compat as pwa  # was: import PyPWA as pwa

WAVES = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]  # l, m; one reflectivity
REFERENCE = "i.1.0.0"  # the phase of the S wave is that of all, and no data tell it
SEED = 20251125


class EtaPi(pwa.NestedFunction):
    """|sum of V_lm Y_lm|^2 with V = r.1.l.m + i i.1.l.m."""

    def __init__(self, waves):
        super().__init__()
        self.__waves = list(waves)

    def setup(self, data):
        theta, phi = np.arccos(data["cos_theta"]), data["phi"]
        self.__harmonics = [sph_harm_y(ell, m, theta, phi) for ell, m in self.__waves]

    def calculate(self, params):
        total = np.zeros(len(self.__harmonics[0]), dtype=complex)
        for (ell, m), y in zip(self.__waves, self.__harmonics, strict=True):
            total += (params[f"r.1.{ell}.{m}"] + 1j * params[f"i.1.{ell}.{m}"]) * y
        return np.abs(total) ** 2


def breit_wigner(mass, m0, width):
    """Relativistic Breit-Wigner of constant width, 1 at its pole but for the phase."""
    return m0 * width / (m0**2 - mass**2 - 1j * m0 * width)


def truth(mass, yield_scale):
    """Return the couplings at a mass: what the data are made with."""
    s = 0.9 * breit_wigner(mass, 0.98, 0.10) + 0.35
    exotic = 0.35 * np.exp(0.6j) * breit_wigner(mass, 1.56, 0.45)
    a2 = breit_wigner(mass, 1.318, 0.11)
    values = {(0, 0): s, (1, 0): exotic, (1, 1): 0.8 * exotic, (2, 0): 0.5 * a2, (2, 1): 1.2 * a2, (2, 2): 0.4 * a2}
    turn = np.exp(-1j * np.angle(s)) * np.sqrt(4 * np.pi * yield_scale)
    params = {}
    for (ell, m), value in values.items():
        value = value * turn
        params[f"r.1.{ell}.{m}"], params[f"i.1.{ell}.{m}"] = float(value.real), float(value.imag)
    params[REFERENCE] = 0.0
    return params


def accepted(rng, table):
    """Say which events a detector sees that loses three quarters of them towards cos(theta) = 1."""
    return rng.uniform(size=len(table)) < 0.9 - 0.35 * (table["cos_theta"].to_numpy() + 1)


def flat(rng, n_events, low, high):
    """Return phase space in one mass bin."""
    columns = {"mass": (low, high), "cos_theta": (-1, 1), "phi": (-np.pi, np.pi)}
    return pd.DataFrame({name: rng.uniform(*limits, n_events) for name, limits in columns.items()})


def make_bin(number, low, high, sizes):
    """Return data, generated and accepted Monte Carlo and the true couplings of a bin."""
    rng = np.random.default_rng([SEED, number])
    n_data, n_mc = sizes
    params = truth((low + high) / 2, n_data)
    generated = flat(rng, n_mc, low, high)
    monte_carlo = generated[accepted(rng, generated)].reset_index(drop=True)
    sample = flat(rng, 8 * n_data, low, high)
    np.random.seed(number)
    intensities, maximum = pwa.simulate.process_user_function(EtaPi(WAVES), sample, params, 0)
    # As many events as the intensity says: its mean over phase space is the yield.
    sample = sample[pwa.simulate.make_rejection_list(intensities, maximum)]
    n_true = min(len(sample), np.random.poisson(intensities.mean()))
    sample = sample[:n_true]
    return sample[accepted(rng, sample)].reset_index(drop=True), generated, monte_carlo, params


def start_of(params, number):
    """Return a start near the truth, as the last bin's result would be."""
    rng = np.random.default_rng([SEED, number, 1])
    scale = np.sqrt(np.mean(np.square(list(params.values()))))
    return {name: 0.0 if name == REFERENCE else v + 0.2 * scale * rng.normal() for name, v in params.items()}


def fit_pypwa(data, monte_carlo, n_generated, start):
    """Fit a bin as PyPWA does it."""
    with pwa.LogLikelihood(EtaPi(WAVES), data, monte_carlo, generated_length=n_generated) as likelihood:
        minuit = pwa.minuit(start, likelihood)
        minuit.fixed[REFERENCE] = True
        minuit.migrad(ncall=20_000)
    return minuit


def wave_yields(params, generated, port):
    """Return the acceptance-corrected yield of S, P, D and of all waves: means over generated phase space."""
    yields = {}
    for name, chosen in {"S": [0], "P": [1], "D": [2], "all": [0, 1, 2]}.items():
        part = {k: v if int(k.split(".")[2]) in chosen else 0.0 for k, v in params.items()}
        yields[name] = float(jp.evaluate(port, part, generated).mean())
    return yields


def plot(bins, path):
    """Draw the waves' yields against mass with the truth, and the data's angles with the prediction."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    centres = [b["centre"] for b in bins]
    for wave, colour in {"all": "k", "S": "C0", "P": "C2", "D": "C3"}.items():
        left.errorbar(
            centres,
            [b["fitted"][wave] for b in bins],
            [b["spread"][wave] for b in bins],
            fmt="o",
            ms=4,
            color=colour,
            label=f"{wave} wave" if wave != "all" else "all waves",
        )
        left.plot(centres, [b["true"][wave] for b in bins], color=colour, lw=1)
    left.set(
        xlabel=r"$m(\eta\pi)$ / GeV", ylabel="events, acceptance corrected", title="fit (points) and truth (lines)"
    )
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    edges = np.linspace(-1, 1, 31)
    data = np.concatenate([b["data"]["cos_theta"] for b in bins])
    n, _ = np.histogram(data, edges)
    predicted = sum(np.histogram(b["mc"]["cos_theta"], edges, weights=b["weights"])[0] for b in bins)
    middle = (edges[1:] + edges[:-1]) / 2
    right.errorbar(middle, n, np.sqrt(n), fmt="k.", label="data")
    right.stairs(predicted, edges, color="C3", label="prediction from accepted Monte Carlo")
    right.set(xlabel=r"$\cos\theta$", ylabel=f"events / {edges[1] - edges[0]:.2g}", title="all bins")
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return float(np.sum((n - predicted) ** 2 / np.maximum(n, 1))), len(n)


def main(arguments=None):
    """Run the analysis and return what each bin gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three bins of few events")
    parser.add_argument("--output", type=Path, default=Path("pypwa_eta_pi.png"), help="where the picture goes")
    options = parser.parse_args(arguments)
    n_bins, sizes = (3, (3_000, 6_000)) if options.quick else (20, (10_000, 60_000))
    edges = np.linspace(0.8, 1.8, n_bins + 1)

    bins, seconds, port = [], {"numpy": 0.0, "JAX": 0.0}, None
    for number, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        data, generated, monte_carlo, true = make_bin(number, low, high, sizes)
        start = start_of(true, number)
        began = time.perf_counter()
        minuit = fit_pypwa(data, monte_carlo, len(generated), start)
        seconds["numpy"] += time.perf_counter() - began

        began = time.perf_counter()
        if port is None:
            port = pwa.to_jax(EtaPi(WAVES), data, parameters=start)
            print(f"{port.report}\n")
        cost = jp.ExtendedNLL(port, data, monte_carlo, n_generated=len(generated))
        result = jp.fit(cost, start, fixed=REFERENCE)
        seconds["JAX"] += time.perf_counter() - began
        weights = jp.evaluate(port, result.values, monte_carlo) / len(generated)
        print(
            f"{low:.2f} to {high:.2f} GeV: {len(data)} events, {weights.sum():.1f} predicted; FCN {minuit.fval:.3f} in "
            f"{minuit.nfcn} values, {result.fval:.3f} in {sum(result.calls.values())} values, gradients and Hessians"
        )
        if not result.valid:
            sys.exit(result.message)
        if result.fval > minuit.fval + 1e-3:
            sys.exit("the ported amplitude found a higher minimum")
        spread = sampled_yields(result, generated, port)
        bins.append(
            {
                "centre": (low + high) / 2,
                "fitted": wave_yields(result.values, generated, port),
                "true": wave_yields(true, generated, port),
                "spread": spread,
                "data": data,
                "mc": monte_carlo,
                "weights": weights,
                "result": result,
            }
        )
    print(f"\n{bins[-1]['result']}\n")
    print(
        f"fits of all bins: numpy in processes {seconds['numpy']:.2f} s; ported, with porting and compilation, ", end=""
    )
    print(f"{seconds['JAX']:.2f} s: {seconds['numpy'] / seconds['JAX']:.1f} times as fast")
    chi2, n = plot(bins, options.output)
    print(f"prediction against data in cos(theta): chi2 {chi2:.1f} for {n} entries")
    print(f"picture: {options.output}")
    return bins


def sampled_yields(result, generated, port, n_samples=60):
    """Return the spread of the waves' yields over couplings drawn from the fit's covariance matrix."""
    rng = np.random.default_rng(SEED)
    names = list(result.values)
    draws = rng.multivariate_normal(list(result.values.values()), result.covariance, n_samples)
    few = generated[:4000]
    yields = [wave_yields(dict(zip(names, x.tolist(), strict=True)), few, port) for x in draws]
    return {wave: float(np.std([y[wave] for y in yields])) for wave in yields[0]}


if __name__ == "__main__":
    main()
