"""Threads never meet a Struct of which msgspec knows only a half: see server/structs.py."""

import subprocess
import sys

OF_COMMANDS = ["server.store.rewrapping.Rewrapped", "server.transcribe.Output"]  # which a server does not import
FIRST_DECODE = """
import sys, threading
import msgspec
from server.structs import complete_structs

FIELDS = "    number: 'int | None' = None\\n    words: 'list[str]' = []\\n"
kinds = {"__name__": __name__, "msgspec": msgspec}
for depth in range(30):
    below = f"    below: 'Level{depth - 1} | None' = None\\n" if depth else ""
    exec(f"class Level{depth}(msgspec.Struct):\\n{FIELDS}{below}", kinds)
globals().update(kinds)
if sys.argv[1] == "completed":
    complete_structs()
sys.setswitchinterval(1e-6)
THREADS = 4
together = threading.Barrier(THREADS)

def decode():
    together.wait()
    msgspec.json.decode(b'{"number": 1, "words": ["x"], "below": {"below": {"number": 3}}}', type=Level29)

threads = [threading.Thread(target=decode) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
AS_SERVED = """
import importlib, pkgutil, sys
import msgspec
import pipeline, server
from pipeline.errors import AuscultError
from server.running import run
from server.settings import load_settings

try:
    run(load_settings(environment={}, flags={"notes.template": "NONE"}))
except AuscultError:  # it found no template there: nothing was served, and no thread begun
    pass

looked_into = set()

def note(frame, event, _):
    if event == "call" and frame.f_code.co_name == "get_class_annotations":
        looked_into.add(frame.f_locals["obj"])

for package in (server, pipeline):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
sys.setprofile(note)
for name, module in list(sys.modules.items()):
    for kind in vars(module).values() if name.startswith(("server.", "pipeline.")) else ():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct:
            try:
                msgspec.json.Decoder(kind)
            except TypeError:
                looked_into.discard(kind)
sys.setprofile(None)
print(*sorted(f"{kind.__module__}.{kind.__name__}" for kind in looked_into))
"""


def test_a_type_that_threads_decode_first_ends_the_process_unless_it_was_completed() -> None:
    """Where the first assertion fails, msgspec needs this no more, and server/structs.py can go."""
    assert any(run(FIRST_DECODE, "as it is").returncode for _ in range(20))
    assert not any(run(FIRST_DECODE, "completed").returncode for _ in range(20))


def test_a_server_completes_all_that_it_decodes_before_it_serves() -> None:
    ended = run(AS_SERVED)
    assert (ended.returncode, ended.stdout.split()) == (0, OF_COMMANDS), ended.stderr


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
