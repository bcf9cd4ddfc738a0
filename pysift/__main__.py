"""`python -m pysift` is the command `pysift`.

imports: cli
"""
import sys

from pysift.cli import main

sys.exit(main())
