"""Everything a user can get wrong is one sentence that names the file or the option, and exit code 2."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from filelock import FileLock
from pictures import grain, save, spot
from PIL import Image
from safetensors.torch import save_file
from tiny_runs import call, make, options

from leatherens.core.host import PluginHost
from leatherens.plugins.stfpm import STFPM

IMAGES = ".bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp"
HOST = PluginHost(installed=False)
LISTED = ", ".join(HOST.detectors().ids())
LAYOUTS = ", ".join(HOST.readers().ids())
DETECTORS = f"(detectors: {LISTED})"


def refused(*arguments: object) -> str:
    """The sentence of a command that must fail; nothing but sentences, and nothing on stdout."""
    result = call(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    told = result.stderr.partition("Error: ")[2]
    assert told, result.stderr
    return told.rstrip("\n")


def refused_run(data: Path, out: Path, *more: object, members: str = "stfpm") -> str:
    """The same of a run, which must not leave a folder."""
    told = refused("run", *options(members), "--data", data, "--out", out, *more)

    assert not out.exists()
    return told


# options


MISTAKES = [
    ("--members stfmp", f"no detector 'stfmp'; did you mean 'stfpm'? {DETECTORS}"),
    ("--members stfpm,zebra", f"no detector 'zebra' {DETECTORS}"),
    ("--members stfpm,stfpm", "--members: 'stfpm' is named twice; name each detector once"),
    (
        "--members stfpm,leatherens:stfpm",
        "members: 'stfpm' and 'leatherens:stfpm' are one detector; name it once",
    ),
    (
        "--members ,",
        f"which detectors? give --config with a scenario, or --members with one or more of: {LISTED}",
    ),
    (
        "--mode feature --block indepedent",
        "no fusion block 'indepedent'; did you mean 'independent'? (fusion blocks: global, independent)",
    ),
    (
        "--mode hybrid --head memory",
        "no head 'memory'; did you mean 'memory-bank'? (heads: discriminator, gaussian, memory-bank)",
    ),
    ("--head memory-bank", "--head: mode 'score' fuses no features; add --mode feature or hybrid"),
    ("--block global", "--block: mode 'score' fuses no features; add --mode feature or hybrid"),
    (
        "--features stfpm=difference*",
        "--features: mode 'score' fuses no features; add --mode feature or hybrid",
    ),
    (
        "--mode feature --features difference*",
        "--features: expected MEMBER=PATTERN, such as stfpm=difference*, got 'difference*'",
    ),
    (
        "--mode feature --features stfpm=,difference1",
        "--features: expected MEMBER=PATTERN, such as stfpm=difference*, got 'stfpm=,difference1'",
    ),
    (
        "--mode feature --features stfmp=difference*",
        "--features stfmp=difference*: no member is called 'stfmp'; did you mean 'stfpm'? (members: stfpm)",
    ),
    (
        '--mode feature --set block.per_member={"stfmp":4}',
        "independent: per_member: no member is called 'stfmp'; did you mean 'stfpm'? (members: stfpm)",
    ),
    (
        "--members stfpm,draem --set block.budget=1",
        "independent: budget: 1 components for 2 members; give each at least one",
    ),
    (
        '--mode feature --set block.budget=9 --set block.per_member={"stfpm":4}',
        "independent: per_member and budget both say how many components; give one of them",
    ),
    (
        "--score-fusion mean",
        "--score-fusion: there is one score only, so that nothing is fused; leave it out",
    ),
    (
        "--members stfpm,draem --score-fusion maxi",
        "no score fusion 'maxi'; did you mean 'maximum'? (score fusions: maximum, mean, rank-mean, stacker, "
        "vote, weighted)",
    ),
    (
        "--threshold conformel",
        "no threshold 'conformel'; did you mean 'conformal'? "
        "(thresholds: conformal, f1, k-sigma, line-clearance, max-area, maximum, mondrian, p-quantile)",
    ),
    (
        "--mode featur",
        "Invalid value for '--mode': 'featur' is not one of 'feature', 'score', 'hybrid'.",
    ),
    ("--effort quik", "unknown effort 'quik'; did you mean 'quick'?"),
    ("--effort most", "unknown effort 'most'; use auto, quick or full"),
    ("--device cudo", "unknown device 'cudo'; use auto, cpu or cuda"),
    ("--device meta", "unknown device 'meta'; use auto, cpu or cuda"),
    ("--layout mvtec", f"unknown layout 'mvtec'; did you mean 'mvtec-ad'? (layouts: {LAYOUTS})"),
    ("--seed one", "Invalid value for '--seed': 'one' is not a valid integer."),
    ("--textures .", "--textures: none of the members (stfpm) takes textures; leave it out"),
    ("--weights gone.pth", "--weights: gone.pth: no such file or folder; check the name"),
    ("--set stfpm.steps", "--set: expected KEY=VALUE, such as stfpm.steps=100 or seed=1, got 'stfpm.steps'"),
    (
        "--set steps=3",
        "--set steps: no key of a recipe; an option of a member or part is set by MEMBER.KEY=VALUE (keys: "
        "effort, mode, calibration, folds, size, tile, overlap, shares, labelled, batch_size, keep_every, "
        "seed, device, allow_download)",
    ),
    (
        "--set draem.steps=3",
        "--set draem.steps: no member or part is called 'draem' "
        "(members: stfpm; parts: block, head, score_fusion, calibrator, threshold, pixel_threshold)",
    ),
    (
        "--set stfmp.steps=3",
        "--set stfmp.steps: no member or part is called 'stfmp'; did you mean 'stfpm'? "
        "(members: stfpm; parts: block, head, score_fusion, calibrator, threshold, pixel_threshold)",
    ),
    (
        "--set stfpm.stpes=3",
        "stfpm: unknown option 'stpes'; did you mean 'steps'? "
        f"(options: {', '.join(sorted(STFPM.Params.model_fields))})",
    ),
    (
        "--set stfpm.steps=three",
        "stfpm: option 'steps': input should be a valid integer, unable to parse string as an integer, "
        "got 'three'",
    ),
    ("--set stfpm.steps=0", "stfpm: option 'steps': input should be greater than 0, got 0"),
    (
        "--set stfpm.learning_rate=.nan",
        "stfpm: option 'learning_rate': input should be a finite number, got nan",
    ),
    ("--set stfpm.steps=[1", "--set stfpm.steps=[1: the value '[1' is not YAML; put it in quotes"),
    (
        "--set threshold.false_alarm=0.1",
        "conformal: unknown option 'false_alarm'; did you mean 'false_alarms'? (options: false_alarms)",
    ),
    ("--false-alarms 0", "--false-alarms: expected a share between 0 and 1, such as 0.01, got 0"),
    ("--false-alarms 1", "--false-alarms: expected a share between 0 and 1, such as 0.01, got 1"),
    ("--false-alarms nan", "--false-alarms: expected a share between 0 and 1, such as 0.01, got nan"),
    (
        "--threshold maximum --false-alarms 0.1",
        "--false-alarms: the threshold 'maximum' takes no rate; leave one of the two out",
    ),
    ("--size 0", "--size: expected one number, or HEIGHTxWIDTH such as 256x320, got '0'"),
    ("--size abc", "--size: expected one number, or HEIGHTxWIDTH such as 256x320, got 'abc'"),
    ("--size 64x", "--size: expected one number, or HEIGHTxWIDTH such as 256x320, got '64x'"),
    (
        "--size 100",
        "stfpm: expected images of height and width divisible by 32 and at least 64, got 100 x 100; "
        "the nearest size is 96 x 96",
    ),
    (
        "--size 32x128",
        "stfpm: expected images of height and width divisible by 32 and at least 64, got 32 x 128; "
        "the nearest size is 64 x 128",
    ),
    ("--set stfpm.backbone=test_resnt", "timm has no model 'test_resnt'; did you mean 'test_resnet'?"),
]


@pytest.mark.parametrize(("given", "sentence"), MISTAKES, ids=[given for given, _ in MISTAKES])
def test_option__mistaken_is_named(given: str, sentence: str, leather: Path, tmp_path: Path) -> None:
    assert refused_run(leather, tmp_path / "run", *given.split()) == sentence


def test_option__misspelt_is_told_the_nearest(leather: Path, tmp_path: Path) -> None:
    told = refused_run(leather, tmp_path / "run", "--false-alarm", "0.1")

    assert told.startswith("No such option '--false-alarm'")
    assert "--false-alarms" in told


@pytest.mark.parametrize("content", [None, "notes.txt"], ids=["gone", "without pictures"])
def test_option__textures_need_pictures(content: str | None, leather: Path, tmp_path: Path) -> None:
    textures = tmp_path / "textures"
    if content:
        textures.mkdir()
        (textures / content).write_text("no picture", encoding="utf-8")
    told = refused("run", *options("draem"), "--data", leather, "--textures", textures)

    assert told == f"--textures: {textures}: no folder with pictures in it; check the name"


def test_option__cuda_without_a_gpu_is_refused(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    told = refused_run(leather, tmp_path / "run", "--device", "cuda")

    assert told == "device 'cuda' was asked for, but torch sees no GPU here; use --device cpu"


def test_option__a_gpu_that_is_not_there_is_refused(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    told = refused_run(leather, tmp_path / "run", "--device", "cuda:1")

    assert told == "device 'cuda:1' was asked for, but torch sees only 1 of them here; use --device cpu"


def test_option__folders_beside_no_data_are_refused(leather: Path) -> None:
    told = refused("run", *options("stfpm"), "--defects", leather)

    assert told == "--layout, --defects, --masks, --group-by and --splits belong to --data; give that too"


PLUGIN = """
from leatherens.core.hookspecs import hookimpl

