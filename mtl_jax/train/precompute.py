"""Precomputation of methods from the source model and labelled examples before training."""

import contextlib
import functools
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.head_key import encoder_params
from mtl_jax.core.model import EncoderOutput, Model, features_by_task
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.step_types import SourceModel, Stream, TrainData
from mtl_jax.train.batch import as_float


def precompute(run: Run, net: Model, anchor: SourceModel, given: TrainData) -> dict[str, Any]:
    """Precomputed values of the tasks' methods, by task, for one seed.

    Args:
      run: the run configuration.
      net: the model of the run.
      anchor: the source model (`init_from`).
      given: the training data.
    """
    return {
        task.name: task.auxiliary.precompute(source_context(net, anchor, stream, task))
        for stream in given.streams.values()
        for task in tasks_to_precompute(run)
        if task.name in stream.labels
    }


def tasks_to_precompute(run: Run) -> list[Task]:
    """The tasks whose methods precompute values before the first step."""
    return [t for t in run.tasks if t.auxiliary is not None and t.auxiliary.has_precompute]


def source_context(net: Model, anchor: SourceModel, stream: Stream, task: Task) -> SourceContext:
    """The inputs of a method's precomputation."""
    known, name = stream.labelled, task.name
    return SourceContext(
        images=as_float(stream.image[known.index]),
        labels=stream.labels[name][known.index],
        mask=known.mask[name],
        num_classes=task.num_outputs,
        source_features=functools.partial(source_features, net, anchor, name),
    )


def source_features(
    net: Model,
    anchor: SourceModel,
    task: str,
    images: jax.Array,
    layer: str | None = None,
    keep: jax.Array | None = None,
) -> EncoderOutput:
    """Source features of images, with the output of one layer multiplied by `keep` `[C]`."""
    body = encoder_params(anchor.params)
    damped = (
        contextlib.nullcontext()
        if layer is None
        else nn.intercept_methods(scale_channels(layer, keep))
    )
    with damped:
        features, _ = net.encode(
            body, anchor.batch_stats, images, train=False, key=None, tasks=(task,)
        )
    found = features_by_task(features, (task,))[task]
    return found if isinstance(found, EncoderOutput) else EncoderOutput(found, {})


def scale_channels(layer: str, keep: jax.Array):
    """Makes a Linen interceptor that scales the output channels of a trunk's layer."""

    def intercept(call, args, kwargs, context):
        given = call(*args, **kwargs)
        here = context.method_name == "__call__" and context.module.path == (layer,)
        return given * keep.reshape(*(1,) * (given.ndim - 1), -1) if here else given

    return intercept
