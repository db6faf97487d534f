"""The built-in visual encoder: reads a page's pixels into one vector a word."""
