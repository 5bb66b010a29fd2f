"""The kit's checks of every op, kernel, optimizer and schedule, and of the pack itself."""

from microgpt_core.testing import pack_tests

TestPack = pack_tests("optimizers")
