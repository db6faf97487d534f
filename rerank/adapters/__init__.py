"""One file a reranker family; heavy imports live here."""
