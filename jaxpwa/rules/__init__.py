"""Which waves a reaction can have, from quantum numbers: names of particles in, plain records out.

==========================  =============================================================================
`allowed_chains`            decay to three or more by resonances: isobar, pair, L and S of every vertex
`chain_model`               from these to an intensity of three-body decays
`allowed_two_body_waves`    what J^PC two particles can have, in which L and S
`polarised_waves`           from these to `two_pseudoscalar_model` or `vector_pseudoscalar_model`
`reflectivity_states`       the M and reflectivity of a J^P
`ls_couplings`              L and S of one decay, from spins and parities alone
`helicity_couplings`        its independent helicity amplitudes
`violated_rules`            why a decay is forbidden
`particle`                  quantum numbers, mass and width from the PDG's table
==========================  =============================================================================

Records: `Particle`, `State`, `Vertex`, `DecayChain`, `TwoBodyWave`. The table of particles and the conservation rules
come from qrules: ``pip install 'jaxpwa[rules]'``. `ls_couplings`, `helicity_couplings`, `reflectivity_states` and the
records need nothing.
"""

from jaxpwa.rules.chains import allowed_chains as allowed_chains
from jaxpwa.rules.conservation import violated_rules as violated_rules
from jaxpwa.rules.couplings import helicity_couplings as helicity_couplings
from jaxpwa.rules.couplings import ls_couplings as ls_couplings
from jaxpwa.rules.couplings import reflectivity_states as reflectivity_states
from jaxpwa.rules.isobars import chain_model as chain_model
from jaxpwa.rules.photoproduction import polarised_waves as polarised_waves
from jaxpwa.rules.records import DecayChain as DecayChain
from jaxpwa.rules.records import Particle as Particle
from jaxpwa.rules.records import State as State
from jaxpwa.rules.records import TwoBodyWave as TwoBodyWave
from jaxpwa.rules.records import Vertex as Vertex
from jaxpwa.rules.table import particle as particle
from jaxpwa.rules.twobody import allowed_two_body_waves as allowed_two_body_waves
