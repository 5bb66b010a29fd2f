"""The processor that this process runs on: its name and its features, as the operating system tells them."""

import platform
import subprocess
import sys
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CPU_FEATURES = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
    "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip


def cpu() -> tuple[str, list[str]]:
    """The processor's name, and what it can do beyond the least of its kind."""
    if CPUINFO.is_file():
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
        facts = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
        words = (facts.get("flags") or facts.get("Features") or "").split()
        return facts.get("model name", platform.machine()).strip(), [f for f in CPU_FEATURES if f in words]
    if sys.platform == "darwin":
        told = subprocess.run(["sysctl", "machdep.cpu", "hw.optional"], capture_output=True, encoding="utf-8").stdout
        facts = {key: value.strip() for key, _, value in (line.partition(":") for line in told.splitlines())}
        words = [key.rpartition(".")[2].lower() for key, value in facts.items() if value == "1"]
        return facts.get("machdep.cpu.brand_string", platform.machine()), sorted(words)
    return platform.processor() or platform.machine(), []
