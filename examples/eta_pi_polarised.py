"""Polarised photoproduction gamma p -> eta pi0 p, from four-vectors to resonances.

Events are generated with S, P and D waves of both reflectivities, pass a detector, and are fitted twice: in bins of
mass, where every wave is a free complex number, and over all masses, with resonances. Both find what was put in.

    python examples/eta_pi_polarised.py
    python examples/eta_pi_polarised.py --quick --plots eta_pi

Four pictures go to the folder after --plots, if there is one: intensities and phases of the waves against mass,
moments, the Argand diagram of the exotic wave.
"""

import argparse
from pathlib import Path

import numpy as np

import jax.numpy as jnp

import jaxpwa as jp
from jaxpwa.physics import (
    ExponentialProposal,
    Reaction,
    UniformProposal,
    acceptance_matrix,
    blatt_weisskopf,
    flatte,
    generate_production,
    invariant_mass,
    moments_of_amplitudes,
    moments_of_data,
    partial_waves,
    real_breakup_momentum,
    relativistic_breit_wigner,
    two_pseudoscalar_model,
)

ETA, PION, PROTON, KAON = 0.547862, 0.1349768, 0.938272, 0.493677
WAVES = ["S0+", "P0+", "P1+", "D0+", "D1+", "D2+", "S0-", "D0-", "D1-"]
REFERENCES = ["D2+", "D1-"]
LOW, HIGH = 0.8, 1.9
POLARISATION = 0.35


def resonance(name, l):
    """Breit-Wigner in eta pi0 with a running width, times the root of phase space; mass and width are parameters."""

    def shape(p, d):
        bw = relativistic_breit_wigner(d["mass"], p[f"m {name}"], p[f"w {name}"], ETA, PION, l)
        q = real_breakup_momentum(d["mass"], ETA, PION)
        return 0.15 * bw * blatt_weisskopf(l, q) * jnp.sqrt(q)

    return shape


def a0(p, d):
    """a0(980) of Flatte with the couplings to eta pi and K anti-K, times the root of phase space."""
    q = real_breakup_momentum(d["mass"], ETA, PION)
    return 0.15 * flatte(d["mass"], 0.98, [0.57, 0.57], [(ETA, PION), (KAON, KAON)]) * jnp.sqrt(q)


SHAPES = {
    "S*": a0,
    "P*": {"pi1(1600)": resonance("pi1(1600)", 1)},
    "D*": {"a2(1320)": resonance("a2(1320)", 2)},
}
RESONANCES = {"m a2(1320)": 1.318, "w a2(1320)": 0.107, "m pi1(1600)": 1.6, "w pi1(1600)": 0.35}
TRUTH = {
    "S0+": 2.4 * np.exp(-0.5j),
    "P0+ pi1(1600)": 0.9 * np.exp(0.1j),
    "P1+ pi1(1600)": 1.5 * np.exp(0.4j),
    "D0+ a2(1320)": 0.35 * np.exp(1.7j),
    "D1+ a2(1320)": 0.5 * np.exp(-0.9j),
    "D2+ a2(1320)": 0.8,
    "S0-": 1.4 * np.exp(1.2j),
    "D0- a2(1320)": 0.35 * np.exp(2.2j),
    "D1- a2(1320)": 0.35,
}


def generate(seed, n_events):
    """Phase space of the final state, exponential in t, as four-vectors, and the angle of the beam's polarisation."""
    rng = np.random.default_rng(seed)
    events = generate_production(
        seed,
        rng.uniform(8.2, 8.8, n_events),
        PROTON,
        PROTON,
        {"eta": ETA, "pi0": PION},
        n_events,
        mass=UniformProposal(LOW, HIGH),
        t=ExponentialProposal(4.0),
        follow="proposals",
    )
    return events, rng.choice([0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], n_events)


def columns(events, angle):
    """Masses and angles of four-vectors: what the amplitudes read."""
    reaction = Reaction(beam=events.beam, target=events.target, recoil=events.recoil, daughters=events.daughters)
    costheta, phi = reaction.helicity_angles("eta")
    return {
        "mass": np.asarray(invariant_mass(reaction.system)),
        "minus_t": -np.asarray(reaction.mandelstam().t),
        "costheta": np.asarray(costheta),
        "phi": np.asarray(phi),
        "Phi": np.asarray(reaction.polarisation_angle(angle)),
    }


