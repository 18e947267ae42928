r"""Partial waves of two pseudoscalars as polynomials, and what has the same square as they have.

Waves of one m are :math:`\sum_l c_l \sqrt{2l+1}\, d^l_{m0}(\theta) = \sin^m\theta\, f(x)` with a polynomial f in
:math:`x = \cos\theta`. Of waves with m = 0 and m = 1 that interfere, :math:`h_0 + \sqrt 2 \sin\theta f_1` is a
polynomial in :math:`u = \tan(\theta / 2)` over :math:`(1 + u^2)^{l_{max}}`, of degree :math:`2 l_{max}`. Coefficients
are arrays, lowest power first; waves are dicts of numbers by l.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, product
from math import factorial, sqrt
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.polynomial import polynomial as poly

from jaxpwa.physics.waves.twopseudoscalars import LETTERS

Waves = dict[int, complex]
Sectors = tuple[dict[int, Any], dict[int, Any], dict[int, Any]]

# In units of the largest coefficient: what is 0, what a wave that isn't in the set may have, which zeros are one.
_NOTHING, _ABSENT, _SAME = 1e-13, 1e-9, 1e-6

_NAME = re.compile(rf"([{LETTERS}])(-?\d)?([+-])?")


def numbers(key: Any) -> tuple[int, int, int] | None:
    """Return l, m and reflectivity of a wave of a beam without spin, or None."""
    if isinstance(key, str):
        match = _NAME.fullmatch(key)
        if not match:
            return None
        # Chung's names give no number where m is 1, nor a sign where it is 0.
        m = int(match[2]) if match[2] else int(bool(match[3]))
        key = (LETTERS.index(match[1]), m, *([int(match[3] + "1")] if match[3] else []))
    if not isinstance(key, tuple) or not all(isinstance(n, int) for n in key) or len(key) not in (2, 3):
        return None
    l, m, reflectivity = key if len(key) == 3 else (*key, -1 if key[1] == 0 else 0)
    fits = m in (0, 1) and l >= m and reflectivity in ((-1,) if m == 0 else (1, -1))
    return (l, m, reflectivity) if fits else None


def sectors(keys: Sequence[Any]) -> Sectors:
    """Sort waves into unnatural ones of m = 0 and of m = 1 and natural ones, by l."""
    out: Sectors = ({}, {}, {})
    for key in keys:
        found = numbers(key)
        if found is None:
            msg = (
                "waves must be of m = 0 and 1 in the reflectivity basis, named as 'S0', 'P-', 'P+' or 'P0-', 'P1-', "
                f"'P1+', or (l, m, reflectivity), where m = 0 has reflectivity -1: got {key!r}."
            )
            raise ValueError(msg)
        l, m, reflectivity = found
        sector = out[2 if reflectivity > 0 else m]
        if l in sector:
            msg = f"waves must be different, got {sector[l]!r} and {key!r}."
            raise ValueError(msg)
        sector[l] = key
    return out


def _profile(l: int, m: int) -> np.ndarray:
    """Return sqrt(2 l + 1) d^l_m0 without its sin^m, a polynomial in cos theta of degree l - m."""
    size = (-1) ** m * sqrt((2 * l + 1) * factorial(l - m) / factorial(l + m))
    return size * poly.polyder(legendre.leg2poly([0.0] * l + [1.0]), m)


def polynomial(waves: Waves, m: int, top: int | None = None) -> np.ndarray:
    """Add waves of one m up to the polynomial f, of degree ``top - m``."""
    top = max([m, *waves]) if top is None else top
    out = np.zeros(top - m + 1, complex)
    for l, value in waves.items():
        f = _profile(l, m)
        out[: len(f)] += value * f
    return out


def waves_of(f: np.ndarray, m: int) -> Waves:
    """Return the waves that add up to a polynomial."""
    rest, out = np.array(f, complex), {}
    for l in range(m + len(f) - 1, m - 1, -1):
        p = _profile(l, m)
        out[l] = complex(rest[l - m] / p[-1])
        rest[: len(p)] -= out[l] * p
    return out


def in_u(h0: np.ndarray, f1: np.ndarray) -> np.ndarray:
    """Return the numerator of h0 + sqrt(2) sin(theta) f1 as a polynomial in u."""
    top = max(len(h0), len(f1) + 1) - 1
    out = np.zeros(2 * top + 1, complex)
    for coefficients, power, shift in ((h0, top, 0), (2 * sqrt(2) * f1, top - 1, 1)):
        for k, value in enumerate(coefficients):
            # x = (1 - u^2) / (1 + u^2), sin(theta) = 2 u / (1 + u^2).
            squares = poly.polymul(poly.polypow([1, -1], k), poly.polypow([1, 1], power - k))
            out[shift : shift + 2 * power + 1 : 2] += value * squares
    return out


def from_u(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return h0 and f1, polynomials in cos theta, of a polynomial in u."""
    top = (len(g) - 1) // 2
    found = []
    for coefficients, power, size in ((g[::2], top, 1), (g[1::2], top - 1, 2 * sqrt(2))):
        out = np.zeros(max(power, 0) + 1, complex)
        for j, value in enumerate(coefficients):
            out += value * poly.polymul(poly.polypow([1, -1], j), poly.polypow([1, 1], power - j)) / (size * 2**power)
        found.append(out)
    return found[0], found[1]


def zeros(f: np.ndarray) -> np.ndarray:
    """Return the zeros of a polynomial; those at infinity, which missing powers make, are left out."""
    large = np.flatnonzero(np.abs(f) > _NOTHING * np.max(np.abs(f), initial=0))
    return np.array(poly.polyroots(f[: large[-1] + 1]), complex) if len(large) else np.zeros(0, complex)


