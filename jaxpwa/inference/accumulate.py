"""Integrals over Monte Carlo that comes in pieces: more of it than memory holds."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa._types import Intensity, Params
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.blocks import place
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.integrals import SAMPLE, Fingerprint, Integrals, agree, as_sample, make_integrals, sample_of
from jaxpwa.engine.model import ModelRef, column_specs, in_double, inspect_model, pack_parameters
from jaxpwa.engine.pieces import MOST_ROWS, check_same_length, names_of_numbers, rows_in_budget
from jaxpwa.engine.precompute import Plan, make_plan
from jaxpwa.engine.prepare import points_to_compare
from jaxpwa.engine.quadratic import NotQuadratic, check_degree, check_size, few_events, moments
from jaxpwa.engine.stored import store_all
from jaxpwa.engine.streamed import check_stored
from jaxpwa.engine.sums import EventSum, SumSpec
from jaxpwa.inference.summands import plain_intensity

_ROWS_OF_A_PIECE = SAMPLE // 8


def accumulate_integrals(
    intensity: Intensity,
    chunks: Iterable[Any] | FileDataset,
    params: Params,
    *,
    parameters: Sequence[str] | None = None,
    devices: Devices = None,
) -> Integrals:
    """Take integrals over Monte Carlo piece by piece; only a piece is in memory at a time.

    Parameters
    ----------
    intensity
        As of a cost; of second degree in what can be computed of an event without the parameters.
    chunks
        Pieces of the Monte Carlo: Datasets or what makes them, such as `iter_chunks` gives; or events in files
        (`Dataset.from_files`), which a cost takes as well, and then takes the integrals itself.
    params
        Numbers by name, typical ones: the sums over pseudo-events and over all events must agree there.
    parameters, devices
        As of a cost.

    Returns
    -------
    Integrals
        To be given to a cost in place of the Monte Carlo, and to be saved.

    Raises
    ------
    ValueError, TypeError
        If pieces do not fit the intensity or each other, there are no events that count, or the intensity is not of
        second degree: the message says why.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> pieces = ({"x": np.full(1000, float(i))} for i in range(3))
    >>> jp.accumulate_integrals(lambda p, d: p["a"] ** 2 + p["b"] * d["x"], pieces, {"a": 1.0, "b": 0.5})
    <Integrals over 3000 events: 2 pseudo-events; parameters: a, b; columns: x>
    """
    model, names = ModelRef(intensity), None if parameters is None else tuple(parameters)
    pack_parameters(params, (), model.name)
    sums = None
    with _opened(chunks) as pieces:
        for number, chunk in enumerate(pieces):
            what = f"piece {number} of the Monte Carlo"
            data = as_dataset(chunk, what)
            if data.n_events:
                sums = _Sums(model, data, params, names) if sums is None else sums
                sums.add(data, what, devices)
    if sums is None or sums.last is None:
        msg = "the Monte Carlo must have events that count: there are none."
        raise ValueError(msg)
    return sums.result()


def _opened(chunks: Any) -> AbstractContextManager[Iterable[Any]]:
    """Return the pieces; of files, the thread that reads them ends with the context."""
    if not isinstance(chunks, FileDataset):
        if isinstance(chunks, Mapping) or hasattr(chunks, "columns") or not isinstance(chunks, Iterable):
            msg = (
                f"chunks must be pieces of the Monte Carlo, one after the other, or events in files, got "
                f"{type(chunks).__name__}: put a single table into a list, [mc]."
            )
            raise TypeError(msg)
        return nullcontext(chunks)
    check_same_length(chunks, "the Monte Carlo")
    columns = names_of_numbers(chunks.head)
    return closing(chunks.pieces(min(MOST_ROWS, rows_in_budget(chunks, columns, len(columns))), columns))


class _Sums:
    """What is added up over the pieces."""

    def __init__(self, model: ModelRef, data: Dataset, params: Params, names: tuple[str, ...] | None):
        info = inspect_model(model, column_specs(data), names)
        if info.parameters is None:
            info = inspect_model(model, column_specs(data), tuple(params))
        self.model, self.columns = model, info.columns
        self.names = tuple(params) if info.parameters is None else info.parameters
        self.single = data.dtype == "float32"
        theta = pack_parameters({n: params[n] for n in params if n in self.names}, self.names, model.name)
        self.points = list(points_to_compare(theta))
        self.values = np.zeros(len(self.points))
        self.moments: Any = 0.0
        self.fingerprint = Fingerprint(self.columns)
        self.n_events, self.sum_of_weights = 0, 0.0
        self.samples: list[dict[str, np.ndarray]] = []
        self.specs = column_specs(data, self.columns)
        self.last: tuple[EventSum, Plan] | None = None

    def add(self, data: Dataset, what: str, devices: Devices) -> None:
        """Add the events of a piece."""
        specs = column_specs(data, self.columns)
        if specs != self.specs:
            here, there = (known(f"{n} {dtype}{list(shape)}" for n, shape, dtype in s) for s in (specs, self.specs))
            msg = f"{what} has other columns than the first: {here}; expected {there}."
            raise ValueError(msg)
        self.fingerprint.update(data)
        self.n_events += data.n_events
        self.sum_of_weights += data.sum_of_weights
        events = place(data, self.columns, what=what, devices=devices)
        if not events.n_events:
            return
        plan = make_plan(self.model, self.names, self.specs, self.single, events.block, (), True)
        try:
            check_stored(plan)
            check_degree(plan)
            stored = store_all(plan, events, self.single)
            check_size(stored)
        except NotQuadratic as reason:
            msg = f"there are no integrals of {self.model.name}: {reason}."
            raise ValueError(msg) from None
        spec = SumSpec(
            self.model,
            self.names,
            self.columns,
            plain_intensity,
            self.single,
            events.mesh,
            events.block,
            plan,
            plan.full_layout,
        )
        total = EventSum(spec, stored)
        self.moments = self.moments + moments(stored)
        self.values += [float(total.collect(total.launch(point, 0), 0)[0]) for point in self.points]
        self.samples.append(sample_of(data, self.columns, _ROWS_OF_A_PIECE))
        self.last = total, plan

    def result(self) -> Integrals:
        """Return the integrals, once they agree with the sums."""
        assert self.last is not None
        total, plan = self.last

        def plan_at(length: int) -> Plan:
            return make_plan(self.model, self.names, in_double(self.specs), False, length, (), True)

        try:
            pseudo = few_events(total, plan, self.moments, plan_at)
        except NotQuadratic as reason:
            msg = f"there are no integrals of {self.model.name}: {reason}."
            raise ValueError(msg) from None
        good = np.isfinite(self.values)
        for point, value in zip(self.points, self.values, strict=True):
            found = float(pseudo.collect(pseudo.launch(point, 0), 0)[0])
            if np.isfinite(value) and not agree(value, found, self.single):
                msg = (
                    f"there are no integrals of {self.model.name}: the sums differ: {float(value)!r} over events, "
                    f"{found!r} over pseudo-events."
                )
                raise ValueError(msg)
        if not good.any():
            msg = f"the sum of {self.model.name} is not finite at params: {self.values[0]}."
            raise ValueError(msg)
        some = {name: np.concatenate([s[name] for s in self.samples]) for name in self.columns}
        sample = sample_of(as_sample(some, self.single), self.columns)
        totals = self.n_events, self.sum_of_weights, self.fingerprint.hexdigest()
        return make_integrals(pseudo, self.single, sample, totals, np.array(self.points)[good], self.values[good])
