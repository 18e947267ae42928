"""Waves: named amplitudes with complex couplings. `jaxpwa.physics.waves.composition` adds them up to intensities."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from math import atan2
from operator import mul
from typing import Any

import jax
import jax.numpy as jnp

Factor = Callable[[Any, Any], Any]
"""``factor(params, data)``, complex or real, ``(events,)`` or one number."""


def check_name(what: str, name: Any) -> None:
    """Refuse a blank name."""
    if not isinstance(name, str) or not name.strip():
        msg = f"{what} must have a name, a string that is not blank, got {name!r}."
        raise ValueError(msg)


def _checked_factors(name: str, factors: Any) -> tuple[Factor, ...]:
    factors = tuple(factors) if isinstance(factors, (tuple, list)) else (factors,)
    for factor in factors:
        if not callable(factor) or isinstance(factor, type):
            msg = (
                f"the factors of {name!r} must be functions factor(params, data), got {type(factor).__name__}. "
                "Write a constant as lambda p, d: 2.0."
            )
            raise TypeError(msg)
    if not factors:
        msg = f"{name!r} must have at least one factor, got none."
        raise ValueError(msg)
    return factors


class Evaluated:
    """Factors and couplings at one set of parameters and events, each computed once however many waves have it."""

    def __init__(self, params: Any, data: Any):
        self._params, self._data = params, data
        self._values: dict[Any, Any] = {}

    def _once(self, thing: Any, compute: Callable[[], Any]) -> Any:
        try:
            known = thing in self._values
        except TypeError:  # not hashable
            return compute()
        if not known:
            self._values[thing] = compute()
        return self._values[thing]

    def coupling(self, coupling: "Coupling") -> Any:
        """Value of a coupling."""
        return self._once(coupling, lambda: coupling(self._params))

    def product(self, factors: tuple[Factor, ...]) -> Any:
        """Product of factors, ``(events,)``."""
        values = [self._once(f, lambda f=f: f(self._params, self._data)) for f in factors]
        return reduce(mul, values)


@dataclass(frozen=True)
class Coupling:
    r"""A complex number made of parameters.

    .. math:: c = x + i y \quad\text{or}\quad c = r e^{i \varphi}

    Parameters
    ----------
    name
        What its parameters are called after.
    form
        ``"cartesian"``: parameters ``name.re`` and ``name.im``; ``"polar"``: ``name.abs`` and ``name.arg`` (rad).
    real
        A reference: the phase is 0, and only the first of the two parameters exists.

    Raises
    ------
    ValueError
        If the name is blank or the form neither of the two.
    """

    name: str
    form: str = "cartesian"
    real: bool = False

    def __post_init__(self) -> None:
        check_name("a coupling", self.name)
        if self.form not in ("cartesian", "polar"):
            msg = f"form of coupling {self.name!r} must be 'cartesian' or 'polar', got {self.form!r}."
            raise ValueError(msg)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of its parameters, one or two."""
        first, second = ("re", "im") if self.form == "cartesian" else ("abs", "arg")
        return (f"{self.name}.{first}",) if self.real else (f"{self.name}.{first}", f"{self.name}.{second}")

    def __call__(self, params: Mapping[str, Any]) -> Any:
        """Return its value, a scalar, complex unless it is a reference."""
        values = [params[name] for name in self.parameters]
        if self.real:
            return values[0]
        return values[0] + 1j * values[1] if self.form == "cartesian" else values[0] * jnp.exp(1j * values[1])

    def start(self, value: complex) -> dict[str, float]:
        """Return the parameters at which it has a value.

        Parameters
        ----------
        value
            Complex number; a real one for a reference.

        Returns
        -------
        Parameter values by name.

        Raises
        ------
        ValueError
            If a reference should have a value that is not real.
        """
        value = complex(value)
        if self.real and value.imag:
            msg = f"coupling {self.name!r} is a reference and real, got {value}."
            raise ValueError(msg)
        polar = (abs(value), atan2(value.imag, value.real))
        if self.real or self.form == "cartesian":
            polar = (value.real, value.imag)
        return dict(zip(self.parameters, polar, strict=False))