def every_zero(f: np.ndarray) -> np.ndarray:
    """Return the zeros of a polynomial in a certain order, those at infinity last."""
    found = np.sort_complex(zeros(f))
    return np.append(found, np.full(len(f) - 1 - len(found), np.inf))


def _on_sphere(z: np.ndarray) -> np.ndarray:
    """Points of Riemann's sphere, ``(zeros, 3)``."""
    finite = np.isfinite(z)
    safe = np.where(finite, z, 0)
    square = np.abs(safe) ** 2
    points = np.stack([2 * np.real(safe), 2 * np.imag(safe), square - 1], axis=1) / (square + 1)[:, None]
    return np.where(finite[:, None], points, np.array([[0.0, 0.0, 1.0]]))


def continued(before: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Put zeros in the order of those before, nearest first."""
    distance = np.linalg.norm(_on_sphere(before)[:, None] - _on_sphere(here), axis=2)
    out = np.empty_like(here)
    for _ in here:
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        out[i] = here[j]
        distance[i, :] = distance[:, j] = np.inf
    return out


def _complex(found: np.ndarray) -> list[int]:
    """Return the places of zeros that aren't real."""
    return [int(i) for i in np.flatnonzero(np.abs(np.imag(found)) > 1e-12 * (1 + np.abs(found)))]


def same_square(f: np.ndarray, conjugates: bool) -> Iterator[np.ndarray]:
    """Yield the polynomials whose square is that of one where x is real, itself first.

    Without conjugates one of the zeros stays, and so one of each pair that are conjugate to each other comes.
    """
    yield f
    found = zeros(f)
    if not len(found):
        return
    lead = f[len(found)]
    places = _complex(found)
    free = places if conjugates else places[1:]
    for flips in product((False, True), repeat=len(free)):
        if any(flips):
            changed = found.copy()
            turned = [i for i, flip in zip(free, flips, strict=True) if flip]
            changed[turned] = np.conj(changed[turned])
            out = np.zeros_like(f)
            out[: len(found) + 1] = lead * poly.polyfromroots(changed)
            yield out


def _square(f: np.ndarray) -> np.ndarray:
    return poly.polymul(f, np.conj(f)).real


def _root(r: np.ndarray, scale: float) -> np.ndarray | None:
    """Return a polynomial whose square is a real one, or None if that is negative somewhere on the real axis."""
    large = np.flatnonzero(np.abs(r) > 1e-11 * scale)
    if not len(large):
        return np.zeros(1, complex)
    r = r[: large[-1] + 1]
    if len(r) % 2 == 0 or r[-1] < 0:
        return None
    found = np.array(poly.polyroots(r), complex)
    # Real zeros of a square are double, and rounding parts them.
    near = np.abs(np.imag(found)) <= _SAME * (1 + np.abs(found))
    upper, real = list(found[~near & (np.imag(found) > 0)]), np.sort(np.real(found[near]))
    if len(real) % 2 or any(b - a > _SAME * (1 + abs(a)) for a, b in zip(real[::2], real[1::2], strict=True)):
        return None
    upper += [(a + b) / 2 for a, b in zip(real[::2], real[1::2], strict=True)]
    out = sqrt(r[-1]) * poly.polyfromroots(upper).astype(complex)
    return out if np.max(np.abs(poly.polysub(_square(out), r))) < 1e-10 * scale else None


def _within(f: np.ndarray, m: int, allowed: Waves, scale: float) -> Waves | None:
    """Return the waves of a polynomial, or None if one is needed that isn't in the set."""
    found = waves_of(f, m)
    if any(abs(value) > _ABSENT * scale for l, value in found.items() if l not in allowed):
        return None
    return {l: found.get(l, 0j) for l in allowed}


def size_of(*waves: Waves) -> float:
    """Largest of all amplitudes."""
    return max((abs(value) for some in waves for value in some.values()), default=0.0)


def of_one_m(waves: Waves, m: int, conjugates: bool) -> Iterator[Waves]:
    """Yield the waves of one m that have the same intensity as some, those themselves first."""
    yield waves
    for f in islice(same_square(polynomial(waves, m), conjugates), 1, None):
        found = _within(f, m, waves, size_of(waves))
        if found is not None:
            yield found


def of_spinless_beam(zero: Waves, one: Waves, natural: Waves, conjugates: bool) -> Iterator[tuple[Waves, Waves, Waves]]:
    """Yield unnatural waves of m = 0 and 1 and natural waves that have the same intensity as some, those first.

    Where the square of the unnatural waves of m = 1 changes, that of the natural ones takes up the difference, as only
    the difference is seen; if it would have to be negative, there is no such solution.
    """
    yield zero, one, natural
    scale = size_of(zero, one, natural)
    h0, f1, fn = polynomial(zero, 0), polynomial(one, 1), polynomial(natural, 1)
    before, total = _square(f1), max(np.max(_square(f)) for f in (h0, f1, fn))
    if one:
        candidates = (from_u(g) for g in same_square(in_u(h0, f1), conjugates))
    else:
        candidates = ((f, f1) for f in same_square(h0, conjugates))
    for new_h0, new_f1 in candidates:
        new_zero, new_one = _within(new_h0, 0, zero, scale), _within(new_f1, 1, one, scale)
        if new_zero is None or new_one is None:
            continue
        change = poly.polysub(_square(new_f1), before)
        unchanged = np.max(np.abs(change)) < 1e-11 * total
        new_fn = fn if unchanged else _root(poly.polyadd(_square(fn), change), total)
        for f in same_square(new_fn, conjugates) if new_fn is not None else ():
            new_natural = _within(f, 1, natural, scale)
            if new_natural is not None:
                yield new_zero, new_one, new_natural
