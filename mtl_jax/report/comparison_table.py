"""Tables of a comparison, as Markdown and CSV."""

import csv
import io
import math
import pathlib

from mtl_jax.core.validation import BadInput
from mtl_jax.report.compare import Comparison, Line
from mtl_jax.report.formatting import (
    arrow,
    format_interval,
    format_mean,
    format_p_value,
    format_range,
    markdown,
    unit,
)
from mtl_jax.report.stored_results import StoredResults
from mtl_jax.storage.files import write_text

HEAD = [
    "row",
    "metric",
    "seeds",
    "A",
    "B",
    "B - A",
    "bootstrap",
    "IQM A",
    "IQM B",
    "P(B better)",
    "p",
    "p, Holm",
    "settings",
]
COLUMNS = [
    *("row", "task", "metric", "better", "seeds_a", "seeds_b", "test", "mean_a", "mean_b"),
    *("difference", "t_low", "t_high", "bootstrap_low", "bootstrap_high"),
    *("interquartile_mean_a", "interquartile_mean_b", "probability_of_improvement"),
    *("p", "p_holm", "bootstrap", "settings"),
]
NOTE = (
    "A is {first}, B is {second}. Test metrics at the evaluation that validation selected: mean ± "
    "95 % interval over seeds (Student's t); ↑ higher, ↓ lower is better. B - A is paired where "
    "both have the same seeds, else the interval and p are Welch's. The bootstrap interval has 95 % "
    "too, and is too narrow for few seeds. IQM is the mean of the middle half; P(B better) is the "
    "fraction of pairs of a seed of each in which B is better, ties half (Agarwal et al., 2021). p "
    "is of a two-sided t-test, beside it after Holm's correction for the {count} comparisons of "
    "this table, in which means over rows do not count. There is no interval and no p of one seed, "
    "nor where a value is not finite."
)
MEANS = (
    " Means over rows and tasks are taken by seed, their IQM over all of them and all seeds; Δm % is "
    "the mean relative drop of B against A (Navon et al., 2022)."
)


def comparison_markdown(comparison: Comparison) -> str:
    """The table of a comparison in Markdown, with a note and what is missing."""
    first, second, lines, means, notes = comparison
    count = sum(not math.isnan(line.difference.p_value) for line in lines)
    note = NOTE.format(first=describe(first), second=describe(second), count=count)
    note += MEANS * bool(means)
    listed = "".join(f"\n- {text}" for text in notes) + "\n" * bool(notes)
    return f"{markdown(HEAD, list(map(cells, lines + means)))}\n{note}\n{listed}"


def describe(results: StoredResults) -> str:
    """What was compared: a folder, or one row."""
    return f"the run {results.path}" if results.single else f"{results.path}"


def cells(line: Line) -> list[str]:
    """Formatted cells of a line."""
    sample, difference, bootstrap = line.sample, line.difference, line.bootstrap
    higher, scale = sample.facts.higher_is_better, sample.facts.scale
    counts = f"{sample.first.size}, {sample.second.size} unpaired"
    interval = format_range(bootstrap.low, bootstrap.high)
    return [
        sample.row,
        f"{' '.join(sample.key)}{unit(scale)} {arrow(higher)}".strip(),
        str(sample.first.size) if sample.paired else counts,
        format_interval(sample.first),
        format_interval(sample.second),
        or_dash(difference.mean, format_mean(difference.mean, difference.half_width)),
        or_dash(bootstrap.low, f"{interval} {bootstrap.method}"),
        *(or_dash(mean, format_mean(mean, math.nan)) for mean in line.interquartile_means),
        or_dash(line.probability, f"{line.probability:.2f}"),
        or_dash(difference.p_value, format_p_value(difference.p_value)),
        or_dash(line.adjusted, format_p_value(line.adjusted)),
        sample.settings,
    ]


def or_dash(value: float, text: str) -> str:
    """A text, or "-" if its value is NaN."""
    return "-" if math.isnan(value) else text


def comparison_csv(comparison: Comparison) -> str:
    """CSV with a line for each line of the table, in full precision.

    What does not exist is empty.
    """
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    for line in comparison.lines + comparison.means:
        sample, difference, bootstrap = line.sample, line.difference, line.bootstrap
        ends = (difference.mean - difference.half_width, difference.mean + difference.half_width)
        numbers = [
            *(sample.first.mean(), sample.second.mean(), difference.mean, *ends),
            *(bootstrap.low, bootstrap.high, *line.interquartile_means, line.probability),
            *(difference.p_value, line.adjusted),
        ]
        out.writerow(
            [
                sample.row,
                *sample.key,
                "higher" if sample.facts.higher_is_better else "lower",
                *(" ".join(map(str, seeds)) for seeds in sample.seeds),
                "paired t" if sample.paired else "Welch",
                *("" if math.isnan(number) else repr(float(number)) for number in numbers),
                bootstrap.method,
                sample.settings,
            ]
        )
    return text.getvalue()


def write(comparison: Comparison, root: pathlib.Path) -> None:
    """Writes `comparison.md` and `comparison.csv` to a folder, which is created.

    Raises:
      BadInput: if the folder cannot be created.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out must be a folder: {root}: {error.strerror}") from None
    write_text(root / "comparison.md", comparison_markdown(comparison))
    write_text(root / "comparison.csv", comparison_csv(comparison))
