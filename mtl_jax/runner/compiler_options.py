"""Options of XLA for the compiled functions of a run."""

import functools
from typing import Any

import jax

from mtl_jax.config.run import Run
from mtl_jax.core.trunk import traits

# A run of a few steps takes less time than compiling a well optimized step.
SMOKE_OPTIONS = {"xla_backend_optimization_level": 0}
SMOKE_STEPS_LIMIT = 20
# Before JAX 0.11, YNNPACK, which XLA has compute convolutions by default, takes one core for few
# channels. Measured with JAX 0.10.2 on 2 CPU cores: 3 x 3 convolutions of 32 and 64 channels have
# 50 to 100 GFLOP/s, Eigen's 165 to 172; with JAX 0.11 and 0.12, 160 to 195 and 165 to 175.
CONVOLUTION_OPTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"
}


def step_options(run: Run, platform: str) -> dict[str, Any]:
    """Options for the training steps of a run."""
    smoke = SMOKE_OPTIONS if run.steps <= SMOKE_STEPS_LIMIT else {}
    return {**smoke, **evaluation_options(run, platform)}


def evaluation_options(run: Run, platform: str) -> dict[str, Any]:
    """Options for the evaluations of a run."""
    is_slow = platform == "cpu" and traits(run.trunk).convolutional and needs_options()
    return CONVOLUTION_OPTIONS if is_slow else {}


@functools.cache
def needs_options() -> bool:
    """Whether this XLA is slow without the options, which are experimental, and knows them."""
    if jax.__version_info__ >= (0, 11):
        return False
    identity = jax.jit(lambda x: x, compiler_options=CONVOLUTION_OPTIONS)
    try:
        identity.lower(0.0).compile()
    except Exception:  # noqa: BLE001, of a type that differs between versions.
        return False
    return True
