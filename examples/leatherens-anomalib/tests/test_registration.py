"""What is there whether anomalib is installed or not."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

import leatherens_anomalib
import pytest

from leatherens import PluginHost
from leatherens.core.errors import PluginError

PLUGIN = Path(leatherens_anomalib.__file__)
IDS = ["anomalib-padim", "anomalib-patchcore", "anomalib-stfpm"]


def test_registration__has_the_ids():
    registered = {}
    leatherens_anomalib.register_detectors(lambda id, target, summary: registered.update({id: target}))

    assert sorted(registered) == IDS


def test_registration__imports_neither_torch_nor_anomalib():
    code = "import sys, leatherens_anomalib; print([m for m in ('torch', 'anomalib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(util.find_spec("anomalib") is not None, reason="anomalib is installed")
def test_without_anomalib__asking_for_one_says_what_to_install():
    detectors = PluginHost(strict=True).detectors()
    if IDS[0] not in detectors.ids():
        pytest.skip("leatherens-anomalib is on the path, but not installed")

    with pytest.raises(PluginError, match=r"'anomalib-padim' .* cannot be used: .*pip install anomalib"):
        detectors.load(IDS[0])
