"""Heads, trunks, teachers and features of other runs: their classes, columns and vocabularies."""

import dataclasses
import functools

import numpy as np
import pytest

from mtl_jax import augment, consistency, nets, transfer
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, Input, MultiInput, WordPiece
from mtl_jax.runner import sklearn_data
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.class_name_checks import check_names, features, restored_heads
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.transfer import HEADS
from tests.small import COLUMN, DATA, ROW, RUN

NAMES = ("top", "middle", "bottom")
PERMUTED = ("bottom", "middle", "top")


@dataclasses.dataclass(frozen=True)
class Named(DataSource):
    """The small problem, whose source says what classes, columns and tokens are called."""

    rows: tuple | None = NAMES
    width: tuple | None = None
    tokens: object = None

    def shapes(self):
        return DATA.shapes()

    def load(self):
        return DATA.load()

    def classes(self):
        return {} if self.rows is None else {"row": self.rows}

    def text_tokenizer(self):
        return self.tokens

    def columns(self):
        return None if self.width is None else dict.fromkeys(self.width)


SOURCE = RUN.replace(name="source", data=Named(), tasks=(ROW, COLUMN))
NEXT = RUN.replace(
    name="next", data=Named(PERMUTED), tasks=(ROW,), initialization={"init_from": SOURCE}
)
TO_ROW = (r"tasks/heads/column/(.*)", r"tasks/heads/row/\1")


@pytest.mark.parametrize(
    ("take", "fresh", "found"),
    [
        ((), (), []),
        (HEADS, (), [("row", "row")]),
        ((TO_ROW,), (), [("column", "row")]),
        ((*HEADS, TO_ROW), ("tasks/heads/row/.*",), []),
        (((r"tasks/heads/row/(kernel|bias)", r"tasks/heads/row/old/Dense_0/\1"),), (), []),
    ],
)
def test_which_heads_are_restored(take, fresh, found):
    run = NEXT.replace(initialization={"param_map": take, "new_params": fresh})
    assert restored_heads(run, SOURCE) == found


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (PERMUTED, "class 0 is 'top' there and 'bottom' here"),
        (("top", "middle", "lowest"), "class 2 is 'bottom' there and 'lowest' here"),
        (NAMES[:2], "class 2 is 'bottom' there and 'nothing' here"),
    ],
)
def test_a_head_of_other_classes_is_refused_before_anything_trains(rows, said, tmp_path):
    run = NEXT.replace(data=Named(rows), initialization={"param_map": HEADS})
    with pytest.raises(BadInput, match=f"run 'next': initialization.param_map: the head of 'row', from 'source', .*{said}"):  # fmt: skip
        sweep(Experiment(runs=(run,)), Experiment(runs=(run,)), tmp_path)
    assert not (tmp_path / "source").exists()


@pytest.mark.parametrize(
    "run",
    [
        NEXT,  # whose head is new
        NEXT.replace(data=Named(), initialization={"param_map": HEADS}),
        NEXT.replace(data=Named(None), initialization={"param_map": HEADS}),
        NEXT.replace(
            initialization={"param_map": (TO_ROW,)}
        ),  # nobody says what the columns are called
        NEXT.replace(initialization={"init_from": SOURCE.replace(data=DATA), "param_map": HEADS}),
        NEXT.replace(initialization={"param_map": HEADS, "new_params": ("tasks/heads/row/.*",)}),
    ],
)
def test_heads_that_agree_or_whose_classes_are_not_known(run):
    load_run_data(run)


def test_a_teacher_of_other_classes_is_refused():
    learning = ROW.replace(auxiliary=consistency.NoisyStudent(threshold=0.3))
    student = RUN.replace(
        name="student",
        data=Named(),
        tasks=(learning,),
        augmentation={"strong": augment.Cutout(2)},
        labels={"teachers": (SOURCE,)},
    )
    check_names(student)
    with pytest.raises(
        BadInput, match=r"teachers: 'source', of 'row', must have .* class 0 is 'top'"
    ):
        check_names(student.replace(data=Named(PERMUTED)))
    check_names(student.replace(data=Named(PERMUTED), tasks=(ROW,)))  # It learns from labels only.
    with pytest.raises(BadInput, match="feature 0 is 'b' there and 'a' here"):
        other = SOURCE.replace(data=Named(width=("b", "a")))
        check_names(student.replace(data=Named(width=("a", "b")), labels={"teachers": (other,)}))


