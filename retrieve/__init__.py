"""Encoders, vector indexes and the lexical arm: from a query to candidate pages."""
