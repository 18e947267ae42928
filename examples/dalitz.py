"""Dalitz analysis of D0 -> K_S0 pi+ pi- with five resonances: simulation, fit, its quality, fit fractions, pictures.

    python examples/dalitz.py
    python examples/dalitz.py --quick --plots dalitz

The Dalitz plot, its three projections, and the fit fractions with their interferences go to the folder after --plots,
if there is one.
"""

import argparse
from pathlib import Path

import numpy as np

import jaxpwa as jp
from jaxpwa.physics import (
    Chain,
    ThreeBodyDecay,
    blatt_weisskopf,
    flatte,
    generate_unweighted,
    gounaris_sakurai,
    invariants,
    isobar_model,
    real_breakup_momentum,
    relativistic_breit_wigner,
)

D0, KAON, PION, CHARGED_KAON = 1.86484, 0.497611, 0.139570, 0.493677
MASSES = (KAON, PION, PION)  # 1: K_S0, 2: pi+, 3: pi-; a chain is named by its spectator
TITLES = {
    "rho(770)": "$\\rho(770)$",
    "K*(892)-": "$K^*(892)^-$",
    "f0(980)": "$f_0(980)$",
    "K0*(1430)-": "$K_0^*(1430)^-$",
    "K2*(1430)-": "$K_2^*(1430)^-$",
}
PAIRS = {"m23": "$\\pi^+\\pi^-$", "m31": "$K_S^0\\pi^-$", "m12": "$K_S^0\\pi^+$"}


def k_star(mass, width, spin):
    """Breit-Wigner in K_S0 pi-, with the barriers of its decay and of its production."""

    def shape(p, m):
        decay = blatt_weisskopf(spin, real_breakup_momentum(m, KAON, PION))
        production = blatt_weisskopf(spin, real_breakup_momentum(D0, m, PION))
        return decay * production * relativistic_breit_wigner(m, p[mass], p[width], KAON, PION, spin)

    return shape


def rho(p, m):
    """Gounaris and Sakurai's rho(770), with the barrier of its production."""
    barriers = blatt_weisskopf(1, real_breakup_momentum(m, PION, PION)) * blatt_weisskopf(
        1, real_breakup_momentum(D0, m, KAON)
    )
    return barriers * gounaris_sakurai(m, p["m rho(770)"], p["w rho(770)"], PION)


def f0(p, m):
    """f0(980) of Flatte, with couplings to pi pi and K anti-K."""
    return flatte(m, 0.965, [0.41, 0.86], [(PION, PION), (CHARGED_KAON, CHARGED_KAON)])


CHAINS = [
    Chain("rho(770)", 1, 1, rho),
    Chain("K*(892)-", 2, 1, k_star("m K*(892)", "w K*(892)", 1)),
    Chain("f0(980)", 1, 0, f0),
    Chain("K0*(1430)-", 2, 0, k_star("m K0*(1430)", "w K0*(1430)", 0)),
    Chain("K2*(1430)-", 2, 2, k_star("m K2*(1430)", "w K2*(1430)", 2)),
]
LINES = {"m rho(770)": 0.77526, "w rho(770)": 0.1491, "m K*(892)": 0.89167, "w K*(892)": 0.0514}
FIXED = {"m K0*(1430)": 1.425, "w K0*(1430)": 0.27, "m K2*(1430)": 1.4273, "w K2*(1430)": 0.1}
COUPLINGS = {
    "rho(770)": 1.0,
    "K*(892)-": 1.0 * np.exp(2.3j),
    "f0(980)": 1.2 * np.exp(-2.6j),
    "K0*(1430)-": 2.5 * np.exp(0.2j),
    "K2*(1430)-": 0.2 * np.exp(-0.7j),
}


def phase_space(seed, n_events):
    """Flat Dalitz plot: four-vectors of phase space, and their invariant masses."""
    sigma = invariants(*generate_unweighted(seed, D0, MASSES, n_events))
    return jp.Dataset({name: np.sqrt(np.asarray(s)) for name, s in zip(PAIRS, sigma, strict=True)})


