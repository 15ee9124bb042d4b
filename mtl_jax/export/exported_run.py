"""Writes the folder of an exported model."""

import pathlib
import shutil

import jax

from mtl_jax.config.run import Run
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.tree import num_params
from mtl_jax.core.validation import BadInput
from mtl_jax.data import WordPiece
from mtl_jax.data.files.paths import expand_path
from mtl_jax.export import describe, measurements
from mtl_jax.export.function import array_spec, flat_function, flat_variables
from mtl_jax.export.model_card import Facts, model_card
from mtl_jax.export.onnx_file import ONNX, require_onnx, write_onnx
from mtl_jax.export.trained_model import Choice, TrainedModel, load_trained, seed_index
from mtl_jax.predict import load
from mtl_jax.predict.description import (
    CARD,
    DESCRIPTION,
    FORMAT,
    MODULE,
    VOCABULARY,
    WEIGHTS,
    Description,
    to_json,
)
from mtl_jax.predict.module import export_function
from mtl_jax.storage.environment import devices
from mtl_jax.storage.files import write_json, write_text
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis, seeds_of


def export_run(
    run: Run, folder: RunDirectory, choice: Choice, out: pathlib.Path, onnx: bool = False
) -> float:
    """Exports a model of a finished run, and measures it.

    Writes `model.safetensors`, `model.jax`, `preprocessing.json`, for texts `vocab.txt`, and the
    model card `README.md`, which has placeholders for licenses.

    Args:
      run: a finished run.
      folder: its folder.
      choice: the parameters to export.
      out: the folder to write, which is new, empty, or that of an exported model.
      onnx: whether to write `model.onnx` too, by jax2onnx.

    Returns:
      The largest difference of its outputs from those of the training code.

    Raises:
      BadInput: as in `load_trained` and `write_onnx`, if the folder holds something else, or if
        tasks have inputs of different shapes.
    """
    require_folder(out)
    if onnx:
        require_onnx()
    trained = load_trained(run, folder, choice)
    splits = load_run_data(run).splits
    index = seed_index(run, choice)
    if seed_axis(run) is not None:
        splits = jax.tree.map(lambda leaf: leaf[index], splits)
    source = describe.source_of_seed(run, seeds_of(run)[index])
    inputs = describe.evaluation_inputs(run, splits)
    out.mkdir(parents=True, exist_ok=True)
    for name in (CARD, ONNX, VOCABULARY):  # Those of an older export that may not be written.
        (out / name).unlink(missing_ok=True)
    description = write_model(run, trained, source, inputs, out)
    if onnx:
        function = flat_function(trained, run.tasks, inputs)
        write_onnx(out / ONNX, function, flat_variables(trained), description.inputs.arrays)
    exported = load(out)
    is_soup = choice.seed == "soup"
    facts = Facts(
        metadata=folder.read("run.json"),
        scores=measurements.scores_of_soup(run, trained, splits)
        if is_soup
        else measurements.scores_of_seed(run, folder, choice),
        difference=measurements.largest_difference(trained, exported, inputs),
        seconds=measurements.latencies(exported, inputs),
        sizes=measurements.file_sizes(out),
        num_params=num_params(trained.params),
        device=devices(),
    )
    write_text(out / CARD, model_card(run, choice, description, facts))
    return facts.difference


def require_folder(out: pathlib.Path) -> None:
    """Requires a path that is free, an empty folder or an exported model.

    Raises:
      BadInput: for another one, such as a folder of results.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out must be a folder, {out} is a file")
    if out.exists() and any(out.iterdir()) and not (out / DESCRIPTION).is_file():
        raise BadInput(f"--out must be a new folder or that of an exported model, not {out}")


def write_model(
    run: Run, trained: TrainedModel, source: DataSource, inputs: object, out: pathlib.Path
) -> Description:
    """Writes the function, the weights and their description."""
    from safetensors.numpy import save

    variables = flat_variables(trained)
    spec = describe.input_spec(source, inputs)
    exported = export_function(flat_function(trained, run.tasks, inputs), variables, spec.arrays)
    outputs = {name: array_spec(aval) for name, aval in out_avals(exported).items()}
    description = Description(
        run=run.name,
        inputs=spec,
        tasks=describe.task_specs(run, source, outputs),
        outputs=outputs,
        calling_convention=exported.calling_convention_version,
        jax=jax.__version__,
    )
    (out / WEIGHTS).write_bytes(save(variables, {"format": str(FORMAT), "run": run.name}))
    (out / MODULE).write_bytes(exported.mlir_module_serialized)
    tokenizer = source.text_tokenizer()
    if spec.tokenizer is not None and isinstance(tokenizer, WordPiece):
        shutil.copyfile(expand_path(tokenizer.path), out / VOCABULARY)
    write_json(out / DESCRIPTION, to_json(description))
    return description


def out_avals(exported: jax.export.Exported) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of the outputs by name; the number of examples is symbolic."""
    return jax.tree.unflatten(exported.out_tree, exported.out_avals)
