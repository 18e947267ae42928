"""Two pseudoscalar mesons: partial waves by name, and their photoproduction with linearly polarised photons."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa._checks import known
from jaxpwa.physics.spin import spherical_harmonic, wigner_small_d_of_cosine
from jaxpwa.physics.waves.composition import IncoherentSum
from jaxpwa.physics.waves.polarised import _Part, polarised_model

LETTERS = "SPDFGHIKLMN"
"""Orbital angular momenta 0, 1, 2, ... as spectroscopists write them."""


def z_lm(
    l: int,
    m: int,
    reflectivity: int,
    costheta: ArrayLike,
    phi: ArrayLike,
    polarisation_angle: ArrayLike,
    polarisation: ArrayLike,
) -> jax.Array:
    r"""Angular function of two pseudoscalars from linearly polarised photons.

    .. math:: \sqrt{1 + \epsilon P}\, \operatorname{Re} Z_l^m + i \sqrt{1 - \epsilon P}\, \operatorname{Im} Z_l^m,
              \qquad Z_l^m = Y_l^m(\theta, \phi)\, e^{-i \Phi}

    Parameters
    ----------
    l, m
        Whole numbers, ``|m| <= l``.
    reflectivity
        :math:`\epsilon`, +1 or -1.
    costheta, phi
        Direction of the first meson in the rest frame of the two, ``(events,)``; phi in rad.
    polarisation_angle
        :math:`\Phi`, between the polarisation and the production plane, rad, ``(events,)``.
    polarisation
        Degree of polarisation P, ``(events,)`` or one number, -1 to 1.

    Returns
    -------
    Complex, ``(events,)``. Its real and imaginary parts enter different coherent sums, see `two_pseudoscalar_model`.

    Raises
    ------
    ValueError
        If ``l`` or ``m`` is not whole, ``|m| > l``, or ``reflectivity`` is not 1 or -1.
    """
    _check_reflectivity(reflectivity)
    z = spherical_harmonic(l, m, costheta, phi) * jnp.exp(-1j * jnp.asarray(polarisation_angle))
    degree = reflectivity * jnp.asarray(polarisation)
    return jnp.sqrt(1 + degree) * z.real + 1j * jnp.sqrt(1 - degree) * z.imag


def _check_reflectivity(reflectivity: Any) -> None:
    if reflectivity not in (1, -1):
        msg = f"reflectivity must be 1 or -1, got {reflectivity!r}."
        raise ValueError(msg)


def _sign(number: int) -> str:
    return "+" if number > 0 else "-"


@dataclass(frozen=True)
class TwoPseudoscalarWave:
    r"""Partial wave of two pseudoscalar mesons: :math:`[l]_m^{(\epsilon)}` with the decay amplitude :math:`Y_l^m`.

    Parameters
    ----------
    l, m
        Angular momentum and its projection, ``|m| <= l``.
    reflectivity
        +1 or -1.
    costheta, phi
        Columns with the direction of the first meson.

    Raises
    ------
    ValueError
        If ``l`` or ``m`` is not whole or out of range, or ``reflectivity`` is not 1 or -1.
    """

    l: int
    m: int
    reflectivity: int
    costheta: str = "costheta"
    phi: str = "phi"

    def __post_init__(self) -> None:
        _check_reflectivity(self.reflectivity)
        if self.l != int(self.l) or not 0 <= self.l < len(LETTERS):
            msg = f"l must be a whole number from 0 to {len(LETTERS) - 1}, got {self.l!r}."
            raise ValueError(msg)
        if self.m != int(self.m) or abs(self.m) > self.l:
            msg = f"m must be a whole number from -l to l: got m={self.m!r} for l={self.l!r}."
            raise ValueError(msg)

    @property
    def name(self) -> str:
        """Such as ``"D-1+"``: l as a letter, m, reflectivity."""
        return f"{LETTERS[self.l]}{self.m}{_sign(self.reflectivity)}"

    @property
    def tau(self) -> int:
        """See `jaxpwa.physics.waves.polarised`."""
        return 1

    @classmethod
    def named(cls, name: str, costheta: str = "costheta", phi: str = "phi") -> "TwoPseudoscalarWave":
        """Make a wave from its name.

        Parameters
        ----------
        name
            Such as ``"S0+"``, ``"P1-"``, ``"D-2+"``.
        costheta, phi
            Columns with the direction of the first meson.

        Returns
        -------
        The wave.

        Raises
        ------
        ValueError
            If the name is not of this form.
        """
        match = re.fullmatch(rf"([{LETTERS}])(-?\d)([+-])", str(name))
        if not match:
            msg = f"waves are named by l, m and reflectivity, such as 'S0+' or 'D-1-', got {name!r}."
            raise ValueError(msg)
        return cls(LETTERS.index(match[1]), int(match[2]), 1 if match[3] == "+" else -1, costheta, phi)

    def z(self, data: Any, polarisation_angle: jax.Array) -> tuple[jax.Array, jax.Array]:
        r"""Return real and imaginary part of :math:`Y_l^m e^{-i\Phi}`, ``(events,)`` each."""
        size = sqrt((2 * self.l + 1) / (4 * pi)) * wigner_small_d_of_cosine(self.l, self.m, 0, data[self.costheta])
        # cos and sin of one angle: compiled faster than the product of two complex exponentials.
        angle = self.m * jnp.asarray(data[self.phi]) - polarisation_angle
        return size * jnp.cos(angle), size * jnp.sin(angle)


def two_pseudoscalar_model(
    waves: Sequence[str | TwoPseudoscalarWave], *, costheta: str = "costheta", phi: str = "phi", **options: Any
) -> IncoherentSum:
    r"""Intensity of two pseudoscalars produced by linearly polarised photons.

    .. math::

        I = \sum_{\epsilon = \pm 1} (1 + \epsilon P) \Big| \sum_{lm} [l]_m^{(\epsilon)} \operatorname{Re} Z_l^m \Big|^2
          + (1 - \epsilon P) \Big| \sum_{lm} [l]_m^{(\epsilon)} \operatorname{Im} Z_l^m \Big|^2

    Parameters
    ----------
    waves
        Names such as ``"D-1+"``, or `TwoPseudoscalarWave`.
    costheta, phi
        Columns with the direction of the first meson, for waves given by name.
    **options
        ``shapes``, ``polarisation_angle``, ``polarisation``, ``reference``, ``form``, ``configurations`` of
        `polarised_model`.

    Returns
    -------
    A model whose waves are called as they are here.

    Raises
    ------
    TypeError, ValueError
        If a name is not of the form above, and as `polarised_model`.

    Examples
    --------
    >>> from jaxpwa.physics.waves.twopseudoscalars import two_pseudoscalar_model
    >>> model = two_pseudoscalar_model(["S0+", "D2+", "D1-"], polarisation=0.35)
    >>> print(model)
    + Re: |S0+ + D2+|²
    + Im: |S0+ + D2+|²
    - Re: |D1-|²
    - Im: |D1-|²
    >>> list(model.start())
    ['S0+.re', 'D2+.re', 'D2+.im', 'D1-.re']
    """
    if isinstance(waves, (str, TwoPseudoscalarWave)):
        msg = f"waves must be a list of waves, got {waves!r}."
        raise TypeError(msg)
    made = [w if isinstance(w, TwoPseudoscalarWave) else TwoPseudoscalarWave.named(w, costheta, phi) for w in waves]
    return polarised_model(made, **options)


def partial_waves(
    model: IncoherentSum, params: Mapping[str, Any], data: Any = None
) -> dict[tuple[int, int, int], jax.Array] | list[dict[tuple[int, int, int], jax.Array]]:
    r"""Amplitudes :math:`[l]_m^{(\epsilon)}` of a model: couplings times shapes, without angles.

    Parameters
    ----------
    model
        What `two_pseudoscalar_model` made, or a part of it.
    params
        Parameter values by name.
    data
        Columns that the shapes read, such as ``{"mass": masses}``; not needed without shapes.

    Returns
    -------
    Complex amplitudes by ``(l, m, reflectivity)``, a scalar or one for each row of ``data``, with all resonances of a
    wave added up: what `moments_of_amplitudes` takes, and what plots of phases against mass show. A list of such, if
    there are several configurations.

    Raises
    ------
    ValueError
        If the model has no waves of two pseudoscalars.
    """
    found: dict[str, dict[tuple[int, int, int], jax.Array]] = {}
    for name, wave in model._parts():
        part = wave.factors[0]
        if not isinstance(part, _Part) or part.imaginary or not isinstance(part.wave, TwoPseudoscalarWave):
            continue
        value = wave.coupling(params)
        for shape in wave.factors[1:]:
            value = value * shape(params, data)
        key = (part.wave.l, part.wave.m, part.wave.reflectivity)
        # Sums are called "+ Re k1": what is behind the part tells the configuration.
        sums = found.setdefault(name[len("+ Re") :], {})
        sums[key] = sums[key] + value if key in sums else jnp.asarray(value)
    if not found:
        msg = f"model must have waves of two pseudoscalars, got {known(model.names)}."
        raise ValueError(msg)
    return list(found.values()) if len(found) > 1 else next(iter(found.values()))
