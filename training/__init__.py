"""Trains the built-in models and adapts the big ones."""
