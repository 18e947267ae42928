"""Start values, limits and steps of a fit, by name; the one place where names become positions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa._checks import known


@dataclass(frozen=True)
class Parameter:
    """Where a parameter starts and where it may go.

    Parameters
    ----------
    value
        Start value.
    lower, upper
        Limits, inclusive; None: none.
    step
        Rough size of the error, positive; None: taken from the curvature at the start.
    fixed
        Whether the fit leaves it alone.

    Raises
    ------
    ValueError
        If the limits are not in order, the value is outside, or the step is not positive.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> jp.Parameter(1.0, lower=0.1)
    Parameter(value=1.0, lower=0.1, upper=None, step=None, fixed=False)
    """

    value: float
    lower: float | None = None
    upper: float | None = None
    step: float | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        for name in ("value", "lower", "upper", "step"):
            number = getattr(self, name)
            if number is None and name != "value":
                continue
            if number is None or np.ndim(number) or isinstance(number, (str, complex, np.complexfloating)):
                msg = f"{name} of a parameter must be one real number, got {number!r}."
                raise TypeError(msg)
            if np.isnan(float(number)):
                msg = f"{name} of a parameter must be a number, got NaN."
                raise ValueError(msg)
            object.__setattr__(self, name, float(number))
        low, high = self.limits
        if not low < high:
            msg = f"lower must be below upper, got lower={self.lower}, upper={self.upper}."
            raise ValueError(msg)
        if not np.isfinite(self.value) or not low <= self.value <= high:
            msg = f"the start value {self.value} must be finite and within its limits [{low}, {high}]."
            raise ValueError(msg)
        if self.step is not None and not (0 < self.step < np.inf):
            msg = f"step must be positive, got {self.step}."
            raise ValueError(msg)

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper limit, infinite where there is none."""
        return (
            -np.inf if self.lower is None else self.lower,
            np.inf if self.upper is None else self.upper,
        )


@dataclass(frozen=True)
class ParameterTable:
    """The parameters of a fit in the order of the user's start values.

    Attributes
    ----------
    names
        In order.
    values, lower, upper, step
        Arrays ``(n,)``; limits infinite and steps NaN where none were given.
    fixed
        Bool array ``(n,)``.
    """

    names: tuple[str, ...]
    values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    step: np.ndarray
    fixed: np.ndarray

    @classmethod
    def make(cls, start: Any, fixed: str | Iterable[str] = ()) -> "ParameterTable":
        """Read start values.

        Parameters
        ----------
        start
            A mapping from names to numbers or `Parameter`.
        fixed
            Names to fix besides those whose `Parameter` says so.

        Raises
        ------
        TypeError, ValueError
            If it is not of this form; the message names the parameter.
        """
        if not isinstance(start, Mapping):
            msg = f"start must map names to numbers or Parameter, got {type(start).__name__}."
            raise TypeError(msg)
        if not start:
            msg = "start must name at least one parameter, got none."
            raise ValueError(msg)
        parameters: dict[str, Parameter] = {}
        for name, value in start.items():
            if not isinstance(name, str):
                msg = f"parameter names must be strings, got {name!r}."
                raise TypeError(msg)
            try:
                parameters[name] = value if isinstance(value, Parameter) else Parameter(value)
            except (TypeError, ValueError) as error:
                hint = ""
                if isinstance(value, (tuple, list)):
                    hint = f" For limits write jaxpwa.Parameter(value, lower=..., upper=...), not {value!r}."
                msg = f"start value of {name!r}: {error}{hint}"
                raise type(error)(msg) from None
        held = [fixed] if isinstance(fixed, str) else list(fixed)
        unknown = [n for n in held if n not in parameters]
        if unknown:
            msg = f"fixed names unknown parameter {known(unknown)}; start has: {known(parameters)}."
            raise ValueError(msg)
        rows = list(parameters.values())
        return cls(
            names=tuple(parameters),
            values=np.array([p.value for p in rows]),
            lower=np.array([p.limits[0] for p in rows]),
            upper=np.array([p.limits[1] for p in rows]),
            step=np.array([np.nan if p.step is None else p.step for p in rows]),
            fixed=np.array([p.fixed or n in held for n, p in parameters.items()]),
        )

    def at(self, x: np.ndarray) -> dict[str, Parameter]:
        """Return the same parameters with these values, ``(n,)``, as start values."""

        def limit(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        rows = zip(x, self.lower, self.upper, self.step, self.fixed, strict=True)
        return {
            name: Parameter(float(value), limit(low), limit(high), limit(step), bool(fixed))
            for name, (value, low, high, step, fixed) in zip(self.names, rows, strict=True)
        }

    @property
    def fixed_values(self) -> dict[str, float]:
        """Values of the parameters that are not fitted, by name."""
        return {self.names[i]: float(self.values[i]) for i in np.flatnonzero(self.fixed)}

    @property
    def free(self) -> np.ndarray:
        """Positions of the parameters that are fitted."""
        return np.flatnonzero(~self.fixed)
