"""The site builds without a warning, every link leads somewhere, and it opens from file:// without a network."""
import hashlib
import html.parser
import re
import subprocess
import sys
import urllib.parse
from functools import cache
from pathlib import Path

import pytest

from browser import open_page

ROOT = Path(__file__).resolve().parent.parent
TYPESET = "window.MathJax && MathJax.startup.promise && MathJax.startup.promise.then(() => true)"
pytest.importorskip("sphinx", reason='the site needs Sphinx: pip install "siftgrad[docs]"')


@pytest.fixture(scope="module")
def site():
    """Build what `make docs` builds, into the same folder: cells that ran for these sources do not run again."""
    built = ROOT / "build/html"
    done = subprocess.run([sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-E", "-b", "html",
                           "-d", ROOT / ".cache/doctrees", ROOT / "docs", built],
                          capture_output=True, text=True, timeout=1200, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html")
               for path in (ROOT / "docs").rglob("*.md") if "_static" not in path.parts}
    made = {built / name for name in ("search.html", "genindex.html", "explorer_chelsea.html")}
    return {built / page for page in sources} | made


class Page(html.parser.HTMLParser):
    """What a page of HTML links to, what it loads, and the names of its places."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        elif tag == "link" and attrs.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(attrs["href"])
        elif attrs.get("src"):
            self.loads.append(attrs["src"])


read = cache(Page)


def broken(path, link):
    """Say what is wrong with a link of a page, if anything is."""
    parts = urllib.parse.urlsplit(link)
    target = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
    if not target.is_file():
        return "no such file"
    place = urllib.parse.unquote(parts.fragment)               # with "=" it is no place: the explorer's script reads it
    if place and "=" not in place and target.suffix == ".html" and place not in read(target).ids:
        return "no such place in it"


def test_every_source_has_become_a_page(site):
    assert sorted(str(page) for page in site if not page.exists()) == []
    assert (ROOT / "build/html/index.html") in site and (ROOT / "build/html/api/pysift.html") in site


def test_every_link_and_anchor_of_the_site_leads_somewhere(site):
    """Links to the web are not followed: the tests ask nothing of a network."""
    wrong = [f"{path.name}: {link}: {fault}" for path in site for link in read(path).links
             if not urllib.parse.urlsplit(link).scheme and (fault := broken(path, link))]
    assert not wrong, "\n".join(wrong)
    assert sum(len(read(path).links) for path in site) > 1000


def test_no_page_loads_anything_from_elsewhere(site):
    """Nothing with an address of the web, and every file that is loaded is there."""
    loads = [(path, link) for path in site for link in read(path).loads if not link.startswith("data:")]
    wrong = [f"{path.name}: {link}" for path, link in loads
             if link.startswith("//") or urllib.parse.urlsplit(link).scheme or broken(path, link)]
    assert not wrong, "\n".join(wrong)
    styles = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "build/html/_static").rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)'\"]*", styles) == []


def test_mathjax_is_the_file_whose_origin_is_written_down():
    """The sum in docs/_static/README.md is that of the file."""
    written = re.search(r"`([0-9a-f]{64})`", (ROOT / "docs/_static/README.md").read_text())[1]
    assert hashlib.sha256((ROOT / "docs/_static/tex-svg.js").read_bytes()).hexdigest() == written


def test_the_reference_has_every_public_name(site):
    """What __all__ of a package lists is described in docs/api; of a module that it lists, each public function is."""
    import cnn.explain
    import cnn.models
    import cnn.tape
    import diffsift
    import pysift
    ids = set().union(*(read(path).ids for path in site if path.parent.name == "api"))
    described = {name.rpartition(".")[2] for name in ids if "." in name}
    missing = [f"{package.__name__}.{name}" for package in (pysift, diffsift, cnn.tape, cnn.models, cnn.explain)
               for name in package.__all__ if name not in described and callable(getattr(package, name))]
    modules = [(module, name) for module in (pysift.convert, pysift.draw, cnn.tape.elementwise, cnn.tape.layers)
               for name, value in vars(module).items()
               if callable(value) and getattr(value, "__module__", "") == module.__name__ and name[0] != "_"]
    assert missing + [name for _, name in modules if name not in described] == [] and len(modules) > 30


def with_mathematics(site):
    return sorted(path for path in site if any("tex-svg.js" in link for link in read(path).loads))


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_opens_from_its_file_without_complaint_and_fits(site, width):
    """No error in the console, no request to a network, no picture missing, nothing wider than the window."""
    with open_page(ROOT / "build/html/index.html", width=width) as page:
        for path in sorted(site):
            page.go(path.as_uri())
            if path in with_mathematics(site):
                page.wait_for(TYPESET)
            wide = page.evaluate("document.documentElement.scrollWidth")
            lost = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
            assert (page.errors, page.outside, lost) == ([], [], []), path
            assert wide <= width, f"{path} is {wide} px wide"
            assert page.evaluate("document.querySelector('h1').innerText.length > 0"), path


def test_mathematics_is_drawn_on_every_page_that_has_some(site):
    """As SVG, no formula refused, nothing asked of a network: MathJax fetches what it lacks, and would fail here."""
    formulas = 0
    for path in with_mathematics(site):
        with open_page(path) as page:
            page.wait_for(TYPESET)
            asked = page.evaluate("document.querySelectorAll('span.math, div.math').length")
            drawn = page.evaluate("document.querySelectorAll('mjx-container svg').length")
            refused = page.evaluate(
                "[...document.querySelectorAll('[data-mjx-error]')].map(e => e.getAttribute('data-mjx-error'))")
            assert drawn >= asked and refused == [], f"{path.name}: {drawn} of {asked} formulas, {refused}"
            assert (page.errors, page.outside) == ([], []), path.name
            formulas += drawn
    assert formulas > 0


def test_search_answers_from_a_file(site):
    with open_page(ROOT / "build/html/search.html", fragment="?q=octave") as page:
        page.wait_for("document.querySelector('#search-results').innerText.includes('Conventions')")
        assert (page.errors, page.outside) == ([], [])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_dark_where_the_reader_wants_it(site, dark):
    with open_page(ROOT / "build/html/index.html", dark=dark) as page:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")         # rgb(r, g, b)
        assert (sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 128) == dark


def test_an_answer_is_hidden_until_it_is_asked_for(site):
    with open_page(ROOT / "build/html/reading.html") as page:
        shown = "document.querySelector('article details .cell_output').checkVisibility()"
        assert not page.evaluate(shown)
        page.evaluate("document.querySelector('article summary').scrollIntoView({block: 'center', behavior: 'instant'})")
        box = page.evaluate("document.querySelector('article summary').getBoundingClientRect().toJSON()")
        page.click(box["x"] + 20, box["y"] + box["height"] / 2)
        assert page.wait_for(shown)
