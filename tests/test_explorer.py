"""The explorer's page, opened in headless Chromium: its numbers are those of pysift.trace, and mouse and keys work."""
import functools
import json
from importlib.resources import files

import numpy as np
import PIL.Image
import pytest

from browser import open_page
from pysift.explorer import explore
from pysift.explorer.candidates import slider_ranges
from pysift.explorer.neighbours import neighbours
from pysift.explorer.replay import replay
from pysift.matching import match
from pysift.params import SIFTParams
from pysift.photos import photo
from pysift.pipeline import detect, sift
from pysift.tracing import STEPS, trace

pytest_plugins = ("command_line",)
IMAGE = photo("chelsea")[60:260, 60:320]
PAGE = files("pysift.explorer") / "page"
TOLD = "document.body.dataset.told === document.body.dataset.picked && document.body.dataset.ready"


@functools.cache
def traced(params=SIFTParams()):
    return trace(IMAGE, params)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "page.html"
    path.write_text(explore(IMAGE, name="a <cat> & {{style}}"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(path):
    with open_page(path) as page:
        page.wait_for(TOLD)
        yield page


def picked(page, fragment):
    """Follow a link to a point of the page and wait until its story is told."""
    page.evaluate(f"void (location.hash = '{fragment}')")
    page.wait_for(f"document.body.dataset.told === '{fragment.lstrip('#')}'")


def array(page, name):
    js = f"Array.from(explorer.model.data.{name}, v => Number.isFinite(v) ? v : String(v))"
    return np.array(page.evaluate(js), float)


def slide(page, **at):
    for name, value in at.items():
        page.evaluate(f"""(() => {{ const s = document.getElementById('slider-{name}'); s.step = 'any';
            s.value = {value}; s.dispatchEvent(new Event('input')); }})()""")


def shown(page):
    rows = page.evaluate("explorer.model.order.map(p => ['x', 'y', 'sigma', 'theta']"
                         ".map(k => explorer.model.data[k][p]))")
    return sorted(map(tuple, rows))


def as_rows(k):
    return sorted(zip(k.x.tolist(), k.y.tolist(), k.sigma.tolist(), k.theta.tolist()))


def test_the_columns_of_the_page_are_the_keypoints_of_the_trace_to_the_bit(page):
    t = traced()
    n = page.evaluate("explorer.model.keypoints")
    assert n == len(t.keypoints) > 200
    for name in ("x", "y", "sigma", "theta", "response", "offset"):
        np.testing.assert_array_equal(array(page, name)[:n], getattr(t.keypoints, name))
    np.testing.assert_array_equal(array(page, "at")[:n], t.keypoints.layer)


def test_cube_histogram_and_descriptor_are_those_of_the_story_to_the_bit(page):
    t = traced()
    source, cube = array(page, "source").astype(int), array(page, "cube").reshape(-1, 27)
    histogram, after = array(page, "histogram").reshape(-1, 36), array(page, "descriptor").reshape(-1, 128)
    np.testing.assert_array_equal(array(page, "full"), np.arange(len(t.keypoints)))
    np.testing.assert_array_equal(after, t.descriptors)
    for i in range(0, len(t.keypoints), 7):
        story = t.story(i)
        np.testing.assert_array_equal(cube[source[i]], story.cube.ravel())
        np.testing.assert_array_equal(histogram[i], story.histogram)


def test_the_descriptor_before_clipping_becomes_the_one_after_it(page):
    """Clipped at 0.2 and brought to norm 1 it is the story's, as far as 4095ths tell."""
    t, before = traced(), array(page, "before").reshape(-1, 128) / 4095
    cut = array(page, "clipped")
    assert (np.linalg.norm(before, axis=1) == pytest.approx(1, abs=2e-3)) and cut.max() > 3
    for i in range(0, len(t.keypoints), 11):
        low = np.minimum(before[i], 0.2)
        np.testing.assert_allclose(low / np.linalg.norm(low), t.story(i).descriptor.ravel(), atol=4e-4)
        assert abs((before[i] > 0.2).sum() - cut[i]) <= (np.abs(before[i] - 0.2) < 2e-4).sum()


def test_the_gradient_window_is_the_level_about_the_pixel_in_255ths_of_its_span(page):
    t, frame, span = traced(), array(page, "frame").reshape(-1, 4).astype(int), array(page, "span").reshape(-1, 2)
    window, at = array(page, "window"), np.cumsum([0, *(frame[:, 0] * frame[:, 1])])
    for i in range(0, len(frame), 9):
        (w, h, left, top), (low, high) = frame[i], span[i]
        octave = next(o for o in t.octaves if o.index == t.keypoints.octave[i])
        wanted = octave.levels[t.keypoints.layer[i]][top:top + h, left:left + w]
        shown = low + window[at[i]:at[i + 1]].reshape(h, w) * (high - low) / 255
        np.testing.assert_allclose(shown, wanted, atol=0.51 * (high - low) / 255)
        reach = round(4.5 * t.keypoints.sigma[i] / 2.0**octave.index)             # 3·1.5σ, and one for the differences
        row, col = t.pixels[i]
        assert (left, top) == (max(col - reach - 1, 0), max(row - reach - 1, 0)) and low < high


def test_the_turned_patch_is_the_level_sampled_along_theta(page):
    from scipy.ndimage import map_coordinates
    t, patch = traced(), array(page, "patch").reshape(-1, 16, 16)
    for i in range(0, len(patch), 9):
        k, pixel = t.keypoints[i], 2.0 ** t.keypoints.octave[i]
        octave = next(o for o in t.octaves if o.index == k.octave[0])
        row, col = np.mgrid[:16, :16]
        turn = np.exp(1j * k.theta[0])
        where = ((col - 7.5) + 1j * (row - 7.5)) * turn * 0.75 * k.sigma[0] / pixel     # 3σ a cell, 4 samples
        where += np.rint(k.x[0] / pixel) + 1j * np.rint(k.y[0] / pixel)
        level = octave.levels[k.layer[0]]
        wanted = map_coordinates(level, [where.imag, where.real], order=1, mode="nearest")
        np.testing.assert_allclose(patch[i], wanted, atol=0.51)


def test_every_candidate_ends_as_the_trace_says_with_the_same_numbers(page):
    t, c = traced(), traced().candidates
    cells = {key: i for i, key in enumerate(zip(c.octave, c.layer, c.row, c.col))}
    step = page.evaluate("Array.from(explorer.model.verdict.step)")
    keys = zip(*(array(page, name).astype(int) for name in ("octave", "layer", "row", "col")))
    told = page.evaluate("""Array.from(explorer.model.verdict.step, (s, c) => { const m = explorer.model;
        const r = explorer.reason(m.data, m.params, m.at, s, c); return [r.value ?? null, r.threshold ?? null]; })""")
    seen = 0
    for at, key in enumerate(keys):
        if key not in cells:
            assert step[at] == 255
            continue
        i, seen = cells[key], seen + 1
        assert STEPS[step[at]] == c.step[i]
        if not np.isnan(c.value[i]) and np.isfinite(c.value[i]):
            np.testing.assert_array_equal(np.float32(told[at]), [c.value[i], c.threshold[i]])
    assert seen == len(c.x) and {"edge", "low contrast", "did not settle", "left the octave"} <= set(c.step)
    legend = page.evaluate("[...document.querySelectorAll('#legend b')].map(b => [+b.dataset.step, +b.textContent])")
    shown_counts = {STEPS[k]: n for k, n in legend}
    assert shown_counts == {s: n for s, n in t.counts().items() if s in shown_counts} and len(shown_counts) >= 5


@pytest.mark.parametrize("changes", [
    {}, {"contrast_threshold": 0.0237}, {"contrast_threshold": 0.11}, {"edge_threshold": 3.0}, {"edge_threshold": 25.0},
    {"ori_peak": 0.55}, {"ori_peak": 1.0}, {"contrast_threshold": 0.03, "edge_threshold": 18.0, "ori_peak": 0.7}])
def test_the_sliders_leave_what_detect_finds_at_these_thresholds(page, changes):
    names = {"contrast_threshold": "contrast", "edge_threshold": "edge", "ori_peak": "peak"}
    page.evaluate("document.getElementById('reset').click()")
    slide(page, **{names[field]: value for field, value in changes.items()})
    found = detect(IMAGE, SIFTParams(**changes))
    assert shown(page) == as_rows(found) and int(page.evaluate("document.body.dataset.shown")) == len(found)
    assert f"{len(found)} keypoints" in page.evaluate("document.getElementById('effect').textContent")
    page.evaluate("document.getElementById('reset').click()")


def test_the_sliders_keep_the_strongest_of_what_passes(tmp_path):
    (tmp_path / "page.html").write_text(explore(IMAGE, SIFTParams(nfeatures=50)), encoding="utf-8")
    with open_page(tmp_path / "page.html") as page:
        page.wait_for(TOLD)
        for contrast in (0.04, 0.05):
            slide(page, contrast=contrast)
            t = traced(SIFTParams(nfeatures=50, contrast_threshold=contrast))
            assert shown(page) == as_rows(t.keypoints)
            count = page.evaluate(f"explorer.model.counts()[{STEPS.index('not among the strongest')}]")
            assert count == t.counts()["not among the strongest"] > 0


@pytest.mark.parametrize("i", [0, 37, 150])
def test_a_deep_link_tells_the_keypoint_of_that_number(path, page, i):
    with open_page(path, fragment=f"#kp={i}") as fresh:
        fresh.wait_for(TOLD)
        assert fresh.evaluate("document.body.dataset.picked") == f"kp={i}"
        assert fresh.evaluate("document.querySelector('#summary h2').textContent") == f"Keypoint {i}"
    k = traced().keypoints[i]
    picked(page, f"#kp={i}")
    cells = page.evaluate("Object.fromEntries([...document.querySelectorAll('#summary dd')].map("
                          "d => [d.dataset.name, d.firstChild.textContent.replace('−', '-')]))")
    assert cells == {"x": f"{k.x[0]:.2f}", "y": f"{k.y[0]:.2f}", "σ": f"{k.sigma[0]:.3f}",
                     "θ": f"{np.rad2deg(k.theta[0]):.2f}", "response": f"{k.response[0]:.4f}",
                     "octave": str(k.octave[0]), "layer": str(k.layer[0]), "offset": f"{k.offset[0]:.3f}"}


def test_the_text_of_all_numbers_is_that_of_the_trace(page):
    i = 60
    picked(page, f"#kp={i}")
    story = traced().story(i)
    tables = page.evaluate("[...document.querySelectorAll('#numbers table')].map(t => [...t.tBodies[0].rows].map("
                           "r => [...r.cells].map(c => c.textContent.replace('−', '-'))))")
    cube = [float(v) for line in tables[0] for v in line[2:]]
    np.testing.assert_allclose(cube, story.cube.ravel(), atol=5.1e-5)
    np.testing.assert_allclose([float(line[1]) for line in tables[1]], story.histogram, rtol=6e-4)
    assert [int(v) for line in tables[3] for v in line[2:]] == traced().descriptors[i].tolist()


def test_the_cube_is_drawn_by_layer_row_and_column(page):
    picked(page, "#kp=60")
    cells = page.evaluate("[...document.querySelectorAll('#extremum text.cell')].map(t => [+t.getAttribute('x'), "
                          "+t.getAttribute('y'), +t.textContent.replace('−', '-')])")
    x, y, shown = np.array(cells).T
    plane, column = np.divmod(x, 104)
    drawn = shown[np.lexsort([column, y, plane])]
    np.testing.assert_allclose(drawn, traced().story(60).cube.ravel(), atol=0.0501)
    framed = page.evaluate("(r => [+r.getAttribute('x'), +r.getAttribute('y')])"
                           "(document.querySelector('#extremum .centre'))")
    assert framed == [x[13] - 15, y[13] - 19]


def rays(page, which):
    """The rays of a drawn descriptor: its (4, 4, 8) lengths, and which of them are marked as clipped."""
    paths = page.evaluate(f"[...document.querySelectorAll('#descriptor figure:nth-child({which}) path')]"
                          ".map(p => [p.getAttribute('d'), p.classList.contains('over')])")
    lengths, over = np.zeros((4, 4, 8)), np.zeros((4, 4, 8), bool)
    for d, marked in paths:
        x, y, dx, dy = map(float, d[1:].replace("l", " ").split())
        at = int(y // 40), int(x // 40), round(-np.arctan2(dy, dx) * 4 / np.pi) % 8
        lengths[at], over[at] = np.hypot(dx, dy), marked
    return lengths, over


def test_the_stars_are_the_descriptor_by_row_column_and_angle_and_the_clipped_rays_are_marked(page):
    for i in (60, 133):
        picked(page, f"#kp={i}")
        (before, cut), (after, none) = rays(page, 1), rays(page, 2)
        wanted = traced().descriptors[i].reshape(4, 4, 8) / np.float64(512)
        scale = before.sum() / (array(page, "before").reshape(-1, 128)[i].sum() / 4095)
        np.testing.assert_allclose(after / scale, wanted, atol=2e-3)
        low = np.minimum(before / scale, 0.2)
        np.testing.assert_allclose(low / np.linalg.norm(low), traced().story(i).descriptor, atol=2e-3)
        clear = np.abs(before / scale - 0.2) > 2e-3
        np.testing.assert_array_equal(cut[clear], before[clear] / scale > 0.2)
        assert cut.sum() > 1 and not none.any()


def test_the_turned_patch_is_drawn_upright(page):
    """Rows downwards and columns to the right, read off the canvas in the middle of each sample."""
    picked(page, "#kp=60")
    shown = page.evaluate("""(canvas => { const pen = canvas.getContext('2d'), w = canvas.width / 16;
        return Array.from({length: 256}, (_, k) => pen.getImageData((k % 16 + 0.5) * w,
            (Math.floor(k / 16) + 0.5) * w, 1, 1).data[2]); })(document.querySelector('#patch canvas'))""")
    patch = array(page, "patch").reshape(-1, 256)[60]
    assert np.corrcoef(shown, patch)[0, 1] > 0.99 > np.corrcoef(shown, patch.reshape(16, 16).T.ravel())[0, 1] + 0.01


def test_a_real_mouse_move_picks_the_keypoint_under_it_and_a_click_pins_it(page):
    k = traced().keypoints
    alone = max(range(len(k)), key=lambda i: np.sort(np.hypot(*(k.xy - k.xy[i]).T))[1])      # far from all others
    page.key("Escape")
    page.evaluate("scrollTo(0, 0)")
    box = page.evaluate("(b => [b.left, b.top, b.width])(document.getElementById('picture').getBoundingClientRect())")
    scale = box[2] / IMAGE.shape[1]
    x, y = box[0] + (float(k.x[alone]) + 0.5) * scale + 3, box[1] + (float(k.y[alone]) + 0.5) * scale - 2
    page.mouse_move(x, y)
    page.wait_for(f"document.body.dataset.told === 'kp={alone}'")
    assert page.evaluate("document.body.dataset.pinned") == "false"
    page.click(x, y)
    page.wait_for("document.body.dataset.pinned === 'true'")
    page.mouse_move(x + 120, y + 90)
    page.wait_for(TOLD)
    assert page.evaluate("document.body.dataset.picked") == f"kp={alone}"
    page.wait_for(f"location.hash === '#kp={alone}'")
    page.wait_for(f"document.getElementById('said').textContent.startsWith('Keypoint {alone}.')")


def test_arrow_keys_go_from_left_to_right_and_by_strength(page):
    k = traced().keypoints
    picked(page, "#kp=10")
    for key, wanted in (("ArrowRight", 11), ("ArrowRight", 12), ("ArrowLeft", 11)):
        page.key(key)
        page.wait_for(f"document.body.dataset.told === 'kp={wanted}'")
    by_strength = np.argsort(-k.response, kind="stable").tolist()
    below = by_strength[by_strength.index(11) + 1]
    page.key("ArrowDown")
    page.wait_for(f"document.body.dataset.told === 'kp={below}'")
    page.key("ArrowUp")
    page.wait_for("document.body.dataset.told === 'kp=11'")


def test_the_switch_shows_the_dropped_and_one_of_them_says_why(page):
    assert page.evaluate("document.body.dataset.dropped") in (None, "false")
    page.key("d")
    assert page.evaluate("document.getElementById('dropped').checked && explorer.model.showDropped")
    edge = STEPS.index("edge")
    c = page.evaluate(f"explorer.model.verdict.step.indexOf({edge})")
    picked(page, f"#c={c}")
    box = page.evaluate("(b => [b.left, b.top, b.width])(document.getElementById('picture').getBoundingClientRect())")
    x, y = page.evaluate(f"explorer.model.placeOf({c})")
    found = page.evaluate(f"explorer.picture.at({box[0]} + ({x} + .5) * {box[2]} / {IMAGE.shape[1]}, "
                          f"{box[1]} + ({y} + .5) * {box[2]} / {IMAGE.shape[1]})")
    assert found is not None
    t = traced()
    octave, layer, row, col = (int(array(page, name)[c]) for name in ("octave", "layer", "row", "col"))
    own = np.flatnonzero((t.candidates.octave == octave) & (t.candidates.layer == layer) & (t.candidates.row == row)
                         & (t.candidates.col == col))[0]
    verdict = page.evaluate("document.querySelector('#summary .verdict').textContent").replace("−", "-")
    value = float(verdict.split("= ")[1].split(",")[0])
    assert t.candidates.step[own] == "edge" and value == pytest.approx(t.candidates.value[own], rel=6e-4)
    assert page.evaluate("document.querySelector('#refinement .fail span').textContent").startswith("edge")
    assert page.evaluate("document.getElementById('descriptor').hidden && !document.getElementById('missing').hidden")
    page.key("d")


def test_the_nearest_descriptors_are_those_of_match(page):
    d = traced().descriptors
    near, distance = array(page, "near").reshape(-1, 3).astype(int), array(page, "distance").reshape(-1, 3)
    for i in range(0, len(d), 13):
        away = np.sqrt(((d[i].astype(float) - d) ** 2).sum(axis=1))
        away[i] = np.inf
        np.testing.assert_allclose(distance[i], np.sort(away)[:3], rtol=1e-6)
        np.testing.assert_allclose(away[near[i]], distance[i], rtol=1e-6)


def test_with_a_second_image_the_matches_are_those_of_match(tmp_path):
    other = np.ascontiguousarray(np.rot90(IMAGE))
    here, there = sift(IMAGE), sift(other)
    index, distance = neighbours(here.descriptors, there.descriptors)
    pairs = match(here.descriptors, there.descriptors, ratio=None)
    np.testing.assert_array_equal(distance[pairs.index0, 0], pairs.distance)
    np.testing.assert_allclose(distance[pairs.index0, 0] / distance[pairs.index0, 1], pairs.ratio, rtol=1e-6)
    (tmp_path / "page.html").write_text(explore(IMAGE, other=other, other_name="turned"), encoding="utf-8")
    with open_page(tmp_path / "page.html", fragment="#kp=20") as page:
        page.wait_for(TOLD)
        np.testing.assert_array_equal(array(page, "near").reshape(-1, 3), index)
        assert f"keypoint {index[20, 0]} there" in page.evaluate("document.getElementById('matches').textContent")
        assert not page.errors


def test_the_page_asks_for_nothing_and_complains_of_nothing(page):
    assert not page.outside and not page.errors and len([u for u in page.requests if u.startswith("file:")]) == 1


def test_names_are_text_and_not_markup(page):
    assert page.evaluate("document.getElementById('what').textContent").startswith("a <cat> & {{style}} · 260 × 200 px")
    assert page.evaluate("document.title") == "a <cat> & {{style}}: SIFT explorer"


def test_every_picture_and_control_has_a_name(page):
    picked(page, "#kp=37")
    nameless = page.evaluate("""[...document.querySelectorAll('svg, canvas, button, input')].filter(e =>
        !e.getAttribute('aria-label') && !e.closest('[aria-hidden=true]') && !e.textContent.trim() &&
        !e.closest('label, figure')).map(e => e.outerHTML)""")
    assert nameless == []
    assert page.evaluate("document.getElementById('said').getAttribute('aria-live')") == "polite"
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_dark_is_dark(path, dark):
    with open_page(path, width=390, height=844, dark=dark, fragment="#kp=37") as page:
        page.wait_for(TOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.evaluate("document.getElementById('numbers').open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, colour.strip("rgb()").split(",")))
        assert (light < 200) if dark else (light > 600)
        assert not page.errors


@pytest.mark.parametrize("name", ["camera", "coffee"])
def test_the_page_of_a_photograph_of_640_by_480_stays_below_3_MB(name):
    picture = np.asarray(PIL.Image.fromarray(photo(name)).resize((640, 480), PIL.Image.Resampling.LANCZOS))
    assert len(explore(picture).encode()) < 3e6


def test_of_a_crowded_picture_the_strongest_thousand_are_in_full_and_3_MB_hold():
    """A mosaic of photographs, shrunk, has more to find in 640 × 480 pixels than one of them."""
    small = [np.asarray(PIL.Image.fromarray(photo(name)).resize((213, 240), PIL.Image.Resampling.LANCZOS))
             for name in ("camera", "chelsea", "coffee")]
    crowded = np.concatenate([np.concatenate(small, axis=1), np.concatenate(small[::-1], axis=1)])[:, :639]
    text = explore(crowded, SIFTParams(contrast_threshold=0.02))
    table = {a["name"]: a["shape"] for a in json.loads(text.split('id="about">')[1].split("</script>")[0])["arrays"]}
    assert table["full"] == [1000] and table["x"][0] > 2000 and len(text.encode()) < 3e6


@pytest.mark.parametrize("image", [np.full((40, 50), 99, np.uint8), np.zeros((2, 3, 3), np.uint8)])
def test_an_image_without_keypoints_has_a_page_that_says_so(tmp_path, image):
    (tmp_path / "page.html").write_text(explore(image), encoding="utf-8")
    with open_page(tmp_path / "page.html") as page:
        page.wait_for("document.body.dataset.ready")
        assert "0 keypoints" in page.evaluate("document.getElementById('count').textContent")
        page.key("ArrowRight")
        assert "No pixel" in page.evaluate("document.querySelector('#summary .verdict').textContent")
        empty = "[...document.querySelectorAll('#story .card')].filter(c => !c.hidden).map(c => c.id)"
        assert page.evaluate(empty) == ["summary"] and not page.errors


def test_where_every_candidate_is_dropped_the_sliders_bring_the_first_keypoint(tmp_path):
    params = SIFTParams(contrast_threshold=0.22)
    assert not len(detect(IMAGE, params)) and len(trace(IMAGE, params).candidates.x)
    (tmp_path / "page.html").write_text(explore(IMAGE, params), encoding="utf-8")
    with open_page(tmp_path / "page.html") as page:
        page.wait_for("document.body.dataset.ready")
        assert "was dropped" in page.evaluate("document.querySelector('#summary .verdict').textContent")
        slide(page, contrast=0.11)
        assert len(detect(IMAGE, params.replace(contrast_threshold=0.11)))
        page.wait_for("document.body.dataset.told.startsWith('kp=')")
        assert not page.evaluate("document.getElementById('extremum').hidden") and not page.errors


def test_with_a_single_other_descriptor_there_is_no_ratio(tmp_path):
    params = SIFTParams(nfeatures=2)
    assert len(detect(IMAGE, params)) == 2
    (tmp_path / "page.html").write_text(explore(IMAGE, params), encoding="utf-8")
    with open_page(tmp_path / "page.html", fragment="#kp=0") as page:
        page.wait_for(TOLD)
        assert "no second" in page.evaluate("document.getElementById('matches').textContent")


@pytest.mark.parametrize("width, share", [(1280, 0.8), (390, 0.5)])
def test_a_tall_picture_leaves_room_for_the_rest_of_the_window(tmp_path, width, share):
    (tmp_path / "page.html").write_text(explore(np.ascontiguousarray(IMAGE[:, 100:140])), encoding="utf-8")
    with open_page(tmp_path / "page.html", width=width, height=800) as page:
        page.wait_for("document.body.dataset.ready")
        box = page.evaluate("(b => [b.width, b.height])(document.getElementById('picture').getBoundingClientRect())")
        assert box[1] <= share * 800 and box[1] / box[0] == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda p: p.name)
def test_scripts_and_style_keep_to_the_width_and_length_of_the_python(path):
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 250 and [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("changes", [{"descriptor": "root"}, {"first_octave": 0, "n_octave_layers": 5},
                                     {"precise_upscale": False}])
def test_other_parameters_make_pages_whose_defaults_are_their_own(tmp_path, changes):
    params = SIFTParams(contrast_threshold=0.05, **changes)
    (tmp_path / "page.html").write_text(explore(IMAGE, params), encoding="utf-8")
    with open_page(tmp_path / "page.html") as page:
        page.wait_for(TOLD)
        assert shown(page) == as_rows(detect(IMAGE, params)) and not page.errors


def test_a_replay_ends_where_the_trace_does():
    t = traced()
    for octave in t.octaves[:3]:
        own = np.flatnonzero(t.candidates.octave == octave.index)
        starts = np.stack([t.candidates.layer, t.candidates.row, t.candidates.col], axis=1)[own]
        r = replay(octave.levels, starts, t.params)
        for at, i in enumerate(own):
            last = r.offsets[r.visited[at] - 1, at]
            for k in np.flatnonzero(t.source == i):
                assert (r.end[at] == [t.keypoints.layer[k], *t.pixels[k]]).all() and last[2] == t.keypoints.offset[k]
                np.testing.assert_allclose(r.end[at, 2] + last[0], t.keypoints.x[k] / 2.0**octave.index, rtol=1e-6)
            for k in range(r.visited[at] - 1):                       # each step goes where δ points
                np.testing.assert_array_equal(r.cells[k + 1, at] - r.cells[k, at], np.rint(r.offsets[k, at])[::-1])
            if t.candidates.step[i] in ("left the octave", "did not settle"):
                assert np.abs(last).max() == t.candidates.value[i] and np.isnan(r.contrast[at])
            if t.candidates.step[i] == "edge":
                assert r.ratio[at] == t.candidates.value[i]


def test_slider_ranges_contain_the_parameters():
    for params in (SIFTParams(), SIFTParams(edge_threshold=80, ori_peak=0.3, contrast_threshold=0.2)):
        for field, (low, high) in slider_ranges(params).items():
            assert low <= getattr(params, field) <= high and low < high


def test_explore_writes_the_page_and_shrinks_to_640_pixels(run, tmp_path):
    code, out, err = run("explore", "cat.png", "-o", tmp_path / "page.html", "--with", "turned.png")
    assert (code, err) == (0, "") and "220 × 160 px" in out
    assert "matched" in (tmp_path / "page.html").read_text("utf-8") and (tmp_path / "page.html").stat().st_size < 1.5e6
    PIL.Image.fromarray(np.tile(photo("chelsea"), (1, 3, 1))).save(tmp_path / "wide.png")
    code, out, _ = run("explore", tmp_path / "wide.png", "-o", tmp_path / "wide.html", "--contrast", "0.2")
    assert code == 0 and "640 × 141 px" in out


@pytest.mark.parametrize("argv, said", [
    (["none.png"], "none.png"), (["text.png"], "text.png"), (["cat.png", "--with", "none.png"], "none.png"),
    (["cat.png", "-o", "no/such/page.html"], "its folder exists"), (["cat.png", "-o", "."], "is a folder"),
    (["cat.png", "-o", "text.png/page.html"], "its folder exists"), (["cat.png", "-o", "page.png"], "use .html")])
def test_explore_says_what_is_wrong_and_writes_nothing(run, pictures, argv, said):
    before = sorted(pictures.iterdir())
    code, _, err = run("explore", *argv)
    assert code == (2 if "page.png" in argv else 1) and said in err.splitlines()[-1]
    assert sorted(pictures.iterdir()) == before
