r"""Sums over events that stay in files: read, placed and added piece by piece, at every call.

A thread reads the next piece while the devices work on the one before; a piece's arrays go as soon as its sum is known.
Each process of a run sums its own share of the events, and what they found is added up: a few numbers per call.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

import jax
from jax.sharding import Mesh

from jaxpwa._processes import process_count
from jaxpwa.engine.blocks import PlacedEvents, block_size, place
from jaxpwa.engine.devices import shards_of
from jaxpwa.engine.fileevents import FileEvents
from jaxpwa.engine.model import column_specs, in_double
from jaxpwa.engine.precompute import Plan, bytes_per_event, make_plan
from jaxpwa.engine.prepare import Account, ProvenSum, Settings
from jaxpwa.engine.processes import errors_shared, exchange, exchange_found
from jaxpwa.engine.quadratic import NotQuadratic, check_degree, check_size, few_events, moments
from jaxpwa.engine.scores import SquaredScores, squared, squared_row, squared_scores_of
from jaxpwa.engine.stored import store_all
from jaxpwa.engine.sums import EventSum, SumSpec, check_agreement, compiled_sum, compiled_sum_at, total_of, unpacked


@dataclass(frozen=True)
class StreamedSum:
    """A sum over events in files.

    Attributes
    ----------
    spec
        What is summed; its mesh is this process's own.
    source
        The events.
    squared
        Whether each event counts with the square of its weight.
    """

    spec: SumSpec
    source: FileEvents
    squared: bool = False

    @property
    def n_events(self) -> int:
        """Number of events that count, in all processes."""
        return self.source.totals.n_used

    @property
    def n_summed(self) -> int:
        """Number of events that are added."""
        return self.source.totals.n_used

    @property
    def path(self) -> str:
        """How the sum is taken, in words."""
        return f"read at every call, {self.source.rows()} events at a time"

    @property
    def devices(self) -> set[Any]:
        """The devices that compute."""
        return set(self.spec.mesh.devices.flat)

    def to_compile(self, orders: Iterable[int]) -> list[Callable[[], object]]:
        """Return nothing: the first piece brings what is compiled, while the second is read."""
        return []

    def _no_arrays(self) -> Any:
        msg = (
            f"{self.source.what} are read from files at every call, which a function of arrays can't do: give "
            "from_files a memory_budget that holds them, or use the cost's own value_and_grad."
        )
        raise TypeError(msg)

    def on(self, mesh: Mesh) -> Any:
        """Refuse: there are no arrays to put on other devices."""
        return self._no_arrays()

    def traceable(self) -> Any:
        """Refuse: there are no arrays to pass on."""
        return self._no_arrays()

    def _over_pieces(
        self, launch: Callable[[PlacedEvents], list[jax.Array]], like: tuple[int, ...]
    ) -> tuple[np.ndarray, Exception | None]:
        """Add what pieces give, arrays of rows of devices, one piece always ahead.

        Returns
        -------
        The sums, of shape ``like``, and what went wrong in this process, for `exchange_found`; a process that is alone
        raises it at once.
        """
        total = np.zeros(like)
        running: list[list[jax.Array]] = []

        def collect() -> None:
            nonlocal total
            total = total + np.stack([total_of(shards_of(array)) for array in running.pop()]).reshape(like)

        try:
            for events in self.source.placed(self.source.rows()):
                if not events.n_events:
                    continue
                started = launch(squared(events) if self.squared else events)
                if running:
                    collect()
                running.append(started)
            if running:
                collect()
        except Exception as error:
            if process_count() == 1:
                raise
            return total, error
        return total, None

    def launch(
        self, theta: np.ndarray, order: int, n_points: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, Exception | None]:
        """Read all events and sum this process's; with ``n_points``, at many points (see `EventSum.launch`)."""
        theta, n = np.asarray(theta, np.float64), len(self.spec.parameters)
        if n_points is not None:
            at_many = compiled_sum_at(self.spec)
            form = len(theta), 1 + n
            return theta, *self._over_pieces(lambda events: [at_many(theta, np.int32(n_points), events.arrays)], form)
        compute = compiled_sum(self.spec, order)
        size = sum(n**k for k in range(order + 1))
        return theta, *self._over_pieces(lambda events: [compute(theta, events.arrays)], (size,))

    def collect(self, raw: tuple[np.ndarray, np.ndarray, Exception | None], order: int) -> list[np.ndarray]:
        """Add what the processes found: value, gradient ``(n,)``, Hessian ``(n, n)``, as far as ``order`` goes."""
        theta, found, failure = raw
        n = len(self.spec.parameters)
        if found.ndim > 1:
            return unpacked(total_of(list(exchange_found(found, failure)[:, None])), n, order)
        rows = exchange_found(np.concatenate([found, theta]), failure)
        if n:
            check_agreement(rows[:, -n:], self.spec.parameters)
        return unpacked(total_of(list(rows[:, None, : len(found)])), n, order)

    def values(self, points: Iterable[np.ndarray], order: int = 0) -> list[float]:
        """Return the sum at some points, in one pass."""
        points, compute = list(points), compiled_sum(self.spec, order)
        size = sum(len(self.spec.parameters) ** k for k in range(order + 1))
        found = self._over_pieces(lambda e: [compute(point, e.arrays) for point in points], (len(points), size))
        return exchange_found(*found).sum(axis=0)[:, 0].tolist()

    def squared_scores(self, theta: np.ndarray) -> SquaredScores:
        """Sum squares of weighted scores (see `engine.scores`)."""
        n = len(theta)
        found = self._over_pieces(lambda e: [squared_row(self.spec, theta, e.arrays)], (n * n + n + 1,))
        return squared_scores_of(exchange_found(*found).sum(axis=0), n)

    def with_squared_weights(self) -> "StreamedSum":
        """Return the sum in which each event counts with the square of its weight."""
        return replace(self, squared=True) if self.source.is_weighted else self


