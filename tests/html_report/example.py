"""A page of results made by hand: single-task rows, one that helps and hurts, one that fails."""

import numpy as np

from mtl_jax.config.experiment import Experiment, Published
from mtl_jax.html_report import write as page
from mtl_jax.report import figures, table
from tests.small import COLUMN, ROW, RUN

LONG = "every pair of rows and columns, with <b>a long name & more"
ROW_ALONE = RUN.replace(name="row alone", tasks=(ROW,), num_seeds=3)
COLUMN_ALONE = RUN.replace(name="column alone", tasks=(COLUMN,), num_seeds=3)
BOTH = RUN.replace(name="both", num_seeds=3, batch_size=4)
LAST = BOTH.replace(name=LONG)
PUBLISHED = (
    Published("both", "row", 91.5, "A 2018, Table 1"),
    Published("both", "column accuracy", 70.0, "B"),
    Published("both", "other", 1.0, "C"),
)
EXPERIMENT = Experiment(
    runs=(ROW_ALONE, COLUMN_ALONE, BOTH, LAST),
    baselines=("row alone", "column alone"),
    published=PUBLISHED,
    scratch_pairs=(("both", "row alone", "column alone"),),
)
QUESTION = "Do rows help columns?\n\nBars on **noise**, <script>alert(1)</script>."
FAILURES = {"diverged": "the loss of 'row' is not finite at step 3 & after"}
SELECTED = {
    "row alone": {"row": [0.7, 0.71, 0.72]},
    "column alone": {"column": [0.8, 0.81, 0.82]},
    "both": {"row": [0.9, 0.91, 0.9205], "column": [0.6, 0.61, 0.62]},
    LONG: {"row": [0.7, 0.712, 0.721], "column": [0.805, 0.81, 0.825]},
}


def records(run, overfits=False):
    """Twelve evaluations; of a run that overfits the first task gets worse from the fourth on."""
    found, random = [], np.random.default_rng(0)
    for index in range(12):
        value = 0.9 - 0.05 * abs(index - 3) if overfits else 0.5 + 0.03 * index
        by_seed = (value + 0.001 * random.standard_normal(run.num_seeds)).tolist()
        kinds = {
            kind: {t.name: {t.selection_metric.name: by_seed} for t in run.tasks}
            for kind in ("raw", "ema")
        }
        train = {f"loss/{t.name}": [1.0 / (1 + index)] * run.num_seeds for t in run.tasks}
        train |= {f"weight/{t.name}": [1.0] * run.num_seeds for t in run.tasks}
        found.append({"step": 4 + 4 * index, "train": train, "validation": kinds})
    return found


def write(finished, root):
    """Writes the results, the table, the figures and the page in a folder."""
    folders = {
        run.name: finished(run, SELECTED[run.name], records=records(run, run.name == "both"))
        for run in EXPERIMENT.runs
    }
    table.write(EXPERIMENT, folders, root, FAILURES)
    figures.write(EXPERIMENT, folders, root)
    page.write(QUESTION, EXPERIMENT, folders, root, FAILURES)
    return folders