def test_a_trunk_that_reads_other_columns_is_refused():
    source = SOURCE.replace(data=Named(width=("age", "height")))
    run = NEXT.replace(initialization={"init_from": source}, data=Named(width=("height", "age")))
    with pytest.raises(
        BadInput, match="'source' learnt from: feature 0 is 'age' there and 'height'"
    ):
        load_run_data(run)
    longer = run.replace(data=Named(width=("age", "height", "weight")))
    with pytest.raises(BadInput, match="feature 2 is 'nothing' there and 'weight' here"):
        check_names(longer)
    check_names(run.replace(initialization={"new_params": ("shared/Dense_0/.*",)}))
    check_names(run.replace(data=Named(width=("age", "height"))))
    check_names(run.replace(data=Named()))


def test_a_row_that_reads_the_features_of_other_columns_is_refused():
    source = SOURCE.replace(data=Named(width=("age", "height")))
    row = SklearnBaseline(
        name="probe", data=Named(width=("height", "age")), task=ROW, features_from=source, num_seeds=2,
        candidates=(functools.partial(transfer.RidgeClassifier, 1.0),),
    )  # fmt: skip
    with pytest.raises(
        BadInput, match=r"row 'probe': features_from: must read .* feature 0 is 'age'"
    ):
        sklearn_data.check(row)
    sklearn_data.check(row.replace(data=Named(width=("age", "height"))))


def vocabulary(path, *pieces):
    """A file of pieces."""
    path.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces)))
    return WordPiece(str(path))


def test_a_trunk_that_learnt_another_vocabulary_is_refused(tmp_path):
    one, same = (vocabulary(tmp_path / name, "good", "bad") for name in ("one", "same"))
    other = vocabulary(tmp_path / "other", "bad", "good")
    run = NEXT.replace(initialization={"init_from": SOURCE.replace(data=Named(tokens=one))})
    check_names(run.replace(data=Named(tokens=same)))
    for tokens in (other, np.asarray):  # A function of one's own may be any.
        with pytest.raises(BadInput, match="must read the vocabulary that 'source' learnt: WordP"):
            check_names(run.replace(data=Named(tokens=tokens)))


def test_streams_that_share_a_trunk_have_one_vocabulary_and_one_order(tmp_path):
    one = vocabulary(tmp_path / "one", "good", "bad")
    other = vocabulary(tmp_path / "other", "bad", "good")

    def run(first, second):
        data = MultiInput((Input("row", first, "row"), Input("column", second, "column")))
        return RUN.replace(data=data)

    wrong = (
        run(Named(tokens=one), Named(tokens=other)),
        run(Named(width=("a", "b")), Named(width=("b", "a"))),
    )
    for each in wrong:
        with pytest.raises(BadInput, match="'row' and 'column' share a trunk, and so must have"):
            load_run_data(each)
        check_names(each.replace(trunk=nets.PerTaskTrunk(nets.MLP((4,)))))
    check_names(run(Named(width=("a", "b")), Named(width=("c", "d"))))  # other tables altogether


def test_features_have_the_names_of_columns_and_values():
    told = {"age": None, "colour": ("blue", "red"), "size": (1, 3)}
    assert features(told) == ["age", "colour=blue", "colour=red", "size=1", "size=3"]


def test_attributes_of_a_users_own_source_that_are_no_functions_are_not_asked():
    class Own(Arrays):
        classes = 3
        columns = ("a", "b")
        text_tokenizer = 7

    parts = [dict(part) for part in DATA.load()]
    load_run_data(RUN.replace(data=Own(*parts)))
    assert np.all(parts[0]["row"] >= 0)
