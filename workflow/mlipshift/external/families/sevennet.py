"""SevenNet (Park et al., J. Chem. Theory Comput. 2024, 20, 4857), SevenNet-0 in the wheel.

Embedding: the scalar node features that go into the energy readout, mean over atoms.
"""

import torch
from sevenn.calculator import SevenNetCalculator
from sevenn.util import pretrained_name_to_path

from mlipshift.external.families.ase import Calculated

READOUT = "reduce_input_to_hidden"  # first layer of the readout; what goes into it is the representation


class Model(Calculated):
    def __init__(self, entry, checkpoint):
        torch.set_num_threads(1)
        options = {"model": str(checkpoint)} if checkpoint else {}
        super().__init__(entry, SevenNetCalculator(device="cpu", **options, **entry["arguments"]))
        self.cutoff = float(self.calculator.cutoff)
        self.calculator.model._modules[READOUT].register_forward_pre_hook(self._keep)

    @staticmethod
    def weights(entry, checkpoint):
        return checkpoint or pretrained_name_to_path(entry["arguments"].get("model", "7net-0"))

    def _keep(self, module, inputs):
        self.features = inputs[0]["x"].detach()

    def embedding(self, atoms):
        return self.features.mean(dim=0).double().numpy()
