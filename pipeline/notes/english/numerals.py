"""Number words → digits, the way clinicians speak them: "one twenty over eighty" → "120/80".

A run of number words is converted only when all of it can be read in one way; otherwise it stays in words.
"""

from collections.abc import Sequence

from pipeline.notes.english.vocabulary import word_list, word_set

_SMALL_WORDS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"

SMALL = {word: value for value, word in enumerate(word_list(_SMALL_WORDS))}
TENS = {word: 10 * (place + 2) for place, word in enumerate(word_list(_TENS_WORDS))}
SCALES = {"hundred": 100, "thousand": 1000}
NUMBER_WORDS = frozenset([*SMALL, *TENS, *SCALES])
CENTURIES = frozenset({18, 19, 20})  # "nineteen eighty four", "twenty ten"
LONGEST_NUMBER = 9  # words; longer runs are no single number
LATEST_YEAR = 2029  # "twenty thirty" is more likely a range
BEFORE_A_TIME_OF_DAY = frozenset({"at", "around", "by", "until", "till", "from", "before", "after"})
COUNTED_IN_RANGES = word_set(
    """
    minutes hours days weeks months years times seconds o'clock am pm people
    """
)
HEIGHTS = frozenset((feet, inches) for feet in ("four", "five", "six") for inches in ("ten", "eleven"))
MURMUR_GRADES = frozenset({"5", "6"})  # "two over six"
SYSTOLIC_MM_HG = range(60, 261)
DIASTOLIC_MM_HG = range(20, 161)
UNITS = {
    "milligram": "mg",
    "milligrams": "mg",
    "microgram": "mcg",
    "micrograms": "mcg",
    "milliliter": "mL",
    "milliliters": "mL",
    "millilitre": "mL",
    "millilitres": "mL",
    "centimeter": "cm",
    "centimeters": "cm",
    "centimetre": "cm",
    "centimetres": "cm",
    "kilogram": "kg",
    "kilograms": "kg",
}
MEASURING = frozenset({*UNITS, "percent", "over", "out"})  # what may belong to the number before it
OPENINGS = NUMBER_WORDS | {"a"}  # what a number in words may begin with: "a hundred"
CONVERTED = NUMBER_WORDS | MEASURING  # tokens without any of these stay as they are
AFTER_A_LONE_ONE = frozenset({*UNITS, *UNITS.values(), "percent"})  # "one" stays a word elsewhere: "no one", "this one"


def digits(tokens: Sequence[str]) -> list[str]:
    """The tokens with number words as digits, "percent" joined to its number and metric units shortened.

    Where there is no number word the tokens come back as they are.
    """
    lower = [token.lower() for token in tokens]
    if CONVERTED.isdisjoint(lower) and "-" not in " ".join(lower):
        return list(tokens)
    converted: list[str] = []
    at = 0
    while at < len(tokens):
        if lower[at] not in OPENINGS and "-" not in lower[at]:
            converted.append(tokens[at])
            at += 1
            continue
        end = _run_end(lower, at)
        value = _value(lower[at:end]) if end > at and not _is_lone_one(lower, at, end) else None
        if value is not None and _may_be_two(lower, at, end):
            value = None
        if value is not None:
            converted.append(value)
            at = end
        elif end > at:
            converted.extend(tokens[at:end])
            at = end
        else:
            converted.append(tokens[at])
            at += 1
    return _join_measures(converted)


def _run_end(words: Sequence[str], at: int) -> int:
    """Where the number words that begin at `at` end; `at` itself when none begins there."""
    end = at
    while end < len(words):
        word = words[end]
        following = words[end + 1] if end + 1 < len(words) else ""
        if word == "a":
            joins = end == at and following in SCALES
        elif word == "and":
            joins = end > at and words[end - 1] in SCALES and _is_number(following)
        elif word == "point":
            joins = end > at and (following == "oh" or _is_number(following))
        elif word == "oh":
            joins = end > at and following in SMALL
        else:
            joins = _is_number(word)
        if not joins:
            break
        end += 1
    return end


def _is_number(word: str) -> bool:
    return word in NUMBER_WORDS or ("-" in word and all(part in NUMBER_WORDS for part in word.split("-")))


def _is_lone_one(words: Sequence[str], at: int, end: int) -> bool:
    if words[at:end] != ["one"]:
        return False
    following = words[end] if end < len(words) else ""
    if following == "to" and end + 1 < len(words):
        return not _is_number(words[end + 1])  # "one to ten"
    return following not in AFTER_A_LONE_ONE


