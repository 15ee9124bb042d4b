"""The model card of an exported model, `README.md`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mtl_jax.config.run import Run
from mtl_jax.core.fingerprint import to_source
from mtl_jax.export.measurements import Score
from mtl_jax.export.trained_model import Choice
from mtl_jax.predict.description import CARD, Description, InputSpec, TaskSpec

TO_FILL_IN = "_to be filled in_"


class Facts(NamedTuple):
    """What was measured of a run and its exported model."""

    metadata: Mapping[str, Any]  # of `run.json`
    scores: Sequence[Score]
    difference: float  # from the outputs of the training code
    seconds: Mapping[int, float]  # of a call, by batch size
    sizes: Mapping[str, int]  # bytes by file
    num_params: int
    device: str


def model_card(run: Run, choice: Choice, description: Description, facts: Facts) -> str:
    """The text of the card."""
    sections = (
        f"# {run.name}",
        overview(run, choice, facts),
        f"## Measured\n\n{scores_text(facts.scores, description.tasks)}",
        f"## Use\n\n{usage(description)}",
        f"## Answers\n\n{answers_table(description.tasks)}",
        f"## Cost\n\n{cost(facts)}",
        f"## Data and license\n\n{license(run, facts.metadata)}",
    )
    return "\n\n".join(sections) + "\n"


def overview(run: Run, choice: Choice, facts: Facts) -> str:
    """What was exported, and from where."""
    seeds = run.num_seeds
    if choice.seed == "soup":
        which = f"the mean of the parameters of {seeds} seeds"
    else:
        which = f"seed {run.first_seed if choice.seed is None else choice.seed} of {seeds}"
    metadata = facts.metadata
    versions = metadata.get("versions", {})
    return (
        f"{facts.num_params:,} parameters, `{choice.parameters}` of {which}; run "
        f"`{metadata['fingerprint']}`, trained with mtl_jax {versions.get('mtl_jax')} and JAX "
        f"{versions.get('jax')} on {metadata.get('devices')}. Parameters that a trunk adds to "
        "another (such as LoRA) are merged."
    )


def scores_text(scores: Sequence[Score], tasks: Sequence[TaskSpec]) -> str:
    """The measured metrics."""
    rows = [["task", "metric", "validation", "test", "test, mean of all seeds"]]
    rows += [[s.task, s.metric, *map(number, s[2:])] for s in scores]
    names = ", ".join(f"`{task.name}`" for task in tasks if task.mean is not None)
    note = f"\n\nMetrics of {names} are of labels in standard deviations from their mean."
    return table(rows) + note * bool(names)


def number(value: float | None) -> str:
    """A number of a table."""
    return "-" if value is None else f"{value:.4g}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first row is the header."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def usage(description: Description) -> str:
    """How to predict."""
    example = {"image": "images/", "vector": "rows.csv", "tokens": "texts.csv"}
    file = example.get(description.inputs.kind, "inputs.npz")
    return (
        f"```bash\npython -m mtl_jax.predict . {file} --out predictions.csv\n```\n\n"
        "```python\nimport mtl_jax\n\nmodel = mtl_jax.load('.')\n"
        "answers = model.predict(inputs)  # By task: outputs, values, probabilities.\n```\n\n"
        "Needs `pip install jax numpy pillow safetensors` and `pip install --no-deps mtl_jax`, none "
        f"of the packages for training. `model.jax` was written with JAX {description.jax} for CPU, CUDA and TPU and any "
        f"batch size.\n\n{inputs_text(description.inputs)}"
    )


def inputs_text(spec: InputSpec) -> str:
    """What the model reads."""
    arrays = ", ".join(f"`{name}` {each}" for name, each in spec.arrays.items())
    texts = {
        "image": (
            "Images: uint8, or floats in [0, 1]. Files are converted to these channels (gray or "
            f"RGB) and resized to {resizing(spec.resized_from)}; arrays of another size are refused."
        ),
        "vector": "Vectors of features.",
        "series": "Series of T steps and C channels, from `.npz` or `.npy`.",
        "tokens": "Tokens, from `.npz` or `.npy`; their vocabulary is that of the training data.",
        "arrays": "Arrays by name, from `.npz`.",
    }
    text = texts[spec.kind]
    if spec.tokenizer is not None:
        text = f"Texts in the column `{spec.text}`, tokenized with `vocab.txt`; or tokens."
    if spec.columns is not None:
        names = ", ".join(f"`{column.name}`" for column in spec.columns)
        text = f"Rows with the columns {names}, encoded as in training; or their features."
    return f"Inputs: {arrays}. {text}"


def resizing(resized_from: Sequence[tuple[int, ...]]) -> str:
    """How files of images get the height and width of the model."""
    if not resized_from:
        return "this height and width, bilinearly (Pillow)"
    first, *rest = [" x ".join(map(str, size)) for size in resized_from]
    steps = " and ".join([*rest, "this height and width"])
    return f"{first}, bilinearly (Pillow), then to {steps}, as `data.Resized` does"


def answers_table(tasks: Sequence[TaskSpec]) -> str:
    """What the tasks answer."""
    rows = [("task", "answer", "classes")]
    for task in tasks:
        kind = {"arrays": "outputs as they are, not decoded", "boxes": "boxes, scores and classes"}
        kind = kind.get(task.kind, task.kind)
        kind += ", in the unit of the data" if task.mean is not None else ""
        rows.append((task.name, kind, ", ".join(task.classes or ()) or "-"))
    return table(rows)


def cost(facts: Facts) -> str:
    """Speed and size."""
    speed = [("batch size", "milliseconds", "inputs per second")]
    speed += [(str(n), f"{1e3 * t:.3g}", f"{n / t:,.0f}") for n, t in facts.seconds.items()]
    sizes = [("file", "bytes"), *((n, f"{s:,}") for n, s in facts.sizes.items() if n != CARD)]
    return (
        f"Median time of a call on {facts.device}, transfers included:\n\n{table(speed)}\n\n"
        f"Size on disk:\n\n{table(sizes)}\n\nLargest difference from the outputs of the training "
        f"code on test inputs: {facts.difference:.1e}."
    )


def license(run: Run, metadata: Mapping[str, Any]) -> str:
    """The data, and what only the owner of data and weights knows."""
    rows = [
        ("field", "value"),
        ("data", f"`{truncate(to_source(run.data))}`"),
        ("digest of the data", f"`{metadata.get('data', '-')}`"),
        ("license of the data", TO_FILL_IN),
        ("initial weights", f"`{truncate(to_source(run.initialization.init_from))}`"),
        ("license of the initial weights", TO_FILL_IN),
        ("license of this model", TO_FILL_IN),
        ("intended use and limits", TO_FILL_IN),
    ]
    return table(rows)


def truncate(text: str, most: int = 300) -> str:
    """A text that fits in a cell."""
    return text if len(text) <= most else f"{text[: most - 4]} ..."
