"""The body of a Haidy chunk request, as its page has it."""

import base64
from typing import Any


def chunk(audio: bytes, task: str, *, final: bool = False, index: int | None = None) -> dict[str, Any]:
    """16-bit PCM at 16 kHz for a task, or for a new one (`NEW`). `index`: its number, which makes a retry safe."""
    body: dict[str, Any] = {
        "audio_base64": base64.b64encode(audio).decode(),
        "sample_rate": 16_000,
        "file_format": "pcm",
        "task_id": task,
        "final": final,
        "parameters": {"template": "SOAP", "language": "en", "glossary": []},
    }
    return body if index is None else body | {"chunk_index": index}
