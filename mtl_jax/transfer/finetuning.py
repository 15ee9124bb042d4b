"""Plans of the literature: what of a net is trained for a new task, how fast, and in what order.

Layers are patterns over the names of the trunk's modules, from the first to the last, such as
`nets.layer_names` gives.
"""

from collections.abc import Sequence
from typing import Any

from mtl_jax.config.param_rules import Plan, Rule
from mtl_jax.core.validation import require
from mtl_jax.transfer.restore import HEADS

TASKS = Rule("tasks/.*")
FROZEN = Rule("shared/.*", frozen=True)


def feature_extraction() -> Plan:
    """The heads alone; the trunk stays as it is, its BatchNorm statistics too (linear probe)."""
    return FROZEN, TASKS


def fine_tuning(rate: float = 0.1, anchor: float = 0.0) -> Plan:
    """All of it, the trunk at `rate` times the heads' rate; TLLib takes 0.1.

    Args:
      rate: of the trunk.
      anchor: alpha of L2-SP, `alpha/2 ||w - w0||^2` of the trunk; turn weight decay off then.
    """
    return Rule("shared/.*", rate=rate, anchor=anchor), TASKS


def last_layers(layers: Sequence[str], count: int) -> Plan:
    """The heads and the last `count` layers; those before are frozen.

    Raises:
      BadInput: if there are not so many layers.
    """
    rule = f"must be from 1 to {len(layers)}, the layers there are"
    require(1 <= count <= len(layers), "last_layers", "count", rule, count)
    return *(Rule(within(layer)) for layer in layers[len(layers) - count :]), *frozen_rest(
        layers, count
    )


def layer_wise_decay(layers: Sequence[str], decay: float = 0.75) -> Plan:
    """Each layer at `decay` times the rate of the one above, `r_l = decay^(L - l + 1)`.

    The heads have rate 1, the last layer `decay`.

    Raises:
      BadInput: for a decay outside (0, 1].

    Reference: Howard and Ruder, Universal Language Model Fine-tuning, ACL 2018, discriminative
      fine-tuning (https://arxiv.org/abs/1801.06146), with 1 / 2.6; 0.75 is usual for ViT,
      Bao et al., BEiT, ICLR 2022 (https://arxiv.org/abs/2106.08254).
    """
    rule = "must be above 0 and at most 1"
    require(0.0 < decay <= 1.0, "layer_wise_decay", "decay", rule, decay)
    distances = range(len(layers), 0, -1)
    rules = (Rule(within(l), rate=decay**d) for l, d in zip(layers, distances, strict=True))
    return *rules, TASKS


def bias_only() -> Plan:
    """The heads and every bias of the trunk, those of norms too (BitFit).

    Reference: Ben Zaken, Ravfogel and Goldberg, BitFit, ACL 2022
      (https://arxiv.org/abs/2106.10199).
    """
    return Rule("shared/.*bias"), FROZEN, TASKS


def norm_only() -> Plan:
    """The heads, and scale and bias of every norm of the trunk.

    A BatchNorm is trained whole, so it normalises by the batch and moves its statistics.
    """
    return Rule(r"shared/(?:.*/)?[^/]*[Nn]orm[^/]*/(scale|bias)"), FROZEN, TASKS


def added_only(*patterns: str) -> Plan:
    """The heads and what was added to the trunk, such as `added/.*` of `nets.LoRA`.

    Args:
      patterns: of paths within the trunk.
    """
    return *(Rule(f"shared/(?:{pattern})") for pattern in patterns), FROZEN, TASKS


def lp_ft(run: Any, **probe: Any) -> Any:
    """Linear probing, then fine-tuning: the run goes on where one ended that trains heads alone.

    Args:
      run: with a source; how it fine-tunes.
      probe: fields of the first stage that differ, such as `steps` and `optimizer`.

    Returns:
      The second stage; its source is the first.

    Raises:
      BadInput: for a run without a source.

    Reference: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform
      Out-of-Distribution, ICLR 2022 (https://arxiv.org/abs/2202.10054).
    """
    require(run.source is not None, "lp_ft", "run", "must have a source", run.name)
    first = run.but(name=f"{run.name}, probe", plan=feature_extraction(), **probe)
    return run.but(source=first, source_parameters="raw", take=HEADS, fresh=())


def gradual_unfreezing(run: Any, layers: Sequence[str], steps: int, factor: float = 2.6) -> Any:
    """Unfreezes a trunk from the top: stage k trains the heads and the last k layers.

    A stage is a run that starts from the one before; the last one trains everything, for as long
    as `run` says. Trained layers have discriminative rates, `factor^-d` for the d-th layer from
    the top. Each stage goes on from the last step of the one before and starts its optimizer and
    its schedule anew.

    Args:
      run: with a source; the last stage.
      layers: of its trunk, from the first.
      steps: of each stage but the last.
      factor: between the rates of neighbours.

    Returns:
      The last stage; the others are its sources.

    Raises:
      BadInput: for a factor below 1, no layer, or a run without a source.

    Reference: Howard and Ruder, Universal Language Model Fine-tuning, ACL 2018, gradual
      unfreezing and discriminative fine-tuning (https://arxiv.org/abs/1801.06146).
    """
    require(run.source is not None, "gradual_unfreezing", "run", "must have a source", run.name)
    require(len(layers) > 0, "gradual_unfreezing", "layers", "must be one or more", layers)
    require(factor >= 1.0, "gradual_unfreezing", "factor", "must be at least 1", factor)
    stage = run.but(name=f"{run.name}, heads", steps=steps, plan=feature_extraction())
    for count in range(1, len(layers) + 1):
        own = {
            "source": stage,
            "source_parameters": "raw",
            "take": HEADS,
            "fresh": (),
            "plan": discriminative(layers, count, factor),
        }
        if count == len(layers):
            return run.but(**own)
        stage = run.but(name=f"{run.name}, {count} of {len(layers)}", steps=steps, **own)
    return stage


def discriminative(layers: Sequence[str], count: int, factor: float) -> Plan:
    """The last `count` layers at falling rates, those before frozen."""
    top = list(enumerate(reversed(layers[len(layers) - count :])))
    return *(Rule(within(layer), rate=factor**-at) for at, layer in top), *frozen_rest(
        layers, count
    )


def frozen_rest(layers: Sequence[str], count: int) -> Plan:
    """What follows the rules of the last `count` layers."""
    return (FROZEN, TASKS) if count < len(layers) else (TASKS,)


def within(layer: str) -> str:
    """The pattern of a layer's parameters."""
    return f"shared/(?:{layer})(?:/.*)?"
