"""Every member that comes with leatherens keeps the contract that strangers' members are held to."""

from __future__ import annotations

from leatherens.core.adoption import BASES
from leatherens.core.host import KINDS, PluginHost
from leatherens.testing import parametrize_members
from leatherens.testing.checks import CHECKS

HOST = PluginHost(installed=False)

DETECTORS = [HOST.detectors().load(id) for id in HOST.detectors().ids()]
PARTS = [
    HOST.registry(kind).load(id)
    for kind in KINDS
    if kind not in ("detectors", "readers", "trackers")  # the last two have files of their own
    for id in HOST.registry(kind).ids()
]


@parametrize_members(*DETECTORS)
def test_detector_conforms(check):
    check()


@parametrize_members(*PARTS)
def test_part_conforms(check):
    check()


def test_every_kind_of_plugin_has_checks():
    assert set(CHECKS) == set(BASES) == set(KINDS)
