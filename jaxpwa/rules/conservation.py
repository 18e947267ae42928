"""The conservation rules of qrules, and what they leave of a two-body decay."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any
from zlib import crc32

from jaxpwa._checks import known
from jaxpwa.rules.couplings import helicity_couplings, ls_couplings
from jaxpwa.rules.records import HelicityCoupling, Particle, sign
from jaxpwa.rules.table import KAONS, as_particle, collection, flavoured, is_hadron, qrules

# From the strongest to the weakest.
INTERACTIONS = ("strong", "EM", "weak")
FLAVOUR_RULES = {"StrangenessConservation", "CharmConservation", "BottomnessConservation"}


def as_interactions(value: Any, what: str) -> tuple[str, ...]:
    """Return interactions from the strongest to the weakest, or say which are known."""
    asked = (value,) if isinstance(value, str) else tuple(value)
    if not asked or any(name not in INTERACTIONS for name in asked):
        msg = f"{what} must be one or more of {known(INTERACTIONS)}, got {value!r}."
        raise ValueError(msg)
    return tuple(name for name in INTERACTIONS if name in asked)


def possible(asked: tuple[str, ...], particles: Iterable[Particle]) -> tuple[str, ...]:
    """Of the interactions asked for those that all particles take part in; without any, the strongest of these."""
    particles = tuple(particles)
    if any(p.pid is not None and abs(p.pid) in (12, 14, 16) for p in particles):
        all_take_part = INTERACTIONS[2:]
    elif not all(map(is_hadron, particles)):
        all_take_part = INTERACTIONS[1:]
    else:
        all_take_part = INTERACTIONS
    return tuple(name for name in asked if name in all_take_part) or all_take_part[:1]


@cache
def _rules(interaction: str, widths: float | None) -> tuple[tuple[str, Any, Any, Any], ...]:
    """Rules that qrules holds an interaction to: name, test of what it needs, maker of its arguments, the rule."""
    settings = qrules("settings")
    kind = settings.InteractionType.from_str(interaction)
    every = settings.create_interaction_settings("canonical", collection(), mass_conservation_factor=widths)
    handler = qrules("argument_handling").RuleArgumentHandler()
    rules = []
    for rule in every[kind][1].conservation_rules:
        name = getattr(rule, "__name__", type(rule).__name__)
        # It asks a parent of two identical bosons for positive parity, which weak decays don't heed (K0 -> pi0 pi0);
        # exchange_sign has the rule in terms of L and S.
        if name != "identical_particle_symmetrization":
            rules.append((name, *handler.register_rule(rule), rule))
    return tuple(sorted(rules, key=lambda entry: entry[0]))


@cache
def _edge(p: Particle) -> dict[Any, Any]:
    """Quantum numbers of a particle as qrules passes them to rules; what isn't known is left out."""
    names = qrules("quantum_numbers").EdgeQuantumNumbers
    numbers = dict(zip(("electron", "muon", "tau"), p.lepton_numbers, strict=True))
    values = {
        "spin_magnitude": p.spin,
        "isospin_magnitude": p.isospin,
        "topness": 0,
        **{f"{kind}_lepton_number": value for kind, value in numbers.items()},
        # Some rules ask for a number; one made from the name is never another's with the opposite sign.
        "pid": 10**10 + crc32(p.name.encode()) if p.pid is None else p.pid,
        **{k: getattr(p, k) for k in ("mass", "width", "charge", "isospin_projection", "strangeness")},
        **{k: getattr(p, k) for k in ("charmness", "bottomness", "baryon_number", "parity", "c_parity", "g_parity")},
    }
    return {getattr(names, name): value for name, value in values.items() if value is not None}


def broken(
    parent: Particle,
    children: Sequence[Particle],
    interaction: str,
    widths: float | None,
    coupling: tuple[int, Fraction] | None = None,
) -> set[str]:
    """Names of rules that a decay breaks; without L and S only of rules that don't ask for these."""
    node = {}
    if coupling is not None:
        names = qrules("quantum_numbers").NodeQuantumNumbers
        node = {names.l_magnitude: coupling[0], names.s_magnitude: coupling[1]}
    arguments = [_edge(parent)], [_edge(p) for p in children], node
    wrong = _misjudged(children)
    return {
        name
        for name, can_test, build, rule in _rules(interaction, widths)
        if name not in wrong and can_test(*arguments) and not rule(*build(*arguments))
    }


