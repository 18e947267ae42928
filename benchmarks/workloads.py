"""The events and formulas that every tool is timed on, by numpy alone: seeded, so all of them get the same events.

W1: I = exp(-((x - A1) / A2)**2 - ((y - A3) / A4)**2) / (A2 A4), and -sum ln I over events.
W2: I = |sum of six V_lm Y_lm|**2, and -sum ln I over data + sum of I over accepted Monte Carlo / events generated.

These values of the minimised function tell whether a tool computes the same thing: see `CHECKS`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 20251125
# What is drawn first, in this order: x, y and what decides whether an event of W1 is kept; W2 comes after.
DRAWN = 10_000_000

W1_NAMES = ("A1", "A2", "A3", "A4")
W1_START = (1.0, 1.0, 1.0, 1.0)
W1_LOWER = (0.1, 1.0, 0.1, 1.0)

WAVES = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
W2_NAMES = ("re00", *(f"{part}{ell}{m}" for ell, m in WAVES[1:] for part in ("re", "im")))
W2_TRUTH = (1.0, 0.4 + 0.5j, 0.3 - 0.2j, 0.6 - 0.3j, 0.25 + 0.35j, 0.5 + 0.2j)
W2_DATA, W2_MC = 50_000, 500_000
_BATCH = 800_000

CHECKS = {("w1", 70_000): 671194.3377, ("w1", DRAWN): 96047298.96, ("w2", W2_DATA): -517925.8131}
"""NLL at `w1_point(0)`, and at the start of W2's fit, by workload and number of events (of data)."""
W2_MINIMUM = -521384.6493


def _stream(drawn: int) -> np.random.Generator:
    """Return the generator as it is after so many numbers: one number takes one step."""
    bits = np.random.PCG64(SEED)
    bits.advance(drawn)
    return np.random.Generator(bits)


def _uniform(n: int, part: int, width: float = 1.0) -> np.ndarray:
    out = np.empty(n)
    _stream(part * DRAWN).random(out=out[:DRAWN])
    if n > DRAWN:
        np.random.default_rng([SEED, part]).random(out=out[DRAWN:])
    out *= width
    return out


def w1_flat(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first n events, x and y between 0 and 20."""
    return _uniform(n, 0, 20.0), _uniform(n, 1, 20.0)


def w1_bins() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the ten bins to fit: a million flat events each, of which some 70 600 are kept."""
    x, y = w1_flat(DRAWN)
    keep = np.exp(-(((x - 10) / 3) ** 2 + ((y - 10) / 3) ** 2)) > _uniform(DRAWN, 2)
    cuts = [slice(i, i + 10**6) for i in range(0, DRAWN, 10**6)]
    return [(x[s][keep[s]], y[s][keep[s]]) for s in cuts]


def w1_point(k: int) -> tuple[float, float, float, float]:
    """Return parameters that change a little with every call."""
    e = 1e-6 * (k % 97)
    return 10 + e, 3 + e, 10 - e, 3 - e


def w1_intensity(x: np.ndarray, y: np.ndarray, a1: float, a2: float, a3: float, a4: float) -> np.ndarray:
    return 1 / (a2 * a4) * np.exp(-(((x - a1) / a2) ** 2 + ((y - a3) / a4) ** 2))


def harmonic(ell: int, m: int, c: Any, phi: Any, xp: Any = np) -> Any:
    """Spherical harmonics with the Condon-Shortley phase, as a textbook has them; ``xp`` is numpy or jax.numpy."""
    s = xp.sqrt(1 - c**2)
    theta = {
        (0, 0): xp.sqrt(1 / (4 * xp.pi)) * xp.ones_like(c),
        (1, 0): xp.sqrt(3 / (4 * xp.pi)) * c,
        (1, 1): -xp.sqrt(3 / (8 * xp.pi)) * s,
        (2, 0): xp.sqrt(5 / (16 * xp.pi)) * (3 * c**2 - 1),
        (2, 1): -xp.sqrt(15 / (8 * xp.pi)) * s * c,
        (2, 2): xp.sqrt(15 / (32 * xp.pi)) * s**2,
    }
    return theta[ell, m] * xp.exp(1j * m * phi)


def w2_complex(values: Any) -> np.ndarray:
    """Return the six complex amplitudes of W2's eleven real parameters."""
    v = np.asarray(values)
    return np.concatenate([v[:1], v[1::2] + 1j * v[2::2]])


@dataclass(frozen=True)
class Waves:
    """Events of W2: cos(theta) and phi of data and of accepted Monte Carlo, and what they were made with."""

    data: tuple[np.ndarray, np.ndarray]
    mc: tuple[np.ndarray, np.ndarray]
    n_generated: int
    truth: tuple[float, ...]
    start: tuple[float, ...]

    def point(self, k: int) -> tuple[float, ...]:
        """Return parameters near the start that change a little with every call."""
        return tuple(v * (1 + 1e-7 * (k % 97)) for v in self.start)


def _w2_flat(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    c, phi = rng.uniform(-1, 1, n), rng.uniform(-np.pi, np.pi, n)
    return c, phi, rng.random(n) < 1 - 0.5 * c * c


def _w2_intensity(c: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return abs(sum(v * harmonic(*wave, c, phi) for wave, v in zip(WAVES, W2_TRUTH, strict=True))) ** 2


def _filled(batches: Iterator[tuple[np.ndarray, np.ndarray]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill two columns of n events from batches."""
    c, phi, have = np.empty(n), np.empty(n), 0
    while have < n:
        new_c, new_phi = next(batches)
        stop = min(n, have + len(new_c))
        c[have:stop], phi[have:stop] = new_c[: stop - have], new_phi[: stop - have]
        have = stop
    return c, phi


def w2_sample(n_data: int = W2_DATA, n_mc: int | None = None) -> Waves:
    """Return data behind a detector that loses events with large cos(theta)**2, and accepted Monte Carlo.

    Ten Monte Carlo events come with one of data unless ``n_mc`` says how many.
    """
    n_mc = 10 * n_data if n_mc is None else n_mc
    rng = _stream(3 * DRAWN)
    counts: list[int] = []
    tops: list[float] = []
    last = np.empty(0, np.intp)

    def simulated() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal last
        while True:
            c, phi, kept = _w2_flat(rng, _BATCH)
            last = np.flatnonzero(kept)
            counts.append(len(last))
            if not tops:
                first = last[:W2_MC]
                tops.append(1.05 * _w2_intensity(c[first], phi[first]).max())
            yield c[kept], phi[kept]

    mc = _filled(simulated(), n_mc)
    n_generated = int((len(counts) - 1) * _BATCH + last[n_mc - sum(counts[:-1]) - 1] + 1)
    few = slice(0, W2_MC)
    mean = _w2_intensity(mc[0][few], mc[1][few]).sum() * n_mc / len(mc[0][few]) / n_generated
    scale = np.sqrt(n_data / mean)

    def measured() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            c, phi, kept = _w2_flat(rng, 1_000_000)
            found = _w2_intensity(c, phi)
            kept &= found > tops[0] * rng.random(len(c))
            yield c[kept], phi[kept]

    data = _filled(measured(), n_data)
    truth = scale * np.array([W2_TRUTH[0], *(f for z in W2_TRUTH[1:] for f in (z.real, z.imag))])
    start = truth * (1 + 0.4 * rng.uniform(-1, 1, 11)) + 0.1 * scale * rng.uniform(-1, 1, 11)
    return Waves(data, mc, n_generated, tuple(truth.tolist()), tuple(start.round(3).tolist()))
