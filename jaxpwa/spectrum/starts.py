"""Where the fits of a bin start: where the user says, at random around it, and where a neighbouring bin ended."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxpwa._random import key_words
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.manyfits import Minimum
from jaxpwa.inference.parameters import ParameterTable
from jaxpwa.inference.result import FitResult
from jaxpwa.inference.starts import bind_to_start, random_starts
from jaxpwa.spectrum.bins import Bin

# Minima that differ by less, in units of errordef, are one solution and its mirror images.
SAME_VALUE = 0.01


@dataclass(frozen=True, eq=False)
class Starts:
    """How bins are started.

    Attributes
    ----------
    start
        The user's start, or a function of the bin that returns one.
    fixed
        Names to fix besides.
    n
        Starts of each bin's own: ``start``, and others at random around it.
    carry
        Whether a bin starts at its neighbour's result, too.
    words
        What random starts are drawn with; None where there are none.
    spread
        As of `random_starts`.
    powers
        By which power of the size of an amplitude a parameter grows, by name: 1 for couplings, 2 for backgrounds.
        Empty: starts are not scaled.
    """

    start: Any
    fixed: tuple[str, ...]
    n: int
    carry: bool
    words: tuple[int, ...] | None
    spread: float
    powers: Mapping[str, int]

    @classmethod
    def make(cls, start: Any, fixed: Any, n: Any, carry: Any, seed: Any, spread: float, powers: Any) -> "Starts":
        """Check what the user gave."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            msg = f"starts must be a whole number, not negative, got {n!r}."
            raise ValueError(msg)
        if not isinstance(carry, bool):
            msg = f"carry must be True or False, got {carry!r}."
            raise TypeError(msg)
        if n == 0 and not carry:
            msg = "starts=0 leaves the bins without a start where carry=False: take starts=1, or carry=True."
            raise ValueError(msg)
        if n > 1 and seed is None:
            msg = f"starts={n} draws random starts: pass seed=1 (any whole number), so that they can be drawn again."
            raise ValueError(msg)
        names = (fixed,) if isinstance(fixed, str) else tuple(fixed)
        words = None if seed is None else tuple(int(w) for w in key_words(seed))
        return cls(start, names, int(n), carry, words, spread, powers)

    def own(self, bin_: Bin) -> Any:
        """Return the user's start for a bin."""
        start = self.start(bin_) if callable(self.start) else self.start
        return start.start_values if isinstance(start, FitResult) else start

    def table(self, bin_: Bin) -> ParameterTable:
        """Return the parameters of a bin, at its own start."""
        return ParameterTable.make(self.own(bin_), self.fixed)

    def most(self, n_bins: int) -> int:
        """Return how many starts there are at most."""
        return n_bins * (self.n + self.carry)

    def bind(self, cost: Any, bin_: Bin) -> tuple[Cost, ParameterTable]:
        """Read a bin's own start against its cost, which gets to know what is fixed."""
        cost, table = bind_to_start(cost, self.own(bin_), self.fixed)
        return cost.holding(table.fixed_values), table

    def tables(
        self, cost: Cost, bin_: Bin, table: ParameterTable, neighbour: FitResult | None
    ) -> tuple[list[ParameterTable], int | None]:
        """Return the starts of a bin, and which of them is carried over.

        Parameters
        ----------
        cost, table
            As `bind` returns them.
        bin_
            The bin.
        neighbour
            The result to start from, too.
        """
        powers = self._powers_of(cost, table)
        factors = _size(cost, powers, table.values) ** powers
        limits = {"lower": table.lower * factors, "upper": table.upper * factors, "step": table.step * factors}
        scaled = replace(table, values=table.values * factors, **limits)
        points = [scaled.values]
        if self.n > 1 and self.words is not None:
            seed = np.random.SeedSequence([*self.words, bin_.number]).generate_state(1, np.uint64)
            drawn = random_starts(int(seed[0]), table.at(table.values), self.n, spread=self.spread)
            for start in drawn[1:]:
                x = np.array([p.value for p in start.values()])
                points.append(x * _size(cost, powers, x) ** powers)
        carried = None
        if neighbour is not None:
            x = np.array([neighbour.values[name] for name in table.names])
            x = np.where(table.fixed, table.values, x)
            points = [*(points if self.n else ()), x * _size(cost, powers, x) ** powers]
            carried = len(points) - 1
        return [replace(scaled, values=np.clip(x, scaled.lower, scaled.upper)) for x in points], carried

    def _powers_of(self, cost: Cost, table: ParameterTable) -> np.ndarray:
        """Return the power of each parameter, ``(n,)``: zeros where a start can't be scaled."""
        powers = np.array([float(self.powers.get(name, 0)) for name in table.names])
        held = table.fixed & (powers > 0) & (table.values != 0)
        return np.zeros(len(powers)) if held.any() or cost.derivatives < 2 else powers

    def key(self, table: ParameterTable) -> str:
        """Return text that is the same for the same starts."""
        rows = {
            name: [repr(float(v)) for v in row]
            for name, *row in zip(
                table.names, table.values, table.lower, table.upper, table.step, table.fixed, strict=True
            )
        }
        return json.dumps([rows, self.n, self.carry, self.words, repr(self.spread), bool(self.powers)])


