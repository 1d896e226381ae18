"""How the embedded benchmark and the stress set were made: sampled geometries, labels of density functional theory.

It imports base and prior.
"""
