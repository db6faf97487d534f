"""One file an encoder family; heavy imports live here."""
