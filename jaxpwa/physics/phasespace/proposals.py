r"""Densities from which generators draw a mass or a momentum transfer.

A proposal is anything with the two methods of `Proposal`; its distribution is cut to the range that is physical for
each event and normalised there.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa.physics.phasespace._decays import is_traced


class Proposal(Protocol):
    """What `generate_production` asks of a proposal, for a variable x: a mass in GeV, or t in GeV²."""

    def draw(self, key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Draw one value for each event between ``low`` and ``high``, all ``(events,)``."""
        ...

    def density(self, x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Probability density of ``x``, normalised between ``low`` and ``high``, ``(events,)``; 0 outside."""
        ...


def _check_range(low: float | None, high: float | None, name: str) -> None:
    """Refuse a range that is empty or not finite."""
    for what, value in (("low", low), ("high", high)):
        if value is not None and not np.isfinite(value):
            msg = f"{name}: {what} must be finite or None, got {value}."
            raise ValueError(msg)
    if low is not None and high is not None and low >= high:
        msg = f"{name}: low must be below high, got low={low} and high={high}."
        raise ValueError(msg)


def _window(
    own: tuple[float | None, float | None], low: jax.Array, high: jax.Array, name: str
) -> tuple[jax.Array, jax.Array]:
    """Return the part of a physical range that a proposal covers; there must be one for each event."""
    start = low if own[0] is None else jnp.maximum(low, own[0])
    stop = high if own[1] is None else jnp.minimum(high, own[1])
    if not is_traced(start, stop):
        bad = np.asarray(start) > np.asarray(stop)
        if bad.any():
            event = int(np.argmax(bad))
            msg = (
                f"{name}: the range from low={own[0]} to high={own[1]} lies outside of what is physical for event "
                f"{event}, {float(low[event]):.6g} to {float(high[event]):.6g}; leave out the limit and cut afterwards."
            )
            raise ValueError(msg)
    return start, stop


def _uniform(key: jax.Array, like: jax.Array) -> jax.Array:
    return jax.random.uniform(key, like.shape, like.dtype)


def _inside(x: jax.Array, start: jax.Array, stop: jax.Array, density: jax.Array) -> jax.Array:
    return jnp.where((x >= start) & (x <= stop), density, 0.0)


@dataclass(frozen=True)
class UniformProposal:
    """A flat density; in t it is that of phase space, as t is linear in the cosine of the production angle.

    Attributes
    ----------
    low, high
        Range, in the unit of the variable. None: as far as is physical.

    Raises
    ------
    ValueError
        If ``low`` is not below ``high``, or one of them is not finite.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, "UniformProposal")

    def draw(self, key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Draw one value for each event, ``(events,)``."""
        start, stop = _window((self.low, self.high), low, high, "UniformProposal")
        return jnp.clip(start + _uniform(key, start) * (stop - start), start, stop)

    def density(self, x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Probability density, ``(events,)``."""
        start, stop = _window((self.low, self.high), low, high, "UniformProposal")
        return _inside(x, start, stop, 1 / (stop - start))


@dataclass(frozen=True)
class BreitWignerProposal:
    r"""A Breit-Wigner distribution in the mass, cut to a range.

    .. math:: p(m) \propto \frac{1}{(m - m_0)^2 + \Gamma^2 / 4}

    Attributes
    ----------
    mass, width
        Peak and full width at half maximum, GeV; the width is positive.
    low, high
        Range, GeV. None: as far as is physical.

    Raises
    ------
    ValueError
        If the width is not positive, a number is not finite, or ``low`` is not below ``high``.
    """

    mass: float
    width: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mass) and np.isfinite(self.width) and self.width > 0):
            msg = (
                "BreitWignerProposal: mass must be finite and width finite and positive, "
                f"got mass={self.mass} and width={self.width}."
            )
            raise ValueError(msg)
        _check_range(self.low, self.high, "BreitWignerProposal")

    def _angles(self, low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Return the range, the angle of its start as seen from the pole, and that between its ends."""
        start, stop = _window((self.low, self.high), low, high, "BreitWignerProposal")
        half = self.width / 2
        below, above = start - self.mass, stop - self.mass
        # A difference of arcs, without the rounding of a difference far from the peak.
        opening = jnp.arctan2(half * (stop - start), half**2 + below * above)
        return start, stop, jnp.arctan(below / half), opening

    def draw(self, key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Draw one mass for each event, GeV, ``(events,)``."""
        start, stop, angle, opening = self._angles(low, high)
        x = self.mass + self.width / 2 * jnp.tan(angle + _uniform(key, start) * opening)
        return jnp.clip(x, start, stop)

    def density(self, x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Probability density, 1/GeV, ``(events,)``."""
        start, stop, _, opening = self._angles(low, high)
        half = self.width / 2
        return _inside(x, start, stop, half / ((x - self.mass) ** 2 + half**2) / opening)


@dataclass(frozen=True)
class ExponentialProposal:
    r"""An exponential in t, as exchange in the t channel gives it.

    .. math:: p(t) \propto e^{b t}

    Attributes
    ----------
    slope
        :math:`b`, 1/GeV², positive: most events have ``t`` close to its largest value, where ``-t`` is small.
    low, high
        Range of t, GeV², so mostly of two negative numbers. None: as far as is physical.

    Raises
    ------
    ValueError
        If the slope is not positive and finite (`UniformProposal` is the limit of slope 0), or ``low`` is not below
        ``high``.
    """

    slope: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope > 0):
            msg = f"ExponentialProposal: slope must be positive and finite, got {self.slope}; 0 is UniformProposal."
            raise ValueError(msg)
        _check_range(self.low, self.high, "ExponentialProposal")

    def draw(self, key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Draw one t for each event, GeV², ``(events,)``."""
        start, stop = _window((self.low, self.high), low, high, "ExponentialProposal")
        down = jnp.log1p(_uniform(key, start) * jnp.expm1(-self.slope * (stop - start))) / self.slope
        return jnp.clip(stop + down, start, stop)

    def density(self, x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Probability density, 1/GeV², ``(events,)``."""
        start, stop = _window((self.low, self.high), low, high, "ExponentialProposal")
        norm = -jnp.expm1(-self.slope * (stop - start)) / self.slope
        return _inside(x, start, stop, jnp.exp(self.slope * (x - stop)) / norm)


@dataclass(frozen=True)
class MixtureProposal:
    """A mixture: each event comes from one component, and the density is that of all of them.

    Attributes
    ----------
    components
        Two or more proposals for the same variable.
    fractions
        Positive numbers, one for each; they are normalised to 1. None: equal.

    Raises
    ------
    ValueError
        If there are fewer than two components, or the fractions do not fit.

    Examples
    --------
    A resonance on a flat background, in the mass:

    >>> from jaxpwa.physics.phasespace.proposals import BreitWignerProposal, MixtureProposal, UniformProposal
    >>> mass = MixtureProposal((BreitWignerProposal(1.318, 0.107), UniformProposal()), (0.7, 0.3))
    """

    components: tuple[Proposal, ...]
    fractions: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.components) < 2:
            msg = f"MixtureProposal: two or more components are needed, got {len(self.components)}."
            raise ValueError(msg)
        if self.fractions is not None:
            good = len(self.fractions) == len(self.components) and np.all(np.isfinite(self.fractions))
            if not good or min(self.fractions) <= 0:
                msg = (
                    f"MixtureProposal: fractions must be {len(self.components)} positive numbers, got {self.fractions}."
                )
                raise ValueError(msg)

    def _shares(self) -> np.ndarray:
        """Return the fractions, normalised."""
        fractions = np.ones(len(self.components)) if self.fractions is None else np.asarray(self.fractions, float)
        return fractions / fractions.sum()

    def draw(self, key: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Draw one value for each event, ``(events,)``."""
        of_choice, *keys = jax.random.split(key, 1 + len(self.components))
        chosen = _uniform(of_choice, low)
        out = self.components[0].draw(keys[0], low, high)
        begin = np.cumsum(self._shares())
        for component, its_key, edge in zip(self.components[1:], keys[1:], begin, strict=False):
            out = jnp.where(chosen >= float(edge), component.draw(its_key, low, high), out)
        return out

    def density(self, x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        """Probability density, ``(events,)``."""
        parts = [float(f) * c.density(x, low, high) for f, c in zip(self._shares(), self.components, strict=True)]
        return sum(parts[1:], parts[0])
