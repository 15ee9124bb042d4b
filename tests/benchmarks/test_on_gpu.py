"""The benchmark for a GPU runs as it stands, here with small sizes."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_small_sizes_on_a_cpu():
    options = ["--tiny", "--cases", "mlp", "--turns", "2", "--least", "0.01"]
    command = ["bash", str(ROOT / "tests" / "benchmarks" / "on_gpu.sh"), *options]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for side in ("ours", "vmap", "map"):
        assert any(
            line.split()[:3] == ["mlp", "float32", side] and " ms " in line for line in lines
        )
    assert any("vmapped to mapped seeds: ratio" in line for line in lines)
    assert sum(line.startswith("mlp       float32   eager") for line in lines) == 1
