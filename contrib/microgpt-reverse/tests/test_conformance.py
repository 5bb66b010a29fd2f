"""The kit's checks, one test for each of each component."""

from microgpt_core.testing import pack_tests

test_pack = pack_tests("microgpt-reverse")
