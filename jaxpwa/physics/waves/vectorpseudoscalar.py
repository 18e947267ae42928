r"""A vector and a pseudoscalar meson, with the decay of the vector: omega pi, b1, and their polarised photoproduction.

A system of spin J and projection m decays with orbital angular momentum l into a vector of helicity
:math:`\lambda` and a pseudoscalar, and the vector into spinless mesons:

.. math::

    A = \sqrt{\frac{2J + 1}{4\pi}} \sqrt{\frac{3}{4\pi}} \sum_\lambda
        D^{J*}_{m\lambda}(\phi, \theta, 0)\, F_\lambda\, D^{1*}_{\lambda 0}(\phi_H, \theta_H, 0), \qquad
    F_\lambda = \sqrt{\frac{2l + 1}{2J + 1}} \langle l\, 0\; 1\, \lambda | J\, \lambda \rangle

:math:`\theta, \phi` are the direction of the vector in the rest frame of the system; :math:`\theta_H, \phi_H` are, in
the helicity frame of the vector, the direction of one daughter of two, or the normal of the plane of three. Squared
and integrated over all angles, A gives 1.

References
----------
S. U. Chung, Spin formalisms, CERN 71-8 (1971): helicity amplitudes of sequential decays.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics.spin import clebsch_gordan, wigner_small_d_of_cosine
from jaxpwa.physics.waves.composition import IncoherentSum
from jaxpwa.physics.waves.polarised import polarised_model
from jaxpwa.physics.waves.twopseudoscalars import LETTERS, _check_reflectivity, _sign


def vector_pseudoscalar_amplitude(
    j: int,
    m: int,
    l: int,
    costheta: ArrayLike,
    phi: ArrayLike,
    costheta_h: ArrayLike,
    phi_h: ArrayLike,
) -> jax.Array:
    r"""Amplitude A of the module's docstring: a vector and a pseudoscalar, the vector to spinless mesons.

    Parameters
    ----------
    j, m
        Spin of the system and its projection, ``|m| <= j``.
    l
        Orbital angular momentum, ``|j - 1| <= l <= j + 1``, and 1 for ``j = 0``. The parity is :math:`(-1)^l`.
    costheta, phi
        Direction of the vector in the rest frame of the system, ``(events,)``; phi in rad.
    costheta_h, phi_h
        In the helicity frame of the vector, ``(events,)``: a daughter of two, or the normal of the plane of three.

    Returns
    -------
    Complex, ``(events,)``.

    Raises
    ------
    ValueError
        If the numbers are not whole or out of range.
    """
    _check_numbers(j, m, l)
    phi, phi_h = jnp.asarray(phi), jnp.asarray(phi_h)
    total: Any = 0.0
    for helicity in range(-min(1, j), min(1, j) + 1):
        coefficient = sqrt((2 * l + 1) / (2 * j + 1)) * clebsch_gordan(l, 0, 1, helicity, j, helicity)
        if coefficient:
            first = wigner_small_d_of_cosine(j, m, helicity, costheta) * jnp.exp(1j * m * phi)
            second = wigner_small_d_of_cosine(1, helicity, 0, costheta_h) * jnp.exp(1j * helicity * phi_h)
            total = total + coefficient * first * second
    return jnp.asarray(sqrt((2 * j + 1) * 3) / (4 * pi) * total)


def _check_numbers(j: Any, m: Any, l: Any) -> None:
    for name, value in (("j", j), ("m", m), ("l", l)):
        if isinstance(value, bool) or not isinstance(value, int):
            msg = f"{name} must be a whole number, got {value!r}."
            raise ValueError(msg)
    if j < 0 or abs(m) > j:
        msg = f"m must be one of -j, ..., j for a j that is not negative: got m={m} for j={j}."
        raise ValueError(msg)
    if not abs(j - 1) <= l <= j + 1 or (j == 0 and l != 1):
        msg = f"l must be one of {', '.join(map(str, _momenta(j)))} for j={j}, got {l}."
        raise ValueError(msg)


def _momenta(j: int) -> list[int]:
    return [1] if j == 0 else [j - 1, j, j + 1]


def omega_dalitz_factor(
    z: ArrayLike,
    sin3phi: ArrayLike,
    *,
    alpha: ArrayLike = 0.0,
    beta: ArrayLike = 0.0,
    gamma: ArrayLike = 0.0,
    delta: ArrayLike = 0.0,
) -> jax.Array:
    r"""How the decay of an omega to three pions differs from :math:`|\vec p_+ \times \vec p_-|^2`.

    .. math:: 1 + 2\alpha z + 2\beta z^{3/2} \sin 3\varphi + 2\gamma z^2 + 2\delta z^{5/2} \sin 3\varphi

    Parameters
    ----------
    z
        Squared distance from the centre of the Dalitz plot, 0 to 1, ``(events,)``.
    sin3phi
        Sine of three times the azimuth about the centre, ``(events,)``.
    alpha, beta, gamma, delta
        Parameters.

    Returns
    -------
    Real, ``(events,)``; multiplies the square of the amplitude.

    References
    ----------
    P. Adlarson et al. (WASA-at-COSY), Phys. Lett. B 770 (2017) 418.
    """
    z, sin3phi = jnp.asarray(z), jnp.asarray(sin3phi)
    odd = z * jnp.sqrt(jnp.where(z > 0, z, 1.0)) * sin3phi
    return jnp.asarray(1 + 2 * alpha * z + 2 * beta * odd + 2 * gamma * z**2 + 2 * delta * z * odd)


@dataclass(frozen=True)
class VectorPseudoscalarWave:
    r"""Partial wave of a vector and a pseudoscalar: :math:`J^P` with projection m, orbital momentum l and reflectivity.

    Parameters
    ----------
    j, m
        Spin and its projection, ``|m| <= j``.
    l
        Orbital angular momentum between vector and pseudoscalar; the parity is :math:`(-1)^l`.
    reflectivity
        +1 or -1.
    costheta, phi, costheta_h, phi_h
        Columns with the angles of `vector_pseudoscalar_amplitude`.
    dalitz
        Column with the root of what the intensity of the vector's decay is multiplied with, such as
        :math:`|\vec p_+ \times \vec p_-|` for three pions; nothing for 1.

    Raises
    ------
    ValueError
        If a number is not whole or out of range.
    """

    j: int
    m: int
    l: int
    reflectivity: int
    costheta: str = "costheta"
    phi: str = "phi"
    costheta_h: str = "costheta_h"
    phi_h: str = "phi_h"
    dalitz: str | None = None

    def __post_init__(self) -> None:
        _check_reflectivity(self.reflectivity)
        _check_numbers(self.j, self.m, self.l)

    @property
    def name(self) -> str:
        """Such as ``"1+(-1)S+"``: J, parity, m, l as a letter, reflectivity."""
        return f"{self.j}{_sign((-1) ** self.l)}({self.m}){LETTERS[self.l]}{_sign(self.reflectivity)}"

    @property
    def tau(self) -> int:
        """See `jaxpwa.physics.waves.polarised`."""
        return -1

    @classmethod
    def named(cls, name: str, **columns: Any) -> "VectorPseudoscalarWave":
        """Make a wave from its name.

        Parameters
        ----------
        name
            Such as ``"1+(0)S+"``, ``"1-(1)P-"``.
        **columns
            ``costheta``, ``phi``, ``costheta_h``, ``phi_h``, ``dalitz`` as above.

        Returns
        -------
        The wave.

        Raises
        ------
        ValueError
            If the name is not of this form, or its parity is not that of its letter.
        """
        match = re.fullmatch(rf"(\d)([+-])\((-?\d)\)([{LETTERS}])([+-])", str(name))
        if not match:
            msg = f"waves are named by J, parity, m, l and reflectivity, such as '1+(0)S+' or '1-(-1)P-', got {name!r}."
            raise ValueError(msg)
        wave = cls(int(match[1]), int(match[3]), LETTERS.index(match[4]), 1 if match[5] == "+" else -1, **columns)
        if wave.name != name:
            msg = f"a vector and a pseudoscalar with l={wave.l} have parity {_sign((-1) ** wave.l)}, got {name!r}."
            raise ValueError(msg)
        return wave

    def z(self, data: Any, polarisation_angle: jax.Array) -> tuple[jax.Array, jax.Array]:
        r"""Return real and imaginary part of :math:`A e^{-i\Phi}`, ``(events,)`` each."""
        angles = (data[column] for column in (self.costheta, self.phi, self.costheta_h, self.phi_h))
        z = vector_pseudoscalar_amplitude(self.j, self.m, self.l, *angles) * jnp.exp(-1j * polarisation_angle)
        factor = 1.0 if self.dalitz is None else jnp.asarray(data[self.dalitz])
        return factor * z.real, factor * z.imag


def vector_pseudoscalar_model(
    waves: Sequence[str | VectorPseudoscalarWave],
    *,
    costheta: str = "costheta",
    phi: str = "phi",
    costheta_h: str = "costheta_h",
    phi_h: str = "phi_h",
    dalitz: str | None = None,
    **options: Any,
) -> IncoherentSum:
    r"""Intensity of a vector and a pseudoscalar produced by linearly polarised photons.

    The sums are those of `jaxpwa.physics.waves.polarised` with :math:`\tau = -1`.

    Parameters
    ----------
    waves
        Names such as ``"1+(0)S+"``, or `VectorPseudoscalarWave`.
    costheta, phi, costheta_h, phi_h, dalitz
        Columns, for waves given by name.
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
    """
    if isinstance(waves, (str, VectorPseudoscalarWave)):
        msg = f"waves must be a list of waves, got {waves!r}."
        raise TypeError(msg)
    columns = {"costheta": costheta, "phi": phi, "costheta_h": costheta_h, "phi_h": phi_h, "dalitz": dalitz}
    made = [w if isinstance(w, VectorPseudoscalarWave) else VectorPseudoscalarWave.named(w, **columns) for w in waves]
    return polarised_model(made, **options)
