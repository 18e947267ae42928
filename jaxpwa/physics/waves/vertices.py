r"""Vertices of decays into two particles: couplings as functions of helicities.

A parent of spin J decays to a and b; H is the coupling of helicities :math:`\lambda_a` and :math:`\lambda_b`, with b as
Jacob and Wick's second particle. A vertex is one of two kinds:

.. math:: \mathrm{LS}(l, S):\quad H_{\lambda_a \lambda_b} = \sqrt{\frac{2l + 1}{2J + 1}}\,
          \langle j_a \lambda_a\, j_b\, {-\lambda_b} | S\, \lambda_a - \lambda_b \rangle\,
          \langle l\, 0\, S\, \lambda_a - \lambda_b | J\, \lambda_a - \lambda_b \rangle

.. math:: \mathrm{Helicities}(h_a, h_b, \eta):\quad
          H_{\lambda_a \lambda_b} = \delta_{\lambda_a h_a}\, \delta_{\lambda_b h_b}
          + \eta\, \delta_{\lambda_a, -h_a}\, \delta_{\lambda_b, -h_b}

References
----------
M. Jacob, G. C. Wick, Ann. Phys. 7 (1959) 404.
"""

from dataclasses import dataclass
from math import sqrt

from jaxpwa.physics.spin import clebsch_gordan


def _is_projection(m: float, j: float) -> bool:
    return abs(m) <= j and (j - m) % 1 == 0


def _fits(what: str, good: bool, j: float, j1: float, j2: float) -> None:
    if not good:
        msg = f"{what} is not possible for spin {j:g} to spins {j1:g} and {j2:g}: choose it for these spins."
        raise ValueError(msg)


@dataclass(frozen=True)
class LS:
    """A vertex of definite orbital angular momentum and total spin.

    Attributes
    ----------
    l
        Orbital angular momentum of the two.
    s
        What their spins couple to.
    """

    l: int
    s: float = 0

    def check(self, j: float, j1: float, j2: float) -> None:
        """Refuse spins that the vertex can't have.

        Parameters
        ----------
        j, j1, j2
            Spins of the parent and of the two.

        Raises
        ------
        ValueError
            If they and the vertex make no triangles.
        """
        good = self.l % 1 == 0 and self.s >= 0 and (self.s - j1 - j2) % 1 == 0 and (j - self.l - self.s) % 1 == 0
        good = good and abs(j1 - j2) <= self.s <= j1 + j2 and abs(self.l - self.s) <= j <= self.l + self.s
        _fits(str(self), good, j, j1, j2)

    def coupling(self, j: float, j1: float, j2: float, m1: float, m2: float) -> float:
        """H for two helicities.

        Parameters
        ----------
        j, j1, j2
            Spins of the parent and of the two.
        m1, m2
            Helicities of the two.

        Returns
        -------
        Real.
        """
        m = m1 - m2
        if not _is_projection(m, min(j, self.s)):
            return 0.0
        spins = clebsch_gordan(j1, m1, j2, -m2, self.s, m)
        return sqrt((2 * self.l + 1) / (2 * j + 1)) * spins * clebsch_gordan(self.l, 0, self.s, m, j, m)

    def exchanged(self, j: float, j1: float, j2: float) -> tuple["LS", int]:
        """Write the vertex with the two in the other order.

        Parameters
        ----------
        j, j1, j2
            Spins of the parent and of the two, in the order as it is.

        Returns
        -------
        vertex, sign
            Of the same state.
        """
        return self, -1 if (self.l + j1 + j2 - self.s) % 2 else 1


@dataclass(frozen=True)
class Helicities:
    """A vertex of definite helicities.

    Attributes
    ----------
    first, second
        Helicities of the two, in the order of the vertex.
    mirrored
        What the coupling of both helicities with the other sign is relative to this one: a `parity_factor`, or 0.
    """

    first: float = 0
    second: float = 0
    mirrored: int = 0

    def check(self, j: float, j1: float, j2: float) -> None:
        """Refuse spins that the vertex can't have.

        Parameters
        ----------
        j, j1, j2
            Spins of the parent and of the two.

        Raises
        ------
        ValueError
            If they do not have these helicities.
        """
        good = _is_projection(self.first, j1) and _is_projection(self.second, j2)
        _fits(str(self), good and _is_projection(self.first - self.second, j), j, j1, j2)

    def coupling(self, j: float, j1: float, j2: float, m1: float, m2: float) -> float:
        """H for two helicities.

        Parameters
        ----------
        j, j1, j2
            Spins of the parent and of the two.
        m1, m2
            Helicities of the two.

        Returns
        -------
        Real.
        """
        if (m1, m2) == (self.first, self.second):
            return 1.0
        return float(self.mirrored) if (m1, m2) == (-self.first, -self.second) else 0.0

    def exchanged(self, j: float, j1: float, j2: float) -> tuple["Helicities", int]:
        """Write the vertex with the two in the other order.

        Parameters
        ----------
        j, j1, j2
            Spins of the parent and of the two, in the order as it is.

        Returns
        -------
        vertex, sign
            Of the same state.
        """
        return Helicities(self.second, self.first, self.mirrored), -1 if (j - j1 - j2) % 2 else 1


def parity_factor(parity: int, parity1: int, parity2: int, j: float, j1: float, j2: float) -> int:
    r"""Ratio of helicity couplings that parity relates: both helicities with the other sign.

    .. math:: H_{-\lambda_1, -\lambda_2} = \eta\, \eta_1 \eta_2\, (-1)^{J - j_1 - j_2} H_{\lambda_1 \lambda_2}

    Parameters
    ----------
    parity, parity1, parity2
        Intrinsic parities of the parent and of the two, 1 or -1.
    j, j1, j2
        Their spins.

    Returns
    -------
    1 or -1.

    References
    ----------
    M. Jacob, G. C. Wick, Ann. Phys. 7 (1959) 404.

    Examples
    --------
    Lambda(1520) -> K p:

    >>> from jaxpwa.physics.waves.vertices import parity_factor
    >>> parity_factor(-1, -1, 1, 1.5, 0, 0.5)
    -1
    """
    return parity * parity1 * parity2 * (-1 if (j - j1 - j2) % 2 else 1)