@hookimpl
def register_detectors(register):
    register("{id}", "{target}")
"""


def test_option__a_detector_that_cannot_be_imported_is_named(leather: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN.format(id="grain-flow", target="gone_grain:Flow"), encoding="utf-8")
    told = refused("--plugin", plugin, "run", "--members", "grain-flow", "--data", leather)

    assert told == (
        "detector 'grain-flow' of plugin mine cannot be used: gone_grain:Flow: "
        "ModuleNotFoundError: No module named 'gone_grain'"
    )


# data to learn from


def test_data__missing_or_no_folder_is_refused(leather: Path, tmp_path: Path) -> None:
    out, image = tmp_path / "run", leather / "train/good/000.png"

    assert refused_run(tmp_path / "gone", out) == f"{tmp_path / 'gone'}: no such folder; check the name"
    assert refused_run(image, out) == f"{image}: a file, not a folder; give the folder that holds it"


def test_data__without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    told = refused_run(tmp_path / "data", tmp_path / "run")

    assert told == (
        f"{tmp_path / 'data'}: no images in it ({IMAGES}); give the folder that holds the photographs"
    )


def test_data__without_good_images_is_refused(leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather / "test", data / "test")

    assert refused_run(data, tmp_path / "run") == (
        f"{data}: read as MVTec AD, there are no good images to learn from (5 good and 4 defective to test); "
        "expected train/good, test/good, test/DEFECT and ground_truth/DEFECT/NAME_mask.png"
    )


def test_data__with_too_few_good_images_is_refused(leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather / "test/good", data)

    assert refused_run(data, tmp_path / "run") == (
        f"{data}: at least 8 good images are needed to learn, validate and calibrate, got 5; "
        "add photographs of good surfaces"
    )


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def floats(path: Path) -> None:
    Image.fromarray(np.zeros((64, 64), np.float32)).save(path, format="TIFF")


BAD_IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "an empty file (0 bytes); copy it again or remove it"),
    "text": (
        lambda path: path.write_text("leather"),
        "not an image that can be read (PNG, JPEG, TIFF, BMP or WebP); convert it to PNG or remove it",
    ),
    "truncated": (halve, ""),  # what exactly is missing is the decoder's to say
    "one pixel": (
        lambda path: save(path, grain(1, 1)),
        "1 x 1 pixels, at least 8 x 8 are needed; remove it",
    ),
    "floats": (
        floats,
        "holds floating-point values, of which no file says what is black and what is white; "
        "save it as 8-bit or 16-bit grey or RGB",
    ),
}


@pytest.fixture
def own(leather: Path, tmp_path: Path) -> Path:
    """A copy of the leather, to spoil."""
    data = tmp_path / "own"
    shutil.copytree(leather, data)
    return data


@pytest.mark.parametrize("kind", BAD_IMAGES)
@pytest.mark.parametrize("place", ["train/good/003.png", "test/cut/000.png"])
def test_data__one_bad_image_is_refused_before_training(
    kind: str, place: str, own: Path, tmp_path: Path
) -> None:
    spoil, reason = BAD_IMAGES[kind]
    spoil(own / place)
    told = refused_run(own, tmp_path / "run")

    if not reason:
        assert told.startswith(f"{own / place}: damaged (")
        assert told.endswith("); copy it again or remove it")
    else:
        assert told == f"{own / place}: {reason}"


def test_data__all_bad_images_are_listed(own: Path, tmp_path: Path) -> None:
    for number, (spoil, _) in enumerate(BAD_IMAGES.values()):
        spoil(own / f"train/good/{number:03d}.png")
    first, *lines = refused_run(own, tmp_path / "run").splitlines()

    assert first == "5 of 25 images cannot be used:"
    assert [line.split(":")[0] for line in lines] == [
        f"  {own / f'train/good/{n:03d}.png'}" for n in range(5)
    ]


def test_data__with_a_mask_of_another_size_is_refused(own: Path, tmp_path: Path) -> None:
    mask = save(own / "ground_truth/cut/000_mask.png", spot(32, 64))

    assert refused_run(own, tmp_path / "run") == (
        f"{mask}: the mask is 32 x 64 pixels and its photograph 64 x 64 (height x width); "
        "give the mask of this photograph, at its size"
    )


def test_data__with_a_mask_without_an_image_is_remarked(own: Path, tmp_path: Path) -> None:
    (own / "test/cut/000.png").unlink()
    result = call("run", *options("stfpm"), "--data", own, "--out", tmp_path / "run")

    assert result.exit_code == 0
    assert "note: 1 mask without an image: 000_mask.png\n" in result.stdout


# weights


@pytest.fixture
def pretrained(tmp_path: Path) -> dict[str, torch.Tensor]:
    return dict(timm.create_model("test_resnet", pretrained=False).state_dict())


def weighted(*more: object) -> list[object]:
    """A run that wants pretrained weights."""
    return ["--set", "stfpm.weights=pretrained", *more]


def test_weights__missing_offline_lists_where_it_looked(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leatherens.core.weights._cached", lambda hub: None)
    (tmp_path / "weights").mkdir()
    told = refused_run(leather, tmp_path / "run", *weighted("--weights", tmp_path / "weights"))

    assert told == (
        "no pretrained weights for 'test_resnet'. Looked at:\n"
        f"  - {tmp_path / 'weights'}: nothing for this model\n"
        "  - installed weight packages: tf_efficientnet_lite0, tf_efficientnet_lite1, tf_efficientnet_lite2\n"
        "  - local hub cache: timm/test_resnet.r160_in1k is not there\n"
        "Three ways out: give a file or folder with --weights (or LEATHERENS_WEIGHTS); allow the hub with "
        "--allow-download; or take the backbone that is always there, tf_efficientnet_lite0."
    )


def test_weights__with_nan_are_refused(
    leather: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor]
) -> None:
    pretrained["layer1.0.conv1.weight"][0] = float("nan")
    save_file(pretrained, tmp_path / "test_resnet.safetensors")

    assert refused_run(
        leather, tmp_path / "run", *weighted("--weights", tmp_path / "test_resnet.safetensors")
    ) == (
        f"{tmp_path / 'test_resnet.safetensors'}: 'layer1.0.conv1.weight' holds NaN or infinite values; "
        "the file is damaged"
    )


@pytest.mark.parametrize("name", ["wide_test_resnet.safetensors", "resnet18.safetensors"])
def test_weights__of_another_model_are_not_passed_over_in_silence(
    name: str, leather: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor]
) -> None:
    save_file(pretrained, tmp_path / "test_resnet-0001.safetensors")
    save_file(pretrained, tmp_path / name)
    places = ["--weights", tmp_path / name, "--weights", tmp_path / "test_resnet-0001.safetensors"]

    assert refused_run(leather, tmp_path / "run", *weighted(*places)) == (
        f"{tmp_path / name}: no member uses this weights file (backbones: test_resnet); "
        "name it after the backbone, such as resnet18.pth, or leave it out"
    )


def test_weights__other_than_those_learned_with_are_refused(
    leather: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor]
) -> None:
    first, second = tmp_path / "a/test_resnet.safetensors", tmp_path / "b/test_resnet.safetensors"
    for file, factor in ((first, 1.0), (second, 1.5)):
        file.parent.mkdir()
        save_file({**pretrained, "conv1.0.weight": pretrained["conv1.0.weight"] * factor}, file)
    run = make(tmp_path / "run", leather, "stfpm", *weighted("--weights", first))
    image = leather / "test/good/000.png"

    told = refused("predict", run, image, "--weights", second)
    assert told == (
        f"{run}: learned with other weights of 'test_resnet' ({first}) than those found now ({second}); "
        "give the first ones with --weights"
    )
    (run / "DONE").unlink()
    assert refused("run", "--resume", "--out", run, "--weights", second) == told

    moved = first.rename(tmp_path / "test_resnet.safetensors")
    assert refused("predict", run, image) == f"{run}: this run is not finished; go on with {resume(run)}"
    assert call("run", "--resume", "--out", run, "--weights", moved).exit_code == 0
    assert refused("predict", run, image) == f"{first}: no such weights file or folder"
    assert call("predict", run, image, "--weights", moved).exit_code in (0, 1)


def resume(run: Path) -> str:
    return f"leatherens run --resume --out {run}"


# where results go


@pytest.mark.parametrize("command", ["run", "evaluate", "predict"])
def test_out__that_cannot_be_written_is_refused(
    command: str, alone: Path, leather: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    out = file / "out"
    given = {
        "run": ["run", *options("stfpm"), "--data", leather],
        "evaluate": ["evaluate", alone, "--data", leather],
        "predict": ["predict", alone, leather / "test/good/000.png"],
    }

    told = refused(*given[command], "--out", out)
    assert told.startswith(f"{out}")
    assert "cannot be written (Not a directory);" in told
    assert told.endswith("choose another --out")


def test_out__by_default_is_refused_where_a_file_stands(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("", encoding="utf-8")

    assert refused("run", *options("stfpm"), "--data", leather) == (
        "runs: cannot be written (File exists); give another --out"
    )


def test_out__holding_a_run_is_refused(alone: Path, leather: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    shutil.copytree(alone, begun)
    (begun / "DONE").unlink()
    started = ["run", *options("stfpm"), "--data", leather, "--out"]

    assert refused(*started, alone) == f"{alone}: holds a finished run; choose another --out"
    assert refused(*started, begun) == (
        f"{begun}: a run was begun here; go on with {resume(begun)}, or choose another --out"
    )
    assert refused("evaluate", alone, "--data", leather, "--out", alone) == (
        f"{alone}: a run's own folder; choose another --out for the results"
    )


def test_synth__into_a_folder_in_use_is_refused(leather: Path) -> None:
    told = refused("data", "synth", "--out", leather, "--size", "64", "--train", "1", "--test", "1")

    assert told == f"{leather}: there is something already; choose another --out"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ["--scenario", "one-color"],
            "unknown scenario 'one-color'; did you mean 'one-colour'? (scenarios: one-colour, multi-colour)",
        ),
        (["--size", "16"], "demo leather needs at least 32 pixels on each side, got 16 x 16"),
        (["--train", "-1"], "the number of train pictures must be 0 or more, got -1"),
    ],
    ids=["scenario", "size", "count"],
)
def test_synth__mistaken_is_named(given: list[str], sentence: str, tmp_path: Path) -> None:
    assert refused("data", "synth", "--out", tmp_path / "new", *given) == sentence
    assert list(tmp_path.iterdir()) == []


# going on


def test_resume__with_nothing_to_go_on_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert refused("run", "--resume") == "no unfinished run in runs; name one with --out"
    assert refused("run", "--resume", "--out", "gone") == "gone: no such run folder"
    assert refused("run", "--resume", "--out", tmp_path) == (
        f"{tmp_path}: not a run folder of leatherens (there is no run.json in it)"
    )


def test_resume__takes_no_other_options(alone: Path) -> None:
    given = ["--members", "draem", "--seed", "1", "--set", "stfpm.steps=5", "--score-fusion", "mean"]

    assert refused("run", "--resume", "--out", alone, *given) == (
        "--resume goes on as the run was begun; leave out --members, --score-fusion, --seed, --set"
    )


def test_resume__refuses_images_that_changed(alone: Path, own: Path, tmp_path: Path) -> None:
    run = make(tmp_path / "run", own, "stfpm")
    (run / "DONE").unlink()
    save(own / "train/good/000.png", grain(64, 64))

    assert refused("run", "--resume", "--out", run) == (
        f"{run}: the images in {own} changed since this run began; put them back, or start a new run"
    )


# the run's folder


@pytest.fixture
def broken(alone: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to break."""
    run = tmp_path / "broken"
    shutil.copytree(alone, run)
    return run


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


