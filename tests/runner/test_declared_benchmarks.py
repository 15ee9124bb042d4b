"""The declared multi-task benchmarks: papers' numbers and recipes, and steps on true formats."""

import json
import pathlib

import numpy as np
import pytest

from mtl_jax import metrics, nets
from mtl_jax.config.optimizers import StepSchedule
from mtl_jax.report.formatting import metric_of
from mtl_jax.runner.run_selection import load_experiment
from tests.runner import benchmark_data
from tests.runner.launching import launched

ROOT = pathlib.Path(__file__).parents[2]
NAMES = (
    "nyuv2", "nyuv2_resnet50", "nyuv2_partial", "cityscapes", "cityscapes_resnet50", "celeba",
    "qm9", "office31", "office_home",
)  # fmt: skip
READ = {name: load_experiment(ROOT / "experiments" / f"{name}.py") for name in NAMES}
TABLES = {
    name: json.loads((ROOT / "experiments" / "published" / f"{name}.json").read_text())["tables"]
    for name in NAMES
}
# Epochs, training images, batch and whether the last batch may be smaller, of the papers' code.
RECIPES = {
    "nyuv2": (200, 795, 2, True),
    "nyuv2_resnet50": (200, 795, 8, False),
    "nyuv2_partial": (200, 795, 2, True),
    "cityscapes": (200, 2975, 8, True),
    "cityscapes_resnet50": (200, 2975, 64, False),
    "celeba": (15, 162_770, 256, True),
    "qm9": (300, 110_831, 120, True),
    "office31": (100, 1680, 64, False),
    "office_home": (100, 2635, 64, False),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe(name):
    epochs, images, batch, partly = RECIPES[name]
    epoch = -(-images // batch) if partly else images // batch
    for run in READ[name].runs:
        assert (run.batch_size, run.steps, run.num_seeds) == (batch, epochs * epoch, 3)
        assert run.evaluation.every % epoch == 0 and run.evaluation.ema_decay == 0.0
        rate = run.optimizer.learning_rate
        if name.startswith(("nyuv2", "cityscapes")):
            assert rate == StepSchedule(1e-4) and run.evaluation.selection == "last"
            np.testing.assert_allclose(rate.schedule(run.steps)(epochs * epoch // 2), 5e-5)
        wanted = 1e-5 if name.endswith("resnet50") or name.startswith("office") else 0.0
        assert run.optimizer.weight_decay == wanted


def test_every_row_of_a_protocol_has_its_trunk():
    for name in ("nyuv2", "cityscapes"):
        for run in READ[name].runs:
            alone = run.name.endswith(("alone", "without attention"))
            assert run.trunk == (nets.SegNet() if alone else nets.SegNetMTAN())
            kinds = dict(run.augmentation.joint.kinds)
            assert kinds.keys() == {task.name for task in run.tasks} - {"segmentation"}
    starts = {run.initialization.init_from for run in READ["nyuv2_resnet50"].runs}
    assert {start and start.path for start in starts} == {None, "data/resnet50"}


@pytest.mark.parametrize("name", NAMES)
def test_every_number_says_where_it_was_read_and_stands_in_a_column(name):
    found = READ[name].published
    runs = {run.name: run for run in READ[name].runs}
    assert all(t["read_in"] and t["protocol"] and t["rows"] for t in TABLES[name])
    for number in found:
        columns = {metric_of(task, m).removesuffix(" %")
                   for task in runs[number.run].tasks for m in task.metrics}  # fmt: skip
        columns |= {"Δm %", "Δp %", "average"}
        assert number.column.partition(" (")[0] in columns, number
    assert len({(n.run, n.column, n.source) for n in found}) == len(found) > 0


def published(name, run, column):
    return [n.value for n in READ[name].published if (n.run, n.column) == (run, column)]


def test_published_numbers():
    assert published("nyuv2", "segmentation alone", "segmentation mIoU") == [38.3]
    assert published("nyuv2", "Nash-MTL", "Δm %") == [-4.04]
    assert published("cityscapes", "FAMO", "depth mae") == [0.0145]
    assert published("celeba", "NTKMTL", "Δm %") == [-0.77]
    assert published("celeba", "Smiling alone", "Smiling f1") == [92.41]
    assert published("qm9", "alone", "mu mae (debye)") == []
    assert published("office31", "DB-MTL", "Δp %") == [1.05]


@pytest.mark.parametrize("name", ["nyuv2", "cityscapes"])
def test_published_changes_follow_from_the_published_metrics(name):
    """Navon et al.: the mean of the relative changes; rounded rows give it to about 0.4."""
    numbers = {(n.run, n.column): n.value for n in READ[name].published if "Nash" in n.source}
    tasks = {run.name: run.tasks[0] for run in READ[name].runs if run.name.endswith("alone")}
    columns = {
        metric_of(task, m).removesuffix(" %"): (alone, m.higher_is_better)
        for alone, task in tasks.items()
        for m in task.metrics
    }
    base = np.array([numbers[alone, column] for column, (alone, _) in columns.items()])
    higher = tuple(better for _, better in columns.values())
    for run in ("LS", "RLW", "MGDA", "CAGrad", "Nash-MTL"):
        values = np.array([numbers[run, column] for column in columns])
        change = metrics.delta_m(values, base, higher)
        np.testing.assert_allclose(change, numbers[run, "Δm %"], atol=0.45)


SMALL = """
import dataclasses

from experiments.{name} import EXPERIMENT as WHOLE
from mtl_jax import Experiment, nets

RESNET = {{"width": 2, "small_images": False}}
DILATED = RESNET | {{"output_stride": 8, "features": "map"}}
TRUNKS = {{
    "SegNet": lambda trunk: nets.SegNet((2, 4)),
    "SegNetMTAN": lambda trunk: nets.SegNetMTAN((2, 4)),
    "Preprocessed": lambda trunk: nets.Preprocessed(
        nets.ResNet(18, **(DILATED if trunk.trunk.depth == 50 else RESNET)), trunk.preprocessing
    ),
    "MTAN": lambda trunk: nets.MTAN(nets.ResNet(18, **DILATED)),
    "MPNN": lambda trunk: nets.MPNN(4, 8),
    "FaceNet": lambda trunk: type(trunk)(2),
}}


def small(source):
    wrapped = getattr(source, "source", None)
    if wrapped is not None:
        return dataclasses.replace(source, source=small(wrapped))
    if hasattr(source, "max_atoms"):
        return dataclasses.replace(source, validation=2, test=3, max_atoms=5)
    if hasattr(source, "inputs"):
        inputs = (dataclasses.replace(e, source=small(e.source)) for e in source.inputs)
        return dataclasses.replace(source, inputs=tuple(inputs))
    return dataclasses.replace(source, size=(8, 8)) if hasattr(source, "size") else source


EXPERIMENT = Experiment(
    runs=tuple(
        run.replace(
            data=small(run.data),
            tasks=tuple(
                t.replace(head=nets.heads.ASPP(t.num_outputs, (16, 24), (1, 2), 4))
                if isinstance(t.head, nets.heads.ASPP)
                else t
                for t in run.tasks
            ),
            trunk=TRUNKS[type(run.trunk).__name__](run.trunk),
            batch_size=2,
            num_seeds=1,
        )
        for run in WHOLE.runs
        if run.name in {runs}
    ),
)
"""
SMOKES = {
    "nyuv2": ("segmentation alone", "SDMGrad"),
    "nyuv2_resnet50": ("depth alone", "MGDA"),
    "nyuv2_partial": ("one label, depth alone", "random labels, MTPSL"),
    "cityscapes": ("depth alone", "Nash-MTL"),
    "cityscapes_resnet50": ("GradDrop",),
    "celeba": ("Smiling alone", "LS"),
    "qm9": ("mu alone", "LS"),
    "office31": ("dslr alone",),
    "office_home": ("EW",),
}


@pytest.fixture
def small_data(tmp_path):
    root = tmp_path / "data"
    for name in benchmark_data.DENSE:
        benchmark_data.write_dense(root / name, {"train": 6, "val": 3}, (16, 24))
    for name in benchmark_data.OFFICE:
        benchmark_data.write_office(root / name)
    for name in ("resnet18", "resnet50"):
        benchmark_data.write_resnet(root / name, 18, width=2)
    benchmark_data.write_molecules(root / "qm9")
    benchmark_data.write_kept_labels(root / "mtpsl", 6)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_smoke_on_true_formats(name, small_data, tmp_path, monkeypatch):
    if name == "celeba":
        builder = benchmark_data.Faces(data_dir=str(small_data), file_format="array_record")
        builder.download_and_prepare()
    runs = SMOKES[name]
    (tmp_path / "small.py").write_text(SMALL.format(name=name, runs=runs))
    monkeypatch.chdir(tmp_path)
    for option in ("--dry", "--smoke"):
        code, _, err = launched(tmp_path / "small.py", option, "--out", tmp_path / "out")
        assert code == 0, err
    tasks = {run.name: run.tasks for run in READ[name].runs}
    for run in runs:
        last = json.loads((tmp_path / "out" / run / "result.json").read_text())["last"]
        values = [last[0]["raw"][t.name][m.name] for t in tasks[run] for m in t.metrics]
        assert np.isfinite(values).all(), dict(zip(tasks[run], values, strict=False))
