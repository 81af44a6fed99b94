"""The thread of one container stream: bytes → packets → frames → 16 kHz audio, file by file.

A stream is one file as a rule, and several where a recorder was started again or complete files were sent as chunks.
Whatever happens inside a file, the samples handed over are one unbroken sequence.
"""

from collections.abc import Callable, Iterator
from threading import Thread
from typing import TypeAlias

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from pipeline.containers import MIN_SNIFF_BYTES, Container, id3_bytes, sniff
from pipeline.containers.restart import Mp4Scanner, RestartScanner, restart_scanner
from pipeline.containers.wav import WavHeader, WavHeaderReader
from pipeline.engines.pyav_clock import Clock, RestartIndex
from pipeline.engines.pyav_demux import BUFFER_BYTES, DEMUXERS, Readable, audio_track, open_untrusted
from pipeline.engines.pyav_exchange import AudioPipe, BytePipe, Discarded, Turns
from pipeline.engines.pyav_raw import RawConverter
from pipeline.engines.pyav_source import Offsets, Source
from pipeline.engines.pyav_track import Locate, Track
from pipeline.errors import InvalidAudio, UndecodableAudio, UnsupportedAudio
from pipeline.types import RestartPoint

ENDS_EARLY = "The file ends before its first sound."
MAX_INDEX_LAST_BYTES = 32 << 20  # an mp4 with its index behind the audio is kept in memory until its end comes
MAX_PEEK_BYTES = 1 << 16  # in which an mp4's index or audio must begin
MAX_STRAY_BYTES = 1 << 16  # of nonsense where the demuxer would search for ever, but not yet junk behind a good file
MAX_FAILURES = 50  # of the demuxer, without a packet in between


Whole: TypeAlias = Callable[[int], Readable]
"""The whole file whose first byte has this offset in the stream, seekable."""


