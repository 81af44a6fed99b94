"""Notes. The embedded writer is a pipeline of its own, read downward:

`wording` cleans an item's words, `units` joins and cuts them into sentences, `speakers` guesses who spoke where nobody
said so, `exchanges` pairs questions with answers, `topics` decides what is noted where, `phrasing` and `answers` put it
into the third person, `grounding` checks it against what was said, `selection` chooses, `extractive` composes.

The writer with a language model is `pipeline.writing`; here is what it needs: `prompt_file` and `prompting` ask,
`portions` cuts long talks, `answering` reads what is written, `merging` puts portions together.

Every writer's sentences go through `checking`: `claims` says what a text claims, `stances` what it denies, `lexicon`
and `synonyms` hold the words for it.
"""
