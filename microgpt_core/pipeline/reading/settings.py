"""A pipeline that has been read: everything that a run is told, with every default filled in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from os.path import expanduser
from pathlib import Path
from typing import Any, Literal

from microgpt_core.components import Op
from microgpt_core.formats.settings import ExportSettings
from microgpt_core.models.model import Model
from microgpt_core.pipeline.reading.generate_settings import GenerateSettings
from microgpt_core.plugins.fields import fields_of
from microgpt_core.plugins.kinds import KINDS
from microgpt_core.training.settings import TrainSettings

# Section -> the kind of component that it names, and the component that is taken where it names none.
COMPONENTS = {
    "dataset": ("datasets", "names"),
    "tokenizer": ("tokenizers", "char"),
    "model": ("models", "gpt"),
    "optimizer": ("optimizers", "adamw"),
    "schedule": ("schedules", "cosine"),
}

SECTIONS = {kind: section for section, (kind, _) in COMPONENTS.items()}  # a kind's section

# Sections that hold settings of the run itself.
LISTED = ("transforms", "analyzers", "callbacks")  # keys with a list of components, each of the kind of that name
SETTINGS: dict[str, type] = {"train": TrainSettings, "generate": GenerateSettings, "export": ExportSettings}

# Section -> the field that it may be short for: `tokenizer: char` is `{use: char}`, `export: json` `{format: json}`.
SHORT = {**dict.fromkeys((*COMPONENTS, *LISTED), "use"), "export": "format"}

# Section -> the field whose relative paths start from the folder of the file that says it.
PATHS = {"dataset": "path", "tokenizer": "file"}

# Fields that a run fills in, so that they are no YAML keys: each with a value to try the component with.
SUPPLIED: dict[str, dict[str, Any]] = {"model": {"vocab_size": 256}}


@dataclass
class Component:
    """A section that names a component: `tokenizer: char`, or `model: {use: gpt, n_layer: 2}`."""

    section: str
    name: str  # as the registry's `full_name` has it
    cls: Any
    fields: dict[str, Any]  # as given, in the types that the class declares; a Component where one holds another
    ops: dict[str, Op] = field(default_factory=dict)  # of a model, what its fields name by slot
    preset: str | None = None  # of a model, where its fields came from one
    folder: Path | None = None  # where the relative paths of PATHS start; None: the current folder

    def build(self, **supplied: Any) -> Any:
        """The component itself. `supplied` are the fields that the run fills in."""
        made = self.cls(**{**built(self.fields), **self.ops, **supplied})
        if hasattr(made, "base"):
            made.base = self.folder
        return made

    def to_dict(self) -> dict[str, Any]:
        """`use`, and every field with its default."""
        given = {f.name: self.fields.get(f.name, f.default) for f in fields_of(self.cls)}
        supplied = SUPPLIED.get(self.section, {})
        values = {name: plain(value) for name, value in given.items() if name not in supplied}
        if (path := PATHS.get(self.section, "")) in values:
            values[path] = absolute(values[path], self.folder or Path.cwd())
        return {"use": self.name, **values}


def built(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with the components that they hold made."""
    return {name: make(value) for name, value in fields.items()}


def make(value: Any) -> Any:
    if isinstance(value, list):
        return [make(item) for item in value]
    return value.build() if isinstance(value, Component) else value


@dataclass(kw_only=True)
class Pipeline:
    """One pipeline. Its fields are the YAML file's keys, in the order in which they are written.

    Fields:
        microgpt: the version of this format
        name: what its runs are called; without it, as the file is
        seed: of everything random: the same seed gives the same numbers
        plugins: packs that have to be installed, such as microgpt-numpy or microgpt-numpy>=0.1
        backend: who computes; of several, each op is the first one's that can; auto: the best that there is
        kernels: for single ops, another backend
        passes: what rewrites plans: auto, or by name, [] for nothing; a run's values may differ in their last bits
        precision: of weights and values; bfloat16: of matrix products, with weights and sums in float32
        init_from: the run, or the model folder, whose weights training begins with
        freeze: the parameters that training leaves as they are, by name: wte, block.0, block.*.mlp
        stages: what is done, in this order
    """

    microgpt: Literal[1] = 1
    name: str
    seed: int = 1337
    plugins: list[str] = field(default_factory=list)
    backend: str | list[str] = "auto"
    kernels: dict[str, str] = field(default_factory=dict)
    passes: str | list[str] = "auto"
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    init_from: str | None = None  # the run or the model folder whose weights training begins with
    freeze: list[str] = field(default_factory=list)  # the parameters that it leaves as they are
    dataset: Component
    transforms: list[Component] = field(default_factory=list)
    tokenizer: Component | None  # None: that of init_from, or of a dataset of numbers
    model: Component
    optimizer: Component
    schedule: Component
    train: TrainSettings
    generate: GenerateSettings
    export: ExportSettings
    analyzers: list[Component] = field(default_factory=list)
    callbacks: list[Component] = field(default_factory=list)
    stages: list[str] = field(default_factory=lambda: ["train", "evaluate", "generate"])
    text: str = field(default="", repr=False)  # the file as given

    @property
    def stored(self) -> str:
        """The precision that weights and values are kept in."""
        return "float32" if self.precision == "bfloat16" else self.precision

    def build_model(self, vocab_size: int) -> Model:
        """The model, with what is frozen marked, and no memory yet."""
        model: Model = self.model.build(vocab_size=vocab_size)
        model.freeze(self.freeze)
        return model


def to_dict(pipeline: Pipeline) -> dict[str, Any]:
    """The pipeline as plain data with nothing left out: what `resolved.yaml` holds, and reads back as the same."""
    values = {f.name: getattr(pipeline, f.name) for f in fields(pipeline) if f.name != "text"}
    return {name: plain(value) for name, value in values.items()}


def absolute(path: Any, folder: Path) -> Any:
    """A path, or several, so that it means the same wherever it is read from."""
    if isinstance(path, list):
        return [absolute(one, folder) for one in path]
    return str(folder.absolute() / expanduser(path)) if isinstance(path, str) else path


def plain(value: Any) -> Any:
    """Plain data of whatever a field can hold."""
    if isinstance(value, Component):
        return value.to_dict()
    if isinstance(value, TrainSettings | GenerateSettings | ExportSettings):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Op):
        return value.name
    if any(kind.base and isinstance(value, kind.base) for kind in KINDS.values()):  # a field's default
        return {"use": value.name, **{f.name: plain(getattr(value, f.name)) for f in fields_of(type(value))}}
    return str(value) if isinstance(value, Path) else value
