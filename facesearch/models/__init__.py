"""What is known of models, where their weights come from, and the networks that run."""
