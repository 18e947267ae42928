"""Directions in which a cost hardly changes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Components of a direction below this part of the largest one are not named.
_INVOLVED = 0.1


@dataclass(frozen=True)
class WeakDirection:
    """A combination of parameters that the data determine badly.

    Attributes
    ----------
    eigenvalue
        Of the Hessian in units in which its diagonal is 1: 1 where parameters are not correlated, 0 where the cost does
        not change along the direction, negative at a saddle.
    parts
        Components by name, of all parameters that take part, the strongest first: how far each moves, in units of its
        error with all others held. Their squares add up to 1, or less where small ones are left out.
    steps
        The same in the parameters' own units: how far each moves for one standard deviation along the direction.
        Infinite where the direction is flat.
    """

    eigenvalue: float
    parts: dict[str, float]
    steps: dict[str, float]

    @property
    def inflation(self) -> float:
        """How many times longer the error along it is than if nothing were correlated; infinite if it is flat."""
        return 1 / math.sqrt(self.eigenvalue) if self.eigenvalue > 0 else math.inf


def weak_directions_of(
    hessian: np.ndarray, names: Sequence[str], threshold: float = 0.01, errordef: float = 0.5
) -> tuple[WeakDirection, ...]:
    """Return the eigenvectors of a Hessian, scaled to a unit diagonal, whose eigenvalues are small.

    Parameters
    ----------
    hessian
        Second derivatives, ``(n, n)``, of parameters that can move; or the inverse of a covariance matrix times
        ``2 errordef``.
    names
        Of the parameters.
    threshold
        Largest eigenvalue that is small.
    errordef
        By how much the cost rises at one standard deviation.

    Returns
    -------
    Weakest first.
    """
    diagonal = np.diag(hessian)
    # A parameter without curvature of its own is a flat direction by itself; its unit does not matter.
    size = 1 / np.sqrt(np.where(diagonal != 0, np.abs(diagonal), 1.0))
    eigenvalues, vectors = np.linalg.eigh(hessian * np.outer(size, size))
    rounding = 1e-14 * len(diagonal)
    found = []
    for eigenvalue, vector in zip(eigenvalues, vectors.T, strict=True):
        if eigenvalue > threshold:
            break
        strongest = int(np.argmax(np.abs(vector)))
        vector = vector * np.sign(vector[strongest])
        order: list[int] = np.argsort(-np.abs(vector), kind="stable").tolist()
        involved = [i for i in order if abs(vector[i]) >= _INVOLVED * vector.max()]
        length = math.sqrt(2 * errordef / eigenvalue) if eigenvalue > rounding else math.inf
        parts = {names[i]: float(vector[i]) for i in involved}
        steps = {names[i]: float(vector[i] * size[i] * length) for i in involved}
        found.append(WeakDirection(float(eigenvalue), parts, steps))
    return tuple(found)
