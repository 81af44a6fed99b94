"""Notes. The embedded writer is a pipeline of its own, read downward:

`wording` cleans an item's words, `units` joins and cuts them into sentences, `speakers` guesses who spoke where nobody
said so, `exchanges` pairs questions with answers, `hints` collects what rules see in each, `topics` decides what is
noted where by rules (`stated`, `reported`) and learned weights (`scoring`, `deciding`; a clinician's own notes:
`dictation`), `phrasing` and `answers` put it into the third person (`persons`, `pronouns`, `contractions`), `grounding`
checks it against what was said, `selection` chooses, `extractive` composes. `snippets` names what a short piece of talk
is about.

The writer with a language model is `pipeline.writing`; here is what it needs: `prompt_file` and `prompting` ask,
`portions` cuts long talks, `answering` reads what is written, `merging` puts portions together.

Every writer's sentences go through `checking`: `claims` says what a text claims, `stances` what it denies, `lexicon`
and `synonyms` hold the words for it.
"""
