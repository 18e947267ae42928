"""What the rules return: particles, decay chains and two-body waves, in plain numbers and tuples."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

HelicityCoupling = tuple[tuple[tuple[Fraction, Fraction], int], ...]


def half_whole(value: Any, what: str) -> Fraction:
    """Return a whole or half-whole number that is not negative, exactly."""
    try:
        twice = 2 * Fraction(value)
    except (TypeError, ValueError):
        twice = Fraction(1, 3)
    if twice.denominator != 1 or twice < 0:
        msg = f"{what} must be 0, 1/2, 1, 3/2, ...: got {value!r}."
        raise ValueError(msg)
    return twice / 2


def check_parity(value: Any, what: str) -> None:
    """Refuse anything but 1, -1 and None."""
    if value not in (1, -1, None):
        msg = f"{what} must be 1, -1 or None (unknown), got {value!r}."
        raise ValueError(msg)


def sign(exponent: Any) -> int:
    """Return (-1)^exponent."""
    return -1 if exponent % 2 else 1


def signed(value: int | None) -> str:
    """Write a parity as in J^PC, nothing where there is none."""
    return {1: "+", -1: "-", None: ""}[value]


@dataclass(frozen=True)
class Particle:
    """Quantum numbers of a particle, as `particle` reads them from the table, or as you know better.

    Attributes
    ----------
    name
        Any name; those of the table are the PDG's: ``"K*(892)~0"``.
    spin
        0, 1/2, 1, ...; becomes a Fraction.
    parity, c_parity, g_parity
        1, -1, or None where it isn't defined or isn't known: no rule tests what is unknown.
    mass, width
        GeV; without mass (None) the rule about masses isn't tested.
    charge, strangeness, charmness, bottomness, baryon_number
        Whole numbers, signs as the PDG's: K+ has strangeness 1.
    isospin
        0, 1/2, 1, ...; None for leptons, photons, and where it is unknown.
    lepton_numbers
        Of the electron's, muon's and tau's kind.
    pid
        The PDG's number of the particle. Opposite numbers mark antiparticles; numbers up to 100 are not hadrons.

    Raises
    ------
    ValueError
        If a spin isn't half-whole, a parity isn't 1 or -1, or the charge isn't one of the isospin multiplet's.

    Examples
    --------
    >>> from jaxpwa.rules import Particle
    >>> Particle("P(c)(4312)+", spin=0.5, parity=-1, mass=4.312, width=0.01, charge=1, isospin=0.5,
    ...          baryon_number=1).isospin_projection
    Fraction(1, 2)
    """

    name: str
    spin: Any
    parity: int | None = None
    mass: float | None = None
    width: float = 0.0
    charge: int = 0
    isospin: Any = None
    c_parity: int | None = None
    g_parity: int | None = None
    strangeness: int = 0
    charmness: int = 0
    bottomness: int = 0
    baryon_number: int = 0
    lepton_numbers: tuple[int, int, int] = (0, 0, 0)
    pid: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "spin", half_whole(self.spin, f"the spin of {self.name}"))
        for what in ("parity", "c_parity", "g_parity"):
            check_parity(getattr(self, what), f"{what} of {self.name}")
        if self.isospin is not None:
            object.__setattr__(self, "isospin", half_whole(self.isospin, f"the isospin of {self.name}"))
            projection = self.isospin_projection or Fraction(0)
            if abs(projection) > self.isospin or (projection - self.isospin).denominator != 1:
                msg = (
                    f"{self.name} of charge {self.charge} can't have isospin {self.isospin}: its projection, "
                    f"charge - (baryon number + flavours) / 2, is {projection}."
                )
                raise ValueError(msg)

    @property
    def isospin_projection(self) -> Fraction | None:
        """Third component of isospin, by the formula of Gell-Mann and Nishijima; None without isospin."""
        if self.isospin is None:
            return None
        flavours = self.baryon_number + self.strangeness + self.charmness + self.bottomness
        return self.charge - Fraction(flavours, 2)

    @property
    def jpc(self) -> str:
        """Spin and parities: ``"2++"``, ``"3/2-"``."""
        return f"{self.spin}{signed(self.parity)}{signed(self.c_parity)}"


@dataclass(frozen=True)
class State:
    """A particle of a chain and the final-state particles that it ends in.

    Attributes
    ----------
    particle
        The `Particle`.
    members
        Positions in the final state, rising: ``(0, 1)`` for a resonance of the first two.
    """

    particle: Particle
    members: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the particle."""
        return self.particle.name


