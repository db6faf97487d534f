"""HTTP over a library: the API, the web page and the endpoint for assistants."""
