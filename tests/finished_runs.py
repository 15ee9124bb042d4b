"""Results made by hand, in the files that a run leaves."""

import pytest

from mtl_jax.report.summary import describe_metrics
from mtl_jax.storage.run_directory import RunDirectory


@pytest.fixture
def finished(tmp_path):
    """Writes the result of a run, as `writer` says."""
    return writer(tmp_path)


def writer(root):
    """A function that writes the result of a run below a folder, and gives the run's.

    `selected`, `last` and `last_ema` give each task's test metric of every seed, `validation`
    what the selected evaluation had there, `places` its step and parameters; what was measured
    before the end is `records`, and `below` is the folder of all results.
    """

    def write(
        run,
        selected,
        last=None,
        last_ema=None,
        records=(),
        parameters=1234,
        validation=None,
        places=None,
        evaluations=2,
        labels=(24, 40, 40),
        warnings=(),
        below="",
    ):
        def by_seed(values):
            return [
                {t.name: {t.selection_metric.name: values[t.name][seed]} for t in run.tasks}
                for seed in range(run.num_seeds)
            ]

        last, last_ema = (by_seed(values or selected) for values in (last, last_ema))
        folder = RunDirectory(root / below, run)
        folder.create()
        for record in records:
            folder.append(record)
        result = {
            "name": run.name,
            "parameters": parameters,
            "selected": [
                {"test": test, "validation": chosen_by, "step": step, "parameters": kind}
                for test, chosen_by, (step, kind) in zip(
                    by_seed(selected),
                    by_seed(validation or selected),
                    places or [(4, "raw")] * run.num_seeds,
                    strict=True,
                )
            ],
            "last": [{"raw": raw, "ema": ema} for raw, ema in zip(last, last_ema, strict=True)],
            "evaluations": evaluations,
            "median_of": min(20, evaluations),
            "labels": {task.name: labels for task in run.tasks},
            "warnings": list(warnings),
            "median": last_ema,
            "best_on_test": by_seed(selected),
            "seeds": [run.first_seed + seed for seed in range(run.num_seeds)],
            "metrics": describe_metrics(run.tasks),
        }
        folder.write_result(result, {"seconds": 12.6, "bytes": 2_600_000})
        return folder

    return write