class DecoderThread:
    """Reads files from `pipe`, writes audio to `audio`, notes restart points in `index`; calls `gone` at its end."""

    def __init__(
        self,
        pipe: BytePipe,
        audio: AudioPipe,
        index: RestartIndex,
        restart: RestartPoint,
        turns: Turns,
        gone: Callable[[], None],
        whole: Whole | None = None,
    ) -> None:
        self._pipe = pipe
        self._audio = audio
        self._index = index
        self._turns = turns
        self._gone = gone
        self._whole = whole
        self._clock = Clock()
        self._entered: RestartPoint | None = restart if restart.header[1] else None  # in the middle of the first file
        self._offsets = Offsets(header=restart.header, begin=restart.offset)
        self._files = 0
        self._track: Track | None = None  # of the container that is being decoded
        self._source: Source | None = None
        self._skipped = 0  # in files before this one
        self._thread = Thread(target=self._main, name="auscult-decoder", daemon=True)

    @property
    def skipped(self) -> int:
        """Bytes so far that made no sense; to be read from any thread."""
        return self._skipped + (self._source.skipped if self._source is not None else 0)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def join(self) -> None:
        """After `gone`: wait the moment until the thread is no more."""
        self._thread.join()

    def _main(self) -> None:
        error: InvalidAudio | None = None
        try:
            with self._turns.taken():
                error = self._decode_stream()
                self._audio.hand_over()
        except Discarded:
            pass
        finally:
            self._pipe.discard()
            self._audio.finish(error)
            self._gone()

    def _decode_stream(self) -> InvalidAudio | None:
        """Every file in turn. What ended the stream early, if anything did."""
        try:
            while self._pipe.next_file():
                self._decode_file()
            if not self._audio.position:
                raise UndecodableAudio(ENDS_EARLY) if self._files else UnsupportedAudio("No audio was sent.")
        except InvalidAudio as exc:
            return exc
        except Discarded:
            raise
        except Exception as exc:  # libav and numpy, on whatever a stranger's bytes made them do: this stream ends
            error = UndecodableAudio()
            error.__cause__ = exc
            return error
        return None

    def _decode_file(self) -> None:
        source = self._source = Source(self._pipe, self._offsets, self._idle)
        if self._files:
            self._clock.begin_file()
            self._index.begin_file(RestartPoint(offset=self._offsets.begin, position=self._audio.position))
        self._files += 1
        tagged = False
        while tag := id3_bytes(source.peek(MIN_SNIFF_BYTES)):
            source.skip(tag)
            tagged = True
        container = sniff(source.peek(MIN_SNIFF_BYTES)) or (Container.MP3 if tagged else None)
        if container is None:
            raise UnsupportedAudio
        if container is Container.WAV:
            self._decode_wav(source)
        else:
            self._decode_container(source, container)
        source.drain()
        self._source, self._skipped = None, self._skipped + source.skipped
        self._entered = None
        self._offsets = Offsets(begin=source.offsets.of(source.consumed))

    def _idle(self) -> None:
        """Nothing is left to decode until bytes come: hand over what there is."""
        if self._track is not None:
            self._track.flush()
        self._audio.hand_over()

    # Containers

    def _decode_container(self, source: Source, container: Container) -> None:
        scanner, demuxer = restart_scanner(container), DEMUXERS[container]
        source.scan(scanner, self._index.expect, max_stray_bytes=None if demuxer.resyncs else MAX_STRAY_BYTES)
        source.peek(demuxer.first_bytes)
        try:
            opened = open_untrusted(self._readable(source, container), demuxer)
        except FFmpegError as exc:
            if source.exhausted and self._audio.position:
                return  # broken off before its first sound, behind others that were heard
            raise UndecodableAudio from exc
        with opened:
            stream = audio_track(opened)
            self._track = Track(self._audio, self._clock, self._index, self._locate(source, scanner), self._entered)
            try:
                for packet in _packets(opened, stream, source):
                    source.found(packet.pos, packet.size, damaged=not self._track.decode(packet))
                self._track.finish()
            finally:
                self._track = None
        if source.astray:
            raise UndecodableAudio

    def _readable(self, source: Source, container: Container) -> Readable:
        """The file as libav can read it: as it arrives, if only its index does not come last."""
        if container is not Container.MP4 or not _await_index(source):
            return source
        if self._whole is not None:
            return self._whole(self._offsets.begin)
        whole = source.read_all(MAX_INDEX_LAST_BYTES)
        if whole is None:
            raise UndecodableAudio("This mp4 has its index at the end and is too long for that: send fragmented mp4.")
        return whole

    def _locate(self, source: Source, scanner: RestartScanner) -> Locate:
        def by_element(packet: int) -> RestartPoint | None:
            return self._index.reach(source.offsets.of(packet))

        def by_packet(packet: int) -> RestartPoint | None:
            if scanner.header is None or packet < scanner.header[1]:
                return None
            return source.offsets.point(RestartPoint(header=scanner.header, offset=packet))

        return by_packet if scanner.packets_restart else by_element

    # WAV

    def _decode_wav(self, source: Source) -> None:
        header, surplus = _wav_header(source)
        if header is None:
            return
        head = source.offsets.range_of(0, header.data_start)
        begin = source.offsets.of(header.data_start)  # of the samples that come now: all, or a restart's rest
        first = RestartPoint(header=head, offset=begin, position=self._audio.position)
        converter = RawConverter(header.encoding, header.sample_rate, header.channels, first)
        left = None if header.data_bytes is None else header.data_bytes - (begin - head[1])
        for piece in _samples(source, surplus, left, converter.bytes_per_second // 2):
            before = converter.nonfinite
            self._audio.write(converter.receive(piece))
            self._audio.nonfinite += converter.nonfinite - before
            self._index.add(converter.restart_point(self._audio.position))
        self._audio.write(converter.flush())


def _packets(opened: InputContainer, stream: AudioStream, source: Source) -> "Iterator[Packet[AudioStream]]":
    """All packets, in spite of damage in between. Raises `UndecodableAudio` when libav finds no way on."""
    failures = 0
    while True:
        try:
            for packet in opened.demux(stream):
                failures = 0
                yield packet
            return
        except FFmpegError as exc:
            failures += 1
            if source.exhausted:
                return
            if failures > MAX_FAILURES:
                raise UndecodableAudio from exc


def _await_index(source: Source) -> bool:
    """Wait until an mp4's index is here in one piece; whether its audio comes before that.

    libav steps back inside the index, which it cannot where a short read came in between. Raises `UndecodableAudio`
    where the file begins with a fragment, or with other things for too long.
    """
    scanner, seen = Mp4Scanner(), 0
    while scanner.header is None and not scanner.index_last:
        head = source.peek(seen + 16)
        scanner.feed(head[seen:])
        if scanner.lost or seen > MAX_PEEK_BYTES:
            raise UndecodableAudio
        if len(head) == seen:
            return False  # it ends here; libav will say so
        seen = len(head)
    if scanner.header is not None:
        source.peek(min(scanner.header[1], BUFFER_BYTES))
    return scanner.index_last


def _wav_header(source: Source) -> tuple[WavHeader | None, bytes]:
    """The header and what was read beyond it; None where the file ends within it."""
    reader = WavHeaderReader()
    while octets := source.read(4096):
        header = reader.receive(octets)
        if header is not None:
            return header, octets[len(octets) - (source.consumed - header.data_start) :]
    return None, b""


def _samples(source: Source, surplus: bytes, left: int | None, piece_bytes: int) -> Iterator[bytes]:
    """The data chunk in pieces: `surplus`, then what comes, until `left` bytes are through or the file ends."""
    piece = surplus or source.read(piece_bytes)
    while piece and (left is None or left > 0):
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        yield piece
        piece = source.read(piece_bytes)
