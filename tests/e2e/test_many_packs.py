"""A hundred wheels, half of them broken in every way, in one environment: all that needs none of them works."""

import base64
import zipfile
from hashlib import sha256
from pathlib import Path

import many_packs
import pytest

LIMIT = {"MICROGPT_IMPORT_LIMIT": "0.5"}  # for those that never end


def wheel(info: Path, into: Path) -> Path:
    """The distribution of a `.dist-info`, with the module beside it, as a wheel (PEP 427)."""
    module = info.name.partition("-")[0].removeprefix("microgpt_") + ".py"
    files = {module: (info.parent / module).read_bytes()}
    files |= {f"{info.name}/{file.name}": file.read_bytes() for file in info.iterdir()}
    files[f"{info.name}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    digests = {name: base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=") for name, data in files.items()}
    record = [f"{name},sha256={digests[name].decode()},{len(data)}\n" for name, data in files.items()]
    files[f"{info.name}/RECORD"] = "".join([*record, f"{info.name}/RECORD,,\n"]).encode()
    target = into / f"{info.stem}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target


@pytest.fixture
def a_hundred(core_alone, tmp_path: Path):
    site = many_packs.write_packs(tmp_path / "site", broken=50, good=50)
    core_alone.install(*(str(wheel(info, tmp_path)) for info in sorted(site.glob("*.dist-info"))))
    return core_alone


def test_a_hundred_packs_half_of_them_broken(a_hundred) -> None:
    env = a_hundred
    packs = env.json("plugins", "list", **LIMIT)
    assert len(packs) == 100
    assert all(pack["state"] == "ok" for pack in packs if pack["name"].startswith("good"))
    broken = {pack["name"] for pack in packs if pack["state"] != "ok"}
    assert len(broken) > 40  # a few are found out only when they are used
    assert "Commands:" in env.microgpt("--help").stdout

    fixes = "\n".join(env.json("doctor", code=1, **LIMIT)["to fix"])
    assert all(f"microgpt-{name} " in fixes for name in broken)

    assert env.json("run", "names", "--set", "train.max_steps=2", **LIMIT)["samples"]
    assert env.microgpt("show", "tokenizer", "good-49/good49", **LIMIT).stdout.startswith("# good49")

    env.microgpt("plugins", "uninstall", *(f"broken-{i:02}" for i in range(50)))
    assert "nothing to fix" in env.microgpt("doctor", **LIMIT).stdout
