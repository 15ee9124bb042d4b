"""The inputs of the tasks' losses, from the outputs of a step."""

from typing import Any

import jax

from mtl_jax.config.task import Task
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.model import EncoderOutput, trunk_features, vector_features
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import (
    Batch,
    Outputs,
    StepInputs,
)
from mtl_jax.core.tree import Tree
from mtl_jax.core.views import AdversarialView, TeacherView, view_key
from mtl_jax.train.decode import StreamOutputs
from mtl_jax.train.positions import flatten_positions


def make_aux_inputs(
    step: StepInputs, task: Task, batch: Batch, found: StreamOutputs, heads: Tree
) -> AuxInputs:
    """The inputs of a task's loss, except `precomputed`."""
    name = task.name
    views = () if task.auxiliary is None else task.auxiliary.views
    keys = {"labelled": "labelled"} if "labelled" in found.outputs else {}
    keys |= {view_key(view): key_in_stream(view, name) for view in views}
    # Stored teacher predictions have no features.
    features = {v: found.features[k][name] for v, k in keys.items() if k in found.features}
    weights = {
        view_key(v): batch.teacher[name].weights for v in views if isinstance(v, TeacherView)
    }

    def head_fn(head: str, x: jax.Array) -> jax.Array:
        return step.model.apply_head(heads, HeadKey(name, head).name, x)

    inputs = AuxInputs(
        logits={view: found.outputs[own][name] for view, own in keys.items()},
        labels=batch.labels[name],
        mask=batch.mask[name],
        unlabelled_index=batch.unlabelled_index,
        labelled_index=batch.labelled_index,
        heads=aux_outputs(task, found.outputs, keys),
        view_params={v: p for v, p in batch.view_params.items() if v in keys} | weights,
        progress=step.state.step / step.run.steps,
        key=fold_in_name(step.key, name),
        features={view: vector_features(each) for view, each in features.items()},
        feature_maps={
            view: each.feature_maps
            for view, each in features.items()
            if isinstance(each, EncoderOutput)
        },
        head_fn=head_fn,
    )
    if task.auxiliary is None or not task.auxiliary.per_position:
        return inputs
    whole = {view: trunk_features(each) for view, each in features.items()}
    return flatten_positions(name, inputs, whole)


def key_in_stream(view: Any, task: str) -> str:
    """The key of a task's view in its stream; adversarial views are separate for each task."""
    return f"{view_key(view)}/{task}" if isinstance(view, AdversarialView) else view_key(view)


def aux_outputs(task: Task, outputs: Outputs, keys: dict[str, str]) -> Outputs:
    """Outputs `[n, C]` by auxiliary head and view of a task; teacher views have no such heads."""
    specs = {} if task.auxiliary is None else task.auxiliary.aux_heads(task.num_outputs)
    names = {
        head: HeadKey(task.name, head).name
        for head, spec in specs.items()
        if not isinstance(spec, AuxMLP)
    }
    return {
        head: {view: outputs[own][name] for view, own in keys.items() if name in outputs[own]}
        for head, name in names.items()
    }
