"""Any detector of PyOD as a head on the fused features of leatherens: `--head pyod --set head.model=KNN`."""

from __future__ import annotations

from typing import Any

from leatherens import hookimpl

leatherens_api = 1


@hookimpl
def register_heads(register: Any) -> None:
    """One head; which detector it is, is an option."""
    register("pyod", f"{__name__}.head:PyODHead", summary="any detector of PyOD, by its class name")
