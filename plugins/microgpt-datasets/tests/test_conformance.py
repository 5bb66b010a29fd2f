"""The kit's checks of every dataset and transform, and of the pack itself."""

from microgpt_core.testing import pack_tests

TestPack = pack_tests("datasets")
