"""Seeded generators of data, and the way from words to batches of numbers."""
