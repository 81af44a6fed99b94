"""What stands beside a note: a `summary` in `plain` words, billing codes (`codes` that were spoken, `diagnoses` looked
up in `icd10`, `coding` for all of them), text and Markdown (`rendering`).
"""
