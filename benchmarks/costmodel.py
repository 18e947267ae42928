"""What many devices would take for many events: the model that docs/scaling.md explains, and its tables."""

import math
from dataclasses import dataclass
from typing import Any

ORDERS = ("value", "gradient", "hessian")
# No GPU has been measured. Card: NVIDIA's data sheet of the H100 SXM. A step of the ring between machines: NCCL's own
# model of its low-latency protocol (src/graph/tuning.cc). The rest is assumed.
GPU = {
    "name": "H100 SXM",
    "bytes/s": 3.35e12,
    "flops/s": 34e12,
    "flops of exp": 20,
    "launch": 50e-6,
    "first": 3.6e-6,
    "hop": 2.7e-6,
}
N_PREDICTED, DEVICES = 10**9, (8, 64, 512)
CURVE = tuple(1 << i for i in range(13))
CORES = 64
"""Of a machine, which has one process."""


@dataclass(frozen=True)
class Machine:
    """What devices of one kind do with one workload.

    Attributes
    ----------
    seconds
        Per event, by what is computed.
    launch
        Seconds per call without events.
    first, hop
        Seconds for the exchange of a call: once, and for each step of the ring.
    together
        Devices of one process, which exchange nothing.
    """

    seconds: dict[str, float]
    launch: dict[str, float]
    first: dict[str, float]
    hop: dict[str, float]
    together: int = 1

    def call(self, n_events: float, devices: int, what: str) -> float:
        """Predict a call: N c / P + t_launch + t_first + (R - 1) t_hop, for R processes; no exchange in one."""
        processes = math.ceil(devices / self.together)
        exchange = self.first[what] + (processes - 1) * self.hop[what] if processes > 1 else 0.0
        return n_events * self.seconds[what] / devices + self.launch[what] + exchange

    def fit(self, n_events: float, devices: int, calls: dict[str, int]) -> float:
        """Predict the calls of a fit."""
        return sum(n * self.call(n_events, devices, what) for what, n in calls.items())

    def most_useful(self, n_events: float, what: str) -> float:
        """Return the number of devices beyond which a call takes longer again: sqrt(N c T / t_hop), T in a process."""
        return math.sqrt(n_events * self.seconds[what] * self.together / self.hop[what]) if self.hop[what] else math.inf

    def break_even(self, devices: int, what: str) -> float:
        """Return the events per device for which computing takes as long as the rest: half of the devices' worth."""
        return (self.call(0, devices, what)) / self.seconds[what]


def machines(results: dict[str, Any], work: str) -> dict[str, Machine]:
    """Return this machine's cores, as measured, and a GPU that nobody has measured, at best and at worst."""
    part = results["rates"]["parts"]["W1" if work == "w1" else "W2 data"]
    orders = part["orders"]
    # The hosts of processes hand their rows around; what comes once can't be told from a ring of two.
    hop, first = dict.fromkeys(ORDERS, results["communication"]["2"]["exchange"]), dict.fromkeys(ORDERS, 0.0)
    pseudo = results["rates"]["parts"]["W2 Monte Carlo, pseudo-events"]["orders"]
    launch = {w: one["launch"] + (pseudo[w]["launch"] if work == "w2" else 0.0) for w, one in orders.items()}
    out = {"core": Machine({w: 1e-9 * one["ns"] for w, one in orders.items()}, launch, first, hop, CORES)}
    for label, moved in (("best", lambda one: part["bytes"]), ("worst", lambda one: one["touched"])):
        seconds = {
            w: max(
                moved(one) / GPU["bytes/s"],
                (one["flops"] + GPU["flops of exp"] * one["transcendentals"]) / GPU["flops/s"],
            )
            for w, one in orders.items()
        }
        once = (dict.fromkeys(ORDERS, GPU[key]) for key in ("launch", "first", "hop"))
        out[f"GPU, {label}"] = Machine(seconds, *once)
    return out


