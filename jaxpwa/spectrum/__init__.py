"""Mass-independent fits: every bin of a spectrum on its own.

=====================  ==================================================================================
`fit_bins`             cut tables into bins and fit each, from its neighbour's result and from random starts
`BinnedFits`           the results, and one table of them with errors
`BinFit`               what was found in one bin
`load_bins`            results from the folder that `fit_bins` kept them in
`Bin`                  the events of a bin, for costs of one's own
=====================  ==================================================================================
"""

from jaxpwa.spectrum.binned_fits import BinFit as BinFit
from jaxpwa.spectrum.binned_fits import BinnedFits as BinnedFits
from jaxpwa.spectrum.bins import Bin as Bin
from jaxpwa.spectrum.fitting import fit_bins as fit_bins
from jaxpwa.spectrum.folder import load_bins as load_bins
