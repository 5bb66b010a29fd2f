"""Write docs/reference/ from the program itself: commands, components, ops, hooks, the Python API.

    python scripts/make_reference.py [--check]

With --check nothing is written; the exit code is 1 where a page isn't what the program says. Either way it prints what
has come, gone or changed in the public API, and which version that asks for.
"""

import argparse
import sys

from reference_pages import ROOT, api, commands, components, hooks, ops

FOLDER = ROOT / "docs" / "reference"
PAGES = {"commands.md": commands, "components.md": components, "ops.md": ops, "hooks.md": hooks, "api.md": api}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the program itself.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    check = parser.parse_args().check
    stale = []
    for name, module in PAGES.items():
        page, path = module.page(), FOLDER / name
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if before == page:
            continue
        stale.append(name)
        if module is api:
            print("\n".join(api.changes(before, page)))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8", newline="\n")
    print(f"{'out of date' if check else 'written'}: {', '.join(stale) or 'nothing'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
