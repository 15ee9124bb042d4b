"""Several processes train as one does, are stopped and killed, and go on."""

import json
import pathlib
import re
import shutil
import signal

import jax
import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.distributed import Distributed, require_all_processes
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.processes import (
    is_first,
    is_same,
    join_parts,
    largest,
    on_first,
    outcome_of,
    own_part,
)
from tests.distributed.launches import ONE, THREE, TWO, ended, started, wait_for_lines
from tests.faults.contents import contents
from tests.runner.launching import launched
from tests.small import ROW, RUN

LEFT = ROW.replace(name="left", num_outputs=10)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process leaves."""
    out = tmp_path_factory.mktemp("alone") / "out"
    code, _, stderr = launched(*ONE, "--out", out)
    assert code == 1
    assert "run 'diverges' diverged" in stderr
    return out


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes leave."""
    out = tmp_path_factory.mktemp("together") / "out"
    codes, said = ended(started(out, TWO))
    assert codes == [1, 1], said
    assert said[1] == ""
    assert "run 'diverges' diverged" in said[0]
    assert not [line for line in said[0].splitlines() if "WARNING" in line]
    return out


def numbers(value) -> np.ndarray:
    """All numbers in a JSON value."""
    if isinstance(value, dict):
        value = [value[name] for name in sorted(value)]
    if isinstance(value, list):
        return np.concatenate([np.zeros(0), *map(numbers, value)])
    return np.array([value] if isinstance(value, int | float) else [], float)


def assert_equal_results(first: pathlib.Path, second: pathlib.Path) -> None:
    """Requires the same measurements and states, but for rounding, which may select another one."""
    names = sorted(path.parent.name for path in first.glob("*/result.json"))
    assert names == sorted(path.parent.name for path in second.glob("*/result.json"))
    assert {"balanced", "streamed", "target", "normalized", "fitted"} == set(names)
    for name in names:
        lines = [folder / name / "metrics.jsonl" for folder in (first, second)]
        if name != "fitted":
            a, b = ([json.loads(x) for x in path.read_text().splitlines()] for path in lines)
            np.testing.assert_allclose(numbers(a), numbers(b), **TOLERANCE, err_msg=name)
            a, b = (CheckpointManager(f / name / "checkpoints", print) for f in (first, second))
            assert a.steps() == b.steps()
            assert_close(a.load(a.steps()[-1]), b.load(b.steps()[-1]))


