"""The parts of composed models, by name, and models in which parameters switch them off.

A composed model is what `jaxpwa.physics` builds from waves: it has ``names`` and ``only``. Where its coherent sums
(``parts``, ``waves``) can be looked at, one compiled sum serves all sets of waves. A wave is off where its coupling is
0, which is the sum that a fit has compiled already. If waves share couplings that are not switched together, or factors
read couplings, each part gets one more factor instead: a parameter that is 1 or 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax

from jaxpwa._checks import known
from jaxpwa.engine.model import ColumnSpecs

Part = tuple[str, str]
"""Name of the coherent sum, and of the wave in it; of a background, its own name twice."""

Subset = frozenset[Part] | None
"""Parts that are on; None: all."""


@dataclass(frozen=True)
class Switch:
    """A factor that is a parameter.

    Attributes
    ----------
    parameter
        Its name.
    """

    parameter: str

    def __call__(self, params: Any, data: Any) -> Any:
        """Return the parameter."""
        return params[self.parameter]


def is_composed(model: Any) -> bool:
    """Tell whether parts of a model can be chosen by name."""
    return callable(getattr(model, "only", None)) and hasattr(model, "names")


def sums_of(model: Any) -> tuple[Any, ...] | None:
    """Return the coherent sums and backgrounds of a composed model, or None where they can't be looked at."""
    sums = tuple(getattr(model, "parts", (model,)))
    return sums if all(hasattr(one, "waves") or hasattr(one, "factors") for one in sums) else None


def parts_of(model: Any) -> tuple[Part, ...]:
    """Return the parts of a composed model; without sums that can be looked at, as if all names were in one."""
    sums = sums_of(model)
    if sums is None:
        return tuple(("", name) for name in model.names)
    members = (((one.name, wave.name) for wave in getattr(one, "waves", (one,))) for one in sums)
    return tuple(part for group in members for part in group)


def with_switches(model: Any, subsets: Sequence[Subset]) -> tuple[Any, list[dict[str, float]]]:
    """Return a model whose parts are multiplied by parameters, and for each subset the values of these."""
    # Parts that are on and off together have one switch, those that are always on have none.
    alike = {part: tuple(s is None or part in s for s in subsets) for part in parts_of(model)}
    kinds = [kind for kind in dict.fromkeys(alike.values()) if not all(kind)]
    labels = {kind: f"<switch {k}>" for k, kind in enumerate(kinds, 1)}
    switches = {part: labels[kind] for part, kind in alike.items() if kind in labels}
    settings = [{labels[kind]: float(kind[k]) for kind in kinds} for k in range(len(subsets))]
    return _switched(model, switches), settings


def _switched(model: Any, switches: Mapping[Part, str]) -> Any:
    """Multiply amplitudes of waves and intensities of backgrounds by parameters."""

    def with_switch(thing: Any, part: Part) -> Any:
        return replace(thing, factors=(*thing.factors, Switch(switches[part]))) if part in switches else thing

    def of_sum(one: Any) -> Any:
        if not hasattr(one, "waves"):
            return with_switch(one, (one.name, one.name))
        return replace(one, waves=tuple(with_switch(wave, (one.name, wave.name)) for wave in one.waves))

    return replace(model, parts=tuple(map(of_sum, model.parts))) if hasattr(model, "parts") else of_sum(model)


class _Noted(dict):
    """Parameters of any name, all the same number; those asked for are noted."""

    def __init__(self, number: Any):
        super().__init__()
        self.number = number
        self.read: set[str] = set()

    def __missing__(self, name: str) -> Any:
        self.read.add(name)
        return self.number


