"""Decay chains that the rules allow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations, product
from typing import Any

from jaxpwa.rules.conservation import (
    FLAVOUR_RULES,
    as_interactions,
    broken_by_all,
    couplings,
    independent_helicities,
    possible,
)
from jaxpwa.rules.records import DecayChain, Particle, State, Vertex
from jaxpwa.rules.table import as_particle, isobars

Tree = tuple[Vertex, ...]


@dataclass
class _Search:
    """The options of a search, and what it has found."""

    final: tuple[Particle, ...]
    candidates: tuple[Particle, ...]
    isobar_interactions: tuple[str, ...]
    basis: str
    widths: float | None
    max_l: int | None
    found: dict[tuple[int, ...], list[tuple[State, list[Tree]]]] = field(default_factory=dict)
    failed: dict[str, frozenset[str]] = field(default_factory=dict)

    def states(self, members: tuple[int, ...]) -> list[tuple[State, list[Tree]]]:
        """List what may end in some of the final-state particles, each with all its decays."""
        if len(members) == 1:
            return [(State(self.final[members[0]], members), [()])]
        if members not in self.found:
            states = (State(p, members) for p in self.candidates)
            trees = [(state, self.trees(state, self.isobar_interactions)) for state in states]
            self.found[members] = [(state, some) for state, some in trees if some]
        return self.found[members]

    def trees(self, parent: State, interactions: tuple[str, ...]) -> list[Tree]:
        """List all decays of a state down to the final state."""
        return [
            (vertex, *below_first, *below_second)
            for left, right in _splits(parent.members)
            for first, first_trees in self.states(left)
            for second, second_trees in self.states(right)
            for vertex in self.vertices(parent, first, second, interactions)
            for below_first, below_second in product(first_trees, second_trees)
        ]

    def vertices(self, parent: State, first: State, second: State, interactions: tuple[str, ...]) -> list[Vertex]:
        """List the couplings of one decay; note why if there are none."""
        pair = first.particle, second.particle
        allowed = couplings(parent.particle, pair, interactions, self.widths, self.max_l)
        if not allowed.ls:
            self.failed[f"{parent.name} -> {first.name} {second.name}"] = allowed.rules
            return []
        if self.basis == "LS":
            return [Vertex(parent, (first, second), allowed.interaction, *pair_ls) for pair_ls in allowed.ls]
        helicities = independent_helicities(parent.particle, pair, allowed.interaction, allowed.exchange)
        return [Vertex(parent, (first, second), allowed.interaction, helicities=some) for some in helicities]


def _splits(members: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Divide particles in two, each way once, the larger part first, then the one with the first particle."""
    for size in range(len(members) - 1, (len(members) - 1) // 2, -1):
        for left in combinations(members, size):
            right = tuple(i for i in members if i not in left)
            if len(left) > len(right) or left[0] < right[0]:
                yield left, right


def _exchanges(final: tuple[Particle, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """List the orders that exchange identical particles only, each with its sign, the given order first."""
    orders = []
    for order in permutations(range(len(final))):
        if all(final[i].name == final[j].name for i, j in enumerate(order)):
            fermions = [j for j in order if final[j].spin.denominator == 2]
            swaps = sum(a > b for a, b in combinations(fermions, 2))
            orders.append(((-1) ** swaps, order))
    return orders


def _key(tree: Tree, order: tuple[int, ...]) -> frozenset:
    """Identify a chain with its final-state particles in another order."""
    return frozenset((v.parent.name, frozenset(order[i] for i in v.parent.members), v.coupling) for v in tree)


def _up_to_exchange(initial: Particle, final: tuple[Particle, ...], trees: Iterable[Tree]) -> Iterator[DecayChain]:
    """Make chains, one for all that identical particles turn into each other."""
    orders, seen = _exchanges(final), set()
    for tree in trees:
        different: dict[frozenset, tuple[int, tuple[int, ...]]] = {}
        for factor, order in orders:
            different.setdefault(_key(tree, order), (factor, order))
        if not seen & different.keys():
            seen |= different.keys()
            yield DecayChain(initial, final, tree, tuple(different.values()))


def _explained(reaction: str, failed: dict[str, frozenset[str]]) -> str:
    """Say why there is no chain, first of decays whose products are allowed, then of those with least in the way."""
    first = reaction.split(" -> ")[0] + " -> "
    telling = {decay: rules for decay, rules in failed.items() if "ChargeConservation" not in rules} or failed
    order = sorted(telling, key=lambda decay: (not decay.startswith(first), len(telling[decay])))
    lines = [f"{decay} breaks {', '.join(sorted(telling[decay]))}" for decay in order]
    more = f"; ... ({len(lines)} in all)" if len(lines) > 6 else ""
    return f"{reaction} has no allowed chain: {'; '.join(lines[:6]) or 'there is no resonance to try'}{more}."


def allowed_chains(
    initial: Any,
    final: Iterable[Any],
    resonances: Iterable[Any] | None = None,
    *,
    interactions: Any = None,
    isobar_interactions: Any = "strong",
    basis: str = "LS",
    widths: float | None = 3.0,
    max_l: int | None = None,
) -> tuple[DecayChain, ...]:
    """Amplitudes of a decay by two-body steps that conserve what the interactions conserve.

    Parameters
    ----------
    initial
        What decays: a name of the PDG's such as ``"Lambda(c)+"`` (see `particle`), or a `Particle`.
    final
        At least two names or `Particle` s. K(S)0 and K(L)0 count as K0 or K~0, whichever is allowed.
    resonances
        Names or `Particle` s that may be isobars; a name without charge stands for all of its multiplet:
        ``["K*(892)", "Lambda(1520)"]``. Those that no rule lets through are left out. None: every hadron of the table.
    interactions
        What the initial state decays by, one or more of ``"strong"``, ``"EM"``, ``"weak"``, the strongest that allows a
        decay being taken. None: strong and EM, or weak where flavour changes. Where a photon or lepton takes part in
        none of them, the strongest that it does take part in.
    isobar_interactions
        The same for the decays of isobars.
    basis
        ``"LS"``, or ``"helicity"``: right for photons, where LS counts more amplitudes than there are.
    widths
        How many widths an isobar's mass may lie outside of what is left for it; None: masses aren't tested.
    max_l
        Largest orbital angular momentum in the LS basis; None: all.

    Returns
    -------
    One `DecayChain` for each resonance, pair and coupling, never an empty tuple. Chains that identical particles turn
    into each other are one chain, with `DecayChain.exchanges`.

    Raises
    ------
    ValueError
        If a name isn't known (the message has the nearest), or no chain is allowed (it says which rules are in the
        way), or an option isn't one of those above.
    TypeError
        If a particle is neither a name nor a `Particle`.
    ModuleNotFoundError
        If qrules isn't installed.

    Notes
    -----
    Rules are those of qrules, tested at each decay, but for the symmetry of pairs: C = (-1)^(L + S) of a particle and
    its antiparticle, L + S even for identical particles, and G-parity likewise, so that pairs of spin and weak decays
    come out right. A quantum number that the table doesn't have is not tested.

    Examples
    --------
    >>> from jaxpwa.rules import allowed_chains
    >>> for chain in allowed_chains("D0", ["K(S)0", "pi+", "pi-"], ["rho(770)", "K*(892)"]):  # doctest: +SKIP
    ...     print(chain)
    D0 -> K*(892)+ pi- [L=1 S=1, weak]; K*(892)+ -> K(S)0 pi+ [L=1 S=0, strong]
    D0 -> K*(892)- pi+ [L=1 S=1, weak]; K*(892)- -> K(S)0 pi- [L=1 S=0, strong]
    D0 -> rho(770)0 K(S)0 [L=1 S=1, weak]; rho(770)0 -> pi+ pi- [L=1 S=0, strong]
    """
    if basis not in ("LS", "helicity"):
        msg = f"basis must be 'LS' or 'helicity', got {basis!r}."
        raise ValueError(msg)
    parent, children = as_particle(initial), tuple(map(as_particle, [final] if isinstance(final, str) else final))
    reaction = f"{parent.name} -> {' '.join(p.name for p in children)}"
    if len(children) < 2:
        msg = f"a decay needs at least two final-state particles, got {reaction}."
        raise ValueError(msg)
    if interactions is None:
        changed = broken_by_all(parent, children, "EM", widths) & FLAVOUR_RULES
        by: tuple[str, ...] = ("weak",) if changed else ("strong", "EM")
    else:
        by = as_interactions(interactions, "interactions")
    weakest = possible(by, (parent, *children))[-1]
    rules = broken_by_all(parent, children, weakest, widths)
    if rules:
        msg = f"{reaction} is not allowed: it breaks {', '.join(sorted(rules))} ({weakest} interaction)."
        raise ValueError(msg)
    isobar_by = as_interactions(isobar_interactions, "isobar_interactions")
    candidates = isobars(resonances) if len(children) > 2 else ()
    search = _Search(children, candidates, isobar_by, basis, widths, max_l)
    trees = search.trees(State(parent, tuple(range(len(children)))), by)
    if not trees:
        raise ValueError(_explained(reaction, search.failed))
    return tuple(_up_to_exchange(parent, children, trees))
