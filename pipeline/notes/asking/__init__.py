"""Asking a language model for a note: `prompt_file` and `prompting` ask, `portions` cuts long talks, `answering` reads
what is written, `merging` puts portions together. `pipeline.writing` moves it.
"""
