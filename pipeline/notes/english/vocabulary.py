"""How the word lists of this package are written down."""


def word_set(text: str) -> frozenset[str]:
    """The words of a text: a list that people can read and sort."""
    return frozenset(text.split())


def word_list(text: str) -> list[str]:
    """The words of a text in order, for lists whose places mean something."""
    return text.split()


def phrase_set(text: str) -> frozenset[str]:
    """The phrases of a text, separated by commas; line breaks count as spaces."""
    return frozenset(" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip())
