"""From a sum over events as it is written to the one that is computed: stored columns, pseudo-events, and why."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import jax
from jax.sharding import Mesh

from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.blocks import Arrays, PlacedEvents
from jaxpwa.engine.devices import memory_per_device
from jaxpwa.engine.eventwise import user_line
from jaxpwa.engine.graph import Node
from jaxpwa.engine.integrals import SAMPLE, Integrals, agree, fingerprint, make_integrals, sample_of
from jaxpwa.engine.model import ColumnSpecs, in_double
from jaxpwa.engine.precompute import Plan, bytes_per_event, is_worth_it, make_plan
from jaxpwa.engine.quadratic import NotQuadratic, pseudo_sum, split
from jaxpwa.engine.stored import as_stored, store
from jaxpwa.engine.sums import EventSum, SumSpec

_SHARE = 0.25
# Multiplications saved at every call that a second set of compiled functions is worth: 4e7 took 7 ms off a gradient of
# 17 ms (2 million events, two cores) and some 2 s of a first fit for compilation, one of 40 gradients.
_WORTH_A_SPLIT = 2e8


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
    return int(_SHARE * memory_per_device() * len(jax.local_devices()))


def points_to_compare(theta: np.ndarray) -> Iterator[np.ndarray]:
    """Yield parameters, ``(n,)`` each, at which sums must agree: some, and others near them."""
    rng = np.random.default_rng(1)
    yield theta
    for _ in range(3):
        yield theta * (1 + 0.2 * rng.normal(size=len(theta))) + 0.1 * rng.normal()


def describe(node: Node) -> str:
    """Say what a stored value is, and where it is made."""
    if node.step is None:
        return "column"
    found = user_line(node.step.eqn)
    return f"{node.step.eqn.primitive.name}{f', {found[0]}' if found else ''}"


@dataclass(frozen=True)
class SplitSum:
    """Terms of second degree over pseudo-events, and the rest of them over all events.

    Attributes
    ----------
    pseudo, rest
        The two sums.
    """

    pseudo: EventSum
    rest: EventSum

    @property
    def path(self) -> str:
        """How the sum is taken, in words."""
        return f"integrals, {self.pseudo.n_events} pseudo-events, for terms of second degree; the rest over all events"

    @property
    def n_summed(self) -> int:
        """Events and pseudo-events that are added."""
        return self.pseudo.n_events + self.rest.n_events

    def to_compile(self, orders: Iterable[int]) -> list[Callable[[], object]]:
        """Return what compiles the sums of these orders."""
        return self.pseudo.to_compile(orders) + self.rest.to_compile(orders)

    @property
    def devices(self) -> set[Any]:
        """The devices that compute."""
        return self.pseudo.devices | self.rest.devices

    def on(self, mesh: Mesh) -> "SplitSum":
        """Return the same sums on a mesh with more devices."""
        return SplitSum(self.pseudo.on(mesh), self.rest.on(mesh))

    @property
    def arrays(self) -> tuple[Arrays, Arrays]:
        """What the traceable function takes."""
        return self.pseudo.arrays, self.rest.arrays

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> tuple:
        """Start both and return at once."""
        return self.rest.launch(theta, order, n_points), self.pseudo.launch(theta, order, n_points)

    def collect(self, raw: tuple, order: int) -> list[np.ndarray]:
        """Wait for both."""
        rest, pseudo = self.rest.collect(raw[0], order), self.pseudo.collect(raw[1], order)
        return [a + b for a, b in zip(rest, pseudo, strict=True)]

    def values(self, points: Iterable[np.ndarray], order: int = 0) -> list[float]:
        """Return the sum at some points."""
        points = list(points)
        return [a + b for a, b in zip(self.rest.values(points, order), self.pseudo.values(points, order), strict=True)]

    def traceable(self) -> Callable[[jax.Array, Any], jax.Array]:
        """Return the sum for the user's own JAX code."""
        pseudo, rest = self.pseudo.traceable(), self.rest.traceable()
        return lambda theta, arrays: pseudo(theta, arrays[0]) + rest(theta, arrays[1])


