"""What the model card says, by hand."""

import jax
import numpy as np
import pytest

from mtl_jax.export.measurements import rows_of, scores_of_soup
from mtl_jax.storage.run_data import load_run_data
from tests.export.models import export_random
from tests.small import DATA, HEIGHT, ROW, RUN


def test_scores_of_a_soup(tmp_path):
    run = RUN.replace(tasks=(ROW, HEIGHT))
    _, _, trained, _ = export_random(run, tmp_path / "model")
    scores = scores_of_soup(run, trained, load_run_data(run).splits)
    assert [(s.task, s.metric, s.test_mean) for s in scores] == [
        ("row", "accuracy", None),
        ("height", "mse", None),
    ]
    for split in ("validation", "test"):
        arrays = getattr(DATA, split)
        outputs, _ = trained.model.apply(
            trained.params, trained.batch_stats, arrays["inputs"], train=False
        )
        right = (np.asarray(outputs.logits["row"]).argmax(1) == arrays["row"]).mean()
        errors = np.asarray(outputs.logits["height"])[:, 0] - arrays["height"]
        assert getattr(scores[0], split) == pytest.approx(100.0 * right)
        assert getattr(scores[1], split) == pytest.approx(np.square(errors).mean(), rel=1e-5)


def test_few_inputs_are_repeated():
    found = rows_of({"a": np.arange(3)}, 5)
    jax.tree.map(np.testing.assert_array_equal, found, {"a": np.array([0, 1, 2, 0, 1])})
