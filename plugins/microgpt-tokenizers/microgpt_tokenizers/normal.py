"""The Unicode form that texts are brought to before anything else, so that é is é however it was typed."""

import unicodedata

from microgpt_core.errors import ConfigurationError
from microgpt_core.text.char import FORMS, Form


def check_form(form: object) -> None:
    """Raise ConfigurationError unless it names a Unicode form, or none."""
    if form is not None and form not in FORMS:
        raise ConfigurationError(f"normalize: found {form!r}, allowed: null, {', '.join(FORMS)}")


def normalized(text: str, form: Form | None) -> str:
    return unicodedata.normalize(form, text) if form else text
