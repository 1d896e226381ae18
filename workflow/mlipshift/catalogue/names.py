"""Human names, in display order, of the keys that the tables use."""

METHODS = {
    "zero": "Zero forces",
    "prior": "Prior",
    "supervised": "Supervised",
    "supervised_rr": "Supervised + RR",
    "supervised_rr_fallback": "Supervised + RR, fallback",
    "freeze": "Freeze",
    "freeze_ttt": "Freeze + TTT",
    "joint": "Joint",
    "joint_rr": "Joint + RR",
    "joint_rr_fallback": "Joint + RR, fallback",
    "joint_ttt": "Joint + TTT",
    "joint_placebo": "Joint + placebo TTT",
    "delta": "Δ-learning",
    "probe": "Supervised + prior head",
    "delta_joint": "Δ-learning + prior head",
    "joint_broad": "Joint, broad pre-training",
    "joint_transductive": "Joint, transductive pre-training",
}

MEANING = {
    "zero": "predicts no force at all",
    "prior": "the semi-empirical method itself",
    "supervised": "trained on reference labels only",
    "supervised_rr": "supervised, graph radius chosen per test structure as published",
    "supervised_rr_fallback": "supervised, radius refinement that may keep the trained radius",
    "freeze": "pre-trained on prior labels, representation frozen, reference head fine-tuned",
    "freeze_ttt": "Freeze, then test-time training on the prior labels of the test structure",
    "joint": "pre-trained on prior labels, then trained on prior and reference labels together",
    "joint_rr": "Joint, graph radius chosen per test structure as published",
    "joint_rr_fallback": "Joint, radius refinement that may keep the trained radius",
    "joint_ttt": "Joint, then test-time training on the prior labels of the test structure",
    "joint_placebo": "Joint, then test-time training on the prior labels of another molecule or geometry",
    "delta": "trained on reference minus prior; every prediction needs a prior call",
    "probe": "supervised, with a prior head fitted to its frozen representation",
    "delta_joint": "Joint with reference minus prior for the reference head; every prediction needs a prior call",
    "joint_broad": "Joint, pre-trained on prior labels of unlabelled structures as well",
    "joint_transductive": "Joint, pre-trained on prior labels of the test structures as well",
}

SCHEMES = {
    "joint_ttt": "Joint + TTT",
    "joint_ttt_between": "Joint + TTT, interpolated",
    "joint_distil": "Joint + distillation",
    "joint_distil_between": "Joint + distillation, interpolated",
    "joint_distil_unless_known": "Joint + distillation, unless known",
    "joint_distil_and_ttt": "Joint + distillation and TTT",
    "supervised_distil": "Supervised + distillation",
    "broad_ttt": "Joint, broad + TTT",
    "broad_distil": "Joint, broad + distillation",
}

AXES = {
    "new_elements": "New elements",
    "connectivity": "Connectivity",
    "force_norm": "Force norm",
    "larger": "Larger molecules",
}

CRITERIA = {
    "unseen_element_fraction": "Share of atoms of unseen elements",
    "composition_distance": "Distance of the composition",
    "n_atoms": "Number of atoms",
    "prior_force_norm_eV_per_A": "Mean norm of the prior forces",
    "reference_force_norm_eV_per_A": "Mean norm of the reference forces",
    "predicted_force_norm_eV_per_A": "Mean norm of the predicted forces",
    "window_fraction": "Eigenvalues in [0.9, 1.1]",
    "spectrum_padded_distance": "Spectral distance, zero-padded",
    "spectrum_padded_nearest": "Zero-padded distance to the nearest spectrum",
    "spectrum_wasserstein": "Spectral distance, Wasserstein",
    "spectrum_wasserstein_nearest": "Spectral distance to the nearest training structure",
}

GROUPS = {
    "train": "Training",
    "id_test": "In distribution",
    **{f"val_{key}": f"{name}, validation" for key, name in AXES.items()},
    **{f"ood_{key}": name for key, name in AXES.items()},
    "ood_all": "All held-out shifts",
    "ood_common": "Held-out molecules with the most geometries",
}

# groups of the user's own, by the beginning of their key
KINDS = {"id": "In distribution", "val": "Validation", "ood": "Held out"}


def method(key):
    """Display name of a method; an unknown key is its own name."""
    return METHODS.get(key, key)


def scheme(key):
    """Display name of an adaptation, or of 'KEY (K)' with K geometries; an unknown key without underscores."""
    name, space, count = key.partition(" ")
    return SCHEMES.get(name, METHODS.get(name, name.replace("_", " "))) + space + count


def group(key):
    """Display name of a group of structures; that of a group of the user's own comes from its key."""
    kind, _, name = key.partition("_")
    return GROUPS.get(key) or (f"{KINDS[kind]}: {name.replace('_', ' ')}" if name and kind in KINDS else key)


def shift(axis):
    """Display name of a shift, the part of a held-out group's key behind ood_."""
    return AXES.get(axis, axis.replace("_", " "))


def ordered(keys, names):
    """Distinct keys in the order of the dictionary `names`, unknown ones last and sorted."""
    keys = set(keys)
    return [k for k in names if k in keys] + sorted(keys - set(names))
