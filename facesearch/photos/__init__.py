"""Photos on disk: found, read, and decoded in processes of their own, as strangers' bytes are parsed there alone."""
