"""Alignment of two domains: features or logits of source and target to a loss, without a trainer.

The source is the labelled batch B, the target the unlabelled batch U. Distances of two batches
and losses normalised over a batch are scalars; the others are per example, not reduced. What
begins with a capital is a method for a `Task.consistency` on `data.Domains`, made of them.
"""

from mtl_jax.core import typechecked
from mtl_jax.domain_adaptation.adversarial import domain_adversarial as domain_adversarial
from mtl_jax.domain_adaptation.afn import feature_norm_radius as feature_norm_radius
from mtl_jax.domain_adaptation.afn import feature_norm_step as feature_norm_step
from mtl_jax.domain_adaptation.afn import length_preserving_dropout as length_preserving_dropout
from mtl_jax.domain_adaptation.bsp import spectral_penalty as spectral_penalty
from mtl_jax.domain_adaptation.classified import MCC as MCC
from mtl_jax.domain_adaptation.classified import MCD as MCD
from mtl_jax.domain_adaptation.classified import MDD as MDD
from mtl_jax.domain_adaptation.compared import AFN as AFN
from mtl_jax.domain_adaptation.compared import CORAL as CORAL
from mtl_jax.domain_adaptation.compared import DAN as DAN
from mtl_jax.domain_adaptation.compared import JAN as JAN
from mtl_jax.domain_adaptation.conditional import conditional_adversarial as conditional_adversarial
from mtl_jax.domain_adaptation.conditional import conditional_map as conditional_map
from mtl_jax.domain_adaptation.conditional import entropy_weights as entropy_weights
from mtl_jax.domain_adaptation.conditional import random_conditional_map as random_conditional_map
from mtl_jax.domain_adaptation.conditional import random_matrices as random_matrices
from mtl_jax.domain_adaptation.coral import coral as coral
from mtl_jax.domain_adaptation.coral import coral_with_means as coral_with_means
from mtl_jax.domain_adaptation.discriminated import ADDA as ADDA
from mtl_jax.domain_adaptation.discriminated import CDAN as CDAN
from mtl_jax.domain_adaptation.discriminated import DANN as DANN
from mtl_jax.domain_adaptation.fixbi import bidirectional_matching as bidirectional_matching
from mtl_jax.domain_adaptation.fixbi import confidence_threshold as confidence_threshold
from mtl_jax.domain_adaptation.fixbi import fixed_mix as fixed_mix
from mtl_jax.domain_adaptation.fixbi import self_penalty as self_penalty
from mtl_jax.domain_adaptation.fixbi import space_consistency as space_consistency
from mtl_jax.domain_adaptation.kernels import AdaptiveGaussians as AdaptiveGaussians
from mtl_jax.domain_adaptation.kernels import FixedGaussians as FixedGaussians
from mtl_jax.domain_adaptation.mcc import class_confusion as class_confusion
from mtl_jax.domain_adaptation.mcd import class_balance as class_balance
from mtl_jax.domain_adaptation.mcd import classifier_discrepancy as classifier_discrepancy
from mtl_jax.domain_adaptation.mdd import margin_disparity as margin_disparity
from mtl_jax.domain_adaptation.mmd import joint_mmd as joint_mmd
from mtl_jax.domain_adaptation.mmd import multi_kernel_mmd as multi_kernel_mmd
from mtl_jax.domain_adaptation.reversal import StepWarmUp as StepWarmUp
from mtl_jax.domain_adaptation.reversal import WarmUp as WarmUp
from mtl_jax.domain_adaptation.reversal import reverse as reverse
from mtl_jax.domain_adaptation.two_nets import FixBi as FixBi

typechecked.type_all(globals())
