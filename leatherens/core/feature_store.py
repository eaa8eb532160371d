"""Levels of frozen pyramids on disk, so that another run need not compute them again.

One file per image and level, named by a digest of the image's pixels, the weights and what computed it. An
entry is a digest of 16 bytes and a safetensors file; what does not fit its digest is removed and counts as
missing. Entries are written beside their place and renamed into it, so that processes may share a folder.
The folder is bounded: what was not used for longest goes first. Nothing here fails a run: a disk that is
full or may not be written to turns the store off, with one sentence.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER_VARIABLE, SIZE_VARIABLE = "LEATHERENS_CACHE", "LEATHERENS_CACHE_MB"

LIMIT_MB = 4096
"""Some 6,000 images of 256 x 256 with the default backbone, some 500 with WideResNet-50."""

FREE_MB = 1024
"""Left free on the disk: a run's own results are worth more than remembered features."""

_DIGEST = 16
_SUFFIX = ".features"
_TRIMMED_TO = 0.9
"""Share of the limit that is kept when something must go, so that not every entry is paid with a walk."""
_ABANDONED_SECONDS = 3600.0
"""A half-written file older than this is of a process that died."""


@dataclass(frozen=True, slots=True)
class StoreSize:
    """What lies in a store."""

    entries: int
    bytes: int

    @property
    def megabytes(self) -> float:
        """In MB of 2^20 bytes."""
        return self.bytes / 2**20


class FeatureStore:
    """Tensors by key in one folder, at most `limit_mb`.

    say: told in one sentence when the store turns itself off.
    """

    def __init__(
        self, folder: Path, *, limit_mb: int = LIMIT_MB, say: Callable[[str], None] = lambda sentence: None
    ) -> None:
        self.folder = folder
        self.limit_mb = limit_mb
        self.damaged = 0
        """Entries that were not what had been written; they were removed."""
        self.read_entries = 0
        """Entries found."""
        self.on = limit_mb > 0
        self._say = say
        self._used: int | None = None
        self._unseen = 0
        """Bytes written since the folder was looked through; others may have written, too."""

    def read(self, key: str) -> Tensor | None:
        """What was written under a key; `None` if nothing was, or if it is damaged."""
        if not self.on:
            return None
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:  # nothing there, or removed by another process, or not to be read: computed instead
            return None
        payload = content[_DIGEST:]
        if content[:_DIGEST] != _digest(key, payload):
            self.damaged += 1
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        self.read_entries += 1
        return _unpacked(payload)

    def write(self, key: str, level: Tensor) -> None:
        """Remember a tensor; a disk that cannot take it turns the store off."""
        if not self.on:
            return
        payload = _packed(level)
        path = self._path(key)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")  # containers share process ids
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._has_room(_DIGEST + len(payload)):
                return
            with beside.open("wb") as file:
                file.write(_digest(key, payload))
                file.write(payload)
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            self._turn_off(error.strerror or str(error))

    def size(self) -> StoreSize:
        """Entries and bytes in the folder now."""
        sizes = [size for _, size, _ in self._entries()]
        return StoreSize(len(sizes), sum(sizes))

    def clear(self) -> StoreSize:
        """Remove every entry, and nothing else that may lie there; what was removed."""
        removed = [size for path, size, _ in self._entries() if _removed(path)]
        for path in self.folder.glob("??/.*.part"):
            _removed(path)
        for folder in self.folder.glob("??"):
            with suppress(OSError):  # not empty, or no folder
                folder.rmdir()
        self._used = None
        return StoreSize(len(removed), sum(removed))

    def _path(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode(), digest_size=_DIGEST).hexdigest()
        return self.folder / name[:2] / f"{name}{_SUFFIX}"

    def _has_room(self, size: int) -> bool:
        """Whether an entry of this size may be written, after older ones went if they must."""
        if shutil.disk_usage(self.folder).free < FREE_MB * 2**20 + size:
            raise OSError(errno.ENOSPC, f"less than {FREE_MB} MB are free")
        limit = self.limit_mb * 2**20
        if size > limit:
            return False
        if self._used is None or self._unseen > limit // 20 or self._used + size > limit:
            self._used = self._trimmed(limit - size)
            self._unseen = 0
        self._used += size
        self._unseen += size
        return True

    def _trimmed(self, limit: int) -> int:
        """Bytes in the folder; those used longest ago go if it holds more than the limit."""
        for path in self.folder.glob("??/.*.part"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
        entries = sorted(self._entries(), key=lambda entry: entry[2])
        used = sum(size for _, size, _ in entries)
        if used <= limit:
            return used
        for path, size, _ in entries:
            if used <= _TRIMMED_TO * limit:
                break
            _removed(path)
            used -= size
        return used

    def _entries(self) -> Iterator[tuple[Path, int, int]]:
        """Path, bytes and nanosecond of the last use."""
        for path in self.folder.glob(f"??/*{_SUFFIX}"):
            with suppress(OSError):  # removed by another process meanwhile
                found = path.stat()
                yield path, found.st_size, found.st_mtime_ns

    def _turn_off(self, reason: str) -> None:
        self.on = False
        self._say(
            f"feature cache: {self.folder}: cannot be written ({reason}); features are remembered in memory "
            f"only. Set {FOLDER_VARIABLE} to another folder, or {SIZE_VARIABLE}=0 to do without"
        )


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _digest(key: str, payload: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\0" + payload, digest_size=_DIGEST).digest()


def _packed(level: Tensor) -> bytes:
    from safetensors.torch import save

    packed: bytes = save({"level": level.detach().cpu().contiguous()})
    return packed


def _unpacked(payload: bytes) -> Tensor:
    from safetensors.torch import load

    level: Tensor = load(payload)["level"]
    return level


def store_folder() -> Path | None:
    """Where this user's features lie: LEATHERENS_CACHE, else the platform's place for what can be made again.

    `None` where there is no such place, as for a user without a home.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).absolute() / "features"
    try:
        return _platform_caches() / "leatherens" / "features"
    except RuntimeError:  # no home
        return None


def _platform_caches() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    variable, usual = (
        ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else ("XDG_CACHE_HOME", ".cache")
    )
    named = os.environ.get(variable, "")
    return Path(named) if Path(named).is_absolute() else Path.home() / usual


def store_limit_mb() -> int:
    """Most that it may take: LEATHERENS_CACHE_MB, 0 for no store."""
    text = os.environ.get(SIZE_VARIABLE, "").strip()
    if not text:
        return LIMIT_MB
    if not text.isdecimal():
        raise ConfigError(f"{SIZE_VARIABLE}: expected a whole number of MB, or 0 for no cache, got '{text}'")
    return int(text)


def user_store(say: Callable[[str], None] = lambda sentence: None) -> FeatureStore | None:
    """This user's store; `None` where there is none, or none is wanted."""
    folder, limit = store_folder(), store_limit_mb()
    return FeatureStore(folder, limit_mb=limit, say=say) if folder and limit else None
