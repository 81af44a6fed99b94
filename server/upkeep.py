"""What a live stream costs this process besides recognition, measured: so that admission counts it too."""

import time

import numpy as np

from pipeline.ports import VoiceActivityModel
from pipeline.session import Session, SessionOptions
from pipeline.types import SAMPLE_RATE, Pcm, StreamOptions

HEARD = 2 * SAMPLE_RATE  # samples of one try
BLOCK = SAMPLE_RATE // 10  # samples that come at a time, as from a socket
TRIES = 3  # of which the fastest counts: others on this machine can only make it look slower
LEVEL = 1e-3  # of the noise that is heard: a quiet room
REST_S = 0.007  # of a core in a second, for a stream's socket, log and what it is told, as measured


def upkeep(options: SessionOptions, voice_activity: VoiceActivityModel) -> float:
    """Seconds of a core in a second that a live stream takes in all, but for calls of the recogniser.

    Hearing is measured here and now: voice activity and endpointing, with the detector and the core there are. For the
    rest there would have to be clients. With 4 to 16 of them on Nabla's socket, 100 ms a message and a recogniser that
    computes nothing, each took 9.2 ms in a second, where hearing took 2.5.
    """
    noise = np.random.default_rng(0).standard_normal(HEARD).astype(np.float32) * LEVEL
    return REST_S + min(_hearing(options, voice_activity, noise) for _ in range(TRIES))


def _hearing(options: SessionOptions, voice_activity: VoiceActivityModel, noise: Pcm) -> float:
    session = Session(StreamOptions(encounter="calibration", stream="upkeep"), options, voice_activity)
    began = time.thread_time()
    for at in range(0, len(noise), BLOCK):
        session.receive_audio(noise[at : at + BLOCK])
        session.recognition_requests()
        session.events()
    return (time.thread_time() - began) * SAMPLE_RATE / len(noise)
