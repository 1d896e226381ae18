"""At the end, what was survived."""

KINDS = {
    "test_silent_state": "stale files, odd paths and homes",
    "test_kills": "kills, two runs at once and orphaned jobs",
    "test_disk_full": "full disks",
    "test_downloads": "damaged downloads",
    "test_malformed": "malformed inputs",
    "test_silent_files": "files that say charge, spin, units or names in words of their own",
    "test_silent_scale": "frames of 10,000 atoms",
    "test_silent_measures": "measures that rounding, size or missing training data would falsify",
    "test_silent_labels": "labels that are wrong or missing, structures that are left out",
    "test_silent_models": "models that would be wrong without a word",
}


def pytest_terminal_summary(terminalreporter, config):
    """Survived and failed cases of every kind."""
    terminalreporter.section("hard times")
    for module, kind in KINDS.items():
        survived, failed = (
            sum(f"{module}.py" in report.nodeid for report in terminalreporter.stats.get(outcome, ()))
            for outcome in ("passed", "failed")
        )
        if survived or failed:
            more = f", {config.getoption('kills')} kills in one of them" if module == "test_kills" else ""
            terminalreporter.write_line(f"{kind}: {survived} cases survived, {failed} not{more}")
