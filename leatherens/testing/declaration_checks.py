"""What a detector says about itself before it has seen an image: no check here fits anything."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor, nn

from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Effort
from leatherens.core.errors import ConfigError, NotFittedError
from leatherens.core.global_state import changed, global_state
from leatherens.core.params import Params
from leatherens.testing.bench import Bench, described
from leatherens.testing.trial import Trial

SLOW_SECONDS = 0.5
"""A constructor that stores takes microseconds; the best of three says that it does not compute."""
LOWER_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def check_constructor_does_no_work(trial: Bench) -> None:
    """Making a detector stores options: nothing is learned, built, read or drawn."""
    trial.make()  # a maker may import the class when first called, which opens files
    before, opened = global_state(), _opened_files(trial.make)
    trial.expect(not opened, f"the constructor opens files ({', '.join(opened)}); read them in fit")
    moved = changed(before, global_state())
    trial.expect(not moved, f"the constructor moves {', '.join(moved)}")
    member = trial.make()
    trial.expect(not member.fitted, "the constructor learns: there are attributes ending in '_' before fit")
    built = sorted(name for name, value in vars(member).items() if isinstance(value, Tensor | nn.Module))
    trial.expect(not built, f"the constructor builds {', '.join(built)}; build in fit")
    fastest = min(_seconds(trial.make) for _ in range(3))
    trial.expect(
        fastest < SLOW_SECONDS, f"the constructor takes {fastest:.1f} s; it should only store options"
    )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _opened_files(call: Callable[[], object]) -> list[str]:
    """The files that Python code opens during a call."""
    opened: list[str] = []
    really = io.open

    def watched(file: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(str(file))
        return really(file, *args, **kwargs)

    with patch("builtins.open", watched), patch("io.open", watched):
        call()
    return opened


def check_options_round_trip(trial: Bench) -> None:
    """Options written to a recipe as plain JSON make the same detector again; nobody changes them later."""
    member = trial.make()
    trial.expect(
        isinstance(member.params, Params),
        f"params is {type(member.params).__name__}, expected leatherens Params",
    )
    options = member.params.model_dump(mode="json")
    again = type(member).from_options(options)
    trial.expect(
        again.params == member.params, f"from_options({options}) gives {again!r}, expected {member!r}"
    )
    trial.expect(
        member.params.model_config.get("frozen"), "params can be changed after construction; keep them frozen"
    )


def check_unknown_option_refused(trial: Bench) -> None:
    """A misspelt option is a `ConfigError` that names it, never ignored."""
    try:
        type(trial.make()).from_options({"no_such_option": 1})
    except ConfigError as error:
        trial.expect(
            "no_such_option" in str(error), f"an unknown option is refused without naming it: {error}"
        )
    except Exception as error:  # noqa: BLE001  (the member's own code; whatever it raised is the finding)
        trial.fail(f"an unknown option must be refused with a ConfigError, but {described(error)}")
    else:
        trial.fail("an unknown option must be refused with a ConfigError, but was accepted")


def check_repr_names_params(trial: Bench) -> None:
    """The repr says which options a detector has: it is what logs and error reports show."""
    member = trial.make()
    shown = repr(member)
    silent = [name for name, value in member.params if f"{name}={value!r}" not in shown]
    trial.expect(
        not silent and type(member).__name__ in shown,
        f"the repr hides {', '.join(silent) or 'the class'}: {shown}",
    )
    trial.expect(" object at 0x" not in shown, f"the repr shows an address: {shown}")


def check_declarations(trial: Trial) -> None:
    """The id is lower-kebab, the flags make sense, and each effort has its params."""
    kind = type(trial.make())
    trial.expect(
        LOWER_KEBAB.fullmatch(kind.id), f"the id must be lower-kebab like 'grain-flow', got {kind.id!r}"
    )
    flags = kind.capabilities
    trial.expect(
        isinstance(flags, Capabilities), f"capabilities is {type(flags).__name__}, expected Capabilities"
    )
    counts = min(flags.multiple_of, flags.min_size, flags.min_images)
    trial.expect(counts >= 1, f"sizes and counts among the capabilities must be at least 1, got {flags}")
    for effort in Effort:
        params = kind.params_for(effort)
        trial.expect(
            isinstance(params, kind.Params),
            f"params_for({effort.value}) gives {params!r}, expected {kind.__name__}.Params",
        )


def check_unfitted_raises(trial: Trial) -> None:
    """Asked before fit, a detector raises `NotFittedError` naming itself and the call."""
    batch = trial.small.good
    calls: dict[str, Callable[[], object]] = {
        "observe": lambda: trial.observe(trial.make(), batch),
        "state": lambda: trial.make().state(),
    }
    for name, call in calls.items():
        try:
            call()
        except NotFittedError as error:
            fine = name in str(error) and trial.make().id in str(error)
            trial.expect(
                fine, f"{name} before fit is refused without naming the detector and the call: {error}"
            )
        except Exception as error:  # noqa: BLE001  (the member's own code; whatever it raised is the finding)
            trial.fail(f"{name} before fit must raise NotFittedError, but {described(error)}")
        else:
            trial.fail(f"{name} before fit must raise NotFittedError, but gave an answer")


_IMPORT_ALONE = """
import importlib, importlib.util, sys
import numpy, random, torch
from leatherens.core.global_state import changed, global_state
before = global_state()
name, file = sys.argv[1:]
try:
    importlib.import_module(name)
except ModuleNotFoundError as error:
    if error.name != name.split(".")[0]:
        raise
    spec = importlib.util.spec_from_file_location("member", file)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(", ".join(changed(before, global_state())))
"""


def check_import_leaves_globals_alone(trial: Trial) -> None:
    """Importing the detector's module in a fresh process seeds nothing and sets nothing for others."""
    module = sys.modules.get(type(trial.make()).__module__)
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return  # defined at a prompt: there is no import to judge
    failed, said = _import_alone(module.__name__, str(Path(file).resolve()))
    trial.expect(not failed, f"importing {module.__name__} in a fresh process fails: {said}")
    trial.expect(not said, f"importing {module.__name__} moves {said}")


@lru_cache
def _import_alone(module: str, file: str) -> tuple[bool, str]:
    """Whether the import failed, and the last line it said: the error, or what it moved."""
    name = "member" if module == "__main__" else module
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", _IMPORT_ALONE, name, file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = done.stderr if done.returncode else done.stdout
    return done.returncode != 0, "".join(said.strip().splitlines()[-1:])


PART_CHECKS = (
    check_constructor_does_no_work,
    check_options_round_trip,
    check_unknown_option_refused,
    check_repr_names_params,
)
"""Those that hold for every replaceable part."""

CHECKS = (*PART_CHECKS, check_declarations, check_unfitted_raises, check_import_leaves_globals_alone)
