"""How a sum over events is made: where the events are put, and what may be done to make it faster."""

from dataclasses import dataclass, replace

import numpy as np

from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.blocks import PlacedEvents, place
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.fileevents import FileEvents
from jaxpwa.engine.model import column_specs
from jaxpwa.engine.precompute import make_plan
from jaxpwa.engine.prepare import Account, ProvenSum, Settings, prepare
from jaxpwa.engine.streamed import StreamedSum, streamed
from jaxpwa.engine.sums import EventSum, SumSpec
from jaxpwa.inference.summands import plain_intensity


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a term's events are placed, and what may be done to make its sum faster.

    Attributes
    ----------
    columns
        Names of the columns that the model reads.
    extras, devices
        As in `place`.
    settings
        What may be done.
    """

    columns: tuple[str, ...]
    extras: tuple[np.ndarray, ...]
    devices: Devices
    settings: Settings

    def place(self, data: Dataset | FileEvents, what: str) -> PlacedEvents:
        """Copy the columns to the devices."""
        if isinstance(data, FileEvents):
            return data.place_share()
        return place(data, self.columns, what=what, extras=self.extras, devices=self.devices)

    def first_sum(self, spec: SumSpec, data: Dataset | FileEvents, what: str) -> EventSum | StreamedSum:
        """Return the sum as it is written, over events on the devices or in files; the mesh and block are the events'.

        Raises
        ------
        ValueError
            If no event counts.
        """
        if isinstance(data, FileEvents) and data.is_streamed:
            return StreamedSum(spec, data)
        events = self.place(data, what)
        if not events.n_events:
            why = "all weights are 0" if data.n_events else "there are none"
            msg = f"{what} must have events that count: {why}."
            raise ValueError(msg)
        return EventSum(replace(spec, mesh=events.mesh, block=events.block), events)

    def prepare(
        self, total: EventSum | StreamedSum, data: Dataset | FileEvents, held: dict[str, float] | None = None
    ) -> tuple[EventSum | ProvenSum | StreamedSum, Account]:
        """Store what can be, and find pseudo-events."""
        if isinstance(total, StreamedSum):
            return streamed(total.spec, total.source, self.settings)
        is_plain = total.spec.summand is plain_intensity
        return prepare(total.spec, total.events, column_specs(data, self.columns), self.settings, is_plain, held)

    def gains_by_holding(self, spec: SumSpec, data: Dataset | FileEvents, held: tuple[str, ...]) -> bool:
        """Tell whether more can be computed beforehand with these parameters fixed."""
        is_streamed = isinstance(data, FileEvents) and data.is_streamed
        if not self.settings.precompute or not self.columns or is_streamed:
            return False
        arguments = spec.model, spec.parameters, column_specs(data, self.columns), spec.single, spec.block
        return make_plan(*arguments, held).cost_saved > make_plan(*arguments).cost_saved
