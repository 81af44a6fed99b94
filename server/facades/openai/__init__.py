"""OpenAI's transcription endpoint, which much software speaks. Source: its API reference, as of openai-python 3.57."""
