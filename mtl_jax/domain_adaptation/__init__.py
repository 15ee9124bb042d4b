"""Unsupervised domain adaptation: losses that align source and target, independent of a trainer.

The source is the labelled batch B, the target the unlabelled batch U. Distances of two batches and
losses normalized over a batch are scalars; the others are per example, without reduction.
Capitalized names are methods for `Task.auxiliary` on `data.Domains`, built from these losses.

Example:
  >>> from mtl_jax import Task, domain_adaptation, losses, metrics
  >>> method = domain_adaptation.DANN(widths=(256,))
  >>> task = Task(name="digit", num_outputs=10, loss=losses.cross_entropy,
  ...             metrics=(metrics.Accuracy(),), auxiliary=method)
  >>> task.auxiliary.views  # source, target
  ('labelled', 'weak')
"""

from mtl_jax.core import typechecked
from mtl_jax.domain_adaptation.adda import ADDA as ADDA
from mtl_jax.domain_adaptation.afn import AFN as AFN
from mtl_jax.domain_adaptation.afn import hard_feature_norm as hard_feature_norm
from mtl_jax.domain_adaptation.afn import length_preserving_dropout as length_preserving_dropout
from mtl_jax.domain_adaptation.afn import stepwise_feature_norm as stepwise_feature_norm
from mtl_jax.domain_adaptation.bsp import spectral_penalty as spectral_penalty
from mtl_jax.domain_adaptation.cdan import CDAN as CDAN
from mtl_jax.domain_adaptation.cdan_losses import conditional_adversarial as conditional_adversarial
from mtl_jax.domain_adaptation.cdan_losses import conditional_map as conditional_map
from mtl_jax.domain_adaptation.cdan_losses import entropy_weights as entropy_weights
from mtl_jax.domain_adaptation.cdan_losses import random_conditional_map as random_conditional_map
from mtl_jax.domain_adaptation.cdan_losses import random_matrices as random_matrices
from mtl_jax.domain_adaptation.coral import CORAL as CORAL
from mtl_jax.domain_adaptation.coral import coral as coral
from mtl_jax.domain_adaptation.coral import coral_with_means as coral_with_means
from mtl_jax.domain_adaptation.dan import DAN as DAN
from mtl_jax.domain_adaptation.dan import JAN as JAN
from mtl_jax.domain_adaptation.dann import DANN as DANN
from mtl_jax.domain_adaptation.dann import domain_adversarial as domain_adversarial
from mtl_jax.domain_adaptation.fixbi import FixBi as FixBi
from mtl_jax.domain_adaptation.fixbi_losses import bidirectional_matching as bidirectional_matching
from mtl_jax.domain_adaptation.fixbi_losses import confidence_threshold as confidence_threshold
from mtl_jax.domain_adaptation.fixbi_losses import fixed_ratio_mixup_loss as fixed_ratio_mixup_loss
from mtl_jax.domain_adaptation.fixbi_losses import self_penalty as self_penalty
from mtl_jax.domain_adaptation.fixbi_losses import space_consistency as space_consistency
from mtl_jax.domain_adaptation.kernels import AdaptiveGaussians as AdaptiveGaussians
from mtl_jax.domain_adaptation.kernels import FixedGaussians as FixedGaussians
from mtl_jax.domain_adaptation.mcc import MCC as MCC
from mtl_jax.domain_adaptation.mcc import class_confusion as class_confusion
from mtl_jax.domain_adaptation.mcd import MCD as MCD
from mtl_jax.domain_adaptation.mcd import class_balance as class_balance
from mtl_jax.domain_adaptation.mcd import classifier_discrepancy as classifier_discrepancy
from mtl_jax.domain_adaptation.mdd import MDD as MDD
from mtl_jax.domain_adaptation.mdd import margin_disparity as margin_disparity
from mtl_jax.domain_adaptation.mmd import joint_mmd as joint_mmd
from mtl_jax.domain_adaptation.mmd import multi_kernel_mmd as multi_kernel_mmd
from mtl_jax.domain_adaptation.reversal import SigmoidWarmUp as SigmoidWarmUp
from mtl_jax.domain_adaptation.reversal import StepWarmUp as StepWarmUp
from mtl_jax.domain_adaptation.reversal import reverse_gradient as reverse_gradient

typechecked.typecheck_exports(globals())
