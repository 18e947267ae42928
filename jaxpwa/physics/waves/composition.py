r"""How waves add up to an intensity: coherently, and incoherently.

.. math:: I = \sum_i \Big| \sum_k c_k A_{ik} \Big|^2 + \sum_b y_b B_b

A `CoherentSum` is one square, an `IncoherentSum` adds squares and backgrounds. Both are plain functions
``intensity(params, data)``, and name their parts, so that each wave and each set of waves can be looked at alone. Waves
in different coherent sums may share a coupling by its name, as they do where the beam is polarised.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.physics.waves.wave import Background, Coupling, Evaluated, Wave, check_name

_Keep = Callable[[str, str], bool]


class _ByName:
    """What both kinds of sums can do with the names of their parts."""

    name: str

    def _parts(self) -> Iterator[tuple[str, Any]]:
        """Yield each wave or background with the name of the sum that it is in."""
        raise NotImplementedError

    def _kept(self, keep: _Keep) -> Any:
        """Return the sum of the parts that are kept, or None if there are none."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Names of waves and backgrounds, each once."""
        return tuple(dict.fromkeys(part.name for _, part in self._parts()))

    @property
    def couplings(self) -> dict[str, Coupling]:
        """Couplings by name, each once."""
        return {part.coupling.name: part.coupling for _, part in self._parts() if isinstance(part, Wave)}

    def only(self, *names: str) -> Any:
        """Return the model with nothing but some of its parts.

        Parameters
        ----------
        *names
            Names of waves, backgrounds or coherent sums, or patterns of such names: ``"D*"``.

        Returns
        -------
        A model of the same kind with the parameters that its parts use.

        Raises
        ------
        ValueError
            If a name fits no part.
        """
        hit = self._hit(names)
        return self._kept(lambda sum_name, name: sum_name in hit or name in hit)

    def without(self, *names: str) -> Any:
        """Return the model with some of its parts switched off.

        Parameters
        ----------
        *names
            As in `only`.

        Returns
        -------
        A model of the same kind with the parameters that its parts use.

        Raises
        ------
        ValueError
            If a name fits no part, or nothing is left.
        """
        hit = self._hit(names)
        kept = self._kept(lambda sum_name, name: sum_name not in hit and name not in hit)
        if kept is None:
            msg = f"without {known(names)} nothing is left of {self.name!r}, which has {known(self._every_name())}."
            raise ValueError(msg)
        return kept

    def start(self, values: Mapping[str, complex] | complex = 1.0) -> dict[str, float]:
        """Return start values for all couplings and backgrounds.

        Parameters
        ----------
        values
            One complex number for all, of which references and backgrounds take the size; or numbers by name, where
            what isn't named is 1.

        Returns
        -------
        Parameter values by name, as `jaxpwa.fit` takes them. Parameters of line shapes are not among them.

        Raises
        ------
        ValueError
            If a name is not that of a coupling or background, or the value of a reference or background is not real.
        """
        sizes = {part.name: Coupling(part.name, real=True) for _, part in self._parts() if isinstance(part, Background)}
        every = self.couplings | sizes
        if not isinstance(values, Mapping):
            values = {name: abs(values) if c.real else values for name, c in every.items()}
        for name in values:
            if name not in every:
                raise ValueError(_unknown(name, list(every), "coupling or background"))
        out: dict[str, float] = {}
        for name, coupling in every.items():
            found = coupling.start(values.get(name, 1.0))
            out.update({name: found[f"{name}.re"]} if name in sizes else found)
        return out

    def coupling_values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all couplings.

        Parameters
        ----------
        params
            Parameter values by name.

        Returns
        -------
        Complex scalars by name of the coupling; real ones for references.
        """
        return {name: coupling(params) for name, coupling in self.couplings.items()}

    def _every_name(self) -> list[str]:
        pairs = [(sum_name, part.name) for sum_name, part in self._parts()]
        return list(dict.fromkeys([name for _, name in pairs] + [sum_name for sum_name, _ in pairs]))

    def _hit(self, names: tuple[str, ...]) -> set[str]:
        """Return the names that names and patterns stand for."""
        every = self._every_name()
        if not names:
            msg = f"name at least one of {known(every)}."
            raise ValueError(msg)
        hit: set[str] = set()
        for name in names:
            fits = {name} if name in every else {one for one in every if fnmatchcase(one, str(name))}
            if not fits:
                raise ValueError(_unknown(name, every, "wave, background or sum"))
            hit |= fits
        return hit


def _unknown(name: Any, every: list[str], what: str) -> str:
    near = get_close_matches(str(name), every, n=3)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return f"there is no {what} {name!r}; there are {known(every)}.{hint}"


def check_unique(names: list[str], where: str) -> None:
    """Refuse names that occur twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"parts of {where} must have different names: {known(twice)} occur more than once."
        raise ValueError(msg)


def _agree(couplings: list[Coupling]) -> None:
    """Refuse two couplings of one name that differ."""
    first: dict[str, Coupling] = {}
    for coupling in couplings:
        if first.setdefault(coupling.name, coupling) != coupling:
            msg = f"couplings of one name must be equal: {coupling.name!r} is {first[coupling.name]} and {coupling}."
            raise ValueError(msg)


