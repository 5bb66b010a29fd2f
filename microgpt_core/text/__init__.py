"""Text: where it comes from, how it becomes numbers, and which of them a step sees."""
