"""The models that this workflow trains; `checkpoint` is the file weights.pt in their directory.

Embedding: scalar features of the shared representation, mean over atoms.
"""

from mlipshift.learn import networks, training
from mlipshift.learn.batches import collate
from mlipshift.mitigate import adaptation
from mlipshift.shift.graphs import build


class Model:
    def __init__(self, entry, checkpoint):
        training.configure()
        self.model, _ = networks.load(checkpoint.parent)
        self.cutoff = self.model.architecture.cutoff

    @staticmethod
    def weights(entry, checkpoint):
        return checkpoint

    def __call__(self, structure):
        numbers = structure.numbers
        energy, forces = adaptation.predict(self.model, [(numbers, structure.positions)])[0]
        features = self.model.features(collate([[build(numbers, structure.positions, self.cutoff)]]))
        baseline = float(self.model.baseline("reference", numbers, [len(numbers)])[0])
        return float(energy) + baseline, forces, features[0].mean(dim=0).double().numpy()
