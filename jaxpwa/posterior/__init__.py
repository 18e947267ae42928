"""Posteriors: chains of exp(-cost) by the No-U-Turn sampler, started at a fit.

`sample_posterior` draws them, `Posterior` is the record.
"""

from jaxpwa.posterior.record import Posterior as Posterior
from jaxpwa.posterior.sample import sample_posterior as sample_posterior
