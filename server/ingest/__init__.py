"""Ways in: bytes from the network → chunks, PCM and messages, with limits on size, rate and silence."""
