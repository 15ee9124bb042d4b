"""Heads, trunks, teachers and features of other runs: their classes, columns and vocabularies."""

import dataclasses
import functools

import numpy as np
import pytest

from mtl_jax import augment, consistency, nets, transfer
from mtl_jax.config.run import Experiment
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, Input, MultiInput, WordPiece
from mtl_jax.runner import sklearn_data
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.class_name_checks import check_names, features, taken_heads
from mtl_jax.storage.run_data import prepare
from mtl_jax.transfer import HEADS
from tests.small import COLUMN, DATA, ROW, RUN

NAMES = ("top", "middle", "bottom")
PERMUTED = ("bottom", "middle", "top")


@dataclasses.dataclass(frozen=True)
class Named:
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

    def columns(self):
        return None if self.width is None else dict.fromkeys(self.width)


SOURCE = RUN.but(name="source", data=Named(), tasks=(ROW, COLUMN))
NEXT = RUN.but(name="next", data=Named(PERMUTED), tasks=(ROW,), source=SOURCE)
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
def test_which_heads_are_taken(take, fresh, found):
    assert taken_heads(NEXT.but(take=take, fresh=fresh)) == found


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (PERMUTED, "class 0 is 'top' there and 'bottom' here"),
        (("top", "middle", "lowest"), "class 2 is 'bottom' there and 'lowest' here"),
        (NAMES[:2], "class 2 is 'bottom' there and 'nothing' here"),
    ],
)
def test_a_head_of_other_classes_is_refused_before_anything_trains(rows, said, tmp_path):
    run = NEXT.but(data=Named(rows), take=HEADS)
    with pytest.raises(BadInput, match=f"run 'next': take: the head of 'row', from 'source', .*{said}"):  # fmt: skip
        sweep(Experiment(runs=(run,)), Experiment(runs=(run,)), tmp_path, fresh=False)
    assert not (tmp_path / "source").exists()


@pytest.mark.parametrize(
    "run",
    [
        NEXT,  # whose head is new
        NEXT.but(data=Named(), take=HEADS),
        NEXT.but(data=Named(None), take=HEADS),
        NEXT.but(take=(TO_ROW,)),  # nobody says what the columns are called
        NEXT.but(source=SOURCE.but(data=DATA), take=HEADS),
        NEXT.but(take=HEADS, fresh=("tasks/heads/row/.*",)),
    ],
)
def test_heads_that_agree_or_whose_classes_are_not_known(run):
    prepare(run)


def test_a_teacher_of_other_classes_is_refused():
    learning = ROW.but(consistency=consistency.NoisyStudent(threshold=0.3))
    student = RUN.but(
        name="student",
        data=Named(),
        tasks=(learning,),
        strong=augment.Cutout(2),
        teachers=(SOURCE,),
    )
    check_names(student)
    with pytest.raises(
        BadInput, match=r"teachers: 'source', of 'row', must have .* class 0 is 'top'"
    ):
        check_names(student.but(data=Named(PERMUTED)))
    check_names(student.but(data=Named(PERMUTED), tasks=(ROW,)))  # It learns from labels only.
    with pytest.raises(BadInput, match="feature 0 is 'b' there and 'a' here"):
        other = SOURCE.but(data=Named(width=("b", "a")))
        check_names(student.but(data=Named(width=("a", "b")), teachers=(other,)))


def test_a_trunk_that_reads_other_columns_is_refused():
    source = SOURCE.but(data=Named(width=("age", "height")))
    run = NEXT.but(source=source, data=Named(width=("height", "age")))
    with pytest.raises(
        BadInput, match="'source' learnt from: feature 0 is 'age' there and 'height'"
    ):
        prepare(run)
    longer = run.but(data=Named(width=("age", "height", "weight")))
    with pytest.raises(BadInput, match="feature 2 is 'nothing' there and 'weight' here"):
        check_names(longer)
    check_names(run.but(fresh=("shared/Dense_0/.*",)))
    check_names(run.but(data=Named(width=("age", "height"))))
    check_names(run.but(data=Named()))


def test_a_row_that_reads_the_features_of_other_columns_is_refused():
    source = SOURCE.but(data=Named(width=("age", "height")))
    row = Classic(
        name="probe", data=Named(width=("height", "age")), task=ROW, features=source, seeds=2,
        choices=(functools.partial(transfer.Probe, 1.0),),
    )  # fmt: skip
    with pytest.raises(BadInput, match=r"row 'probe': features: must read .* feature 0 is 'age'"):
        sklearn_data.check(row)
    sklearn_data.check(row.but(data=Named(width=("age", "height"))))


def vocabulary(path, *pieces):
    """A file of pieces."""
    path.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces)))
    return WordPiece(str(path))


def test_a_trunk_that_learnt_another_vocabulary_is_refused(tmp_path):
    one, same = (vocabulary(tmp_path / name, "good", "bad") for name in ("one", "same"))
    other = vocabulary(tmp_path / "other", "bad", "good")
    run = NEXT.but(source=SOURCE.but(data=Named(tokens=one)))
    check_names(run.but(data=Named(tokens=same)))
    for tokens in (other, np.asarray):  # A function of one's own may be any.
        with pytest.raises(BadInput, match="must read the vocabulary that 'source' learnt: WordP"):
            check_names(run.but(data=Named(tokens=tokens)))


def test_streams_that_share_a_trunk_have_one_vocabulary_and_one_order(tmp_path):
    one = vocabulary(tmp_path / "one", "good", "bad")
    other = vocabulary(tmp_path / "other", "bad", "good")

    def run(first, second):
        data = MultiInput((Input("row", first, "row"), Input("column", second, "column")))
        return RUN.but(data=data)

    wrong = (
        run(Named(tokens=one), Named(tokens=other)),
        run(Named(width=("a", "b")), Named(width=("b", "a"))),
    )
    for each in wrong:
        with pytest.raises(BadInput, match="'row' and 'column' share a trunk, and so must have"):
            prepare(each)
        check_names(each.but(trunk=nets.PerTask(nets.MLP((4,)))))
    check_names(run(Named(width=("a", "b")), Named(width=("c", "d"))))  # other tables altogether


def test_features_have_the_names_of_columns_and_values():
    told = {"age": None, "colour": ("blue", "red"), "size": (1, 3)}
    assert features(told) == ["age", "colour=blue", "colour=red", "size=1", "size=3"]


def test_attributes_of_a_users_own_source_that_are_no_functions_are_not_asked():
    class Own(Arrays):
        classes = 3
        columns = ("a", "b")
        tokens = 7

    parts = [dict(part) for part in DATA.load()]
    prepare(RUN.but(data=Own(*parts)))
    assert np.all(parts[0]["row"] >= 0)
