"""How the embedded benchmark was made: sampled geometries and labels of density functional theory.

It imports base and prior.
"""
