"""Which words reach the recogniser: a patient's name, a tenant's own terms, the operator's; in this order."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest

from bench.recordings import Recording
from bench.server import RunningServer, running_server
from pipeline.errors import RecognitionFailed
from pipeline.glossary import read_glossaries
from pipeline.types import Hypothesis, RecognitionRequest
from server.settings import config_directory
from tests.acceptance.conftest import client, make_key
from tests.acceptance.haidy import chunk, post, wait
from tests.acceptance.test_haidy import wav
from tests.acceptance.test_haidy_files import done, upload
from tests.acceptance.test_haidy_patients import ANNA, PATH
from tests.fakes import EchoRecogniser
from tests.preforked import auscult
from tests.server.internal.test_remote import TOKEN, worker

CARDIOLOGY = read_glossaries(config_directory() / "glossaries")["cardiology"]


class Told(EchoRecogniser):
    """Remembers which words it was told to expect."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: set[tuple[str, ...]] = set()

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
        self.expected |= {request.glossary for request in batch}
        return await super().recognise(batch)


def glossaries(server: RunningServer, *arguments: str) -> str:
    """An operator's command beside the running server; what it printed."""
    made = auscult("glossaries", *arguments, "--data-dir", str(server.data_dir), environment=server.environment)
    assert made.returncode == 0, made.stderr
    return made.stdout


def heard(server: RunningServer, key: str, recording: Recording, patient: bool = False) -> None:
    """A file and a live session that name two glossaries, and a patient."""
    with client(server.base_url, key) as api:
        names, short = ["cardiology", "own-words"], wav(recording, 3)
        context = {"patient_context_id": api.post(PATH, json=ANNA).json()["id"]} if patient else {}
        done(api, upload(api, short, language="en", glossary=names, **context))
        parameters = {"language": "en", "glossary": names, **context}
        wait(api, post(api, chunk(short, final=True, parameters=parameters)).json()["task_id"])


async def test_a_patients_name_comes_first_then_the_tenants_own_words_then_the_operators(
    headache: Recording, tmp_path: Path
) -> None:
    engine, words = Told(), tmp_path / "words.txt"
    words.write_text("# of this house\nDr. Huber | hoober\nSTEMI\n", encoding="utf-8")
    own = ("Dr. Huber", "STEMI")
    async with worker(engine) as there:
        there_too = {"AUSCULT_RECOGNISER_WORKERS_AT": there.url, "AUSCULT_INTERNAL_TOKEN": TOKEN}
        async with running_server(environment=there_too, data_dir=tmp_path / "data") as server:
            run = anyio.to_thread.run_sync
            other = await run(make_key, server, "another clinic")
            await run(glossaries, server, "set", "default", "own-words", str(words))
            for key, patient, expected in (
                (server.key, False, (*own, *(term for term in CARDIOLOGY if term not in own))),
                (server.key, True, ("Anna Muster", *own, *(term for term in CARDIOLOGY if term not in own))),
                (other, False, CARDIOLOGY),
            ):
                engine.expected.clear()
                await run(partial(heard, server, key, headache, patient))
                assert engine.expected == {expected}
            assert "Huber" not in server.log()
            assert "Muster" not in server.log()


def test_an_operator_sets_lists_shows_and_removes_glossaries(scripted_server: RunningServer, tmp_path: Path) -> None:
    words, run = tmp_path / "words.txt", partial(glossaries, scripted_server)
    make_key(scripted_server, "house")
    words.write_text("Dr. Huber | hoober\nTAVI\n", encoding="utf-8")
    assert run("set", "house", "cardiology", str(words)) == ""
    assert run("show", "house", "cardiology") == "Dr. Huber | hoober\nTAVI\n"
    listed = [line.split() for line in run("list", "house").splitlines()]
    assert listed[1][:3] == ["cardiology", "house", "2"]
    assert listed[2][:2] == ["medical-terms", "all"]
    assert len(listed) == 3
    run("remove", "house", "cardiology")
    assert len(run("list", "house").splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "default", "nothing"), "no glossary 'nothing' of its own"),
        (("remove", "default", "nothing"), "no glossary 'nothing' of its own"),
        (("set", "nobody", "words", "FILE"), "keys create"),
        (("list", "nobody"), "keys create"),
        (("set", "default", "../words", "FILE"), "name has 1 to 64"),
        (("set", "default", "words", "EMPTY"), "no term"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    scripted_server: RunningServer, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "FILE").write_text("term\n", encoding="utf-8")
    (tmp_path / "EMPTY").write_text("# nothing\n", encoding="utf-8")
    given = [str(tmp_path / each) if each.isupper() else each for each in arguments]
    refused = auscult("glossaries", *given, "--data-dir", str(scripted_server.data_dir))
    assert refused.returncode == 1
    assert says in refused.stderr
