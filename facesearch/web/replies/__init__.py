"""What the interface answers, as types: they are for its document and for tests. Answers themselves are made by
`facesearch.forms`, and may have more keys than these in time."""
