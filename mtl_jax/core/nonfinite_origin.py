"""Finds the operations in which a function first makes an inf and a NaN."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, primitives
from jax.extend.source_info_util import SourceInfo, summarize

FINITE, INF, NAN = 0, 1, 2  # The worst number in an array.
JAX = pathlib.Path(jax.__file__).parent

# Calls whose operations are evaluated one by one, and the parameter with the function.
CALLS = {
    primitives.jit_p: "jaxpr",
    primitives.closed_call_p: "call_jaxpr",
    primitives.custom_jvp_call_p: "call_jaxpr",
    primitives.custom_vjp_call_p: "call_jaxpr",
    primitives.remat_p: "jaxpr",
}


class Origin(NamedTuple):
    """The operation that makes the first inf, or the first NaN, on the way to an output."""

    value: str  # "inf" or "nan".
    operation: str  # The JAX primitive.
    scope: str  # JAX's name stack, such as "transpose(jvp(MLP))/Dense_0".
    location: str  # File, line and function.


class Value(NamedTuple):
    """An intermediate value, and its number in the order of computation."""

    array: Any
    number: int
    is_constant: bool


class Operation(NamedTuple):
    """An evaluated operation, with the numbers of its inputs and outputs."""

    name: str
    source: SourceInfo
    inputs: list[int]
    outputs: list[int]


def find_origins(function: Callable[..., Any], *args: Any) -> list[Origin]:
    """The first operation that makes an inf and the first that makes a NaN, of those that matter.

    Operations whose results are masked out, and so do not reach an output, and NaN in arguments,
    such as missing labels, do not count. Of operations inside of a loop or a branch (`scan`,
    `while`, `cond`), it is the loop.

    Args:
      function: a function of arrays, whose operations are compiled and evaluated one by one.
      *args: its arguments.

    Returns:
      At most two operations, in the order of computation; none if the outputs are finite, or not
      finite because of an argument.
    """
    evaluation, closed = Evaluation(), jax.make_jaxpr(function)(*args)
    leaves = [evaluation.add(leaf) for leaf in jax.tree.leaves(args)]
    outputs = evaluation.call(closed, leaves)
    found: dict[int, Origin] = {}
    for operation in evaluation.reaching(outputs):
        made = evaluation.worst_of(operation.outputs)
        if made > evaluation.worst_of(operation.inputs):
            value, source = "nan" if made == NAN else "inf", operation.source
            scope, location = str(source.name_stack), summarize(source) or "unknown"
            found.setdefault(made, Origin(value, operation.name, scope, location))
    return list(found.values())


class Evaluation:
    """The evaluation of a function.

    Attributes:
      operations: the operations, in their order.
      worst: the worst number of each value: `FINITE`, `INF` or `NAN`.
    """

    def __init__(self):
        self.operations: list[Operation] = []
        self.worst: list[int] = []

    def add(self, array: Any, is_constant: bool = False) -> Value:
        """Adds a value; an inf in a constant is made by the operation that takes it in."""
        self.worst.append(FINITE if is_constant else worst_number(array))
        return Value(array, len(self.worst) - 1, is_constant)

    def call(
        self, closed: ClosedJaxpr, inputs: list[Value], caller: SourceInfo | None = None
    ) -> list[Value]:
        """Evaluates a function.

        Args:
          closed: the function.
          inputs: its arguments.
          caller: where it is called, if it is called from another function.
        """
        jaxpr = closed.jaxpr
        constants = [self.add(array, is_constant=True) for array in closed.consts]
        values = dict(zip(jaxpr.constvars, constants, strict=True))
        values |= zip(jaxpr.invars, inputs, strict=True)

        def read(atom: Any) -> Value:
            is_literal = isinstance(atom, Literal)
            return self.add(atom.val, is_constant=True) if is_literal else values[atom]

        for equation in jaxpr.eqns:
            source = source_of(equation, jaxpr, caller)
            outputs = self.apply(equation, [read(atom) for atom in equation.invars], source)
            values |= zip(equation.outvars, outputs, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def apply(self, equation: JaxprEqn, inputs: list[Value], source: SourceInfo) -> list[Value]:
        """Evaluates an equation."""
        primitive = equation.primitive
        if primitive in CALLS:
            body = equation.params[CALLS[primitive]]
            closed = body if isinstance(body, ClosedJaxpr) else ClosedJaxpr(body, ())
            return self.call(closed, inputs, source)
        found = primitive.bind(*(each.array for each in inputs), **equation.params)
        is_constant = all(each.is_constant for each in inputs)
        arrays = found if primitive.multiple_results else [found]
        outputs = [self.add(array, is_constant) for array in arrays]
        numbers = [[each.number for each in values] for values in (inputs, outputs)]
        self.operations.append(Operation(primitive.name, source, *numbers))
        return outputs

    def worst_of(self, numbers: list[int]) -> int:
        """The worst number of some values."""
        return max((self.worst[number] for number in numbers), default=FINITE)

    def reaching(self, outputs: list[Value]) -> Iterator[Operation]:
        """The operations whose non-finite results reach an output, in their order."""
        reached = {each.number for each in outputs if self.worst[each.number]}
        found = []
        for operation in reversed(self.operations):
            if not reached.isdisjoint(operation.outputs):
                found.append(operation)
                reached |= {number for number in operation.inputs if self.worst[number]}
        return reversed(found)


def source_of(equation: JaxprEqn, jaxpr: Jaxpr, caller: SourceInfo | None) -> SourceInfo:
    """Where an equation of a function comes from: location, and names of scopes.

    JAX traces each of its own functions, such as `jnp.where`, once; the operations in it have the
    location of its first call, which may be another one than this.
    """
    own, file = equation.source_info, jaxpr.debug_info.func_filename
    if caller is None:
        return own
    is_part_of_jax = file is not None and pathlib.Path(file).is_relative_to(JAX)
    traceback = caller.traceback if is_part_of_jax else own.traceback
    return SourceInfo(traceback, caller.name_stack + own.name_stack)


def worst_number(array: Any) -> int:
    """`FINITE`, `INF` or `NAN`."""
    if not jax.numpy.issubdtype(jax.typeof(array).dtype, np.inexact):
        return FINITE
    array = np.asarray(array)
    if np.isfinite(array).all():
        return FINITE
    return NAN if np.isnan(array).any() else INF
