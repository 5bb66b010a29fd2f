"""What is compiled for whom, by which compiler, and what is said where there is none: setup.py, without building."""

import os
import platform
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

setuptools = pytest.importorskip("setuptools", reason="setup.py is tried only where setuptools is")
PACK = Path(__file__).parents[1]


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs setup.py as on some platform: what it defines, and what it hands to setuptools."""
    monkeypatch.chdir(PACK)
    monkeypatch.delenv("ARCHFLAGS", raising=False)

    def run(system: str = "linux-x86_64", machine: str = "", archflags: str = "") -> dict[str, Any]:
        given: dict[str, Any] = {}
        monkeypatch.setattr(setuptools, "setup", lambda **keywords: given.update(keywords))
        monkeypatch.setattr(sysconfig, "get_platform", lambda: system)
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(sys, "platform", "win32" if system.startswith("win") else "linux")
        monkeypatch.setenv("ARCHFLAGS", archflags)
        return runpy.run_path("setup.py") | given

    return run


def modules(made: dict[str, Any]) -> set[str]:
    return {extension.name.removeprefix("microgpt_simd.") for extension in made["ext_modules"]}


ARM = {"native", "_baseline"}
ALL = ARM | {"_avx2", "_avx512", "_avx512bf16"}


@pytest.mark.parametrize(
    ("system", "machine", "archflags", "expected"),
    [
        ("linux-x86_64", "", "", ALL | {"_amx"}),
        ("linux-aarch64", "", "", ARM),
        ("win-amd64", "", "", ALL),
        ("win-arm64", "", "", ARM),
        ("macosx-11.0-arm64", "arm64", "", ARM),
        ("macosx-10.13-universal2", "arm64", "", ARM),
        ("macosx-10.13-universal2", "x86_64", "", ALL),
        ("macosx-10.13-x86_64", "arm64", "-arch x86_64", ALL),
        ("macosx-11.0-arm64", "x86_64", "-arch arm64", ARM),
    ],
)
def test_levels_are_those_of_the_target(
    system: str, machine: str, archflags: str, expected: set[str], setup: Any
) -> None:
    assert modules(setup(system, machine, archflags)) == expected
    assert os.environ["ARCHFLAGS"] == (archflags or (f"-arch {machine}" if "universal2" in system else ""))


def test_a_wheel_for_two_processors_is_refused(setup: Any) -> None:
    with pytest.raises(SystemExit, match="a wheel of its own; ARCHFLAGS asks for arm64 and x86_64"):
        setup("macosx-11.0-universal2", "arm64", "-arch arm64 -arch x86_64")


@pytest.mark.parametrize("system", ["linux-x86_64", "win-amd64"])
def test_sums_are_never_reordered(system: str, setup: Any) -> None:
    """No flag lets the compiler change what is computed, on any system."""
    for extension in setup(system)["ext_modules"]:
        flags = [flag.removeprefix("/clang:") for flag in extension.extra_compile_args]
        assert "-ffp-contract=off" in flags
        assert not {"-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-march=native"} & set(flags)
        assert all(flag.startswith("/clang:-") for flag in extension.extra_compile_args) == (system == "win-amd64")


@pytest.mark.parametrize("found", ["C:/LLVM/bin/clang-cl.exe", None])
def test_windows_takes_clang(found: str | None, setup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = setup("win-amd64")
    command = made["BuildKernels"](setuptools.Distribution())
    command.compiler = SimpleNamespace(compiler_type="msvc", cc="cl.exe", initialize=lambda: None, _paths="C:/VC")
    monkeypatch.setattr(made["shutil"], "which", lambda name, path: found if name == "clang-cl" else None)
    if found:
        command.take_clang()
        assert command.compiler.cc == found
    else:
        with pytest.raises(setuptools.errors.PlatformError, match="clang-cl isn't on PATH"):
            command.take_clang()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows finds its compiler without CC")
def test_without_a_compiler_the_message_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("Cython", reason="setup.py translates Cython before it compiles")
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", tmp_path, "--build-temp", tmp_path],
        cwd=PACK, env=os.environ | {"CC": "no-such-compiler"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "microgpt-simd could not be compiled" in done.stderr
    assert "apt install gcc python3-dev" in done.stderr
    assert "works without this pack" in done.stderr
