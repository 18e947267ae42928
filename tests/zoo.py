"""Models of many kinds for property tests: each a function, its parameters, and whether its sums may be shortened."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Model:
    """A model with start values; ``quadratic`` says whether sums over Monte Carlo may go over pseudo-events."""

    intensity: Any
    start: dict
    quadratic: bool
    fixed: tuple = field(default=())


def events(n, seed=1):
    """Events of a decay into two pseudoscalars, polarised, with a Dalitz-like pair of masses."""
    rng = np.random.default_rng(seed)
    return {
        "x": rng.uniform(0, 20, n),
        "y": rng.uniform(0, 20, n),
        "c": rng.uniform(-1, 1, n),
        "phi": rng.uniform(-np.pi, np.pi, n),
        "Phi": rng.uniform(-np.pi, np.pi, n),
        "m": rng.uniform(0.8, 1.8, n),
        "m2": rng.uniform(0.7, 1.6, n),
        "t": -rng.exponential(0.2, n),
        "pol": rng.uniform(0.2, 0.4, n),
        "p4": rng.normal(size=(n, 4)) + np.array([5, 0, 0, 0]),
        "k": rng.integers(0, 3, n),
    }


WAVES = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


def ylm(ell, m, c, phi):
    s = jnp.sqrt(1 - c**2)
    norm = {
        (0, 0): 0.5 / np.sqrt(np.pi) * jnp.ones_like(c),
        (1, 0): np.sqrt(3 / (4 * np.pi)) * c,
        (1, 1): -np.sqrt(3 / (8 * np.pi)) * s,
        (2, 0): np.sqrt(5 / (16 * np.pi)) * (3 * c**2 - 1),
        (2, 1): -np.sqrt(15 / (8 * np.pi)) * s * c,
        (2, 2): np.sqrt(15 / (32 * np.pi)) * s**2,
    }
    return norm[ell, m] * jnp.exp(1j * m * phi)


COUPLINGS = {f"{part}{ell}{m}": 0.3 + 0.2 * ell - 0.1 * m + 0.4 * (part == "r") for ell, m in WAVES for part in "ri"}


def amplitude(p, d, waves=WAVES):
    return sum((p[f"r{ell}{m}"] + 1j * p[f"i{ell}{m}"]) * ylm(ell, m, d["c"], d["phi"]) for ell, m in waves)


def breit_wigner(m, m0, width):
    return m0 * width / (m0**2 - m**2 - 1j * m0 * width)


def w1(p, d):
    u, v = (d["x"] - p["A1"]) / p["A2"], (d["y"] - p["A3"]) / p["A4"]
    return jnp.exp(-(u**2) - v**2) / (p["A2"] * p["A4"])


def rho(p, d):
    return p["A1"] * jnp.exp(6 * d["t"]) * (1 - d["c"] ** 2) * (1 + p["A2"] * jnp.cos(2 * d["Phi"]))


def stacked(p, d):
    v = jnp.stack([p[f"r{ell}{m}"] + 1j * p[f"i{ell}{m}"] for ell, m in WAVES])
    y = jnp.stack([ylm(ell, m, d["c"], d["phi"]) for ell, m in WAVES], axis=-1)
    return jnp.abs(y @ v) ** 2


def reflectivities(p, d):
    """Both signs of Re and Im of the rotated harmonics: the polarised intensity of two pseudoscalars."""
    total = 0.0
    for sign in (1, -1):
        re = im = 0.0
        for ell, m in WAVES[:4]:
            v = p[f"r{ell}{m}"] + 1j * sign * p[f"i{ell}{m}"]
            z = ylm(ell, m, d["c"], d["phi"]) * jnp.exp(-1j * d["Phi"])
            re, im = re + v * jnp.real(z), im + v * jnp.imag(z)
        total = total + (1 + sign * d["pol"]) * jnp.abs(re) ** 2 + (1 - sign * d["pol"]) * jnp.abs(im) ** 2
    return total


def free_mass(p, d):
    resonance = breit_wigner(d["m"], p["m0"], p["w0"]) * ylm(2, 1, d["c"], d["phi"])
    return jnp.abs(p["r"] * ylm(0, 0, d["c"], d["phi"]) + (p["a"] + 1j * p["b"]) * resonance) ** 2


def k_matrix(p, d):
    """One channel, two poles at fixed places, free couplings to production."""
    s = d["m"] ** 2
    poles = [(1.3**2, 0.5), (1.6**2, 0.3)]
    k = sum(g**2 / (m2 - s) for m2, g in poles)
    rho_ = jnp.sqrt(jnp.maximum(1 - 0.5 / s, 0.0))
    production = sum((p[f"b{i}"] + 1j * p[f"c{i}"]) * g / (m2 - s) for i, (m2, g) in enumerate(poles))
    return jnp.abs(production / (1 - 1j * rho_ * k)) ** 2


def piecewise(p, d):
    return jnp.where(d["m"] < 1.2, p["a"] * d["m"] ** 2, p["b"] * jnp.sin(d["phi"]) ** 2 + p["a"])


def python_loop(p, d):
    total = jnp.zeros_like(d["c"], dtype=complex)
    for power in range(6):
        total = total + (p[f"c{power}"] + 0.1j * power) * d["c"] ** power * jnp.exp(1j * power * d["phi"])
    return jnp.real(total * jnp.conj(total))


def incoherent(p, d):
    return jnp.abs(amplitude(p, d, WAVES[:3])) ** 2 + jnp.abs(amplitude(p, d, WAVES[3:])) ** 2


def shared(p, d):
    """One complex coupling for two waves and a relative sign that data decide."""
    v = p["r"] + 1j * p["i"]
    return jnp.abs(v * ylm(1, 1, d["c"], d["phi"]) + p["k"] * v * ylm(2, 1, d["c"], d["phi"])) ** 2 + p["b"] ** 2


def quartic(p, d):
    return jnp.abs(amplitude(p, d, WAVES[:2])) ** 4


def modulus(p, d):
    return jnp.abs(amplitude(p, d, WAVES[:2]))


def scanned(p, d):
    powers = jnp.arange(4.0)

    def body(total, power):
        return total + jnp.cos(power * d["phi"]) * d["c"] ** 2, None

    early, _ = jax.lax.scan(body, jnp.zeros_like(d["c"]), powers)
    return p["a"] ** 2 + p["b"] ** 2 * (4 + early) ** 2


def scanned_late(p, d):
    def body(total, power):
        return total + p["a"] ** 2 * jnp.cos(power * d["phi"]) ** 2, None

    total, _ = jax.lax.scan(body, jnp.zeros_like(d["c"]), jnp.arange(4.0))
    return total + p["b"]


def conditional(p, d):
    return jax.lax.cond(p["a"] > 0, lambda: p["a"] * d["c"] ** 2 + 1, lambda: 1 - p["a"] * d["c"] ** 2)


@jax.custom_jvp
def softened(x):
    return jnp.sqrt(x)


@softened.defjvp
def softened_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return softened(x), dx * 0.5 / jnp.sqrt(x + 1e-12)


def custom_rule(p, d):
    return p["a"] * softened(1 - d["c"] ** 2) + softened(p["b"] * d["m"])


@jax.jit
def harmonic(c, phi):
    return jnp.sqrt(1 - c**2) * jnp.exp(1j * phi)


def nested_jit(p, d):
    return jnp.abs(p["a"] + p["b"] * harmonic(d["c"], d["phi"]) + p["c"] * harmonic(d["c"], d["phi"]) ** 2) ** 2


def mapped(p, d):
    one = jax.vmap(lambda c, phi: jnp.exp(1j * phi) * jnp.sqrt(1 - c**2))
    return jnp.abs(p["a"] + (p["b"] + 1j * p["c"]) * one(d["c"], d["phi"])) ** 2


TABLE = jnp.asarray(np.random.default_rng(7).uniform(0.5, 1.5, 32))


def closed_over(p, d):
    efficiency = TABLE[jnp.clip((d["m"] * 16).astype(int), 0, 31)]
    return efficiency * (p["a"] ** 2 + (p["b"] * d["c"]) ** 2)


def four_vectors(p, d):
    mass2 = d["p4"][:, 0] ** 2 - jnp.sum(d["p4"][:, 1:] ** 2, axis=1)
    return p["a"] + p["b"] * jnp.exp(-p["c"] * jnp.abs(mass2) / 20)


def integer_column(p, d):
    return jnp.where(d["k"] == 1, p["a"], p["b"]) * (1 + d["c"] ** 2) + 2.0 ** d["k"] * p["c"]


def real_factors(p, d):
    """Real lineshapes with real parameters, times complex harmonics."""
    rising = p["b"] * d["t"] - p["c"] * d["m2"] + p["a"] ** 2 * d["m"]
    return jnp.abs(p["a"] * d["m"] * ylm(1, 1, d["c"], d["phi"]) + rising * ylm(2, 1, d["c"], d["phi"])) ** 2


def chosen_waves(p, d):
    """A wave that has a threshold, and another on each side of an angle."""
    z = (p["r00"] + 1j * p["i00"]) * ylm(0, 0, d["c"], d["phi"])
    w = (p["r10"] + 1j * p["i10"]) * ylm(1, 0, d["c"], d["phi"])
    total = jnp.where(d["m"] > 1.1, z, 0.0) + jnp.where(d["c"] > 0, w, 1j * z)
    return jnp.where(d["k"] == 1, 1.5, 1.0) * jnp.abs(total) ** 2


def data_only(p, d):
    return jnp.exp(-d["m"]) * jnp.ones_like(d["c"]) + 0 * p["a"]


def power_law(p, d):
    return d["m"] ** p["a"] + p["b"]


def by_whole(p, d):
    a, b = p.values()
    return a**2 + (b * jnp.cos(d["phi"]) * d["c"] ** 3) ** 2


ZOO = {
    "w1": Model(w1, {"A1": 9.0, "A2": 4.0, "A3": 11.0, "A4": 5.0}, False),
    "w2": Model(lambda p, d: jnp.abs(amplitude(p, d)) ** 2, COUPLINGS, True),
    "w2 stacked": Model(stacked, COUPLINGS, True),
    "w2 re im": Model(lambda p, d: amplitude(p, d).real ** 2 + amplitude(p, d).imag ** 2, COUPLINGS, True),
    "w2 conj": Model(lambda p, d: (amplitude(p, d) * amplitude(p, d).conj()).real, COUPLINGS, True),
    "w2 zero couplings": Model(
        lambda p, d: jnp.abs(amplitude(p, d)) ** 2, COUPLINGS | {"r11": 0.0, "i11": 0.0, "r22": 0.0, "i22": 0.0}, True
    ),
    "rho": Model(rho, {"A1": 5.0, "A2": 0.4}, True),
    "free mass": Model(free_mass, {"m0": 1.3, "w0": 0.1, "r": 0.4, "a": 1.0, "b": 0.5}, False),
    "held mass": Model(free_mass, {"m0": 1.3, "w0": 0.1, "r": 0.4, "a": 1.0, "b": 0.5}, True, ("m0", "w0")),
    "K-matrix": Model(k_matrix, {"b0": 1.0, "c0": 0.3, "b1": -0.5, "c1": 0.6}, True),
    "polarised": Model(reflectivities, {k: v for k, v in COUPLINGS.items() if k[1:] in ("00", "10", "11", "20")}, True),
    "python loop": Model(python_loop, {f"c{k}": 0.5 + 0.1 * k for k in range(6)}, True),
    "piecewise": Model(piecewise, {"a": 0.7, "b": 0.9}, True),
    "incoherent": Model(incoherent, COUPLINGS, True),
    "incoherent, one zero": Model(incoherent, COUPLINGS | {k: 0.0 for k in COUPLINGS if k[1] == "2"}, True),
    "shared": Model(shared, {"r": 1.0, "i": 0.4, "k": -0.6, "b": 0.5}, True),
    "quartic": Model(quartic, {k: COUPLINGS[k] for k in ("r00", "i00", "r10", "i10")}, False),
    "modulus": Model(modulus, {k: COUPLINGS[k] for k in ("r00", "i00", "r10", "i10")}, False),
    "scan of data": Model(scanned, {"a": 0.5, "b": 0.3}, True),
    "scan of parameters": Model(scanned_late, {"a": 0.5, "b": 0.3}, False),
    "cond": Model(conditional, {"a": 0.5}, False),
    "custom rule": Model(custom_rule, {"a": 0.5, "b": 0.3}, False),
    "nested jit": Model(nested_jit, {"a": 0.5, "b": 0.3, "c": -0.2}, True),
    "vmap": Model(mapped, {"a": 0.5, "b": 0.3, "c": -0.2}, True),
    "closed over": Model(closed_over, {"a": 0.5, "b": 0.3}, True),
    "four-vectors": Model(four_vectors, {"a": 0.5, "b": 0.3, "c": 1.0}, False),
    "integer column": Model(integer_column, {"a": 0.5, "b": 0.3, "c": 0.2}, True),
    "real factors": Model(real_factors, {"a": 0.8, "b": 0.4, "c": 0.3}, True),
    "chosen waves": Model(chosen_waves, {k: COUPLINGS[k] for k in ("r00", "i00", "r10", "i10")}, True),
    "data only": Model(data_only, {"a": 0.5}, True),
    "power law": Model(power_law, {"a": 0.5, "b": 0.3}, False),
    "parameters as a whole": Model(by_whole, {"a": 0.5, "b": 0.3}, True),
}
