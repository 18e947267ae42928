"""How good a fit is: binned chi-squared, mixed samples of nearest neighbours, and the energy test.

=====================  ===================================================================================
in bins                `chi2_test`: projections and one table over all columns (`Chi2Test`, `BinTable`)
nearest neighbours     `mixed_sample_test`: unbinned, for samples without weights (`MixedSampleTest`)
all pairs              `energy_test`: unbinned, for weights of either sign (`EnergyTest`)
=====================  ===================================================================================

All three compare data with Monte Carlo that the model weights. None looks at the value of the likelihood, which
says nothing of the quality of an unbinned fit.
"""

from jaxpwa.quality._tables import BinTable as BinTable
from jaxpwa.quality._tables import Chi2Test as Chi2Test
from jaxpwa.quality.binned import chi2_test as chi2_test
from jaxpwa.quality.energy import EnergyTest as EnergyTest
from jaxpwa.quality.energy import energy_test as energy_test
from jaxpwa.quality.neighbours import MixedSampleTest as MixedSampleTest
from jaxpwa.quality.neighbours import mixed_sample_test as mixed_sample_test
