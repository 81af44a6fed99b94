"""Haidy (44ai): live audio in HTTP chunks, tasks that are polled. Source: the vendor's Audio Transcription API page."""