def streamed(spec: SumSpec, source: FileEvents, settings: Settings) -> tuple[StreamedSum | ProvenSum, Account]:
    """Describe a sum over events in files; find pseudo-events where it is of the intensity itself.

    Parameters
    ----------
    spec
        What is summed, with any block.
    source
        The events.
    settings
        What may be done to make it faster.
    """
    spec = replace(spec, mesh=source.mesh, block=_block(source), plan=None, layout="")
    total = StreamedSum(spec, source)
    account = Account(path=total.path, why_not="events are read from files at every call")
    if spec.summand.__name__ != "plain_intensity" or not spec.parameters or not spec.columns:
        return total, account
    if not settings.integrals or not settings.precompute:
        account.why_direct = "normalization='direct'" if settings.precompute else "precompute=False"
        return total, account
    try:
        return ProvenSum(total, _pseudo(total), account), account
    except NotQuadratic as reason:
        account.why_direct = str(reason)
        return total, account


def _block(source: FileEvents) -> int:
    """Return the rows per block of pieces."""
    return block_size(-(-source.rows() // len(source.devices)), source.devices[0].platform)


def check_stored(plan: Plan) -> None:
    """Refuse a plan without values of events: there is nothing to take moments of.

    Raises
    ------
    NotQuadratic
        If the intensity is a function of the parameters alone.
    """
    if not plan.stored:
        msg = "the intensity is a function of the parameters alone"
        raise NotQuadratic(msg)


def _pseudo(total: StreamedSum) -> EventSum:
    """Return the sum over pseudo-events with the moments of all pieces, in one pass.

    Raises
    ------
    NotQuadratic
        If there is none.
    """
    spec, source = total.spec, total.source
    specs = column_specs(source.head, spec.columns)

    def plan_at(block: int) -> Plan:
        return make_plan(spec.model, spec.parameters, specs, spec.single, block, (), True)

    def double_at(length: int) -> Plan:
        return make_plan(spec.model, spec.parameters, in_double(specs), False, length, (), True)

    plan = plan_at(spec.block)
    check_stored(plan)
    check_degree(plan)
    rows = source.rows(sum(bytes_per_event(node) for node in plan.stored))
    like = place(source.head, spec.columns, devices=source.devices, room=-(-rows // len(source.devices)), check=False)
    plan = plan_at(like.block)
    few = store_all(plan, like, spec.single)
    check_size(few)
    mine: Any = np.zeros(())
    with errors_shared():
        for events in source.placed(rows):
            if events.n_events:
                mine = mine + moments(store_all(plan, events, spec.single))
    size = 1 + sum(prod(c.shape[1:]) for c in few.arrays[0])
    matrix = exchange(np.broadcast_to(mine, (size, size))).sum(axis=0)
    template = EventSum(replace(spec, plan=plan, layout=plan.full_layout, block=like.block), few)
    found = few_events(template, plan, matrix, double_at)
    if found.n_events * 4 > total.n_events:
        msg = f"{found.n_events} pseudo-events for {total.n_events} events gain nothing"
        raise NotQuadratic(msg)
    return found
