"""What methods make of the source's net and the labelled examples, before the first step."""

import contextlib
import functools
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.model import Net, Read, by_task, without_heads
from mtl_jax.core.source_context import Opening
from mtl_jax.train.batch import as_float
from mtl_jax.train.state import Given, Start, Stream


def opening(run: Run, net: Net, anchor: Start, given: Given) -> dict[str, Any]:
    """By task, what its method says before the first step, of one seed.

    Args:
      run: what is trained.
      net: its net.
      anchor: the net that the run starts from.
      given: what it trains on.
    """
    return {
        task.name: task.consistency.begin(opened(net, anchor, stream, task))
        for stream in given.streams.values()
        for task in begins(run)
        if task.name in stream.labels
    }


def begins(run: Run) -> list[Task]:
    """The tasks whose methods say something before the first step."""
    return [task for task in run.tasks if hasattr(task.consistency, "begin")]


def opened(net: Net, anchor: Start, stream: Stream, task: Task) -> Opening:
    """What a method sees before the first step."""
    known, name = stream.known, task.name
    return Opening(
        images=as_float(stream.image[known.index]),
        labels=stream.labels[name][known.index],
        mask=known.mask[name],
        classes=task.outputs,
        read=functools.partial(read_by_source, net, anchor, name),
    )


def read_by_source(
    net: Net,
    anchor: Start,
    task: str,
    images: jax.Array,
    layer: str | None = None,
    keep: jax.Array | None = None,
) -> Read:
    """What the source reads in images, one of its layers multiplied by `keep` `[C]`."""
    body = without_heads(anchor.params)
    damped = contextlib.nullcontext() if layer is None else nn.intercept_methods(times(layer, keep))
    with damped:
        features, _ = net.encode(body, anchor.stats, images, train=False, key=None, tasks=(task,))
    found = by_task(features, (task,))[task]
    return found if isinstance(found, Read) else Read(found, {})


def times(layer: str, keep: jax.Array):
    """Makes a Linen interceptor that multiplies what a layer of a trunk gives."""

    def intercept(call, args, kwargs, context):
        given = call(*args, **kwargs)
        here = context.method_name == "__call__" and context.module.path == (layer,)
        return given * keep.reshape(*(1,) * (given.ndim - 1), -1) if here else given

    return intercept
