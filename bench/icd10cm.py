"""Make the ICD-10-CM table that `pipeline.notes.beside.icd10` reads.

    auscult-bench icd10cm [--out pipeline/notes/beside/icd10cm.tsv.zlib]

The catalogue is the one in the package simple-icd-10-cm (MIT licence), which carries the release of the CDC's National
Center for Health Statistics as published, in the public domain. The same release gives the same file.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from pipeline.notes.beside.icd10 import Header, folded, key

RELEASES: Final = {"1.5.0": "ICD-10-CM April 2026"}  # of the package → of the catalogue
# Chapters that no talk's words decide: births (they ask for the week), what brought an injury about, why one is seen.
NO_PROBLEMS: Final = frozenset("OPVWXYZ")
TOO_VAGUE: Final = ("C80", "R52", "R99", "T14")  # cancer, pain, injury: somewhere; death: what is warned of
NEWLINE: Final = b"\n"
MOST_WORDS: Final = 8  # of a key: nobody says more in one breath

# Terms that stand for what the catalogue has no code for: they would take in what is none of theirs.
_CATCHES_ALL: Final = re.compile(
    r"\b(?:other|elsewhere|NEC|in diseases classified|classifiable|due to unspecified|with unspecified|not due to"
    r"|multiple codes?)\b"
    r"|(?<!not otherwise )(?<!not )\bspecified\b",
    re.IGNORECASE,
)
_BRACKETS: Final = re.compile(r"\s*\[([^\]]*)\]")
_PARENTHESES: Final = re.compile(r"\s*\([^)]*\)")  # modifiers that change nothing (Conventions, I.A.7)
_VAGUE: Final = re.compile(
    r",? ?\b(?:NOS|not otherwise specified|so described|site not specified|not specified as \w+(?: or \w+)*)\b"
    r"|,? ?\bpart unspecified\b"
    r"|,? ?\bunspecified (?:as to \w+(?: \w+)*|site|organism|cause|type|location|degree|severity|origin|nature"
    r"|ligament of|muscle of|tendon of|part of|whether .*)\b"
    r"|,? ?\bunspecified\b(?: as to .*)?",
    re.IGNORECASE,
)
_RULED_OUT: Final = re.compile(
    r",? ?\b(?:without|not) (?:(?!\bwith\b)[^,])*|,? ?\buncomplicated\b|,? ?\bsingle episode\b", re.IGNORECASE
)
_UNNAMED: Final = re.compile(r",? (?:of )?unspecified [\w ]+")  # knee, upper limb, …
_PAIRED: Final = re.compile(
    r"(, (?:right|left|bilateral|unspecified)) (?:eyes?|ears?|side|(?:upper|lower) limbs?)\b"
    r"|(, (?:right|left)) \w+$"  # of an elbow, where the name of what it has says that
)
_SYNONYMS: Final = re.compile(r"[a-z]+(?: [a-z]+)+")  # in brackets: no abbreviation, nor who described it first
_EITHER: Final = re.compile(r"\b(\w+) or (\w+)\b")

# What a code must not add to what was said.
_INVENTED: Final = frozenset(
    folded(
        "acute subacute chronic recurrent persistent severe mild moderate intermittent unilateral bilateral right left"
        " primary secondary malignant"
    )
)

# What people say → what the catalogue says. Ours; each was looked up in the Index to Diseases and Injuries.
SAID: Final = {
    "acid reflux": "gastro-esophageal reflux disease",
    "adhd": "attention-deficit hyperactivity disorder",
    "afib": "atrial fibrillation",
    "aortic stenosis": "nonrheumatic aortic stenosis",
    "bph": "benign prostatic hyperplasia",
    "cad": "atherosclerotic heart disease",
    "cancer": "malignant neoplasm",
    "chf": "congestive heart failure",
    "ckd": "chronic kidney disease",
    "copd": "chronic obstructive pulmonary disease",
    "coronary artery disease": "atherosclerotic heart disease",
    "covid": "covid-19",
    "diabetes": "diabetes mellitus",
    "diabetes mellitus": "diabetes",
    "diverticulitis": "diverticulitis of intestine",
    "dizziness": "dizziness and giddiness",
    "flu": "influenza",
    "gerd": "gastro-esophageal reflux disease",
    "high cholesterol": "pure hypercholesterolemia",
    "hives": "urticaria",
    "htn": "essential hypertension",
    "hypercholesterolemia": "pure hypercholesterolemia",
    "ibs": "irritable bowel syndrome",
    "kidney stone": "calculus of kidney",
    "lower back pain": "low back pain",
    "mitral regurgitation": "nonrheumatic mitral regurgitation",
    "mononucleosis": "infectious mononucleosis",
    "osa": "obstructive sleep apnea",
    "ptsd": "post-traumatic stress disorder",
    "reflux": "gastro-esophageal reflux disease",
    "stomach flu": "viral gastroenteritis",
    "strep throat": "streptococcal sore throat",
    "syncope": "syncope and collapse",
    "upper respiratory infection": "acute upper respiratory infection",
    "uri": "acute upper respiratory infection",
    "uti": "urinary tract infection",
}


SAID_KEYS: Final = [(set(folded(said)), set(key(folded(written)).split())) for said, written in SAID.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Words that lead to a code."""

    key: str
    dropped: int  # words that the term says beyond them
    vague: bool  # whether the term says itself that it is unspecified


