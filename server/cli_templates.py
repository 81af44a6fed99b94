"""`auscult templates`: how notes are laid out, and whether a file of one's own can be used."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipeline.notes.note import Topic
from pipeline.notes.templates import Template, read_template
from server.commands import ConfigFile, out, read_settings
from server.templates import note_templates, own_templates, shipped_templates

templates = typer.Typer(no_args_is_help=True, help="Note templates: those that come with the program, and your own.")


@templates.command("list")
def list_templates(config: ConfigFile = None) -> None:
    """All templates that clients may name. Fails, and says why, where a file is wrong."""
    settings = read_settings(config, {}).notes
    known, own, shipped = note_templates(settings), own_templates(settings), shipped_templates()
    table = Table("name", "title", "languages", "sections", "of", box=None, pad_edge=False)
    for name, template in sorted(known.items()):
        of = "" if name not in own else "own, in place of the shipped one" if name in shipped else "own"
        title, languages = _title(template, template.title), ", ".join(template.languages)
        table.add_row(name, title, languages, str(len(template.sections)), of)
    out.print(table)


@templates.command("check")
def check_template(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A template: a TOML file that is named after it.")],
) -> None:
    """Print a template's sections in their order, or what is wrong with the file and what would be right."""
    template = read_template(file)
    table = Table("section", "title", "style", "topics", box=None, pad_edge=False)
    for section in template.sections:
        topics = ", ".join(section.topics) or "none: only a model fills it"
        table.add_row(section.key, _title(template, section.title), section.style, topics)
    out.print(table)
    placed = {topic for section in template.sections for topic in section.topics}
    if homeless := [topic for topic in Topic if topic not in placed]:
        out.print(f"In no section, and so left out by the embedded writer: {', '.join(homeless)}.")


def _title(template: Template, titles: dict[str, str]) -> str:
    return template.in_language(titles, template.languages[0])