@dataclass(frozen=True)
class Vertex:
    r"""One two-body decay of a chain, with one coupling.

    Attributes
    ----------
    parent
        The `State` that decays.
    children
        The two it decays to, the one of more members first, then by the first member: of three particles, the isobar
        and then the spectator.
    interaction
        ``"strong"``, ``"EM"`` or ``"weak"``.
    l, s
        Orbital angular momentum and coupled spin; None in the helicity basis.
    helicities
        In the helicity basis, pairs of the children's helicities with a sign, ``(((1, 0), 1), ((-1, 0), -1))``: those
        amplitudes are one coupling times these signs (see `helicity_couplings`). None in the LS basis.
    """

    parent: State
    children: tuple[State, State]
    interaction: str
    l: int | None = None
    s: Fraction | None = None
    helicities: HelicityCoupling | None = None

    @property
    def coupling(self) -> tuple:
        """``(l, s)``, or the helicities."""
        return (self.l, self.s) if self.helicities is None else self.helicities

    @property
    def parity_conserved(self) -> bool:
        """Whether the interaction conserves parity."""
        return self.interaction != "weak"

    def __str__(self) -> str:
        if self.helicities is None:
            coupling = f"L={self.l} S={self.s}"
        else:
            coupling = "helicities " + ", ".join(
                f"{'-' if factor < 0 else '+'}({first}, {second})" for (first, second), factor in self.helicities
            )
        return f"{self.parent.name} -> {' '.join(c.name for c in self.children)} [{coupling}, {self.interaction}]"


@dataclass(frozen=True)
class DecayChain:
    """One amplitude of a decay: a tree of two-body decays, each with one coupling.

    Attributes
    ----------
    initial
        The `Particle` that decays.
    final
        The final-state particles, in the order they were given.
    vertices
        The decays, the initial state's first, parents before children.
    exchanges
        Pairs ``(sign, order)``: the amplitude is the sum over them of ``sign`` times this chain with particle ``i`` of
        the chain at position ``order[i]`` of the final state, the children of each vertex in the same order. The first
        is ``(1, (0, 1, ...))``; others come from identical particles, where exchanging them makes another diagram with
        the same coupling.
    """

    initial: Particle
    final: tuple[Particle, ...]
    vertices: tuple[Vertex, ...]
    exchanges: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def isobars(self) -> tuple[State, ...]:
        """The resonances between initial and final state, in the order of their decays."""
        return tuple(vertex.parent for vertex in self.vertices[1:])

    def __str__(self) -> str:
        return "; ".join(map(str, self.vertices))


@dataclass(frozen=True)
class TwoBodyWave:
    """A partial wave of two particles.

    Attributes
    ----------
    particles
        The two names.
    j
        Total spin.
    parity
        1 or -1.
    c_parity
        1, -1, or None where the pair has none; of a charged pair that of the neutral member of its multiplet.
    l, s
        Orbital angular momentum and coupled spin.
    isospins
        Pairs ``(isospin, g_parity)`` that the wave can have; empty where isospin isn't conserved.
    exotic
        True where a quark and an antiquark can't have this spin, parity and c_parity. An exotic flavour or isospin
        isn't meant.
    """

    particles: tuple[str, str]
    j: Fraction
    parity: int
    c_parity: int | None
    l: int
    s: Fraction
    isospins: tuple[tuple[Fraction, int | None], ...]
    exotic: bool

    @property
    def jpc(self) -> str:
        """Spin and parities: ``"1-+"``."""
        return f"{self.j}{signed(self.parity)}{signed(self.c_parity)}"
