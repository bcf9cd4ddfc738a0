"""`python -m diffsift` runs the applications of `diffsift/apps`."""
import sys

from diffsift.cli import main

sys.exit(main())
