"""Whether a sentence rests on what was said: `grounding` finds the items that hold its words; every writer's sentences
go through `checking`: `claims` says what a text claims, `stances` what it denies, `lexicon` and `synonyms` hold the
words.
"""