@dataclass(frozen=True)
class Wave:
    r"""A named amplitude with a coupling: :math:`c \prod_f A_f`.

    Parameters
    ----------
    name
        What it is switched on and off by.
    factors
        A function ``factor(params, data)``, or several whose product it is: complex or real, ``(events,)``.
    coupling
        A `Coupling`, or nothing for a cartesian one of the wave's own name.

    Raises
    ------
    TypeError, ValueError
        If the name is blank or a factor is no function.
    """

    name: str
    factors: Any
    coupling: Any = None

    def __post_init__(self) -> None:
        check_name("a wave", self.name)
        object.__setattr__(self, "factors", _checked_factors(self.name, self.factors))
        if self.coupling is None:
            object.__setattr__(self, "coupling", Coupling(self.name))
        if not isinstance(self.coupling, Coupling):
            msg = f"coupling of wave {self.name!r} must be a Coupling, got {type(self.coupling).__name__}."
            raise TypeError(msg)

    def amplitude(self, params: Any, data: Any) -> jax.Array:
        """Coupling times factors, complex, ``(events,)``."""
        return self.within(Evaluated(params, data))

    def within(self, evaluated: Evaluated) -> jax.Array:
        """Return the amplitude, of what is evaluated already."""
        return evaluated.coupling(self.coupling) * evaluated.product(self.factors)


@dataclass(frozen=True)
class Background:
    r"""A real intensity that interferes with nothing: :math:`y \prod_f B_f`, with a parameter named as it is.

    Parameters
    ----------
    name
        Its name, and that of its size :math:`y`.
    factors
        A function ``factor(params, data)``, or several whose product it is: real, not negative, ``(events,)``.

    Raises
    ------
    TypeError, ValueError
        If the name is blank or a factor is no function.
    """

    name: str
    factors: Any

    def __post_init__(self) -> None:
        check_name("a background", self.name)
        object.__setattr__(self, "factors", _checked_factors(self.name, self.factors))

    def __call__(self, params: Any, data: Any) -> Any:
        """Size times factors, ``(events,)``."""
        return params[self.name] * Evaluated(params, data).product(self.factors)


class _Permuted(Mapping):
    """Columns under each other's names; only those that are asked for are read."""

    def __init__(self, data: Any, names: dict[str, str]):
        self._data, self._names = data, names

    def __getitem__(self, name: str) -> Any:
        return self._data[self._names.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, name: object) -> bool:
        return self._names.get(str(name), name) in self._data


@dataclass(frozen=True)
class Symmetrised:
    r"""Sum of an amplitude over permutations of identical particles.

    .. math:: A(x) + \sum_P \epsilon\, A(P x)

    Parameters
    ----------
    amplitude
        A function ``amplitude(params, data)``.
    permutations
        What stands in for which column, one dict for each permutation but the identity: ``{"m12": "m13", "m13":
        "m12"}``; columns that are not named stay.
    sign
        :math:`\epsilon`: +1 for bosons; -1 where an exchange of fermions changes the sign.

    Raises
    ------
    ValueError
        If a permutation is none.
    """

    amplitude: Factor
    permutations: Any
    sign: int = 1

    def __post_init__(self) -> None:
        permutations = self.permutations
        permutations = (permutations,) if isinstance(permutations, Mapping) else tuple(permutations)
        for permutation in permutations:
            if set(permutation) != set(permutation.values()):
                msg = (
                    "a permutation must use each column once on both sides, such as {'m12': 'm13', 'm13': 'm12'}, "
                    f"got {permutation!r}."
                )
                raise ValueError(msg)
        object.__setattr__(self, "permutations", tuple(tuple(p.items()) for p in permutations))

    def __call__(self, params: Any, data: Any) -> Any:
        """Return the sum, ``(events,)``."""
        total = self.amplitude(params, data)
        for permutation in self.permutations:
            total = total + self.sign * self.amplitude(params, _Permuted(data, dict(permutation)))
        return total