AGAIN = "copy the run again, or make it again"


@pytest.mark.parametrize(
    ("file", "spoil", "sentence"),
    [
        ("DONE", Path.unlink, "this run is not finished; go on with leatherens run --resume --out {run}"),
        ("run.json", Path.unlink, "not a run folder of leatherens (there is no run.json in it)"),
        ("run.json", halve, "/run.json: damaged, not JSON ("),
        ("run.json", lambda p: p.write_text("[]"), "/run.json: damaged, expected keys and values, got list"),
        ("run.json", lambda p: p.write_text("{}"), "/run.json: option 'name' is required\n"),
        (
            "run.json",
            lambda p: edit(p, '"format": 1', '"format": 3'),
            "written by leatherens {version} (format 3), this one reads up to format 2; update leatherens",
        ),
        ("run.json", lambda p: edit(p, '"root"', '"rot"'), "/run.json: option 'data.root' is required\n"),
        ("recipe.yaml", Path.unlink, "/recipe.yaml: missing; is this a run folder of leatherens?"),
        ("recipe.yaml", lambda p: p.write_text("a: [1"), "/recipe.yaml: not YAML ("),
        ("recipe.yaml", lambda p: p.write_text("- 1"), "/recipe.yaml: expected keys and values, got list"),
        (
            "recipe.yaml",
            lambda p: edit(p, "  stfpm:", "  draem:"),
            "/recipe.yaml: changed since this run began; put it back, or start a new run with another --out",
        ),
        (
            "recipe.yaml",
            lambda p: edit(p, "- 64", "- 96"),
            "/recipe.yaml: changed since this run began; put it back, or start a new run with another --out",
        ),
        (
            "recipe.yaml",
            lambda p: edit(p, "seed:", "sed:"),
            "/recipe.yaml: unknown option 'sed'; did you mean",
        ),
        ("members/stfpm", shutil.rmtree, "/members/stfpm/component.json: missing; the run is incomplete"),
        ("members/stfpm/state.safetensors", halve, f"/members/stfpm/state.safetensors: damaged; {AGAIN}"),
        ("members/stfpm/state.safetensors", flip, f"/members/stfpm/state.safetensors: damaged; {AGAIN}"),
        (
            "members/stfpm/state.safetensors",
            Path.unlink,
            f"/members/stfpm/state.safetensors: missing; {AGAIN}",
        ),
        (
            "members/stfpm/component.json",
            lambda p: edit(p, '"id": "stfpm"', '"id": "draem"'),
            "/members/stfpm: holds 'draem', expected 'stfpm'; the run's recipe was changed",
        ),
        (
            "members/stfpm/component.json",
            lambda p: p.write_text("{}"),
            "/members/stfpm: option 'id' is required",
        ),
        (
            "ensemble/thresholds/ensemble/state.json",
            lambda p: edit(p, "image_", "imago_"),
            f"/ensemble/thresholds/ensemble/state.json: damaged; {AGAIN}",
        ),
        ("ensemble/calibrators", shutil.rmtree, "/ensemble/calibrators/ensemble/component.json: missing;"),
    ],
)
def test_run_folder__damaged_is_refused(
    file: str, spoil: Callable[[Path], object], sentence: str, broken: Path, leather: Path
) -> None:
    spoil(broken / file)
    prefix = f"{broken}" if sentence.startswith("/") else f"{broken}: "
    expected = prefix + sentence.format(run=broken, version=metadata.version("leatherens"))

    for command in (
        ["predict", broken, leather / "test/good/000.png"],
        ["evaluate", broken, "--data", leather],
    ):
        told = refused(*command) + "\n"
        assert told.startswith(expected)


