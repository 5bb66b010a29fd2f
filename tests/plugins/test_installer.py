"""Which command installs: the environment's own pip, or what keeps the environment instead; never anything else."""

import sys
import sysconfig
from pathlib import Path

import pytest

from microgpt_core.errors import ConfigurationError, MicrogptError, UnknownNameError
from microgpt_core.plugins import installer
from microgpt_core.plugins.installer import Action, distribution_named, pip_command

HOOK = "from microgpt_core.hookspecs import hookimpl\n"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment called microgpt-core that nobody keeps."""
    folder = tmp_path / "microgpt-core"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    return folder


PIP = [
    ("install", ["a", "b>=1"], False, "install a b>=1"),
    ("upgrade", ["a"], False, "install --upgrade a"),
    ("install", ["./a", "./b"], True, "install --editable ./a --editable ./b"),
    ("uninstall", ["a", "b"], False, "uninstall --yes a b"),
]


@pytest.mark.parametrize(("action", "targets", "editable", "words"), PIP)
def test_pip_is_run_by_this_python(
    action: Action, targets: list[str], editable: bool, words: str, prefix: Path
) -> None:
    assert pip_command(action, targets, editable) == ["/env/bin/python", "-m", "pip", *words.split()]


KEPT = {  # who: what shows it, and for each of PIP what is right there
    "pipx keeps": (
        "pipx_metadata.json",
        [
            'pipx inject microgpt-core a "b>=1"',
            "pipx inject --force microgpt-core a",
            "pipx inject microgpt-core --editable ./a --editable ./b",
            "pipx uninject microgpt-core a b",
        ],
    ),
    "uv keeps": (
        "uv-receipt.toml",
        [
            'uv tool install microgpt-core --with microgpt-here --with a --with "b>=1"',
            "uv tool install --upgrade microgpt-core --with microgpt-here --with a",
            "uv tool install microgpt-core --with microgpt-here --with-editable ./a --with-editable ./b",
            "uv tool install microgpt-core --with microgpt-here",
        ],
    ),
    "conda keeps": (
        "conda-meta/",
        [
            'conda run --prefix {prefix} python -m pip install a "b>=1"',
            "conda run --prefix {prefix} python -m pip install --upgrade a",
            "conda run --prefix {prefix} python -m pip install --editable ./a --editable ./b",
            "conda run --prefix {prefix} python -m pip uninstall --yes a b",
        ],
    ),
    "the operating system keeps": (
        "EXTERNALLY-MANAGED",
        [
            'python3 -m venv microgpt-env && microgpt-env/bin/python -m pip install microgpt-core a "b>=1"',
            "python3 -m venv microgpt-env && microgpt-env/bin/python -m pip install microgpt-core a",
            "python3 -m venv microgpt-env && microgpt-env/bin/python -m pip install microgpt-core --editable ./a "
            "--editable ./b",
            "/env/bin/python -m pip uninstall --yes --break-system-packages a b",
        ],
    ),
    "there is no pip in": (
        "",
        [
            '/env/bin/python -m ensurepip && /env/bin/python -m pip install a "b>=1"',
            "/env/bin/python -m ensurepip && /env/bin/python -m pip install --upgrade a",
            "/env/bin/python -m ensurepip && /env/bin/python -m pip install --editable ./a --editable ./b",
            "/env/bin/python -m ensurepip && /env/bin/python -m pip uninstall --yes a b",
        ],
    ),
}


@pytest.mark.parametrize("case", range(len(PIP)))
@pytest.mark.parametrize("who", KEPT)
def test_who_keeps_the_environment_is_said_what_to_run(
    who: str, case: int, prefix: Path, install, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, targets, editable, _ = PIP[case]
    mark, commands = KEPT[who]
    install("here", HOOK)
    monkeypatch.setattr(installer.shutil, "which", lambda name: None)
    if mark == "EXTERNALLY-MANAGED":
        monkeypatch.setattr(sys, "base_prefix", sys.prefix)
        monkeypatch.setattr(sysconfig, "get_path", lambda name: str(prefix))
    if not mark:
        monkeypatch.setattr(installer, "find_spec", lambda name: None)
    elif mark.endswith("/"):
        (prefix / mark).mkdir()
    else:
        (prefix / mark).touch()
    with pytest.raises(MicrogptError) as caught:
        pip_command(action, targets, editable)  # type: ignore[arg-type]
    command = commands[case].replace("{prefix}", installer.quoted(str(prefix)))
    assert str(caught.value) == f"{who} this Python environment, so nothing was done; run: {command}"
    assert caught.value.exit_code == 1


def test_uv_is_named_where_it_is_at_hand(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "find_spec", lambda name: None)
    monkeypatch.setattr(installer.shutil, "which", lambda name: "/bin/uv")
    with pytest.raises(MicrogptError, match=r"run: uv pip install --python /env/bin/python a"):
        pip_command("install", ["a"])


def test_in_an_environment_of_ones_own_the_systems_mark_does_not_count(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(prefix))
    (prefix / "EXTERNALLY-MANAGED").touch()
    assert pip_command("install", ["a"])


REFUSED = ["microgpt", "MicroGPT>=1", " microgpt[all]", "microgpt @ https://example.org/x", "microgpt~=1.0"]


@pytest.mark.parametrize("target", REFUSED)
def test_the_distribution_of_somebody_else_is_refused(target: str, prefix: Path) -> None:
    with pytest.raises(ConfigurationError, match="is somebody else's; the engine is microgpt-core"):
        pip_command("install", ["a", target])


@pytest.mark.parametrize("target", ["microgpt-core", "microgpt-numpy>=1", "./microgpt", "microgpt/", "my-microgpt"])
def test_what_only_looks_like_it_is_not(target: str, prefix: Path) -> None:
    assert pip_command("install", [target])[-1] == target


def test_an_option_is_no_target(prefix: Path) -> None:
    with pytest.raises(ConfigurationError, match="'--index-url=x' is an option"):
        pip_command("install", ["--index-url=x"])


def test_a_pack_is_found_by_either_name_whatever_its_state(install, tmp_path: Path) -> None:
    install("mish", "raise SystemError")
    install("odd", "raise SystemError", group="plugins.v9")
    install("cli", "raise SystemError", "microgpt-tools", group="commands.v1")
    for name, distribution in (("mish", "microgpt-mish"), ("Microgpt_MISH", "microgpt-mish"), ("odd", "microgpt-odd")):
        assert distribution_named(name) == distribution
    assert distribution_named("microgpt-tools") == "microgpt-tools"
    with pytest.raises(UnknownNameError, match=r"unknown pack 'mihs' \(did you mean"):
        distribution_named("mihs")
    for name in ("microgpt-core", "pytest", "microgpt"):
        with pytest.raises(UnknownNameError):
            distribution_named(name)


def test_a_pack_with_broken_metadata_is_found_by_its_distribution(install, tmp_path: Path) -> None:
    install("torn", HOOK)
    (file,) = (tmp_path / "site").glob("microgpt_torn-*/entry_points.txt")
    file.write_text("[microgpt.plugins.v1]\nno equals sign\n", encoding="utf-8")
    assert distribution_named("microgpt-torn") == "microgpt-torn"


def test_a_name_of_several_packs_is_not_guessed(install) -> None:
    install("bpe", HOOK, "first")
    install("bpe", HOOK, "second")
    with pytest.raises(ConfigurationError, match="write which: first, second"):
        distribution_named("bpe")
