"""Units, errors, files, tables, the frame store, the YAML reader: what every stage stands on.

It imports no other package of mlipshift.
"""
