"""What an exported model reads and answers, and the files of its folder."""

import dataclasses
import json
import pathlib
from typing import Any, Literal

from mtl_jax.core.validation import BadInput

FORMAT = 1  # Of the folder; another meaning of its files requires a new number.
MODULE, WEIGHTS, DESCRIPTION = "model.jax", "model.safetensors", "preprocessing.json"
VOCABULARY, CARD = "vocab.txt", "README.md"
INPUTS = "inputs"  # Name of the array where there is only one.

InputKind = Literal["image", "vector", "series", "tokens", "arrays"]
AnswerKind = Literal["multiclass", "binary", "multilabel", "continuous", "boxes", "arrays"]
BOXES = ("boxes", "scores", "classes")  # Names of the outputs of a task that detects boxes.


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """Shape of one example, and dtype.

    Attributes:
      shape: the shape without the axis of examples.
      dtype: name of the dtype.
    """

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(['N', *map(str, self.shape)])}]"


@dataclasses.dataclass(frozen=True)
class Column:
    """How a column of a table becomes features: `(x - center) / scale`, or one-hot.

    Attributes:
      name: name of the column.
      center: number that is subtracted.
      scale: number that is divided by.
      categories: the values of a categorical column in order; None for a numeric one.
      fill: features where the cell is missing, before centering; None raises an error there.
    """

    name: str
    center: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] | tuple[int, ...] | None = None
    fill: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Settings of `data.WordPiece`, whose vocabulary is in the folder.

    Attributes:
      length: number of tokens T.
      lower: whether texts are lower-cased and accents stripped.
    """

    length: int
    lower: bool


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What a model reads.

    Attributes:
      kind: "image" `[H, W, C]`, uint8 or floats in [0, 1]; "vector" `[D]`; "series" `[T, C]`;
        "tokens" `[T]`; or "arrays" by name.
      arrays: the arrays by name, "inputs" if there is one.
      columns: columns of a table in order; None if inputs are none of a table.
      cells: fields of `data.files.columns.Format`, for tables and texts.
      text: column of the texts, in files.
      tokenizer: the tokenizer of texts; None if the model reads tokens from elsewhere.
      resized_from: heights and widths that images have in turn before that of `arrays`: files are
        resized to the first bilinearly, then by `data.Resized`.
    """

    kind: InputKind
    arrays: dict[str, ArraySpec]
    columns: tuple[Column, ...] | None = None
    cells: dict[str, Any] | None = None
    text: str | None = None
    tokenizer: Tokenizer | None = None
    resized_from: tuple[tuple[int, ...], ...] = ()


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What a task answers.

    Attributes:
      name: name of the task.
      kind: its target type; "boxes" for detected boxes; "arrays" for outputs that are not decoded.
      classes: names of the classes, or of the labels of a multilabel task; None if unnamed.
      mean: mean of the labels that were standardized for training, one or for every output.
      std: their standard deviation.
    """

    name: str
    kind: AnswerKind
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Description:
    """An exported model, as `preprocessing.json` holds it.

    Attributes:
      run: name of the run.
      inputs: what it reads.
      tasks: what it answers.
      outputs: the outputs of the module, by task or, for a dict of outputs, `task/name`.
      calling_convention: version of the module's calling convention (`jax.export`).
      jax: version of JAX that wrote the module.
    """

    run: str
    inputs: InputSpec
    tasks: tuple[TaskSpec, ...]
    outputs: dict[str, ArraySpec]
    calling_convention: int
    jax: str


def to_json(description: Description) -> dict[str, Any]:
    """The content of `preprocessing.json`."""
    return {"format": FORMAT, **dataclasses.asdict(description)}


def read_description(folder: pathlib.Path) -> Description:
    """Reads `preprocessing.json`.

    Raises:
      BadInput: if the folder is not one of an exported model, or has another format.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BadInput(f"{folder} must be the folder of an exported model, it has no {DESCRIPTION}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("format")
        if found == FORMAT:
            return from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is damaged ({type(error).__name__}: {error})") from error
    raise BadInput(f"{path} has format {found!r}, and this version reads {FORMAT}")


def from_json(content: dict[str, Any]) -> Description:
    """The inverse of `to_json`, without the format."""
    inputs, tasks = dict(content["inputs"]), content["tasks"]
    columns, tokenizer = inputs["columns"], inputs["tokenizer"]
    inputs |= {
        "arrays": array_specs(inputs["arrays"]),
        "columns": columns and tuple(Column(**as_tuples(each)) for each in columns),
        "tokenizer": tokenizer and Tokenizer(**tokenizer),
        "resized_from": tuple(map(tuple, inputs.get("resized_from", ()))),
    }
    return Description(
        run=content["run"],
        inputs=InputSpec(**inputs),
        tasks=tuple(TaskSpec(**as_tuples(each)) for each in tasks),
        outputs=array_specs(content["outputs"]),
        calling_convention=content["calling_convention"],
        jax=content["jax"],
    )


def array_specs(content: dict[str, Any]) -> dict[str, ArraySpec]:
    """Specifications of arrays by name."""
    return {name: ArraySpec(**as_tuples(each)) for name, each in content.items()}


def as_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with lists as tuples."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
