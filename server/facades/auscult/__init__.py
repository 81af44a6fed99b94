"""Our own routes, under `/api` and `/whip`."""
