"""The table of particles that qrules brings."""

import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any

from jaxpwa._checks import known
from jaxpwa._extras import needs
from jaxpwa.rules.records import Particle

KAONS = ("K(S)0", "K(L)0")


def qrules(module: str = "") -> Any:
    """Import qrules or a module of it."""
    return needs(f"qrules.{module}" if module else "qrules", "rules", "the rules of reactions")


@cache
def collection() -> Any:
    """Particles in the form that qrules keeps them in."""
    return qrules().load_pdg()


def _plain(p: Any) -> Particle:
    """Copy an entry of qrules' table."""
    parities = {k: None if getattr(p, k) is None else int(getattr(p, k)) for k in ("parity", "c_parity", "g_parity")}
    numbers = {k: getattr(p, k) for k in ("charge", "strangeness", "charmness", "bottomness", "baryon_number", "pid")}
    return Particle(
        p.name,
        p.spin,
        mass=p.mass,
        width=p.width,
        isospin=None if p.isospin is None else p.isospin.magnitude,
        lepton_numbers=(p.electron_lepton_number, p.muon_lepton_number, p.tau_lepton_number),
        **parities,
        **numbers,
    )


@cache
def table() -> dict[str, Particle]:
    """All particles by name, with K(S)0 and K(L)0, which qrules leaves out."""
    particles = {p.name: _plain(p) for p in collection() if not p.topness}
    for name, pid in zip(KAONS, (310, 130), strict=True):
        particles[name] = replace(particles["K0"], name=name, pid=pid, strangeness=0, isospin=None)
    return particles


def particle(name: str) -> Particle:
    """Look up a particle by the PDG's name for it.

    Parameters
    ----------
    name
        ``"J/psi(1S)"``, ``"K*(892)~0"``, ``"Lambda(c)+"``, ``"K(S)0"``, ...

    Returns
    -------
    Its quantum numbers, mass and width as the PDG's table in qrules has them. Where PDG gives a range, as for
    f(0)(500), mass and width are rough. ``dataclasses.replace`` makes a changed copy.

    Raises
    ------
    ValueError
        If there is no such name; the message has the nearest.
    ModuleNotFoundError
        If qrules isn't installed.

    Examples
    --------
    >>> from jaxpwa.rules import particle
    >>> particle("Lambda(1520)").jpc  # doctest: +SKIP
    '3/2-'
    """
    if name not in table():
        near = [n for n in table() if name and n.startswith(name)] or get_close_matches(name, table(), n=6, cutoff=0.5)
        msg = f"unknown particle {name!r}; names that are near: {known(near, 8)}."
        raise ValueError(msg)
    return table()[name]


def as_particle(value: Any) -> Particle:
    """Return a particle, by name or as it is."""
    if isinstance(value, str):
        return particle(value)
    if not isinstance(value, Particle):
        msg = f"a particle must be a name or a jaxpwa.rules.Particle, got {value!r}."
        raise TypeError(msg)
    return value


def _without_charge(name: str) -> str:
    """Name of the multiplet: K*(892) of K*(892)~0."""
    return re.sub(r"~?(\++|-+|0)?$", "", name)


def isobars(resonances: Iterable[Any] | None) -> tuple[Particle, ...]:
    """Particles that may be isobars: of a name all charges if it has none, all hadrons for None."""
    if resonances is None:
        return tuple(p for p in table().values() if is_hadron(p) and p.name not in KAONS)
    if isinstance(resonances, (str, Particle)):
        resonances = (resonances,)
    found: dict[str, Particle] = {}
    for item in resonances:
        family = [p for p in table().values() if _without_charge(p.name) == item] if isinstance(item, str) else []
        for p in family or [as_particle(item)]:
            found[p.name] = p
    return tuple(found.values())


def is_hadron(p: Particle) -> bool:
    """Whether a particle takes part in the strong interaction."""
    return p.pid is None or abs(p.pid) > 100


def flavoured(p: Particle) -> tuple[Particle, ...]:
    """Return K0 and K~0 for K(S)0 and K(L)0, under the same name, and otherwise the particle."""
    if p.name not in KAONS:
        return (p,)
    return tuple(replace(table()[name], name=p.name) for name in ("K0", "K~0"))