def accepted(events, seed):
    """Pass a detector: slow protons and mesons at small and large angles are lost, and one sector is inefficient."""
    efficiency = np.ones(len(events.weights))
    for name in ("eta", "pi0"):
        p = np.asarray(events.daughters[name])
        theta = np.degrees(np.arctan2(np.hypot(p[:, 1], p[:, 2]), p[:, 3]))
        efficiency *= 1 / (1 + np.exp((1.5 - theta) / 0.4)) / (1 + np.exp((theta - 20.0) / 2.0))
        efficiency *= np.where(np.arctan2(p[:, 2], p[:, 1]) > 2.4, 0.6, 1.0)
    recoil = np.asarray(events.recoil)
    slow = np.sqrt(np.sum(recoil[:, 1:] ** 2, axis=1))
    efficiency *= 1 / (1 + np.exp((0.3 - slow) / 0.03))
    return np.random.default_rng(seed).uniform(size=len(efficiency)) < efficiency


def some(table, mask):
    """Return the rows of a table of columns that a mask keeps."""
    return {name: values[mask] for name, values in table.items()}


def in_bins(edges, *tables):
    """Cut tables at edges of mass, and return them bin by bin."""
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        yield [some(t, (t["mass"] >= low) & (t["mass"] < high)) for t in tables]


def fit_bins(data, mc, generated, edges, n_starts):
    """Fit every bin of mass on its own, from several starts: a free complex number for every wave."""
    model = two_pseudoscalar_model(WAVES, polarisation=POLARISATION, reference=REFERENCES)
    costs = [jp.ExtendedNLL(model, d, m, len(g["mass"])) for d, m, g in in_bins(edges, data, mc, generated)]
    typical = np.sqrt(4 * np.pi * len(data["mass"]) / len(costs) / len(WAVES))
    start = {name: jp.Parameter(typical, lower=-5 * typical, upper=5 * typical) for name in model.start()}
    return model, jp.fit_many(costs, jp.random_starts(1, start, n_starts))


def fit_resonances(model, data, mc, n_generated, truth):
    """Fit all masses at once, with the masses and widths of the resonances, from a start that is off by a tenth."""
    rng = np.random.default_rng(9)
    start = {name: value * rng.uniform(0.9, 1.1) for name, value in truth.items()}
    start |= {name: jp.Parameter(start[name], lower=0.5 * v, upper=2 * v) for name, v in RESONANCES.items()}
    return jp.fit(jp.ExtendedNLL(model, data, mc, n_generated), start)


def yields(model, result):
    """Number of produced events of every wave of a bin, the square of its coupling over the solid angle."""
    return result.propagate(
        lambda p: {name: jnp.abs(c) ** 2 / (4 * jnp.pi) for name, c in model.coupling_values(p).items()}
    )


def distance(result, truth):
    """Chi-squared of fitted parameters to true ones with the covariance of the fit, and how many they are."""
    free = [i for i, name in enumerate(result.names) if name not in result.fixed]
    off = np.array([result.values[result.names[i]] - truth[result.names[i]] for i in free])
    return off @ np.linalg.solve(result.covariance[np.ix_(free, free)], off), len(free)


def expected_yields(model, params, scale, table):
    """Number of produced events of every wave, summed over generated ones."""
    return {name[:3]: scale * jp.evaluate(model.only(name), params, table).sum() for name in model.names}


def moments(found, i, tables):
    """Moments of the events of a bin, corrected for acceptance, and of the waves that were fitted to them."""
    data, mc, generated = tables
    acceptance = acceptance_matrix(
        mc["costheta"], mc["phi"], 4, n_generated=len(generated["mass"]), Phi=mc["Phi"], polarisation=POLARISATION
    )
    seen = moments_of_data(
        data["costheta"], data["phi"], 4, Phi=data["Phi"], polarisation=POLARISATION, acceptance=acceptance
    )
    # Couplings squared count events over the solid angle, and moments of amplitudes have a 2.
    waves = found["fits"][i].propagate(
        lambda p: moments_of_amplitudes(partial_waves(found["binned"], p), lmax=4).values / (8 * jnp.pi)
    )
    return seen, waves


