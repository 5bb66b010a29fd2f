"""The commands that packs bring: found by their entry points, and imported when one is called.

One called `prepare` is a command of its own, one called `data.prepare` belongs to the core's group `data`.
"""

from collections.abc import Collection, Container, Mapping

import click

from microgpt_core.errors import nearest
from microgpt_core.plugins.discovery import COMMAND_GROUP, Point, entry_points
from microgpt_core.plugins.pack import Pack, PluginError, cause
from microgpt_core.plugins.selection import command_refusal


class Extended(click.Group):
    """A group of the core's that packs add commands to. Their names can't be the core's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *(name for name, _ in origins(pack_commands(str(self.name)), self.commands))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        require_known(ctx, cmd_name, self.list_commands(ctx), f"{self.name}.")
        return load_command(pack_commands(str(self.name))[cmd_name])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, command.get_short_help_str(100)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *origins(pack_commands(str(self.name)), self.commands)])


def require_known(ctx: click.Context, name: str, known: Collection[str], group: str = "") -> None:
    """Refuse a name that no command has, with the nearest one and the pack that would bring it."""
    if name not in known:
        from microgpt_core.plugins.hints import hint

        said = f"there is no command {group.replace('.', ' ')}{name!r}{nearest(name, known)}"
        ctx.fail(". ".join(filter(None, [said, hint("commands", f"{group}{name}", ())])))


def origins(found: Mapping[str, list[Point]], taken: Container[str]) -> list[tuple[str, str]]:
    """Each command of a pack, and which pack that is."""
    return [(name, f"from {found[name][0].distribution}") for name in sorted(found) if name not in taken]


def pack_commands(group: str = "") -> dict[str, list[Point]]:
    """The entry points of packs' commands, by name; of those in a group of the core's, `data.prepare`, by `prepare`."""
    found: dict[str, list[Point]] = {}
    for point in entry_points(COMMAND_GROUP):
        within, _, name = point.name.rpartition(".")
        if within == group:
            found.setdefault(name, []).append(point)
    return found


def load_command(points: list[Point]) -> click.Command:
    """The command behind an entry point. Raises PluginError where two have the name, or it can't be imported."""
    point = points[0]
    what, fix = f"the command {point.name!r} of {point.distribution} {point.version}", Pack("", point.distribution).fix
    if len(points) > 1:
        origins = ", ".join(f"{p.distribution} {p.version}" for p in points)
        remove = f"microgpt plugins uninstall {points[-1].distribution}"
        raise PluginError(f"the command {point.name!r} comes from several packs: {origins}; remove one, say: {remove}")
    if refusal := command_refusal(point):
        raise PluginError(f"{what}: {refusal}")
    try:
        command = point.entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module raises
        raise PluginError(f"{what}: {cause(error)}; {fix}") from error
    if not isinstance(command, click.Command):
        raise PluginError(f"{what}: {point.value} is no click command; {fix}")
    return command
