"""The models that this workflow trains; `checkpoint` is the file weights.pt in their directory.

Embedding: scalar features of the shared representation, mean over atoms.
"""

from mlipshift import adaptation, models, training


class Model:
    def __init__(self, entry, checkpoint):
        training.configure()
        self.model, _ = models.load(checkpoint.parent)
        self.cutoff = self.model.architecture.cutoff
        self.model.blocks[-1].register_forward_hook(self._keep)

    @staticmethod
    def weights(entry, checkpoint):
        return checkpoint

    def _keep(self, module, inputs, output):
        self.features = output[0].detach()

    def __call__(self, structure):
        numbers = structure.numbers
        energy, forces = adaptation.predict(self.model, [(numbers, structure.positions)])[0]
        baseline = float(self.model.baseline("reference", numbers, [len(numbers)])[0])
        return float(energy) + baseline, forces, self.features[0, : len(numbers)].mean(dim=0).double().numpy()
