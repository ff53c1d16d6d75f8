"""The ``towpath`` command: ``towpath`` after an installation, and ``python -m towpath``."""

from __future__ import annotations

import signal
import sys

from towpath import _native


def main() -> int:
    """Runs the command line of this process.

    Returns:
        The exit code: 0 all is well, 1 it failed or was refused, 2 the command line is wrong; some commands have
        their own.
    """
    if sys.platform != "win32":
        # The process is this command and nothing else: it ends where it is told to, and where nobody reads on.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return _native.command(["towpath", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
