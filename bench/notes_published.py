"""Published systems on aci-bench, to stand beside a writer of ours.

The predictions are those that Yim et al. 2023 ("Aci-bench", Scientific Data) published; they were scored again with the
measures of this bench. `test1` is ROUGE-1, ROUGE-2 and ROUGE-Lsum of test 1, everything else the mean of tests 1 to 3.
"""

from typing import Final

import msgspec


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One system; per cent, but for `words`."""

    name: str
    words: int  # mean length of a note
    test1: tuple[float, float, float] | None  # None: its predictions are not published
    mean: tuple[float, float, float]
    divisions: tuple[int, int, int, int]  # ROUGE-1 of subjective, exam, results, assessment and plan
    terms_unsaid: float | None = None
    words_kept: float | None = None
    terms_kept: float | None = None
    numbers_unsaid: float | None = None


PUBLISHED: Final = (
    Published(
        name="BART+SAMSum (Division)",
        words=419,
        test1=(53.5, 25.1, 48.6),
        mean=(52.8, 24.6, 47.9),
        divisions=(52, 47, 35, 43),
        terms_unsaid=51.7,
        words_kept=57.0,
        terms_kept=61.4,
        numbers_unsaid=51.1,
    ),
    Published(
        name="GPT-4, 2023, zero-shot",
        words=300,
        test1=(51.8, 22.6, 46.0),
        mean=(51.1, 22.0, 45.7),
        divisions=(40, 47, 47, 39),
        terms_unsaid=33.9,
        words_kept=62.0,
        terms_kept=76.4,
        numbers_unsaid=34.6,
    ),
    Published(
        name="BioBART (Division)",
        words=393,
        test1=(49.5, 22.5, 44.9),
        mean=(50.2, 22.7, 45.7),
        divisions=(48, 43, 30, 43),
    ),
    Published(
        name="retrieval: another patient's note",
        words=423,
        test1=(43.9, 17.6, 40.5),
        mean=(45.4, 18.6, 42.0),
        divisions=(44, 46, 36, 46),
        terms_unsaid=68.1,
        words_kept=36.9,
        terms_kept=38.8,
        numbers_unsaid=66.6,
    ),
    Published(
        name="ChatGPT, 2023, zero-shot",
        words=229,
        test1=(47.4, 19.0, 42.5),
        mean=(45.3, 18.3, 40.5),
        divisions=(30, 41, 34, 33),
        terms_unsaid=12.1,
        words_kept=55.0,
        terms_kept=66.2,
        numbers_unsaid=8.0,
    ),
    Published(
        name="Text-Davinci-003",
        words=178,
        test1=(47.1, 22.1, 43.1),
        mean=(44.4, 21.5, 41.2),
        divisions=(31, 51, 50, 34),
        terms_unsaid=6.9,
        words_kept=57.2,
        terms_kept=67.8,
        numbers_unsaid=12.8,
    ),
    Published(
        name="BART+SAMSum",
        words=187,
        test1=(40.9, 19.0, 34.6),
        mean=(40.2, 18.7, 34.2),
        divisions=(47, 3, 1, 1),
    ),
    Published(
        name="12 doctor turns",
        words=547,
        test1=(35.9, 12.4, 32.7),
        mean=(36.2, 13.0, 33.2),
        divisions=(24, 1, 0, 1),
        terms_unsaid=0.1,
        words_kept=65.8,
        terms_kept=70.3,
        numbers_unsaid=0.0,
    ),
    Published(
        name="the transcript itself",
        words=1316,
        test1=(32.8, 12.5, 30.6),
        mean=(32.6, 12.8, 30.6),
        divisions=(19, 0, 0, 0),
        terms_unsaid=0.1,
        words_kept=100.0,
        terms_kept=100.0,
        numbers_unsaid=0.2,
    ),
)
