"""From fits to published numbers: fit fractions, yields, phase differences, with errors."""

from jaxpwa.results.fractions import FitFractions as FitFractions
from jaxpwa.results.fractions import fit_fractions as fit_fractions
from jaxpwa.results.phases import PhaseDifferences as PhaseDifferences
from jaxpwa.results.phases import phase_differences as phase_differences
from jaxpwa.results.phases import wrap as wrap
from jaxpwa.results.projected import Projection as Projection
from jaxpwa.results.projected import Projections as Projections
from jaxpwa.results.projections import project as project
from jaxpwa.results.resampling import Bootstrap as Bootstrap
from jaxpwa.results.resampling import bootstrap as bootstrap
from jaxpwa.results.yields import Yields as Yields
from jaxpwa.results.yields import yields as yields