class Source:
    """The catalogue as the package has it."""

    def __init__(self) -> None:
        import simple_icd_10_cm

        self._package = simple_icd_10_cm
        self.release = RELEASES[version("simple-icd-10-cm")]
        listed = [code for code in self._package.get_all_codes() if re.match(r"[A-Z]\d", code) and "-" not in code]
        self.codes = sorted(code for code in listed if not self._package.is_extended_subcategory(code))
        self._extended = defaultdict[str, set[str]](set)
        for code in listed:
            if self._package.is_extended_subcategory(code):
                self._extended[_without_placeholders(code[:-1])].add(code[-1])

    def description(self, code: str) -> str:
        return str(self._package.get_description(code))

    def terms(self, code: str) -> list[str]:
        """The description, and what the tabular list gives beside it."""
        named = [self.description(code)]
        for more in (self._package.get_inclusion_term(code), self._package.get_includes(code)):
            named += [str(each) for each in more or ()]
        return named

    def sevenths(self, code: str) -> dict[str, str]:
        """The seventh characters that complete a code, with their meanings."""
        characters = self._extended.get(code, set())
        if not characters:
            return {}
        meanings = self._package.get_seven_chr_def(code, search_in_ancestors=True)
        return {each: str(meanings[each]) for each in sorted(characters)}

    def is_leaf(self, code: str) -> bool:
        """Whether no longer code stands below it, seventh characters aside."""
        return bool(self._package.is_leaf(code)) or code in self._extended

    def leaves(self, code: str) -> list[str]:
        """The codes below one."""
        return [each for each in self._below(code) if self.is_leaf(each)]

    def _below(self, code: str) -> Iterator[str]:
        for child in self._package.get_children(code):
            if not self._package.is_extended_subcategory(child):
                yield child
                yield from self._below(child)


_words = cache(folded)  # a text often stays the same, whatever is taken out of it


def _without_placeholders(code: str) -> str:
    """ "S00.XX" → "S00"."""
    return code.rstrip("X").rstrip(".")


@cache  # a code is asked for again with each of those that it stands below
def terms(text: str) -> Set[Term]:
    """The keys of one term of the catalogue: as it stands, and without what only says that nothing more is known."""
    return frozenset(_terms(text))


def _terms(text: str) -> Iterator[Term]:
    if _CATCHES_ALL.search(text):
        return
    shown = _PARENTHESES.sub("", _BRACKETS.sub("", text))
    synonyms = [_PARENTHESES.sub("", found) for found in _BRACKETS.findall(text)]
    for each in (shown, *(found for found in synonyms if _SYNONYMS.fullmatch(found) and "stage" not in found)):
        for way in {each, _PAIRED.sub(r"\1\2", each)}:
            yield from _keys(way)


