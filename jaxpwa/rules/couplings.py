"""Couplings of a two-body decay from spins and parities alone."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from jaxpwa.rules.records import HelicityCoupling, check_parity, half_whole, sign


def spins_between(first: Fraction, second: Fraction) -> Iterator[Fraction]:
    """Spins that two spins couple to, rising."""
    spin = abs(first - second)
    while spin <= first + second:
        yield spin
        spin += 1


def _checked(j: Any, parity: Any, j1: Any, parity1: Any, j2: Any, parity2: Any, parity_conserved: bool, exchange: Any):
    """Return the three spins exactly and the product of parities, or say what is wrong."""
    spins = half_whole(j, "j"), half_whole(j1, "j1"), half_whole(j2, "j2")
    parities = {"parity": parity, "parity1": parity1, "parity2": parity2, "exchange": exchange}
    for what, value in parities.items():
        check_parity(value, what)
    if exchange is not None and spins[1] != spins[2]:
        msg = f"exchange needs two particles of one spin, got j1={j1!r} and j2={j2!r}."
        raise ValueError(msg)
    if not parity_conserved:
        return *spins, None
    if None in (parity, parity1, parity2):
        missing = ", ".join(what for what, value in parities.items() if value is None and what != "exchange")
        msg = f"where parity is conserved all three parities are needed, got None for {missing}."
        raise ValueError(msg)
    return *spins, parity * parity1 * parity2


def ls_couplings(
    j: Any,
    parity: int | None,
    j1: Any,
    parity1: int | None,
    j2: Any,
    parity2: int | None,
    *,
    parity_conserved: bool = True,
    exchange: int | None = None,
    max_l: int | None = None,
) -> tuple[tuple[int, Fraction], ...]:
    r"""Orbital angular momenta and coupled spins by which a particle decays to two.

    Those with :math:`|j_1 - j_2| \le S \le j_1 + j_2` and :math:`|L - S| \le J \le L + S`, and where parity is
    conserved :math:`P = P_1 P_2 (-1)^L`.

    Parameters
    ----------
    j, j1, j2
        Spins of the parent and of the two, whole or half-whole.
    parity, parity1, parity2
        Their parities, 1 or -1; may be None where parity isn't conserved.
    parity_conserved
        False for a weak decay.
    exchange
        What :math:`(-1)^{L + S}` must be: 1 for two identical particles, the C-parity of the parent for a particle and
        its antiparticle; None for no such rule.
    max_l
        Largest L; None: all.

    Returns
    -------
    Pairs ``(L, S)``, L whole and S a Fraction, rising in L and then in S. A massless particle has fewer amplitudes than
    this says: see `helicity_couplings`.

    Raises
    ------
    ValueError
        If a spin isn't half-whole, a parity isn't 1 or -1, one is missing, or ``exchange`` meets two different spins.

    Examples
    --------
    >>> from jaxpwa.rules import ls_couplings
    >>> [(l, str(s)) for l, s in ls_couplings(0.5, 1, 1.5, -1, 0, -1, parity_conserved=False)]  # Lambda_c -> L(1520) pi
    [(1, '3/2'), (2, '3/2')]
    """
    spin, spin1, spin2, product = _checked(j, parity, j1, parity1, j2, parity2, parity_conserved, exchange)
    pairs = sorted(
        (int(l), s) for s in spins_between(spin1, spin2) for l in spins_between(spin, s) if l.denominator == 1
    )
    return tuple(
        (l, s)
        for l, s in pairs
        if product in (None, sign(l)) and exchange in (None, sign(l + s)) and (max_l is None or l <= max_l)
    )


def helicity_couplings(
    j: Any,
    parity: int | None,
    j1: Any,
    parity1: int | None,
    j2: Any,
    parity2: int | None,
    *,
    parity_conserved: bool = True,
    exchange: int | None = None,
    massless: tuple[bool, bool] = (False, False),
) -> tuple[HelicityCoupling, ...]:
    r"""Independent helicity amplitudes by which a particle decays to two.

    With helicities :math:`\lambda_1, \lambda_2` in the parent's rest frame, :math:`|\lambda_1 - \lambda_2| \le J`.
    Parity and exchange relate amplitudes,

    .. math:: H_{-\lambda_1, -\lambda_2} = P P_1 P_2 (-1)^{J - j_1 - j_2} H_{\lambda_1 \lambda_2} , \qquad
              H_{\lambda_2 \lambda_1} = x\, (-1)^J H_{\lambda_1 \lambda_2}

    with :math:`x = (-1)^{L + S}`, for the phases of

    .. math:: H_{\lambda_1 \lambda_2} = \sum_{L S} a_{L S} \sqrt{\tfrac{2L + 1}{2J + 1}}
              \langle L 0\, S \lambda | J \lambda \rangle
              \langle j_1 \lambda_1\, j_2 {-\lambda_2} | S \lambda \rangle , \quad \lambda = \lambda_1 - \lambda_2

    Parameters
    ----------
    j, parity, j1, parity1, j2, parity2, parity_conserved
        As in `ls_couplings`.
    exchange
        :math:`x`, as in `ls_couplings`.
    massless
        Which of the two is massless, having only its two extreme helicities.

    Returns
    -------
    One entry for each coupling: the amplitudes it gives, as pairs ``((lambda1, lambda2), sign)`` of which the first has
    sign 1. As many as `ls_couplings` for massive particles.

    Raises
    ------
    ValueError
        As `ls_couplings`; or if ``exchange`` meets a massive and a massless particle.

    Examples
    --------
    >>> from jaxpwa.rules import helicity_couplings
    >>> for coupling in helicity_couplings(1, -1, 1, -1, 0, -1):  # J/psi -> rho pi
    ...     print([(str(a), str(b), sign) for (a, b), sign in coupling])
    [('1', '0', 1), ('-1', '0', -1)]
    """
    spin, spin1, spin2, product = _checked(j, parity, j1, parity1, j2, parity2, parity_conserved, exchange)
    relations: list[tuple[Callable, int]] = []
    if (spin + spin1 + spin2).denominator != 1:
        return ()
    if product is not None:
        relations.append((lambda pair: (-pair[0], -pair[1]), product * sign(spin - spin1 - spin2)))
    if exchange is not None:
        if massless[0] != massless[1]:
            msg = f"exchange needs two particles of one mass, got massless={massless!r}."
            raise ValueError(msg)
        relations.append((lambda pair: (pair[1], pair[0]), exchange * sign(spin)))
    pairs = [
        (first, second)
        for first in _helicities(spin1, massless[0])
        for second in _helicities(spin2, massless[1])
        if abs(first - second) <= spin
    ]
    couplings, seen = [], set()
    for pair in pairs:
        if pair not in seen:
            related, consistent = _related(pair, relations)
            seen.update(related)
            if consistent:
                couplings.append(tuple(related.items()))
    return tuple(couplings)


def _helicities(spin: Fraction, massless: bool) -> list[Fraction]:
    """Helicities of a particle, falling."""
    if massless and spin:
        return [spin, -spin]
    return [spin - step for step in range(int(2 * spin) + 1)]


def _related(pair: tuple, relations: list[tuple[Callable, int]]) -> tuple[dict[tuple, int], bool]:
    """Return all amplitudes that one fixes, with signs, and whether no two relations contradict each other."""
    related, todo, consistent = {pair: 1}, [pair], True
    while todo:
        here = todo.pop()
        for move, factor in relations:
            there, value = move(here), related[here] * factor
            if there not in related:
                related[there] = value
                todo.append(there)
            consistent &= related[there] == value
    return related, consistent


def reflectivity_states(j: Any, parity: int, max_m: int | None = None) -> tuple[tuple[int, int], ...]:
    r"""Spin projections and reflectivities of a wave :math:`J^P M^\epsilon`.

    The states

    .. math:: |J M^\epsilon\rangle = c_M \left( |J, M\rangle - \epsilon P (-1)^{J - M} |J, -M\rangle \right) ,
              \quad M \ge 0

    of which M = 0 has only the reflectivity that doesn't make it vanish. This is the basis for a beam of spin 0, as
    pions'; with polarised photons every M from -J to J comes with both reflectivities.

    Parameters
    ----------
    j
        Spin, whole.
    parity
        1 or -1.
    max_m
        Largest M; None: ``j``.

    Returns
    -------
    Pairs ``(M, reflectivity)``, rising in M, reflectivity 1 before -1.

    Raises
    ------
    ValueError
        If ``j`` isn't whole or the parity isn't 1 or -1.

    References
    ----------
    S. U. Chung and T. L. Trueman, Phys. Rev. D 11 (1975) 633.

    Examples
    --------
    >>> from jaxpwa.rules import reflectivity_states
    >>> reflectivity_states(2, -1, max_m=1)
    ((0, 1), (1, 1), (1, -1))
    """
    spin = half_whole(j, "j")
    if spin.denominator != 1:
        msg = f"j must be a whole number, got {j!r}."
        raise ValueError(msg)
    if parity not in (1, -1):
        msg = f"parity must be 1 or -1, got {parity!r}."
        raise ValueError(msg)
    highest = int(spin) if max_m is None else min(int(spin), max_m)
    return tuple(
        (m, reflectivity)
        for m in range(highest + 1)
        for reflectivity in (1, -1)
        if m or reflectivity * parity * sign(spin) == -1
    )
