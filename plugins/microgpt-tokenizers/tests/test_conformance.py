"""The kit's checks of the three tokenizers, and of the pack itself."""

from microgpt_core.testing import pack_tests

TestPack = pack_tests("tokenizers")