def _misjudged(children: Sequence[Particle]) -> set[str]:
    """Rules that don't hold for a boson of spin and its antiparticle: C = (-1)^L there, not (-1)^(L + S)."""
    if len(children) != 2 or None in (children[0].pid, children[1].pid):
        return set()
    a, b = children
    if a.pid != -(b.pid or 0) or a.spin.denominator == 2 or a.spin == 0:
        return set()
    # Where both have the parity, the rule multiplies these and is right.
    return {
        rule
        for rule, parity in (("c_parity_conservation", "c_parity"), ("g_parity_conservation", "g_parity"))
        if None in (getattr(a, parity), getattr(b, parity))
    }


def _same_multiplet(a: Particle, b: Particle, anti: bool) -> bool:
    """Whether two particles (or the first and the other's antiparticle) differ by their charge only."""
    flip = -1 if anti else 1
    flavours = ("strangeness", "charmness", "bottomness", "baryon_number")
    fermion_flip = flip if a.spin.denominator == 2 else 1
    # Members are at most 8 MeV apart (Sigma), different multiplets of the same numbers more.
    near = a.mass is not None and b.mass is not None and abs(a.mass - b.mass) < 0.01
    return (
        near
        and (a.spin, a.isospin) == (b.spin, b.isospin)
        and all(getattr(a, k) == flip * getattr(b, k) for k in flavours)
        and (a.parity is None or b.parity is None or a.parity == fermion_flip * b.parity)
    )


def exchange_sign(parent: Particle, a: Particle, b: Particle, interaction: str) -> int | None:
    """Return what (-1)^(L + S) must be for a pair related by exchange, None for others.

    Identical particles: 1. Particle and antiparticle: the C-parity of the parent. Members of isospin multiplets, by the
    strong interaction: G (-1)^I with an antiparticle's, (-1)^(I - 2i) within one.
    """
    if a.name == b.name:
        return 1
    if interaction == "weak":
        return None
    if {a.name, b.name} == set(KAONS):
        return -1  # K0 K~0 has CP = 1, K(S)0 K(L)0 has CP = -(-1)^L
    if a.pid is not None and b.pid is not None and a.pid == -b.pid and parent.c_parity is not None:
        return parent.c_parity
    if interaction == "strong" and parent.isospin is not None and a.isospin and b.isospin:
        if _same_multiplet(a, b, anti=True) and parent.g_parity is not None:
            return parent.g_parity * sign(parent.isospin)
        if _same_multiplet(a, b, anti=False):
            return sign(parent.isospin - 2 * a.isospin)
    return None


def broken_by_all(parent: Particle, children: Sequence[Particle], interaction: str, widths: float | None) -> set[str]:
    """Names of rules that a reaction breaks whatever L and S, the fewest for K(S)0 and K(L)0 as K0 and K~0."""
    ways = product(flavoured(parent), *map(flavoured, children))
    # Some rules ask for L and S but heed them for pairs only.
    unused = (0, Fraction(0)) if len(children) > 2 else None
    return min((broken(first, rest, interaction, widths, unused) for first, *rest in ways), key=len)


@dataclass(frozen=True)
class Couplings:
    """What a two-body decay may have: pairs (L, S), and the sign under exchange; or the rules that forbid it."""

    interaction: str
    ls: tuple[tuple[int, Fraction], ...]
    exchange: int | None
    rules: frozenset[str]


def couplings(
    parent: Particle,
    children: tuple[Particle, Particle],
    interactions: tuple[str, ...],
    widths: float | None,
    max_l: int | None = None,
) -> Couplings:
    """Couplings by the strongest interaction that allows the decay; if none does, the rules against the weakest."""
    result = Couplings("", (), None, frozenset())
    for interaction in possible(interactions, (parent, *children)):
        result = _by_one(parent, children, interaction, widths, max_l)
        if result.ls:
            break
    return result


