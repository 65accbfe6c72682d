"""Beyond one machine: photos embedded on a Ray cluster, faces searched in a Milvus. What is true stays in SQLite."""