class ProvenSum:
    """A sum over pseudo-events that is used once it has agreed with the sum over events.

    Attributes
    ----------
    spec
        The sum over events.
    n_events
        Events that it goes over.
    """

    def __init__(self, direct: "EventSum | Any", pseudo: EventSum | SplitSum, account: Account):
        self.spec = direct.spec
        self.n_events = direct.n_events
        self._direct: Any = direct
        self._pseudo: EventSum | SplitSum | None = pseudo
        self._account = account
        self._proof = np.zeros((0, 0)), np.zeros(0)

    @property
    def n_summed(self) -> int:
        """Events, or pseudo-events, that are added."""
        return self._chosen().n_summed

    @property
    def in_use(self) -> Any:
        """The sum that is taken, as of now."""
        return self._chosen()

    @property
    def is_decided(self) -> bool:
        """Whether the sums have been compared."""
        return self._direct is None or self._pseudo is None

    def _chosen(self, theta: np.ndarray | None = None) -> Any:
        """Return the sum to use; the first parameters that come decide."""
        # Read once: another thread may decide in between.
        direct, pseudo = self._direct, self._pseudo
        if direct is not None and pseudo is not None and theta is not None:
            self._prove(direct, pseudo, theta)
            direct = self._direct
        chosen = self._pseudo if direct is None else direct
        assert chosen is not None
        return chosen

    def _prove(self, direct: Any, pseudo: EventSum | SplitSum, theta: np.ndarray) -> None:
        points = list(points_to_compare(theta))
        # Fits need the gradient's code of the few events, and of all of them none.
        pairs = zip(points, direct.values(points), pseudo.values(points, 1), strict=True)
        good = [pair for pair in pairs if np.isfinite(pair[1])]
        for _, a, b in good:
            if not agree(a, b, self.spec.single):
                self._pseudo = None
                self._account.why_direct = f"the sums differ: {a!r} over events, {b!r} over pseudo-events"
                return
        if good:
            # The stored columns of the events are not needed any more.
            self._direct = None
            self._proof = np.array([point for point, _, _ in good]), np.array([a for _, a, _ in good])
            self._account.path = pseudo.path

    def to_compile(self, orders: Iterable[int]) -> list[Callable[[], object]]:
        """Return what compiles the sums of these orders, and those that are compared first."""
        if self._direct is not None and self._pseudo is not None:
            return self._direct.to_compile([0]) + self._pseudo.to_compile({1, *orders})
        return self._chosen().to_compile(orders)

    def integrals(self, data: Any, theta: np.ndarray) -> Integrals | None:
        """Return what stands for the Monte Carlo, or None where the sum goes over events."""
        chosen = self._chosen(theta)
        if not isinstance(chosen, EventSum) or not len(self._proof[1]):
            return None
        names = self.spec.columns
        if isinstance(data, Dataset):
            code, sample = fingerprint(data, names), sample_of(data, names)
        else:
            code, sample = data.fingerprint(), data.sample(SAMPLE)
        totals = data.n_events, data.sum_of_weights, code
        return make_integrals(chosen, self.spec.single, sample, totals, *self._proof)

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> Any:
        """Start the computation and return at once."""
        chosen = self._chosen(theta if n_points is None else theta[0])
        return chosen, chosen.launch(theta, order, n_points)

    def collect(self, raw: Any, order: int) -> list[np.ndarray]:
        """Wait for the result."""
        chosen, running = raw
        return chosen.collect(running, order)

    @property
    def devices(self) -> set[Any]:
        """The devices that compute."""
        return self._chosen().devices

    def on(self, mesh: Mesh) -> EventSum | SplitSum:
        """Return the sum that is used, as of now, on a mesh with more devices."""
        return self._chosen().on(mesh)


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

    def plan_at(length: int, squares: bool) -> Plan:
        return make_plan(spec.model, spec.parameters, columns, spec.single, length, names, squares)

    def stored(plan: Plan) -> EventSum:
        theta = np.array([held.get(n, 0.0) for n in spec.parameters])
        placed, layout = store(plan, events, theta, spec.single)
        return EventSum(replace(spec, plan=plan, layout=layout), placed)

    def double_at(length: int) -> Plan:
        return make_plan(spec.model, spec.parameters, in_double(columns), False, length, names, True)

    plan = plan_at(events.block, wants_integrals)
    budget = settings.memory_budget
    if budget is None:
        budget = default_budget(spec.mesh.devices.flat[0].platform)
    good, account.why_not = is_worth_it(plan, budget, events.n_events)
    total = plain
    if good:
        total = stored(plan)
        halves = {"r": 2, "i": 2}
        account.stored = [
            (describe(node), bytes_per_event(node) // halves.get(kind, 1))
            for node, kind in zip(plan.stored, total.spec.layout, strict=True)
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
        return ProvenSum(total, _few(total, plan, double_at), account), account
    except NotQuadratic as reason:
        # The plan for a low degree does more per event than a sum over all events needs.
        total, account = prepare(spec, events, columns, replace(settings, integrals=False), is_plain, held)
        account.why_direct = str(reason)
    parts = split(plan)
    if parts is None or not good or not isinstance(total, EventSum):
        return total, account
    whole = total.spec.plan or plan_at(events.block, False)
    saved = (whole.cost_per_call - parts[1].cost_per_call) * events.n_events
    if saved < _WORTH_A_SPLIT or not all(is_worth_it(part, budget, events.n_events)[0] for part in parts):
        return total, account
    try:
        pseudo = _few(stored(parts[0]), parts[0], lambda length: _first_part(double_at(length)))
    except NotQuadratic:
        return total, account
    return ProvenSum(total, SplitSum(pseudo, stored(parts[1])), account), account


def _first_part(plan: Plan) -> Plan:
    parts = split(plan)
    assert parts is not None
    return parts[0]


def _few(total: EventSum, plan: Plan, plan_at: Callable[[int], Plan]) -> EventSum:
    """Return the sum over pseudo-events, if they are few."""
    pseudo = pseudo_sum(total, plan, plan_at)
    if pseudo.n_events * 4 > total.n_events:
        msg = f"{pseudo.n_events} pseudo-events for {total.n_events} events gain nothing"
        raise NotQuadratic(msg)
    return pseudo
