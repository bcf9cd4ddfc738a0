"""`python -m diffsift` runs the applications of `diffsift/apps`.

imports: cli
"""
import sys

from diffsift.cli import main

sys.exit(main())
