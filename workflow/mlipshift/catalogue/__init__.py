"""What the workflow knows by name, each once: methods, strategies, settings of an adaptation, figures, tables.

It imports base alone, and no numerical library: the rule files read it.
"""
