"""Moments H(L, M) of angular distributions: of data, of partial waves, of any intensity."""

from jaxpwa.physics.moments.expansion import Moments as Moments
from jaxpwa.physics.moments.expansion import expansion_weights as expansion_weights
from jaxpwa.physics.moments.expansion import intensity_of_moments as intensity_of_moments
from jaxpwa.physics.moments.expansion import moment_functions as moment_functions
from jaxpwa.physics.moments.expansion import moment_indices as moment_indices
from jaxpwa.physics.moments.of_data import Acceptance as Acceptance
from jaxpwa.physics.moments.of_data import Events as Events
from jaxpwa.physics.moments.of_data import acceptance_matrix as acceptance_matrix
from jaxpwa.physics.moments.of_data import moments_of_data as moments_of_data
from jaxpwa.physics.moments.of_models import moments_of_amplitudes as moments_of_amplitudes
from jaxpwa.physics.moments.of_models import moments_of_model as moments_of_model
from jaxpwa.physics.moments.of_models import moments_of_waves as moments_of_waves
from jaxpwa.physics.moments.of_models import with_errors as with_errors
