r"""Photoproduction of mesons with linearly polarised photons, in the reflectivity basis.

A system with spin projection m on the z axis decays with the amplitude :math:`A_m(\Omega)`. With
:math:`Z = A e^{-i\Phi}`, where :math:`\Phi` is the angle between polarisation and production plane and P the degree of
polarisation, waves k of reflectivity :math:`\epsilon` and couplings :math:`[k]^{(\epsilon)}` add up to

.. math::

    I = \sum_{\epsilon} (1 + \epsilon \tau P) \Big| \sum_k [k]^{(\epsilon)} \operatorname{Re} Z_k \Big|^2
      + (1 - \epsilon \tau P) \Big| \sum_k [k]^{(\epsilon)} \operatorname{Im} Z_k \Big|^2

where :math:`\epsilon = 1` is the exchange of natural parity, and :math:`\tau` is the sign in
:math:`A_m^* = \tau P_X (-1)^{J_X} (-1)^m A_{-m}` of a system of spin and parity :math:`J_X^{P_X}`: 1 for two
pseudoscalars, -1 for a vector and a pseudoscalar. Averaged over :math:`\Phi` and integrated over :math:`\Omega` a wave
alone gives :math:`|[k]|^2`. The intensity of the paper is twice this one.

References
----------
V. Mathieu et al. (JPAC), Phys. Rev. D 100 (2019) 054017: two pseudoscalars.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.physics.waves.composition import CoherentSum, IncoherentSum, check_unique
from jaxpwa.physics.waves.wave import Coupling, Wave


class PolarisedWave(Protocol):
    """What a wave must have to enter a polarised model."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def reflectivity(self) -> int:
        """+1 or -1."""
        ...

    @property
    def tau(self) -> int:
        """+1 if its real part goes with ``1 + reflectivity P``, -1 if its imaginary part does."""
        ...

    def z(self, data: Any, polarisation_angle: jax.Array) -> tuple[jax.Array, jax.Array]:
        r"""Return real and imaginary part of :math:`A e^{-i\Phi}`, ``(events,)`` each."""
        ...


@dataclass(frozen=True)
class _Part:
    """Real or imaginary part of a wave's Z, times the root of its share of the polarisation."""

    wave: Any
    imaginary: bool
    polarisation_angle: str
    polarisation: Any

    def __call__(self, params: Any, data: Any) -> jax.Array:
        real, imaginary = self.wave.z(data, jnp.asarray(data[self.polarisation_angle]))
        sign = self.wave.reflectivity * self.wave.tau * (-1 if self.imaginary else 1)
        degree = data[self.polarisation] if isinstance(self.polarisation, str) else self.polarisation
        return jnp.sqrt(1 + sign * jnp.asarray(degree)) * (imaginary if self.imaginary else real)


