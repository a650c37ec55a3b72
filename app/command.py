"""The console script: the networks can be installed without what the command line and the service need."""

import sys


def main() -> None:
    """Runs `mneme`, or says in one line which extra is missing."""
    try:
        from app.cli import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("app", "memory_core"):
            raise
        sys.exit(f"mneme: {error.name} is not installed: pip install 'mneme[service]'")
    run()
