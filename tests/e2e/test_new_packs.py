"""What `plugins new` makes, as its author goes on: installed by the printed command, certified, used, its tests run."""

import shlex

import pytest

from microgpt_core.plugins.scaffold import KINDS_OF_PACKS


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, new_environment):
    """An author's environment."""
    return new_environment(tmp_path_factory.mktemp("workshop"), "microgpt-numpy", "copier", "pytest")


def check_new_pack(env, kind: str, name: str) -> None:
    """Make a pack: all that is printed can be done, and its tests pass."""
    commands = env.microgpt("plugins", "new", kind, name).stdout.splitlines()
    assert len(commands) == 3
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "microgpt"
        env.microgpt(*words)
    folder = f"microgpt-{name.replace('/', '-')}"
    assert env.packs()[folder] == "ok"
    result = env.call("python", "-m", "pytest", "-q", f"{folder}/tests")
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


@pytest.mark.parametrize("kind", [kind for kind in KINDS_OF_PACKS if kind != "kernel"])
def test_a_new_pack_does_all_that_is_printed(kind: str, workshop) -> None:
    check_new_pack(workshop, kind, f"my-{kind}")


def test_a_kernel_for_an_op_of_ones_own(workshop) -> None:
    check_new_pack(workshop, "op", "swish")
    check_new_pack(workshop, "kernel", "numpy/swish")
    # The template leaves large calls to the next backend, until it is written.
    small = ("model.n_embd=4", "model.n_head=1", "model.block_size=4", "train.batch_size=1", "backend=numpy")
    settings = [word for setting in (*small, "model.activation=swish") for word in ("--set", setting)]
    plan = workshop.microgpt("plan", "names", "--explain", *settings)
    rows = [line for line in plan.stdout.splitlines() if " swish." in line]
    assert len(rows) == 2
    assert all(row.split()[-3:] == ["numpy", "first", "choice"] for row in rows)
