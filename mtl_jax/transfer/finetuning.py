"""Fine-tuning strategies (`param_rules`): trainable parameters, learning rates and stages.

Layers are given as patterns over the names of the trunk's modules, from first to last, such as
those of `nets.layer_names`.

Example:
  >>> from mtl_jax.transfer import finetuning
  >>> rules = finetuning.last_layers(["Conv_0", "Conv_1"], count=1)  # Run(param_rules=rules, ...)
  >>> for rule in rules:
  ...     print(rule.pattern, rule.frozen)
  shared/(?:Conv_1)(?:/.*)? False
  shared/.* True
  tasks/.* False
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mtl_jax.config.param_rules import ParamRule, ParamRules
from mtl_jax.core.validation import require
from mtl_jax.transfer.restore import HEADS

if TYPE_CHECKING:
    from mtl_jax.config.run import Run  # It imports Flax, which this package does not need.

TASKS = ParamRule("tasks/.*")
FROZEN = ParamRule("shared/.*", frozen=True)


def feature_extraction() -> ParamRules:
    """Trains the heads only (linear probe); the trunk, with its BatchNorm statistics, is frozen.

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> [(rule.pattern, rule.frozen) for rule in finetuning.feature_extraction()]
      [('shared/.*', True), ('tasks/.*', False)]
    """
    return FROZEN, TASKS


def fine_tuning(rate: float = 0.1, anchor: float = 0.0) -> ParamRules:
    """Trains all parameters, the trunk at `rate` times the heads' learning rate; TLLib uses 0.1.

    Args:
      rate: learning rate scale of the trunk.
      anchor: alpha of L2-SP, `alpha/2 ||w - w0||^2` of the trunk; disable weight decay when using
        it.

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> [(rule.pattern, rule.lr_scale) for rule in finetuning.fine_tuning(rate=0.1)]
      [('shared/.*', 0.1), ('tasks/.*', 1.0)]
    """
    return ParamRule("shared/.*", lr_scale=rate, l2_sp=anchor), TASKS


def last_layers(layers: Sequence[str], count: int) -> ParamRules:
    """Trains the heads and the last `count` layers; earlier layers are frozen.

    Raises:
      BadInput: if there are fewer than `count` layers.

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> [rule.frozen for rule in finetuning.last_layers(["Conv_0", "Conv_1"], count=1)]
      [False, True, False]
    """
    rule = f"must be from 1 to {len(layers)}, the layers there are"
    require(1 <= count <= len(layers), "last_layers", "count", rule, count)
    rules = (ParamRule(params_of(layer)) for layer in layers[len(layers) - count :])
    return *rules, *rules_of_rest(layers, count)


def layer_wise_decay(layers: Sequence[str], decay: float = 0.75) -> ParamRules:
    """Layer-wise learning rate decay: scales each layer by `r_l = decay^(L - l + 1)`.

    Each layer has `decay` times the rate of the layer above: the heads have rate 1, the last layer
    `decay`.

    Raises:
      BadInput: if the decay is outside (0, 1].

    Reference: Howard and Ruder, Universal Language Model Fine-tuning, ACL 2018, discriminative
      fine-tuning (https://arxiv.org/abs/1801.06146), which uses 1 / 2.6; 0.75 is common for ViT,
      Bao et al., BEiT, ICLR 2022 (https://arxiv.org/abs/2106.08254).

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> rules = finetuning.layer_wise_decay(["Conv_0", "Conv_1"], decay=0.5)
      >>> [rule.lr_scale for rule in rules]  # of both layers and of the heads
      [0.25, 0.5, 1.0]
    """
    rule = "must be above 0 and at most 1"
    require(0.0 < decay <= 1.0, "layer_wise_decay", "decay", rule, decay)
    distances = range(len(layers), 0, -1)
    pairs = zip(layers, distances, strict=True)
    rules = (ParamRule(params_of(layer), lr_scale=decay**d) for layer, d in pairs)
    return *rules, TASKS


def bias_only() -> ParamRules:
    """Trains the heads and all biases of the trunk, including those of norms (BitFit).

    Reference: Ben Zaken, Ravfogel and Goldberg, BitFit, ACL 2022
      (https://arxiv.org/abs/2106.10199).

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> [(rule.pattern, rule.frozen) for rule in finetuning.bias_only()]
      [('shared/.*bias', False), ('shared/.*', True), ('tasks/.*', False)]
    """
    return ParamRule("shared/.*bias"), FROZEN, TASKS


def norm_only() -> ParamRules:
    """Trains the heads and the scale and bias of all norms of the trunk.

    Trained BatchNorms are in training mode: they normalize by batch statistics and update their
    running statistics.

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> import re
      >>> norms, *_ = finetuning.norm_only()
      >>> paths = ("shared/Conv_0/bias", "shared/BatchNorm_0/bias", "shared/BatchNorm_0/scale")
      >>> [bool(re.fullmatch(norms.pattern, path)) for path in paths]
      [False, True, True]
    """
    return ParamRule(r"shared/(?:.*/)?[^/]*[Nn]orm[^/]*/(scale|bias)"), FROZEN, TASKS


def adapters_only(*patterns: str) -> ParamRules:
    """Trains the heads and the parameters added to the trunk, such as `added/.*` of `nets.LoRA`.

    Args:
      patterns: regular expressions of paths within the trunk.

    Example:
      >>> from mtl_jax.transfer import finetuning
      >>> [(rule.pattern, rule.frozen) for rule in finetuning.adapters_only("added/.*")]
      [('shared/(?:added/.*)', False), ('shared/.*', True), ('tasks/.*', False)]
    """
    return *(ParamRule(f"shared/(?:{pattern})") for pattern in patterns), FROZEN, TASKS


def lp_ft(run: "Run", **probe: Any) -> "Run":
    """Linear probing, then fine-tuning: starts `run` from a first stage that trains only the heads.

    Args:
      run: the fine-tuning run, with a source model (`init_from`).
      probe: fields that differ in the first stage, such as `steps` and `optimizer`.

    Returns:
      The second stage, with the first as its source model.

    Raises:
      BadInput: if the run has no source model.

    Reference: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform
      Out-of-Distribution, ICLR 2022 (https://arxiv.org/abs/2202.10054).

    Example:
      >>> from mtl_jax import Run, Task, data, losses, metrics, nets, optimizers, weighting
      >>> from mtl_jax.transfer import finetuning
      >>> task = Task(name="digit", num_outputs=10, loss=losses.cross_entropy,
      ...             metrics=(metrics.Accuracy(),))
      >>> source = Run(name="source", data=data.SmallMNIST(), tasks=(task,), trunk=nets.MLP((32,)),
      ...              balance=weighting.Equal(), optimizer=optimizers.SGD(0.1), steps=100)
      >>> run = source.replace(name="target", data=data.SmallDigits(),
      ...                      initialization={"init_from": source})
      >>> run = finetuning.lp_ft(run, steps=20)
      >>> probe = run.initialization.init_from
      >>> probe.name, probe.steps, probe.initialization.init_from.name
      ('target, probe', 20, 'source')
    """
    require_source(run, "lp_ft")
    first_stage = run.replace(name=f"{run.name}, probe", param_rules=feature_extraction(), **probe)
    return run.replace(initialization=continue_from(first_stage))


def gradual_unfreezing(run: "Run", layers: Sequence[str], steps: int, factor: float = 2.6) -> "Run":
    """Gradual unfreezing of a trunk from the top: stage k trains the heads and the last k layers.

    Each stage is a run that starts from the previous one; the last stage trains everything, for as
    many steps as `run` specifies. Trained layers have discriminative learning rates, `factor^-d`
    for the d-th layer from the top. Each stage starts from the last step of the previous one, with
    a new optimizer state and learning rate schedule.

    Args:
      run: the last stage, with a source model (`init_from`).
      layers: layers of its trunk, from the first.
      steps: number of steps of each stage but the last.
      factor: ratio of the learning rates of adjacent layers.

    Returns:
      The last stage; the chain of its source models are the other stages.

    Raises:
      BadInput: if the factor is below 1, there are no layers, or the run has no source model.

    Reference: Howard and Ruder, Universal Language Model Fine-tuning, ACL 2018, gradual
      unfreezing and discriminative fine-tuning (https://arxiv.org/abs/1801.06146).
    """
    require_source(run, "gradual_unfreezing")
    require(len(layers) > 0, "gradual_unfreezing", "layers", "must be one or more", layers)
    require(factor >= 1.0, "gradual_unfreezing", "factor", "must be at least 1", factor)
    stage = run.replace(name=f"{run.name}, heads", steps=steps, param_rules=feature_extraction())
    for count in range(1, len(layers) + 1):
        changes = {
            "initialization": continue_from(stage),
            "param_rules": discriminative_rules(layers, count, factor),
        }
        if count == len(layers):
            return run.replace(**changes)
        stage = run.replace(name=f"{run.name}, {count} of {len(layers)}", steps=steps, **changes)
    return stage


def require_source(run: Any, owner: str) -> None:
    """Requires that a run has a source model."""
    found = run.initialization.init_from is not None
    require(found, owner, "run", "must have a source", run.name)


def continue_from(stage: Any) -> dict[str, Any]:
    """Changes of `Run.initialization` that restore all parameters of a stage's last step."""
    return {"init_from": stage, "parameters": "raw", "param_map": HEADS, "new_params": ()}


def discriminative_rules(layers: Sequence[str], count: int, factor: float) -> ParamRules:
    """Rules that train the last `count` layers at decreasing rates and freeze earlier layers."""
    top = list(enumerate(reversed(layers[len(layers) - count :])))
    rules = (ParamRule(params_of(layer), lr_scale=factor**-depth) for depth, layer in top)
    return *rules, *rules_of_rest(layers, count)


def rules_of_rest(layers: Sequence[str], count: int) -> ParamRules:
    """Rules that come after those of the last `count` layers: freeze the rest, train the tasks."""
    return (FROZEN, TASKS) if count < len(layers) else (TASKS,)


def params_of(layer: str) -> str:
    """Pattern that matches the parameters of a layer."""
    return f"shared/(?:{layer})(?:/.*)?"
