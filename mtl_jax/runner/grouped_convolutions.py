"""Refuses steps that XLA would partition wrongly over the model axis."""

from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from mtl_jax.config.run import Run
from mtl_jax.core.validation import require


def require_no_grouped_convolutions(run: Run, jaxpr: ClosedJaxpr, model: int) -> None:
    """Requires a step without grouped convolutions if parameters are sharded over the model axis.

    With jaxlib 0.10.2 and 8 CPU devices, both of XLA's partitioners, Shardy and GSPMD, multiply
    the kernel gradient of a grouped convolution by the size of the model axis where the batch is
    sharded too, and give other wrong values where the groups are sharded. Convolutions of vmapped
    seeds are grouped, and depthwise ones.

    Args:
      run: the run.
      jaxpr: its traced step.
      model: number of devices along the model axis.

    Raises:
      BadInput: naming the axis.
    """
    if model > 1:
        where = f"run {run.name!r}: DeviceMesh"
        rule = (
            "must be 1 for a step with grouped convolutions, whose gradients XLA partitions wrongly; "
            'those of vmapped seeds are, which Execution(seed_loop="unroll") avoids'
        )
        grouped = any(is_grouped(equation) for equation in equations(jaxpr.jaxpr))
        require(not grouped, where, "model", rule, model)


def is_grouped(equation: Any) -> bool:
    """Whether an equation of a jaxpr is a convolution in groups of features or of examples."""
    if equation.primitive.name != "conv_general_dilated":
        return False
    return max(equation.params["feature_group_count"], equation.params["batch_group_count"]) > 1


def equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """All equations of a jaxpr, those of inner jaxprs too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=is_jaxpr):
            if is_jaxpr(inner):
                yield from equations(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner)


def is_jaxpr(value: Any) -> bool:
    """Whether a parameter of an equation is a jaxpr."""
    return isinstance(value, Jaxpr | ClosedJaxpr)
