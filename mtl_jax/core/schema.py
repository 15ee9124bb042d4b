"""What a run leaves on disk, by names that stay when names of the code change.

    run.json         schema, name, fingerprint, run and fields (as text), versions, git, code, devices,
                     data, weights and runs (digests), history
    metrics.jsonl    an evaluation a line: step, train, validation, test; affinity, not_finite
    checkpoints/N    trees "state" (`STATE`) and "candidates" (`MODEL` by seed and evaluation), with
                     schema and note as metadata; N.sha256 is the hash of its files
    selected/        the tree "state": `MODEL`, by task if the run selects for each; selected.sha256
    result.json      schema, and what `mtl_jax.report.summary` says
    timing.json      seconds, bytes

A change of these names, or of what they mean, takes a new `SCHEMA`.
"""

from typing import Any

from mtl_jax.core.validation import BadInput

SCHEMA = 2

# Of a state, the names on disk and those of `mtl_jax.train.TrainState`.
STATE = {
    "step": "step",
    "key": "key",
    "params": "params",
    "batch_stats": "stats",
    "ema": "ema",
    "opt_state": "opt",
    "balance_state": "balance",
    "aux_state": "consistency",
    "policy_state": "augment",
    "meta_teacher": "coach",
}
PARAMS, EMA, BATCH_STATS = "params", "ema", "batch_stats"
MODEL = (PARAMS, BATCH_STATS)


def require_schema(found: dict[str, Any] | None, path: Any) -> None:
    """Requires that a file or a checkpoint is of this schema; None is no file.

    Raises:
      BadInput: for another one.
    """
    number = SCHEMA if found is None else found.get("schema", 1)
    if number != SCHEMA:
        raise BadInput(
            f"{path} has schema {number}, and this version reads and writes {SCHEMA}; give --out "
            "another folder, or --fresh to set the old run aside and train it again"
        )
