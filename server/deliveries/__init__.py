"""What is told to others' servers: webhooks and callbacks, from an outbox, until they are taken."""