def _read_by_factors(model: Any, columns: ColumnSpecs) -> set[str]:
    """Return the parameters that factors of waves and backgrounds read, couplings left out."""
    members = [member for one in sums_of(model) or () for member in getattr(one, "waves", (one,))]
    factors = {id(factor): factor for member in members for factor in member.factors}
    found: set[str] = set()

    def traced(number: jax.Array, data: dict[str, jax.Array]) -> None:
        params = _Noted(number)
        for factor in factors.values():
            factor(params, data)
        found.update(params.read)

    scalar = jax.ShapeDtypeStruct((), columns[0][2] if columns else float)
    jax.eval_shape(traced, scalar, {name: jax.ShapeDtypeStruct((7, *shape), kind) for name, shape, kind in columns})
    return found


def _sizes(model: Any) -> dict[Part, tuple[str, ...]]:
    """Return the parameters of couplings, and of sizes of backgrounds, by part."""
    found: dict[Part, tuple[str, ...]] = {}
    for one in sums_of(model) or ():
        if hasattr(one, "waves"):
            found |= {(one.name, wave.name): wave.coupling.parameters for wave in one.waves}
        else:
            found[one.name, one.name] = (one.name,)
    return found


def zeros_for(model: Any, subsets: Sequence[Subset], columns: ColumnSpecs) -> list[dict[str, float]] | None:
    """Return parameters to set to 0 for each subset to be on alone, or None if that can't be had.

    Parameters
    ----------
    model
        A composed model, whose sums can be looked at.
    subsets
        Sets of parts; None is all.
    columns
        The columns that data have.
    """
    sizes = _sizes(model)
    users: dict[str, list[Part]] = {}
    for part, names in sizes.items():
        for name in names:
            users.setdefault(name, []).append(part)
    on = [{name: {s is None or part in s for part in parts} for name, parts in users.items()} for s in subsets]
    if any(len(states) > 1 for setting in on for states in setting.values()):
        return None
    if users.keys() & _read_by_factors(model, columns):
        return None
    return [{name: 0.0 for name, states in setting.items() if not all(states)} for setting in on]


def _patterns(given: Any, what: str) -> dict[str, tuple[str, ...]]:
    """Return names and patterns by label, of a mapping or of a sequence of names that stand for themselves."""
    if isinstance(given, str):
        msg = f"{what} must be names in a list, or lists of names by label, got the string {given!r}."
        raise TypeError(msg)
    pairs = given.items() if isinstance(given, Mapping) else ((name, name) for name in given)
    found: dict[str, tuple[str, ...]] = {}
    for label, names in pairs:
        if label in found:
            msg = f"{what} names {label!r} twice."
            raise ValueError(msg)
        found[str(label)] = (names,) if isinstance(names, str) else tuple(names)
    return found


def chosen(model: Any, names: Sequence[str] | Mapping[str, Any] | None, what: str) -> dict[str, frozenset[Part]]:
    """Return sets of parts by label.

    Parameters
    ----------
    model
        A composed model.
    names
        Names and patterns, as ``model.only`` takes them; or such by label; or None for every wave and background.
    what
        What the argument is called.
    """
    everything = parts_of(model)
    if names is None:
        return {name: frozenset(part for part in everything if part[1] == name) for name in model.names}
    found = {}
    for label, patterns in _patterns(names, what).items():
        if not patterns:
            msg = f"{what}: {label!r} must name at least one of {known(model.names)}."
            raise ValueError(msg)
        found[label] = frozenset(parts_of(model.only(*patterns)))
    return found


def check_disjoint(rows: Mapping[str, frozenset[Part]]) -> None:
    """Refuse rows that share waves: there is no interference between a wave and itself."""
    labels = list(rows)
    for i, a in enumerate(labels):
        for b in labels[i + 1 :]:
            if rows[a] & rows[b]:
                shared = known(dict.fromkeys(name for _, name in sorted(rows[a] & rows[b])))
                msg = f"names must be sets of different waves: {a!r} and {b!r} share {shared}. Overlaps go into groups."
                raise ValueError(msg)


def interfere(a: Iterable[Part], b: Iterable[Part]) -> bool:
    """Tell whether any of two sets of parts are in one coherent sum."""
    return bool({one for one, _ in a} & {one for one, _ in b})
