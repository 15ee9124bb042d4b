"""The initial state of a run's seeds, on the devices of a mesh."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Wrapped

from mtl_jax import train
from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.run import Run
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.runner.seed_functions import (
    INIT_COMPILER_OPTIONS,
    INIT_STATIC_ARGNUMS,
    ExampleSpec,
    Init,
    init_models,
    make_models,
)
from mtl_jax.runner.state_sharding import shard_like_params


@dataclasses.dataclass(frozen=True, eq=False)
class InitialState:
    """The functions that make a run's initial state; every leaf has a leading axis S.

    Attributes:
      run: the run configuration.
      mesh: the devices.
      requested: which parameters are sharded over the axis "model".
      example: shapes and dtypes of an example.
      sizes: numbers of outputs and examples, by task.
    """

    run: Run
    mesh: Mesh
    requested: DeviceMesh
    example: ExampleSpec
    sizes: dict[str, DatasetSizes]

    @property
    def seeds(self) -> jax.Array:
        """The seeds `[S]`."""
        first = self.run.first_seed
        return jnp.arange(first, first + self.run.num_seeds, dtype=jnp.uint32)

    def make(self, source: Init | None) -> train.TrainState:
        """The initial state.

        Args:
          source: parameters and statistics `[S, ...]` of the source model, if the run has one.
        """
        model, extra_models = self.new_models()
        return self.jitted(model, source, extra_models)

    def abstract(self, source: Init | None) -> train.TrainState:
        """Shapes and shardings of the initial state, from the shapes of a source model."""
        model, extra_models = self.new_models(abstract=True)
        return self.jitted.trace(model, source, extra_models).out_info

    def new_models(self, abstract: bool = False) -> tuple[Init, dict[str, Init]]:
        """New models of the run and, by name, of its extensions; or their shapes."""
        outputs = tuple(train.head_specs(self.run).items())
        args = (self.run.trunk, outputs, self.example, self.seeds)
        init = init_models.eval_shape if abstract else self.sharded_init_models(args)
        names = [name for extension in self.run.extensions for name in extension.extra_models]
        return init(*args), {name: init(*args, name) for name in names}

    def sharded_init_models(self, args: tuple) -> Callable[..., Init]:
        """`init_models` for some arguments; no sharded parameter is whole on a device."""
        if self.mesh.shape["model"] == 1:
            return init_models
        shapes = init_models.eval_shape(*args)
        return jax.jit(
            make_models,
            static_argnums=INIT_STATIC_ARGNUMS,
            compiler_options=INIT_COMPILER_OPTIONS,
            out_shardings=self.shard(shapes, shapes[0]),
        )

    def create(
        self, model: Init, source: Init | None, extra_models: dict[str, Init]
    ) -> train.TrainState:
        """The initial state, from new models of the run and of its extensions."""
        create = functools.partial(train.init_train_state, self.run, self.sizes)
        return jax.vmap(create)(self.seeds, model, source, extra_models)

    @functools.cached_property
    def jitted(self) -> Wrapped:
        """The jitted `create`."""
        return jax.jit(
            self.create, compiler_options=INIT_COMPILER_OPTIONS, out_shardings=self.sharding
        )

    @functools.cached_property
    def sharding(self) -> Any:
        """The shardings of the state, one for all leaves if no parameter is sharded."""
        if self.mesh.shape["model"] == 1:
            return NamedSharding(self.mesh, PartitionSpec("seed"))
        model, extra_models = self.new_models(abstract=True)
        state = jax.eval_shape(self.create, model, None, extra_models)
        return self.shard(state, state.params)

    def shard(self, tree: Any, params: Any) -> Any:
        """Shardings of leaves `[S, ...]`, as in `shard_like_params`."""
        return shard_like_params(self.mesh, self.requested, tree, params)