def _keys(text: str) -> Iterator[Term]:
    vague = _VAGUE.sub("", text)
    plain = _RULED_OUT.sub("", vague)
    dropped = len(_words(vague)) - len(_words(plain))
    for either in {plain, _EITHER.sub(r"\1", plain), _EITHER.sub(r"\2", plain)}:
        words = set(key(_words(either)).split())
        if 0 < len(words) <= MOST_WORDS:
            for one in {key(words), *_said(words)}:
                yield Term(key=one, dropped=dropped, vague=vague != text)


def _said(words: Set[str]) -> Iterator[str]:
    """The same key in the words that people use."""
    for said, written in SAID_KEYS:
        if written <= words:
            yield key((words - written) | said)


def leads(source: Source) -> Mapping[str, dict[str, Term]]:
    """Key → the codes that it might lead to, with the best term of each."""
    found = defaultdict[str, dict[str, Term]](dict)
    for code in source.codes:
        if code[0] in NO_PROBLEMS or code.startswith(TOO_VAGUE):
            continue
        target = code if source.is_leaf(code) else _default(source, code)
        for text in source.terms(code) if target else ():
            for term in terms(text):
                if _invents(source.description(target), text, term.key):
                    continue
                better = found[term.key].get(target)
                if better is None or _worth(term) < _worth(better):
                    found[term.key][target] = term
    return found


def _default(source: Source, code: str) -> str:
    """The code below one for who knows no more than that; empty where it is not certain which."""
    own = {term.key for term in terms(source.description(code))}
    below: dict[str, int] = {}
    for leaf in source.leaves(code):
        if _CATCHES_ALL.search(source.description(leaf)):
            continue
        for term in terms(_UNNAMED.sub(", unspecified", source.description(leaf))):
            if term.key in own and (term.vague or term.dropped):
                below[leaf] = min(term.dropped, below.get(leaf, term.dropped))
    best = [leaf for leaf, dropped in below.items() if dropped == min(below.values())]
    return best[0] if len(best) == 1 else ""


def _invents(description: str, text: str, words: str) -> bool:
    """Whether a code says something that neither its term nor the key does, such as that it is chronic."""
    plain = _RULED_OUT.sub("", _PARENTHESES.sub("", _VAGUE.sub("", description)))
    adds = _INVENTED.intersection(_words(plain)) - set(words.split())
    return bool(adds) and not (adds <= set(_words(_PARENTHESES.sub("", text))))


def _worth(term: Term) -> tuple[int, bool]:
    return term.dropped, not term.vague


def chosen(candidates: Mapping[str, Term]) -> tuple[str, Term] | None:
    """The one code that a key leads to; None where it might be several."""
    ranked = sorted(candidates.items(), key=lambda item: _worth(item[1]))
    best = [each for each in ranked if _worth(each[1]) == _worth(ranked[0][1])]
    return best[0] if len(best) == 1 else None


def table(source: Source) -> bytes:
    """The lines of the file."""
    kinds: dict[str, int] = {}
    codes = []
    for code in source.codes:
        sevenths = source.sevenths(code)
        kind = str(kinds.setdefault(msgspec.json.encode(sevenths).decode(), len(kinds))) if sevenths else ""
        billable = "1" if source.is_leaf(code) and not sevenths else ""
        codes.append("\t".join((code, kind, billable, source.description(code))))
    keys = []
    for words, candidates in leads(source).items():
        one = chosen(candidates)
        if one is not None:
            code, term = one
            keys.append("\t".join((words, code, "1" if term.dropped else "")))
    header = Header(source.release, tuple(msgspec.json.decode(each, type=dict[str, str]) for each in kinds))
    lines = (*sorted(codes, key=str.encode), "", *sorted(keys, key=str.encode), "")
    return b"\n".join((msgspec.json.encode(header), *map(str.encode, lines)))


def run(path: Path, console: Console) -> None:
    """Write the file, and say what is in it."""
    text = table(Source())
    path.write_bytes(zlib.compress(text, 9))
    codes, _, keys = text.partition(b"\n\n")
    console.print(f"{codes.count(NEWLINE)} codes, {keys.count(NEWLINE)} keys, {path.stat().st_size} bytes")
