"""Runs WhisperLive's server with the settings in its one argument: a JSON object of `TranscriptionServer.run`'s own.

Started with the interpreter of the peer's environment; the wheel has no script of its own.
"""

import json
import sys

from whisper_live.server import TranscriptionServer  # type: ignore[import-not-found]

if __name__ == "__main__":
    TranscriptionServer().run(**json.loads(sys.argv[1]))
