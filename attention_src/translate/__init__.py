"""The book's translators on a reader's own sentences: ``python -m attention_src.translate --help``.

1. :mod:`~attention_src.translate.tokens` cuts a line into tokens and puts tokens together again;
2. :mod:`~attention_src.translate.corpus` reads sentence pairs into arrays of numbers, and says which line is wrong;
3. :mod:`~attention_src.translate.runs` keeps in one folder what a run was made with and what it learned;
4. :mod:`~attention_src.translate.training` trains one of the book's models on them;
5. :mod:`~attention_src.translate.speaking` translates and aligns with what it learned, and
   :mod:`~attention_src.translate.saying` says the most probable words faster than the chapters do;
6. :mod:`~attention_src.translate.measures` compares that with what people wrote;
7. :mod:`~attention_src.translate.pages` shows it in a page of its own.
"""
