r"""Spin density matrix elements: decay angles of a vector meson from polarised photons.

.. math::

    W(\theta, \phi, \Phi) = W^0 - P \cos 2\Phi\, W^1 - P \sin 2\Phi\, W^2 + P_c\, W^3, \qquad
    W^\alpha = \frac{3}{4\pi} \sum_{\lambda \lambda'}
               D^{1*}_{\lambda 0}(\phi, \theta, 0)\, \rho^\alpha_{\lambda \lambda'}\, D^1_{\lambda' 0}(\phi, \theta, 0)

for a decay into two spinless mesons (or three, with the normal of their plane), where

.. math::

    W^0 &= \frac{3}{4\pi} \Big[ \frac{1 - \rho^0_{00}}{2} + \frac{3 \rho^0_{00} - 1}{2} \cos^2\theta
           - \sqrt 2 \operatorname{Re} \rho^0_{10} \sin 2\theta \cos\phi
           - \rho^0_{1-1} \sin^2\theta \cos 2\phi \Big] \\
    W^1 &= \frac{3}{4\pi} \Big[ \rho^1_{11} \sin^2\theta + \rho^1_{00} \cos^2\theta
           - \sqrt 2 \operatorname{Re} \rho^1_{10} \sin 2\theta \cos\phi
           - \rho^1_{1-1} \sin^2\theta \cos 2\phi \Big] \\
    W^{2, 3} &= \frac{3}{4\pi} \Big[ \sqrt 2 \operatorname{Im} \rho^{2, 3}_{10} \sin 2\theta \sin\phi
           + \operatorname{Im} \rho^{2, 3}_{1-1} \sin^2\theta \sin 2\phi \Big]

A decay into a pseudoscalar and a photon gives half of what is left to unity by each:
:math:`\frac12 (\frac{3}{4\pi} \operatorname{tr} \rho^\alpha - W^\alpha)`.

References
----------
K. Schilling, P. Seyboth, G. Wolf, Nucl. Phys. B 15 (1970) 397.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa._checks import known

ELEMENTS = (
    "rho0_00",
    "re_rho0_10",
    "rho0_1-1",
    "rho1_11",
    "rho1_00",
    "re_rho1_10",
    "rho1_1-1",
    "im_rho2_10",
    "im_rho2_1-1",
)
"""The nine elements of unpolarised and linearly polarised photons, as parameters are called."""

CIRCULAR = ("im_rho3_10", "im_rho3_1-1")
"""The two more of circularly polarised photons."""


def schilling_parts(
    elements: Mapping[str, ArrayLike], costheta: ArrayLike, phi: ArrayLike, *, radiative: bool = False
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    r"""Parts :math:`W^0, W^1, W^2, W^3` of the decay distribution.

    Parameters
    ----------
    elements
        Spin density matrix elements by the names of `ELEMENTS` and `CIRCULAR`; those that are missing are 0.
    costheta, phi
        Direction of a daughter in the rest frame of the vector, ``(events,)``; phi in rad. The elements belong to the
        frame of the angles: helicity, Gottfried-Jackson or Adair.
    radiative
        The vector decays into a pseudoscalar and a photon, not into spinless mesons.

    Returns
    -------
    Four real arrays, ``(events,)``. The first integrates to 1 over the sphere.

    Raises
    ------
    ValueError
        If a name is none of them.
    """
    for name in elements:
        if name not in ELEMENTS and name not in CIRCULAR:
            msg = f"elements names {name!r}; there are {known((*ELEMENTS, *CIRCULAR))}."
            raise ValueError(msg)

    def rho(name: str) -> Any:
        return elements.get(name, 0.0)

    c, phi = jnp.asarray(costheta), jnp.asarray(phi)
    cc = c**2
    ss = 1 - cc
    # The slope of the root is taken as 0 at the poles.
    sine = jnp.where(ss > 0, jnp.sqrt(jnp.where(ss > 0, ss, 1.0)), 0.0)
    mixed = 2 * sine * c
    scale = 3 / (4 * pi)
    w0 = (1 - rho("rho0_00")) / 2 + (3 * rho("rho0_00") - 1) / 2 * cc
    w0 = w0 - sqrt(2) * rho("re_rho0_10") * mixed * jnp.cos(phi) - rho("rho0_1-1") * ss * jnp.cos(2 * phi)
    w1 = rho("rho1_11") * ss + rho("rho1_00") * cc
    w1 = w1 - sqrt(2) * rho("re_rho1_10") * mixed * jnp.cos(phi) - rho("rho1_1-1") * ss * jnp.cos(2 * phi)
    w2, w3 = (
        sqrt(2) * rho(f"im_rho{a}_10") * mixed * jnp.sin(phi) + rho(f"im_rho{a}_1-1") * ss * jnp.sin(2 * phi)
        for a in (2, 3)
    )
    if radiative:
        w0, w1, w2, w3 = (1 - w0) / 2, (2 * rho("rho1_11") + rho("rho1_00") - w1) / 2, -w2 / 2, -w3 / 2
    return scale * w0, scale * w1, scale * w2, scale * w3


@dataclass(frozen=True)
class SchillingModel:
    r"""Intensity of a vector meson's decay with spin density matrix elements as parameters.

    .. math:: I = W^0 - P \cos 2\Phi\, W^1 - P \sin 2\Phi\, W^2 + P_c\, W^3

    Parameters are called as the elements. Where these are not those of a density matrix the intensity can be negative.

    Parameters
    ----------
    costheta, phi
        Columns with the direction of a daughter.
    polarisation_angle
        Column of :math:`\Phi`, rad.
    polarisation
        Column of the degree of linear polarisation P, or one number for all events.
    circular
        Column of the degree of circular polarisation :math:`P_c`, positive for positive helicity, or one number.
    radiative
        The vector decays into a pseudoscalar and a photon.
    elements
        Those that it reads, all of the linear ones if not given.

    Raises
    ------
    ValueError
        If an element has none of the names.
    """

    costheta: str = "costheta"
    phi: str = "phi"
    polarisation_angle: str = "Phi"
    polarisation: str | float = "polarisation"
    circular: str | float = 0.0
    radiative: bool = False
    elements: tuple[str, ...] = ELEMENTS

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        schilling_parts(dict.fromkeys(self.elements, 0.0), 0.0, 0.0)

    def __call__(self, params: Mapping[str, Any], data: Any) -> jax.Array:
        """Intensity, ``(events,)``; averaged over the polarisation angle it integrates to 1 over the sphere."""
        elements = {name: params[name] for name in self.elements}
        w0, w1, w2, w3 = schilling_parts(elements, data[self.costheta], data[self.phi], radiative=self.radiative)
        twice = 2 * jnp.asarray(data[self.polarisation_angle])
        linear, circular = (data[p] if isinstance(p, str) else p for p in (self.polarisation, self.circular))
        return w0 - linear * (jnp.cos(twice) * w1 + jnp.sin(twice) * w2) + circular * w3


def parity_asymmetry(elements: Mapping[str, ArrayLike]) -> jax.Array:
    r"""Natural less unnatural exchange in the production of a vector, :math:`P_\sigma = 2\rho^1_{1-1} - \rho^1_{00}`.

    Parameters
    ----------
    elements
        Spin density matrix elements by name; a fit's parameter values will do.

    Returns
    -------
    Scalar, between -1 (unnatural) and 1 (natural parity only).
    """
    return 2 * jnp.asarray(elements["rho1_1-1"]) - jnp.asarray(elements["rho1_00"])
