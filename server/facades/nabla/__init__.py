"""Nabla: live audio of several streams over a WebSocket, in generations A and B (Copilot Listen) and C (transcribe)."""
