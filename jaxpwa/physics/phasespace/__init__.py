"""Events and volumes of phase space."""

from jaxpwa.physics.phasespace.nbody import generate_phase_space as generate_phase_space
from jaxpwa.physics.phasespace.nbody import generate_unweighted as generate_unweighted
from jaxpwa.physics.phasespace.nbody import maximum_weight as maximum_weight
from jaxpwa.physics.phasespace.nbody import phase_space_volume as phase_space_volume
from jaxpwa.physics.phasespace.production import GeneratedEvents as GeneratedEvents
from jaxpwa.physics.phasespace.production import generate_production as generate_production
from jaxpwa.physics.phasespace.proposals import BreitWignerProposal as BreitWignerProposal
from jaxpwa.physics.phasespace.proposals import ExponentialProposal as ExponentialProposal
from jaxpwa.physics.phasespace.proposals import MixtureProposal as MixtureProposal
from jaxpwa.physics.phasespace.proposals import Proposal as Proposal
from jaxpwa.physics.phasespace.proposals import UniformProposal as UniformProposal
