"""Schema of a run's files on disk, independent of names in the code.

    run.json         schema, name, fingerprint, run and fields (as strings), versions, git, code,
                     devices, data, weights and runs (digests), history
    metrics.jsonl    one evaluation per line: step, train, validation, test; affinity, not_finite,
                     unlabelled
    checkpoints/N    trees "state" (`STATE`) and "candidates" (`MODEL` by seed and evaluation), with
                     schema and note as metadata; N.sha256 is the hash of its files
    selected/        tree "state": `MODEL`, by task if the run selects per task; selected.sha256
    result.json      schema, and the results of `mtl_jax.report.summary`
    timing.json      seconds, bytes, compile_seconds, examples_per_second
    failure.json     of a run that failed: its fingerprint and the reason
    failure.npz      of a run that diverged: inputs and labels of the step's batch
    profile/         of a run with `--profile`: traces of `jax.profiler`

Changing these names or their meaning requires a new `SCHEMA`.
"""

from typing import Any

from mtl_jax.core.validation import BadInput

SCHEMA = 2

# Names of a state on disk, the fields of `mtl_jax.core.step_types.TrainState`.
STATE = (
    "step",
    "key",
    "params",
    "batch_stats",
    "ema",
    "opt_state",
    "balance_state",
    "aux_state",
    "extensions",
)
PARAMS, EMA, BATCH_STATS = "params", "ema", "batch_stats"
MODEL = (PARAMS, BATCH_STATS)


def require_schema(found: dict[str, Any] | None, path: Any) -> None:
    """Requires that a file or a checkpoint has this schema; None means that there is no file.

    Raises:
      BadInput: for another schema.
    """
    number = SCHEMA if found is None else found.get("schema", 1)
    if number != SCHEMA:
        raise BadInput(
            f"{path} has schema {number}, and this version reads and writes {SCHEMA}; give --out "
            "another folder, or --fresh to set the old run aside and train it again"
        )
