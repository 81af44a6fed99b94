"""Where a server's data lie, and which keys seal them, as the settings say."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.errors import Conflict, ServerError
from server.settings import Settings
from server.store.blobs import Blobs, DirectoryBlobs
from server.store.key_sources import KeyFile, parse_keys, run_command
from server.store.seal import KeyRing


def open_blobs(settings: Settings) -> Blobs:
    """The store of recordings that the settings name. Raises `ServerError` that says what is missing."""
    wanted = settings.blobs
    if wanted.kind == "directory":
        return DirectoryBlobs(Path(wanted.directory) if wanted.directory else settings.data_path / "blobs")
    try:
        from server.store.s3_blobs import S3Blobs, connect
    except ModuleNotFoundError as exc:
        raise ServerError(
            'blobs.kind is "s3", whose client is not installed. To mend it: pip install "auscult[s3]"'
        ) from exc
    client = connect(
        endpoint=wanted.s3_endpoint,
        region=wanted.s3_region,
        access_key=wanted.s3_access_key,
        secret_key=wanted.s3_secret_key,
    )
    return S3Blobs(client, wanted.s3_bucket, wanted.s3_prefix)


def open_keyring(settings: Settings) -> KeyRing:
    """The key-encryption keys that the settings name; a key file is made on first use. Raises `ServerError`."""
    store = settings.store
    if store.key:
        return KeyRing(*parse_keys(store.key, "store.key"))
    if store.key_command:
        return KeyRing(*run_command(store.key_command))
    file = KeyFile(settings.key_path)
    return KeyRing(*file.read_or_make(), newer=file.newer())


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Be the only server of a data directory. Raises `Conflict`. The lock goes with the process, however it ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / "lock").open("a+")
    except OSError as exc:
        raise ServerError(
            f"The data directory {data_dir} cannot be used ({exc.strerror}): choose another with --data-dir."
        ) from exc
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Conflict(
                f"Another server is already using the data directory {data_dir}: stop it, or choose another --data-dir."
            ) from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