@dataclass(frozen=True)
class CoherentSum(_ByName):
    r"""Waves that interfere: :math:`|\sum_k c_k A_k|^2`, an ``intensity(params, data)``.

    Parameters
    ----------
    name
        What the set of waves is switched on and off by.
    waves
        Each a `Wave`, of different names.

    Raises
    ------
    TypeError, ValueError
        If there is no wave, something else than a wave, or two of one name.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> from jaxpwa.physics.waves.composition import CoherentSum
    >>> from jaxpwa.physics.spin import spherical_harmonic
    >>> from jaxpwa.physics.waves.wave import Wave
    >>> def y(l, m):
    ...     return lambda p, d: spherical_harmonic(l, m, d["costheta"], d["phi"])
    >>> model = CoherentSum("eta pi", [Wave("S", y(0, 0)), Wave("P", y(1, 1))])
    >>> model.start()
    {'S.re': 1.0, 'S.im': 0.0, 'P.re': 1.0, 'P.im': 0.0}
    >>> jp.evaluate(model.without("P"), {"S.re": 2.0, "S.im": 0.0}, {"costheta": [0.3], "phi": [1.0]}).round(4)
    array([0.3183])
    """

    name: str
    waves: Any

    def __post_init__(self) -> None:
        check_name("a coherent sum", self.name)
        waves = (self.waves,) if isinstance(self.waves, Wave) else tuple(self.waves)
        if not waves:
            msg = f"coherent sum {self.name!r} must have at least one wave, got none."
            raise ValueError(msg)
        for wave in waves:
            if not isinstance(wave, Wave):
                msg = f"coherent sum {self.name!r} must consist of Waves, got {type(wave).__name__}."
                raise TypeError(msg)
        check_unique([wave.name for wave in waves], f"coherent sum {self.name!r}")
        _agree([wave.coupling for wave in waves])
        object.__setattr__(self, "waves", waves)

    def amplitude(self, params: Any, data: Any) -> jax.Array:
        """Sum of the waves, complex, ``(events,)``."""
        return self._amplitude(Evaluated(params, data))

    def _amplitude(self, evaluated: Evaluated) -> jax.Array:
        return reduce(add, (wave.within(evaluated) for wave in self.waves))

    def __call__(self, params: Any, data: Any) -> jax.Array:
        """Intensity, ``(events,)``."""
        return jnp.abs(self.amplitude(params, data)) ** 2

    def __str__(self) -> str:
        """Return the sum as |a + b + ...|²."""
        return f"{self.name}: |{' + '.join(wave.name for wave in self.waves)}|²"

    def _parts(self) -> Iterator[tuple[str, Any]]:
        return ((self.name, wave) for wave in self.waves)

    def _kept(self, keep: _Keep) -> "CoherentSum | None":
        waves = tuple(wave for wave in self.waves if keep(self.name, wave.name))
        return replace(self, waves=waves) if waves else None


@dataclass(frozen=True)
class IncoherentSum(_ByName):
    r"""Intensities that add: :math:`\sum_i |\sum_k c_k A_{ik}|^2 + \sum_b y_b B_b`, an ``intensity(params, data)``.

    Parameters
    ----------
    parts
        Each a `CoherentSum` or a `Background`, of different names.
    name
        What it is called in messages.

    Raises
    ------
    TypeError, ValueError
        If there is no part, one of another kind, two of one name, or two different couplings of one name.
    """

    parts: Any
    name: str = "model"

    def __post_init__(self) -> None:
        parts = tuple(self.parts)
        if not parts:
            msg = f"incoherent sum {self.name!r} must have at least one part, got none."
            raise ValueError(msg)
        for part in parts:
            if not isinstance(part, (CoherentSum, Background)):
                msg = f"incoherent sum {self.name!r} must consist of CoherentSums and Backgrounds, got {_what(part)}."
                raise TypeError(msg)
        check_unique([part.name for part in parts], f"incoherent sum {self.name!r}")
        object.__setattr__(self, "parts", parts)
        _agree([part.coupling for _, part in self._parts() if isinstance(part, Wave)])

    def __call__(self, params: Any, data: Any) -> jax.Array:
        """Intensity, ``(events,)``."""
        evaluated = Evaluated(params, data)
        parts = (
            jnp.abs(part._amplitude(evaluated)) ** 2 if isinstance(part, CoherentSum) else part(params, data)
            for part in self.parts
        )
        return reduce(add, parts)

    def __str__(self) -> str:
        """Return one line for each part."""
        return "\n".join(str(part) if isinstance(part, CoherentSum) else part.name for part in self.parts)

    def _parts(self) -> Iterator[tuple[str, Any]]:
        for part in self.parts:
            if isinstance(part, CoherentSum):
                yield from part._parts()
            else:
                yield part.name, part

    def _kept(self, keep: _Keep) -> "IncoherentSum | None":
        kept = []
        for part in self.parts:
            if isinstance(part, CoherentSum):
                part = part._kept(keep)
            elif not keep(part.name, part.name):
                part = None
            if part is not None:
                kept.append(part)
        return replace(self, parts=tuple(kept)) if kept else None


def _what(part: Any) -> str:
    hint = ": put it into a CoherentSum" if isinstance(part, Wave) else ""
    return type(part).__name__ + hint
