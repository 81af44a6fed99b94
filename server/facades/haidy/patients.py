"""`/v2/patient-contexts/`: patients whom later requests name by `patient_context_id`."""

from starlette.requests import Request
from starlette.responses import Response

from server.endpoints import Content, Endpoint
from server.facades.haidy import convert, schema
from server.facades.haidy.answers import vendor_api
from server.http import answer
from server.patients import Patients
from server.reception import Reception

BODY_BYTES = 16 * 1024


class PatientRoutes:
    """See the module."""

    def __init__(self, patients: Patients, reception: Reception) -> None:
        self._patients = patients
        self._reception = reception

    def endpoints(self) -> list[Endpoint]:
        """The vendor's endpoint; reading and erasing are ours."""
        api = vendor_api(self._reception)
        one = "/v2/patient-contexts/{patient_context_id}"
        shown = Content(schema.PatientContext)
        return [
            Endpoint(
                facade=api,
                method="POST",
                path="/v2/patient-contexts/",
                handler=self.put,
                takes=[Content(schema.PatientRequest)],
                gives={200: shown},
                refuses=(400, 413),
            ),
            Endpoint(facade=api, method="GET", path=one, handler=self.show, gives={200: shown}, refuses=(404,)),
            Endpoint(facade=api, method="DELETE", path=one, handler=self.erase, gives={204: None}, refuses=(404,)),
        ]

    async def put(self, request: Request) -> Response:
        """Store what is known of a patient; the same `external_id` and `patient_group` keep their id."""
        caller = await self._reception.caller(request)
        wanted = convert.patient_context(await self._reception.read(request, schema.PatientRequest, BODY_BYTES))
        return answer(convert.shown_context(await self._patients.put(caller, wanted)))

    async def show(self, request: Request) -> Response:
        """What is known of a patient."""
        caller = await self._reception.caller(request)
        return answer(
            convert.shown_context(await self._patients.get(caller, request.path_params["patient_context_id"]))
        )

    async def erase(self, request: Request) -> Response:
        """Forget a patient; what consultations were told before stays with them."""
        caller = await self._reception.caller(request)
        await self._patients.delete(caller, request.path_params["patient_context_id"])
        return Response(status_code=204)