def test_run_folder__in_use_by_another_process_is_refused(broken: Path) -> None:
    (broken / "DONE").unlink()
    with FileLock(broken / ".lock"):
        told = refused("run", "--resume", "--out", broken)

    assert told == f"{broken}: another process is working on this run; wait for it or use another --out"


def test_run_folder__of_a_plugin_that_is_gone_names_it(leather: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN.format(id="stfpm", target="leatherens.plugins.stfpm:STFPM"), encoding="utf-8")
    run, images = tmp_path / "run", leather / "test/good"
    started = ["run", *options("mine:stfpm"), "--data", leather, "--out", run]

    assert call("--plugin", plugin, *started).exit_code == 0
    assert call("--plugin", plugin, "predict", run, images).exit_code in (0, 1)
    assert refused("predict", run, images) == (
        f"{run}: needs detector 'mine:stfpm' of the plugin file mine.py, not here: give the file with "
        f"leatherens --plugin FILE; it was {plugin}"
    )


# images to judge and to measure on


def test_predict__on_nothing_is_refused(alone: Path, leather: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    assert refused("predict", alone) == "Missing argument 'PATH...'."
    assert refused("predict", alone, empty) == (
        f"{empty}: no images in it ({IMAGES}); give images or a folder that holds some"
    )
    assert refused("predict", alone, empty / "*.png") == f"{empty / '*.png'}: no file matches"
    assert (
        refused("predict", tmp_path / "gone", empty)
        == f"{empty}: no images in it ({IMAGES}); give images or a folder that holds some"
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("gone.png", None, "no such file; check the name"),
        (
            "notes.txt",
            b"leather",
            "not an image that can be read (PNG, JPEG, TIFF, BMP or WebP); convert it to",
        ),
        ("empty.png", b"", "an empty file (0 bytes); copy it again or remove it"),
    ],
)
def test_predict__on_no_image_names_it(
    name: str, content: bytes | None, reason: str, alone: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = call("predict", alone, tmp_path / name)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"skipped: {tmp_path / name}: {reason}")


def test_evaluate__without_test_images_is_refused(alone: Path, leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather / "train", data / "train")
    (data / "test/good").mkdir(parents=True)
    shutil.rmtree(data / "train/good")
    (data / "train/good").mkdir()

    assert refused("evaluate", alone, "--data", data) == (
        f"{data}: no test images; expected MVTec AD with images to test on"
    )


def test_evaluate__with_a_bad_image_is_refused(alone: Path, own: Path) -> None:
    halve(own / "test/good/000.png")
    told = refused("evaluate", alone, "--data", own)

    assert told.startswith(f"{own / 'test/good/000.png'}: damaged (")