def passed(events, seed):
    """Events that the detector keeps: fewer towards the edge where a pion is slow."""
    efficiency = 0.4 + 0.6 / (1 + np.exp((events["m12"] - 1.55) / 0.08))
    return events.select(np.random.default_rng(seed).uniform(size=len(events)) < efficiency)


def draw(folder, model, result, fractions, data, accepted):
    """Draw the Dalitz plot of the data, projections of data and fit with every resonance, and fit fractions."""
    from jaxpwa import plot

    folder.mkdir(parents=True, exist_ok=True)
    with plot.style(savefig_dpi=150):
        labels = "$m^2(K_S^0\\pi^-)$ [GeV$^2$]", "$m^2(\\pi^+\\pi^-)$ [GeV$^2$]"
        ax = plot.dalitz(data["m31"] ** 2, data["m23"] ** 2, masses=(D0, KAON, PION, PION), labels=labels)
        ax.figure.savefig(folder / "dalitz_plot.png")
        masses = {column: f"$m$({pair}) [GeV]" for column, pair in PAIRS.items()}
        resonances = {title: name for name, title in TITLES.items()}
        axes = plot.projections(masses, data, accepted, model, result, components=resonances)
        axes[0].figure.savefig(folder / "dalitz_projections.png")
        ax = plot.fractions(fractions, matrix=True, titles=TITLES)
        ax.figure.savefig(folder / "dalitz_fractions.png")
    print(f"pictures: {', '.join(sorted(str(path) for path in folder.glob('dalitz_*.png')))}")


def main(arguments=None):
    """Simulate, fit, and return the result with the fractions that were put in and came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few events")
    parser.add_argument("--plots", type=Path, help="folder for pictures")
    options = parser.parse_args(arguments)
    n_events, n_flat = (4_000, 50_000) if options.quick else (75_000, 1_000_000)

    model = isobar_model(ThreeBodyDecay(D0, MASSES), CHAINS)
    truth = model.start(COUPLINGS) | LINES | FIXED
    data = passed(jp.simulate(2, model, truth, phase_space, n_events), 3)
    generated = phase_space(4, n_flat)
    accepted = passed(generated, 5)

    # The size and the phase of all couplings together are of no consequence: the first one is fixed.
    rng = np.random.default_rng(6)
    start = {name: value + rng.normal(scale=0.1) for name, value in model.start(COUPLINGS).items()}
    start |= {"rho(770).re": 1.0, "rho(770).im": 0.0} | FIXED
    start |= {name: jp.Parameter(1.02 * value, lower=0.5 * value, upper=1.5 * value) for name, value in LINES.items()}
    cost = jp.UnbinnedNLL(model, data, normalization_mc=accepted)
    result = jp.fit(cost, start, fixed=["rho(770).re", "rho(770).im", *FIXED])
    print(result, "\n")

    chi2, n_free = 2 * (cost(truth) - result.fval), len(result.names) - len(result.fixed)
    print(f"distance of all parameters from what was put in: chi2 = {chi2:.1f} for {n_free}")
    print(f"quality of the fit\n{jp.chi2_test(result, model, data, accepted, ['m31', 'm23'])}\n")

    # Of what is generated, for fractions must not depend on the detector.
    fractions = jp.fit_fractions(result, model, generated)
    true_fractions = jp.fit_fractions(truth, model, generated)
    print(f"{fractions}\nput in\n{true_fractions}")
    pulls = np.triu((fractions.values - true_fractions.values) / fractions.errors)
    print(f"largest difference of a fraction from what was put in: {np.abs(pulls).max():.1f} standard deviations")
    if options.plots:
        draw(options.plots, model, result, fractions, data, accepted)
    return result, truth, true_fractions, fractions


if __name__ == "__main__":
    main()
