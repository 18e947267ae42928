"""The No-U-Turn sampler: the one place that talks to blackjax."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax

from jaxpwa._extras import needs
from jaxpwa.posterior.transforms import Limits, Line

# Draws between two looks at the clock and at the keyboard; their number in a piece does not change them.
_ROOM = 64
_SECONDS_PER_PIECE = 0.5
_ATTEMPTS = 20


class Drawn(NamedTuple):
    """What is kept of every draw; arrays ``(chains, draws)``, the first one ``(chains, draws, parameters)``."""

    x: Any
    log_density: Any
    energy: Any
    acceptance: Any
    steps: Any
    depth: Any
    diverging: Any


def _room(n_chains: int, n_parameters: int) -> Drawn:
    """Return room for a piece of draws."""
    shape, number = (n_chains, _ROOM), jnp.zeros((n_chains, _ROOM))
    whole = jnp.zeros(shape, jnp.int32)
    x = jnp.zeros((*shape, n_parameters))
    return Drawn(x, number, number, number, whole, whole, jnp.zeros(shape, bool))


class _Chains(NamedTuple):
    """Where chains are: blackjax's state, and that of the search for the step size, ``(chains, ...)``."""

    state: Any
    search: Any


@dataclass(frozen=True, eq=False)
class Code:
    """Compiled code for chains side by side.

    Attributes
    ----------
    begin
        ``(u, centre, root, arrays) -> state`` of chains at these points.
    advance
        ``(chains, keys, first, n, searching, centre, root, arrays) -> (chains, drawn)``: ``n`` draws, the first of
        which has the number ``first``; ``drawn`` has room for more.
    search_from
        ``(step) -> search`` of one chain.
    """

    begin: Callable[..., Any]
    advance: Callable[..., tuple[_Chains, Drawn]]
    search_from: Callable[[float], Any]


def compiled(
    log_likelihood: Callable[[dict[str, Any], tuple], jax.Array],
    names: tuple[str, ...],
    limits: Limits,
    held: dict[str, float],
    target_accept: float,
) -> Code:
    """Describe the code: the events are arguments of it all through, and so are the coordinates.

    Parameters
    ----------
    log_likelihood
        ``log_likelihood(params, arrays)``.
    names, limits
        What is sampled.
    held
        The other parameters.
    target_accept
        Mean acceptance that the step size is searched for.
    """
    blackjax = needs("blackjax", "mcmc", "sample_posterior")
    search_from, searched, _ = blackjax.adaptation.step_size.dual_averaging_adaptation(target_accept)
    kernel = blackjax.nuts.build_kernel()
    metric = np.ones(len(names))

    def log_density(u: jax.Array, centre: jax.Array, root: jax.Array, arrays: tuple) -> jax.Array:
        x, log_jacobian = limits.from_line(centre + root @ u)
        return log_likelihood({**held, **dict(zip(names, x, strict=True))}, arrays) + log_jacobian

    def one(key: jax.Array, chain: _Chains, number: jax.Array, searching: jax.Array, where: tuple) -> tuple:
        """Draw once in one chain."""
        state, search = chain
        step = jnp.exp(jnp.where(searching, search.log_step_size, search.log_step_size_avg))
        key = jax.random.fold_in(jax.random.wrap_key_data(key, impl="threefry2x32"), number)
        state, info = kernel(key, state, lambda u: log_density(u, *where), step, metric)
        found = jax.tree.map(lambda a, b: jnp.where(searching, a, b), searched(search, info.acceptance_rate), search)
        x, log_jacobian = limits.from_line(where[0] + where[1] @ state.position)
        drawn = Drawn(
            x, state.logdensity - log_jacobian, info.energy, info.acceptance_rate,
            info.num_integration_steps, info.num_trajectory_expansions, info.is_divergent,
        )  # fmt: skip
        return _Chains(state, found), drawn

    def begin(u: jax.Array, *where: Any) -> Any:
        return jax.vmap(lambda v: blackjax.nuts.init(v, lambda w: log_density(w, *where)))(u)

    def advance(chains: _Chains, keys: Any, first: Any, n: Any, searching: Any, *where: Any) -> tuple[_Chains, Drawn]:
        def all_chains(chains: _Chains, number: jax.Array) -> tuple[_Chains, Drawn]:
            return jax.vmap(lambda key, chain: one(key, chain, number, searching, where))(keys, chains)

        def body(i: jax.Array, carry: tuple) -> tuple:
            chains, kept = carry
            chains, drawn = all_chains(chains, first + i)
            return chains, jax.tree.map(lambda a, b: a.at[:, i].set(b.astype(a.dtype)), kept, drawn)

        room = _room(len(keys), len(names))
        return lax.fori_loop(0, n, body, (chains, room))

    return Code(jax.jit(begin), jax.jit(advance), search_from)


