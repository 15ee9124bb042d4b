"""Loss weightings: map task losses to task weights, with one backward pass per step."""

from mtl_jax.core import typechecked
from mtl_jax.weighting.constant import Constant as Constant
from mtl_jax.weighting.cosmos import COSMOS as COSMOS
from mtl_jax.weighting.cosmos import cosmos_value as cosmos_value
from mtl_jax.weighting.cov import CoV as CoV
from mtl_jax.weighting.dwa import DWA as DWA
from mtl_jax.weighting.equal import Equal as Equal
from mtl_jax.weighting.famo import FAMO as FAMO
from mtl_jax.weighting.geometric import Geometric as Geometric
from mtl_jax.weighting.geometric import geometric_value as geometric_value
from mtl_jax.weighting.imtl_l import IMTLL as IMTLL
from mtl_jax.weighting.imtl_l import imtl_l_value as imtl_l_value
from mtl_jax.weighting.log_sum import LogSum as LogSum
from mtl_jax.weighting.mean import Mean as Mean
from mtl_jax.weighting.pbi import PBI as PBI
from mtl_jax.weighting.pbi import pbi_value as pbi_value
from mtl_jax.weighting.random import Random as Random
from mtl_jax.weighting.stch import STCH as STCH
from mtl_jax.weighting.stch import stch_value as stch_value
from mtl_jax.weighting.task_sampling import TaskSampling as TaskSampling
from mtl_jax.weighting.uncertainty import Uncertainty as Uncertainty
from mtl_jax.weighting.uncertainty import uncertainty_value as uncertainty_value

typechecked.typecheck_exports(globals())
from mtl_jax.weighting.simplex import simplex_weights as simplex_weights