def assert_close(first, second) -> None:
    """Requires trees of nearly the same arrays."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE), first, second)


@pytest.mark.slow
def test_two_processes_give_the_results_of_one(alone, together):
    assert_equal_results(alone, together)
    assert (together / "table.md").is_file()
    assert (together / "report.html").is_file()
    a, b = (np.load(out / "diverges" / "failure.npz") for out in (alone, together))
    for name in a.files:
        np.testing.assert_allclose(a[name], b[name], **TOLERANCE)


@pytest.mark.slow
def test_each_process_reads_its_own_rows(tmp_path, monkeypatch):
    counts = {}
    for files in (ONE, TWO):
        processes = len(files)
        folder = tmp_path / f"{processes}"
        folder.mkdir()
        monkeypatch.setenv("READ_ROWS", str(folder))
        codes, said = ended(started(folder / "out", files, "--only", "streamed"))
        assert codes == [0] * processes, said
        counts[processes] = [
            sum(map(int, (folder / f"{process}").read_text().split()))
            for process in range(processes)
        ]
    (every,), (first, second) = counts[1], counts[2]
    assert first + second == every
    assert second <= first <= 0.6 * every


@pytest.mark.slow
@pytest.mark.parametrize("row", ["balanced", "streamed"])
def test_a_launch_whose_processes_are_killed_goes_on_bitwise(row, together, tmp_path):
    out = tmp_path / "out"
    processes = started(out, TWO)
    wait_for_lines(out / row / "metrics.jsonl", 2, processes)
    for process in processes:
        process.kill()
    ended(processes)
    codes, said = ended(started(out, TWO))
    assert codes == [1, 1], said
    assert contents(out) == contents(together)


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_and_another_number_goes_on(alone, tmp_path):
    out = tmp_path / "out"
    processes = started(out, TWO, devices=2)
    wait_for_lines(out / "balanced" / "metrics.jsonl", 2, processes)
    processes[1].send_signal(signal.SIGTERM)
    codes, said = ended(processes)
    assert codes == [143, 143], said
    assert "run 'balanced' stopped after step" in said[0]
    assert CheckpointManager(out / "balanced" / "checkpoints", print).steps()
    shutil.copytree(out, tmp_path / "copy")
    code, _, stderr = launched(*ONE, "--out", out)  # In one process, with one device.
    assert code == 1, stderr
    assert_equal_results(alone, out)
    codes, said = ended(started(tmp_path / "copy", THREE, "--mesh", "batch=1,seed=1,model=3"))
    assert codes == [1, 1, 1], said
    assert_equal_results(alone, tmp_path / "copy")


@pytest.mark.slow
def test_two_processes_go_on_from_one(alone, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(alone, out)
    (out / "streamed" / "result.json").unlink()
    shutil.rmtree(out / "target")  # It starts from the other one.
    manager = CheckpointManager(out / "streamed" / "checkpoints", print)
    manager.delete(manager.steps()[-1])
    codes, said = ended(started(out, TWO))
    assert codes == [1, 1], said
    assert_equal_results(alone, out)


@pytest.mark.slow
def test_the_others_end_if_one_is_killed(tmp_path):
    out = tmp_path / "out"
    processes = started(out, TWO)
    wait_for_lines(out / "balanced" / "metrics.jsonl", 1, processes)
    processes[1].kill()
    codes, said = ended(processes)
    assert codes[0] not in (0, None), said
    assert not (out / "table.md").exists()


BAD = {
    "error: --only nothing matches no run; there is balanced, streamed, target, diverges, "
    "normalized, fitted": (TWO, ["--only", "nothing"]),
    "error: run 'balanced': the 3 devices of all processes must divide its seeds and its batch; "
    "seed=1, batch=1, model=1 is the largest mesh that does": (THREE, ["--only", "balanced"]),
    "error: run 'balanced': DeviceMesh(seed=2, batch=2, model=1): must have as many devices as there are, 2, not 4":
        (TWO, ["--only", "balanced", "--mesh", "seed=2,batch=2"]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("text", BAD)
def test_bad_input_ends_all_before_anything_is_trained(text, tmp_path):
    files, options = BAD[text]
    codes, said = ended(started(tmp_path / "out", files, *options))
    assert set(codes) == {2}, said
    assert said[0] == text
    assert said[1] == f"process 1: {text}"
    assert not list((tmp_path / "out").glob("*/run.json"))


@pytest.mark.slow
def test_processes_with_another_experiment_or_other_options_are_refused(tmp_path):
    other = tmp_path / "kinds.py"
    other.write_text(ONE[0].read_text().replace("steps=40", "steps=20"))
    cases = {
        "error: --distributed: the experiment has other rows in other processes": ((other,), ()),
        "error: --distributed: other processes have other options": (ONE, ("--fresh",)),
        f"error: no experiment file {tmp_path / 'none.py'}": ((tmp_path / "none.py",), ()),
    }
    for text, (last, options) in cases.items():
        codes, said = ended(started(tmp_path / "out", (*ONE, *last), of_last=options))
        assert codes == [2, 2], said
        assert said == [text, f"process 1: {text}"]


@pytest.mark.slow
@pytest.mark.parametrize("process", [0, 1])
def test_data_that_one_process_cannot_read_end_all(process, tmp_path, monkeypatch):
    monkeypatch.setenv("DAMAGED_IN", str(process))
    codes, said = ended(started(tmp_path / "out", TWO, "--only", "streamed"))
    assert codes[process] == 1 and 0 not in codes, said
    assert said[process].splitlines()[0].endswith("error: image 7 is damaged"), said
    assert not (tmp_path / "out" / "streamed" / "failure.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("coordinator=a:1,processes=2", "needs process, or must be auto"),
        ("coordinator=a,processes=2,process=0", "coordinator: must be HOST:PORT, not a"),
        ("coordinator=a:1,processes=2,process=2", "process: must be less than the number of"),
        ("coordinator=a:1,processes=two,process=1", "processes: must be an integer, not 'two'"),
        ("coordinator=a:1,processes=2,rank=0", "rank: is neither auto nor a field"),
        ("processes=2,processes=2", "processes: must have one value"),
    ],
)
def test_addresses_are_checked(text, message):
    with pytest.raises(BadInput, match=re.escape(f"--distributed {message}") + "|" + message):
        Distributed.parse(text)


def test_one_process_decides_reads_and_writes_everything():
    assert is_first()
    assert on_first(lambda: {"a": 1}) == {"a": 1}
    with pytest.raises(BadInput, match="wrong"):
        on_first(raise_bad_input)
    assert largest(15) == 15
    assert is_same(object)
    index = np.arange(7)
    np.testing.assert_array_equal(own_part(index), index)
    np.testing.assert_array_equal(join_parts(own_part(index), 7), index)


def raise_bad_input():
    raise BadInput("wrong")


def test_an_error_that_cannot_be_pickled_is_told():
    class Local(ValueError):
        pass

    def fail():
        raise Local("why")

    assert str(outcome_of(fail)[1]) == "Local: why"
    assert isinstance(outcome_of(raise_bad_input)[1], BadInput)
    assert outcome_of(lambda: 3) == (3, None)


def test_one_seed_with_data_of_its_own_has_examples_for_all(monkeypatch):
    run = RUN.replace(data=data.PerSeed(data.MultiDigits(96, 32, 32)), num_seeds=1, tasks=(LEFT,))
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    shapes = abstract_data(run)
    mesh = jax.make_mesh((1,), ("batch",), devices=jax.devices()[:1])
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    require_all_processes(run, mesh, shapes)
    monkeypatch.setattr(jax, "process_count", lambda: 97)
    with pytest.raises(BadInput, match=r"Run.data must have at least as many examples as .*, 97"):
        require_all_processes(run, mesh, shapes)
