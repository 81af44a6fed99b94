"""`GET /api/capabilities`: what this server can do for whoever asks."""

from starlette.requests import Request
from starlette.responses import Response

from pipeline.notes.templates import Template
from server.capabilities import Capabilities, Ceilings, Offer
from server.endpoints import Content, Endpoint, Parameter
from server.facades.auscult import schema
from server.facades.auscult.answers import own_api
from server.facades.auscult.convert import check_language
from server.http import answer
from server.reception import Reception
from server.retention import Retention

LANGUAGE = Parameter("language", "query", "In which templates tell their titles, where they have it, such as de-CH.")


class CapabilityRoutes:
    """See the module."""

    def __init__(self, capabilities: Capabilities, reception: Reception, *, version: str) -> None:
        self._capabilities = capabilities
        self._reception = reception
        self._version = version

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                facade=own_api(self._reception),
                method="GET",
                path="/api/capabilities",
                handler=self.tell,
                gives={200: Content(schema.Capabilities)},
                refuses=(400,),
                parameters=[LANGUAGE],
            )
        ]

    async def tell(self, request: Request) -> Response:
        """What this server can do: recogniser, note writer, templates, limits, and how long what is kept."""
        caller = await self._reception.caller(request)
        language = request.query_params.get("language", "")
        if language:
            check_language(language)
        return answer(capabilities(await self._capabilities.offered(caller), language, self._version))


def capabilities(offer: Offer, language: str, version: str) -> schema.Capabilities:
    """What is offered, with titles in this language; empty: in each template's first."""
    return schema.Capabilities(
        version=version,
        recogniser=schema.Recogniser(kind=offer.recogniser, model=offer.model, languages=list(offer.languages)),
        writer=offer.writer,
        note_languages=list(offer.note_languages),
        templates=[_template(each, language) for each in offer.templates],
        default_template=offer.template,
        default_style=offer.style,
        retention=_hours(offer.retention),
        limits=_limits(offer.ceilings),
    )


def _template(template: Template, language: str) -> schema.NoteTemplate:
    title = template.in_language(template.title, language or template.languages[0])
    return schema.NoteTemplate(name=template.name, title=title, languages=list(template.languages))


def _hours(retention: Retention) -> schema.KeptHours:
    return schema.KeptHours(
        upload_audio_hours=retention.upload_audio,
        live_audio_hours=retention.live_audio,
        result_hours=retention.results,
    )


def _limits(ceilings: Ceilings) -> schema.Limits:
    return schema.Limits(
        max_recording_bytes=ceilings.max_recording_bytes,
        max_recording_minutes=ceilings.max_recording_minutes,
        max_recording_files=ceilings.max_recording_files,
        max_session_minutes=ceilings.max_session_minutes,
        max_streams_per_session=ceilings.max_streams_per_session,
        max_chunk_bytes=ceilings.max_chunk_bytes,
        stream_silence_timeout_s=ceilings.stream_silence_timeout_s,
        reconnect_timeout_s=ceilings.reconnect_timeout_s,
        max_token_s=ceilings.max_token_s,
    )
