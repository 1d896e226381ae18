"""At the end, what was survived."""

KINDS = {
    "test_silent_state": "stale files, odd paths and homes",
    "test_kills": "kills, two runs at once and orphaned jobs",
    "test_disk_full": "full disks",
    "test_downloads": "damaged downloads",
    "test_malformed": "malformed inputs",
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
