"""Ways in: bytes from the network → chunks and messages, with limits on size, rate and silence."""
