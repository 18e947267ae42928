"""Polarised photoproduction gamma p -> eta pi0 p, from four-vectors to resonances.

Events are generated with S, P and D waves of both reflectivities, pass a detector, and are fitted twice: in bins of
mass, where every wave is a free complex number, and over all masses, with resonances. Both find what was put in. From
the fits come yields corrected for acceptance, phases, fit fractions, moments, and the quality of the fit.

    python examples/eta_pi_polarised.py
    python examples/eta_pi_polarised.py --quick --plots eta_pi

Pictures go to the folder after --plots, if there is one: intensities and phases of the waves against mass, moments,
the Argand diagram of the exotic wave, projections of the events. So do the fits in bins, which are read when they are
there: started again, or after an interruption, only the missing ones are fitted.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

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
TITLES = {wave: f"${wave[0]}_{wave[1]}^{wave[2]}$" for wave in WAVES}
REFERENCES = ["D2+", "D1-"]
PAIRS = [(wave, ref) for ref in REFERENCES for wave in WAVES if wave[-1] == ref[-1] and wave != ref]
MOMENTS = ["H0(0,0)", "H0(1,0)", "H0(1,1)", "H0(2,0)", "H0(4,0)", "H1(0,0)", "H1(1,1)", "H1(2,0)", "H2(2,1)"]
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
    found = {
        "mass": invariant_mass(reaction.system),
        "minus_t": -reaction.mandelstam().t,
        "costheta": costheta,
        "phi": phi,
        "Phi": reaction.polarisation_angle(angle),
    }
    return jp.Dataset({name: np.asarray(values) for name, values in found.items()})


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


def start_near(truth):
    """Start values that are off by up to a tenth, with limits for masses and widths."""
    rng = np.random.default_rng(9)
    start = {name: value * rng.uniform(0.9, 1.1) for name, value in truth.items()}
    return start | {name: jp.Parameter(start[name], lower=0.5 * v, upper=2 * v) for name, v in RESONANCES.items()}


def spectra(model, params, generated, edges):
    """Number of produced events of every wave in bins of mass."""
    out = {}
    for wave in WAVES:
        intensity = jp.evaluate(model.only(f"{wave}*"), params, generated)
        out[wave] = np.histogram(generated["mass"], edges, weights=intensity / len(generated))[0]
    return out


def phases(model, params, mass):
    """Phase of every wave to the reference of its reflectivity, at some masses."""
    amplitudes = {key: np.asarray(values) for key, values in partial_waves(model, params, {"mass": mass}).items()}
    key = {wave: ("SPD".index(wave[0]), int(wave[1]), 1 if wave[2] == "+" else -1) for wave in WAVES}
    return {(a, b): np.angle(amplitudes[key[a]] * amplitudes[key[b]].conj()) for a, b in PAIRS}


def nearest_images(fits, expected):
    """Bins as a table. They can't tell phases from their opposites: take those that are nearer to what is expected."""
    table = fits.to_pandas()
    for reference in REFERENCES:
        columns = {f"phase {a} - {b}": expected[a, b] for a, b in PAIRS if b == reference}
        near, far = (sum(np.cos(s * table[name] - e) for name, e in columns.items()) for s in (1, -1))
        table[[*columns]] = table[[*columns]].mul(np.where(near > far, 1, -1), axis=0)
    return table


def moments_of_bins(edges, data, mc, generated):
    """Moments of the events in bins, corrected for acceptance, as a table."""
    rows = []
    cut = [jp.bin_by_edges(table, "mass", edges) for table in (data, mc, generated)]
    for low, high, seen, passed, thrown in zip(edges[:-1], edges[1:], *cut, strict=True):
        acceptance = acceptance_matrix(
            passed["costheta"], passed["phi"], 4, n_generated=len(thrown), Phi=passed["Phi"], polarisation=POLARISATION
        )
        found = moments_of_data(
            seen["costheta"], seen["phi"], 4, Phi=seen["Phi"], polarisation=POLARISATION, acceptance=acceptance
        )
        row = {"low": low, "high": high, "centre": (low + high) / 2}
        row |= {f"yield {name}": value for name, value in zip(found.names, np.asarray(found.values), strict=True)}
        row |= {f"yield {name} error": error for name, error in zip(found.names, np.asarray(found.errors), strict=True)}
        rows.append(row)
    return pd.DataFrame(rows)


def moments_of_waves(model, params):
    """Some moments of the waves of a bin by name."""
    found = moments_of_amplitudes(partial_waves(model, params), lmax=4)
    # Couplings squared count events over the solid angle, and moments of amplitudes have a 2.
    return {name: found.values[found.names.index(name)] / (8 * jnp.pi) for name in MOMENTS}


