"""Exploring a fitted cost: its course around the minimum, asymmetric errors, and what the data determine badly.

=========================  ==========================================================================================
`scan`                     the cost along one parameter or two, the others where the fit ended: `Profile`, `Surface`
`profile`                  the same minimised over the others; ``interval`` reads errors off it, as MINOS does
`minos`                    MINOS errors of a result that exists already
`contour`                  the border of the joint confidence region of two parameters: `Contour`
`weak_directions`          combinations of parameters that the data determine badly: `WeakDirections`
`correlations`             the strongest correlations: `Correlations`
`global_correlations`      of each parameter with all others
=========================  ==========================================================================================

All take a result that was loaded from a file as well as a fresh one. None alters it.
"""

from jaxpwa.explore.asymmetric import minos as minos
from jaxpwa.explore.contours import Contour as Contour
from jaxpwa.explore.contours import contour as contour
from jaxpwa.explore.directions import Correlations as Correlations
from jaxpwa.explore.directions import WeakDirections as WeakDirections
from jaxpwa.explore.directions import correlations as correlations
from jaxpwa.explore.directions import global_correlations as global_correlations
from jaxpwa.explore.directions import weak_directions as weak_directions
from jaxpwa.explore.profiles import profile as profile
from jaxpwa.explore.profiles import scan as scan
from jaxpwa.explore.records import Profile as Profile
from jaxpwa.explore.records import Surface as Surface
from jaxpwa.inference.weak import WeakDirection as WeakDirection
