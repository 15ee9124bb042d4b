"""What is wrong with the texts of a figure: one on another, or one outside of the paper."""

import operator

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from mtl_jax.report.plotting import STYLE

ENDS = (operator.attrgetter("min"), operator.attrgetter("max"))
TOUCH = 0.5  # Pixels that boxes may share.


def drawn_texts(figure):
    """Every text that drawing a figure puts on the paper, with its box."""
    canvas = FigureCanvasAgg(figure)
    with rc_context(STYLE):
        canvas.draw()
    figure.set_layout_engine("none")  # It is laid out.
    found, draw = {}, Text.draw

    def record(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            found[id(self)] = (self.get_text(), Text.get_window_extent(self, renderer))
        draw(self, renderer, *args, **kwargs)

    Text.draw = record
    try:
        with rc_context(STYLE):
            canvas.draw()
    finally:
        Text.draw = draw
    return list(found.values())


def faults(figure):
    """A line for each pair of texts that overlap, and for each text that is cut off."""
    texts = drawn_texts(figure)
    assert texts, "nothing is written"
    paper = figure.bbox
    lines = [
        f"{text!r} leaves the paper"
        for text, box in texts
        if box.x0 < paper.x0 - TOUCH
        or box.y0 < paper.y0 - TOUCH
        or box.x1 > paper.x1 + TOUCH
        or box.y1 > paper.y1 + TOUCH
    ]
    low, high = (np.array([end(box) for _, box in texts]) for end in ENDS)
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    pairs = np.argwhere(np.triu((shared > TOUCH).all(-1), 1))
    return lines + [f"{texts[i][0]!r} is on {texts[j][0]!r}" for i, j in pairs]
