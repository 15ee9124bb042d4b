"""The SLURM jobs of a result folder: their ids, which it keeps, and their states."""

import pathlib
import subprocess
from collections.abc import Mapping

from mtl_jax.core.validation import BadInput
from mtl_jax.storage.files import read_json, write_json

TABLE = ""  # Instead of a row's name, of the job that writes the table.


def job_folder(root: pathlib.Path) -> pathlib.Path:
    """The folder of job ids, and of the scripts and logs of jobs."""
    return root / ".slurm"


def read_job_ids(root: pathlib.Path) -> dict[str, str]:
    """The id of the last job of every row that was submitted."""
    return (read_json(job_folder(root) / "jobs.json") or {}).get("jobs", {})


def write_job_ids(root: pathlib.Path, ids: Mapping[str, str]) -> None:
    """Stores the ids of jobs by row."""
    write_json(job_folder(root) / "jobs.json", {"jobs": ids})


def log_file(root: pathlib.Path, job_id: str) -> pathlib.Path:
    """What a job has printed."""
    return job_folder(root) / f"{job_id}_0_log.err"


def job_states() -> dict[str, str]:
    """The state of every job of this user that is not over, such as RUNNING, by id.

    Raises:
      BadInput: if SLURM does not answer.
    """
    command = ["squeue", "--noheader", "--me", "--format=%A %T"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise BadInput("SLURM is not there: no command squeue") from None
    except subprocess.CalledProcessError as error:
        raise BadInput(f"SLURM does not answer: {error.stderr.strip()}") from None
    return dict(line.split() for line in lines.splitlines())
