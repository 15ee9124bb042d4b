"""Every numeric or text field of every setting takes what `ranges.txt` says and nothing else."""

import re

from tests.laws.ranges import TABLE, numbers_of, ranges, refusal
from tests.laws.test_settings import SETTINGS, made


def test_fields_take_what_the_table_says():
    """Fields that the table lacks are free: `python -m tests.laws.ranges` adds them."""
    said = dict(line.split(" ", 1) for line in TABLE.read_text().splitlines())
    found = ranges()
    assert {name: found.get(name) for name in said} == said
    assert len(said) > 500


def test_what_is_outside_is_refused_by_name():
    """The message names the field and shows the value."""
    for name, setting in SETTINGS.items():
        fine = made(setting)
        for field in numbers_of(setting) if fine is not None else ():
            if text := refusal(setting, fine, field, -12345):
                assert re.match(rf"{setting.__name__}\.\w+ .*not .*12345", text), (name, text)
