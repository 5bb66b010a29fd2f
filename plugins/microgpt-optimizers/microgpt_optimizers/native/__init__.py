"""The update rules in C, for the backend simd."""
