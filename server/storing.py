"""Where recordings lie, and which keys seal them, as the settings say."""

from pathlib import Path

from server.errors import ServerError
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
