"""`python -m microgpt_core` is the program `microgpt`."""

from microgpt_core.cli.main import main

main(prog_name="microgpt")
