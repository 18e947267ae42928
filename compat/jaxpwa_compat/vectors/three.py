"""Three-vectors."""

from typing import Any

from jaxpwa_compat.vectors.arithmetic import ComponentVector


class ThreeVector(ComponentVector):
    """A three-vector per event.

    Parameters
    ----------
    x, y, z
        Components: numbers, or arrays, lists or Series ``(events,)``; numbers next to arrays hold for every event.
        Or one argument alone: a whole number n (n zeros each; 0 gives three numbers 0.0), or a DataFrame, dict,
        structured array or other vector with the columns x, y, z (also spelled X or px). Always copied.

    Raises
    ------
    TypeError
        If components are not real numbers.
    ValueError
        If components are missing, have more than one axis, or have different lengths.

    Notes
    -----
    ``+`` and ``-`` take a three-vector, a number or one number per event; ``*`` of two three-vectors is the cross
    product; ``*`` and ``/`` take a number or one number per event. ``a == b`` is one bool: whether all numbers of all
    events are equal.

    Examples
    --------
    >>> from jaxpwa_compat.vectors import ThreeVector
    >>> ThreeVector(1, 0, 0) * ThreeVector(0, 1, 0)
    ThreeVector(x=0, y=0, z=1)
    """

    _names = ("x", "y", "z")

    def __init__(self, x: Any, y: Any = None, z: Any = None):
        self._fill(x, y, z)

    def __mul__(self, other: Any) -> Any:
        """Cross product with a three-vector; multiple by a number or by one number per event."""
        if not isinstance(other, ThreeVector):
            return super().__mul__(other)
        self._other(other)
        return self._result(
            {
                "x": self.y * other.z - self.z * other.y,
                "y": self.z * other.x - self.x * other.z,
                "z": self.x * other.y - self.y * other.x,
            }
        )

    def get_dot(self, other: "ThreeVector") -> Any:
        """Scalar product, ``(events,)``.

        Raises
        ------
        TypeError
            If other is no three-vector.
        """
        if not isinstance(other, ThreeVector):
            msg = f"get_dot of a ThreeVector takes a ThreeVector, got {type(other).__name__}."
            raise TypeError(msg)
        self._other(other)
        return self.x * other.x + self.y * other.y + self.z * other.z

    def get_length_squared(self) -> Any:
        """Square of the length, ``(events,)``."""
        return self._momentum_squared()
