"""`microgpt check`: whether a pipeline would begin, with everything that is wrong at once."""

import json
import sys
from typing import Any

import click

from microgpt_core.cli.options import code_option, json_option, plugin_option, set_option
from microgpt_core.errors import ConfigurationError, DataError, DoesNotFitError
from microgpt_core.pipeline.check import about, check
from microgpt_core.pipeline.reading.problems import PipelineError
from microgpt_core.plugins.selection import Plugins

EXAMPLES = """\b
Examples:
  microgpt check ./mine.yaml
  microgpt check ./mine.yaml --json           for an editor: file, line, column and message of each problem
"""


@click.command("check", epilog=EXAMPLES)
@click.argument("pipeline")
@set_option
@plugin_option
@code_option
@json_option
def command(pipeline: str, overrides: tuple[str, ...], plugins: Plugins, as_json: bool) -> None:
    """Say what is wrong with PIPELINE, all of it at once, as `run` would. Its text is read too; nothing is written.

    Exits with 0 where nothing is, after a line that says what it is; with 2 otherwise, or 4 for a size that no machine
    has room for.
    """
    if not as_json:
        click.echo(about(check(pipeline, overrides, plugins=plugins)))
        return
    code = 0
    try:
        said, wrong = about(check(pipeline, overrides, plugins=plugins)), list[dict[str, Any]]()
    except PipelineError as error:
        said, wrong, code = "", [problem.to_dict() for problem in error.problems], error.exit_code
    except (ConfigurationError, DataError, DoesNotFitError) as error:
        said, wrong, code = "", [{"message": str(error)}], error.exit_code
    click.echo(json.dumps({"ok": not wrong, "about": said, "problems": wrong}, indent=2))
    sys.exit(code)
