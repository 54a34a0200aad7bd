"""Santa Claus: every cell at the exercise's recipe, beside n-grams and compressors."""
