"""Records as the JSON of docs/json.md: the same from the command line and from the interface of the page."""
