"""The web page: rendered on the server, made quicker by small scripts, whole without them."""
