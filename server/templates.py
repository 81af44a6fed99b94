"""Which note templates there are: those that come with the program, and the operator's own."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipeline.errors import InvalidTemplate, UnknownTemplate
from pipeline.notes.templates import Template, read_templates
from server.settings import NoteSettings, config_directory


def note_templates(settings: NoteSettings) -> Mapping[str, Template]:
    """All of them, by name: the operator's own take the place of others of their name.

    Raises: `InvalidTemplate`, which names the file, the place and what would be right; `UnknownTemplate` where the
    default template is none of them.
    """
    templates = {**shipped_templates(), **own_templates(settings)}
    if settings.template not in templates:
        raise UnknownTemplate(
            f'notes.template is "{settings.template}", which is no note template. Known ones: '
            f"{', '.join(sorted(templates))}."
        )
    return templates


@cache  # a start asks for them twice
def shipped_templates() -> Mapping[str, Template]:
    """Those that come with the program. Raises `InvalidTemplate`."""
    return read_templates(config_directory() / "templates")


def own_templates(settings: NoteSettings) -> Mapping[str, Template]:
    """The operator's own; none where no directory is set. Raises `InvalidTemplate`."""
    if not settings.templates_dir:
        return {}
    directory = Path(settings.templates_dir)
    if not directory.is_dir():
        raise InvalidTemplate(f"notes.templates_dir: there is no directory {directory}. Make it, or name another.")
    return read_templates(directory)
