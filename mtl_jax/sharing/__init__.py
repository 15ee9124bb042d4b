"""Soft parameter sharing: penalties on per-task trunks that pull the tasks together.

Example:
  >>> import jax.numpy as jnp
  >>> from mtl_jax import sharing
  >>> trunk = {"Dense_0": {"kernel": jnp.array([[[1.0]], [[3.0]]])}}  # Two tasks.
  >>> penalty = sharing.MeanL2(weight=0.1)
  >>> round(float(penalty({"shared": {}, "tasks": {"trunk": trunk}}, None)), 3)
  0.2
"""

from mtl_jax.core import typechecked
from mtl_jax.sharing.clustered import Clustered as Clustered
from mtl_jax.sharing.clustered import clustered as clustered
from mtl_jax.sharing.cosine_distance import CosineDistance as CosineDistance
from mtl_jax.sharing.cosine_distance import squared_cosines as squared_cosines
from mtl_jax.sharing.dirty import Dirty as Dirty
from mtl_jax.sharing.dirty import dirty as dirty
from mtl_jax.sharing.graph_laplacian import GraphLaplacian as GraphLaplacian
from mtl_jax.sharing.graph_laplacian import graph_laplacian as graph_laplacian
from mtl_jax.sharing.group_l1_inf import GroupL1Inf as GroupL1Inf
from mtl_jax.sharing.group_l1_inf import group_l1_inf as group_l1_inf
from mtl_jax.sharing.group_l21 import GroupL21 as GroupL21
from mtl_jax.sharing.group_l21 import group_l21 as group_l21
from mtl_jax.sharing.mean_l2 import MeanL2 as MeanL2
from mtl_jax.sharing.mean_l2 import mean_l2 as mean_l2
from mtl_jax.sharing.mtrl import MTRL as MTRL
from mtl_jax.sharing.mtrl import mtrl as mtrl
from mtl_jax.sharing.mtrl import task_covariance as task_covariance
from mtl_jax.sharing.orthogonality import Orthogonality as Orthogonality
from mtl_jax.sharing.orthogonality import orthogonality as orthogonality
from mtl_jax.sharing.orthogonality import shared_private_overlap as shared_private_overlap
from mtl_jax.sharing.proximal import prox_l1 as prox_l1
from mtl_jax.sharing.proximal import prox_l1_inf as prox_l1_inf
from mtl_jax.sharing.proximal import prox_l21 as prox_l21
from mtl_jax.sharing.proximal import prox_trace_norm as prox_trace_norm
from mtl_jax.sharing.robust import Robust as Robust
from mtl_jax.sharing.robust import robust as robust
from mtl_jax.sharing.tensor_normal import TensorNormal as TensorNormal
from mtl_jax.sharing.tensor_normal import tensor_normal as tensor_normal
from mtl_jax.sharing.trace_norm import TraceNorm as TraceNorm
from mtl_jax.sharing.trace_norm import trace_norm as trace_norm
from mtl_jax.sharing.tt_norm import TTNorm as TTNorm
from mtl_jax.sharing.tt_norm import tt_norm as tt_norm
from mtl_jax.sharing.tucker_norm import TuckerNorm as TuckerNorm
from mtl_jax.sharing.tucker_norm import tucker_norm as tucker_norm

typechecked.typecheck_exports(globals())
