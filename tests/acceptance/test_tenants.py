"""`auscult tenants`, and what a running server makes of it."""

from pathlib import Path

from tests.acceptance.test_operations import auscult


def test_an_operator_sets_reads_and_resets_what_holds_for_a_tenant(tmp_path: Path) -> None:
    there = ("--data-dir", str(tmp_path))
    assert auscult("keys", "create", "--tenant", "practice [b]", *there).returncode == 0
    assert auscult("tenants", "show", "practice [b]", *there).stdout == "# 0.0 minutes of audio this month\n"
    assert auscult("tenants", "set", "practice [b]", "streams=20", "result_hours=0.5", *there).returncode == 0
    assert auscult("tenants", "set", "practice [b]", "result_hours=", *there).returncode == 0
    assert auscult("tenants", "show", "practice [b]", *there).stdout.splitlines()[0] == "streams=20"
    listed = auscult("tenants", "list", *there).stdout
    assert "practice [b]" in listed
    assert "streams=20" in listed
    for arguments, says in (
        (("set", "practice [b]", "stream=1"), "did you mean streams?"),
        (("set", "practice [b]", "streams=x"), "a whole number from 0 to 100000"),
        (("set", "nobody", "streams=1"), "auscult keys create --tenant NAME"),
        (("show", "nobody"), "auscult tenants list"),
    ):
        failed = auscult("tenants", *arguments, *there)
        assert failed.returncode == 1
        assert says in failed.stderr
        assert "Traceback" not in failed.stderr
