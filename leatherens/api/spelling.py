"""What is wrong, told to who writes Python: `--false-alarms` is called false_alarms there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from leatherens.core.errors import LeatherensError

_FLAG = re.compile(r"--([a-z][a-z-]*)")
_OTHERS = {"set": "settings"}


def in_python(sentence: str) -> str:
    """A sentence about options, with the names they have in Python; one that quotes a command stays.

    >>> in_python("--false-alarms: expected a share")
    'false_alarms: expected a share'
    >>> in_python("go on with leatherens run --resume")
    'go on with leatherens run --resume'
    """
    if "leatherens " in sentence:
        return sentence
    return _FLAG.sub(lambda flag: _OTHERS.get(flag[1], flag[1].replace("-", "_")), sentence)


@contextmanager
def spoken_in_python() -> Iterator[None]:
    """Errors about options name them as Python does."""
    try:
        yield
    except LeatherensError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise
