"""PyPWA's vectors: `ThreeVector`, `FourVector`, `Particle` and `ParticlePool`.

=================  =========================================================================
`ThreeVector`      x, y, z
`FourVector`       e, x, y, z: energy first, metric (+, -, -, -)
`Particle`         a four-vector with a Geant3 id and a charge
`ParticlePool`     the particles of a reaction, event by event; to and from `ParticleTable`
=================  =========================================================================

One vector holds all events: each component is an array ``(events,)``, or one number, which counts as one event.
Units are GeV and rad.
"""

from jaxpwa_compat.vectors.four import FourVector as FourVector
from jaxpwa_compat.vectors.particle import Particle as Particle
from jaxpwa_compat.vectors.pool import ParticlePool as ParticlePool
from jaxpwa_compat.vectors.three import ThreeVector as ThreeVector
