"""TensorBoard event files."""

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mtl_jax.core.tracker import Setting, TrackedRun, Tracker
from mtl_jax.core.typechecked import typechecked

LONGEST = 100  # Characters of a setting in the table of hyperparameters.
RGBA = 4  # Color space of the figures.


@typechecked
@dataclasses.dataclass(eq=False)
class TensorBoard(Tracker):
    """Event files for TensorBoard, written by tensorboardX.

    Scalars, settings as text, hyperparameters with the test metrics, and figures as images. An
    event is on the disk when `log` returns. `pip install tensorboard` shows them by
    `tensorboard --logdir results/digits`.

    Attributes:
      folder: folder of the logs, one `EXPERIMENT/RUN` in it for each run; None for the run's own
        folder of results.
    """

    folder: str | None = None
    # Set by `start`.
    writer: Any = dataclasses.field(default=None, init=False, repr=False)
    settings: Mapping[str, Setting] = dataclasses.field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def destination(self) -> str:
        """The class and its folder."""
        return repr(self)

    def start(self, run: TrackedRun) -> None:
        """Opens an event file; TensorBoard drops what an older one has after `run.step`."""
        # `SummaryWriter` writes in a thread of its own, which loses errors and is not flushed.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.summary import text

        own = pathlib.Path(run.folder)
        folder = own if self.folder is None else pathlib.Path(self.folder, run.experiment, run.name)
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = run.settings
        self.writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        self.write(run.step + 1, session_log={"status": "START"})
        if run.step == 0 and run.settings:
            lines = [f"    {name} = {value!r}" for name, value in run.settings.items()]
            self.write(0, summary=text("settings", "\n".join(lines)))
        self.writer.flush()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes the scalars of a step as one event."""
        values = [{"tag": tag, "simple_value": value} for tag, value in scalars.items()]
        self.write(step, summary={"value": values})
        self.writer.flush()

    def log_summary(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes the final scalars, and their means beside the hyperparameters."""
        from tensorboardX.summary import hparams

        self.log(step, scalars)
        settings = {k: v for k, v in self.settings.items() if len(str(v)) <= LONGEST}
        means = {tag: value for tag, value in scalars.items() if tag.startswith("test/")}
        for summary in hparams(settings, means):
            self.write(step, summary=summary)
        self.writer.flush()

    def log_figures(self, experiment: TrackedRun, paths: Sequence[pathlib.Path]) -> None:
        """Writes the figures as images in the place of those of an earlier launch."""
        from PIL import Image

        self.start(experiment)
        for path in paths:
            with Image.open(path) as opened:
                width, height = opened.size
            image = {"width": width, "height": height, "encoded_image_string": path.read_bytes()}
            value = {"tag": f"figures/{path.stem}", "image": {**image, "colorspace": RGBA}}
            self.write(1, summary={"value": [value]})
        self.close(finished=True)

    def close(self, finished: bool) -> None:
        """Closes the event file."""
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()

    def write(self, step: int, **content: Any) -> None:
        """Writes one event, its content as of the protocol buffer `Event`."""
        from tensorboardX.proto.event_pb2 import Event  # ty: ignore[missing-module-member]

        self.writer.write_event(Event(wall_time=time.time(), step=step, **content))
