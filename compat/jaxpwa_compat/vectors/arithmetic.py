"""What three- and four-vectors share: components, rows, arithmetic and the angles of their momentum."""

from collections.abc import Callable
from operator import add, mul, sub, truediv
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from jaxpwa_compat.vectors.components import (
    as_component,
    as_count,
    as_operand,
    as_rows,
    copied,
    is_traced,
    n_rows,
    read_components,
    take,
)


def _shown(value: Any) -> str:
    if is_traced(value):
        return f"<{type(value).__name__}>"
    if not value.shape:
        return f"{value:.6g}"
    return np.array2string(value, precision=6, threshold=6, edgeitems=2, separator=", ", max_line_width=100)


class ComponentVector:
    """Named components with vector arithmetic; `ThreeVector` and `FourVector` say which.

    Notes
    -----
    Components are copied when a vector is built, when one is set and when events are picked: no vector shares memory
    with the caller's arrays or with another vector. The properties give the vector's own arrays.
    """

    _names: ClassVar[tuple[str, ...]] = ()
    _values: dict[str, Any]

    # numpy and pandas then leave ``array - vector`` to the vector, instead of working through it as through a list.
    __array_ufunc__ = None
    __pandas_priority__ = 5000

    # Components can be set, so that equal vectors need not stay equal.
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def _fill(self, *given: Any) -> None:
        """Read the constructor's arguments."""
        same = isinstance(given[0], ComponentVector) and all(other is None for other in given[1:])
        first = given[0]._values if same else given[0]
        self._values = read_components(type(self).__name__, self._names, (first, *given[1:]))

    @classmethod
    def _from(cls, values: dict[str, Any]) -> Self:
        """Build a vector around new components, which it then owns."""
        vector = cls.__new__(cls)
        vector._values = values
        return vector

    def _rebuild(self, values: dict[str, Any]) -> Self:
        """Build the same thing of other events."""
        return self._from(values)

    def _result(self, values: dict[str, Any]) -> "ComponentVector":
        """Build what arithmetic gives."""
        return self._from(values)

    def _length(self) -> int | None:
        lengths = [n_rows(value) for value in self._values.values()]
        return next((length for length in lengths if length is not None), None)

    def __len__(self) -> int:
        """Return the number of events; single numbers are one event."""
        length = self._length()
        return 1 if length is None else length

    def _set(self, name: str, value: Any) -> None:
        new, length = as_component(name, value), self._length()
        if not is_traced(new) and not any(is_traced(v) for v in self._values.values()):
            if not new.shape and length is not None:
                new = np.full(length, new)
            elif n_rows(new) != length:
                expected = "a number, as the other components are" if length is None else f"{length} events"
                msg = f"{name} must be set to {expected}, got {n_rows(new)} events. Build a new vector instead."
                raise ValueError(msg)
        self._values[name] = new

    @property
    def x(self) -> Any:
        """Component along x, ``(events,)`` or a number; setting copies, and a number goes to every event."""
        return self._values["x"]

    @x.setter
    def x(self, value: Any) -> None:
        self._set("x", value)

    @property
    def y(self) -> Any:
        """Component along y, as `x`."""
        return self._values["y"]

    @y.setter
    def y(self, value: Any) -> None:
        self._set("y", value)

    @property
    def z(self) -> Any:
        """Component along z, as `x`."""
        return self._values["z"]

    @z.setter
    def z(self, value: Any) -> None:
        self._set("z", value)

    @property
    def dataframe(self) -> pd.DataFrame:
        """All components as columns of a new DataFrame, one row per event."""
        return pd.DataFrame({name: np.atleast_1d(value).copy() for name, value in self._values.items()})

    def __getitem__(self, item: Any) -> Any:
        """Pick a component or events.

        Parameters
        ----------
        item
            Name of a component; or a whole number, a slice, a boolean mask (list, array or Series, paired by
            position) or a list or array of event numbers.

        Returns
        -------
        A copy: of the component; of the vector with these events, components being single numbers for a whole number.

        Raises
        ------
        TypeError
            If it is nothing of these.
        ValueError
            If there is no such component, or a mask has another length.
        IndexError
            If there is no such event.
        """
        if isinstance(item, str):
            if item not in self._names:
                msg = f"{type(self).__name__} has no component {item!r}, only {', '.join(self._names)}."
                raise ValueError(msg)
            return copied(self._values[item])
        rows = as_rows(item, len(self))
        return self._rebuild({name: take(value, rows) for name, value in self._values.items()})

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Refuse: numpy would take the events for nested lists."""
        msg = f"a {type(self).__name__} is no array: take its components {', '.join(self._names)}, or .dataframe."
        raise TypeError(msg)

    def __copy__(self) -> Self:
        return self.get_copy()

    def get_copy(self) -> Self:
        """Return an independent copy; a `Particle` keeps its id and charge."""
        return self._rebuild({name: copied(value) for name, value in self._values.items()})

    def split(self, count: int) -> list[Self]:
        """Split the events into parts, in order.

        Parameters
        ----------
        count
            Number of parts, at least 1. Lengths differ by at most one, longer parts first, as in `numpy.array_split`.

        Raises
        ------
        TypeError, ValueError
            If it is no whole number, or below 1.
        """
        parts = np.array_split(np.arange(len(self)), as_count("number of parts", count, 1))
        return [self[rows] for rows in parts]

    def _other(self, other: Any) -> Any:
        """Return what each component is combined with, by name; NotImplemented if other is no such thing."""
        if isinstance(other, ComponentVector):
            if other._names != self._names:
                msg = (
                    f"a {type(self).__name__} and a {type(other).__name__} can't be combined: get_three_vector() first."
                )
                raise TypeError(msg)
            there = other._values
        else:
            operand = as_operand(other)
            if operand is NotImplemented:
                return NotImplemented
            there = dict.fromkeys(self._names, operand)
        length = self._length()
        wrong = [n for v in there.values() if (n := n_rows(v)) is not None and length is not None and n != length]
        if wrong:
            msg = f"a vector of {length} events can't be combined with {wrong[0]} events."
            raise ValueError(msg)
        return there

    def _combine(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        there = self._other(other)
        if there is NotImplemented:
            return NotImplemented
        return self._result({name: operation(value, there[name]) for name, value in self._values.items()})

    def __add__(self, other: Any) -> Any:
        """Add a vector, or a number (or one per event) to every component."""
        return self._combine(other, add)

    def __radd__(self, other: Any) -> Any:
        return self._combine(other, add)

    def __sub__(self, other: Any) -> Any:
        """Subtract a vector, or a number (or one per event) from every component."""
        return self._combine(other, sub)

    def __rsub__(self, other: Any) -> Any:
        return self._combine(other, lambda mine, number: number - mine)

    def __mul__(self, other: Any) -> Any:
        """Multiply by a number, or by one per event."""
        if isinstance(other, ComponentVector):
            msg = (
                f"a {type(self).__name__} can't be multiplied by a {type(other).__name__}: "
                "use get_dot(), or * between two ThreeVectors for the cross product."
            )
            raise TypeError(msg)
        return self._combine(other, mul)

    def __rmul__(self, other: Any) -> Any:
        return self._combine(other, mul)

    def __truediv__(self, other: Any) -> Any:
        """Divide by a number, or by one per event."""
        if isinstance(other, ComponentVector):
            msg = f"a {type(self).__name__} can be divided by numbers, not by a {type(other).__name__}."
            raise TypeError(msg)
        return self._combine(other, truediv)

    def __rtruediv__(self, other: Any) -> Any:
        """Refuse: nothing can be divided by a vector."""
        msg = (
            f"{type(other).__name__} / {type(self).__name__} has no meaning: a vector can't be divided by. "
            "Divide by one of its components or by get_length()."
        )
        raise TypeError(msg)

    def __neg__(self) -> Any:
        return self._result({name: -value for name, value in self._values.items()})

    def __eq__(self, other: object) -> bool:
        """Whether other is a vector of this kind with the same numbers in every event; False for anything else."""
        if not isinstance(other, ComponentVector) or other._names != self._names or len(other) != len(self):
            return False
        return all(bool(np.all(value == other._values[name])) for name, value in self._values.items())

    def __repr__(self) -> str:
        return f"{self._label()}{', '.join(f'{name}={_shown(value)}' for name, value in self._values.items())})"

    def _label(self) -> str:
        """Return how the representation begins."""
        return f"{type(self).__name__}({self._events()}"

    def _events(self) -> str:
        length = self._length()
        return "" if length is None else f"{length} events: "

    def _transverse_squared(self) -> Any:
        return self.x * self.x + self.y * self.y

    def _momentum_squared(self) -> Any:
        return self._transverse_squared() + self.z * self.z

    def get_length(self) -> Any:
        r"""Length :math:`\sqrt{x^2 + y^2 + z^2}`: of four-vectors that of the momentum, ``(events,)``, GeV."""
        return np.sqrt(self._momentum_squared())

    def get_theta(self) -> Any:
        r"""Polar angle :math:`\mathrm{atan2}(\sqrt{x^2 + y^2}, z)`, ``(events,)``, rad, in [0, pi]; 0 at length 0."""
        return np.arctan2(np.sqrt(self._transverse_squared()), self.z)

    def get_phi(self) -> Any:
        r"""Azimuth :math:`\mathrm{atan2}(y, x)`, ``(events,)``, rad, in [-pi, pi]; 0 on the z axis."""
        return np.arctan2(self.y, self.x)

    def get_cos_theta(self) -> Any:
        r"""Cosine of the polar angle, :math:`z / \sqrt{x^2 + y^2 + z^2}`, ``(events,)``; 1 at length 0, as in ROOT."""
        length = self.get_length()
        zero = length == 0
        return (self.z + zero) / (length + zero)

    def get_sin_theta(self) -> Any:
        r"""Sine of the polar angle, :math:`\sqrt{(x^2 + y^2) / (x^2 + y^2 + z^2)}`, ``(events,)``; 0 at length 0."""
        length = self.get_length()
        return np.sqrt(self._transverse_squared()) / (length + (length == 0))
