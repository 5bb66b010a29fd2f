"""`python -m microgpt_core` is the program `microgpt`."""

import sys


def start() -> None:
    """Run it. Ctrl-C while it is still being imported ends it without a traceback, as later."""
    try:
        from microgpt_core.cli.main import main
    except KeyboardInterrupt:  # from here on, `main` sees to it
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    main(prog_name="microgpt")


if __name__ == "__main__":
    start()
