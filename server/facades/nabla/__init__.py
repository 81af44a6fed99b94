"""Nabla (Copilot Listen, generation B): live audio of several streams over a WebSocket."""
