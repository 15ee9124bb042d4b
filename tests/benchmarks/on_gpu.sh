#!/usr/bin/env bash
# Times our steps against PyTorch's on the GPU of this machine, in at most 8 minutes.
#   pip install -e ".[cuda,bench]" && bash tests/benchmarks/on_gpu.sh
# bench_step.py says what is timed, and what the options are.
set -euo pipefail
cd "$(dirname "$0")/../.."
if command -v nvidia-smi > /dev/null; then nvidia-smi -L; fi
PYTHONPATH=".${PYTHONPATH:+:$PYTHONPATH}" exec timeout 480 python tests/benchmarks/bench_step.py "$@"
