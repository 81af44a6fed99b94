"""The `Recogniser` that has others recognise: worker processes, reached over HTTP.

Each request is a call of its own, so that workers put together what is alike, whichever process asks. A call that fails
goes to another worker at once. While none is there, what may become final waits, and a partial fails: a newer one
comes.
"""

import math
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import httpx
import msgspec
import structlog

from pipeline.errors import RecogniserUnavailable, RecognitionFailed
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from server.internal.choosing import Worker, Workers
from server.internal.wire import DESCRIBE, RECOGNISE, Description, Superseded, read_answers, write_call

log = structlog.get_logger()

CONNECT_S = 2.0
SILENCE_S = 10.0  # a worker says each second that it lives
LOOK_AGAIN_S = 1.0  # while no worker has answered yet
RESOLVE_S = 30.0  # addresses of names are looked up again
FILE_TIMES = 10.0  # so much longer a file waits than somebody who listens
BROKEN_CALLS = 3  # so many workers may end over one request: it may be the reason
MARGIN_S = 30.0  # that a caller waits beyond the last deadline

Answer = Hypothesis | RecognitionFailed


class WorkerFailed(Exception):
    """A call came to nothing. `accepted`: the worker had begun with it."""

    def __init__(self, reason: str, *, accepted: bool = False, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.accepted = accepted
        self.hopeless = hopeless  # the request itself is refused, or so are we: another try changes nothing


class WorkerBusy(Exception):
    """The worker takes nothing now."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


def hang_s(deadline_s: float) -> float:
    """Seconds that a call of `RemoteRecogniser` takes at most, where others than it hang."""
    return FILE_TIMES * deadline_s + MARGIN_S


class RemoteRecogniser:
    """See the module. What it can do is known once it is started: what its workers can do, taken together."""

    name = "remote"
    max_batch = 1
    temperatures: tuple[float, ...] = (0.0,)  # workers make the later tries

    def __init__(
        self, urls: Sequence[str], *, headers: Mapping[str, str], tls: ssl.SSLContext | bool, deadline_s: float
    ) -> None:
        """`headers` show who calls; `deadline_s`: how long a request of somebody who listens may take."""
        self.model = f"{len(urls)} workers"
        self.languages: frozenset[str] = frozenset()
        self.capacity = 1
        self.window = 0
        self.continues = False
        self.speculates = False
        self.retried = 0  # calls made again, on another worker or later
        self._urls = tuple(urls)
        self._headers = dict(headers)
        self._deadline_s = deadline_s
        self._caller = uuid4().hex
        self._workers = Workers()
        self._changed = anyio.Event()
        self._resolved = -math.inf
        self._http = httpx.AsyncClient(
            verify=tls,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
            timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=30.0),
        )

    @property
    def workers_up(self) -> int:
        """Workers that did not fail when they were asked last."""
        return sum(not worker.failures for worker in self._workers)

    async def start(self) -> None:
        """Wait until a worker says what it is. Raises `RecogniserUnavailable` where all that answer refuse us."""
        told = False
        while not (found := await self.look()):
            if not told:
                log.warning("recogniser.waiting_for_workers", count=len(self._urls))
                told = True
            await anyio.sleep(LOOK_AGAIN_S)  # other machines: there is no event to wait for
        self._meet(found)

    async def look(self) -> dict[Worker, Description]:
        """What each worker that answers is. Raises `RecogniserUnavailable` where all that answer refuse us."""
        await self._resolve()
        found: dict[Worker, Description] = {}
        refusals: list[WorkerFailed] = []

        async def ask(worker: Worker) -> None:
            try:
                found[worker] = await self._described(worker)
            except WorkerFailed as exc:
                if exc.hopeless:
                    refusals.append(exc)
            except WorkerBusy:
                return

        async with anyio.create_task_group() as tasks:
            for worker in self._workers:
                tasks.start_soon(ask, worker)
        if refusals and not found:
            raise RecogniserUnavailable(f"No recogniser worker can be used: {refusals[0].reason}")
        return found

    async def examine(self) -> list[tuple[str, bool, str]]:
        """Of each worker, for people: where it is, whether it can be used, and what it is or why not."""
        await self._resolve()
        reports: list[tuple[str, bool, str]] = []
        known = {worker.host for worker in self._workers}
        for worker in self._workers:
            try:
                found = await self._described(worker)
            except WorkerFailed as exc:
                reports.append((worker.host, False, exc.reason if exc.hopeless else f"no answer ({exc.reason})"))
            except WorkerBusy:
                reports.append((worker.host, False, "it is loading its model"))
            else:
                reports.append((worker.host, True, f"{found.name}, {found.model}, {found.waiting} requests in work"))
        unknown = [urlsplit(url).netloc for url in self._urls if urlsplit(url).netloc not in known]
        return reports + [(host, False, "its name has no address") for host in unknown]

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> Sequence[Answer]:
        """One answer for each request, in order."""
        answers: dict[int, Answer] = {}

        async def one(index: int, request: RecognitionRequest) -> None:
            answers[index] = await self._answer(request)

        async with anyio.create_task_group() as tasks:
            for index, request in enumerate(batch):
                tasks.start_soon(one, index, request)
        return [answers[index] for index in range(len(batch))]

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    def _meet(self, found: Mapping[Worker, Description]) -> None:
        """Be what the workers are, taken together. One that is still away is taken for as large as the smallest."""
        each = list(found.values())
        for worker, description in found.items():
            worker.lanes = max(1, description.capacity * description.max_batch)
        hosts = {worker.host for worker in found}
        away = len(self._urls) - len(hosts)
        self.model = ", ".join(sorted({f"{d.name} {d.model}" for d in each})) + f", on {len(each)} workers"
        self.languages = frozenset.intersection(*(d.languages for d in each))
        self.capacity = sum(worker.lanes for worker in found) + max(0, away) * min(w.lanes for w in found)
        self.window = max(d.window for d in each)
        self.continues = all(d.continues for d in each)
        self.speculates = all(d.speculates for d in each)

    # One request

    async def _answer(self, request: RecognitionRequest) -> Answer:
        now = anyio.current_time()
        until = now + self._deadline_s * (1.0 if request.live else FILE_TIMES)
        broken = 0
        while (now := anyio.current_time()) < until and broken < BROKEN_CALLS:
            if now - self._resolved > RESOLVE_S:
                await self._resolve()
            worker = self._workers.choose(request.stream_id, now)
            if worker is None:
                if not request.purpose.whole:
                    break
                await self._wait(until)
                continue
            self._workers.begin(worker, request.stream_id)
            try:
                with anyio.fail_after(until - now):
                    answer = await self._asked(worker, request)
            except WorkerFailed as exc:
                if exc.hopeless and exc.accepted:
                    return RecognitionFailed()
                broken += exc.accepted
                if self._workers.failed(worker, now, anyio.current_time()):
                    log.warning("recogniser.worker_failed", worker=worker.host, reason=exc.reason)
                self.retried += 1
            except WorkerBusy as exc:
                self._workers.busy(worker, anyio.current_time() + exc.retry_after_s)
            except TimeoutError:
                break
            else:
                if worker.failures:
                    log.info("recogniser.worker_back", worker=worker.host)
                self._workers.answered(worker)
                if isinstance(answer, Superseded) and request.purpose.whole:  # it may have become a final meanwhile
                    request = replace(request, purpose=Purpose.FINAL)
                    continue
                return answer
            finally:
                self._workers.end(worker)
                self._changed.set()
        return RecognitionFailed("No recogniser worker could answer: see that they run, with `auscult doctor`.")

    async def _wait(self, until: float) -> None:
        """Until a worker has answered, or one that was left out may be tried again."""
        self._changed = changed = anyio.Event() if self._changed.is_set() else self._changed
        again = self._workers.next_at()
        now = anyio.current_time()
        with anyio.move_on_after(max(0.01, min(until, until if again is None else max(again, now)) - now)):
            await changed.wait()

    async def _asked(self, worker: Worker, request: RecognitionRequest) -> Answer:
        """Raises `WorkerFailed`, `WorkerBusy`."""
        accepted = False
        received = bytearray()
        content = write_call(self._caller, [request])
        try:
            async with self._http.stream(
                "POST",
                worker.url + RECOGNISE,
                content=content,
                headers=self._headers_for(worker),
                extensions=_sni(worker),
            ) as response:
                _check(response)
                accepted = True
                async for piece in response.aiter_raw():
                    received += piece
            (answer,) = read_answers(bytes(received))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, msgspec.DecodeError, ValueError) as exc:
            raise WorkerFailed(type(exc).__name__, accepted=accepted) from exc
        return answer

    async def _described(self, worker: Worker) -> Description:
        """Raises `WorkerFailed`, `WorkerBusy`."""
        try:
            response = await self._http.get(
                worker.url + DESCRIBE, headers=self._headers_for(worker), extensions=_sni(worker)
            )
            _check(response)
            return msgspec.json.decode(response.content, type=Description)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, msgspec.DecodeError) as exc:
            raise WorkerFailed(type(exc).__name__) from exc

    def _headers_for(self, worker: Worker) -> dict[str, str]:
        return {**self._headers, "Host": worker.host}

    async def _resolve(self) -> None:
        """Find out which addresses the names have now; one that cannot be looked up keeps those it had."""
        self._resolved = anyio.current_time()
        found: list[Worker] = []
        for url in self._urls:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
            try:
                with anyio.fail_after(CONNECT_S):
                    infos = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError, TimeoutError):
                found += [worker for worker in self._workers if worker.host == parts.netloc]
                continue
            for address in dict.fromkeys(str(info[4][0]) for info in infos):
                literal = f"[{address}]" if ":" in address else address
                found.append(
                    Worker(url=f"{parts.scheme}://{literal}:{port}{parts.path.rstrip('/')}", host=parts.netloc)
                )
        self._workers.update(found)
        self._changed.set()


def _sni(worker: Worker) -> dict[str, str]:
    """Whose certificate it must be: the name's, not the address's."""
    return {"sni_hostname": urlsplit(f"//{worker.host}").hostname or ""} if worker.url.startswith("https") else {}


def _check(response: httpx.Response) -> None:
    match response.status_code:
        case 200:
            return
        case 503:
            after = response.headers.get("Retry-After", "1")
            raise WorkerBusy(float(after) if after.isdigit() else 1.0)
        case 401 | 403:
            raise WorkerFailed("it refuses this process: internal.token must be the same for all", hopeless=True)
        case 400 | 413:
            raise WorkerFailed(
                "it does not understand this version: run the same everywhere", accepted=True, hopeless=True
            )
        case status:
            raise WorkerFailed(f"it answers {status}: is it a recogniser worker?", hopeless=status == 404)
