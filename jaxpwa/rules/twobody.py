"""Partial waves of two particles."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from jaxpwa.rules.conservation import as_interactions, couplings, possible
from jaxpwa.rules.couplings import ls_couplings, spins_between
from jaxpwa.rules.records import Particle, TwoBodyWave, sign
from jaxpwa.rules.table import as_particle, flavoured

FLAVOURS = ("strangeness", "charmness", "bottomness", "baryon_number")


def _exotic(j: Fraction, parity: int, c_parity: int | None) -> bool:
    """Whether a quark and an antiquark can't have these quantum numbers."""
    half = Fraction(1, 2)
    pairs = ls_couplings(j, parity, half, 1, half, -1, exchange=c_parity)
    return c_parity is not None and not pairs


def _parents(a: Particle, b: Particle, spins: list[Fraction], strong: bool) -> Iterator[Particle]:
    """Everything the pair could come from, by quantum numbers that add and a choice of those that don't."""
    numbers = {k: getattr(a, k) + getattr(b, k) for k in ("charge", *FLAVOURS)}
    leptons = tuple(x + y for x, y in zip(a.lepton_numbers, b.lepton_numbers, strict=True))
    flavourless = not any(numbers[k] for k in FLAVOURS) and not any(leptons)
    has_c = flavourless and not numbers["charge"]
    isospins: list[Fraction | None] = [None]
    if strong and a.isospin is not None and b.isospin is not None:
        least = abs(numbers["charge"] - Fraction(sum(numbers[k] for k in FLAVOURS), 2))
        isospins = [i for i in spins_between(a.isospin, b.isospin) if i >= least]
    for isospin, j, parity in product(isospins, spins, (1, -1)):
        for choice in (1, -1) if flavourless else (None,):
            of_charge = {"isospin": isospin, "parity": parity, "lepton_numbers": leptons, **numbers}
            if isospin is None:
                yield Particle("X", j, c_parity=choice if has_c else None, **of_charge)
            else:
                c_parity = choice * sign(isospin) if has_c and choice else None
                yield Particle("X", j, g_parity=choice, c_parity=c_parity, **of_charge)


def allowed_two_body_waves(
    first: Any, second: Any, max_l: int, *, interaction: str | None = None
) -> tuple[TwoBodyWave, ...]:
    r"""Spins, parities and couplings that two particles can have.

    Parameters
    ----------
    first, second
        Names of the PDG's (see `particle`) or `Particle` s.
    max_l
        Largest orbital angular momentum.
    interaction
        By which a state would decay to them: ``"strong"``, ``"EM"`` or ``"weak"``. None: the strongest that both take
        part in.

    Returns
    -------
    One `TwoBodyWave` for each :math:`J^{PC}`, L and S, rising in spin, L and S. For the :math:`M^\epsilon` of each
    see `reflectivity_states`. K(S)0 and K(L)0 count as K0 and K~0, a pair of kaons as one without strangeness.

    Raises
    ------
    ValueError
        If a name isn't known or ``max_l`` is negative.
    TypeError
        If a particle is neither a name nor a `Particle`.
    ModuleNotFoundError
        If qrules isn't installed.

    Examples
    --------
    >>> from jaxpwa.rules import allowed_two_body_waves
    >>> [(w.jpc, w.l, w.exotic) for w in allowed_two_body_waves("eta", "pi0", 2)]  # doctest: +SKIP
    [('0++', 0, False), ('1-+', 1, True), ('2++', 2, False)]
    """
    a, b = as_particle(first), as_particle(second)
    if max_l < 0:
        msg = f"max_l must not be negative, got {max_l}."
        raise ValueError(msg)
    by = possible(as_interactions(interaction or ("strong", "EM", "weak"), "interaction"), (a, b))[:1]
    highest = a.spin + b.spin + max_l
    spins = [highest - step for step in range(int(highest) + 1)]
    ways = list(product(flavoured(a), flavoured(b)))
    least = min(abs(x.strangeness + y.strangeness) for x, y in ways)
    found: dict[tuple, list[tuple[Fraction, int | None]]] = {}
    for x, y in ways:
        for parent in _parents(x, y, spins, by == ("strong",)) if abs(x.strangeness + y.strangeness) == least else ():
            c_parity = parent.c_parity
            if c_parity is None and parent.g_parity is not None and parent.isospin is not None:
                c_parity = parent.g_parity * sign(parent.isospin)
            for pair_ls in couplings(parent, (x, y), by, None, max_l).ls:
                isospins = found.setdefault((parent.spin, *pair_ls, parent.parity, c_parity), [])
                if parent.isospin is not None and (parent.isospin, parent.g_parity) not in isospins:
                    isospins.append((parent.isospin, parent.g_parity))
    waves = [
        TwoBodyWave((a.name, b.name), j, parity, c_parity, l, s, tuple(isospins), _exotic(j, parity, c_parity))
        for (j, l, s, parity, c_parity), isospins in found.items()
    ]
    return tuple(sorted(waves, key=lambda wave: (wave.j, wave.l, wave.s, -wave.parity, -(wave.c_parity or 0))))
