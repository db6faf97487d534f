"""Frozen values and pure functions: pages, queries, rankings and the stages between them. No I/O."""
