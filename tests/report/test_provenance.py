"""What tells that rows of one table were made by several states of the code."""

import json

from mtl_jax.report import provenance
from tests.small import RUN

ROWS = [RUN.replace(name=name) for name in ("a", "b", "c")]


def rewritten(folder, **changes):
    path = folder.path / "run.json"
    about = json.loads(path.read_text())
    versions = {**about["versions"], **changes.pop("versions", {})}
    path.write_text(json.dumps({**about, **changes, "versions": versions}))


def test_rows_of_one_state_need_no_word(finished):
    folders = [finished(run, {"row": [0.5, 0.5], "column": [0.5, 0.5]}) for run in ROWS]
    assert (
        provenance.provenance_note(folders)
        == provenance.provenance_note(folders[:1])
        == provenance.provenance_note([])
        == ""
    )


def test_commits_and_versions_are_counted(finished):
    folders = [finished(run, {"row": [0.5, 0.5], "column": [0.5, 0.5]}) for run in ROWS]
    for folder in folders:
        rewritten(folder, git="0123456789abcdef", versions={"jax": "0.10.2"})
    rewritten(folders[2], git="fedcba9876543210+")
    assert provenance.provenance_note(folders) == (
        " Rows come from several states of the code: 01234567 with JAX 0.10.2 (2); "
        "fedcba98+ with JAX 0.10.2 (1)."
    )
    rewritten(folders[2], git=None, versions={"mtl_jax": "3.1", "jax": "0.12.0"})
    assert "; version 3.1 with JAX 0.12.0 (1)." in provenance.provenance_note(folders)
