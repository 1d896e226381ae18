"""Tables of the energy surfaces and of the bonds of all methods, and of what is wrong with them."""

from pathlib import Path

from ase.io import iread

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.run import cli
from mlipshift.simulate import bond_tables, surfaces
from mlipshift.simulate.bonds import Limits
from mlipshift.simulate.surfaces import PRIOR, Answers


def main(args):
    frames, bonds = Frames.load(args.frames), Frames.load(args.bonds)

    def told(paths, others, of):
        """Answers of predictions, those with the other kind of forces under a name that says so."""
        found = [Answers.of_predictions(Predictions.load(path, of)) for path in paths]
        for path in others:
            one = Predictions.load(path, of)
            found.append(Answers.of_predictions(one, f"{one.method}_{args.other}"))
        return found

    reference = {}
    for path in args.reference:
        reference |= {atoms.info["id"]: atoms.info["REF_energy"] for atoms in iread(path, format="extxyz")}
    every = [
        Answers.of_labels(Labels.load(args.prior, frames), PRIOR),
        *told(args.predictions, args.other_predictions, frames),
    ]
    points, rough = surfaces.tables(frames, every, reference, args.limits)
    write_table(args.surfaces_table, points, surfaces.GRID)
    write_table(args.roughness_table, rough, surfaces.ROUGHNESS)
    own = Answers.of_labels(Labels.load(args.bonds_prior, bonds), PRIOR)
    every = [own, *told(args.bonds_predictions, args.other_bonds_predictions, bonds)]
    curves, judged = bond_tables.bond_rows(bonds, every, args.shortest, Limits(**args.limits))
    write_table(args.curves_table, curves, bond_tables.CURVES)
    write_table(args.bonds_table, judged, bond_tables.BONDS)
    write_table(args.scores_table, bond_tables.score_rows(judged, args.reasons), bond_tables.SCORES)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "structures of the surfaces"},
            "prior": {"type": Path, "help": "their prior labels"},
            "reference": {"type": Path, "nargs": "*", "help": "reference labels of some, extended XYZ"},
            "predictions": {"type": Path, "nargs": "*", "help": "of all methods and seeds"},
            "other": {"help": "other kind of forces, of --other-predictions"},
            "other_predictions": {"type": Path, "nargs": "*", "help": "of the models with these"},
            "other_bonds_predictions": {"type": Path, "nargs": "*", "help": "the same"},
            "bonds": {"type": Path, "help": "structures of the bonds"},
            "bonds_prior": {"type": Path, "help": "their prior labels"},
            "bonds_predictions": {"type": Path, "nargs": "*", "help": "of all methods and seeds, and of other models"},
            "shortest": {"type": float, "help": "bond length over that at the minimum, of the first point"},
            "limits": {"type": cli.settings, "help": "JSON of what counts as a fault"},
            "reasons": {"type": cli.settings, "help": "JSON of {model: why it has not run}"},
            "surfaces_table": {"type": Path},
            "roughness_table": {"type": Path},
            "curves_table": {"type": Path},
            "bonds_table": {"type": Path},
            "scores_table": {"type": Path},
        },
    )
