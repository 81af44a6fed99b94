"""English as far as notes need it: `wording` cleans an item's words (`numerals`: numbers in digits), `units` joins and
cuts them into sentences (`clauses`, `questions`), `cues` hint at what they are about (`drugs`), `verbs`, `persons`,
`pronouns` and `contractions` say things of the patient.
"""
