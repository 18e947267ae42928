"""Weights that subtract background: negative samples, sWeights, Q-factors, and what they mean for errors."""

from jaxpwa.weights.background import scale_weights as scale_weights
from jaxpwa.weights.background import subtract as subtract
from jaxpwa.weights.qfactors import QFactors as QFactors
from jaxpwa.weights.qfactors import q_factors as q_factors
from jaxpwa.weights.sweights import SpeciesWeights as SpeciesWeights
from jaxpwa.weights.sweights import SWeights as SWeights
from jaxpwa.weights.sweights import fit_yields as fit_yields
from jaxpwa.weights.sweights import sweights as sweights
