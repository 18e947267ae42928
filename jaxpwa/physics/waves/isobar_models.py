r"""Intensities of isobar chains: sums over spins, and identical particles.

.. math:: I = \sum_{\lambda_1 \lambda_2 \lambda_3} \sum_{M M'} \rho_{M M'} A^M A^{M'*}, \qquad
          A^M = \sum_c g_c \sum_\nu D^{J*}_{M\nu}(\phi, \theta, \chi)\, A^{(c)\,\nu}_{\lambda_1 \lambda_2 \lambda_3}

Without polarisation the density matrix :math:`\rho` is 1, angles drop out, and M is as good as :math:`\nu`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa.physics._arrays import floating
from jaxpwa.physics.kinematics.threebody import pair
from jaxpwa.physics.spin import wigner_d
from jaxpwa.physics.waves.composition import CoherentSum, IncoherentSum
from jaxpwa.physics.waves.isobars import Chain, ThreeBodyDecay, angular_part, occurs
from jaxpwa.physics.waves.wave import Wave


@dataclass(frozen=True)
class IsobarAmplitude:
    r"""Sum of chains for one set of helicities: a function ``amplitude(params, data)``, complex, ``(events,)``.

    .. math:: \sum_\nu w_\nu A^\nu_{\lambda_1 \lambda_2 \lambda_3}, \qquad
              w_\nu = \sum_M e_M D^{J*}_{M\nu}(\phi, \theta, \chi) \ \text{with an orientation, else}\ e_\nu

    Attributes
    ----------
    decay
        Masses, spins and columns.
    chains
        Those that are added.
    state
        A projection of the spin of the decaying particle, or components :math:`e_J, e_{J-1}, \dots, e_{-J}`: with an
        orientation along the z axis of the events, else along the pair of the reference chain.
    helicities
        Of particles 1, 2 and 3, as the reference chain counts them.
    reference
        Spectator of the reference chain.
    orientation
        Names of the columns with phi, theta and chi of `threebody_angles.orientation` for the same reference, or None.

    Raises
    ------
    ValueError
        If the state has not 2J + 1 components, or a chain does not fit the decay.
    """

    decay: ThreeBodyDecay
    chains: tuple[Chain, ...]
    state: Any
    helicities: tuple[float, float, float] = (0, 0, 0)
    reference: int = 1
    orientation: tuple[str, str, str] | None = None

    def __post_init__(self) -> None:
        projections = self.decay.helicities(0)
        state = tuple(1.0 * (nu == self.state) for nu in projections) if np.ndim(self.state) == 0 else self.state
        if len(state) != len(projections) or not any(state):
            j = self.decay.spin_of(0)
            msg = f"state must be a projection of spin {j:g} or have {len(projections)} components, got {self.state!r}."
            raise ValueError(msg)
        object.__setattr__(self, "state", tuple(state))
        object.__setattr__(self, "chains", tuple(self.chains))
        for chain in self.chains:
            chain.check(self.decay)

    @property
    def vanishes(self) -> bool:
        """Whether it is 0 for every event."""
        every = self.decay.helicities(0)
        projections = every if self.orientation else [nu for nu, e in zip(every, self.state, strict=True) if e]
        sets = [(chain, (nu, *self.helicities)) for chain in self.chains for nu in projections]
        return not any(occurs(self.decay, chain, outside, self.reference) for chain, outside in sets)

    def __call__(self, params: Any, data: Any) -> jax.Array:
        """Return the amplitude, ``(events,)``."""
        sigma = self.decay.invariants(data)
        weights = self._weights(data)
        total = jnp.zeros_like(sigma.sigma1)
        for chain in self.chains:
            parts = (
                weight * angular_part(self.decay, chain, sigma, nu, self.helicities, self.reference)
                for nu, weight in weights.items()
            )
            part = sum(parts)
            if chain.line_shape is not None:
                part = part * LineShape(self.decay, chain.spectator, chain.line_shape)(params, data)
            total = total + part
        return total

    def _weights(self, data: Any) -> dict[float, Any]:
        """Return by projection along the pair of the reference chain what its amplitude counts."""
        every = self.decay.helicities(0)
        state = {m: e for m, e in zip(every, self.state, strict=True) if e}
        if self.orientation is None:
            return state
        angles = [data[name] for name in self.orientation]
        j = self.decay.spin_of(0)
        return {nu: sum(e * jnp.conj(wigner_d(j, m, nu, *angles)) for m, e in state.items()) for nu in every}


@dataclass(frozen=True)
class LineShape:
    """Line shape of a chain as a factor of a wave, a function ``factor(params, data)``.

    Attributes
    ----------
    decay
        Whose columns it reads.
    spectator
        Number of the particle that is not in the pair.
    line_shape
        A function ``line_shape(params, mass)``.
    """

    decay: ThreeBodyDecay
    spectator: int
    line_shape: Any

    def __call__(self, params: Any, data: Any) -> Any:
        """Return its values, ``(events,)``."""
        column = self.decay.columns[self.spectator - 1]
        if column in data:
            return self.line_shape(params, floating(data[column]))
        return self.line_shape(params, jnp.sqrt(self.decay.invariants(data)[self.spectator - 1]))


def _waves(chains: Sequence[Chain]) -> dict[str, tuple[Chain, ...]]:
    """Return chains by the name of their wave, or say which of them do not agree."""
    waves: dict[str, tuple[Chain, ...]] = {}
    for chain in chains:
        waves[chain.name] = (*waves.get(chain.name, ()), chain)
    for name, group in waves.items():
        if len({chain.coupling for chain in group}) > 1:
            msg = f"chains of one name are one wave and must have one coupling, those of {name!r} have several."
            raise ValueError(msg)
        if len({(chain.spectator, chain.production, chain.decay) for chain in group}) < len(group):
            msg = f"chains must have different names: {name!r} occurs more than once with the same vertices."
            raise ValueError(msg)
    return waves


def _states(decay: ThreeBodyDecay, density: Any) -> list[tuple[str, tuple[complex, ...]]]:
    """Return names and components of states whose incoherent sum has a density matrix."""
    size = len(decay.helicities(0))
    if density is None:
        unit = np.eye(size)
        names = [f"M={m:+g}" if decay.spin else "" for m in decay.helicities(0)]
        return [(name, tuple(row.tolist())) for name, row in zip(names, unit, strict=True)]
    rho = np.asarray(density, complex)
    if rho.shape != (size, size) or not np.allclose(rho, rho.conj().T):
        msg = f"density must be a Hermitian matrix of {size} rows, one per projection, got shape {rho.shape}."
        raise ValueError(msg)
    weights, vectors = np.linalg.eigh(rho)
    if weights.min() < -1e-12 * max(weights.max(), 0):
        msg = f"density must have no negative eigenvalues, got {weights.min():.3g}."
        raise ValueError(msg)
    found = [(w, v) for w, v in zip(weights[::-1], vectors.T[::-1], strict=True) if w > 1e-12 * weights.max()]
    return [(f"state={n}", tuple((np.sqrt(w) * v).tolist())) for n, (w, v) in enumerate(found, 1)]


def isobar_model(
    decay: ThreeBodyDecay,
    chains: Iterable[Chain],
    *,
    reference: int = 1,
    orientation: tuple[str, str, str] | None = None,
    density: Any = None,
    name: str = "decay",
) -> CoherentSum | IncoherentSum:
    r"""Intensity of isobar chains, summed over spins.

    Parameters
    ----------
    decay
        Masses, spins and columns.
    chains
        Each a `Chain`; chains of one name are one wave, with the coupling of the first.
    reference
        Spectator of the chain whose frame and helicities are used. The intensity does not depend on it.
    orientation
        Names of the columns with phi, theta and chi of `threebody_angles.orientation` for the same reference: needed
        for polarised decays.
    density
        Spin density matrix of the decaying particle along the z axis of the events, ``(2J + 1, 2J + 1)``, Hermitian,
        rows and columns from M = J down. None is the unit matrix: a sum, not a mean, over M.
    name
        What the model is called.

    Returns
    -------
    A function ``intensity(params, data)``: an `IncoherentSum` with one `CoherentSum` for each set of spin projections
    in which any chain occurs, or this one where there is no other. Waves are named as the chains.

    Raises
    ------
    ValueError
        If a chain does not fit the decay, names do not agree, a density has no orientation or is none, or nothing is
        left.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> from jaxpwa.physics.waves.isobar_models import isobar_model
    >>> from jaxpwa.physics.waves.isobars import Chain, ThreeBodyDecay
    >>> d0 = ThreeBodyDecay(1.8648, (0.4976, 0.1396, 0.1396))
    >>> rho = Chain("rho", 1, spin=1, line_shape=lambda p, m: 1 / (0.775**2 - m**2 - 0.775j * p["width"]))
    >>> model = isobar_model(d0, [rho, Chain("nonresonant", 1, spin=0)])
    >>> params = model.start({"rho": 1.0, "nonresonant": 0.5j}) | {"width": 0.149}
    >>> jp.evaluate(model, params, {"m23": [0.76, 0.78], "m31": [1.2, 0.9]}).round(2)
    array([  5.76, 106.68])
    """
    if density is not None and orientation is None:
        msg = "a density needs the orientation of the events: the names of the columns with phi, theta and chi."
        raise ValueError(msg)
    waves = _waves(tuple(chains))
    sums = []
    for state_name, state in _states(decay, density):
        for helicities in _combinations(decay):
            labels = [f"lambda{n}={h:+g}" for n, h in enumerate(helicities, 1) if decay.spin_of(n)]
            amplitudes = {
                wave: IsobarAmplitude(decay, group, state, helicities, reference, orientation)
                for wave, group in waves.items()
            }
            kept = [Wave(w, _factors(a), waves[w][0].coupling) for w, a in amplitudes.items() if not a.vanishes]
            if kept:
                sums.append(CoherentSum(" ".join([state_name, *labels]).strip() or name, kept))
    if not sums:
        msg = "an isobar model must have at least one chain, got none."
        raise ValueError(msg)
    return sums[0] if len(sums) == 1 else IncoherentSum(sums, name)


def _factors(amplitude: IsobarAmplitude) -> tuple[Any, ...]:
    """Return a line shape, which other helicities have too, and what depends on angles."""
    chain, *images = amplitude.chains
    if images or chain.line_shape is None:
        return (amplitude,)
    angular = replace(amplitude, chains=(replace(chain, line_shape=None),))
    return LineShape(amplitude.decay, chain.spectator, chain.line_shape), angular


def _combinations(decay: ThreeBodyDecay) -> list[tuple[float, float, float]]:
    first, second, third = (decay.helicities(n) for n in (1, 2, 3))
    return [(a, b, c) for a in first for b in second for c in third]


def symmetrised(decay: ThreeBodyDecay, chains: Iterable[Chain], identical: Sequence[int]) -> tuple[Chain, ...]:
    r"""Chains together with what exchanges of identical particles make of them.

    .. math:: A \to \sum_P \epsilon_P\, P A, \qquad \epsilon_P = -1 \text{ for an odd permutation of fermions, else } 1

    Parameters
    ----------
    decay
        Masses and spins.
    chains
        Each a `Chain` as if particles could be told apart.
    identical
        Two or three of the numbers 1, 2, 3.

    Returns
    -------
    The chains and their images, which have the names of the chains and so are one wave with them. A chain that is its
    own image occurs once.

    Raises
    ------
    ValueError
        If the particles differ in mass or spin, or a chain is its own image with the other sign, as one with two
        pions in a relative P wave of isospin 0.

    Examples
    --------
    D+ -> K- pi+ pi+ with a vector in either K- pi+ pair:

    >>> from jaxpwa.physics.waves.isobar_models import symmetrised
    >>> from jaxpwa.physics.waves.isobars import Chain, ThreeBodyDecay
    >>> decay = ThreeBodyDecay(1.8697, (0.4937, 0.1396, 0.1396))
    >>> [(c.name, c.spectator, c.sign) for c in symmetrised(decay, [Chain("K*", 3, spin=1)], (2, 3))]
    [('K*', 3, 1), ('K*', 2, -1)]
    """
    numbers = tuple(sorted(set(identical)))
    if len(numbers) < 2 or len(numbers) < len(tuple(identical)) or not set(numbers) <= {1, 2, 3}:
        msg = f"identical must be two or three of the numbers 1, 2, 3, got {identical!r}."
        raise ValueError(msg)
    kinds = {(decay.masses[n - 1], decay.spin_of(n)) for n in numbers}
    if len(kinds) > 1:
        msg = f"particles {', '.join(map(str, numbers))} can't be identical: their masses or spins differ."
        raise ValueError(msg)
    return tuple(image for chain in chains for image in _images(decay, chain, numbers))


def _images(decay: ThreeBodyDecay, chain: Chain, numbers: tuple[int, ...]) -> list[Chain]:
    """Return a chain and its images, each once."""
    chain.check(decay)
    fermions = decay.spin_of(numbers[0]) % 1 != 0
    signs: dict[tuple[Any, ...], int] = {}
    for order in permutations(numbers):
        place = {1: 1, 2: 2, 3: 3} | dict(zip(numbers, order, strict=True))
        odd = (place[1] > place[2]) ^ (place[1] > place[3]) ^ (place[2] > place[3])
        *image, sign = _moved(decay, chain, place)
        signs[tuple(image)] = signs.get(tuple(image), 0) + (-sign if odd and fermions else sign)
    if 0 in signs.values():
        msg = f"chain {chain.name!r} is not possible with identical particles: its exchange has the other sign."
        raise ValueError(msg)
    return [
        replace(chain, spectator=k, production=h0, decay=h, sign=chain.sign * (1 if total > 0 else -1))
        for (k, h0, h), total in signs.items()
    ]


def _moved(decay: ThreeBodyDecay, chain: Chain, place: dict[int, int]) -> tuple[int, Any, Any, int]:
    """Return spectator, vertices and sign of a chain in which each particle takes another one's place."""
    i, j = pair(chain.spectator)
    k = place[chain.spectator]
    sign = _turned(decay, chain.spectator) * _turned(decay, k)
    if (place[i], place[j]) == pair(k):
        return k, chain.production, chain.decay, sign
    vertex, exchange = chain.decay.exchanged(chain.spin, decay.spin_of(i), decay.spin_of(j))
    return k, chain.production, vertex, sign * exchange


def _turned(decay: ThreeBodyDecay, spectator: int) -> int:
    """Return -1 where the range of zeta leaves a turn by 2 pi out, which half-integer spins would see."""
    # In frame 1, whose x axis p2 has a part along and p3 one against, the directions that chains 3 and 2 reach by their
    # own angles for p2 and p3 are off by 2 pi from those of the other chains.
    odd = {1: 0.0, 2: decay.spin_of(3), 3: decay.spin_of(2)}[spectator]
    return -1 if odd % 1 else 1