def polarised_model(
    waves: Sequence[PolarisedWave],
    *,
    shapes: Mapping[str, Any] | None = None,
    polarisation_angle: str = "Phi",
    polarisation: str | float = "polarisation",
    reference: Sequence[str] | None = None,
    form: str = "cartesian",
    configurations: int = 1,
) -> IncoherentSum:
    r"""Intensity of waves produced by linearly polarised photons.

    Parameters
    ----------
    waves
        Such as `TwoPseudoscalarWave`, of different names.
    shapes
        How waves depend on mass: functions ``shape(params, data)``, complex, ``(events,)``, by names or patterns of
        waves; or several that a wave consists of, by the name of the resonance: ``{"D*": {"a2(1320)": f, "a2(1700)":
        g}}`` makes waves ``"D2+ a2(1320)"`` and ``"D2+ a2(1700)"``, each with a coupling. Where a wave fits several
        patterns the first counts; waves that fit none are constant, as in fits of one bin of mass.
    polarisation_angle
        Column of :math:`\Phi`, rad.
    polarisation
        Column of the degree of polarisation P, or one number for all events, -1 to 1.
    reference
        Names of waves whose coupling is real: one of each reflectivity, for their phases can't be told from each other.
        The first of each if nothing is given.
    form
        Of the couplings: ``"cartesian"`` or ``"polar"``.
    configurations
        Of the nucleons' spins: waves of different configurations don't interfere, and each has its own couplings,
        ``"D2+ k1"``, ``"D2+ k2"``.

    Returns
    -------
    A model whose coherent sums are called ``"+ Re"``, ``"+ Im"``, ``"- Re"`` and ``"- Im"``, with ``" k1"`` and so on
    behind if there are several configurations.

    Raises
    ------
    TypeError, ValueError
        If there is no wave, a name or pattern fits none, a reference is missing for a reflectivity, a number is out of
        range, or a shape is no function.
    """
    waves = tuple(waves)
    _check(waves, polarisation, configurations)
    members = _with_shapes(waves, shapes or {})
    references = _references(members, reference)
    sums = []
    for configuration in range(configurations):
        behind = f" k{configuration + 1}" if configurations > 1 else ""
        for reflectivity in sorted({wave.reflectivity for wave in waves}, reverse=True):
            for imaginary in (False, True):
                name = f"{'+' if reflectivity > 0 else '-'} {'Im' if imaginary else 'Re'}{behind}"
                parts = [
                    Wave(
                        label + behind,
                        (_Part(wave, imaginary, polarisation_angle, polarisation), *shape),
                        Coupling(label + behind, form, real=label in references),
                    )
                    for label, wave, shape in members
                    if wave.reflectivity == reflectivity
                ]
                sums.append(CoherentSum(name, parts))
    return IncoherentSum(sums)


_Members = list[tuple[str, PolarisedWave, tuple[Callable, ...]]]


def _check(waves: tuple[Any, ...], polarisation: Any, configurations: int) -> None:
    names = [wave.name for wave in waves]
    if not waves:
        msg = "waves must hold at least one wave, got none."
        raise ValueError(msg)
    check_unique(names, "waves")
    if not isinstance(polarisation, str) and not -1 <= float(polarisation) <= 1:
        msg = f"polarisation must be the name of a column or a number from -1 to 1, got {polarisation!r}."
        raise ValueError(msg)
    if isinstance(configurations, bool) or not isinstance(configurations, int) or configurations < 1:
        msg = f"configurations must be a whole number of at least 1, got {configurations!r}."
        raise ValueError(msg)


def _with_shapes(waves: tuple[Any, ...], shapes: Mapping[str, Any]) -> _Members:
    """Pair each wave with its shapes; several make several members."""
    for pattern in shapes:
        if not any(wave.name == pattern or fnmatchcase(wave.name, pattern) for wave in waves):
            msg = f"shapes names {pattern!r}, which fits none of the waves {known(wave.name for wave in waves)}."
            raise ValueError(msg)
    members: _Members = []
    for wave in waves:
        fits = [s for p, s in shapes.items() if p == wave.name] or [
            s for p, s in shapes.items() if fnmatchcase(wave.name, p)
        ]
        if not fits:
            members.append((wave.name, wave, ()))
        elif isinstance(fits[0], Mapping):
            members += [(f"{wave.name} {resonance}", wave, (shape,)) for resonance, shape in fits[0].items()]
        else:
            members.append((wave.name, wave, (fits[0],)))
    return members


def _references(members: _Members, given: Sequence[str] | None) -> set[str]:
    first: dict[int, str] = {}
    for label, wave, _ in members:
        first.setdefault(wave.reflectivity, label)
    if given is None:
        return set(first.values())
    given = [given] if isinstance(given, str) else list(given)
    of = {label: wave.reflectivity for label, wave, _ in members}
    for label in given:
        if label not in of:
            msg = f"reference names {label!r}, which is none of {known(of)}."
            raise ValueError(msg)
    if sorted(of[label] for label in given) != sorted(first):
        msg = f"reference must name one wave of each reflectivity, got {known(given)}."
        raise ValueError(msg)
    return set(given)
