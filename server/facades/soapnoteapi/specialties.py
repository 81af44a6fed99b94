"""Which specialties there are, and how notes are written in each: `config/specialties.toml`. Pure, but for the file."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.errors import InvalidTemplate
from pipeline.notes.templates import Template

STANDARD = "standard"  # the sub-template that every specialty has


class SubTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way to write notes within a specialty."""

    name: str
    template: str  # a file in config/templates/


class Specialty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How notes of a specialty are written."""

    name: str
    template: str = "SOAP"  # where no sub-template is asked for
    aliases: tuple[str, ...] = ()  # other ids for it
    templates: dict[str, SubTemplate] = {}  # by id


class Specialties:
    """All of them, in the file's order."""

    def __init__(self, named: Mapping[str, Specialty], templates: Mapping[str, Template]) -> None:
        """Raises `InvalidTemplate` where a template is named that there is not."""
        self.named = named
        self.templates = frozenset(templates)
        self._by_name = dict(named)
        for specialty in named.values():
            self._by_name.update(dict.fromkeys(specialty.aliases, specialty))
            for template in (specialty.template, *(sub.template for sub in specialty.templates.values())):
                if template not in templates:
                    raise InvalidTemplate(f"specialties.toml: there is no template {template} in templates/.")

    def find(self, name: str) -> Specialty | None:
        """By id or alias, in capitals or not."""
        return self._by_name.get(name.strip().lower().replace(" ", "_"))

    def template(self, specialty: Specialty, wanted: str) -> str | None:
        """The template for a sub-template's id, or for one of our own templates' names; None where there is neither."""
        if wanted in ("", STANDARD):
            return specialty.template
        sub = specialty.templates.get(wanted)
        if sub is not None:
            return sub.template
        return wanted if wanted in self.templates else None


def read_specialties(file: Path, templates: Mapping[str, Template]) -> Specialties:
    """Raises `InvalidTemplate`, which names the file and what is wrong."""
    try:
        named = msgspec.toml.decode(file.read_bytes(), type=dict[str, Specialty])
    except (OSError, msgspec.DecodeError) as exc:
        raise InvalidTemplate(f"{file.name}: {exc}") from exc
    return Specialties(named, templates)
