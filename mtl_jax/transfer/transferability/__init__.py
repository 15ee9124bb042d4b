"""Transferability estimates of a source model before any training, in NumPy and float64."""

from mtl_jax.transfer.transferability.h_score import h_score as h_score
from mtl_jax.transfer.transferability.leep import leep as leep
from mtl_jax.transfer.transferability.logme import logme as logme
from mtl_jax.transfer.transferability.logme import logme_regression as logme_regression
from mtl_jax.transfer.transferability.nce import nce as nce
from mtl_jax.transfer.transferability.regularized_h_score import (
    regularized_h_score as regularized_h_score,
)
from mtl_jax.transfer.transferability.transrate import transrate as transrate
