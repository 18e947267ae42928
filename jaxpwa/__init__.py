"""Amplitude analysis in JAX: write the formula, fit millions of events with exact gradients.

=====================  ===================================================================================
events                 `Dataset`, `ParticleTable`, `bin_by_edges`, `bin_by_range`, `bin_with_fixed_widths`
files                  `read`, `iter_chunks`, `write`, `cache`
larger than memory     `Dataset.from_files`, `FileDataset`
model                  any function ``intensity(params, data) -> (events,)`` written with `jax.numpy`
formulas               `jaxpwa.physics`: kinematics, spin, line shapes, waves that add up, moments, phase space
allowed waves          `jaxpwa.rules`, from quantum numbers
values, simulation     `evaluate`, `rejection_sample`, `SimulationReport`
costs (`Cost`)         `UnbinnedNLL`, `ExtendedNLL`, `BinnedNLL`, `ChiSquared`, `GaussianConstraint`, sums of them
without Monte Carlo    `Integrals`, `load_integrals`, `accumulate_integrals`
costs of other code    `IntensitySource`, `SuppliedTerm`: intensities that JAX can't trace
fit                    `fit`, `minimizer`, `Parameter`, `FitResult`, `FitError`, `load_result`, `Estimate`
many fits              `fit_many`, `random_starts`, `ManyFits`, `Minimum`; bins: `fit_bins`, `load_bins`
many machines          `jaxpwa.distributed`; farms of tasks: `farm`, `Farmed`, `process_pool`
knowledge elsewhere    `GaussianConstraint`, `AsymmetricConstraint`, `Penalty`, `Cost.tied`
weights                `subtract`, `sweights`, `fit_yields`, `scale_weights`, `q_factors`
derived                `fit_fractions`, `yields`, `phase_differences`, `bootstrap`, `simulate`
projections            `project`, `Projections`, `Projection`
around the minimum     `scan`, `profile`, `minos`, `contour`, `weak_directions`, `correlations`, `global_correlations`
goodness of fit        `chi2_test`, `mixed_sample_test`, `energy_test`
posterior              `sample_posterior`
pictures               `jaxpwa.plot`, imported by itself
=====================  ===================================================================================
"""

from importlib.metadata import version as _version

from jaxpwa._settings import configure as _configure

_configure()

