"""`python -m cnn` is the command `cnnlab`."""
import sys

from cnn.cli import main

sys.exit(main())
