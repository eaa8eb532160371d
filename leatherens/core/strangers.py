"""What is put around a stranger's code: changes to the process are undone, and who waits is told for what."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from leatherens.core.errors import LeatherensError, PartFailed, PluginWarning, enumerated, reason
from leatherens.core.global_state import global_state, put_back
from leatherens.core.plugin_trace import Trace

PATIENCE = 10.0
"""Seconds after which somebody who waits for an import is told what for; torch itself may take several."""


@contextmanager
def kept_from(who: str, doing: str, *, quick: bool = False) -> Iterator[None]:
    """Leave what everybody shares as it is; a `PluginWarning` names who changed it, while doing what.

    quick: without the generators of Python and numpy, which are slow to look at.
    """
    before = global_state(quick=quick)
    try:
        yield
    finally:
        changed = put_back(before, quick=quick)
        if changed:
            warnings.warn(f"{who} {what_was_changed(changed, doing)}", PluginWarning, stacklevel=3)


@contextmanager
def blaming(who: str, doing: str) -> Iterator[None]:
    """Turn a fault that no message foresaw into a `PartFailed` that names whose it is."""
    try:
        yield
    except LeatherensError:
        raise
    except Exception as error:
        Trace.from_environment().failure(who, error)
        raise PartFailed(failed(who, doing, error)) from error


@contextmanager
def surviving(who: str, doing: str) -> Iterator[None]:
    """Go on where something fails that can be done without; a `PluginWarning` tells it."""
    try:
        with blaming(who, doing):
            yield
    except PartFailed as error:
        warnings.warn(f"{error}; done without it", PluginWarning, stacklevel=3)


def failed(who: str, doing: str, error: BaseException) -> str:
    """What to tell of a stranger's fault: a sentence, and how to get at the rest.

    >>> failed("detector 'grain-flow'", "while scoring", KeyError("grain"))
    "detector 'grain-flow' failed while scoring: KeyError: 'grain'; LEATHERENS_TRACE_PLUGINS=1 shows where"
    """
    return f"{who} failed {doing}: {reason(error)}; LEATHERENS_TRACE_PLUGINS=1 shows where"


def what_was_changed(changed: Sequence[str], doing: str) -> str:
    """A predicate for whoever changed these.

    >>> what_was_changed(["torch's thread count", "the working folder"], "while it was imported")
    "changed torch's thread count and the working folder while it was imported; put back"
    """
    return f"changed {enumerated(changed)} {doing}; put back"


@contextmanager
def waiting_for(plugin: str, way_out: str) -> Iterator[None]:
    """Say on stderr, after a while, which plugin's import is waited for; Ctrl-C says it too.

    A thread says it, so that an import which never gives up Python's lock is waited for in silence.
    """
    told = f"waiting for plugin {plugin} to be imported; {way_out}"
    timer = threading.Timer(PATIENCE, _say, [f"Still {told}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted while {told}") from None
    finally:
        timer.cancel()


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
