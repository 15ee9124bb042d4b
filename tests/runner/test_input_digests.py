"""What rows were trained on: changed data, weights and sources are told, and never mixed."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mtl_jax import data
from mtl_jax.core.data_source import DataSource
from mtl_jax.nets.pretrained import Weights
from mtl_jax.runner import evaluation, input_digests, training
from mtl_jax.runner.input_digests import data_digest, forget
from tests.runner.launching import launched
from tests.small import DATA, ROW, RUN, part

FILE = """
import functools
from mtl_jax import data, losses, metrics, nets, optimizers, weighting
from mtl_jax.config.sklearn_baseline import SklearnBaseline, logistic_regression
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.run_groups import Evaluation
from mtl_jax.config.task import Task

T = Task(name="y", num_outputs=2, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
ONE = Run(
    name="one", data=data.Table({csv!r}, validation=0.2, test=0.2), tasks=(T,),
    trunk=nets.MLP((3,)), balance=weighting.Equal(), optimizer=optimizers.SGD(0.1), batch_size=8,
    steps=8, evaluation=Evaluation(every=2, checkpoint_every=4, ema_decay=0.5),
)
NEXT = ONE.replace(name="next", initialization={{'init_from': ONE}})
LINE = SklearnBaseline(name="line", data=ONE.data, task=T, candidates=(functools.partial(logistic_regression, C=1.0),))
EXPERIMENT = Experiment(runs=(ONE, NEXT), sklearn_baselines=(LINE,))
"""


def written(folder, flip=False):
    """A table of 60 rows, whose classes may be the other way round."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{a},{b},{int((a > 0) != flip)}" for a, b in x]
    (folder / "data.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")


@pytest.fixture
def launch(tmp_path):
    """Launches the experiment above; gives exit code, stdout and stderr."""
    written(tmp_path)
    file = tmp_path / "file.py"
    file.write_text(FILE.format(csv=str(tmp_path / "data.csv")))
    return lambda *options: launched(file, "--out", tmp_path / "out", *options)


def listed(launch):
    return [line.split("  ")[1] for line in launch("--list")[1].splitlines()]


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.read_bytes() for path in files}


@pytest.mark.slow
def test_changed_data_of_finished_rows_is_told_and_nothing_is_touched(launch, tmp_path):
    assert launch()[0] == 0 and launch() == (0, "", "")
    before = contents(tmp_path / "out")
    written(tmp_path, flip=True)
    code, stdout, stderr = launch()
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert "one has what was trained before of 'one', and its data are other ones now" in stderr
    assert "--fresh" in stderr and "--out" in stderr
    assert contents(tmp_path / "out") == before
    assert listed(launch) == ["done, data changed"] * 3
    for name in ("next", "line"):
        assert (
            f"of {name!r}" in launch("--only", name)[2] or "of 'one'" in launch("--only", name)[2]
        )
    # The same again is the same, whatever the clock says.
    written(tmp_path)
    assert launch() == (0, "", "") and listed(launch) == ["done"] * 3
    written(tmp_path, flip=True)
    assert launch("--fresh")[0] == 0
    assert listed(launch) == ["done"] * 3 and (tmp_path / "out" / "one.old").is_dir()


@pytest.mark.slow
def test_a_part_is_not_mixed_with_rows_of_other_data(launch, tmp_path):
    assert launch()[0] == 0
    table = (tmp_path / "out" / "table.csv").read_text()
    written(tmp_path, flip=True)
    code, _, stderr = launch("--only", "line", "--fresh")
    assert code == 2 and "rows that a new one would lack: one, next" in stderr
    assert (tmp_path / "out" / "table.csv").read_text() == table
    assert not (tmp_path / "out" / "line.old").exists()


