"""Yields and phases of the waves of a bin, as columns of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa.inference.result import FitResult
from jaxpwa.results.phases import phase_differences
from jaxpwa.results.yields import yields
from jaxpwa.spectrum.bins import ACCEPTED, DATA, GENERATED, Bin


@dataclass(frozen=True, eq=False)
class Waves:
    """What is asked of waves.

    Attributes
    ----------
    model
        A composed model.
    groups
        Coherent subsets by name, as of `jaxpwa.results.yields`.
    pairs
        As of `jaxpwa.results.phase_differences`.
    counted
        Whether the cost does not know the scale, and yields are shares of the events of data.
    """

    model: Any
    groups: Mapping[str, Any] | None
    pairs: Sequence[tuple[str, str]] | None
    counted: bool

    @classmethod
    def make(cls, model: Any, wanted: bool | None, groups: Any, pairs: Any, cost: Any) -> "Waves | None":
        """Check what the user asks for; None where it is nothing."""
        composed = all(hasattr(model, name) for name in ("only", "names", "couplings", "start"))
        asked = wanted or groups is not None or pairs is not None
        if asked and not composed:
            what = getattr(model, "__name__", type(model).__name__)
            msg = f"waves, groups and pairs need a model that is composed of waves, got {what}: see derive."
            raise TypeError(msg)
        if wanted is False or not composed or (callable(cost) and not asked):
            return None
        for names in (groups or {}).values():
            model.only(*([names] if isinstance(names, str) else names))
        phase_differences(model.start(), model, pairs)
        return cls(model, groups, pairs, cost == "unbinned")

    def of(self, bin_: Bin, result: FitResult) -> dict[str, tuple[float, float]]:
        """Return yields and phases of a bin by name of the column, value and error."""
        found: dict[str, tuple[float, float]] = {}
        generated, accepted = bin_.tables.get(GENERATED), bin_.tables.get(ACCEPTED)
        if generated is None and bin_.n_generated is None:
            generated = accepted
        if generated is not None and np.any(generated.weights):
            more: dict[str, Any] = {"n_generated": bin_.n_generated}
            if self.counted:
                weights = bin_[DATA].weights
                more = {"accepted_mc": accepted, "n_observed": (weights.sum(), np.sqrt(np.sum(weights**2)))}
            numbers = yields(result, self.model, generated, groups=self.groups, progress=False, **more)
            rows = zip(numbers.names, numbers.values, numbers.errors, strict=True)
            found |= {f"yield {name}": (float(value), float(error)) for name, value, error in rows}
        phases = phase_differences(result, self.model, self.pairs)
        rows = zip(phases.pairs, phases.values, phases.errors, strict=True)
        return found | {f"phase {a} - {b}": (float(value), float(error)) for (a, b), value, error in rows}
