"""The commands, one module each: HELP, EXAMPLE, add_arguments(parser), run(args) → exit code.

What several of them need is in `options` (the options of SIFT), `report` (stdout, stderr, progress,
pictures) and `compiling` (what numba has compiled).  At their top they import the standard library only.
"""
