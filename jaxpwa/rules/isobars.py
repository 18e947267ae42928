"""From allowed chains of a decay into three particles to their intensity."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from jaxpwa._checks import known
from jaxpwa.physics.kinematics.breakup import real_breakup_momentum
from jaxpwa.physics.kinematics.threebody import ThreeBodyDecay, pair
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf
from jaxpwa.physics.lineshapes.breitwigner import relativistic_breit_wigner
from jaxpwa.physics.waves.composition import CoherentSum, IncoherentSum
from jaxpwa.physics.waves.isobar_models import isobar_model, symmetrised
from jaxpwa.physics.waves.isobars import Chain
from jaxpwa.physics.waves.vertices import LS
from jaxpwa.rules.records import DecayChain, Particle


@dataclass(frozen=True)
class _Resonance:
    """Breit-Wigner with the mass and width of the table and the barriers of both vertices."""

    mass0: float
    width: float
    pair: tuple[float, float]
    l: int
    parent_mass: float
    spectator_mass: float
    production_l: int

    def __call__(self, params: Any, mass: jax.Array) -> jax.Array:
        decay = blatt_weisskopf(self.l, real_breakup_momentum(mass, *self.pair))
        production = blatt_weisskopf(
            self.production_l, real_breakup_momentum(self.parent_mass, mass, self.spectator_mass)
        )
        return decay * production * relativistic_breit_wigner(mass, self.mass0, self.width, *self.pair, self.l)


def chain_model(
    chains: Iterable[DecayChain],
    *,
    shapes: Mapping[str, Callable[[Any, Any], Any]] | None = None,
    columns: tuple[str, str, str] = ("m23", "m31", "m12"),
    **options: Any,
) -> CoherentSum | IncoherentSum:
    r"""Intensity of the chains of a decay into three particles.

    Parameters
    ----------
    chains
        What `allowed_chains` found for one decay into three particles, in the basis of L and S.
    shapes
        Line shapes ``shape(params, mass)`` of isobars by their names. The others have `relativistic_breit_wigner` with
        mass and width of the table, fixed, and `blatt_weisskopf` barriers of both vertices at 1 fm.
    columns
        Names of the columns with the invariant masses of the pairs (2, 3), (3, 1) and (1, 2), GeV, of the particles in
        the order in which they were given to `allowed_chains`.
    **options
        ``reference``, ``orientation``, ``density``, ``name`` of `isobar_model`.

    Returns
    -------
    A model whose waves are called by their isobar, with L and S of the production and, where it can differ, of the
    decay: ``"Lambda(1520) L=1 S=3/2"``. Identical particles are symmetrised.

    Raises
    ------
    ValueError
        If there is no chain, they are not of one decay into three particles, they are in the basis of helicities, a
        shape is for no isobar, or an isobar of unknown mass or width has no shape.

    Examples
    --------
    >>> from jaxpwa.rules import allowed_chains, chain_model
    >>> chains = allowed_chains("D0", ["K(S)0", "pi+", "pi-"], ["rho(770)0", "K*(892)-"])  # doctest: +SKIP
    >>> chain_model(chains).names  # doctest: +SKIP
    ('K*(892)- L=1 S=1', 'rho(770)0 L=1 S=1')
    """
    chains, shapes = tuple(chains), dict(shapes or {})
    _check(chains, shapes)
    first = chains[0]
    a, b, c = first.final
    decay = ThreeBodyDecay(
        mass=_mass(first.initial),
        masses=(_mass(a), _mass(b), _mass(c)),
        spin=float(first.initial.spin),
        spins=(float(a.spin), float(b.spin), float(c.spin)),
        columns=columns,
    )
    decays: dict[str, set[Any]] = {}
    for chain in chains:
        decays.setdefault(chain.isobars[0].name, set()).add(chain.vertices[1].coupling)
    made = [_chain(chain, decay, shapes, several=len(decays[chain.isobars[0].name]) > 1) for chain in chains]
    names = [p.name for p in first.final]
    identical = [n for n, name in enumerate(names, 1) if names.count(name) > 1]
    return isobar_model(decay, symmetrised(decay, made, identical) if identical else made, **options)


def _check(chains: tuple[DecayChain, ...], shapes: Mapping[str, Any]) -> None:
    if not chains:
        msg = "chains must hold at least one DecayChain, got none: see violated_rules for why a decay is forbidden."
        raise ValueError(msg)
    if any((c.initial, c.final) != (chains[0].initial, chains[0].final) or len(c.final) != 3 for c in chains):
        msg = "chains must all be of one decay into three particles."
        raise ValueError(msg)
    if any(vertex.l is None for c in chains for vertex in c.vertices):
        msg = "chains must be in the basis of L and S, got helicities: ask allowed_chains with basis='LS'."
        raise ValueError(msg)
    isobars = {c.isobars[0].name for c in chains}
    for name in shapes:
        if name not in isobars:
            msg = f"shapes names {name!r}, which is none of the isobars {known(sorted(isobars))}."
            raise ValueError(msg)


def _mass(particle: Particle) -> float:
    if particle.mass is None:
        msg = f"the mass of {particle.name} is not known: make a Particle that has one."
        raise ValueError(msg)
    return float(particle.mass)


def _chain(chain: DecayChain, decay: ThreeBodyDecay, shapes: Mapping[str, Any], several: bool) -> Chain:
    production, below = chain.vertices
    isobar = chain.isobars[0]
    spectator = ({1, 2, 3} - {member + 1 for member in isobar.members}).pop()
    i, j = pair(spectator)
    spins = (float(isobar.particle.spin), decay.spin_of(i), decay.spin_of(j))
    vertex, sign = LS(int(below.l or 0), float(below.s or 0)), 1
    if i > j:
        # The rules count the pair upwards, chains in cyclic order.
        vertex, sign = vertex.exchanged(*spins)
    shape = shapes.get(isobar.name)
    if shape is None:
        if not isobar.particle.mass or not isobar.particle.width:
            msg = f"isobar {isobar.name!r} has no mass or width in the table: give it one of shapes."
            raise ValueError(msg)
        masses = (decay.masses[i - 1], decay.masses[j - 1])
        shape = _Resonance(
            _mass(isobar.particle), float(isobar.particle.width), masses, int(below.l or 0),
            float(decay.mass or 0), decay.masses[spectator - 1], int(production.l or 0),
        )  # fmt: skip
    name = f"{isobar.name} L={production.l} S={production.s}" + (f", L={below.l} S={below.s}" if several else "")
    made = LS(int(production.l or 0), float(production.s or 0))
    return Chain(name, spectator, spins[0], shape, production=made, decay=vertex, sign=sign)
