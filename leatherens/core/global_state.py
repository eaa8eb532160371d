"""What everybody in the process shares, and must find as it was after a stranger's code ran: seeds, torch's
settings, the working folder, which warnings are shown.

Nothing is imported to look at it. What a package that is not imported yet begins with is known where it
matters; what is not known (its first seed) cannot be told to have changed.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Setting:
    """One shared thing of a module, as a value that can be compared.

    excused: changed in a way that is undone and not worth telling.
    fresh: what it is when the module has just been imported, where that is known. quick: to look at it takes
    some microseconds, so that it can be done around every batch.
    """

    module: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]
    same: Callable[[Any, Any], bool] = lambda before, after: bool(before == after)
    excused: Callable[[Any, Any], bool] = lambda before, after: False
    fresh: Callable[[Any], Any] | None = None
    quick: bool = True


def _numpy_read(np_random: Any) -> Any:
    kind, key, *rest = np_random.get_state()
    return (kind, key.tobytes(), *rest)


def _numpy_write(np_random: Any, value: Any) -> None:
    kind, key, *rest = value
    np_random.set_state((kind, sys.modules["numpy"].frombuffer(key, dtype="uint32"), *rest))


def _torch_read(torch_random: Any) -> bytes:
    state: bytes = torch_random.get_rng_state().numpy().tobytes()
    return state


def _torch_write(torch_random: Any, value: bytes) -> None:
    torch = sys.modules["torch"]
    torch_random.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


def _drawn(before: Any, after: Any) -> bool:
    """Whether Python's generator was only drawn from a little, as scikit-learn's first import does."""
    ahead = random.Random()
    ahead.setstate((before[0], (*before[1][:-1], len(before[1]) - 1), before[2]))  # as if all were drawn
    ahead.getrandbits(32)
    return after[1][:-1] in (before[1][:-1], ahead.getstate()[1][:-1])


def _sweeping(filters: Any) -> list[Any]:
    """The filters for warnings of everybody: of a built-in category, whatever they say and wherever."""
    return [f for f in filters if f[1] is None and f[3] is None and f[2].__module__ == "builtins"]


def _filters_same(before: Any, after: Any) -> bool:
    return before == after or _sweeping(before) == _sweeping(after)


def _filters_write(module: Any, value: Any) -> None:
    """Put the filters back; those that a package added for warnings of its own stay."""
    new = [f for f in module.filters if f not in value and f not in _sweeping([f])]
    module.filters[:] = [*new, *value]


_SETTINGS = {
    "torch's random generator": _Setting("torch.random", _torch_read, _torch_write),
    "numpy's random generator": _Setting("numpy.random", _numpy_read, _numpy_write, quick=False),
    "Python's random generator": _Setting(
        "random", lambda m: m.getstate(), lambda m, value: m.setstate(value), excused=_drawn, quick=False
    ),
    "torch's thread count": _Setting(
        "torch", lambda m: m.get_num_threads(), lambda m, value: m.set_num_threads(value)
    ),
    "torch's default dtype": _Setting(
        "torch",
        lambda m: m.get_default_dtype(),
        lambda m, value: m.set_default_dtype(value),
        fresh=lambda m: m.float32,
    ),
    "torch's gradient mode": _Setting(
        "torch",
        lambda m: m.is_grad_enabled(),
        lambda m, value: m.set_grad_enabled(value),
        fresh=lambda m: True,
    ),
    "torch's deterministic mode": _Setting(
        "torch",
        lambda m: m.are_deterministic_algorithms_enabled(),
        lambda m, value: m.use_deterministic_algorithms(value),
        fresh=lambda m: False,
    ),
    "cuDNN's benchmark mode": _Setting(
        "torch.backends.cudnn",
        lambda m: m.benchmark,
        lambda m, value: setattr(m, "benchmark", value),
        fresh=lambda m: False,
    ),
    "the working folder": _Setting("os", lambda m: _working_folder(), lambda m, value: os.chdir(value)),
    "the filters of warnings": _Setting(
        "warnings", lambda m: tuple(m.filters), _filters_write, _filters_same
    ),
}


def _working_folder() -> str:
    with suppress(FileNotFoundError):  # somebody removed it
        return os.getcwd()  # noqa: PTH109 - a path has nothing to add, and this runs around every batch
    return ""


def global_state(*, quick: bool = False) -> dict[str, Any]:
    """Everything shared that there is now, by what it is called; quick: what takes no time to look at."""
    return {
        name: s.read(sys.modules[s.module])
        for name, s in _SETTINGS.items()
        if (s.quick or not quick) and _imported(s.module)
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of what differs, less filters that a package set up for warnings of its own."""
    return [n for n, value in before.items() if n in after and not _SETTINGS[n].same(value, after[n])]


def put_back(before: dict[str, Any], *, quick: bool = False) -> list[str]:
    """Make everything shared as it was; returns the names of what had been changed."""
    after = global_state(quick=quick)
    wanted = {name: before.get(name, _fresh(name)) for name in after}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    for name, value in wanted.items():
        if value != after[name]:
            _SETTINGS[name].write(sys.modules[_SETTINGS[name].module], value)
    return [n for n in changed(wanted, after) if not _SETTINGS[n].excused(wanted[n], after[n])]


def _fresh(name: str) -> Any:
    """What a setting is when its module has just been imported, `None` where nobody knows."""
    setting = _SETTINGS[name]
    return None if setting.fresh is None else setting.fresh(sys.modules[setting.module])


@contextmanager
def kept_global_state() -> Iterator[list[str]]:
    """Everything shared is afterwards as before; yields the names of what was changed, once it ended."""
    before, changed = global_state(), list[str]()
    try:
        yield changed
    finally:
        changed += put_back(before)


def _imported(module: str) -> bool:
    """Whether a module is there and whole; one that raised half way may still be found under its name."""
    found = sys.modules.get(module)
    return found is not None and not getattr(getattr(found, "__spec__", None), "_initializing", False)
