"""Starts the program `team-table` that this package has installed, as `team-table-mcp` or `python -m team_table_mcp`."""

import os
import subprocess
import sys
import sysconfig


def program() -> str:
    """Where the installer has put the program: a virtual environment, the user's scripts, or beside `pip install --target`."""
    name = "team-table" + (".exe" if os.name == "nt" else "")
    user = sysconfig.get_path("scripts", f"{os.name}_user")
    target = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")
    for folder in (sysconfig.get_path("scripts"), user, target):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"there is no {name} in {sysconfig.get_path('scripts')}, {user} or {target}")


def main() -> None:
    """Becomes the program; Windows has no such call, so this process waits there."""
    command = [program(), *sys.argv[1:]]
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)
