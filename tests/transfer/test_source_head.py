"""The source's head beside the task's (LwF, Co-Tuning), and a run that takes it over."""

import jax
import numpy as np
import pytest

from mtl_jax.consistency import SumOfLosses
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import CoTuning, LwF
from tests.consistency.seen import C
from tests.transfer.sights import MASK, felt, learning

Z = 3
SIZES = DatasetSizes(C, 20, 20)


@pytest.mark.slow
def test_missing_labels_do_not_matter():
    for method in (LwF(Z), CoTuning(Z)):
        sight, state = felt(method, 2), method.init(SIZES)
        other = sight._replace(labels=np.where(MASK, sight.labels, 3).astype(np.int32))
        found = [method.update(each, state) for each in (sight, other)]
        jax.tree.map(np.testing.assert_array_equal, *found)


def test_a_run_that_does_not_take_the_head_over_is_refused():
    rule = r"Run\.initialization\.param_map must make tasks/heads/row/{}old/\.\.\., a head of the source that .*{}\("
    for take in ((), ((r"tasks/heads/row/(.*)", r"tasks/heads/row/new/\1"),)):
        for method in (LwF(Z), CoTuning(Z)):
            with pytest.raises(BadInput, match=rule.format("", type(method).__name__)):
                learning(method, initialization={"param_map": take})
    both = SumOfLosses((CoTuning(Z), LwF(Z)))
    with pytest.raises(BadInput, match=rule.format(r"1\.", "SumOfLosses")):
        learning(
            both,
            initialization={
                "param_map": ((r"tasks/heads/row/(.*)", r"tasks/heads/row/0.old/Dense_0/\1"),)
            },
        )
    everything = (r"tasks/heads/(row)/(.*)", r"tasks/heads/\1/old/Dense_0/\2")
    assert learning(
        LwF(Z), initialization={"param_map": (everything,)}
    ).initialization.param_map == (everything,)
