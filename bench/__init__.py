"""One file per figure: each measures on this machine and compares with the goal of the design.

``make bench`` runs all; ``.venv/bin/python bench/<name>.py`` one. A file whose name is a package's (``bus.py``,
``gateway.py``) would hide that package when run as a file, so each begins like this:

    import sys
    from pathlib import Path

    if not __package__:  # run as a file: this folder's names would hide the packages of the same names
        sys.path[0] = str(Path(__file__).resolve().parents[1])

    from bench._report import Figure, main, tell

and ends with ``if __name__ == "__main__": main("What is measured", measure)``.
"""
