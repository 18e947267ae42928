"""Dalitz analysis of D0 -> K_S0 pi+ pi- with five resonances: simulation, fit, fit fractions, pictures.

    python examples/dalitz.py
    python examples/dalitz.py --quick --plots dalitz

The Dalitz plot and its three projections go to the folder after --plots, if there is one.
"""

import argparse
from pathlib import Path

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.physics import (
    Chain,
    ThreeBodyDecay,
    blatt_weisskopf,
    dalitz_boundary,
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
    return {name: np.sqrt(np.asarray(s)) for name, s in zip(PAIRS, sigma, strict=True)}


def efficiency(events):
    """Fall towards the edge where a pion is slow."""
    return 0.4 + 0.6 / (1 + np.exp((events["m12"] - 1.55) / 0.08))


def passed(events, seed):
    """Rows that the detector keeps."""
    kept = np.random.default_rng(seed).uniform(size=len(events["m12"])) < efficiency(events)
    return {name: values[kept] for name, values in events.items()}


def fit_fractions(model, params, flat):
    """Share of every resonance in the intensity over the Dalitz plot, without the detector."""
    total = jnp.mean(model(params, flat))
    return {name: jnp.mean(model.only(name)(params, flat)) / total for name in model.names}


def draw(folder, model, result, data, accepted):
    """Draw the Dalitz plot of the data, and projections of data and fit with every resonance."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
    h = ax.hist2d(data["m31"] ** 2, data["m23"] ** 2, bins=120, cmin=1, cmap="viridis")
    fig.colorbar(h[3], label="events")
    x, y = dalitz_boundary(D0, MASSES, axes=(2, 1))
    ax.plot(x, y, color="black", lw=1)
    ax.set(
        xlabel="$m^2(K_S^0\\pi^-)$ [GeV$^2$]",
        ylabel="$m^2(\\pi^+\\pi^-)$ [GeV$^2$]",
        title="$D^0 \\to K_S^0\\pi^+\\pi^-$",
    )
    fig.savefig(folder / "dalitz_plot.png", dpi=150)

    weights = jp.evaluate(model, result.values, accepted)
    scale = len(data["m12"]) / weights.sum()
    fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for ax, (column, label) in zip(axes, PAIRS.items(), strict=True):
        edges = np.linspace(accepted[column].min(), accepted[column].max(), 81)
        counts, _ = np.histogram(data[column], edges)
        middle = (edges[1:] + edges[:-1]) / 2
        ax.errorbar(middle, counts, np.sqrt(counts), fmt="k.", ms=3, lw=0.8, label="data")
        ax.stairs(
            np.histogram(accepted[column], edges, weights=weights * scale)[0], edges, color="C3", lw=1.5, label="fit"
        )
        for i, name in enumerate(model.names):
            part = scale * jp.evaluate(model.only(name), result.values, accepted)
            ax.stairs(np.histogram(accepted[column], edges, weights=part)[0], edges, color=f"C{i + 4}", label=name)
        ax.set(xlabel=f"$m$({label}) [GeV]", ylabel=f"events per {1e3 * (edges[1] - edges[0]):.0f} MeV", ylim=(0, None))
    axes[0].legend(fontsize=8)
    fig.savefig(folder / "dalitz_projections.png", dpi=150)
    plt.close("all")
    print(f"pictures: {folder / 'dalitz_plot.png'}, {folder / 'dalitz_projections.png'}")


def main(arguments=None):
    """Simulate, fit, and return the result with the fractions that were put in and came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few events")
    parser.add_argument("--plots", type=Path, help="folder for pictures")
    options = parser.parse_args(arguments)
    n_flat = 100_000 if options.quick else 2_000_000

    model = isobar_model(ThreeBodyDecay(D0, MASSES), CHAINS)
    truth = model.start(COUPLINGS) | LINES | FIXED
    flat = phase_space(1, n_flat)
    produced, report = jp.rejection_sample(2, model, truth, flat)
    print(f"simulated: {report}")
    data = passed({name: values[produced] for name, values in flat.items()}, 3)
    generated = phase_space(4, n_flat // 2)
    accepted = passed(generated, 5)

    # The size and the phase of all couplings together are of no consequence: the first one is fixed.
    rng = np.random.default_rng(6)
    start = {name: value + rng.normal(scale=0.1) for name, value in model.start(COUPLINGS).items()}
    start |= {"rho(770).re": 1.0, "rho(770).im": 0.0} | FIXED
    start |= {name: jp.Parameter(1.02 * value, lower=0.5 * value, upper=1.5 * value) for name, value in LINES.items()}
    cost = jp.UnbinnedNLL(model, data, normalization_mc=accepted)
    result = jp.fit(cost, start, fixed=["rho(770).re", "rho(770).im", *FIXED])
    print(result, "\n")

    free = [i for i, name in enumerate(result.names) if name not in result.fixed]
    off = np.array([result.values[result.names[i]] - truth[result.names[i]] for i in free])
    chi2 = off @ np.linalg.solve(result.covariance[np.ix_(free, free)], off)
    print(f"distance of all parameters from what was put in: chi2 = {chi2:.1f} for {len(free)}\n")

    flat = {name: values[:100_000] for name, values in generated.items()}
    true_fractions = fit_fractions(model, truth, flat)
    fractions = result.propagate(lambda p: fit_fractions(model, p, flat))
    print("fit fraction [%]        put in            fitted")
    for name, true in true_fractions.items():
        print(f"{name:20s} {100 * true:9.2f}   {100 * fractions.value[name]:9.2f} +- {100 * fractions.error[name]:.2f}")
    print(f"{'sum':20s} {100 * sum(true_fractions.values()):9.2f}   {100 * sum(fractions.value.values()):9.2f}")
    if options.plots:
        draw(options.plots, model, result, data, accepted)
    return result, truth, true_fractions, fractions


if __name__ == "__main__":
    main()
