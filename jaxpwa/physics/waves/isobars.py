r"""Isobar chains of a decay into three particles, 0 -> (i, j) k, for any spins.

A chain has an isobar of spin s that decays to the pair (i, j), in cyclic order, and a spectator k. In its own frame

.. math:: A^{(k)\,\nu}_{\lambda_1 \lambda_2 \lambda_3} = \sqrt{2s + 1}\; X(m_{ij})
          \sum_\tau \delta_{\nu,\, \tau - \lambda_k}\, H^{0}_{\tau \lambda_k} (-1)^{j_k - \lambda_k}\,
          d^s_{\tau,\, \lambda_i - \lambda_j}(\theta_{ij})\,
          H^{(ij)}_{\lambda_i \lambda_j} (-1)^{j_j - \lambda_j}

and the rotations of `threebody_angles` bring all chains to the frame of a reference chain. The two H are `vertices`; in
:math:`H^0` the isobar comes first. The signs are those of Jacob and Wick's second particle. Barrier factors, where
wanted, are part of the line shape X. Where all spins but that of the isobar are 0, the default vertices make a chain
:math:`\sqrt{2s + 1}\, X(m_{ij})\, P_s(\cos\theta_{ij})`.

`isobar_models` adds chains up to intensities.

Amplitudes of spins at rest, made of Clebsch-Gordan sums, spherical harmonics and boosts without rotation, are those of
LS vertices times :math:`\sqrt{2J + 1} / 4\pi`, but for the signs of whole chains: with half-integer spins chain 2 has
:math:`(-1)^{2 j_3}` and chain 3 has :math:`(-1)^{2 j_2}` on top, as in ThreeBodyDecays.jl.

References
----------
JPAC, M. Mikhasenko et al., Phys. Rev. D 101 (2020) 034033, arXiv:1910.04566.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpwa.physics.kinematics._threebody import Plane, checked_number
from jaxpwa.physics.kinematics.threebody import Invariants, pair
from jaxpwa.physics.kinematics.threebody import ThreeBodyDecay as ThreeBodyDecay
from jaxpwa.physics.kinematics.threebody_angles import cos_theta
from jaxpwa.physics.spin import wigner_small_d, wigner_small_d_of_cosine
from jaxpwa.physics.waves.vertices import LS as LS
from jaxpwa.physics.waves.vertices import Helicities as Helicities
from jaxpwa.physics.waves.wave import Coupling


@dataclass(frozen=True)
class Chain:
    """One isobar with its spectator.

    Attributes
    ----------
    name
        Of the wave; chains of one name are one wave.
    spectator
        Number of the particle that is not in the isobar.
    spin
        Of the isobar.
    line_shape
        A function ``line_shape(params, mass)`` of the pair's invariant mass ``(events,)``, GeV, complex; None is 1.
    production, decay
        Vertices of the decaying particle to isobar and spectator, and of the isobar to its pair: `LS` or `Helicities`.
    sign
        A constant factor, as `symmetrised` needs it.
    coupling
        A `Coupling`, or None for a cartesian one of the chain's own name.

    Raises
    ------
    ValueError
        If there is no such spectator, or the spin is not (half-)whole.
    """

    name: str
    spectator: int
    spin: float
    line_shape: Any = None
    production: Any = Helicities()
    decay: Any = Helicities()
    sign: int = 1
    coupling: Coupling | None = None

    def __post_init__(self) -> None:
        checked_number("spectator", self.spectator)
        if self.spin < 0 or (2 * self.spin) % 1:
            msg = f"spin of chain {self.name!r} must be 0, 0.5, 1, ..., got {self.spin!r}."
            raise ValueError(msg)
        if not (self.line_shape is None or callable(self.line_shape)):
            msg = f"line_shape of chain {self.name!r} must be a function line_shape(params, mass), got "
            raise TypeError(msg + f"{type(self.line_shape).__name__}.")

    def check(self, decay: ThreeBodyDecay) -> None:
        """Refuse a decay that can't have this chain.

        Parameters
        ----------
        decay
            Masses and spins.

        Raises
        ------
        ValueError
            If the vertices do not fit the spins.
        """
        i, j = pair(self.spectator)
        try:
            self.production.check(decay.spin_of(0), self.spin, decay.spin_of(self.spectator))
            self.decay.check(self.spin, decay.spin_of(i), decay.spin_of(j))
        except ValueError as error:
            msg = f"chain {self.name!r}: {error}"
            raise ValueError(msg) from None


class _Term(NamedTuple):
    """A number times d of the isobar, and the helicities in the chain's own frame that it belongs to."""

    factor: float
    helicities: tuple[float, ...]
    tau: float
    mu: float


def _is_turned(decay: ThreeBodyDecay, chain: Chain, particle: int, reference: int) -> bool:
    massless = particle > 0 and decay.masses[particle - 1] == 0
    return chain.spectator != reference and decay.spin_of(particle) > 0 and not massless


