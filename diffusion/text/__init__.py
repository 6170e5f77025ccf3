"""What is asked for in words: prompts, their tokens, and their embeddings."""
