"""Who is the doctor and who the patient: by what each speaker says (`roles`, over `wording` and, in other languages,
`cues`), and of a whole stream once more by what a diarisation of all of it finds (`review`).

A role that the client declared for a stream stands; which words are whose is told by channels and voices before.
"""
