"""Four-vectors with a Geant3 id and a charge."""

from typing import Any, Self

import numpy as np

from jaxpwa_compat.vectors.components import as_count
from jaxpwa_compat.vectors.four import FourVector

# Geant3 ids and names: CERN Program Library W5013, CONS 300; spelled as PyPWA's users look them up.
_NAMES = dict(
    enumerate(
        (
            *("Gamma", "Positron", "Electron", "Neutrino", "Muon +", "Muon -", "Pion 0", "Pion +", "Pion -"),
            *("Kaon 0 Long", "Kaon +", "Kaon -", "Neutron", "Proton", "Antiproton", "Kaon 0 Short", "Eta"),
            *("Lambda", "Sigma +", "Sigma 0", "Sigma -", "Xi 0", "Xi -", "Omega -"),
            *("Antineutron", "Antilambda", "Antisigma -", "Antisigma 0", "Antisigma +", "Antixi 0", "Antixi +"),
            "Antiomega +",
        ),
        start=1,
    )
) | {45: "Deuteron", 46: "Triton", 47: "Alpha", 48: "Geantino", 49: "He3", 50: "Cerenkov"}


class Particle(FourVector):
    """The four-vectors of one particle of a reaction, with its Geant3 id and charge.

    Parameters
    ----------
    particle_id
        Geant3 id, a whole number: 1 photon, 8 and 9 charged pions, 14 proton.
    charge
        In units of the positron's, a whole number.
    e, x, y, z
        As for `FourVector`.

    Raises
    ------
    TypeError, ValueError
        If id or charge are not whole numbers, or the components are not as for `FourVector`.

    Notes
    -----
    Copies, parts and picked events are particles with the same id and charge; arithmetic gives a `FourVector`.
    ``==`` between particles compares id and charge as well.

    Examples
    --------
    >>> from jaxpwa_compat.vectors import Particle
    >>> proton = Particle(14, 1, 1.5, 0, 0, 1.17)
    >>> proton.name, proton.charge
    ('Proton', 1)
    """

    def __init__(self, particle_id: int, charge: int, e: Any, x: Any = None, y: Any = None, z: Any = None):
        self._id = as_count("particle_id", particle_id, 0)
        if not isinstance(charge, (int, float, np.number)) or not float(charge).is_integer():
            msg = f"charge must be a whole number, got {charge!r}."
            raise ValueError(msg)
        self._charge = int(charge)
        self._fill(e, x, y, z)

    def _rebuild(self, values: dict[str, Any]) -> Self:
        particle = self._from(values)
        particle._id, particle._charge = self._id, self._charge
        return particle

    def _result(self, values: dict[str, Any]) -> FourVector:
        return FourVector._from(values)

    @property
    def id(self) -> int:
        """Geant3 id."""
        return self._id

    @property
    def charge(self) -> int:
        """Charge in units of the positron's."""
        return self._charge

    @property
    def name(self) -> str:
        """Geant3's name: ``Gamma``, ``Pion +``, ``Proton`` ...; ``Unknown`` for ids that have none there."""
        return _NAMES.get(self._id, "Unknown")

    def __eq__(self, other: object) -> bool:
        """As for four-vectors; between particles id and charge must agree too."""
        if isinstance(other, Particle) and (other.id, other.charge) != (self.id, self.charge):
            return False
        return super().__eq__(other)

    # A class that defines __eq__ loses what it inherits.
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def _label(self) -> str:
        return f"{type(self).__name__}({self.id} {self.name}, charge {self.charge:+d}, {self._events()}"
