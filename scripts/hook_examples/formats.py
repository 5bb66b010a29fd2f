"""A name for a format. It has no methods yet, for nothing calls them."""

from microgpt_core.hookspecs import hookimpl


class Lines:
    """The weights as text, a line for each parameter."""


@hookimpl
def microgpt_formats():
    return {"lines": Lines}
