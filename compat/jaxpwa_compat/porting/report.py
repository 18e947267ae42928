"""What a port was made of and how it was checked."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PortReport:
    """What `to_jax` replaced and compared.

    Attributes
    ----------
    name
        Name of the user's class.
    kind
        The libraries that it computes with: ``"numpy"``, ``"numexpr"``, ``"torch"``, or some of them joined by `` + ``.
    n_events
        Number of events compared, at every point.
    parameters, columns
        Names of the parameters and columns read.
    points
        The parameter values at which the port was compared with the original.
    deviation
        The largest relative deviation of an intensity from the original's. Intensities below ``floor`` times the
        largest count as that large: what interference leaves of them is rounding.
    tolerance
        The deviation that would have been refused.
    floor
        See ``deviation``.
    gradient_deviation
        The deviation of JAX's gradient from differences of the original along a random direction, relative to the
        gradient, or None where it could not be compared (the notes say why).
    replaced
        Functions of libraries that were replaced, in the order of first use.
    notes
        What else is to be known.
    """

    name: str
    kind: str
    n_events: int
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    points: tuple[dict[str, float], ...]
    deviation: float
    tolerance: float
    floor: float
    gradient_deviation: float | None
    replaced: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        gradient = "not compared" if self.gradient_deviation is None else f"{self.gradient_deviation:.1e}"
        rows = {
            "class": f"{self.name} ({self.kind})",
            "compared": f"{self.n_events} events at {len(self.points)} points",
            "intensity": f"largest relative deviation {self.deviation:.1e} (allowed: {self.tolerance:.0e})",
            "gradient": gradient if self.gradient_deviation is None else f"relative deviation {gradient}",
            "parameters": ", ".join(self.parameters) or "none",
            "columns": ", ".join(self.columns) or "none",
            "replaced": ", ".join(self.replaced) or "operators only",
            **{f"note {k}": text for k, text in enumerate(self.notes, 1)},
        }
        width = max(map(len, rows))
        return "\n".join(f"{name:{width}}  {text}" for name, text in rows.items())


def deviation(found: np.ndarray, wanted: np.ndarray, floor: float) -> np.ndarray:
    """Return the relative deviation of every event; equal infinities and NaN on both sides count as none.

    Parameters
    ----------
    found, wanted
        Shape ``(events,)`` each.
    floor
        Values smaller than this times the largest count as that large.
    """
    finite = np.isfinite(wanted) & np.isfinite(found)
    size = np.abs(np.where(finite, wanted, 0))
    scale = np.maximum(size, floor * size.max(initial=0.0))
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(all="ignore"):
        relative = np.abs(found - wanted) / np.where(scale > 0, scale, 1)
    return np.where(same, 0.0, np.where(finite, relative, np.inf))
