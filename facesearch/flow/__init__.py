"""The order in which a photo becomes embeddings, written once: source, decoded, analysed, sink."""