def draw(folder, binned, fits, shaped, both, samples):
    """Draw intensities, phases, moments, the Argand diagram, and projections.

    Parameters
    ----------
    folder
        Where to.
    binned, fits
        Model and fits of bins.
    shaped, both
        Model of all masses, and parameters by label.
    samples
        Data, accepted and generated Monte Carlo.
    """
    from jaxpwa import plot

    data, mc, generated = samples
    edges, grid = fits.edges, np.linspace(fits.edges[0], fits.edges[-1], 200)
    label = "$m(\\eta\\pi^0)$ [GeV]"

    waves = {name: spectra(shaped, params, generated, edges) for name, params in both.items()}
    curves = {wave: {name: (edges, waves[name][wave]) for name in both} for wave in WAVES}
    axes = plot.intensities(fits, WAVES, curves=curves, titles=TITLES, label=label)
    axes[0].figure.savefig(folder / "waves.png")

    turns = {name: phases(shaped, params, grid) for name, params in both.items()}
    curves = {pair: {name: (grid, turns[name][pair]) for name in both} for pair in PAIRS}
    table = nearest_images(fits, phases(shaped, both["fit"], fits.centres))
    axes = plot.phases(table, PAIRS, curves=curves, titles=TITLES, label=label, columns=4)
    axes[0].figure.savefig(folder / "phases.png")

    axes = plot.intensities(moments_of_bins(edges, data, mc, generated), MOMENTS, label=label, points="events")
    table = fits.derive({"moment": lambda p: moments_of_waves(binned, p)}).to_pandas()
    for ax, name in zip(axes, MOMENTS, strict=True):
        value, error = table[f"moment {name}"], table[f"moment {name} error"]
        ax.stairs(value + error, edges, baseline=value - error, fill=True, color="C0", alpha=0.5, label="waves in bins")
    axes[0].legend()
    axes[0].figure.savefig(folder / "moments.png")

    exotic = {name: np.asarray(partial_waves(shaped, p, {"mass": grid})[1, 1, 1]) for name, p in both.items()}
    ax = plot.argand(exotic["fit"], masses=grid, marks=(1.1, 1.3, 1.5), label=label)
    ax.plot(exotic["put in"].real, exotic["put in"].imag, "k--", lw=1, label="put in")
    ax.set(xlabel=f"Re {TITLES['P1+']}", ylabel=f"Im {TITLES['P1+']}", title="the exotic wave")
    ax.legend()
    ax.figure.savefig(folder / "argand.png")

    columns = {"mass": label, "costheta": "$\\cos\\theta$", "phi": "$\\phi$ [rad]", "Phi": "$\\Phi$ [rad]"}
    parts = {"$S$": "S*", "$P$": "P*", "$D$": "D*"}
    axes = plot.projections(columns, data, mc, shaped, both["fit"], components=parts, n_generated=len(generated))
    axes[0].figure.savefig(folder / "projections.png")
    print(f"pictures: {', '.join(sorted(str(path) for path in folder.glob('*.png')))}")


def main(arguments=None):
    """Generate, fit in bins and with resonances; return the fits and what was put in."""
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
    data = flat.select(produced & accepted(events, 3))
    print(f"produced: {report}\nseen: {len(data)}")
    # Expected events are n_generated times the mean intensity, so couplings grow with the number of produced events.
    truth = {k: v * (1 if k in RESONANCES else np.sqrt(n_events / report.maximum)) for k, v in truth.items()}
    # Monte Carlo, independent of it.
    events, angle = generate(4, n_events)
    generated = columns(events, angle)
    mc = generated.select(accepted(events, 5))

    binned = two_pseudoscalar_model(WAVES, polarisation=POLARISATION, reference=REFERENCES)
    # Bins have several minima, some nearly as good as the best (column next): that needs many starts.
    fits = jp.fit_bins(
        binned,
        {"data": data, "accepted_mc": mc, "generated_mc": generated},
        np.linspace(1.04, 1.6, n_bins + 1),
        start=binned.start(),
        starts=n_starts,
        seed=1,
        folder=options.plots and options.plots / f"{n_bins} bins",
    )
    print(f"\n{fits}")
    table, true_bins = fits.to_pandas(), spectra(shaped, truth, flat, fits.edges)
    pulls = np.array([(table[f"yield {w}"] - true_bins[w]) / table[f"yield {w} error"] for w in WAVES])
    print(
        f"yields of waves in bins: {np.mean(np.abs(pulls) < 2):.0%} within two standard deviations of what was put in\n"
    )

    cost = jp.ExtendedNLL(shaped, data, mc, n_events)
    resonances = jp.fit(cost, start_near(truth))
    print(resonances)
    compared = {"put in": truth, "fitted": resonances.values, "error": resonances.errors}
    print(f"\n{pd.DataFrame(compared).map('{:.4g}'.format)}")
    chi2 = 2 * (cost(truth) - resonances.fval)
    print(f"distance of all parameters from what was put in: chi2 = {chi2:.1f} for {len(truth)}")
    columns_compared = ["mass", "costheta", "phi", "Phi"]
    test = jp.chi2_test(resonances, shaped, data, mc, columns_compared, bins=50, n_generated=n_events)
    print(f"\nquality of the fit\n{test}")

    names = {wave: f"{wave}*" for wave in WAVES}
    parity = {"natural parity": "+ *", "unnatural parity": "- *"}
    yields = jp.yields(resonances, shaped, generated, accepted_mc=mc, names=names, groups=parity)
    true_yields = {wave: float(n[0]) for wave, n in spectra(shaped, truth, flat, [LOW, HIGH]).items()}
    print(f"\n{yields}\nput in: {', '.join(f'{wave} {n:.0f}' for wave, n in true_yields.items())}")
    pulls = [(yields[wave].value - true_yields[wave]) / yields[wave].error for wave in WAVES]
    print(f"largest difference of a yield from what was put in: {np.abs(pulls).max():.1f} standard deviations")
    # Harmonics are orthogonal: waves interfere where the detector has holes.
    print(f"\nof the events seen\n{jp.fit_fractions(resonances, shaped, mc, names=names)}")
    if options.plots:
        from jaxpwa import plot

        both = {"fit": resonances.values, "put in": truth}
        with plot.style(savefig_dpi=150):
            draw(options.plots, binned, fits, shaped, both, (data, mc, generated))
    return fits, resonances, truth


if __name__ == "__main__":
    main()
