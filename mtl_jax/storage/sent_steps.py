"""What trackers were sent of a run: `trackers.json` in its folder."""

import json
import pathlib
import threading
import uuid
from typing import Any, NamedTuple

from mtl_jax.storage.files import write_json

NAME = "trackers.json"
LOCK = threading.Lock()  # Each tracker has a thread.


class Sent(NamedTuple):
    """What a tracker was sent of a run.

    Attributes:
      run_id: random id of the run, the same for all trackers.
      step: the last step sent, or 0.
      finished: whether the summary was sent too.
    """

    run_id: str
    step: int
    finished: bool


def read_sent(folder: pathlib.Path, destination: str) -> Sent:
    """Reads what was sent to a destination; a new id is stored at the first call."""
    with LOCK:
        content = read(folder)
        if not (folder / NAME).exists():
            write_json(folder / NAME, content)
    entry = content["sent"].get(destination, {"step": 0, "finished": False})
    return Sent(content["id"], entry["step"], entry["finished"])


def write_sent(folder: pathlib.Path, destination: str, step: int, finished: bool) -> None:
    """Stores what was sent to a destination."""
    with LOCK:
        content = read(folder)
        content["sent"][destination] = {"step": step, "finished": finished}
        write_json(folder / NAME, content)


def read(folder: pathlib.Path) -> dict[str, Any]:
    """Content of the file, or that of a new one."""
    path = folder / NAME
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"id": uuid.uuid4().hex, "sent": {}}
