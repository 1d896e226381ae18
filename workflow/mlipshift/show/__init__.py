"""What a reader sees: style, one module per figure, the report.

It imports base, catalogue and evaluate.statistics: everything shown is read from tables.
"""
