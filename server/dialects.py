"""Who speaks to others' servers: the dialects of all façades."""

from server.deliveries.dialect import Dialect
from server.facades.auscult.callbacks import AuscultDialect
from server.facades.nabla.callbacks import NablaDialect
from server.facades.soapnoteapi.callbacks import SoapNoteDialect

DIALECTS: tuple[Dialect, ...] = (AuscultDialect(), NablaDialect(), SoapNoteDialect())
