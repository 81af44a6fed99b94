"""Every metric, its help text and its buckets, in one place. Seconds and bytes; no label ever holds a person's data."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.batching import Batcher
from pipeline.schedule import Rank

BATCHES = (1, 2, 4, 8, 16, 32, 64)  # requests
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions_opened = Counter(
            "auscult_sessions_opened_total", "Encounters opened.", ["api"], registry=self.registry
        )
        self.sessions_completed = Counter(
            "auscult_sessions_completed_total",
            "Encounters completed, by outcome (done, or the failure's code).",
            ["outcome"],
            registry=self.registry,
        )
        self.takeovers = Counter(
            "auscult_takeovers_total", "Encounters rebuilt from the log after a restart.", registry=self.registry
        )
        self.executors_buried = Counter(
            "auscult_executors_buried_total",
            "Other processes found dead whose work was taken over.",
            registry=self.registry,
        )
        self.forwarded = Counter(
            "auscult_forwarded_total",
            "Requests sent on to the process that holds their encounter, by kind (http or websocket).",
            ["kind"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "auscult_delivery_attempts_total",
            "Attempts to deliver a webhook or callback, by how it stands then (delivered, pending or dead).",
            ["outcome"],
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "auscult_delivery_seconds", "Time that attempts took.", registry=self.registry, buckets=SECONDS
        )
        self.audio_bytes = Counter(
            "auscult_audio_bytes_total", "Audio bytes taken from clients.", registry=self.registry
        )
        self.append_seconds = Histogram(
            "auscult_append_seconds",
            "Time from a chunk's arrival to its acknowledgement, after the commit.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self.renamed = Counter(
            "auscult_renamed_items_total",
            "Finals whose speaker or role changed after they were told.",
            registry=self.registry,
        )
        self.bleed_dropped = Counter(
            "auscult_bleed_dropped_items_total",
            "Items left out: another stream's speaker, overheard.",
            registry=self.registry,
        )
        self.roles_doubted = Counter(
            "auscult_roles_doubted_total", "Streams whose words are unlike their declared role.", registry=self.registry
        )
        self.guarded = Counter(
            "auscult_guarded_segments_total",
            "Segments of which a guard took words away that nobody said, by guard.",
            ["guard"],
            registry=self.registry,
        )
        self.segments_lost = Counter(
            "auscult_segments_lost_total",
            "Segments that could not be recognised, not even on a second try; the log says why.",
            registry=self.registry,
        )
        self.rejected = Counter(
            "auscult_requests_rejected_total", "Requests refused, by error code.", ["code"], registry=self.registry
        )
        self.ignored_fields = Counter(
            "auscult_ignored_fields_total",
            "Fields of requests that no API of this server has, by API.",
            ["api"],
            registry=self.registry,
        )
        self.sessions_refused = Counter(
            "auscult_sessions_refused_total",
            "Sessions told to come back later, by reason (sessions, streams or late).",
            ["reason"],
            registry=self.registry,
        )
        self.quota_refusals = Counter(
            "auscult_quota_refusals_total",
            "What tenants were refused because it was more than they may use (streams, requests or minutes).",
            ["quota"],
            registry=self.registry,
        )
        self.nonfinite_samples = Counter(
            "auscult_nonfinite_samples_total", "NaN and infinite samples replaced by silence.", registry=self.registry
        )

        self.recognition = RecognitionMetrics(self.registry)
        self.notes = NoteMetrics(self.registry)

    def watch_recognition(self, batcher: Batcher) -> None:
        """What a batcher counts by itself."""
        self.gauge(
            "auscult_recognition_waiting_finals", "Finals of live streams in line.", lambda: batcher.waiting_finals
        )
        self.gauge("auscult_recognition_waiting_files", "Requests of files in line.", lambda: batcher.waiting_files)
        self.counter("auscult_recognition_failed", "Requests the engine failed on.", lambda: batcher.failed)
        self.counter(
            "auscult_recognition_retried", "Requests tried again alone: a batch failed.", lambda: batcher.retried
        )
        self.counter(
            "auscult_recognition_fallbacks", "Later tries of texts that looked wrong.", lambda: batcher.fallbacks
        )
        self.counter("auscult_recognition_hung", "Calls that were given up: no answer in time.", lambda: batcher.hung)
        self.counter("auscult_partials_superseded", "Partials replaced by newer ones.", lambda: batcher.superseded)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is scraped, so that it cannot drift."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def counter(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A counter kept elsewhere, read when it is scraped."""
        self.registry.register(_ReadCounter(name, help_text, read))


class RecognitionMetrics:
    """How recognition goes: the `Observer` of a `Batcher`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Histogram(
            "auscult_recognition_waiting_seconds",
            "Time that requests waited until the recogniser got them, by line (final, again, …, file).",
            ["line"],
            registry=registry,
            buckets=SECONDS,
        )
        self._calls = Histogram(
            "auscult_recognition_call_seconds",
            "Time that calls of the recogniser took.",
            registry=registry,
            buckets=SECONDS,
        )
        self._batches = Histogram(
            "auscult_recognition_batch_size", "Requests in a call.", registry=registry, buckets=BATCHES
        )

    def handed_over(self, rank: Rank, waited: float) -> None:
        """The recogniser gets a request that waited for so many seconds."""
        self._waiting.labels(line=rank.name.lower()).observe(waited)

    def answered(self, requests: int, took: float) -> None:
        """A call with so many requests took so many seconds."""
        self._batches.observe(requests)
        self._calls.observe(took)


class NoteMetrics:
    """How notes go: the `NoteObserver` of `server.notes.Notes`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._notes = Counter(
            "auscult_notes_total",
            "Notes and drafts of them, by writer (embedded or model) and outcome (written, or why not).",
            ["writer", "outcome"],
            registry=registry,
        )

        self._sentences = Counter(
            "auscult_note_sentences_total",
            "Sentences of notes and drafts, by writer and what their check found (kept, or dropped or flagged: why).",
            ["writer", "outcome"],
            registry=registry,
        )

    def written(self, writer: str, outcome: str) -> None:
        """A writer is done: "written", or the code of what went wrong."""
        self._notes.labels(writer=writer, outcome=outcome).inc()

    def checked(self, writer: str, outcome: str, sentences: int) -> None:
        """So many sentences were checked."""
        self._sentences.labels(writer=writer, outcome=outcome).inc(sentences)


class _ReadCounter(Collector):
    def __init__(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        self._name, self._help, self._read = name, help_text, read

    def collect(self) -> list[Metric]:
        return [CounterMetricFamily(self._name, self._help, value=self._read())]
