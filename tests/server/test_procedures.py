"""The operator's file of CPT codes."""

from pathlib import Path

import pytest

from server.procedures import load_procedures
from server.settings import SettingsError


def test_without_a_file_no_procedure_is_known() -> None:
    assert load_procedures("") == {}


def test_a_spreadsheet_s_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cpt.csv"
    file.write_bytes(b"\xef\xbb\xbfCode,Description\r\n99213,A visit\r\n")  # with the mark that spreadsheets write
    assert load_procedures(str(file)) == {"99213": "A visit"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        (b"99213,\xe9", "no text in UTF-8"),
        (b"99213,A visit\nA secret line\n", "line 2"),
        (b'99213,"' + b"a" * 200_000 + b'"', "field"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_its_content(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    file = tmp_path / "cpt.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=problem) as raised:
        load_procedures(str(file))
    assert "notes.cpt_file" in str(raised.value)
    assert "secret" not in str(raised.value)
