"""The trained model of a run: chosen parameters, with added ones merged."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.head_key import head_params, head_stats
from mtl_jax.core.model import Model
from mtl_jax.core.protocols import PretrainedWeights
from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import traits
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require, require_choice
from mtl_jax.core.views import PARAMETERS, Parameters
from mtl_jax.nets import make_model
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis, seeds_of
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.transfer import uniform_soup


@typechecked
@dataclasses.dataclass(frozen=True)
class Choice:
    """Which of a run's trained parameters are exported.

    Attributes:
      parameters: "selected", those of the evaluation that validation selected; "raw" or "ema", the
        raw or averaged ones of the last step.
      seed: the seed, as in `table.csv`; "soup" for the mean over all seeds; None for the first.

    Raises:
      BadInput: for another value.
    """

    parameters: Parameters = "selected"
    seed: int | Literal["soup"] | None = None

    def __post_init__(self):
        require_choice(self, parameters=PARAMETERS)
        valid = self.seed is None or self.seed == "soup" or type(self.seed) is int
        require(valid, self, "seed", 'must be a seed of the run, or "soup"', self.seed)


class TrainedModel(NamedTuple):
    """A model without auxiliary heads and added parameters, and its host arrays."""

    model: Model
    params: Tree
    batch_stats: Tree


def load_trained(run: Run, folder: RunDirectory, choice: Choice) -> TrainedModel:
    """Loads chosen parameters of a finished run.

    Parameters that a trunk adds to another one (`nets.LoRA`, `nets.SSF`) are merged into it, and
    auxiliary heads are left out.

    Args:
      run: a finished run.
      folder: its folder.
      choice: the chosen parameters. The soup of all seeds is the mean of their merged parameters
        (`transfer.uniform_soup`), see `require_soup`.

    Raises:
      BadInput: if files are missing or damaged, the run has no such seed, selects parameters for
        each task, or has no soup.
    """
    by_task = run.evaluation.selection == "per_task" and len(run.tasks) > 1
    rule = "must be raw or ema of a run that selects parameters for each task"
    require(not by_task or choice.parameters != "selected", choice, "parameters", rule, "selected")
    if choice.seed == "soup":
        require_soup(run)
    index = seed_index(run, choice)
    why = "they are exported"
    found = load_trained_params(run, folder, choice.parameters, run.tasks[0].name, why)
    params, stats = merge_added(run, *without_auxiliary(run, *found))
    if choice.seed == "soup":
        seeds = range(run.num_seeds)
        candidates = [jax.tree.map(lambda leaf, s=s: leaf[s], params) for s in seeds]
        equal = all((leaf == leaf[:1]).all() for leaf in jax.tree.leaves(stats))
        rule = 'must not be "soup" where statistics of BatchNorm differ by seed; freeze BatchNorm'
        require(equal, choice, "seed", rule, "soup")
        params = jax.device_get(uniform_soup(candidates))
    else:
        params = jax.tree.map(lambda leaf: leaf[index], params)
    stats = jax.tree.map(lambda leaf: leaf[index], stats)
    return TrainedModel(model_of(run), params, stats)


def model_of(run: Run) -> Model:
    """The model of a run without auxiliary heads and added parameters."""
    trunk = traits(run.trunk).base_trunk if traits(run.trunk).adds_params else run.trunk
    return make_model(trunk, {task.name: task.head_spec for task in run.tasks})


def seed_index(run: Run, choice: Choice) -> int:
    """The index of the chosen seed; 0 for a soup."""
    if choice.seed is None or choice.seed == "soup":
        return 0
    seeds = seeds_of(run)
    require(choice.seed in seeds, choice, "seed", f"must be one of {seeds}", choice.seed)
    return seeds.index(choice.seed)


def require_soup(run: Run) -> None:
    """Requires that all seeds of a run start from the same trunk, and have linear heads.

    A mean of networks that start from different random parameters is no better than a random one,
    and seeds differ in their random start unless they read the same file of weights. Linear heads
    on the same trunk may start differently.

    Raises:
      BadInput: for another run.

    Reference: Wortsman et al., Model Soups, ICML 2022, Section 2 (https://arxiv.org/abs/2203.05482).
    """
    source, added = run.initialization.init_from, traits(run.trunk).adds_params
    new_params = run.initialization.new_params or (traits(run.trunk).new_params and not added)
    same = isinstance(source, PretrainedWeights) and not isinstance(source, Run)
    linear = all(task.head is None for task in run.tasks)
    if not (same and linear) or new_params or seed_axis(run) is not None:
        raise BadInput(
            f"run {run.name!r}: a soup is for seeds that start from one file of weights "
            "(Initialization.init_from) without new parameters, have linear heads and share their "
            "data; a mean of networks from different random starts is useless"
        )


def without_auxiliary(run: Run, params: Tree, stats: Tree) -> tuple[Tree, Tree]:
    """Parameters and statistics without those of auxiliary heads."""
    names = {task.name for task in run.tasks}

    def kept(heads: dict[str, Any]) -> dict[str, Any]:
        return {name: head for name, head in heads.items() if name in names}

    heads, own_stats = kept(head_params(params)), kept(head_stats(stats))
    rest = {name: part for name, part in stats.items() if name != "heads"}
    return (
        {**params, "tasks": {**params["tasks"], "heads": heads}},
        {**rest, "heads": own_stats} if own_stats else rest,
    )


def merge_added(run: Run, params: Tree, stats: Tree) -> tuple[Tree, Tree]:
    """Parameters `[S, ...]` of a trunk with those it adds merged into the base trunk."""
    if not traits(run.trunk).adds_params:
        return params, stats
    shared = dict(params["shared"])
    added = shared.pop("added")
    merged = jax.device_get(jax.vmap(run.trunk.merge)(shared, added))
    return {**params, "shared": jax.tree.map(np.asarray, merged)}, stats
