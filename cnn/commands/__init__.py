"""The commands of cnnlab, one a file: HELP, EXAMPLE, add_arguments(parser), run(args) → exit code."""
