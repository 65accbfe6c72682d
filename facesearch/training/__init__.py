"""Train an embedder on folders of people: batches of people, triplets, losses, the loop."""
