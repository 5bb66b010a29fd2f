"""What `metrics.jsonl` says where it can't be written: the file and the reason, with the exit code of a full disk."""

from pathlib import Path

import pytest

from microgpt_core.errors import StorageError
from microgpt_core.saving.metrics_log import METRICS, MetricsLog

resource = pytest.importorskip("resource", reason="the system has no limit on file sizes")
LINE = {"step": 1, "train/loss": 2.5}


def write(folder: Path, n_lines: int, limit: int) -> None:
    """Lines into a log while no file may be larger than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with MetricsLog(folder) as log:
            for _ in range(n_lines):
                log.write(METRICS, LINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_on_files_is_a_full_disk(tmp_path: Path) -> None:
    """Closing the file tries again to write what was refused: that fails in the same words."""
    with pytest.raises(StorageError, match=r"can't write .*metrics\.jsonl: ") as caught:
        write(tmp_path, 100, 1000)
    assert caught.value.exit_code == 4
    assert (tmp_path / METRICS).stat().st_size == 1000


def test_below_the_limit_all_is_written(tmp_path: Path) -> None:
    write(tmp_path, 10, 1000)
    assert len((tmp_path / METRICS).read_text(encoding="ascii").splitlines()) == 10
