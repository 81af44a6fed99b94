"""The only place for heavy libraries. Each module adapts one of them to a port of `pipeline.ports`."""
