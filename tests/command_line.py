"""Fixtures of the tests that call the command line; they name this module in pytest_plugins."""

import numpy as np
import PIL.Image
import pytest

from pysift import cli, photos


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with a photograph, the same turned by 90°, a blank one, and four files that are no image."""
    folder = tmp_path_factory.mktemp("pictures")
    cat = photos.photo("chelsea")[40:200, 100:320]
    for name, pixels in (("cat", cat), ("turned", np.rot90(cat)), ("blank", np.full((40, 50, 3), 99, np.uint8))):
        PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
    PIL.Image.fromarray(cat).save(folder / "cat.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "cat.jpg").read_bytes()[:1500])
    (folder / "text.png").write_text("this is no picture")
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    return folder


@pytest.fixture
def run(warm, capsys, monkeypatch, pictures):
    """Call main among the pictures; return its code, its stdout and its stderr, compilation not mentioned."""
    monkeypatch.chdir(pictures)

    def run(*argv):
        code = cli.main([str(a) for a in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, "".join(line for line in err.splitlines(True) if "compiling" not in line)

    return run


@pytest.fixture(scope="session")
def warm():
    """Compile all kernels, so that nothing else is timed or said."""
    cli.main(["warmup"])
