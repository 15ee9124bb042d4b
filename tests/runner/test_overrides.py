"""`--set FIELD=VALUE`: typed, dotted, and the same for a run and its sources."""

import operator

import pytest

from mtl_jax import aggregation, consistency, nets, optimizers, weighting
from mtl_jax.config.execution import Execution
from mtl_jax.config.task_schedule import AlternatingTasks
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.overrides import apply_overrides, parse_value
from tests.small import COLUMN, FIXMATCH, ROW, RUN

COSINE = optimizers.CosineSchedule(0.1)
SEMI = RUN.replace(
    name="semi",
    tasks=(ROW.replace(auxiliary=FIXMATCH), COLUMN),
    execution=Execution(),
    optimizer=optimizers.Adam(COSINE),
    balance=aggregation.UPGrad(preference=(1.0, 2.0)),
)


def one(change, run=SEMI):
    return apply_overrides((run,), [change])[0]


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ("steps=12", "steps", 12),
        ("labels.num_labelled=None", "labels.num_labelled", None),
        ("labels.num_labelled=30", "labels.num_labelled", 30),
        ("evaluation.ema_decay=0.5", "evaluation.ema_decay", 0.5),
        ("evaluation.ema_decay=1", "evaluation.ema_decay", 1.0),
        ("labels.partial=True", "labels.partial", True),
        ("name=12", "name", "12"),
        ("name='a b=c'", "name", "a b=c"),
        ("name=a b=c", "name", "a b=c"),
        ("initialization.new_params=()", "initialization.new_params", ()),
        ("trunk.features=(8, 4)", "trunk", nets.MLP((8, 4))),
        ("trunk.batch_norm=True", "trunk", nets.MLP((12,), batch_norm=True)),
        ("execution.seed_loop=map", "execution", Execution(seed_loop="map")),
        ("execution=None", "execution", None),
        ("optimizer.learning_rate=0.3", "optimizer", optimizers.Adam(0.3)),
        ("optimizer.learning_rate.warmup=5", "optimizer",
         optimizers.Adam(optimizers.CosineSchedule(0.1, warmup=5))),
        ("balance.preference=(2, 1)", "balance", aggregation.UPGrad(preference=(2.0, 1.0))),
        ("balance.preference=None", "balance", aggregation.UPGrad()),
        ("tasks.row.auxiliary.mask.threshold=0.25", "tasks",
         (ROW.replace(auxiliary=consistency.FixMatch(threshold=0.25)), COLUMN)),
        ("tasks.1.num_outputs=7", "tasks", (SEMI.tasks[0], COLUMN.replace(num_outputs=7))),
    ],
)  # fmt: skip
def test_a_field_is_set_and_nothing_else(change, field, value):
    found = one(change)
    group, _, name = field.rpartition(".")
    assert operator.attrgetter(field)(found) == value
    assert type(operator.attrgetter(field)(found)) is type(value)
    assert found == SEMI.replace(**{group: {name: value}} if group else {field: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("steps=1.0", "steps must be int, not '1.0'"),
        ("steps=True", "steps must be int, not 'True'"),
        ("evaluation.ema_decay=True", "ema_decay must be float"),
        ("labels.partial=1", "partial must be bool"),
        ("labels.num_labelled=none", "num_labelled must be None or int"),
        ("initialization.new_params=shared", "new_params must be tuple"),
        ("trunk.features=(8, 4.0)", "features must be tuple"),
        ("trunk.features=8", "features must be tuple"),
        ("execution.seed_loop=both", "seed_loop must be 'map' or 'unroll' or 'vmap', not 'both'"),
        ("optimizer.learning_rate=fast", "set one of its fields: learning_rate.peak, "),
        ("evaluation.ema_decay=1" + "0" * 400, "ema_decay must be float"),
        ("tasks.²=1", "nothing here is called '²'"),
        ("tasks.2.num_outputs=3", "nothing here is called '2'"),
        ("labels.num_labelled.x=1", "there is nothing below 24 to set 'x' of"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    with pytest.raises(BadInput) as wrong:
        one(change)
    assert said in str(wrong.value) and str(wrong.value).count("--set") == 1


def test_changes_go_to_the_runs_that_have_the_field():
    runs = (RUN, SEMI)
    found = apply_overrides(runs, ["tasks.row.auxiliary.mask.threshold=0.25", "steps=3"])
    assert found[0] == RUN.replace(steps=3)
    assert found[1].tasks[0].auxiliary.mask.threshold == 0.25
    with pytest.raises(BadInput, match="nothing below None"):
        apply_overrides((RUN,), ["tasks.row.auxiliary.mask.threshold=0.25"])


def test_sources_follow():
    oldest = RUN.replace(name="oldest")
    middle = RUN.replace(name="middle", initialization={"init_from": oldest})
    run = one("trunk.features=(5,)", RUN.replace(initialization={"init_from": middle}))
    assert (
        run.trunk
        == run.initialization.init_from.trunk
        == run.initialization.init_from.initialization.init_from.trunk
        == nets.MLP((5,))
    )
    run = one("num_seeds=1", RUN.replace(initialization={"init_from": middle}))
    assert (
        run.num_seeds,
        run.initialization.init_from.num_seeds,
        run.initialization.init_from.initialization.init_from.num_seeds,
    ) == (1, 1, 1)


def test_a_field_that_only_the_source_has_is_set_there():
    source = RUN.replace(name="source", balance=weighting.Uncertainty())
    run = RUN.replace(initialization={"init_from": source})
    changed = source.replace(balance=weighting.Uncertainty(initial=1.0))
    assert one("balance.initial=1", run) == run.replace(initialization={"init_from": changed})
    # A row that is also the source of another stays the same run.
    assert apply_overrides((source, run), ["balance.initial=1"]) == (
        changed,
        run.replace(initialization={"init_from": changed}),
    )


def test_the_source_alone():
    run = RUN.replace(initialization={"init_from": RUN.replace(name="source")})
    assert one("initialization.init_from.steps=3", run) == run.replace(
        initialization={"init_from": RUN.replace(name="source", steps=3)}
    )


def test_a_fault_in_the_source_is_said_once():
    run = RUN.replace(initialization={"init_from": RUN.replace(name="source")})
    with pytest.raises(BadInput) as wrong:
        one("steps=0", run)
    assert str(wrong.value) == "--set steps=0: Run.steps must be at least 1, not 0"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("None", str, "None"),
        ("None", str | None, None),
        ("3", int | float, 3),
        ("3", float | None, 3.0),
        ("(1, 2)", tuple[float, int], (1.0, 2)),
        ("5", str, "5"),
        ("-0x10", int, -16),
    ],
)
def test_types(text, kind, value):
    found = parse_value(text, None, kind, "field")
    assert found == value and type(found) is type(value)
    if isinstance(value, tuple):
        assert list(map(type, found)) == list(map(type, value))


def test_a_field_of_a_setting_that_is_not_given_is_set_in_the_default():
    assert one("execution.microbatches=2", RUN).execution == Execution(microbatches=2)
    assert one("execution.precision='bfloat16'", RUN).execution == Execution(precision="bfloat16")
    with pytest.raises(BadInput, match="microbatches"):
        one("execution.microbatches=0", RUN)


def test_what_a_run_does_not_have_is_not_switched_on():
    """A field may hold several kinds of schedules, and a run without one keeps none."""
    runs = (RUN, RUN.replace(name="in turn", task_schedule=AlternatingTasks()))
    found = apply_overrides(runs, ["task_schedule.period=2"])
    assert [run.task_schedule for run in found] == [None, AlternatingTasks(period=2)]
    with pytest.raises(BadInput, match="there is no run"):
        apply_overrides((), ["steps=2"])
