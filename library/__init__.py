"""Settings, wiring, catalogue and use cases: the composition root."""
