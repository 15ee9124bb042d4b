"""Precomputation of methods from the source model and labelled examples before training."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_key import encoder_params
from mtl_jax.core.model import EncoderOutput, Model, features_by_task
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.step_types import SourceModel, Stream, TrainData
from mtl_jax.core.tree import take
from mtl_jax.train.views import as_float


def precompute(run: Run, net: Model, source: SourceModel, data: TrainData) -> dict[str, Any]:
    """Precomputed values of the tasks' methods, by task, for one seed.

    Args:
      run: the run configuration.
      net: the model of the run.
      source: the source model (`init_from`).
      data: the training data.
    """
    return {
        task.name: method.precompute(source_context(net, source, stream, task))
        for stream in data.streams.values()
        for task, method in methods_with_precompute(run)
        if task.name in stream.labels
    }


def methods_with_precompute(run: Run) -> list[tuple[Task, AuxiliaryLoss]]:
    """The methods that precompute values before the first step, with their tasks."""
    methods = [(task, task.auxiliary) for task in run.tasks]
    return [(task, each) for task, each in methods if each is not None and each.has_precompute]


def source_context(net: Model, source: SourceModel, stream: Stream, task: Task) -> SourceContext:
    """The inputs of a method's precomputation."""
    labelled, name = stream.labelled, task.name
    places = stream.places(labelled.index)
    return SourceContext(
        inputs=as_float(take(stream.inputs, places)),
        labels=stream.labels[name][places],
        mask=labelled.mask[name],
        num_classes=task.num_outputs,
        source_features=functools.partial(source_features, net, source, name),
    )


def source_features(
    net: Model,
    source: SourceModel,
    task: str,
    images: jax.Array,
    layer: str | None = None,
    keep: jax.Array | None = None,
) -> EncoderOutput:
    """Source features of images, with the output of one layer multiplied by `keep` `[C]`."""
    body = encoder_params(source.params)
    scaled = layer is not None and keep is not None
    interceptor = nn.intercept_methods(scale_channels(layer, keep)) if scaled else None
    with interceptor or contextlib.nullcontext():
        features, _ = net.encode(
            body, source.batch_stats, images, train=False, key=None, tasks=(task,)
        )
    found = features_by_task(features, (task,))[task]
    return found if isinstance(found, EncoderOutput) else EncoderOutput(found, {})


def scale_channels(layer: str, keep: jax.Array) -> Callable[..., Any]:
    """Makes a Linen interceptor that scales the output channels of a trunk's layer."""

    def intercept(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        here = context.method_name == "__call__" and context.module.path == (layer,)
        return outputs * keep.reshape(*(1,) * (outputs.ndim - 1), -1) if here else outputs

    return intercept
