"""Experiments: one module each, run as `python -m experiments.<name> --config=configs/<name>.py`.

`app` parses the flags and `run_directory` keeps results; everything else is the experiments' own.
"""
