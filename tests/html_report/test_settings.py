"""Settings of a page: how each row differs from the first."""

from sklearn.linear_model import LogisticRegression

from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.html_report.settings import settings
from tests.small import COLUMN, FIXMATCH, ROW, RUN

ALONE = RUN.replace(name="alone", tasks=(ROW,))


def changes(*runs):
    found = settings((ALONE, *runs))
    assert found.first == "alone"
    return list(found.changes.values())


def test_fields_that_differ():
    assert changes(ALONE.replace(name="more", steps=16)) == [["steps: 8 -> 16"]]
    assert changes(ALONE.replace(name="the same")) == [[]]


def test_tasks_that_only_one_has():
    other = RUN.replace(name="both")
    assert changes(other, RUN.replace(name="column", tasks=(COLUMN,))) == [
        ["with the task column"],
        ["without the task row", "with the task column"],
    ]


def test_a_setting_of_a_task():
    run = ALONE.replace(name="semi", tasks=(ROW.replace(auxiliary=FIXMATCH),))
    new = ALONE.replace(name="new", tasks=(COLUMN.replace(auxiliary=FIXMATCH),))
    (own,), (*_, last) = changes(run, new)
    assert own.startswith("row.auxiliary: None -> ")
    assert last.startswith("column.auxiliary: None -> ")


def test_a_row_of_another_kind_has_all_its_fields():
    row = SklearnBaseline(
        name="logistic", data=ALONE.data, task=ROW, candidates=(LogisticRegression,)
    )
    found = settings((ALONE, row))
    (lines,) = found.changes.values()
    assert any(line.startswith("candidates: ") and "LogisticRegression" in line for line in lines)