class Interrupted(training.CheckpointManager):
    """Stops every run at its first checkpoint."""

    def save(self, step, *args):
        super().save(step, *args)
        self.wait()
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_never_goes_on_with_other_data(launch, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training, "CheckpointManager", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            launch()
    before = contents(tmp_path / "out")
    written(tmp_path, flip=True)
    code, _, stderr = launch()
    assert code == 2 and "its data are other ones now" in stderr
    assert contents(tmp_path / "out") == before
    assert listed(launch)[0] == "step 4 of 8, data changed"
    # Nor if only the checkpoint says which data they were.
    about = tmp_path / "out" / "one" / "run.json"
    told = json.loads(about.read_text())
    about.write_text(json.dumps({**told, "data": data_digest_of(tmp_path)}))
    code, _, stderr = launch("--only", "one")
    assert code == 1 and "is a checkpoint of another run (data " in stderr
    written(tmp_path)
    about.write_text(json.dumps(told))
    assert launch("--retry")[0] == 0 and listed(launch) == ["done"] * 3


def data_digest_of(folder):
    forget()
    return data_digest(data.Table(str(folder / "data.csv"), validation=0.2, test=0.2))


def test_a_source_that_was_trained_anew_is_told(launch, tmp_path):
    assert launch()[0] == 0
    one = tmp_path / "out" / "one"
    result = json.loads((one / "result.json").read_text())
    (one / "result.json").write_text(json.dumps({**result, "state_sha256": "0" * 64}))
    code, _, stderr = launch()
    assert code == 2 and "of 'next', and a run that it starts from or learns from" in stderr
    assert listed(launch) == ["done", "done, runs changed", "done"]
    assert "of 'next'" in launch("--only", "next")[2]


@pytest.mark.slow
def test_a_source_trained_anew_in_this_launch_leaves_the_table(launch, tmp_path, monkeypatch):
    assert launch()[0] == 0
    table = (tmp_path / "out" / "table.csv").read_text()
    # As other code would leave it.
    monkeypatch.setattr(evaluation, "digest", lambda tree: "1" * 64)
    code, _, stderr = launch("--only", "one", "--fresh")
    assert code == 2 and "rows that a new one would lack: next" in stderr
    assert (tmp_path / "out" / "table.csv").read_text() == table


@pytest.mark.slow
def test_finished_rows_stand_without_their_data_and_that_is_said(launch, tmp_path):
    assert launch()[0] == 0
    table = (tmp_path / "out" / "table.csv").read_bytes()
    (tmp_path / "data.csv").unlink()
    code, _, stderr = launch()
    assert code == 0 and stderr.count("\n") == stderr.count("cannot be told: ") == 3
    assert (tmp_path / "out" / "table.csv").read_bytes() == table
    assert listed(launch) == ["done, data unreadable"] * 3


@pytest.mark.slow
def test_older_results_stand(launch, tmp_path):
    """They do not say what data they had, which is said below the table."""
    assert launch()[0] == 0
    for name in ("one", "next", "line"):
        path = tmp_path / "out" / name / "run.json"
        told = json.loads(path.read_text())
        new = ("data", "runs", "history", "code", "devices")
        path.write_text(json.dumps({key: told[key] for key in told if key not in new}))
    assert launch() == (0, "", "") and listed(launch) == ["done"] * 3
    said = "Of 3 older rows it was not kept what data they were trained on."
    assert said in (tmp_path / "out" / "table.md").read_text()


def test_data_that_change_during_a_launch(tmp_path, monkeypatch):
    """A run notes the data that it gets, which a long launch may have read again."""
    source, _ = table(tmp_path)
    forget()
    one = data_digest(source)
    assert data_digest(source, reload=True) == one
    written(tmp_path, flip=True)
    monkeypatch.setattr(input_digests, "load", lambda source, *_: (source.load(),))
    assert data_digest(source) == one != data_digest(source, reload=True)
    assert data_digest(source) == data_digest(source, reload=True)


@dataclasses.dataclass(frozen=True)
class File:
    """Weights of an MLP in a file."""

    path: str

    def load(self, trunk, shape, *, dtype):
        found = np.load(self.path)
        dense = {"kernel": found["kernel"], "bias": found["bias"]}
        return Weights({"Dense_0": dense}, {}, None, None)


WEIGHTS = """
from mtl_jax.config.experiment import Experiment
from tests.runner.test_input_digests import File
from tests.small import RUN

EXPERIMENT = Experiment(runs=(RUN.replace(name="taken", initialization={{'init_from': File({path!r})}}),))
"""


@pytest.mark.slow
def test_weights_that_changed_are_told(tmp_path):
    path, file = tmp_path / "weights.npz", tmp_path / "file.py"
    file.write_text(WEIGHTS.format(path=str(path)))
    options = (file, "--out", tmp_path / "out")
    arrays = {"kernel": np.full((36, 12), 0.1, np.float32), "bias": np.zeros(12, np.float32)}
    np.savez(path, **arrays)
    assert launched(*options)[0] == 0 and launched(*options) == (0, "", "")
    np.savez(path, **arrays | {"bias": np.full(12, 1e-7, np.float32)})
    code, _, stderr = launched(*options)
    assert code == 2 and "the weights that it starts from are other ones now" in stderr
    assert "done, weights changed" in launched(*options, "--list")[1]


def test_the_digest_by_hand():
    forget()
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    small = {"inputs": array, "label": np.array([0, 1], np.int32)}
    total = hashlib.sha256()
    for name in ("test", "train", "validation"):
        total.update(f"{name}/inputs:int32(2, 3);".encode() + array.astype("<i4").tobytes())
        total.update(f"{name}/label:int32(2,);".encode() + bytes([0, 0, 0, 0, 1, 0, 0, 0]))
    assert data_digest(data.Arrays(small, small, small)) == total.hexdigest()


@dataclasses.dataclass(frozen=True)
class Named(DataSource):
    """A source of a user's own, with names among its arrays."""

    path: str

    def shapes(self):
        return DATA.shapes()

    def load(self):
        with open(self.path) as file:
            names = np.array(file.read().split(), object)
        return (
            data.Arrays(part(96, 0), part(40, 1), part(40, 2))
            .load()
            ._replace(train={**part(96, 0), "who": names})
        )


def folder(root):
    for name, colour in (("a", 10), ("b", 200)):
        (root / name).mkdir()
        for number in range(10):
            Image.new("RGB", (3, 3), (colour, number, 0)).save(root / name / f"{number}.png")
    return data.Folder(str(root), size=(3, 3)), root / "a" / "7.png"


def table(root):
    written(root)
    return data.Table(str(root / "data.csv"), validation=0.2, test=0.2), root / "data.csv"


def texts(root):
    (root / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad")
    words = (" ".join(("good", "bad")[n >> bit & 1] for bit in range(5)) for n in range(20))
    rows = "".join(f"{text},{n % 2}\n" for n, text in enumerate(words))
    (root / "texts.csv").write_text(f"text,label\n{rows}")
    pieces = data.WordPiece(str(root / "vocab.txt"), length=4)
    source = data.Texts(str(root / "texts.csv"), pieces, validation=0.2, test=0.2)
    return source, root / "texts.csv"


def vocabulary(root):
    return texts(root)[0], root / "vocab.txt"


def series(root):
    for place, name in enumerate(("TRAIN", "TEST")):
        each = range(20 * place, 20 * place + 20)
        rows = "".join(f"{n},2,{n % 3}:{('up', 'down')[n % 2]}\n" for n in each)
        (root / f"S_{name}.ts").write_text(f"@classLabel true up down\n@data\n{rows}")
    return data.UCR("S", str(root)), root / "S_TEST.ts"


def labelled_set(root):
    data.write_splits(DATA, "row", 9, (0,), root / "set.json")
    return data.FixedLabels(DATA, "row", str(root / "set.json")), root / "set.json"


def several(root):
    inner, file = table(root)
    return data.MultiInput(
        (data.Input("one", inner, label="y"), data.Input("two", inner, "y"))
    ), file


def own(root):
    (root / "names.txt").write_text(" ".join(f"n{n}" for n in range(96)))
    return Named(str(root / "names.txt")), root / "names.txt"


def corrupted(file, root):
    """Changes what is in a file, as its kind allows."""
    if file.suffix == ".png":
        Image.new("RGB", (3, 3), (11, 7, 0)).save(file)
    elif file.suffix == ".json":
        data.write_splits(DATA, "row", 9, (1,), root / "other.json")
        sets = json.loads((root / "other.json").read_text())
        sets["splits"]["0"] = sets["splits"].pop("1")
        file.write_text(json.dumps(sets))
    else:
        old = file.read_text()
        swaps = {"data.csv": (",1\n", ",0\n"), "texts.csv": (",1\n", ",0\n"),
                 "vocab.txt": ("good\nbad", "bad\ngood"), "S_TEST.ts": ("39,2,0:down", "39,2,0:up"),
                 "names.txt": ("n95", "n-1")}  # fmt: skip
        file.write_text(old.replace(*swaps[file.name], 1))
        assert file.read_text() != old


SOURCES = [folder, table, texts, vocabulary, series, labelled_set, several, own]


@pytest.mark.parametrize("make", SOURCES)
def test_every_source_is_known_by_what_it_reads(make, tmp_path):
    source, file = make(tmp_path)
    forget()
    one = data_digest(source)
    kept = tmp_path / "kept"
    shutil.copy(file, kept)
    file.unlink()
    shutil.copy(kept, file)  # The same again, of another time.
    forget()
    assert data_digest(source) == one
    corrupted(file, tmp_path)
    assert data_digest(source) == one  # Known until it is forgotten, or read again.
    forget()
    assert data_digest(source) != one


def test_classes_of_a_task_alone_do_not_hide_a_change():
    """Each of parts, names, types, shapes and values counts."""
    base = {"inputs": np.zeros((2, 4), np.float32), "label": np.zeros(2, np.int32)}
    others = [
        {**base, "more": np.zeros(2, np.int32)},
        {**base, "label": np.zeros(2, np.int64)},
        {**base, "label": np.array([0, 1], np.int32)},
        {"inputs": base["inputs"], "labels": base["label"]},
        {**base, "inputs": np.zeros((2, 2), np.float32)},
        {**base, "inputs": -base["inputs"]},  # Minus zero is another number.
    ]
    sources = [data.Arrays(one, one, one) for one in (base, *others)]
    swapped = data.Arrays(base, {**base, "label": others[2]["label"]}, base)
    last = data.Arrays(base, base, {**base, "label": others[2]["label"]})
    found = {data_digest(source) for source in (*sources, swapped, last)}
    assert len(found) == len(sources) + 2
    assert data_digest(RUN.data) == data_digest(RUN.replace(tasks=(ROW,)).data)
