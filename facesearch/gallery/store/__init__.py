"""A vector store beside a gallery, as a Milvus: added, kept in step with the database, dropped."""
