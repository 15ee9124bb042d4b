"""The face of the room: importing it reads no data library."""

import subprocess
import sys


def test_importing_the_room_is_light():
    code = (
        "import sys, mtl_jax.data; "
        "print([m for m in ('tensorflow_datasets', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