def draw(folder, found):
    """Draw intensities, phases, moments and the Argand diagram."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    edges, fits, binned = found["edges"], found["fits"], found["binned"]
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2

    fig, axes = plt.subplots(3, 3, figsize=(11, 9), sharex=True, layout="constrained")
    for ax, wave in zip(axes.flat, WAVES, strict=True):
        values = [[getattr(row, what)[wave] for row in found["yields"]] for what in ("value", "error")]
        ax.errorbar(middle, values[0], values[1], half, fmt="k.", label="fit in bins")
        fitted = [found["fitted_yields"][i][wave] for i in range(len(middle))]
        ax.stairs(fitted, edges, color="C0", lw=1.5, label="fit with resonances")
        ax.stairs([row[wave] for row in found["true_yields"]], edges, color="C3", ls="--", label="put in")
        ax.set(title=f"${wave[0]}_{{{wave[1]}}}^{{{wave[2]}}}$", ylim=(0, None))
    axes[0, 0].legend(fontsize=8)
    fig.supxlabel("$m(\\eta\\pi^0)$ [GeV]")
    fig.supylabel(f"events per {2e3 * half[0]:.0f} MeV")
    fig.savefig(folder / "waves.png", dpi=150)

    grid = np.linspace(edges[0], edges[-1], 200)
    fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    curves = {k: partial_waves(found["shaped"], p, {"mass": grid}) for k, p in found["curves"].items()}
    pairs = [((1, 1, 1), "P1+"), ((0, 0, 1), "S0+"), ((2, 1, 1), "D1+")]
    for ax, (key, wave) in zip(axes, pairs, strict=True):
        # Bins can't tell a phase from its opposite: all couplings of one reflectivity may be conjugated together.
        phases = [fits[i].propagate(lambda p, w=wave: jnp.abs(jnp.angle(binned.couplings[w](p)))) for i in fits]
        signs = [np.sign(fits[i].values["D2+.re"]) for i in fits]
        shown = [f.value if sign > 0 else np.pi - f.value for f, sign in zip(phases, signs, strict=True)]
        ax.errorbar(middle, np.degrees(shown), np.degrees([f.error for f in phases]), half, fmt="k.", label="bins")
        for (label, amplitudes), style in zip(curves.items(), ("C0-", "C3--"), strict=True):
            phase = np.abs(np.angle(np.asarray(amplitudes[key] * np.conj(amplitudes[2, 2, 1]))))
            ax.plot(grid, np.degrees(phase), style, label=label)
        ax.set(
            xlabel="$m(\\eta\\pi^0)$ [GeV]",
            ylabel="degrees",
            ylim=(0, 180),
            title=f"|phase of {wave} to D2+|",
        )
    axes[0].legend()
    fig.savefig(folder / "phases.png", dpi=150)

    chosen = [(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 2, 0), (0, 4, 0), (1, 0, 0), (1, 1, 1), (1, 2, 0), (2, 2, 1)]
    both = [moments(found, i, t) for i, t in enumerate(in_bins(edges, found["data"], found["mc"], found["generated"]))]
    fig, axes = plt.subplots(3, 3, figsize=(11, 9), sharex=True, layout="constrained")
    for ax, index in zip(axes.flat, chosen, strict=True):
        place = both[0][0].indices.index(index)
        values = [float(seen.values[place]) for seen, _ in both]
        ax.errorbar(middle, values, [float(seen.errors[place]) for seen, _ in both], half, fmt="k.", label="events")
        value, error = (np.array([getattr(w, what)[place] for _, w in both]) for what in ("value", "error"))
        ax.stairs(value + error, edges, baseline=value - error, fill=True, color="C0", alpha=0.5, label="waves in bins")
        ax.set_title(both[0][0].names[place])
        ax.axhline(0, color="grey", lw=0.5)
    axes[0, 0].legend(fontsize=8)
    fig.supxlabel("$m(\\eta\\pi^0)$ [GeV]")
    fig.savefig(folder / "moments.png", dpi=150)

    fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
    for (label, amplitudes), style in zip(curves.items(), ("C0-", "C3--"), strict=True):
        z = np.asarray(amplitudes[1, 1, 1])
        ax.plot(z.real, z.imag, style, label=label)
        for mass in (1.1, 1.3, 1.5):
            at = np.argmin(abs(grid - mass))
            ax.plot(z.real[at], z.imag[at], style[:2] + ".")
            if style == "C0-":
                ax.annotate(f" {mass:.1f} ", (z.real[at], z.imag[at]), fontsize=8, ha="right")
    ax.set(xlabel="Re P1+", ylabel="Im P1+", title="the exotic wave, mass in GeV", aspect="equal")
    ax.legend()
    fig.savefig(folder / "argand.png", dpi=150)
    plt.close("all")
    print(f"pictures: {', '.join(str(folder / f'{n}.png') for n in ('waves', 'phases', 'moments', 'argand'))}")


def main(arguments=None):
    """Generate, fit in bins and with resonances; return what was put in and what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few events and bins")
    parser.add_argument("--plots", type=Path, help="folder for pictures")
    options = parser.parse_args(arguments)
    n_events, n_bins, n_starts = (150_000, 4, 3) if options.quick else (1_500_000, 14, 8)

    shaped = two_pseudoscalar_model(
        WAVES, polarisation=POLARISATION, shapes=SHAPES, reference=[f"{name} a2(1320)" for name in REFERENCES]
    )
    truth = shaped.start(TRUTH) | RESONANCES

    # What nature makes, and what the detector lets pass.
    events, angle = generate(1, n_events)
    flat = columns(events, angle)
    produced, report = jp.rejection_sample(2, shaped, truth, flat)
    data = some(flat, produced & accepted(events, 3))
    print(f"produced: {report}\nseen: {len(data['mass'])}")
    # Monte Carlo, independent of it.
    events, angle = generate(4, n_events)
    generated = columns(events, angle)
    mc = some(generated, accepted(events, 5))

    edges = np.linspace(1.04, 1.6, n_bins + 1)
    binned, fits = fit_bins(data, mc, generated, edges, n_starts)
    print(f"{len(fits)} bins of mass: {fits.problem or 'every fit is valid'}")
    scale = 1 / report.maximum
    true_bins = [expected_yields(shaped, truth, scale, table) for (table,) in in_bins(edges, flat)]
    in_the_bins = [yields(binned, fits[i]) for i in fits]
    pulls = [(y.value[w] - t[w]) / y.error[w] for y, t in zip(in_the_bins, true_bins, strict=True) for w in WAVES]
    print(
        f"yields of waves in bins: {np.mean(np.abs(pulls) < 2):.0%} within two standard deviations of what was put in"
    )

    # Expected events are n_generated times the mean intensity, so couplings grow with the number of produced events.
    scaled = {k: v * (1 if k in RESONANCES else np.sqrt(n_events * scale)) for k, v in truth.items()}
    resonances = fit_resonances(shaped, data, mc, n_events, scaled)
    print(resonances)
    print("\nparameter              put in       fitted")
    for name, value in scaled.items():
        print(f"{name:20s} {value:10.4g}   {resonances.values[name]:10.4g} +- {resonances.errors[name]:.2g}")
    chi2, n = distance(resonances, scaled)
    print(f"distance of all parameters from what was put in: chi2 = {chi2:.1f} for {n}")
    fitted_bins = [expected_yields(shaped, resonances.values, 1 / n_events, t) for (t,) in in_bins(edges, generated)]
    found = {
        "data": data,
        "mc": mc,
        "generated": generated,
        "edges": edges,
        "binned": binned,
        "fits": fits,
        "yields": in_the_bins,
        "pulls": pulls,
        "true_yields": true_bins,
        "shaped": shaped,
        "resonances": resonances,
        "chi2": (chi2, n),
        "curves": {"fit": resonances.values, "put in": scaled},
        "fitted_yields": fitted_bins,
    }
    if options.plots:
        draw(options.plots, found)
    return found


if __name__ == "__main__":
    main()
