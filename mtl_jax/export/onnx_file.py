"""The exported function as an ONNX file, by jax2onnx."""

import importlib.util
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.export
import jax.extend.core

from mtl_jax.core.validation import BadInput
from mtl_jax.predict.description import ArraySpec
from mtl_jax.predict.module import BATCH, Function

ONNX = "model.onnx"
OPSET = 21
# Programs within a program, which are computed in its place.
CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat2", "checkpoint")


def require_onnx() -> None:
    """Requires jax2onnx, which the extra `onnx` installs.

    Raises:
      BadInput: without it.
    """
    if importlib.util.find_spec("jax2onnx") is None:
        raise BadInput("--onnx needs the package jax2onnx: pip install mtl_jax[onnx]")


def write_onnx(
    path: pathlib.Path,
    function: Function,
    variables: Mapping[str, Any],
    inputs: Mapping[str, ArraySpec],
) -> None:
    """Writes a function of inputs as an ONNX file, for any number of inputs.

    Its inputs and outputs have the names of those of the function; the variables are constants.

    Args:
      path: the file.
      function: `(variables, inputs) -> outputs`, each a dict of arrays.
      variables: arrays by name.
      inputs: what the function reads, by name.

    Raises:
      BadInput: without the package jax2onnx, or for a function that it cannot convert.
    """
    require_onnx()
    from jax2onnx import to_onnx  # ty: ignore[import-not-found]  # An optional package.

    names = list(inputs)
    (batch,) = jax.export.symbolic_shape(BATCH)
    examples = [jax.ShapeDtypeStruct((batch, *s.shape), s.dtype) for s in inputs.values()]

    def outputs(*arrays):
        return function(variables, dict(zip(names, arrays, strict=True)))

    # Traced here: jax2onnx replaces calls of Flax by operations of its own, which are not batched.
    closed, shapes = jax.make_jaxpr(outputs, return_shape=True)(*examples)
    try:
        to_onnx(
            lambda *arrays: evaluate(closed.jaxpr, closed.consts, arrays),
            examples,
            opset=OPSET,
            input_names=names,
            output_names=sorted(shapes),  # The order of JAX for dicts.
            return_mode="file",
            output_path=path,
        )
    except Exception as error:  # Of its many plugins, any may fail in its own way.
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"--onnx: jax2onnx cannot convert this model ({text})") from error


def evaluate(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Computes a jaxpr without calls; of forms by platform (`jax.lax.platform_dependent`) the default."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, jax.extend.core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name == "platform_index":
            values[equation.outvars[0]] = params["platforms"].index(None)
            continue
        given = [read(atom) for atom in equation.invars]
        if params.get("branches_platforms") is not None:
            default = params["branches"][given[0]]
            found = evaluate(default.jaxpr, default.consts, given[1:])
        elif name in CALLS:
            inner = params["call_jaxpr"] if "call_jaxpr" in params else params["jaxpr"]
            is_closed = isinstance(inner, jax.extend.core.ClosedJaxpr)
            inner, inner_consts = (inner.jaxpr, inner.consts) if is_closed else (inner, ())
            found = evaluate(inner, inner_consts, given)
        else:
            found = equation.primitive.bind(*given, **params)
            found = found if equation.primitive.multiple_results else [found]
        values.update(zip(equation.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
