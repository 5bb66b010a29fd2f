"""A command: `microgpt count "some words"`. It is no hook, so no decorator of ours is needed."""

import click


@click.command("count")
@click.argument("text")
def command(text):
    """Count the words of TEXT."""
    click.echo(len(text.split()))
