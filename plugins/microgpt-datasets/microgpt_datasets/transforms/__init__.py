"""What is done to documents before a tokenizer sees them: one transform a file."""
