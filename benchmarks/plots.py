"""Pictures of the scaling benchmark."""

import math
import statistics
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

# Okabe and Ito's colours, which people who see no red or green tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")
WHAT = {"value": ("value", "-"), "gradient": ("value + gradient", "--"), "hessian": ("value, gradient, Hessian", ":")}
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "mathtext.fontset": "dejavusans",
}


def power_of_ten(n: float) -> str:
    """Write a number for a title."""
    exponent = math.floor(math.log10(n))
    mantissa = n / 10**exponent
    return f"$10^{exponent}$" if abs(mantissa - 1) < 0.005 else rf"${mantissa:.2g}\times10^{exponent}$"


def _grid(axes) -> None:
    axes.grid(which="major", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)


def _label_decades(axes) -> None:
    """Label powers of ten, and 2 and 5 between them where there are few."""
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,), numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legends(axes, names: dict[str, tuple[str, str]]) -> None:
    """Say once what colours are and once what line styles are."""
    tools = [Line2D([], [], color=c, marker=m, label=name) for name, (c, m) in names.items()]
    styles = [Line2D([], [], color="0.3", linestyle=style, label=text) for text, style in WHAT.values()]
    first = axes.legend(handles=tools, loc="upper left", frameon=False)
    axes.add_artist(first)
    axes.legend(handles=styles, loc="lower right", frameon=False, handlelength=2.8)


def plot_events(points: list[dict], title: str, path: Path) -> Path:
    """Draw time per call, and per event beneath it, against the number of events."""
    names = dict.fromkeys(p["line"] for p in points)
    styles = {name: (c, m) for name, c, m in zip(names, COLOURS, MARKERS, strict=False)}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 6.0), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for name, (colour, marker) in styles.items():
            for what, (_, line) in WHAT.items():
                found = sorted((p["total"], p[what]) for p in points if p["line"] == name and what in p)
                if not found:
                    continue
                n, seconds = zip(*found, strict=True)
                look = {"color": colour, "marker": marker, "linestyle": line}
                upper.loglog(n, [1e3 * s for s in seconds], **look)
                lower.loglog(n, [1e9 * s / k for k, s in found], **look)
        upper.set_ylabel("time per call (ms)")
        lower.set_ylabel("time per event (ns)")
        lower.set_xlabel("events" if title.startswith("W1") else "events, data and Monte Carlo")
        for axes in (upper, lower):
            _grid(axes)
            _label_decades(axes)
        upper.set_title(title)
        _legends(upper, styles)
        figure.savefig(path, dpi=200)
    return path


def plot_devices(turns: dict[str, list[dict]], title: str, path: Path) -> Path:
    """Draw time per call, and the gain beneath it, against the number of devices."""
    counts = sorted(map(int, turns))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for (what, (text, line)), colour, marker in zip(WHAT.items(), COLOURS, MARKERS, strict=False):
            times = [statistics.median(r[what] for r in turns[str(c)]) for c in counts]
            gains = [
                statistics.median(a[what] / b[what] for a, b in zip(turns["1"], turns[str(c)], strict=True))
                for c in counts
            ]
            look = {"color": colour, "marker": marker, "linestyle": line, "label": text}
            upper.loglog(counts, [1e3 * t for t in times], **look)
            lower.plot(counts, gains, **look)
        lower.plot(counts, counts, color="0.5", linewidth=1, label="ideal", zorder=1)
        upper.set_ylabel("time per call (ms)")
        lower.set_ylabel("times as fast as one device")
        lower.set_xlabel("devices (CPU cores or GPUs)")
        for axes in (upper, lower):
            _grid(axes)
        _label_decades(upper)
        if counts[-1] > 4:
            lower.set_yscale("log", base=2)
            lower.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        lower.xaxis.set_minor_locator(NullLocator())
        lower.set_xticks(counts, [str(c) for c in counts])
        upper.set_title(title)
        upper.legend(frameon=False)
        lower.legend(handles=[h for h in lower.get_lines() if h.get_label() == "ideal"], frameon=False)
        figure.savefig(path, dpi=200)
    return path


def plot_distributed(scaling: dict[str, dict], curves: dict[str, list], about: dict, path: Path) -> Path:
    """Draw what several devices gained here, and the time per gradient that is predicted for more."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 6.4), layout="constrained")
        upper, lower = figure.subplots(2, 1)
        labels = list(next(iter(scaling.values())))
        for (name, found), colour, marker in zip(scaling.items(), COLOURS, MARKERS, strict=True):
            gains = [found[label]["gain"]["gradient"] for label in labels]
            upper.plot(range(len(labels)), gains, color=colour, marker=marker, linestyle="", label=name)
        first = next(iter(scaling.values()))
        ideal = [min(first[label]["workers"], about["cores"]) for label in labels]
        upper.plot(range(len(labels)), ideal, color="0.5", marker="_", markersize=16, linestyle="", label="ideal")
        shown = [f"{label}{chr(10)}(too many)" if first[label]["oversubscribed"] else label for label in labels]
        upper.set_xticks(range(len(labels)), shown)
        upper.set_ylim(0, 1.5 * max(upper.get_ylim()[1], about["cores"]))
        upper.set_xlabel("processes x devices of each; too many: more than cores")
        upper.set_ylabel("gradient: work per time, of one device's")
        upper.set_title(f"measured: {about['cpu']}, {about['cores']} cores")
        for name, points in curves.items():
            colour = COLOURS[0] if name.startswith("W1") else COLOURS[1]
            line = "-" if "core" in name else "--" if "best" in name else ":"
            lower.loglog(*zip(*points, strict=True), color=colour, linestyle=line, label=name)
        lower.set_xlabel("devices")
        lower.set_ylabel("time per gradient (s)")
        lower.set_title("predicted for $10^9$ events (GPU: assumed, not measured)")
        for axes in (upper, lower):
            _grid(axes)
        upper.legend(frameon=False, fontsize=7, ncols=2)
        low, high = lower.get_ylim()
        lower.set_ylim(low, 100 * high)
        lower.legend(frameon=False, fontsize=7, ncols=2)
        figure.savefig(path, dpi=200)
    return path
