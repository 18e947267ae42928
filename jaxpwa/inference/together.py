"""Descents from many starts, side by side: what all of them ask for next is computed in one call.

Each descent is a plain L-BFGS-B in a thread of its own, which waits for its value and gradient while the others get to
theirs. So the events are read once for all starts, and the cost of a call is paid once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from jaxpwa.inference.basin import descend
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.parameters import ParameterTable
from jaxpwa.inference.traceable import event_terms

MOST_TOGETHER = 16
# Rows of a block times points: what is in flight for a row takes some hundred bytes.
_ROWS_TOGETHER = 1 << 22


@dataclass(frozen=True)
class Descent:
    """Where a descent ended.

    Attributes
    ----------
    x
        The lowest point, ``(n,)``.
    value
        The cost there; infinite where no point was fine.
    n_gradient
        Calls of value and gradient.
    """

    x: np.ndarray
    value: float
    n_gradient: int


def most_together(cost: Cost) -> int:
    """Return at how many points the cost is computed in one call; 1 where there is nothing to gain."""
    if cost.derivatives < 2:
        return 1
    blocks = [getattr(t.total.spec, "block", 1) for t in event_terms(cost._terms)]
    return max(1, min(MOST_TOGETHER, _ROWS_TOGETHER // max(blocks, default=1)))


def descend_together(
    cost: Cost,
    tables: Sequence[ParameterTable],
    max_calls: int,
    on_end: Callable[[], object] = lambda: None,
) -> list[Descent]:
    """Go downhill from many starts.

    Parameters
    ----------
    cost
        Bound to the parameters of the tables; with exact derivatives.
    tables
        The starts, with limits and fixed parameters.
    max_calls
        Most calls of value and gradient of a descent.
    on_end
        Called whenever a descent has ended.

    Returns
    -------
    One record per start.
    """
    size = most_together(cost)
    requests: SimpleQueue[tuple[np.ndarray, Future] | None] = SimpleQueue()

    def ask(x: np.ndarray, order: int) -> list:
        answer: Future[list] = Future()
        requests.put((x, answer))
        return answer.result()

    def one(table: ParameterTable) -> Descent:
        try:
            objective = Objective(cost, compute=ask)
            x = descend(objective, table, table.values, cost.errordef, max_calls)
            value, finite = objective.value(x), objective.n_forbidden < objective.n_gradient
            return Descent(x, value if finite else np.inf, objective.n_gradient)
        finally:
            requests.put(None)

    left, asked = len(tables), []
    with ThreadPoolExecutor(size) as pool:
        running = [pool.submit(one, table) for table in tables]
        try:
            while left:
                while len(asked) < min(size, left):
                    request = requests.get()
                    if request is None:
                        left -= 1
                        on_end()
                    else:
                        asked.append(request)
                if asked:
                    _answer(cost, asked, size)
                    asked.clear()
        except BaseException as error:
            # Whoever waits for an answer would wait for ever.
            while left:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                asked.clear()
                request = requests.get()
                if request is None:
                    left -= 1
                else:
                    asked.append(request)
            raise
    return [future.result() for future in running]


def _answer(cost: Cost, asked: Sequence[tuple[np.ndarray, Future]], size: int) -> None:
    """Compute at all points asked for; one needs no code that is compiled for many."""
    if len(asked) == 1:
        x, answer = asked[0]
        answer.set_result(cost._compute(x, 1))
        return
    points = np.stack([x for x, _ in asked])
    padded = np.concatenate([points, np.repeat(points[:1], size - len(points), axis=0)])
    values, gradients = cost._compute_at(padded, len(points))
    for (_, answer), value, gradient in zip(asked, values, gradients, strict=False):
        answer.set_result([float(value), gradient])
