"""π0.5 as pure functions on openpi's parameter tree.

Nothing here is a module or holds state: `params` is the nested dict that openpi saves, sizes are
read off its leaves, and every function is safe under `jit`, `vmap`, `grad` and `lax.map`.
"""
