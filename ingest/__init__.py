"""PDF in, page images and text layer out, read in child processes that a document cannot take down."""
