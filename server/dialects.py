"""Who speaks to others' servers: the dialects of all façades."""

from collections.abc import Mapping
from typing import Final

from pipeline.notes.beside.coding import NO_PROCEDURES
from server.deliveries.dialect import Dialect
from server.facades.auscult.callbacks import AuscultDialect
from server.facades.nabla.callbacks import NablaDialect
from server.facades.soapnoteapi.callbacks import SoapNoteDialect


def dialects(procedures: Mapping[str, str] = NO_PROCEDURES) -> tuple[Dialect, ...]:
    """All of them. `procedures`: the operator's CPT codes, with which billing codes are checked."""
    return (AuscultDialect(), NablaDialect(), SoapNoteDialect(procedures))


DIALECTS: Final = dialects()
