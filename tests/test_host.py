"""The plugin host: what is found, what is broken and why, and that one plugin's fault stays its own."""

from __future__ import annotations

import json
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from leatherens.core import hookspecs
from leatherens.core.deprecations import Deprecation
from leatherens.core.errors import PluginConflict, PluginError, PluginWarning, UnknownPlugin
from leatherens.core.hookspecs import API_VERSION, OLDEST_API_VERSION
from leatherens.core.host import ALL_HOOKS, HOOKS, KINDS, PluginHost
from leatherens.core.registry import Origin, PluginInfo

HEADER = "from leatherens.core.hookspecs import hookimpl\n"
CLASS = "\nclass Thing:\n    id = {id!r}\n    features = fit = observe = score = print\n"


def plugin_text(body: str) -> str:
    return HEADER + dedent(body)


def offering(*ids: str, hook: str = "register_detectors", target: str = "nowhere:Thing") -> str:
    """A well-behaved plugin that offers these ids."""
    calls = "\n".join(f"    register({id!r}, {target!r}, summary='the {id}')" for id in ids)
    return f"{HEADER}\n@hookimpl\ndef {hook}(register):\n{calls}\n"


Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a plugin file called NAME.py."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution whose entry points are {plugin name: (module, text of the module)}."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install_distribution(name: str, version: str, plugins: dict[str, tuple[str, str]]) -> None:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = "\n".join(f"{plugin} = {module}" for plugin, (module, _) in plugins.items())
        (info / "entry_points.txt").write_text(f"[leatherens]\n{points}\n")
        for module, text in plugins.values():
            (site / f"{module}.py").write_text(text, encoding="utf-8")
            monkeypatch.delitem(sys.modules, module, raising=False)

    return install_distribution


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEATHERENS_BLOCK_PLUGINS", raising=False)
    monkeypatch.delenv("LEATHERENS_TRACE_PLUGINS", raising=False)


def host_of(*files: Path, **options: bool) -> PluginHost:
    return PluginHost(builtins=False, installed=False, files=files, **options)


def only(host: PluginHost) -> PluginInfo:
    (plugin,) = host.plugins()
    return plugin


# the built-ins


