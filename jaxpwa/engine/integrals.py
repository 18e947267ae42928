"""Normalization integrals that outlive their Monte Carlo: pseudo-events in a file, with what proves that they fit."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.packing import read_packed, write_packed
from jaxpwa.engine.blocks import place, used_events
from jaxpwa.engine.model import ModelRef, column_specs, in_double, inspect_model
from jaxpwa.engine.precompute import make_plan
from jaxpwa.engine.quadratic import place_pseudo_events
from jaxpwa.engine.stored import stored_rows
from jaxpwa.engine.sums import EventSum, Summand, SumSpec

_MAGIC = b"jaxpwa integrals 1\n"
SAMPLE = 256
"""Events kept with integrals."""
# Relative differences that are let pass, in double precision and in single.
_AGREEMENT = {False: 1e-10, True: 1e-6}
_SAME = {False: 1e-9, True: 1e-4}


@dataclass(frozen=True, eq=False)
class Integrals:
    """Sums of an intensity over Monte Carlo, as pseudo-events: a stand-in for the Monte Carlo in a cost.

    Made by `Cost.integrals`, read by `load_integrals`; given as ``accepted_mc`` or ``normalization_mc``. A cost takes
    them only for the intensity that they were made with: what it computes of some of the Monte Carlo, kept with them,
    must be what it was, and so must the sums at some parameters.

    Attributes
    ----------
    parameters, columns
        What the intensity reads.
    n_events, sum_of_weights
        Of the Monte Carlo.
    fingerprint
        A hash of the columns read and the weights of the Monte Carlo (see `belong_to`).
    """

    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    n_events: int
    sum_of_weights: float
    fingerprint: str
    single: bool
    layout: str
    numbers: tuple[np.ndarray, ...]
    weights: np.ndarray
    sample: dict[str, np.ndarray]
    stored: tuple[np.ndarray, ...]
    points: np.ndarray
    values: np.ndarray

    def belong_to(self, mc: Any) -> bool:
        """Tell whether these are integrals over this Monte Carlo: the same events and weights in the same order.

        Parameters
        ----------
        mc
            A `Dataset` or what makes one, with the columns that the intensity reads.
        """
        mc = mc if isinstance(mc, Dataset) else Dataset(mc)
        return mc.n_events == self.n_events and fingerprint(mc, self.columns) == self.fingerprint

    def save(self, path: str | os.PathLike) -> None:
        """Write the integrals to a file, as a whole or not at all.

        Parameters
        ----------
        path
            The file, exactly this name; an existing one is replaced.
        """
        write_packed(Path(path), _MAGIC, {item.name: getattr(self, item.name) for item in fields(self)})

    def __repr__(self) -> str:
        return (
            f"<Integrals over {self.n_events} events: {len(self.weights)} pseudo-events; "
            f"parameters: {known(self.parameters)}; columns: {known(self.columns)}>"
        )


def load_integrals(path: str | os.PathLike) -> Integrals:
    """Read integrals that `Integrals.save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Integrals
        Equal to those saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no integrals, or is damaged.
    """
    path = Path(path)
    plain = read_packed(path, _MAGIC, "holds no integrals of this version of jaxpwa")
    try:
        found = Integrals(**plain)
        _check(found)
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path} is damaged: {error}"
        raise ValueError(msg) from None
    return found


def agree(a: float, b: float, single: bool) -> bool:
    """Tell whether a sum over events and one over pseudo-events, of float32 intensities or not, are the same."""
    return abs(a - b) <= _AGREEMENT[single] * abs(a)


def _check(found: Integrals) -> None:
    """Raise ValueError or TypeError unless the parts fit each other."""
    n, n_points = len(found.weights), len(found.values)
    lengths = {len(a) for a in found.numbers} | {len(found.weights)}
    rows = {len(a) for a in found.sample.values()} | {len(a) for a in found.stored}
    arrays = [*found.numbers, *found.stored, *found.sample.values(), found.weights, found.points, found.values]
    fits = (
        all(isinstance(a, np.ndarray) and a.dtype.kind in "fiubc" for a in arrays)
        and n > 0
        and lengths == {n}
        and len(rows) == 1
        and found.points.shape == (n_points, len(found.parameters))
        and n_points > 0
        and set(found.sample) == set(found.columns)
        and len(found.numbers) == len(found.stored) == len(found.layout) + found.layout.count("c")
    )
    if not fits:
        msg = "its parts do not fit each other"
        raise ValueError(msg)


class Fingerprint:
    """A hash of columns and weights that does not depend on the pieces in which events come."""

    def __init__(self, columns: tuple[str, ...]):
        self._digests = {name: hashlib.blake2b(digest_size=20) for name in columns}
        self._weights = hashlib.blake2b(digest_size=20)
        self._forms: dict[str, str] = {}
        self._is_weighted = False

    def update(self, data: Dataset) -> None:
        """Add events."""
        for name, digest in self._digests.items():
            values = data.numbers(name)
            # Pieces of a text file may hold whole numbers only where others don't.
            values = np.ascontiguousarray(values, complex if values.dtype.kind == "c" else float)
            self._forms[name] = f"{values.dtype.str} {values.shape[1:]}"
            digest.update(values.view(np.uint8).data)
        self._is_weighted |= data.is_weighted
        self._weights.update(np.ascontiguousarray(data.weights).view(np.uint8).data)

    def hexdigest(self) -> str:
        """Return the hash."""
        whole = hashlib.blake2b(digest_size=20)
        for name, digest in self._digests.items():
            whole.update(f"{name} {self._forms.get(name)} {digest.hexdigest()}".encode())
        if self._is_weighted:
            whole.update(self._weights.digest())
        return whole.hexdigest()


def fingerprint(data: Dataset, columns: tuple[str, ...]) -> str:
    """Return a hash of some columns and the weights."""
    whole = Fingerprint(columns)
    whole.update(data)
    return whole.hexdigest()


def make_integrals(
    pseudo: EventSum,
    single: bool,
    sample: dict[str, np.ndarray],
    totals: tuple[int, float, str],
    points: np.ndarray,
    values: np.ndarray,
) -> Integrals:
    """Write down a sum over pseudo-events.

    Parameters
    ----------
    pseudo
        The sum.
    single
        Whether the intensity of the Monte Carlo is computed in float32.
    sample
        Columns of some events of the Monte Carlo that it stands for.
    totals
        Number of its events, the sum of their weights, and its hash.
    points, values
        Parameters ``(points, n)``, and the sum over all events there.
    """
    spec = pseudo.spec
    columns, _, weights, _ = pseudo.arrays
    n = pseudo.n_events
    stored = _stored(spec.model, spec.parameters, as_sample(sample, single), spec.columns, single, spec.layout)
    few = tuple(np.asarray(c)[:n] for c in columns)
    return Integrals(
        spec.parameters,
        spec.columns,
        *totals,
        single,
        spec.layout,
        few,
        np.asarray(weights)[:n],
        sample,
        stored,
        points,
        values,
    )


def sample_of(data: Dataset, columns: tuple[str, ...], most: int = SAMPLE) -> dict[str, np.ndarray]:
    """Return columns of so many events that count, or all of them, evenly spaced."""
    used = np.arange(data.n_events)[used_events(data)]
    rows = used[np.unique(np.linspace(0, len(used) - 1, most).astype(np.intp))]
    return {name: np.asarray(data.numbers(name)[rows]) for name in columns}


def as_sample(sample: dict[str, np.ndarray], single: bool) -> Dataset:
    """Return the events kept with integrals as a Dataset."""
    return Dataset(sample, dtype="float32" if single else None)


def _stored(
    model: ModelRef, parameters: tuple[str, ...], sample: Dataset, columns: tuple[str, ...], single: bool, layout: str
) -> tuple[np.ndarray, ...]:
    """Return what is stored of the sample's events."""
    events = place(sample, columns, what="the sample of the integrals", devices=1, weighted=False)
    plan = make_plan(model, parameters, column_specs(sample, columns), single, events.block, (), True)
    return stored_rows(plan, events, single, layout)


def restored(
    intensity: Callable[..., Any], integrals: Integrals, summand: Summand, what: str, parameters: tuple[str, ...] | None
) -> EventSum:
    """Return the sum over pseudo-events for an intensity, once it is proven to be the one they were made with.

    Parameters
    ----------
    intensity, parameters
        As of a cost.
    integrals
        The pseudo-events.
    summand
        The intensity itself.
    what
        Name of the argument in messages.

    Raises
    ------
    ValueError
        If they were made with another intensity.
    """
    i, model, sample = integrals, ModelRef(intensity), as_sample(integrals.sample, integrals.single)
    try:
        info = inspect_model(model, column_specs(sample), parameters)
    except ValueError as error:
        msg = f"{what}: these integrals are of another intensity: {error}"
        raise ValueError(msg) from None
    names = i.parameters if info.parameters is None else info.parameters
    if sorted(names) != sorted(i.parameters) or sorted(info.columns) != sorted(i.columns):
        msg = (
            f"{what}: these integrals are of another intensity: it reads {known(i.parameters)} and columns "
            f"{known(i.columns)}, and {model.name} reads {known(names)} and {known(info.columns)}."
        )
        raise ValueError(msg)
    other = f"{what}: these integrals are not of {model.name} as it is now; make them anew from the Monte Carlo"
    try:
        now = _stored(model, i.parameters, sample, i.columns, i.single, i.layout)
    except ValueError as error:
        msg = f"{other} ({error})."
        raise ValueError(msg) from None
    if [a.shape for a in now] != [a.shape for a in i.stored] or not all(
        np.abs(a - b).max(initial=0) <= _SAME[i.single] * np.abs(b).max(initial=0)
        for a, b in zip(now, i.stored, strict=True)
    ):
        msg = f"{other} (what it computes of the events kept with them differs)."
        raise ValueError(msg)
    specs = column_specs(sample, i.columns)
    events = place_pseudo_events(i.numbers, i.weights)
    plan = make_plan(model, i.parameters, in_double(specs), False, events.block, (), True)
    spec = SumSpec(model, i.parameters, i.columns, summand, False, events.mesh, events.block, plan, i.layout)
    total = EventSum(spec, events)
    for point, value in zip(i.points, i.values, strict=True):
        found = float(total.collect(total.launch(point, 0), 0)[0])
        if not agree(value, found, i.single):
            msg = f"{other} (a sum is {found!r} and was {value!r})."
            raise ValueError(msg)
    return total