def print_input(results: dict[str, Any]) -> None:
    """Print the numbers that the model is made of, value / gradient / Hessian."""

    def row(name: str, text: str) -> None:
        print(f"  {name:31s} {text}")

    def three(orders: dict[str, dict], key: str, factor: float = 1.0) -> str:
        return " / ".join(_digits(factor * one[key], 3) for one in orders.values())

    about, setup, farm = results["machine"], results["rates"]["setup"], results["farms"]["farm"]
    print(
        f"\nmodel input: {about['cpu']}, {about['cores']} cores, {about['date']}, {results['sizes']['events']} events"
    )
    for name, part in results["rates"]["parts"].items():
        orders = part["orders"]
        if "pseudo" in name:
            row(name, f"{three(orders, 'launch', 1e6)} us a call")
            continue
        row(name, f"{three(orders, 'ns')} ns per event and core, {three(orders, 'launch', 1e6)} us a call")
        row("", f"{three(orders, 'flops')} flops, {three(orders, 'transcendentals')} exp and log")
        row("", f"{part['bytes']:.0f} bytes, {three(orders, 'touched')} with intermediates")
    for p, found in results["communication"].items():
        mark = " (oversubscribed)" if int(p) > about["cores"] else ""
        for work, orders in found["works"].items():
            text = f"{three(orders, 'added', 1e6)} us a call, {three(orders, 'bytes')} bytes from a device{mark}"
            row(f"exchange, {p} processes, {work}", text)
        row(f"exchange, {p} processes, files", f"{1e6 * found['exchange']:.0f} us a row{mark}")
    for label, found in results["scaling"].items():
        gains = [f"{shape}: {r['gain']['value']:.2f} / {r['gain']['gradient']:.2f}" for shape, r in found.items()]
        row(f"gain, {label}", ", ".join(gains[1:]))
    for form, found in results["streaming"]["formats"].items():
        pairs = {kind: [_digits(1e3 / ns, 3) for ns in one["ns"].values()] for kind, one in found.items()}
        row(f"{form}, million events/s", ", ".join(f"{kind} {' / '.join(pair)}" for kind, pair in pairs.items()))
        size = found["streamed"]["file bytes"] / found["streamed"]["events"]
        row("", f"{size:.1f} bytes per event in the file")
    budgets = results["streaming"]["budgets"].items()
    taken = ", ".join(f"{int(b) / 1e6:.3g}: {r['taken MB']:.0f}" for b, r in budgets)
    row("MB taken by budget in MB", f"{taken}; {16e-6 * results['sizes']['files']:.0f} MB of columns")
    row("import", f"{setup['import']:.1f} s")
    row("compiling a / b / c", f"{setup['compile']:.1f} s (W1), {setup['compile W2']:.1f} s (W2)")
    row("connecting processes", f"{max(r['connect'] for r in results['scaling']['w1 strong'].values()):.2f} s")
    row("farm", f"{1e3 * farm['added']:.1f} ms a task on top of a fit of {1e3 * farm['fit']:.1f} ms")
    row("", f"{1e3 * farm['empty']:.2f} ms a task that does nothing, {farm['ready']:.1f} s until all have compiled")
    kept = results["farms"]["checkpoint"]
    row("checkpoint", f"{1e3 * kept['with']:.1f} ms a fit, {1e3 * kept['without']:.1f} ms without")
    for work in results["parameters"]:
        row(f"calls of a fit, {work}", ", ".join(f"{n} {what}" for what, n in calls_of(results, work).items()))


def calls_of(results: dict[str, Any], work: str) -> dict[str, int]:
    """Return how often a fit computed what."""
    return {what: n for what, n in results["farms"]["checkpoint"]["calls"][work].items() if what in ORDERS}


def print_model(results: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Print the model's input and what follows for many events; return curves for the picture."""
    print_input(results)
    curves = {}
    print(
        f"\npredicted for {N_PREDICTED:.0e} events; GPU: not measured, {GPU['name']} by its data sheet, best to worst"
    )
    print("| work | devices | memory each | value | gradient | Hessian | fit | break-even, events per device |")
    print("|---|---|---|---|---|---|---|---|")
    for work in results["parameters"]:
        calls, found = calls_of(results, work), machines(results, work)
        per_event = results["rates"]["parts"]["W1" if work == "w1" else "W2 data"]["bytes"]
        for kind in ("core", "GPU"):
            several = [m for label, m in found.items() if label.startswith(kind)]
            for p in DEVICES:
                cells = [_spread([m.call(N_PREDICTED, p, w) for m in several], "s") for w in ORDERS]
                cells += [_spread([m.fit(N_PREDICTED, p, calls) for m in several], "s")]
                cells += [_spread([m.break_even(p, "gradient") for m in several], "")]
                memory = f"{N_PREDICTED * per_event / p / 1e9:.2g} GB"
                print(f"| {work.upper()} | {p} {kind}s | {memory} | {' | '.join(cells)} |")
        for label, m in found.items():
            curves[f"{work.upper()}, {label}"] = [(p, m.call(N_PREDICTED, p, "gradient")) for p in CURVE]
    for work in results["parameters"]:
        core = machines(results, work)["core"]
        most = ", ".join(f"{what} {_digits(core.most_useful(N_PREDICTED, what))}" for what in ORDERS)
        print(f"cores beyond which a call of {work.upper()} takes longer again: {most}")
    _print_reading(results)
    return curves


def _print_reading(results: dict[str, Any]) -> None:
    """Print what follows for memory and disks."""
    ns = results["rates"]["parts"]["W1"]["orders"]["value"]["ns"]
    speed, fed = _digits(16 / ns), _digits(200 * ns / 16)
    print(f"a core reads {speed} GB/s in a value of W1: a socket with 200 GB/s feeds {fed} of them")
    calls = calls_of(results, "w1")
    for form, found in results["streaming"]["formats"].items():
        one = found["streamed"]
        disk = one["file bytes"] / one["events"] / one["ns"]["value"] * 1e3
        # A Hessian computes more, behind the same reading.
        passes = 1 + sum(calls.values())
        hours = passes * N_PREDICTED * one["ns"]["gradient"] * 1e-9 / 3600
        faster = one["ns"]["gradient"] / found["resident"]["ns"]["gradient"]
        print(
            f"{form}: bound by a disk below {_digits(disk)} MB/s; {passes} passes of a fit of W1 take one process "
            f"{_digits(hours)} h; resident {_digits(faster)} times as fast"
        )


def _digits(v: float, n: int = 2) -> str:
    """Write a number with so many digits, large ones without an exponent."""
    rounded = float(f"{v:.{n}g}")
    return f"{rounded:.0f}" if 100 <= abs(rounded) < 1e6 else f"{rounded:g}"


def _spread(values: list[float], unit: str) -> str:
    """Write one value or two, with two digits."""
    texts = []
    for v in values:
        power, prefix = (1.0, "") if v >= 1 or not unit else (1e3, "m") if v >= 1e-3 else (1e6, "u")
        texts.append((_digits(v * power), prefix + unit))
    if len({unit for _, unit in texts}) == 1:
        return f"{' to '.join(dict.fromkeys(text for text, _ in texts))} {texts[0][1]}".strip()
    return " to ".join(f"{text} {unit}" for text, unit in texts)
