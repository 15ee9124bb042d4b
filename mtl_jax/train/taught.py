"""What a policy that learns takes from a step: how well probes of labelled images are recognised."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.keys import named
from mtl_jax.net import Net
from mtl_jax.protocols import LearntPolicy
from mtl_jax.run import Run
from mtl_jax.train.batch import as_float, labelled
from mtl_jax.train.state import Given, Stream, TrainState, key_of


def taught(run: Run, net: Net, state: TrainState, given: Given, how: str) -> Any:
    """What the strong policy has learnt after a step.

    A labelled batch of its own is changed by chance, and judged by the averaged parameters of
    before the step: the score of an example is the probability of its label, as a mean over
    the tasks of classes whose label it has.

    Args:
      run: what is trained.
      net: its net.
      state: of before the step.
      given: what it trains on.
      how: how images go through policies with branches.
    """
    if not isinstance(run.strong, LearntPolicy):
        return state.augment
    learnt = state.augment
    for name, stream in given.streams.items():
        key = named(key_of(state, name), "probe")
        rows, _, labels, mask = labelled(run, stream, stream.known, key, state.step)
        images, choices = probed(run.strong, stream, rows, jax.random.fold_in(key, state.step), how)
        outputs, _ = net.apply(state.ema, state.stats, images, train=False)
        scores, count = recognised(outputs.logits, labels, mask)
        learnt = run.strong.learn(learnt, choices, scores, count > 0)
    return learnt


def probed(policy: LearntPolicy, stream: Stream, rows: jax.Array, key: jax.Array, how: str) -> Any:
    """Images `[B, ...]` changed by chance, and how."""
    pairs = jax.random.split(key, rows.shape[0]), as_float(stream.image[rows])
    if how == "map":
        return jax.lax.map(lambda pair: policy.probe(*pair), pairs)
    return jax.vmap(policy.probe)(*pairs)


def recognised(
    logits: dict[str, jax.Array], labels: dict[str, jax.Array], mask: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Mean probability of the labels that there are `[B]`, and how many `[B]`, of classes."""
    total, count = jnp.zeros(()), jnp.zeros((), jnp.int32)
    for name, label in labels.items():
        if not jnp.issubdtype(label.dtype, jnp.integer):
            continue
        hits = jnp.where(mask[name], label, 0)[:, None]
        found = jnp.take_along_axis(jax.nn.softmax(logits[name]), hits, 1)[:, 0]
        total = total + jnp.where(mask[name], found, 0.0)
        count = count + mask[name].astype(jnp.int32)
    return total / jnp.maximum(count, 1).astype(jnp.float32), count
