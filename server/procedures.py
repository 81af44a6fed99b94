"""The operator's file of CPT codes, which is licensed and comes with no program."""

from collections.abc import Mapping
from csv import Error as CsvError
from pathlib import Path

from pipeline.notes.beside.coding import NO_PROCEDURES, read_procedures
from server.settings import SettingsError

SETTING = "notes.cpt_file"


def load_procedures(path: str) -> Mapping[str, str]:
    """CPT codes with their descriptions; none where the setting is empty. Raises `SettingsError`."""
    if not path:
        return NO_PROCEDURES
    try:
        return read_procedures(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise SettingsError(SETTING, f"the file cannot be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(SETTING, "the file is no text in UTF-8") from exc
    except (ValueError, CsvError) as exc:
        raise SettingsError(SETTING, str(exc)) from exc