from jaxpwa import cache as cache  # noqa: E402
from jaxpwa import distributed as distributed  # noqa: E402
from jaxpwa._checks import ConvergenceWarning as ConvergenceWarning  # noqa: E402
from jaxpwa._checks import EnvelopeExceededWarning as EnvelopeExceededWarning  # noqa: E402
from jaxpwa._checks import JaxpwaWarning as JaxpwaWarning  # noqa: E402
from jaxpwa._checks import PerformanceWarning as PerformanceWarning  # noqa: E402
from jaxpwa._checks import PrecisionWarning as PrecisionWarning  # noqa: E402
from jaxpwa.data.binning import bin_by_edges as bin_by_edges  # noqa: E402
from jaxpwa.data.binning import bin_by_range as bin_by_range  # noqa: E402
from jaxpwa.data.binning import bin_with_fixed_widths as bin_with_fixed_widths  # noqa: E402
from jaxpwa.data.dataset import Dataset as Dataset  # noqa: E402
from jaxpwa.data.filedata import FileDataset as FileDataset  # noqa: E402
from jaxpwa.data.io import iter_chunks as iter_chunks  # noqa: E402
from jaxpwa.data.io import read as read  # noqa: E402
from jaxpwa.data.io import write as write  # noqa: E402
from jaxpwa.data.particles import ParticleTable as ParticleTable  # noqa: E402
from jaxpwa.engine.integrals import Integrals as Integrals  # noqa: E402
from jaxpwa.engine.integrals import load_integrals as load_integrals  # noqa: E402
from jaxpwa.explore.asymmetric import minos as minos  # noqa: E402
from jaxpwa.explore.contours import contour as contour  # noqa: E402
from jaxpwa.explore.directions import correlations as correlations  # noqa: E402
from jaxpwa.explore.directions import global_correlations as global_correlations  # noqa: E402
from jaxpwa.explore.directions import weak_directions as weak_directions  # noqa: E402
from jaxpwa.explore.profiles import profile as profile  # noqa: E402
from jaxpwa.explore.profiles import scan as scan  # noqa: E402
from jaxpwa.farms.pool import process_pool as process_pool  # noqa: E402
from jaxpwa.farms.tasks import Farmed as Farmed  # noqa: E402
from jaxpwa.farms.tasks import farm as farm  # noqa: E402
from jaxpwa.inference.accumulate import accumulate_integrals as accumulate_integrals  # noqa: E402
from jaxpwa.inference.constraints import AsymmetricConstraint as AsymmetricConstraint  # noqa: E402
from jaxpwa.inference.constraints import GaussianConstraint as GaussianConstraint  # noqa: E402
from jaxpwa.inference.constraints import Penalty as Penalty  # noqa: E402
from jaxpwa.inference.cost import Cost as Cost  # noqa: E402
from jaxpwa.inference.fit import fit as fit  # noqa: E402
from jaxpwa.inference.fit import minimizer as minimizer  # noqa: E402
from jaxpwa.inference.likelihoods import BinnedNLL as BinnedNLL  # noqa: E402
from jaxpwa.inference.likelihoods import ChiSquared as ChiSquared  # noqa: E402
from jaxpwa.inference.likelihoods import ExtendedNLL as ExtendedNLL  # noqa: E402
from jaxpwa.inference.likelihoods import UnbinnedNLL as UnbinnedNLL  # noqa: E402
from jaxpwa.inference.many import fit_many as fit_many  # noqa: E402
from jaxpwa.inference.manyfits import ManyFits as ManyFits  # noqa: E402
from jaxpwa.inference.manyfits import Minimum as Minimum  # noqa: E402
from jaxpwa.inference.parameters import Parameter as Parameter  # noqa: E402
from jaxpwa.inference.propagate import Estimate as Estimate  # noqa: E402
from jaxpwa.inference.result import FitError as FitError  # noqa: E402
from jaxpwa.inference.result import FitResult as FitResult  # noqa: E402
from jaxpwa.inference.result import load_result as load_result  # noqa: E402
from jaxpwa.inference.starts import random_starts as random_starts  # noqa: E402
from jaxpwa.inference.supplied import IntensitySource as IntensitySource  # noqa: E402
from jaxpwa.inference.supplied import SuppliedTerm as SuppliedTerm  # noqa: E402
from jaxpwa.posterior.sample import sample_posterior as sample_posterior  # noqa: E402
from jaxpwa.quality.binned import chi2_test as chi2_test  # noqa: E402
from jaxpwa.quality.energy import energy_test as energy_test  # noqa: E402
from jaxpwa.quality.neighbours import mixed_sample_test as mixed_sample_test  # noqa: E402
from jaxpwa.results.fractions import fit_fractions as fit_fractions  # noqa: E402
from jaxpwa.results.phases import phase_differences as phase_differences  # noqa: E402
from jaxpwa.results.projected import Projection as Projection  # noqa: E402
from jaxpwa.results.projected import Projections as Projections  # noqa: E402
from jaxpwa.results.projections import project as project  # noqa: E402
from jaxpwa.results.resampling import bootstrap as bootstrap  # noqa: E402
from jaxpwa.results.yields import yields as yields  # noqa: E402
from jaxpwa.simulation.evaluate import evaluate as evaluate  # noqa: E402
from jaxpwa.simulation.rejection import SimulationReport as SimulationReport  # noqa: E402
from jaxpwa.simulation.rejection import rejection_sample as rejection_sample  # noqa: E402
from jaxpwa.simulation.toys import simulate as simulate  # noqa: E402
from jaxpwa.spectrum.fitting import fit_bins as fit_bins  # noqa: E402
from jaxpwa.spectrum.folder import load_bins as load_bins  # noqa: E402
from jaxpwa.weights.background import scale_weights as scale_weights  # noqa: E402
from jaxpwa.weights.background import subtract as subtract  # noqa: E402
from jaxpwa.weights.qfactors import q_factors as q_factors  # noqa: E402
from jaxpwa.weights.sweights import fit_yields as fit_yields  # noqa: E402
from jaxpwa.weights.sweights import sweights as sweights  # noqa: E402

__version__ = _version("jaxpwa")