def powers_of(model: Any) -> dict[str, int]:
    """Return by which power of the size of its amplitudes the parameters of a composed model grow; else nothing."""
    couplings, start = getattr(model, "couplings", None), getattr(model, "start", None)
    if not isinstance(couplings, Mapping) or not isinstance(start, Callable):
        return {}
    powers = dict.fromkeys(start(), 2)
    for coupling in couplings.values():
        powers.update({name: 0 if name.endswith(".arg") else 1 for name in coupling.parameters})
    return powers


def _size(cost: Cost, powers: np.ndarray, x: np.ndarray) -> float:
    r"""Return what amplitudes must be multiplied by to describe the number of events.

    Intensities grow with the square of the size :math:`s` of amplitudes, and so
    :math:`C(s) = C - N \ln s^2 + \mu (s^2 - 1)`: its first two derivatives at 1 have the numbers :math:`N`, seen, and
    :math:`\mu`, expected, in them, whatever the cost is made of. Where the size cancels, both are 0.
    """
    if not powers.any():
        return 1.0
    value, gradient, hessian = cost._compute(x, 2)
    pull = powers * x
    slope = gradient @ pull
    bend = pull @ hessian @ pull + gradient @ (powers * (powers - 1) * x)
    seen, expected = (bend - slope) / 4, (bend + slope) / 4
    small = 1e-6 * max(1, cost.ndata)
    if not np.isfinite(value) or not np.isfinite(bend) or not (seen > small and expected > small):
        return 1.0
    return float(np.sqrt(seen / expected))


def settled(minima: tuple[Minimum, ...], table: ParameterTable, carried: np.ndarray | None) -> tuple[Minimum, ...]:
    """Put first, of minima of one value, the one that is nearest to what is carried over, or else has the first start.

    Solutions often come in mirror images; so that phases go on from bin to bin, the image is kept.
    """
    if not minima or not minima[0].result.valid:
        return minima
    best = minima[0].result
    sigma = np.array([best.errors[name] for name in table.names])
    moving = sigma > 0

    def rank(minimum: Minimum) -> tuple[bool, float, int]:
        result = minimum.result
        if not (result.valid and result.fval - best.fval <= SAME_VALUE * best.errordef):
            return True, 0.0, 0
        x = np.array([result.values[name] for name in table.names])
        away = 0.0 if carried is None else float(np.sum(((x - carried)[moving] / sigma[moving]) ** 2))
        return False, away, min(minimum.starts)

    return tuple(sorted(minima, key=rank))
