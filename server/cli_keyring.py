"""`auscult keyring`: the keys that seal data keys, replaced while servers run."""

import time
from typing import Annotated

import typer
from sqlalchemy import Engine

from server.commands import ConfigFile, DataDir, out, prepared, read_settings
from server.errors import ServerError
from server.store.key_sources import KeyFile, new_key
from server.store.rewrapping import Rewrapped, rewrap
from server.store.seal import KeyRing
from server.storing import open_keyring

keyring = typer.Typer(no_args_is_help=True, help="The key-encryption keys, which seal what patients said.")

IN_FLIGHT_S = 60.0  # twice as long as a server waits for a database that is locked

Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for what servers were about to write at that moment.")
]


@keyring.command("rotate")
def rotate(data_dir: DataDir = None, config: ConfigFile = None, wait: Wait = IN_FLIGHT_S) -> None:
    """Replace the key in the key file: a new one goes before it, all is sealed anew, the old one goes.

    Where it is interrupted, both are in the file and all can be read: run it again.
    """
    settings = read_settings(config, {"server.data_dir": data_dir})
    if settings.store.key or settings.store.key_command:
        raise ServerError(
            "The keys come from a setting or a command: put the new one before the others there, restart the servers,"
            " run `auscult keyring rewrap`, and then take the old one away."
        )
    engine = prepared(settings)
    try:
        _tell(rotated(engine, KeyFile(settings.key_path), wait))
    finally:
        engine.dispose()


def rotated(engine: Engine, file: KeyFile, wait: float) -> Rewrapped:
    """One rotation. Blocks. Raises `KeyUnavailable`."""
    with file.exclusive():
        file.write(keys := [new_key(), *file.read()])
        ring = KeyRing(*keys)
        done = rewrap(engine, ring)
        time.sleep(wait)  # a server looks at the file before it wraps: only what it had wrapped before is missing
        late = rewrap(engine, ring)
        file.write(keys[:1])
    return Rewrapped(anew=done.anew + late.anew, broken=late.broken)


@keyring.command("rewrap")
def rewrap_all(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Seal all anew under the first of the keys, so that the others can be taken away."""
    settings = read_settings(config, {"server.data_dir": data_dir})
    engine = prepared(settings)
    try:
        _tell(rewrap(engine, open_keyring(settings)))
    finally:
        engine.dispose()


def _tell(done: Rewrapped) -> None:
    out.print(f"{done.anew} keys and secrets are sealed under the newest key.")
    if done.broken:
        raise ServerError(f"{done.broken} open under none of the keys, now as before: another one sealed them.")
