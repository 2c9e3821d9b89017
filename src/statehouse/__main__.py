"""The command `statehouse`.

Where the package was installed with `--no-deps`, beside a training program, it says what it lacks.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or say what it lacks."""
    try:
        from statehouse.scripts.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "statehouse").partition(".")[0] == "statehouse":
            raise
        from statehouse.models.extras import how_to_install_all

        sys.exit(
            f"error: the command needs {error.name}, which is not installed here; "
            f"what serves models is installed with: {how_to_install_all()}"
        )
    run()


if __name__ == "__main__":
    main()
