"""Four-vectors, energy first."""

from typing import Any

import numpy as np

from jaxpwa_compat.vectors.arithmetic import ComponentVector
from jaxpwa_compat.vectors.components import copied
from jaxpwa_compat.vectors.three import ThreeVector

# Rounded components, four squares and three differences leave E² - p² good to about 4 epsilon of E²: twice that.
_NOISE = 8 * np.finfo(np.float64).eps


class FourVector(ComponentVector):
    """A four-vector ``(e, x, y, z)`` per event, GeV, metric (+, -, -, -).

    Parameters
    ----------
    e, x, y, z
        Energy and momentum: numbers, or arrays, lists or Series ``(events,)``; numbers next to arrays hold for every
        event. Or one argument alone: a whole number n (n zeros each; 0 gives four numbers 0.0), or a DataFrame, dict,
        structured array or other four-vector with the columns e, x, y, z (also spelled E, X or px). Always copied.

    Raises
    ------
    TypeError
        If components are not real numbers.
    ValueError
        If components are missing, have more than one axis, or have different lengths.

    Notes
    -----
    ``+`` and ``-`` take a four-vector, a number or one number per event (for every component); ``*`` and ``/`` take a
    number or one number per event. ``a == b`` is one bool: whether all numbers of all events are equal.

    Examples
    --------
    >>> from jaxpwa_compat.vectors import FourVector
    >>> beam, target = FourVector(9, 0, 0, 9), FourVector(1, 0, 0, 0)
    >>> beam + target
    FourVector(e=10, x=0, y=0, z=9)
    >>> float((beam + target).get_length_squared())
    19.0
    """

    _names = ("e", "x", "y", "z")

    def __init__(self, e: Any, x: Any = None, y: Any = None, z: Any = None):
        self._fill(e, x, y, z)

    @property
    def e(self) -> Any:
        """Energy, ``(events,)`` or a number, GeV; setting copies, and a number goes to every event."""
        return self._values["e"]

    @e.setter
    def e(self, value: Any) -> None:
        self._set("e", value)

    def get_dot(self, other: "FourVector") -> Any:
        r"""Minkowski product :math:`e e' - x x' - y y' - z z'`, ``(events,)``, GeV².

        Raises
        ------
        TypeError
            If other is no four-vector.
        """
        if not isinstance(other, FourVector):
            msg = f"get_dot of a FourVector takes a FourVector, got {type(other).__name__}."
            raise TypeError(msg)
        self._other(other)
        return self.e * other.e - self.x * other.x - self.y * other.y - self.z * other.z

    def get_length_squared(self) -> Any:
        """Square of the four-vector, E² - p² = m², ``(events,)``, GeV²: in PyPWA's naming not that of `get_length`."""
        return self.get_dot(self)

    def get_mass(self) -> Any:
        r"""Invariant mass :math:`\sqrt{E^2 - p^2}`, ``(events,)``, GeV.

        Notes
        -----
        Where E² - p² is within rounding of zero (8 epsilon of E²), as for photons, the mass is 0. Where it is below
        that, the four-vector is space-like and its mass NaN, without a warning: so are some photons of a file of six
        digits, whose E² - p² is good to some 1e-6 of E² only. `jaxpwa.physics.kinematics.invariant_mass` gives minus
        the root of the absolute value instead.
        """
        squared = self.get_length_squared()
        massive = np.abs(squared) > _NOISE * (self.e * self.e)
        with np.errstate(invalid="ignore"):
            # The root of 1, not of 0, where there is no mass: its slope is finite when this is traced by JAX.
            return np.sqrt(squared * massive + np.logical_not(massive)) * massive

    def get_three_vector(self) -> ThreeVector:
        """Return a copy of the momentum."""
        return ThreeVector._from({name: copied(self._values[name]) for name in ThreeVector._names})
