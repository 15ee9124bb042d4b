"""Aggregators: map per-task gradients to task weights, at K backward passes per step.

`aggregate` has an example of how aggregators of gradients are called.
"""

from mtl_jax.aggregation.aligned_mtl import AlignedMTL as AlignedMTL
from mtl_jax.aggregation.auto_lambda import AutoLambda as AutoLambda
from mtl_jax.aggregation.balance import aggregate as aggregate
from mtl_jax.aggregation.balance import balance as balance
from mtl_jax.aggregation.cagrad import CAGrad as CAGrad
from mtl_jax.aggregation.config import ConFIG as ConFIG
from mtl_jax.aggregation.cr_mogm import CRMOGM as CRMOGM
from mtl_jax.aggregation.db_mtl import DBMTL as DBMTL
from mtl_jax.aggregation.dual_proj import DualProj as DualProj
from mtl_jax.aggregation.excess_mtl import ExcessMTL as ExcessMTL
from mtl_jax.aggregation.fairgrad import FairGrad as FairGrad
from mtl_jax.aggregation.geometric_median import GeometricMedian as GeometricMedian
from mtl_jax.aggregation.graddrop import GradDrop as GradDrop
from mtl_jax.aggregation.gradnorm import GradNorm as GradNorm
from mtl_jax.aggregation.gradvac import GradVac as GradVac
from mtl_jax.aggregation.imtl_g import IMTLG as IMTLG
from mtl_jax.aggregation.krum import Krum as Krum
from mtl_jax.aggregation.metabalance import MetaBalance as MetaBalance
from mtl_jax.aggregation.mgda import MGDA as MGDA
from mtl_jax.aggregation.moco import MoCo as MoCo
from mtl_jax.aggregation.modo import MoDo as MoDo
from mtl_jax.aggregation.moml import MOML as MOML
from mtl_jax.aggregation.nash_mtl import NashMTL as NashMTL
from mtl_jax.aggregation.ntkmtl import NTKMTL as NTKMTL
from mtl_jax.aggregation.pcd import PCD as PCD
from mtl_jax.aggregation.pcgrad import PCGrad as PCGrad
from mtl_jax.aggregation.per_layer import PerLayer as PerLayer
from mtl_jax.aggregation.pivrg import PIVRG as PIVRG
from mtl_jax.aggregation.samo import SAMO as SAMO
from mtl_jax.aggregation.sdmgrad import SDMGrad as SDMGrad
from mtl_jax.aggregation.trimmed_mean import TrimmedMean as TrimmedMean
from mtl_jax.aggregation.upgrad import UPGrad as UPGrad
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
