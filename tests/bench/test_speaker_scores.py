from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest

from bench.odd_speakers import oddities
from bench.speaker_scores import pairs, pooled, score
from bench.speaking import Outcome, Player, Sample, SpokenWord, Told, samples, turns, untranscribed
from pipeline.engines.ge2e import Ge2eEmbedder
from pipeline.engines.ge2e_weights import weights_path
from pipeline.engines.silero import SileroModel
from pipeline.errors import VoicesUnavailable
from pipeline.session import SessionOptions
from pipeline.types import SAMPLE_RATE, Role, Utterance, Word

needs_scorer = pytest.mark.skipif(
    find_spec("pyannote") is None or find_spec("pyannote.metrics") is None,
    reason="needs the scorer: pip install '.[bench-speakers]'",
)


def at(second: float) -> int:
    return round(second * SAMPLE_RATE)


def truth(*turns: tuple[str, str, float]) -> Sample:
    """Turns of (speaker, text, begin); each word takes half a second."""
    words = [
        SpokenWord(text=word, start=at(begin + n / 2), end=at(begin + n / 2 + 0.5), speaker=speaker)
        for speaker, text, begin in turns
        for n, word in enumerate(text.split())
    ]
    spans = tuple((speaker, at(begin), at(begin + len(text.split()) / 2)) for speaker, text, begin in turns)
    ordered = tuple(sorted(words, key=lambda word: word.start))
    return Sample(name="x", kind="mono", path=Path("x"), stereo=False, words=ordered, spans=spans)


def told(text: str, begin: float, speaker: str, role: Role, *renames: tuple[float, str, Role], first: Role) -> Told:
    words = tuple(
        Word(text=word, start=at(begin + n / 2), end=at(begin + n / 2 + 0.5)) for n, word in enumerate(text.split())
    )
    item = Utterance(
        id=f"{begin}", stream="s", role=role, start=words[0].start, end=words[-1].end, text=text, words=words,
        speaker=speaker,
    )  # fmt: skip
    changes = [(at(when), who, renamed) for when, who, renamed in renames]
    return Told(item=item, first=(speaker, first), renames=changes, at=words[-1].end)


def outcome(*all_told: Told, seconds: float = 10) -> Outcome:
    return Outcome(told={each.item.id: each for each in all_told}, duration=at(seconds))


DOCTOR, PATIENT, NEITHER = Role.DOCTOR, Role.PATIENT, Role.UNSPECIFIED
TURNS = truth(("doctor", "how are you", 0), ("patient", "not so well", 2), ("doctor", "oh dear", 4))


def test_words_find_their_truth_by_text_and_time() -> None:
    said = outcome(
        told("how our you", 0, "s1", DOCTOR, first=DOCTOR), told("not so well oh dear", 2, "s2", PATIENT, first=PATIENT)
    )
    found = [(pair.word.text, pair.truth.text, pair.truth.speaker) for pair in pairs(TURNS, said)]
    assert ("our", "are", "doctor") in found
    assert ("not", "not", "patient") in found
    assert len(found) == 8


def test_of_two_equal_words_the_one_at_the_same_time_counts() -> None:
    both = truth(("doctor", "yes", 0), ("patient", "yes", 1))
    (pair,) = pairs(both, outcome(told("yes", 1, "s1", PATIENT, first=PATIENT)))
    assert pair.truth.speaker == "patient"


@needs_scorer
def test_perfect_labels_score_perfectly() -> None:
    result = score(
        TURNS,
        outcome(
            told("how are you", 0, "s1", DOCTOR, (4, "s1", DOCTOR), first=NEITHER),
            told("not so well", 2, "s2", PATIENT, (4, "s2", PATIENT), first=NEITHER),
            told("oh dear", 4, "s1", DOCTOR, first=DOCTOR),
        ),
    )
    assert (result.right, result.purity, result.coverage, result.unspecified) == (1.0, 1.0, 1.0, 0.0)
    assert result.right_first == pytest.approx(2 / 8)
    assert result.der.total == pytest.approx(0.0)
    assert result.known_s == pytest.approx(4.0)
    assert (result.flips, result.speakers) == (0, 2)


@needs_scorer
def test_one_speaker_for_all_confuses_the_other_s_time_and_flips_are_counted() -> None:
    result = score(
        TURNS,
        outcome(
            told("how are you", 0, "s1", DOCTOR, (3, "s1", PATIENT), (5, "s1", DOCTOR), first=DOCTOR),
            told("not so well", 2, "s1", DOCTOR, first=DOCTOR),
            told("oh dear", 4, "s1", DOCTOR, first=DOCTOR),
        ),
    )
    assert result.right == pytest.approx(5 / 8)
    assert result.purity == pytest.approx(5 / 8)
    assert result.der_strict.confusion == pytest.approx(1.5 / 4)
    assert result.known_s is None
    assert result.flips == 1


@needs_scorer
def test_what_was_not_heard_is_missed() -> None:
    result = score(TURNS, outcome(told("how are you", 0, "s1", DOCTOR, first=DOCTOR)))
    assert result.der_strict.missed == pytest.approx(2.5 / 4)


@needs_scorer
def test_words_that_nobody_is_told_to_say_are_counted() -> None:
    result = score(TURNS, outcome(told("how are you", 0, "s1", DOCTOR, first=DOCTOR)))
    assert (result.words, result.said, result.spoken_s) == (3, 8, 4.0)


def test_shares_are_pooled_by_what_they_are_shares_of() -> None:
    assert pooled([0.1, 0.4], [90, 10]) == pytest.approx(0.13)
    assert pooled([0.1, None], [1, 9]) == pytest.approx(0.1)
    assert pooled([None], [1]) is None


def test_a_clip_without_a_transcript_has_its_turns_and_words_that_stand_for_them() -> None:
    rttm = "SPEAKER a 1 0.500 1.200 <NA> <NA> ann <NA> <NA>\nSPEAKER a 1 2.000 0.100 <NA> <NA> bob <NA> <NA>\n"
    clip = untranscribed("a", Path("a"), turns(rttm))
    assert clip.spans == (("ann", at(0.5), at(1.7)), ("bob", at(2.0), at(2.1)))
    assert [word.speaker for word in clip.words] == ["ann"] * 4 + ["bob"]
    assert len({word.text for word in clip.words}) == len(clip.words)
    assert not clip.transcribed
    assert not clip.roles


def test_words_of_odd_recordings_lie_in_their_audio() -> None:
    for name, sample in oddities():
        if name != "four hours":
            assert all(word.end <= len(sample.audio()) for word in sample.words), name


def test_our_own_recording_gets_its_roles() -> None:
    try:
        embedder = Ge2eEmbedder(weights_path())
    except VoicesUnavailable as exc:
        pytest.skip(str(exc))
    (sample,) = [each for each in samples(["ours"], None) if each.name == "headache"]

    async def play() -> Outcome:
        await embedder.start()
        player = Player(options=SessionOptions(), voice_activity=SileroModel(), embedder=embedder, recogniser=None)
        return await player.play(sample)

    played = anyio.run(play)
    matched = pairs(sample, played)
    right = sum(pair.told.item.role == pair.truth.speaker for pair in matched) / len(matched)
    assert right >= 0.97
    assert played.unexplained == 0
