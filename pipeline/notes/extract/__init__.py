"""The embedded writer: a pipeline, read downward.

Units come from `pipeline.notes.english`. `speakers` guesses who spoke where nobody said so, `exchanges` pairs questions
with answers, `hints` collects what rules see in each, `topics` decides what is noted where by rules (`stated`,
`reported`) and learned weights (`scoring`, `deciding`; a clinician's own notes: `dictation`), `phrasing` and `answers`
put it into the third person, `pipeline.notes.evidence.grounding` checks it against what was said, `selection` chooses,
`extractive` composes. `snippets` names what a short piece of talk is about.
"""
