"""The built-in reranker: a small cross-encoder over a question's words and the words that the page shows."""
