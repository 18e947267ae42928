"""Couplings of composed models as numbers, in groups that interfere, and intensities to compare."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.physics.waves.composition import CoherentSum, IncoherentSum
from jaxpwa.physics.waves.wave import Wave

Model = CoherentSum | IncoherentSum

# In units of the largest coupling: what counts as 0.
_NOTHING = 1e-9


def groups_of(model: Model) -> tuple[tuple[str, ...], ...]:
    """Return names of couplings whose phases are seen relative to each other, in groups."""
    if not isinstance(model, Model):
        msg = f"model must be a CoherentSum or an IncoherentSum, got {type(model).__name__}."
        raise TypeError(msg)
    sums: dict[str, list[str]] = {}
    for sum_name, part in model._parts():
        if isinstance(part, Wave):
            sums.setdefault(sum_name, []).append(part.coupling.name)
    groups: list[set[str]] = []
    for names in sums.values():
        touching = [group for group in groups if group & set(names)]
        groups = [group for group in groups if group not in touching] + [set(names).union(*touching)]
    order = list(model.couplings)
    return tuple(sorted((tuple(sorted(g, key=order.index)) for g in groups), key=lambda names: order.index(names[0])))


def values_of(model: Model, params: Mapping[str, Any]) -> dict[str, complex]:
    """Return the couplings' values as numbers, or say which parameters are missing."""
    groups_of(model)
    missing = [name for c in model.couplings.values() for name in c.parameters if name not in params]
    if missing:
        msg = f"params must have the parameters of all couplings: {known(missing)} are missing."
        raise ValueError(msg)
    out = {name: complex(value) for name, value in model.coupling_values(params).items()}
    bad = [name for name, value in out.items() if not np.isfinite(value)]
    if bad:
        msg = f"couplings must be finite: {known(bad)} aren't."
        raise ValueError(msg)
    return out


def representable(model: Model, values: Mapping[str, complex]) -> bool:
    """Tell whether couplings are real where the model has them real."""
    scale = max(map(abs, values.values()), default=0)
    return all(not c.real or abs(values[name].imag) <= _NOTHING * scale for name, c in model.couplings.items())


def with_values(model: Model, params: Mapping[str, Any], values: Mapping[str, complex]) -> dict[str, float]:
    """Return parameters with couplings replaced."""
    out = {name: float(value) for name, value in params.items()}
    for name, coupling in model.couplings.items():
        out.update(coupling.start(values[name].real if coupling.real else values[name]))
    return out


def chosen(groups: tuple[tuple[str, ...], ...], of: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the groups that hold one of some couplings, all if none is named."""
    every = [name for group in groups for name in group]
    for name in of:
        if name not in every:
            msg = f"there is no coupling {name!r}; there are {known(every)}."
            raise ValueError(msg)
    return [group for group in groups if not of or set(group) & set(of)]


def references_of(model: Model, given: Sequence[str]) -> list[str]:
    """Return one name for each group."""
    given, groups, out = [given] if isinstance(given, str) else list(given), groups_of(model), []
    chosen(groups, given)
    for group in groups:
        real = [name for name in group if model.couplings[name].real]
        asked = [name for name in given if name in group]
        if len(asked) > 1:
            msg = f"reference must name at most one coupling of each group, but {known(asked)} interfere."
            raise ValueError(msg)
        if asked and real and asked[0] not in real:
            msg = f"reference names {asked[0]!r}, but the model has {known(real)} real in the same group."
            raise ValueError(msg)
        out.append((asked or real or list(group))[0])
    return out


def referenced(
    model: Model, values: Mapping[str, complex], references: Sequence[str] | None = None
) -> dict[str, complex]:
    """Return couplings with phases such that references are real and positive."""
    out, scale = dict(values), max(map(abs, values.values()), default=0)
    references = references_of(model, ()) if references is None else references
    for group, reference in zip(groups_of(model), references, strict=True):
        size = abs(values[reference])
        if size > 1e-12 * scale:
            out.update({name: values[name] * values[reference].conjugate() / size for name in group})
            out[reference] = complex(size)
    return out


def intensities(model: Any, every: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> np.ndarray:
    """Evaluate a model at some sets of parameters, ``(sets, events)``, and refuse what isn't finite."""
    if not callable(model):
        msg = f"model must be a function intensity(params, data), got {type(model).__name__}."
        raise TypeError(msg)
    stacked = {name: jnp.asarray([float(params[name]) for params in every]) for name in every[0]}
    function: Any = model
    found = np.asarray(jax.vmap(lambda p: jnp.atleast_1d(function(p, data)))(stacked))
    if not np.all(np.isfinite(found)):
        msg = f"the intensity must be finite on data, got {found[~np.isfinite(found)][0]} for an event."
        raise ValueError(msg)
    return found


def columns_of(data: Any) -> dict[str, jax.Array]:
    """Return columns as arrays."""
    if not isinstance(data, Mapping):
        msg = f"data must be a dict of columns, got {type(data).__name__}."
        raise TypeError(msg)
    return {name: jnp.asarray(column) for name, column in data.items()}


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Tell whether intensities differ by no more than a share of their mean."""
    return bool(np.max(np.abs(a - b)) <= tolerance * np.mean(np.abs(a) + np.abs(b)) / 2)