class Unstartable(ValueError):
    """The density is 0 wherever chains were tried to start."""


@dataclass(eq=False)
class Walkers:
    """Chains that walk: their state, and how far they are.

    Attributes
    ----------
    code
        What moves them.
    line
        The coordinates that they walk in.
    arrays
        The events on the devices.
    keys
        Random words of each chain, ``(chains, 2)``.
    groups
        Which chains walk side by side.
    on_draw
        Called with the number of draws that were made.
    """

    code: Code
    line: Line
    arrays: tuple
    keys: np.ndarray
    groups: list[np.ndarray]
    on_draw: Callable[[int], object]
    _chains: list[_Chains] = field(default_factory=list, init=False)
    _n_drawn: int = field(default=0, init=False)
    _pace: int = field(default=4, init=False)

    def start(self, u: np.ndarray) -> None:
        """Put the chains at points ``(chains, parameters)``, nearer to the middle where the density is 0 there.

        Raises
        ------
        Unstartable
            If it is 0 all the way.
        """
        # Leapfrog steps that are accepted alike shrink so with the number of dimensions of a unit Gaussian.
        step = len(self.line.names) ** -0.25
        for group in self.groups:
            at = u[group]
            for _ in range(_ATTEMPTS):
                state = self._host(self.code.begin(at, *self._where))
                fine = np.isfinite(state.logdensity) & np.isfinite(state.logdensity_grad).all(axis=1)
                if fine.all():
                    break
                at = np.where(fine[:, None], at, 0.5 * at)
            else:
                raise Unstartable
            self._chains.append(_Chains(state, self._searches([step] * len(group))))

    @property
    def _where(self) -> tuple:
        return self.line.centre, self.line.root, self.arrays

    @staticmethod
    def _host(tree: Any) -> Any:
        """Fetch arrays: those on devices would have their placement compiled in once more."""
        return jax.tree.map(np.asarray, jax.device_get(tree))

    def _searches(self, steps: Any) -> Any:
        """Return new searches for a step size, ``(chains,)``."""
        found = [self.code.search_from(step) for step in steps]
        kind = jnp.result_type(float)
        return jax.tree.map(lambda *a: np.array(a, np.int32 if isinstance(a[0], int) else kind), *found)

    def walk(self, n: int, *, searching: bool) -> Drawn:
        """Draw ``n`` times in every chain."""
        parts = []
        for i, group in enumerate(self.groups):
            pieces, done = [], 0
            while done < n:
                k, began = min(self._pace, n - done), time.perf_counter()
                first = np.int32(self._n_drawn + done)
                moved, drawn = self.code.advance(
                    self._chains[i], self.keys[group], first, np.int32(k), np.bool_(searching), *self._where
                )
                self._chains[i] = self._host(moved)
                pieces.append(jax.tree.map(lambda a, k=k: np.asarray(a)[:, :k], drawn))
                done += k
                took = time.perf_counter() - began
                self._pace = min(_ROOM, 2 * self._pace) if took < _SECONDS_PER_PIECE else max(1, self._pace // 2)
                self.on_draw(k * len(group))
            parts.append(jax.tree.map(lambda *a: np.concatenate(a, axis=1), *pieces))
        self._n_drawn += n
        return jax.tree.map(lambda *a: np.concatenate(a, axis=0), *parts)

    def settle(self) -> float:
        """Give all chains the geometric mean of the step sizes found, and return it."""
        log_step = np.mean(np.concatenate([search.log_step_size_avg for _, search in self._chains]))
        for i, (state, search) in enumerate(self._chains):
            same = np.full_like(search.log_step_size_avg, log_step)
            self._chains[i] = _Chains(state, search._replace(log_step_size_avg=same))
        return float(np.exp(log_step))
