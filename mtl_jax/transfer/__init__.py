"""From a source run to a target run: taking its trunk over, and staying near it."""

from mtl_jax.transfer.graft import graft as graft
from mtl_jax.transfer.l2_sp import L2SP as L2SP
from mtl_jax.transfer.l2_sp import l2_sp as l2_sp
