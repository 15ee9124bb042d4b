"""Decodes the features of a stream's passes into outputs by view."""

from typing import Any, NamedTuple

from mtl_jax.config.task import required_views
from mtl_jax.core.features import drop_channels
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.model import EncoderOutput
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import Features, ForwardPass, Outputs, StepInputs, StreamInputs
from mtl_jax.core.tree import Tree, concatenate
from mtl_jax.core.views import FeatureDropoutView, view_key
from mtl_jax.train.objective import pass_key
from mtl_jax.train.views import split_sizes

SizesByTask = dict[str, dict[str, int]]  # By task and view, in order.


class StreamOutputs(NamedTuple):
    """Outputs and features of one stream from all models, by view."""

    outputs: Outputs
    features: Features
    batch_stats: Tree  # After the joint pass.


def decode_stream(
    step: StepInputs, heads: Tree, stats: Tree, stream: StreamInputs, features: dict[str, tuple]
) -> StreamOutputs:
    """Decodes a stream: its outputs and features, from the task features of every pass."""
    outputs, by_view = dict(stream.fixed_outputs), dict(stream.fixed_features)
    after = stats
    for index, own in enumerate(stream.passes):
        here = {name: features[name][index] for name in stream.tasks}
        here, sizes = add_dropout_views(step, own, here)
        found, updated = step.model.decode(heads, stats, here, train=True, key=pass_key(step, own))
        after = after if own.name else updated
        outputs |= split_by_task(found, sizes)
        by_view |= split_by_task(here, sizes)
    return StreamOutputs(outputs, by_view, after)


def add_dropout_views(
    step: StepInputs, own: ForwardPass, features: dict[str, Any]
) -> tuple[dict[str, Any], SizesByTask]:
    """Adds the views by feature dropout that tasks request of the views of a pass.

    Args:
      step: run, model, state and key of the step.
      own: the pass.
      features: by task, of all examples of the pass.

    Returns:
      The features, and the number of examples of every view.
    """
    sizes = {name: dict(own.sizes) for name in features}
    tasks = [task for task in step.run.tasks if task.name in features and not own.name]
    requests = [
        (task.name, view)
        for task in tasks
        for view in dict.fromkeys(required_views(task))
        if isinstance(view, FeatureDropoutView)
    ]
    found = dict(features)
    for name, view in requests:
        given = split_by_task({name: features[name]}, {name: own.sizes})[view.view][name]
        key = fold_in_name(pass_key(step, own), f"{view_key(view)}/{name}")
        found[name] = concatenate([found[name], drop_features(key, given, view.rate)])
        sizes[name][view_key(view)] = own.sizes[view.view]
    return found, sizes


def drop_features(key: Any, features: Any, rate: float) -> Any:
    """Features of a trunk with channels dropped; outputs of its layers stay as they are."""
    if isinstance(features, EncoderOutput):
        return features._replace(features=drop_channels(key, features.features, rate))
    return drop_channels(key, features, rate)


def split_by_task(values: dict[str, Any], sizes: SizesByTask) -> dict[str, dict[str, Any]]:
    """Splits trees of `[sum n, ...]` by head into trees by view and head."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        own = sizes[HeadKey.parse(name).task]
        for view, part in zip(own, split_sizes(value, list(own.values())), strict=True):
            found.setdefault(view, {})[name] = part
    return found
