"""The border of the pipeline: downloads, archives, one reader per format, curation, selection.

It imports base and catalogue.
"""
