"""The kit's checks of every kernel, and of the pack itself."""

from microgpt_core.testing import pack_tests

TestPack = pack_tests("numpy")
