"""The cache of embeddings that search goes through: a FAISS index and its file, on a GPU, or a vector store's."""
