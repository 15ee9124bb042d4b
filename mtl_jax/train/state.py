"""The model of a run, and its initial training state."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config import param_rules
from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.features import Shape, positions_of
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.head_specs import HeadSpec
from mtl_jax.core.model import Model
from mtl_jax.core.optimizer import Optimizer
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import InitContext
from mtl_jax.core.step_types import TrainState
from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import traits
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import make_model
from mtl_jax.train.extensions import extensions_of
from mtl_jax.train.microbatches import in_microbatches
from mtl_jax.train.mixed_precision import in_bfloat16
from mtl_jax.train.rematerialization import with_remat
from mtl_jax.transfer import restore_batch_stats, restore_params

HeadSpecs = dict[str, HeadSpec]  # By head name.
Init = tuple[Tree, Tree]  # Parameters and batch statistics.


def build_model(run: Run) -> Model:
    """The model that a run trains."""
    maps = any(t.auxiliary is not None and t.auxiliary.needs_feature_maps for t in run.tasks)
    return make_model(run.trunk, head_specs(run), run.param_rules, maps)


def training_model(model: Model, execution: Execution) -> Model:
    """The model as a training step computes it: its precision, and what it keeps in memory."""
    if execution.precision == "bfloat16":
        model = in_bfloat16(model)
    if execution.remat:
        model = with_remat(model)
    return in_microbatches(model, execution.microbatches or 1, execution.step_loop)


def head_specs(run: Run) -> HeadSpecs:
    """Heads of a run's tasks and, as `task/name`, the auxiliary heads of their methods."""
    outputs: HeadSpecs = {task.name: task.head_spec for task in run.tasks}
    for extension in run.extensions:
        outputs |= extension.head_specs(run)
    for task in run.tasks:
        if task.auxiliary is not None:
            for name, head in task.auxiliary.aux_heads(task.num_outputs).items():
                outputs[HeadKey(task.name, name).name] = head
    return outputs


def output_positions(run: Run, example: Tree) -> dict[str, Shape]:
    """Shape of the positions of each task's outputs, () for outputs `[N, C]`.

    The model is traced only if a task with a head of its own has an auxiliary loss, which needs it.

    Args:
      run: the run.
      example: shapes and dtypes of an example, as passed to the model.
    """
    if all(task.head is None or task.auxiliary is None for task in run.tasks):
        return {task.name: () for task in run.tasks}
    model = build_model(run)
    inputs = jax.tree.map(lambda leaf: jnp.zeros((2, *leaf.shape), leaf.dtype), example)

    def outputs():
        params, stats = model.init(jax.random.key(0), inputs)
        return model.apply(params, stats, inputs, train=False)[0].logits

    shapes = jax.eval_shape(outputs)
    return {task.name: positions_of(shapes[task.name]) for task in run.tasks}


def optimizer_of(run: Run) -> Optimizer:
    """The optimizer of the trained model: an extension's if it has one, else the run's."""
    own = [e.optimizer for e in run.extensions if e.optimizer is not None]
    return own[0] if own else run.optimizer


def init_model(model: Model, seed: jax.Array, example: Tree, name: str = "init") -> Init:
    """Initializes parameters and batch statistics from the seed `[]` and an example's shapes.

    `name` is the name of the random stream: "init" for the run's model.
    """
    sample = jax.tree.map(lambda leaf: jnp.zeros((1, *leaf.shape), leaf.dtype), example)
    return model.init(fold_in_name(jax.random.key(seed), name), sample)


def init_train_state(
    run: Run,
    sizes: dict[str, DatasetSizes],
    seed: jax.Array,
    model: Init,
    source: Init | None = None,
    models: dict[str, Init] | None = None,
) -> TrainState:
    """Creates the initial training state.

    Args:
      run: the run configuration.
      sizes: dataset sizes of each task.
      seed: an integer, `[]`.
      model: a new model of the same seed, from `init_model`.
      source: parameters and batch statistics of the source model.
      models: further new models of the same seed, by name in `extra_models`.

    Returns:
      A `TrainState` for one seed. Frozen parameters have no optimizer state.

    Raises:
      BadInput: if the source does not match, or the rules do not cover the parameters.
    """
    params, batch_stats = init_params(run, model, source)
    param_rules.check(params, run.param_rules)
    trained, _ = partition_params(params, run.param_rules)
    balance_state = init_balance_state(run.balance, len(run.tasks), trained["shared"])
    check_shared(run, trained["shared"], balance_state)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed),
        params=params,
        batch_stats=batch_stats,
        ema=params,
        opt_state=run.optimizer.build(run.steps, run.param_rules).init(trained),
        balance_state=balance_state,
        aux_state={
            task.name: task.auxiliary.init(sizes[task.name])
            for task in run.tasks
            if task.auxiliary is not None
        },
        extensions=init_extensions(run, models or {}, source),
    )


def check_shared(run: Run, shared: Tree, balance_state: Tree) -> None:
    """Requires trained shared parameters where the run needs their gradients.

    Raises:
      BadInput: without any, or for a balance with a state of their shapes if the Jacobian is with
        respect to the representation.
    """
    by_losses = not run.balance.needs_task_gradients and not run.evaluation.measure_affinity
    if not jax.tree.leaves(shared) and not by_losses:
        owner = (
            "Evaluation.measure_affinity needs"
            if run.evaluation.measure_affinity
            else f"{run.balance!r} balances"
        )
        raise BadInput(f"run {run.name!r}: {owner} trained shared parameters, there are none")
    stateful = run.balance.access == "jacobian" and jax.tree.leaves(balance_state)
    if run.balance_options.jacobian_wrt == "representation" and stateful:
        raise BadInput(
            f"run {run.name!r}: {run.balance!r} keeps a state of the shared parameters' shapes, "
            "so balance_options.jacobian_wrt must be 'parameters'"
        )


def init_extensions(run: Run, models: dict[str, Init], source: Init | None) -> dict[str, Tree]:
    """Initial states of the extensions."""
    restored = {name: init_params(run, model, source) for name, model in models.items()}
    context = InitContext(run, restored)
    return {extension.name: extension.init(context) for extension in extensions_of(run)}


def init_params(run: Run, model: Init, source: Init | None) -> Init:
    """Initial parameters and statistics: new ones, overwritten by those restored from a source."""
    if source is None:
        return model
    (params, batch_stats), (source_params, source_stats) = model, source
    init = run.initialization
    new_params = init.new_params + uninitialized_by_source(run.trunk, source_params)
    return (
        restore_params(params, source_params, init.param_map, new_params),
        restore_batch_stats(batch_stats, source_stats, init.param_map, new_params),
    )


def uninitialized_by_source(trunk: Any, params: Tree) -> tuple[str, ...]:
    """Patterns of parameters that are added to a trunk and missing in the source."""
    return () if "added" in params["shared"] else traits(trunk).new_params


def init_balance_state(method: Any, num_tasks: int, shared: Any) -> Any:
    """Initial state of a balancing method, for the parameters it balances."""
    if method.access == "jacobian":
        return method.init(num_tasks, shared)
    return method.init(num_tasks)