BUILTIN = {
    "backbones": ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2"),
    "calibrators": ("conformal",),
    "detectors": (
        "ast",
        "cfa",
        "cflow",
        "cs-flow",
        "cse",
        "cutpaste",
        "ddad",
        "draem",
        "fastflow",
        "memseg",
        "mixed-teacher",
        "mse-autoencoder",
        "padim",
        "patchcore",
        "rd-plus-plus",
        "reverse-distillation",
        "simplenet",
        "ssim-autoencoder",
        "stfpm",
    ),
    "fusion_blocks": ("global", "independent"),
    "heads": ("discriminator", "gaussian", "memory-bank"),
    "readers": (
        "btad",
        "folder",
        "kolektor-sdd",
        "kolektor-sdd2",
        "magnetic-tile",
        "manifest",
        "mvtec-ad",
        "mvtec-ad-2",
        "mvtec-loco",
        "tilda",
        "visa",
    ),
    "preparations": ("colour-constancy", "flatten", "mask", "registration"),
    "reporters": ("html",),
    "scenarios": (
        "best-accuracy",
        "fast",
        "few-shot",
        "high-resolution",
        "line-clearance",
        "logical",
        "multi-colour",
        "object",
        "one-colour",
        "texture",
        "weak-hardware",
    ),
    "score_fusions": ("maximum", "mean", "rank-mean", "stacker", "vote", "weighted"),
    "thresholds": (
        "conformal",
        "f1",
        "k-sigma",
        "line-clearance",
        "max-area",
        "maximum",
        "mondrian",
        "p-quantile",
    ),
    "trackers": ("mlflow", "tensorboard"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_built_ins__come_through_the_same_hooks_as_everybody(kind: str) -> None:
    registry = getattr(PluginHost(installed=False), kind)()

    assert registry.ids() == BUILTIN[kind]
    assert all(entry.plugin == "leatherens" and entry.summary for entry in registry.entries)


@pytest.mark.parametrize("name", [f"{kind}/{id}" for kind, ids in BUILTIN.items() for id in ids])
def test_built_ins__every_target_is_a_class_of_that_id(name: str) -> None:
    kind, _, id = name.partition("/")

    assert PluginHost(installed=False).registry(kind).load(id).id == id


def test_built_ins__can_be_left_out() -> None:
    assert PluginHost(builtins=False, installed=False).plugins() == []


# what a good plugin gives


@pytest.mark.parametrize("hook", HOOKS)
def test_hook__registers_under_its_kind_and_no_other(hook: str, write: Write) -> None:
    host = host_of(write("grain", offering("grain-flow", hook=hook)))

    kind = hook.removeprefix("register_")
    assert {k: host.registry(k).ids() for k in KINDS if host.registry(k).ids()} == {kind: ("grain-flow",)}
    assert only(host).hooks == (hook,)


def test_installed_plugin__knows_its_distribution(install: Install) -> None:
    install("leatherens-grain", "1.2", {"grain": ("leatherens_grain", offering("grain-flow"))})

    (plugin,) = PluginHost(builtins=False).plugins()

    assert (plugin.name, plugin.distribution, plugin.version) == ("grain", "leatherens-grain", "1.2")
    assert (plugin.state, plugin.reason, plugin.hooks) == ("ok", "", ("register_detectors",))
    assert [(e.kind, e.id, e.summary) for e in plugin.entries] == [
        ("detectors", "grain-flow", "the grain-flow")
    ]


def test_hosts__know_nothing_of_each_other(write: Write) -> None:
    one = host_of(write("one", offering("first")))
    two = host_of(write("two", offering("second")))

    assert (one.detectors().ids(), two.detectors().ids()) == (("first",), ("second",))


def test_load__imports_the_target_only_when_asked(install: Install) -> None:
    text = offering("late", target="late_target:Thing")
    install("late", "1", {"late": ("late_plugin", text), "other": ("late_target", CLASS.format(id="late"))})
    registry = PluginHost(builtins=False, blocked=["other"]).detectors()

    before = "late_target" in sys.modules
    loaded = registry.load("late")

    assert not before
    assert (loaded.__module__, loaded.id) == ("late_target", "late")


@pytest.mark.parametrize("target", ["grain:Thing", "' + __name__ + ':Thing"])
def test_file_plugin__may_name_its_own_classes(target: str, write: Write) -> None:
    text = f"{HEADER}@hookimpl\ndef register_heads(register):\n    register('edge', '{target}')\n"
    host = host_of(write("grain", text + CLASS.format(id="edge")))

    assert host.heads().load("edge").id == "edge"


def test_file_plugin__of_a_taken_module_name_shadows_nothing(write: Write) -> None:
    host = host_of(write("json", offering("edge", target="json:Thing") + CLASS.format(id="edge")))

    assert host.detectors().load("edge").id == "edge"
    assert sys.modules["json"] is json


def test_file_plugin__that_does_not_exist_is_broken(tmp_path: Path) -> None:
    path = (tmp_path / "gone.py").resolve()

    assert only(host_of(path)).reason == f"{path}: expected an existing .py file"


def test_file_plugin__that_fails_half_way_leaves_no_half_module(write: Write) -> None:
    path = write("grain", "x = 1\nimport gone_module")

    assert only(host_of(path)).state == "broken"
    assert not [m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == str(path.resolve())]


def test_order__of_loading_does_not_show(write: Write) -> None:
    files = [
        write("b", offering("x", "shared")),
        write("a", offering("y", "shared")),
        write("c", "import gone"),
    ]

    one, other = host_of(*files), host_of(*reversed(files))

    assert one.plugins() == other.plugins()
    assert one.detectors().entries == other.detectors().entries
    assert [plugin.name for plugin in one.plugins()] == ["a", "b", "c"]


# broken plugins spoil only themselves


BROKEN = {
    "fails to import": ("import gone_module", "ModuleNotFoundError: No module named 'gone_module'"),
    "does not parse": ("def :", "SyntaxError: invalid syntax (broken.py, line 2)"),
    "exits on import": ("raise SystemExit(3)", "SystemExit: 3"),
    "raises without a word": ("raise RuntimeError", "RuntimeError"),
    "misspells a hook": (
        "@hookimpl\ndef register_detector(register): ...",
        "there is no hook 'register_detector'; did you mean 'register_detectors'?",
    ),
    "invents a hook": (
        "@hookimpl\ndef cook(register): ...",
        f"there is no hook 'cook' (hooks: {', '.join(ALL_HOOKS)})",
    ),
    "misspells an observer hook": (
        "@hookimpl\ndef run_finnished(folder): ...",
        "there is no hook 'run_finnished'; did you mean 'run_finished'?",
    ),
    "forgets the marker of an observer": (
        "@hookimpl\ndef register_heads(register): ...\ndef run_finished(folder): ...",
        "run_finished is not marked with @leatherens.hookimpl",
    ),
    "forgets the marker": (
        "def register_heads(register): ...",
        "register_heads is not marked with @leatherens.hookimpl",
    ),
    "has no hook": ("x = 1", "it implements no hook; mark its functions with @leatherens.hookimpl"),
    "capital id": (
        "@hookimpl\ndef register_heads(register): register('GrainFlow', 'a:B')",
        "head 'GrainFlow': an id is lower-case letters and digits joined by - (as in 'grain-flow')",
    ),
    "class instead of a string": (
        "@hookimpl\ndef register_heads(register): register('edge', 7)",
        "head 'edge': the target is a string 'package.module:Class', got 7",
    ),
    "one id twice": (
        "@hookimpl\ndef register_heads(register):\n    register('edge', 'a:B')\n    register('edge', 'a:C')",
        "head 'edge' is registered twice",
    ),
    "calls it wrongly": (
        "@hookimpl\ndef register_heads(register): register('edge', 'a:B', 'summary')",
        "TypeError: register() takes 2 positional arguments but 3 were given",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_plugin__is_listed_with_its_reason_and_spoils_only_itself(fault: str, write: Write) -> None:
    text, expected = BROKEN[fault]
    host = host_of(write("broken", plugin_text(text)), write("aa", offering("x")), write("zz", offering("y")))

    assert host.detectors().ids() == ("x", "y")
    broken = host.plugins()[1]
    assert (broken.name, broken.state, broken.entries) == ("broken", "broken", ())
    assert broken.reason == expected


def test_hook__with_an_unknown_argument_is_broken(write: Write) -> None:
    reason = only(host_of(write("grain", f"{HEADER}@hookimpl\ndef register_heads(registry): ..."))).reason

    assert reason.startswith("PluginValidationError: Plugin 'grain' for hook 'register_heads'")
    assert reason.endswith(
        "Argument(s) {'registry'} are declared in the hookimpl but can not be found in the hookspec"
    )


def test_hook__of_a_newer_leatherens_may_be_optional(write: Write) -> None:
    text = offering("x") + "@hookimpl(optionalhook=True)\ndef register_weather(register): ...\n"

    assert only(host_of(write("grain", text))).state == "ok"


def test_misspelt_hook__is_found_beside_an_optional_one(write: Write) -> None:
    text = """
        @hookimpl(optionalhook=True)
        def aaa(register): ...

        @hookimpl
        def register_head(register): ...
    """
    reason = only(host_of(write("grain", plugin_text(text)))).reason

    assert reason == "there is no hook 'register_head'; did you mean 'register_heads'?"


def test_plugin_raising_after_registering__registers_nothing(write: Write) -> None:
    text = offering("grain-flow") + "    raise OSError('licence\\n expired')\n"
    host = host_of(write("grain", text), write("zz", offering("y", "grain-flower")))

    assert host.detectors().ids() == ("grain-flower", "y")
    with pytest.raises(UnknownPlugin) as caught:
        host.detectors().entry("grain-flow")
    assert str(caught.value) == (
        "no detector 'grain-flow'; did you mean 'grain-flower'? (detectors: grain-flower, y); "
        "plugin grain offers it but is broken: OSError: licence expired"
    )


def test_ctrl_c__while_a_plugin_loads_gets_through(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        host_of(write("grain", "raise KeyboardInterrupt"))


def test_strict__refuses_every_broken_plugin_by_name(write: Write) -> None:
    files = write("a", "import gone"), write("b", "raise RuntimeError('no')"), write("c", offering("x"))

    with pytest.raises(PluginError) as caught:
        host_of(*files, strict=True)

    assert str(caught.value) == (
        "plugin a is broken: ModuleNotFoundError: No module named 'gone'; "
        "plugin b is broken: RuntimeError: no (refused because broken plugins are fatal here)"
    )
    assert caught.value.plugin == "a"


def test_strict__is_content_with_good_plugins(write: Write) -> None:
    assert host_of(write("c", offering("x")), strict=True).detectors().ids() == ("x",)


def test_two_plugins_of_one_name__are_both_refused_whatever_their_order(install: Install) -> None:
    install("b-dist", "2", {"grain": ("grain_two", offering("two"))})
    install("a-dist", "1", {"grain": ("grain_one", offering("one"))})

    plugins = PluginHost(builtins=False).plugins()

    reason = "the name 'grain' is taken twice, by a-dist 1 and b-dist 2; rename or uninstall one"
    assert [(p.distribution, p.state, p.reason) for p in plugins] == [
        ("a-dist", "broken", reason),
        ("b-dist", "broken", reason),
    ]


def test_a_plugin_named_leatherens__cannot_displace_the_built_ins(install: Install) -> None:
    install("impostor", "1", {"leatherens": ("impostor", offering("stfpm"))})

    host = PluginHost()

    assert host.detectors().ids() == BUILTIN["detectors"]
    assert {p.distribution: p.state for p in host.plugins()} == {"leatherens": "ok", "impostor": "broken"}


def test_one_object_under_two_names__is_taken_once(install: Install) -> None:
    install("twins", "1", {"a": ("twin", offering("x")), "b": ("twin", offering("x"))})

    host = PluginHost(builtins=False)

    assert host.detectors().ids() == ("x",)
    assert [(p.name, p.reason) for p in host.plugins()] == [
        ("a", ""),
        ("b", "it is the same object as plugin a"),
    ]


# the version of the contract


@pytest.mark.parametrize(("line", "shown"), [("leatherens_api = 1\n", (1, True)), ("", (1, False))])
def test_api_version__that_is_not_stated_is_taken_as_the_first(
    line: str, shown: tuple[int, bool], write: Write
) -> None:
    plugin = only(host_of(write("grain", line + offering("x"))))

    assert (plugin.state, plugin.api, plugin.api_stated) == ("ok", *shown)


def test_built_ins__state_the_version_there_is() -> None:
    plugin = only(PluginHost(installed=False))

    assert (plugin.origin, plugin.api, plugin.api_stated) == (Origin.builtin, API_VERSION, True)


OTHER_API = {
    f"{API_VERSION + 1}": (
        f"it was written for version {API_VERSION + 1} of the plugin API, this leatherens has version "
        f"{API_VERSION}; update leatherens, or take an older version of it"
    ),
    f"{OLDEST_API_VERSION - 1}": (
        f"it was written for version {OLDEST_API_VERSION - 1} of the plugin API, this leatherens understands "
        f"versions from {OLDEST_API_VERSION} on; update it, or take an older leatherens"
    ),
    "'1'": f"leatherens_api is '1', expected a whole number, as in leatherens_api = {API_VERSION}",
    "True": f"leatherens_api is True, expected a whole number, as in leatherens_api = {API_VERSION}",
    "1.0": f"leatherens_api is 1.0, expected a whole number, as in leatherens_api = {API_VERSION}",
}


@pytest.mark.parametrize("stated", OTHER_API)
def test_api_version__that_does_not_fit_is_told_before_a_hook_is_looked_at(stated: str, write: Write) -> None:
    newer = f"leatherens_api = {stated}\n{HEADER}@hookimpl\ndef register_weather(register): ...\n"
    host = host_of(write("grain", newer), write("zz", offering("y")))

    assert host.plugins()[0].reason == OTHER_API[stated]
    assert host.detectors().ids() == ("y",)


def test_api_version__of_a_package_names_what_to_update(install: Install) -> None:
    install(
        "leatherens-grain", "1.2", {"grain": ("leatherens_grain", f"leatherens_api = 9\n{offering('x')}")}
    )

    (plugin,) = PluginHost(builtins=False).plugins()

    assert plugin.reason.endswith("update leatherens, or take an older version of leatherens-grain")
    assert (plugin.api, plugin.origin) == (9, Origin.distribution)


def test_api_version__not_stated_is_refused_once_the_first_is_gone(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hookspecs, "OLDEST_API_VERSION", 2)
    monkeypatch.setattr(hookspecs, "API_VERSION", 3)

    reason = only(host_of(write("grain", offering("x")))).reason

    assert reason.startswith("it was written for version 1 of the plugin API, this leatherens understands ")


# what is on its way out


def test_retired_hook__warns_naming_the_plugin(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Deprecation("the hook register_heads", use="register_detectors", since="0.4", gone="0.6")
    monkeypatch.setitem(hookspecs.register_heads.leatherens_spec, "warn_on_impl", gone.warning)

    with pytest.warns(PluginWarning) as told:
        host = host_of(write("grain", offering("x", hook="register_heads")), write("zz", offering("y")))

    assert [str(warning.message) for warning in told] == [f"plugin grain is to be changed: {gone.sentence}"]
    assert host.heads().ids() == ("x",)


def test_renamed_hook_argument__warns_naming_the_plugin(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Deprecation("the argument register", use="offer", since="0.4", gone="0.6")
    monkeypatch.setitem(
        hookspecs.register_heads.leatherens_spec, "warn_on_impl_args", {"register": old.warning}
    )

    with pytest.warns(PluginWarning, match=f"^plugin grain is to be changed: {old.sentence}$"):
        host_of(write("grain", offering("x", hook="register_heads")))


# what a plugin does to everybody else


def test_plugin__that_changes_what_is_shared_is_named_and_undone(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random.seed(7)
    before = random.getstate()
    text = "import os, random, warnings\nrandom.seed(1)\nos.chdir('/')\nwarnings.simplefilter('ignore')\n"

    with pytest.warns(PluginWarning) as told:
        host = host_of(write("grain", text + offering("x")), write("zz", offering("y")))

    changed = (
        "changed Python's random generator, the working folder and the filters of warnings while it was "
        "imported; put back"
    )
    assert [str(warning.message) for warning in told] == [f"plugin grain {changed}"]
    assert host.plugins()[0].remarks == (changed,)
    assert (random.getstate(), Path.cwd()) == (before, tmp_path)
    with pytest.warns(UserWarning, match="still shown"):
        warnings.warn("still shown", stacklevel=1)


def test_module__of_a_class_that_changes_what_is_shared_is_named_and_undone(write: Write) -> None:
    threads = torch.get_num_threads()
    file = write("grain", offering("edge", target=f"{__name__}_slow:Thing"))
    write(f"{__name__}_slow", f"import torch\ntorch.set_num_threads({threads + 1}){CLASS.format(id='edge')}")

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(file.parent))
        registry = host_of(file).detectors()
        with pytest.warns(
            PluginWarning, match=r"^plugin grain changed torch's thread count while test_host_slow"
        ):
            registry.load("edge")

    assert torch.get_num_threads() == threads


def test_usable__leaves_out_what_cannot_be_used_and_says_so(write: Write) -> None:
    text = offering("gone") + "    register('edge', 'grain:Thing')\n" + CLASS.format(id="edge")
    registry = host_of(write("grain", text)).detectors()

    with pytest.warns(
        PluginWarning, match=r"^detector 'gone' of plugin grain cannot be used: nowhere:Thing: .*"
    ):
        found = registry.usable()

    assert list(found) == ["edge"]


def test_file__given_twice_by_two_paths_is_one_plugin(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("grain", offering("x"))
    monkeypatch.chdir(file.parent)

    assert only(host_of(file, Path("grain.py"), Path("../" + file.parent.name) / "grain.py")).state == "ok"


def test_two_files__of_one_name_are_told_apart_by_their_paths(write: Write, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "grain.py").write_text(offering("y"), encoding="utf-8")

    reasons = {p.reason for p in host_of(write("grain", offering("x")), other / "grain.py").plugins()}

    first, second = sorted([tmp_path / "grain.py", other / "grain.py"])
    assert reasons == {f"the name 'grain' is taken twice, by {first} and {second}; rename one"}


def test_syntax_error__of_a_file_is_one_line_with_its_place(write: Write) -> None:
    reason = only(host_of(write("grain", "x = 1\n\ndef f(:\n"))).reason

    assert reason == "SyntaxError: invalid syntax (grain.py, line 3)"


# conflicts


@pytest.fixture
def rivals(write: Write) -> PluginHost:
    """Plugins a and b both claim `grain-flow`; each has an id of its own."""
    one = offering("grain-flow", "only-a", target="a:Thing") + CLASS.format(id="grain-flow")
    two = offering("grain-flow", "only-b", target="b:Thing") + CLASS.format(id="grain-flow")
    return host_of(write("a", one), write("b", two))


def test_conflict__names_both_plugins_and_the_ways_out(rivals: PluginHost) -> None:
    with pytest.raises(PluginConflict) as caught:
        rivals.detectors().load("grain-flow")

    assert str(caught.value) == (
        "detector 'grain-flow' is claimed by the plugins a and b; "
        "ask for 'a:grain-flow' or 'b:grain-flow', or block one: LEATHERENS_BLOCK_PLUGINS=b"
    )
    assert (caught.value.id, caught.value.plugins) == ("grain-flow", ("a", "b"))


def test_conflict__spoils_no_other_id(rivals: PluginHost) -> None:
    registry = rivals.detectors()

    assert registry.entry("only-a").plugin == "a"
    assert registry.ids() == ("a:grain-flow", "b:grain-flow", "only-a", "only-b")
    assert {registry.entry(id).qualified for id in registry.ids()} == {e.qualified for e in registry.entries}


def test_conflict__is_resolved_by_naming_the_plugin(rivals: PluginHost) -> None:
    registry = rivals.detectors()

    one, two = registry.load("a:grain-flow"), registry.load("b:grain-flow")

    assert one.__module__ != two.__module__


def test_conflict__is_resolved_by_blocking_one(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write("a", offering("x")), write("b", offering("x"))]
    monkeypatch.setenv("LEATHERENS_BLOCK_PLUGINS", "c, b")

    assert host_of(*files).detectors().entry("x").plugin == "a"


def test_same_id_of_two_kinds__is_no_conflict(write: Write) -> None:
    host = host_of(
        write("a", offering("maximum")), write("b", offering("maximum", hook="register_thresholds"))
    )

    assert host.detectors().entry("maximum").plugin == "a"
    assert host.thresholds().entry("maximum").plugin == "b"


def test_blocked_plugin__is_listed_but_never_imported(write: Write) -> None:
    path = write("a", "raise KeyboardInterrupt")
    host = PluginHost(builtins=False, installed=False, files=[path], blocked=["a"])

    assert only(host) == PluginInfo("a", origin=Origin.file, file=path, state="blocked")
    with pytest.raises(UnknownPlugin, match=r"^no detector 'x' \(detectors: none\); plugin a is blocked$"):
        host.detectors().entry("x")


# messages of a registry


def test_unknown_id__suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(UnknownPlugin) as caught:
        PluginHost(installed=False).detectors().entry("stfmp")

    listed = ", ".join(BUILTIN["detectors"])
    assert str(caught.value) == f"no detector 'stfmp'; did you mean 'stfpm'? (detectors: {listed})"
    assert (caught.value.id, caught.value.candidates) == ("stfmp", BUILTIN["detectors"])


def test_unknown_id__like_nothing_known_lists_all() -> None:
    listed = ", ".join(BUILTIN["score_fusions"])
    with pytest.raises(UnknownPlugin, match=rf"^no score fusion 'zebra' \(score fusions: {listed}\)$"):
        PluginHost(installed=False).score_fusions().load("zebra")


def test_unknown_id__that_a_broken_plugin_may_have_offered_says_so(install: Install) -> None:
    install("leatherens-grain", "1.2", {"grain": ("leatherens_grain", "import gone")})

    with pytest.raises(UnknownPlugin) as caught:
        PluginHost(builtins=False).detectors().entry("grain-flow")

    assert str(caught.value) == (
        "no detector 'grain-flow' (detectors: none); "
        "plugin grain (leatherens-grain 1.2) is broken: ModuleNotFoundError: No module named 'gone'"
    )


UNLOADABLE = {
    "no module": ("gone_module:Thing", "ModuleNotFoundError: No module named 'gone_module'"),
    "no class": ("textwrap:Thing", "AttributeError: module 'textwrap' has no attribute 'Thing'"),
    "no class but a function": ("textwrap:dedent", "expected a class, got function"),
    "another id": ("textwrap:TextWrapper", "the class says id = None, expected 'edge'"),
    "exits": ("grain:Exits.now", "SystemExit: 1"),
}


@pytest.mark.parametrize("fault", UNLOADABLE)
def test_load__that_fails_names_plugin_target_and_reason(fault: str, write: Write) -> None:
    target, expected = UNLOADABLE[fault]
    exits = "class Meta(type):\n    now = property(lambda cls: exit(1))\nclass Exits(metaclass=Meta): ...\n"
    host = host_of(write("grain", exits + offering("edge", "fine", target=target)))

    with pytest.raises(PluginError) as caught:
        host.detectors().load("edge")

    named = target.replace("grain:", "grain.py:")
    assert str(caught.value) == f"detector 'edge' of plugin grain cannot be used: {named}: {expected}"
    assert caught.value.plugin == "grain"


def test_load__names_the_distribution(install: Install) -> None:
    install("leatherens-grain", "1.2", {"grain": ("leatherens_grain", offering("edge", target="gone:X"))})

    with pytest.raises(
        PluginError, match=r"^detector 'edge' of plugin grain \(leatherens-grain 1\.2\) cannot be used: "
    ):
        PluginHost(builtins=False).detectors().load("edge")


def test_unknown_kind__suggests_the_nearest() -> None:
    with pytest.raises(PluginError) as caught:
        PluginHost(installed=False).registry("detector")

    known = ", ".join(KINDS)
    assert str(caught.value) == f"no kind of plugin 'detector'; did you mean 'detectors'? (kinds: {known})"


# the trace


def test_trace__tells_calls_registrations_and_tracebacks(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEATHERENS_TRACE_PLUGINS", "1")

    host_of(write("a", offering("x", target="a.b:C")), write("b", "import gone"))

    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "leatherens plugins: register_detectors(register) of a",
        "leatherens plugins:   a registers detectors 'x' -> a.b:C",
        "leatherens plugins: b is broken:",
    ]
    assert lines[3] == "Traceback (most recent call last):"
    assert lines[-1] == "ModuleNotFoundError: No module named 'gone'"


@pytest.mark.parametrize("setting", ["", "0"])
def test_trace__is_silent_unless_asked(
    setting: str, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEATHERENS_TRACE_PLUGINS", setting)

    host_of(write("a", offering("x")))

    assert capsys.readouterr() == ("", "")
