"""Physics as pure functions of arrays: no compilation, no state, no devices.

Rooms, whose names are all here, too:

==============  ============================================================================================
`kinematics`    four-vectors, frames and angles, reactions, break-up momenta, decays into three
`spin`          spherical harmonics, Wigner's d and D, Clebsch-Gordan coefficients
`lineshapes`    resonances, barriers, coupled channels, K-matrices, free shapes
`waves`         couplings, sums of waves, polarised photoproduction, density matrices, isobar chains, ambiguities
`moments`       H(L, M) of data, of waves, of any intensity
`phasespace`    events and volumes of phase space, beam on target
==============  ============================================================================================

Units are GeV and rad, four-vectors ``(E, px, py, pz)``; each function tells its formula, convention and source.
"""

from jaxpwa.physics.kinematics.breakup import breakup_momentum as breakup_momentum
from jaxpwa.physics.kinematics.breakup import breakup_momentum_squared as breakup_momentum_squared
from jaxpwa.physics.kinematics.breakup import kallen as kallen
from jaxpwa.physics.kinematics.breakup import phase_space_factor as phase_space_factor
from jaxpwa.physics.kinematics.breakup import real_breakup_momentum as real_breakup_momentum
from jaxpwa.physics.kinematics.fourvectors import Mandelstam as Mandelstam
from jaxpwa.physics.kinematics.fourvectors import boost as boost
from jaxpwa.physics.kinematics.fourvectors import dot as dot
from jaxpwa.physics.kinematics.fourvectors import four_vector as four_vector
from jaxpwa.physics.kinematics.fourvectors import four_vector_from_mass as four_vector_from_mass
from jaxpwa.physics.kinematics.fourvectors import in_rest_frame_of as in_rest_frame_of
from jaxpwa.physics.kinematics.fourvectors import invariant_mass as invariant_mass
from jaxpwa.physics.kinematics.fourvectors import invariant_mass_squared as invariant_mass_squared
from jaxpwa.physics.kinematics.fourvectors import mandelstam as mandelstam
from jaxpwa.physics.kinematics.fourvectors import momentum_transfer as momentum_transfer
from jaxpwa.physics.kinematics.fourvectors import omega_lambda as omega_lambda
from jaxpwa.physics.kinematics.fourvectors import rotate as rotate
from jaxpwa.physics.kinematics.frames import Frame as Frame
from jaxpwa.physics.kinematics.frames import adair_angles as adair_angles
from jaxpwa.physics.kinematics.frames import adair_frame as adair_frame
from jaxpwa.physics.kinematics.frames import gottfried_jackson_angles as gottfried_jackson_angles
from jaxpwa.physics.kinematics.frames import gottfried_jackson_frame as gottfried_jackson_frame
from jaxpwa.physics.kinematics.frames import helicity_angles as helicity_angles
from jaxpwa.physics.kinematics.frames import helicity_boost as helicity_boost
from jaxpwa.physics.kinematics.frames import helicity_frame as helicity_frame
from jaxpwa.physics.kinematics.frames import rest_frame as rest_frame
from jaxpwa.physics.kinematics.reaction import Reaction as Reaction
from jaxpwa.physics.kinematics.reaction import polarisation_angle as polarisation_angle
from jaxpwa.physics.kinematics.reaction import production_plane_angle as production_plane_angle
from jaxpwa.physics.kinematics.reaction import t_limits as t_limits
from jaxpwa.physics.kinematics.reaction import t_prime as t_prime
from jaxpwa.physics.kinematics.reaction import van_hove as van_hove
from jaxpwa.physics.kinematics.threebody import Invariants as Invariants
from jaxpwa.physics.kinematics.threebody import ThreeBodyDecay as ThreeBodyDecay
from jaxpwa.physics.kinematics.threebody import dalitz_boundary as dalitz_boundary
from jaxpwa.physics.kinematics.threebody import invariants as invariants
from jaxpwa.physics.kinematics.threebody import invariants_of_angle as invariants_of_angle
from jaxpwa.physics.kinematics.threebody import is_inside_dalitz as is_inside_dalitz
from jaxpwa.physics.kinematics.threebody_angles import cos_theta as cos_theta
from jaxpwa.physics.kinematics.threebody_angles import cos_zeta as cos_zeta
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf as blatt_weisskopf
from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf_squared as blatt_weisskopf_squared
from jaxpwa.physics.lineshapes.breitwigner import breit_wigner as breit_wigner
from jaxpwa.physics.lineshapes.breitwigner import breit_wigner_normalisation as breit_wigner_normalisation
from jaxpwa.physics.lineshapes.breitwigner import bugg_breit_wigner as bugg_breit_wigner
from jaxpwa.physics.lineshapes.breitwigner import mass_dependent_width as mass_dependent_width
from jaxpwa.physics.lineshapes.breitwigner import nonresonant_exponential as nonresonant_exponential
from jaxpwa.physics.lineshapes.breitwigner import production_phase_space as production_phase_space
from jaxpwa.physics.lineshapes.breitwigner import relativistic_breit_wigner as relativistic_breit_wigner
from jaxpwa.physics.lineshapes.chewmandelstam import chew_mandelstam as chew_mandelstam
from jaxpwa.physics.lineshapes.coupledchannels import KMatrix as KMatrix
from jaxpwa.physics.lineshapes.elastic import generalised_lass as generalised_lass
from jaxpwa.physics.lineshapes.elastic import gounaris_sakurai as gounaris_sakurai
from jaxpwa.physics.lineshapes.elastic import lass as lass
from jaxpwa.physics.lineshapes.elastic import rho_omega_mixing as rho_omega_mixing
from jaxpwa.physics.lineshapes.freeshapes import FreeShape as FreeShape
from jaxpwa.physics.lineshapes.freeshapes import cubic_spline as cubic_spline
from jaxpwa.physics.lineshapes.freeshapes import linear_interpolation as linear_interpolation
from jaxpwa.physics.lineshapes.freeshapes import piecewise_constant as piecewise_constant
from jaxpwa.physics.lineshapes.kmatrix import f_vector as f_vector
from jaxpwa.physics.lineshapes.kmatrix import k_matrix as k_matrix
from jaxpwa.physics.lineshapes.kmatrix import t_matrix as t_matrix
from jaxpwa.physics.lineshapes.kopf import KOPF as KOPF
from jaxpwa.physics.lineshapes.kopf import KOPF_GLUEX as KOPF_GLUEX
from jaxpwa.physics.lineshapes.multichannel import DecayChannel as DecayChannel
from jaxpwa.physics.lineshapes.multichannel import flatte as flatte
from jaxpwa.physics.lineshapes.multichannel import multichannel_breit_wigner as multichannel_breit_wigner
from jaxpwa.physics.lineshapes.voigtprofile import voigt as voigt
from jaxpwa.physics.moments.expansion import Moments as Moments
from jaxpwa.physics.moments.expansion import intensity_of_moments as intensity_of_moments
from jaxpwa.physics.moments.expansion import moment_functions as moment_functions
from jaxpwa.physics.moments.expansion import moment_indices as moment_indices
from jaxpwa.physics.moments.of_data import Acceptance as Acceptance
from jaxpwa.physics.moments.of_data import acceptance_matrix as acceptance_matrix
from jaxpwa.physics.moments.of_data import moments_of_data as moments_of_data
from jaxpwa.physics.moments.of_models import moments_of_amplitudes as moments_of_amplitudes
from jaxpwa.physics.moments.of_models import moments_of_model as moments_of_model
from jaxpwa.physics.moments.of_models import moments_of_waves as moments_of_waves
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
from jaxpwa.physics.spin import clebsch_gordan as clebsch_gordan
from jaxpwa.physics.spin import real_spherical_harmonic as real_spherical_harmonic
from jaxpwa.physics.spin import spherical_harmonic as spherical_harmonic
from jaxpwa.physics.spin import wigner_3j as wigner_3j
from jaxpwa.physics.spin import wigner_d as wigner_d
from jaxpwa.physics.spin import wigner_small_d as wigner_small_d
from jaxpwa.physics.spin import wigner_small_d_of_cosine as wigner_small_d_of_cosine
from jaxpwa.physics.waves.ambiguities import ambiguous_solutions as ambiguous_solutions
from jaxpwa.physics.waves.ambiguities import barrelet_zeros as barrelet_zeros
from jaxpwa.physics.waves.ambiguities import equivalent_solutions as equivalent_solutions
from jaxpwa.physics.waves.composition import CoherentSum as CoherentSum
from jaxpwa.physics.waves.composition import IncoherentSum as IncoherentSum
from jaxpwa.physics.waves.equivalence import conjugated as conjugated
from jaxpwa.physics.waves.equivalence import equivalent as equivalent
from jaxpwa.physics.waves.equivalence import flat_directions as flat_directions
from jaxpwa.physics.waves.equivalence import interfering as interfering
from jaxpwa.physics.waves.equivalence import rotated as rotated
from jaxpwa.physics.waves.equivalence import to_reference as to_reference
from jaxpwa.physics.waves.isobar_models import IsobarAmplitude as IsobarAmplitude
from jaxpwa.physics.waves.isobar_models import LineShape as LineShape
from jaxpwa.physics.waves.isobar_models import isobar_model as isobar_model
from jaxpwa.physics.waves.isobar_models import symmetrised as symmetrised
from jaxpwa.physics.waves.isobars import Chain as Chain
from jaxpwa.physics.waves.polarised import PolarisedWave as PolarisedWave
from jaxpwa.physics.waves.polarised import polarised_model as polarised_model
from jaxpwa.physics.waves.sdme import SchillingModel as SchillingModel
from jaxpwa.physics.waves.sdme import parity_asymmetry as parity_asymmetry
from jaxpwa.physics.waves.sdme import schilling_parts as schilling_parts
from jaxpwa.physics.waves.twopseudoscalars import TwoPseudoscalarWave as TwoPseudoscalarWave
from jaxpwa.physics.waves.twopseudoscalars import partial_waves as partial_waves
from jaxpwa.physics.waves.twopseudoscalars import two_pseudoscalar_model as two_pseudoscalar_model
from jaxpwa.physics.waves.twopseudoscalars import z_lm as z_lm
from jaxpwa.physics.waves.vectorpseudoscalar import VectorPseudoscalarWave as VectorPseudoscalarWave
from jaxpwa.physics.waves.vectorpseudoscalar import omega_dalitz_factor as omega_dalitz_factor
from jaxpwa.physics.waves.vectorpseudoscalar import vector_pseudoscalar_amplitude as vector_pseudoscalar_amplitude
from jaxpwa.physics.waves.vectorpseudoscalar import vector_pseudoscalar_model as vector_pseudoscalar_model
from jaxpwa.physics.waves.vertices import LS as LS
from jaxpwa.physics.waves.vertices import Helicities as Helicities
from jaxpwa.physics.waves.vertices import parity_factor as parity_factor
from jaxpwa.physics.waves.wave import Background as Background
from jaxpwa.physics.waves.wave import Coupling as Coupling
from jaxpwa.physics.waves.wave import Symmetrised as Symmetrised
from jaxpwa.physics.waves.wave import Wave as Wave
