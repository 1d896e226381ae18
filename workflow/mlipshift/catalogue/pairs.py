"""Columns of a pair of atoms in a table, as it is drawn in a molecule."""

ENDS = tuple(f"{end}_{axis}_A" for end in ("first", "second") for axis in "xyz")
PAIR = ("first", "second", "first_element", "second_element", *ENDS)
