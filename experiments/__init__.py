"""Commands: `python -m experiments.<name> --config=configs/<name>.py[:variant]`.

A file here is a command, with `main` and a config of its own name. What commands are made of lies
in the folders beside them, and no folder imports a command.
"""
