"""Files of a run: tensors as safetensors, everything else as JSON, never pickle, always whole.

Every file is written beside its place and renamed into it, so that a reader sees the old file or
the new one, and a full disk or a power cut leaves the old one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from leatherens.core.errors import ArtifactError

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _to_disk(beside)
        beside.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose another --out"
        ) from error
    finally:
        with suppress(OSError):  # a file where a folder should be
            beside.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(out: Path) -> Iterator[Path]:
    """A folder to fill; it becomes `out`, which is new or empty, when the block ends well."""
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ArtifactError(f"{out}: there is something already; choose another --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
            made = Path(beside) / "made"
            made.mkdir()
            yield made
            made.replace(out)
    except OSError as error:
        raise ArtifactError(
            f"{out}: cannot be written ({error.strerror or error}); free some space or choose another --out"
        ) from error


def _to_disk(path: Path) -> None:
    """Wait until the content is on the disk: a rename can overtake it and a power cut then leave nothing."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole; NaN is written as null, since JSON has none."""
    write_text(path, json.dumps(without_nan(value), indent=2, ensure_ascii=False) + "\n")


def without_nan(value: Any) -> Any:
    """The same value with NaN and infinities as `None`, all the way down."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: without_nan(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return value


def read_json(path: Path) -> Any:
    """Read JSON, or an `ArtifactError` that names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{path}: missing; the run is incomplete, finish it with leatherens run --resume"
        ) from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: damaged, not JSON ({error})") from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors whole, with a string to string note."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with written_whole(path) as beside:
        try:
            save_file(plain, beside, metadata=dict(metadata) if metadata else None)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Named tensors and the note beside them, or an `ArtifactError` that names the file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except FileNotFoundError:
        raise ArtifactError(
            f"{path}: missing; the run is incomplete, finish it with leatherens run --resume"
        ) from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from None
    except SafetensorError as error:
        raise ArtifactError(f"{path}: damaged, not safetensors ({error})") from None


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """A component's state as `state.safetensors` and `state.json`."""
    from torch import Tensor

    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    write_tensors(folder / "state.safetensors", tensors)
    write_json(folder / "state.json", {name: value for name, value in state.items() if name not in tensors})


def read_state(folder: Path) -> dict[str, Any]:
    """What `write_state` wrote."""
    tensors, _ = read_tensors(folder / "state.safetensors")
    return {**read_json(folder / "state.json"), **tensors}
