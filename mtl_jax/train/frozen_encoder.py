"""Features of an encoder that is not trained, computed once instead of in every step."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.extend.core import Jaxpr, Var

from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.head_key import encoder_params
from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree, num_examples
from mtl_jax.train.evaluate import pad_to_chunks, without_padding
from mtl_jax.train.views import as_float


def reads_plain_inputs(run: Run) -> bool:
    """Whether a step passes nothing but labelled inputs through the model, as they are."""
    policies = [*run.augmentation.policies.values(), run.augmentation.joint]
    auxiliary = [task.auxiliary for task in run.tasks]
    return not any(part is not None for part in (*policies, *auxiliary)) and not run.extensions


def has_one_encoder(run: Run, num_seeds: int) -> bool:
    """Whether that many seeds start from the same parameters of the encoder."""
    source = run.initialization
    from_file = source.init_from is not None and not isinstance(source.init_from, Run)
    return num_seeds == 1 or (from_file and not source.new_params)


def is_encoder_fixed(run: Run, model: Model, params: Tree, stats: Tree, example: Tree) -> bool:
    """Whether training neither changes the encoder nor makes it random.

    Args:
      run: the run configuration.
      model: the model of the run.
      params: shapes of the parameters of one seed.
      stats: shapes of its statistics.
      example: shapes and dtypes of an example, as passed to the model.
    """
    trained, _ = partition_params(params, run.param_rules)
    if jax.tree.leaves(encoder_params(trained)):
        return False
    same = []

    def encode(key: jax.Array, params: Tree, stats: Tree, inputs: Tree) -> Any:
        features, after = model.encode(params, stats, inputs, train=True, key=key)
        pairs = zip(jax.tree.leaves(stats), jax.tree.leaves(after), strict=True)
        same.append(all(old is new for old, new in pairs))
        return features

    inputs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), example)
    key = jax.eval_shape(lambda: jax.random.key(0))
    jaxpr = jax.make_jaxpr(encode)(key, encoder_params(params), stats, inputs).jaxpr
    return same[0] and not depends_on_first(jaxpr)


def depends_on_first(jaxpr: Jaxpr) -> bool:
    """Whether an output of a jaxpr may depend on its first input."""
    reached = {jaxpr.invars[0]}
    for equation in jaxpr.eqns:
        if any(isinstance(var, Var) and var in reached for var in equation.invars):
            reached |= set(equation.outvars)
    return any(isinstance(var, Var) and var in reached for var in jaxpr.outvars)


def with_features(model: Model) -> Model:
    """The model for inputs that are the features of its encoder."""

    def encode(params: Tree, stats: Tree, x: Any, **_: Any) -> tuple[Any, Tree]:
        return x, stats

    return model._replace(encode=encode)


def encode_examples(
    model: Model, params: Tree, stats: Tree, inputs: Tree, batch_size: int, train: bool
) -> Any:
    """Features `[N, ...]` of inputs `[N, ...]`, in batches of the size of those of a step."""
    size = num_examples(inputs)
    batches = pad_to_chunks(inputs, size, -(-size // batch_size), batch_size)

    def encode(part: Tree) -> Any:
        encoder = encoder_params(params)
        return model.encode(encoder, stats, as_float(part), train=train, key=None)[0]

    return without_padding(jax.lax.map(encode, batches), size)


def encode_splits(model: Model, params: Tree, stats: Tree, splits: Any, batch_size: int) -> Any:
    """Evaluation data with features in the place of inputs."""

    def encoded(arrays: Mapping[str, Any]) -> dict[str, Any]:
        features = encode_examples(model, params, stats, arrays["inputs"], batch_size, train=False)
        return {**arrays, "inputs": features}

    return {
        split: {name: encoded(arrays) for name, arrays in streams.items()}
        for split, streams in splits.items()
    }
