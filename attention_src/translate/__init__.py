"""The book's translators on a reader's own sentences.

1. :mod:`~attention_src.translate.tokens` cuts a line into tokens and puts tokens together again;
2. :mod:`~attention_src.translate.corpus` reads sentence pairs into arrays of numbers, and says which line is wrong.
"""
