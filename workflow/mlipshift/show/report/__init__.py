"""The pages: numbers in words, sentences and tables computed from the result tables, one self-contained HTML file."""
