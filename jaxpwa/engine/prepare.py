"""From a sum over events as it is written to the one that is computed: stored columns, pseudo-events, and why."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import jax

from jaxpwa.engine.blocks import Arrays, PlacedEvents
from jaxpwa.engine.eventwise import user_line
from jaxpwa.engine.graph import Node
from jaxpwa.engine.model import ColumnSpecs
from jaxpwa.engine.precompute import bytes_per_event, is_worth_it, make_plan
from jaxpwa.engine.quadratic import NotQuadratic, pseudo_sum
from jaxpwa.engine.stored import as_stored, store
from jaxpwa.engine.sums import EventSum, SumSpec

_SHARE = 0.25
_AGREEMENT = 1e-10


@dataclass(frozen=True)
class Settings:
    """What may be done to make a sum faster.

    Attributes
    ----------
    precompute
        Whether to store what depends on events alone.
    memory_budget
        Most bytes to store; None: a quarter of the memory of the host, or of the devices.
    integrals
        Whether sums of the intensity itself may go over pseudo-events.
    """

    precompute: bool = True
    memory_budget: int | None = None
    integrals: bool = True


@dataclass
class Account:
    """What was done to a sum, and why not more.

    Attributes
    ----------
    stored
        Stored values: what they are, and bytes per event.
    why_not
        Why nothing was stored.
    path
        ``"direct"``, or ``"integrals"`` with their number of pseudo-events.
    why_direct
        Why the sum goes over events.
    """

    stored: list[tuple[str, int]] = field(default_factory=list)
    why_not: str = ""
    path: str = "direct"
    why_direct: str = ""


def default_budget(platform: str) -> int:
    """Return the bytes that may be stored."""
    if platform == "cpu":
        try:
            return int(_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (AttributeError, ValueError, OSError):
            return 4 << 30
    limits = [(d.memory_stats() or {}).get("bytes_limit", 4 << 30) for d in jax.devices()]
    return int(_SHARE * sum(limits))


def describe(node: Node) -> str:
    """Say what a stored value is, and where it is made."""
    if node.step is None:
        return "column"
    found = user_line(node.step.eqn)
    return f"{node.step.eqn.primitive.name}{f', {found[0]}' if found else ''}"


class ProvenSum:
    """A sum over pseudo-events that is used once it has agreed with the sum over events.

    Attributes
    ----------
    spec
        The sum over events.
    n_events
        Events that it goes over.
    """

    def __init__(self, direct: EventSum, pseudo: EventSum, account: Account):
        self.spec = direct.spec
        self.n_events = direct.n_events
        self._direct: EventSum | None = direct
        self._pseudo: EventSum | None = pseudo
        self._account = account

    def _chosen(self, theta: np.ndarray | None = None) -> EventSum:
        """Return the sum to use; the first parameters that come decide."""
        if self._direct is not None and self._pseudo is not None and theta is not None:
            self._prove(self._direct, self._pseudo, theta)
        chosen = self._pseudo if self._direct is None else self._direct
        assert chosen is not None
        return chosen

    def _prove(self, direct: EventSum, pseudo: EventSum, theta: np.ndarray) -> None:
        rng = np.random.default_rng(1)
        compared = 0
        for number in range(4):
            point = theta if number == 0 else theta * (1 + 0.2 * rng.normal(size=len(theta))) + 0.1 * rng.normal()
            a, b = (total.collect(total.launch(point, 0), 0)[0] for total in (direct, pseudo))
            if not np.isfinite(a):
                continue
            compared += 1
            if not abs(a - b) <= _AGREEMENT * abs(a):
                self._pseudo = None
                self._account.why_direct = f"the sums differ: {a!r} over events, {b!r} over pseudo-events"
                return
        if compared:
            # The stored columns of the events are not needed any more.
            self._direct = None
            self._account.path = f"integrals, {pseudo.n_events} pseudo-events"

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> Any:
        """Start the computation and return at once."""
        chosen = self._chosen(theta if n_points is None else theta[0])
        return chosen, chosen.launch(theta, order, n_points)

    def collect(self, raw: Any, order: int) -> list[np.ndarray]:
        """Wait for the result."""
        chosen, running = raw
        return chosen.collect(running, order)

    @property
    def arrays(self) -> Arrays:
        """What the traceable function takes."""
        return self._chosen().arrays

    def traceable(self) -> Callable[[jax.Array, Arrays], jax.Array]:
        """Return the sum for the user's own JAX code."""
        return self._chosen().traceable()


def prepare(
    spec: SumSpec,
    events: PlacedEvents,
    columns: ColumnSpecs,
    settings: Settings,
    is_plain: bool,
    held: dict[str, float] | None = None,
) -> tuple[EventSum | ProvenSum, Account]:
    """Store what can be, and find pseudo-events where the sum is of the intensity itself.

    Parameters
    ----------
    spec, events
        The sum as it is written, and the columns that the model reads.
    columns
        Those columns.
    settings
        What may be done.
    is_plain
        Whether the intensity itself is summed.
    held
        Parameters that don't change, with their values.
    """
    account = Account()
    plain = EventSum(spec, events)
    if not settings.precompute or not columns or not spec.parameters:
        account.why_not = "precompute=False" if not settings.precompute else "there is nothing to cut"
        account.why_direct = account.why_not
        return plain, account
    held = held or {}
    names = tuple(n for n in spec.parameters if n in held)
    wants_integrals = is_plain and settings.integrals
    plan = make_plan(spec.model, spec.parameters, columns, spec.single, events.block, names, wants_integrals)
    budget = settings.memory_budget
    if budget is None:
        budget = default_budget(spec.mesh.devices.flat[0].platform)
    good, account.why_not = is_worth_it(plan, budget, events.n_events)
    total = plain
    if good:
        theta = np.array([held.get(n, 0.0) for n in spec.parameters])
        placed, layout = store(plan, events, theta, spec.single)
        total = EventSum(replace(spec, plan=plan, layout=layout), placed)
        halves = {"r": 2, "i": 2}
        account.stored = [
            (describe(node), bytes_per_event(node) // halves.get(kind, 1))
            for node, kind in zip(plan.stored, layout, strict=True)
        ]
    if not wants_integrals:
        account.why_direct = "normalization='direct'" if is_plain else ""
        return total, account
    if not good:
        layout = as_stored(plan, events.arrays[0])
        if layout is None:
            account.why_direct = "nothing is stored"
            return total, account
        total = EventSum(replace(spec, plan=plan, layout=layout), events)
    try:
        pseudo = pseudo_sum(total, plan, columns, names)
        if pseudo.n_events * 4 > events.n_events:
            msg = f"{pseudo.n_events} pseudo-events for {events.n_events} events gain nothing"
            raise NotQuadratic(msg)
    except NotQuadratic as reason:
        # The plan for a low degree does more per event than a sum over all events needs.
        total, account = prepare(spec, events, columns, replace(settings, integrals=False), is_plain, held)
        account.why_direct = str(reason)
        return total, account
    return ProvenSum(total, pseudo, account), account
