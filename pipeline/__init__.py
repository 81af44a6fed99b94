"""Audio and language: bytes in, transcript and note out. Knows no HTTP, no database and no vendor."""
