"""The built-in models' weights and cards; data only."""
