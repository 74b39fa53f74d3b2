# What is used here of a library that carries no types. Types inferred from its code depend on the
# order in which files are checked.
from ml_collections import config_dict as config_dict, config_flags as config_flags
from ml_collections.config_dict import ConfigDict as ConfigDict