def _terms(decay: ThreeBodyDecay, chain: Chain, helicities: tuple[float, ...], reference: int) -> Iterator[_Term]:
    """List what adds up to the amplitude of spin projection and helicities (nu, lambda1, lambda2, lambda3)."""
    k, (i, j) = chain.spectator, pair(chain.spectator)
    spins = [decay.spin_of(n) for n in range(4)]

    own = [decay.helicities(n) if _is_turned(decay, chain, n, reference) else (helicities[n],) for n in range(4)]
    for inside in product(*own):
        tau, mu = inside[0] + inside[k], inside[i] - inside[j]
        if max(abs(tau), abs(mu)) > chain.spin:
            continue
        factor = chain.production.coupling(spins[0], chain.spin, spins[k], tau, inside[k])
        factor *= chain.decay.coupling(chain.spin, spins[i], spins[j], inside[i], inside[j])
        factor *= (-1) ** round(spins[k] - inside[k] + spins[j] - inside[j]) * chain.sign * sqrt(2 * chain.spin + 1)
        if factor:
            yield _Term(factor, inside, tau, mu)


def occurs(decay: ThreeBodyDecay, chain: Chain, outside: tuple[float, ...], reference: int) -> bool:
    r"""Whether a chain has an amplitude that is not 0 for every event.

    Parameters
    ----------
    decay
        Masses and spins.
    chain
        Isobar and vertices.
    outside
        :math:`\nu, \lambda_1, \lambda_2, \lambda_3` in the frame of the reference chain.
    reference
        Spectator of the reference chain.

    Returns
    -------
    True or False.
    """
    return any(True for _ in _terms(decay, chain, outside, reference))


def angular_part(
    decay: ThreeBodyDecay,
    chain: Chain,
    sigma: Invariants,
    projection: float,
    helicities: tuple[float, float, float],
    reference: int = 1,
) -> jax.Array:
    r"""Amplitude of a chain without its line shape, in the frame of a reference chain.

    .. math:: \sum_{\nu' \lambda'} d^J_{\nu\nu'}(\zeta^0_{k(r)})\,
              \frac{A^{(k)\,\nu'}_{\lambda'_1 \lambda'_2 \lambda'_3}}{X}
              \prod_n d^{j_n}_{\lambda'_n \lambda_n}(\zeta^n_{k(r)})

    Parameters
    ----------
    decay
        Masses and spins.
    chain
        Isobar and vertices.
    sigma
        The three invariants, GeV².
    projection
        :math:`\nu`, spin of the decaying particle along the pair of the reference chain.
    helicities
        Of particles 1, 2 and 3, as the reference chain counts them.
    reference
        Spectator of the reference chain.

    Returns
    -------
    Real, ``(events,)``: a function of the data alone.

    Raises
    ------
    ValueError
        If the vertices of the chain do not fit the spins of the decay, or a helicity is not possible.

    Examples
    --------
    A spin-1 isobar in a decay of a pseudoscalar to three pseudoscalars is sqrt(3) cos(theta):

    >>> from jaxpwa.physics.waves.isobars import Chain, ThreeBodyDecay, angular_part
    >>> from jaxpwa.physics.kinematics.threebody import invariants_of_angle
    >>> d0 = ThreeBodyDecay(1.8648, (0.4976, 0.1396, 0.1396))
    >>> sigma = invariants_of_angle(1.8648, d0.masses, 1, 0.6, 0.5)
    >>> round(float(angular_part(d0, Chain("rho", 1, 1), sigma, 0, (0, 0, 0))), 6)
    0.866025
    """
    chain.check(decay)
    checked_number("reference", reference)
    outside = (projection, *helicities)
    for n, m in enumerate(outside):
        if m not in decay.helicities(n):
            what = f"helicity {n}" if n else "projection"
            msg = f"{what} must be one of {', '.join(f'{h:g}' for h in decay.helicities(n))}, got {m!r}."
            raise ValueError(msg)
    terms = list(_terms(decay, chain, outside, reference))
    if not any((decay.spin, *decay.spins)):
        factor = sum(term.factor for term in terms)
        cosine = cos_theta(sigma, decay.masses, chain.spectator)
        return factor * wigner_small_d_of_cosine(chain.spin, 0, 0, cosine)
    return _summed(decay, chain, sigma, outside, reference, terms)


def _summed(
    decay: ThreeBodyDecay,
    chain: Chain,
    sigma: Invariants,
    outside: tuple[float, ...],
    reference: int,
    terms: list[_Term],
) -> jax.Array:
    """Add terms up, with every d function written once."""
    plane = Plane(sigma, decay.masses)
    angles: dict[int, jax.Array] = {}
    turns: dict[tuple[int, float], Any] = {}

    def turn(n: int, inside: float) -> Any:
        if not _is_turned(decay, chain, n, reference):
            return 1.0
        if n not in angles:
            angles[n] = plane.zeta(n, chain.spectator, reference)
        if (n, inside) not in turns:
            left, right = (outside[n], inside) if n == 0 else (inside, outside[n])
            turns[n, inside] = wigner_small_d(decay.spin_of(n), left, right, angles[n])
        return turns[n, inside]

    sums: dict[tuple[float, float], Any] = {}
    for term in terms:
        part = term.factor
        for n, inside in enumerate(term.helicities):
            part = part * turn(n, inside)
        sums[term.tau, term.mu] = sums.get((term.tau, term.mu), 0.0) + part
    total = jnp.zeros_like(sigma.sigma1)
    if sums:
        angle = plane.theta(chain.spectator)
        for (tau, mu), part in sums.items():
            total = total + part * wigner_small_d(chain.spin, tau, mu, angle)
    return total
