"""HTTP and the web page, over the library."""
