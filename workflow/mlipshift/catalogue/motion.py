"""The figures of molecules in motion: dynamics, energy surfaces, fine-tuning; each where its settings ask for it."""

from mlipshift.catalogue.figure import Figure

_MOTION: tuple[Figure, ...] = ()
MOTION = {figure.name: figure for figure in _MOTION}
