"""Notes: what one is (`note`, `templates`, `request`), and rooms for how one comes to be.

`extract`: the embedded writer. `asking`: what the writer with a language model (`pipeline.writing`) needs. `evidence`:
whether sentences rest on what was said, for both. `beside`: summaries, codes, files. `english`: words and sentences.
"""
