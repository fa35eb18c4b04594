"""The code of the book *Weighing Attention*: one module per chapter, and what the chapters share."""
