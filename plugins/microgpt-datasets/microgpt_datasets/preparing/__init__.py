"""Text to shards: tokenised by several processes, written whole or not at all, gone on with where it was stopped."""
