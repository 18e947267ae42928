"""The parts that costs are made of: sums over events."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._types import Params
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.blocks import Arrays
from jaxpwa.engine.devices import Devices, event_mesh, own_positions
from jaxpwa.engine.fileevents import FileEvents, Totals, opened
from jaxpwa.engine.integrals import Integrals, as_sample, fingerprint, restored
from jaxpwa.engine.model import ModelRef, column_specs, inspect_model
from jaxpwa.engine.pointwise import all_values, chunks
from jaxpwa.engine.prepare import Account, ProvenSum, Settings, SplitSum
from jaxpwa.engine.processes import errors_shared, tell
from jaxpwa.engine.scores import with_squared_weights
from jaxpwa.engine.streamed import StreamedSum
from jaxpwa.engine.sums import EventSum, Summand, SumSpec
from jaxpwa.inference.recipe import Recipe
from jaxpwa.inference.summands import FORMULAS, faults_of, log_intensity, plain_intensity, poisson_deviance

_DEFAULT = Settings()


@dataclass(frozen=True, eq=False)
class EventTerm:
    """``scale * S(p) + offset``, or ``scale * ln S(p) + offset``, with ``S`` a sum over events.

    Attributes
    ----------
    total
        The sum.
    scale, offset, log
        What is made of it.
    data, what
        The events on the host and their name, for messages.
    index
        Where this term's parameters stand among the cost's.
    recipe
        How the events were placed, to place them anew.
    account
        What was stored, and how the sum is taken.
    is_open
        Whether the model takes its parameters as a whole and they are not known yet.
    held
        Parameters whose values the sum takes for given.
    likelihood
        What the terms of one likelihood have in common, data and Monte Carlo; None for a term that stands alone.
    """

    total: EventSum | ProvenSum | StreamedSum
    scale: float
    offset: float
    log: bool
    data: Dataset | FileEvents
    what: str
    index: np.ndarray
    recipe: Recipe
    account: Account
    is_open: bool = False
    held: Mapping[str, float] = field(default_factory=dict)
    likelihood: object = None
    derivatives = 2

    @classmethod
    def make(
        cls,
        intensity: Callable,
        data: Dataset | FileDataset,
        what: str,
        summand: Summand,
        *,
        parameters: tuple[str, ...] | None,
        scale: float,
        offset: float = 0.0,
        log: bool = False,
        extras: tuple[np.ndarray, ...] = (),
        devices: Devices = None,
        settings: Settings = _DEFAULT,
        likelihood: object = None,
    ) -> "EventTerm":
        """Check the model against the data, place the columns that it reads, and describe the sum."""
        model = ModelRef(intensity)
        info = inspect_model(model, column_specs(data), parameters)
        recipe = Recipe(info.columns, extras, devices, settings)
        found = opened(data, info.columns, what, devices) if isinstance(data, FileDataset) else data
        names = info.parameters or ()
        # The mesh and the block are those of the events, once they are placed.
        nowhere = event_mesh(tuple(jax.local_devices()[:1]))
        spec = SumSpec(model, names, info.columns, summand, found.dtype == "float32", nowhere, 1)
        first = recipe.first_sum(spec, found, what)
        total, account, is_open = first, Account(), info.parameters is None
        if not is_open:
            total, account = recipe.prepare(first, found)
        index = np.arange(len(names))
        return cls(
            total, scale, offset, log, found, what, index, recipe, account, is_open=is_open, likelihood=likelihood
        )

    @classmethod
    def from_integrals(
        cls,
        intensity: Callable,
        integrals: Integrals,
        what: str,
        *,
        parameters: tuple[str, ...] | None,
        scale: float,
        offset: float = 0.0,
        log: bool = False,
        likelihood: object = None,
    ) -> "EventTerm":
        """Describe a sum over Monte Carlo of which there are integrals only."""
        total = restored(intensity, integrals, plain_intensity, what, parameters)
        account = Account(path=f"{total.path}, from integrals over {integrals.n_events} events")
        recipe = Recipe(integrals.columns, (), None, Settings(precompute=False))
        sample = as_sample(integrals.sample, integrals.single)
        index = np.arange(len(integrals.parameters))
        what = f"{what} (events kept with the integrals)"
        return cls(total, scale, offset, log, sample, what, index, recipe, account, likelihood=likelihood)

    @property
    def parameters(self) -> tuple[str, ...] | None:
        """Names of the parameters, or None: as many as there will be."""
        return None if self.is_open else self.total.spec.parameters

    @property
    def is_data(self) -> bool:
        """Whether this is a sum of ln I, over data."""
        return self.total.spec.summand is log_intensity

    @property
    def placed(self) -> EventSum:
        """The sum over the events themselves, on devices; that of ln I never goes over pseudo-events."""
        assert isinstance(self.total, EventSum)
        return self.total

    @property
    def is_streamed(self) -> bool:
        """Whether the sum that is taken, as of now, reads files at every call."""
        total = self.total.in_use if isinstance(self.total, ProvenSum) else self.total
        return isinstance(total, StreamedSum)

    def with_squared_weights(self) -> "EventTerm":
        """Return the term, of a sum over the events themselves, in which each counts with the square of its weight."""
        if isinstance(self.total, StreamedSum):
            return replace(self, total=self.total.with_squared_weights())
        return replace(self, total=with_squared_weights(self.placed))

    @property
    def table(self) -> Dataset:
        """The events on the host; those in files are not there."""
        assert isinstance(self.data, Dataset)
        return self.data

    @property
    def totals(self) -> Totals:
        """Number of events, and sums of their weights."""
        return self.data.totals if isinstance(self.data, FileEvents) else Totals.of(self.data)

    def bind(self, names: tuple[str, ...]) -> "EventTerm":
        """Find this term's parameters among ``names``."""
        spec, total, account = self.total.spec, self.total, self.account
        if self.is_open and not isinstance(total, ProvenSum):
            inspect_model(spec.model, column_specs(self.data), names)
            spec = replace(spec, parameters=names)
            total, account = self.recipe.prepare(replace(total, spec=spec), self.data)
        index = np.array([names.index(n) for n in spec.parameters], np.intp)
        return replace(self, total=total, account=account, index=index, is_open=False)

    def holding(self, values: dict[str, float]) -> "EventTerm":
        """Return this term with parameters held fixed, where more can be computed beforehand then; else itself."""
        spec = self.total.spec
        held = {n: values[n] for n in spec.parameters if n in values}
        if held == self.held or not self.recipe.gains_by_holding(spec, self.data, tuple(held)):
            return self
        first = self.recipe.first_sum(replace(spec, plan=None), self.data, self.what)
        total, account = self.recipe.prepare(first, self.data, held)
        return replace(self, total=total, account=account, held=held)

    def integrals(self, theta: np.ndarray) -> Integrals:
        """Return what stands for the Monte Carlo of this term.

        Raises
        ------
        ValueError
            If the sum goes over all events, or there is no Monte Carlo.
        """
        found = None
        if isinstance(self.total, ProvenSum) and not self.held:
            found = self.total.integrals(self.data, theta[self.index])
        if found is None:
            held = f"{', '.join(self.held)} is held fixed" if self.held else ""
            why = held or self.account.why_direct or self.account.path
            msg = f"there are no integrals over {self.what}: {why}."
            raise ValueError(msg)
        return found

    def times(self, factor: float) -> "EventTerm":
        """Return this term multiplied by a number."""
        return replace(self, scale=self.scale * factor, offset=self.offset * factor)

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> Any:
        """Start the sum, with its derivatives up to ``order``; at many points where ``n_points`` is given."""
        return self.total.launch(theta[..., self.index], order, n_points)

    def collect(self, raw: Any, order: int, out: list[np.ndarray]) -> None:
        """Wait for the sum and add the term, with its derivatives, to ``out``."""
        s, *derivatives = self.total.collect(raw, order)
        value, slope = s, self.scale
        if self.log:
            s = np.where(s > 0, s, np.nan)
            value, slope = np.log(s), self.scale / s
        out[0] += self.scale * value + self.offset
        if order > 0:
            gradient = derivatives[0]
            out[1][..., self.index] += np.expand_dims(slope, -1) * gradient
        if order > 1:
            block = slope * derivatives[1]
            if self.log:
                block -= slope / s * np.outer(gradient, gradient)
            out[2][np.ix_(self.index, self.index)] += block

    def traceable(self, total: EventSum | SplitSum) -> Callable[[Params, Arrays], jax.Array]:
        """Return the term, of its sum on other devices, as a function of parameters by name and of arrays."""
        function, names = total.traceable(), self.total.spec.parameters

        def term(params: Params, arrays: Arrays) -> jax.Array:
            s = function(jnp.stack([jnp.asarray(params[n], jnp.result_type(float)) for n in names]), arrays)
            return self.scale * (jnp.log(s) if self.log else s) + self.offset

        return term

    def explain(self) -> str:
        """Say what is stored and how the sum is taken."""
        account, n = self.account, self.total.n_events
        lines = [f"{self.what}, {n} events that count:"]
        if self.is_open:
            lines.append("  nothing is decided before the parameters are named: bind them, or fit")
        elif account.stored:
            size = sum(b for _, b in account.stored)
            lines.append(f"  stored once: {size} bytes per event, {size * n / 1e6:.3g} MB")
            alike = Counter(account.stored)
            lines += [f"    {b * k:4d} bytes  {text}" + f", {k} columns" * (k > 1) for (text, b), k in alike.items()]
        else:
            lines.append(f"  nothing is stored: {account.why_not}")
        if self.total.spec.summand is plain_intensity:
            why = f": {account.why_direct}" if account.why_direct else ""
            undecided = isinstance(self.total, ProvenSum) and not self.total.is_decided
            path = "decided at the first call" if undecided else account.path
            lines.append(f"  sum of the intensity: {path}{why}")
        return "\n".join(lines)

    @property
    def formula(self) -> str:
        """The term as text, numbers to all digits."""
        summand = self.total.spec.summand.__name__
        text = f"sum of w {FORMULAS.get(summand, summand)} over {self.what}"
        offset = f" {'-' if self.offset < 0 else '+'} {abs(float(self.offset))!r}" if self.offset else ""
        return f"{float(self.scale)!r} * {f'ln({text})' if self.log else text}{offset}"

    def described(self) -> dict[str, Any]:
        """Return what the events are known by; reads them all."""
        columns, data = self.recipe.columns, self.data
        return {
            "name": self.what,
            "events": data.n_events,
            "sum of weights": data.sum_of_weights,
            "columns": list(columns),
            "fingerprint": data.fingerprint() if isinstance(data, FileEvents) else fingerprint(data, columns),
        }

    def _intensities(self, data: Dataset, theta: np.ndarray) -> np.ndarray:
        """Return the intensity of every event of a table, ``(events,)``, those of weight 0 included."""
        spec = self.total.spec
        info = inspect_model(spec.model, column_specs(data), spec.parameters)
        devices = tuple(spec.mesh.devices.flat[i] for i in own_positions(spec.mesh))
        parts = chunks(spec.model, info, spec.parameters, theta[self.index], data, devices=devices)
        return all_values(parts, data.n_events, info.dtype, lambda n: None)

    def _faults_of(self, data: Dataset, theta: np.ndarray, first: int = 0) -> list[tuple[str, str]]:
        values = self._intensities(data, theta)
        counted = data.weights != 0
        summand = self.total.spec.summand
        if summand is poisson_deviance:
            counted &= (values <= 0) | ~np.isfinite(values)
        return faults_of(values, counted, summand in (log_intensity, poisson_deviance), self.what, first)

    def faults(self, theta: np.ndarray) -> list[tuple[str, str]]:
        """Return what is wrong with the intensities, as (kind, sentence): kinds 'zero', 'negative', 'nan'."""
        data = self.data
        if isinstance(data, FileEvents):
            with errors_shared():
                tables = data.tables(data.rows())
                mine = next((bad for start, table in tables if (bad := self._faults_of(table, theta, start))), [])
            said = {text: kind for line in tell("\n".join(f"{k}\t{t}" for k, t in mine)) for kind, text in _pairs(line)}
            found = [(kind, text) for text, kind in said.items()]
        else:
            found = self._faults_of(data, theta)
        if self.log and not found:
            found.append(("nan", f"the sum of the intensity over {self.what} is not positive"))
        return found


def _pairs(text: str) -> list[tuple[str, str]]:
    """Take apart what `EventTerm.faults` tells other processes."""
    return [(kind, rest) for kind, _, rest in (line.partition("\t") for line in text.splitlines()) if rest]
