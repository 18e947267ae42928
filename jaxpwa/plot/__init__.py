"""Pictures of fits: each function draws on the axes it is given, or on new ones, and returns them.

================================  =====================================================================
`projection`, `projections`       data against Monte Carlo weighted by a fit, waves one by one, pulls
`intensities`, `phases`           waves in bins of mass, with the curves of a model
`argand`                          complex amplitude on its way through the masses
`dalitz`, `lego`                  two columns of events at once
`profile`, `surface`, `contour`   cost around its minimum
`corner`                          posterior samples, or the errors of a fit, two by two
`correlation`, `fractions`        matrices with their names
`style`                           fonts, ticks and colours for as long as a ``with`` lasts
================================  =====================================================================

Nothing here is shown, saved or set for good: ``figure.savefig`` and ``pyplot.show`` are the user's. Axes stand for
the figure, too: ``ax.figure.savefig("mass.pdf")``. Labels are the user's words; a unit in square brackets at their end,
``"m(eta pi) [GeV]"``, goes into "events / 0.02 GeV".
"""

from jaxpwa.plot._library import pyplot as _pyplot  # noqa: F401  (first, to say what to install)
from jaxpwa.plot.corners import corner as corner
from jaxpwa.plot.curves import contour as contour
from jaxpwa.plot.curves import profile as profile
from jaxpwa.plot.curves import surface as surface
from jaxpwa.plot.matrices import correlation as correlation
from jaxpwa.plot.matrices import fractions as fractions
from jaxpwa.plot.planes import argand as argand
from jaxpwa.plot.planes import dalitz as dalitz
from jaxpwa.plot.planes import lego as lego
from jaxpwa.plot.projections import projection as projection
from jaxpwa.plot.projections import projections as projections
from jaxpwa.plot.spectra import intensities as intensities
from jaxpwa.plot.spectra import phases as phases
from jaxpwa.plot.styles import PALETTE as PALETTE
from jaxpwa.plot.styles import style as style