def _by_one(
    parent: Particle, children: Sequence[Particle], interaction: str, widths: float | None, max_l: int | None = None
) -> Couplings:
    """Couplings by one interaction, the most for K(S)0 and K(L)0 as K0 or K~0."""
    ways = product(flavoured(parent), flavoured(children[0]), flavoured(children[1]))
    tried = [_of_flavours(*way, interaction, widths, max_l) for way in ways]
    return min(tried, key=lambda t: (len(t.rules & FLAVOUR_RULES), len(t.rules), -len(t.ls)))


def independent_helicities(
    parent: Particle, children: tuple[Particle, Particle], interaction: str, exchange: int | None
) -> tuple[HelicityCoupling, ...]:
    """Return the helicity couplings of a decay; there may be none with massless particles where LS has some."""
    a, b = children
    return helicity_couplings(
        parent.spin,
        parent.parity,
        a.spin,
        a.parity,
        b.spin,
        b.parity,
        parity_conserved=interaction != "weak" and None not in (parent.parity, a.parity, b.parity),
        exchange=exchange,
        massless=(a.mass == 0, b.mass == 0),
    )


def _of_flavours(
    parent: Particle, a: Particle, b: Particle, interaction: str, widths: float | None, max_l: int | None
) -> Couplings:
    """Couplings of particles of known flavour."""
    always = broken(parent, (a, b), interaction, widths)
    exchange = exchange_sign(parent, a, b, interaction)
    candidates = ls_couplings(parent.spin, None, a.spin, None, b.spin, None, parity_conserved=False)
    reasons = []
    for l, s in candidates:
        reason = broken(parent, (a, b), interaction, widths, (l, s)) | always
        reason |= {"exchange_symmetry"} if exchange not in (None, sign(l + s)) else set()
        reasons.append(reason | ({"max_l"} if max_l is not None and l > max_l else set()))
    allowed = tuple(pair for pair, reason in zip(candidates, reasons, strict=True) if not reason)
    if not reasons:
        rules = always | {"spin_magnitude_conservation"}
    elif not allowed:
        rules = set.intersection(*reasons) or set.union(*reasons)
    elif not independent_helicities(parent, (a, b), interaction, exchange):
        rules = {"helicity_conservation"}
    else:
        return Couplings(interaction, allowed, exchange, frozenset())
    return Couplings(interaction, (), exchange, frozenset(rules - {"max_l"} or rules))


def violated_rules(
    initial: Any, final: Iterable[Any], *, interaction: str = "strong", widths: float | None = 3.0
) -> tuple[str, ...]:
    """Names of the conservation rules that forbid a reaction.

    Parameters
    ----------
    initial
        What decays: a name of the PDG's, or a `Particle`.
    final
        What it decays to, names or `Particle` s. Of two, all rules are tested for every L and S; of more, the rules
        that don't ask for the angular momenta in between.
    interaction
        ``"strong"``, ``"EM"`` or ``"weak"``.
    widths
        How many widths masses may be off by; None: masses aren't tested.

    Returns
    -------
    Names as qrules gives them, sorted: those that every coupling breaks if there are such, else all that some coupling
    breaks. Empty where the reaction is allowed. Some names aren't of qrules: ``exchange_symmetry``, of identical
    particles, a particle and its antiparticle, and isospin multiplets; ``not_strong`` or ``not_EM`` where a particle
    takes no part in the interaction.

    Raises
    ------
    ValueError
        If a name isn't known.
    ModuleNotFoundError
        If qrules isn't installed.

    Examples
    --------
    >>> from jaxpwa.rules import violated_rules
    >>> violated_rules("rho(770)0", ["pi0", "pi0"])  # doctest: +SKIP
    ('c_parity_conservation', 'exchange_symmetry', 'isospin_conservation')
    """
    parent, children = as_particle(initial), [as_particle(p) for p in final]
    (kind,) = as_interactions((interaction,), "interaction")
    if kind not in possible((kind,), (parent, *children)):
        return (f"not_{kind}",)
    if len(children) == 2:
        return tuple(sorted(_by_one(parent, children, kind, widths).rules))
    return tuple(sorted(broken_by_all(parent, children, kind, widths)))