def _may_be_two(words: Sequence[str], at: int, end: int) -> bool:
    """Whether numbers said in a row may be a range or a time of day: "five ten minutes", "at two thirty"."""
    run = [part for word in words[at:end] for part in word.split("-")]
    if "point" in run or "hundred" in run or "thousand" in run or _below_hundred(run) is not None:
        return False
    before = words[at - 1] if at else ""
    following = words[end] if end < len(words) else ""
    clock = before in BEFORE_A_TIME_OF_DAY and following != "over"
    return clock or following in COUNTED_IN_RANGES or tuple(run) in HEIGHTS


def _value(run: Sequence[str]) -> str | None:
    """The number that a whole run says, or None when it can be read in more than one way."""
    words = [part for word in run for part in word.split("-")]
    if len(words) > LONGEST_NUMBER:
        return None
    if "point" in words:
        at = words.index("point")
        whole, fraction = _whole(words[:at]), _fraction(words[at + 1 :])
        return f"{whole}.{fraction}" if whole is not None and fraction else None
    whole = _whole(words)
    return None if whole is None else str(whole)


def _fraction(words: Sequence[str]) -> str | None:
    """The digits behind a point: "two five", "twenty five", "oh five"."""
    if all(word == "oh" or SMALL.get(word, 10) < 10 for word in words):
        return "".join("0" if word == "oh" else str(SMALL[word]) for word in words)
    value = _below_hundred(words)
    return None if value is None else str(value)


def _whole(words: Sequence[str]) -> int | None:
    if "thousand" in words:
        at = words.index("thousand")
        thousands = 1 if words[:at] == ["a"] else _whole(words[:at])
        rest = _whole(_without_and(words[at + 1 :])) if words[at + 1 :] else 0
        return None if thousands is None or rest is None or rest > 999 else thousands * 1000 + rest
    if "hundred" in words:
        at = words.index("hundred")
        hundreds = 1 if words[:at] == ["a"] else _below_hundred(words[:at])
        rest = _below_hundred(_without_and(words[at + 1 :])) if words[at + 1 :] else 0
        return None if not hundreds or rest is None else hundreds * 100 + rest
    return _below_hundred(words) if _below_hundred(words) is not None else _in_pairs(words)


def _without_and(words: Sequence[str]) -> Sequence[str]:
    return words[1:] if words[:1] == ["and"] else words


def _below_hundred(words: Sequence[str]) -> int | None:
    if len(words) == 1:
        return SMALL.get(words[0], TENS.get(words[0]))
    if len(words) == 2 and words[0] in TENS and 0 < SMALL.get(words[1], 0) < 10:
        return TENS[words[0]] + SMALL[words[1]]
    return None


def _in_pairs(words: Sequence[str]) -> int | None:
    """Numbers said in two parts: "one twenty", "one oh five", "two fifteen", "nineteen eighty four"."""
    if len(words) < 2:
        return None
    tail = words[1:]
    behind_oh = SMALL.get(tail[1]) if len(tail) == 2 and tail[0] == "oh" else None
    rest = behind_oh if tail[0] == "oh" else _below_hundred(tail)
    if rest is None or not (10 <= rest < 100 or (tail[0] == "oh" and 0 < rest < 10)):
        return None
    head = SMALL.get(words[0], TENS.get(words[0], 0))
    if head in CENTURIES:
        return head * 100 + rest if head * 100 + rest <= LATEST_YEAR else None
    return head * 100 + rest if 0 < head < 10 else None


def _join_measures(tokens: list[str]) -> list[str]:
    """Fractions, per cent and metric units behind a number in digits."""
    if MEASURING.isdisjoint([token.lower() for token in tokens]):
        return tokens
    joined: list[str] = []
    at = 0
    while at < len(tokens):
        token, word = tokens[at], tokens[at].lower()
        after_number = bool(joined) and joined[-1][-1:].isdigit()
        if after_number and word == "percent":
            joined[-1] += "%"
        elif after_number and word in UNITS:
            joined.append(UNITS[word])
        elif after_number and (end := _divisor(joined[-1], tokens, at)):
            joined[-1] += f"/{tokens[end]}"
            at = end
        else:
            joined.append(token)
        at += 1
    return joined


def _divisor(number: str, tokens: Sequence[str], at: int) -> int:
    """Where the second number of "120 over 80" or "7 out of 10" stands, 0 when there is none."""
    words = [token.lower() for token in tokens[at : at + 3]]
    if words[:2] == ["out", "of"] and len(words) == 3 and words[2].isdigit() and number.isdigit():
        return at + 2
    if words[:1] == ["over"] and len(words) > 1 and words[1].isdigit() and number.isdigit():
        pressure = int(number) in SYSTOLIC_MM_HG and int(words[1]) in DIASTOLIC_MM_HG
        return at + 1 if pressure or words[1] in MURMUR_GRADES else 0
    return 0
