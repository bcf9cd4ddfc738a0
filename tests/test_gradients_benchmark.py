"""The benchmark of derivatives: everybody has a graph and as many slots, its rulers read right on known answers."""
import numpy as np
import pytest
import torch

from benchmarks import gradients, gradients_cuda, gradients_figure, gradients_parity, gradients_transforms
from benchmarks.differentiable import CONTESTANTS, Passes, present
from benchmarks.timing import Samples

pytest.importorskip("kornia", reason="kornia is what diffsift is held against: pip install kornia")
torch.set_num_threads(1)
EVERYBODY = pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda c: c.name)
SMALL = gradients.picture(64)


@EVERYBODY
def test_backward_is_the_derivative_of_the_sum_of_all_outputs(contestant):
    """Against autograd on that sum, once written out; a second pass does not add to the first."""
    detect, images = contestant.build(8, "cpu"), gradients.as_images(SMALL)
    passes = Passes(detect, images)
    for _ in range(2):
        passes.forward()
        passes.backward()
    pixels = images.clone().requires_grad_()
    sum(out.sum() for out in detect(pixels) if out.requires_grad).backward()
    assert pixels.grad.norm() > 0 and passes.outputs == []
    torch.testing.assert_close(passes.images.grad, pixels.grad)


@EVERYBODY
def test_everybody_fills_as_many_slots_as_it_was_given(contestant):
    columns, descriptors = contestant.places(contestant.build(16, "cpu")(gradients.as_images(gradients.picture(128))))
    assert columns.shape == (16, 4) and descriptors.shape == (16, 128)
    assert (columns[:, :2] > 0).all() and (columns[:, :2] < 127).all() and (columns[:, 2] > 0.5).all()


def test_a_ratio_is_base_over_it_of_forward_and_backward():
    taken = {gradients.BASE: (9, 2, 4), "mine": (9, 1, 1)}
    samples = {f"{name}, {kind}": Samples([seconds] * 3, [0] * 3)
               for name, times in taken.items() for kind, seconds in zip(gradients.PASSES, times)}
    samples["cv2, inference"] = Samples([1, 1, 1], [0] * 3)
    found = gradients.summary(samples)
    assert found["ratios"] == {gradients.BASE: 1, "mine": 3} and found["intervals"]["mine"] == (3, 3)


def test_a_race_times_everybody_and_the_figure_shows_them():
    row, = gradients.race(1, ((64, 4),), True, "as installed")
    assert set(row["found"]) == {*(c.name for c in present()), "cv2"} == set(row["ratios"]) | {"cv2"}
    assert len(row["seconds"]) == 3 * len(present()) + 1 and all(len(s) == 3 for s in row["seconds"].values())
    axes = gradients_figure.draw([row]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(row["found"])


# parity

KEYPOINTS, DESCRIPTORS = gradients_parity.of_cv2(gradients.picture(256))


def test_cv2_agrees_with_itself():
    same = gradients_parity.agreement([(KEYPOINTS, DESCRIPTORS)], [(KEYPOINTS, 3 * DESCRIPTORS)])
    assert same["places"] == same["places of cv2"] > 100
    assert same == {**same, "found": 1, "real": 1, "distance": 0, "angle": 1, "descriptor": pytest.approx(0)}


@pytest.mark.parametrize("change, found, angle", [((0.3, 0, 1, 0), 1, 1), ((9999, 0, 1, 0), 0, 0),
                                                  ((0, 0, 1.2, 0), 0, 0), ((0, 0, 1, 3), 1, 0)])
def test_what_is_too_far_in_place_scale_or_angle_does_not_count(change, found, angle):
    """By itself: one keypoint at a time, moved by a known amount."""
    dx, dy, scale, turn = change
    moved = KEYPOINTS[:1] * [1, 1, scale, 1] + [dx, dy, 0, turn]
    result = gradients_parity.agreement([(KEYPOINTS[:1], DESCRIPTORS[:1])], [(moved, DESCRIPTORS[:1])])
    assert (result["found"], result["real"], result["angle"]) == (found, found, angle)
    assert result["distance"] == pytest.approx(dx) if found else np.isnan(result["distance"])


def test_unrelated_descriptors_are_far_apart():
    eye = np.eye(128)[:2]
    keypoints = np.array([[10.0, 10, 2, 0]])
    assert gradients_parity.agreement([(keypoints, eye[:1])], [(keypoints, eye[1:])])["descriptor"] == (
        pytest.approx(np.sqrt(2)))


# torch.func


@pytest.mark.parametrize("transform", gradients_transforms.TRANSFORMS)
def test_a_smooth_function_passes_every_transform(transform):
    def numbers(weights):
        return torch.stack([weights.sin().sum(), (weights * weights.roll(1)).sum() + weights.exp().sum()])
    assert gradients_transforms.attempt(gradients_transforms.TRANSFORMS[transform], numbers) == "yes"


class HalfAsSteep(torch.autograd.Function):
    """2x, whose backward says 1 and whose forward derivative is 2."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g

    @staticmethod
    def jvp(ctx, g):
        return 2 * g


@pytest.mark.parametrize("transform", ["jacfwd", "jvp"])
def test_a_transform_that_runs_and_is_wrong_is_not_a_yes(transform):
    answer = gradients_transforms.attempt(gradients_transforms.TRANSFORMS[transform],
                                          lambda weights: HalfAsSteep.apply(weights).sum()[None])
    assert "off autograd by 1.0e+00" in answer


def test_a_failure_keeps_the_first_line_of_what_was_said():
    def numbers(weights):
        raise RuntimeError("no such rule\n  at some place")
    answer = gradients_transforms.attempt(gradients_transforms.TRANSFORMS["vmap"], numbers)
    assert answer == "RuntimeError: no such rule"


def test_a_result_that_depends_on_nothing_is_not_a_yes():
    answer = gradients_transforms.attempt(gradients_transforms.TRANSFORMS["jacrev"], lambda weights: 0 * weights)
    assert "0 throughout" in answer


# GPU


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="needs a GPU"):
        gradients_cuda.run(quick=True)


def test_a_batch_that_does_not_fit_ends_that_contestants_series(monkeypatch):
    """The others go on; on the CPU, with one whose second batch is refused."""
    def row(contestant, width, height, batch):
        if contestant.name == CONTESTANTS[0].name and batch > 1:
            return {"failed": "OutOfMemoryError: no room"}
        if contestant.name == CONTESTANTS[1].name and batch > 1:
            return {"median": {"forward": 0.0, "backward": gradients_cuda.PATIENCE + 2}, "peak_bytes": batch}
        return {"median": {"forward": 1.0, "backward": 2.0 * batch}, "peak_bytes": batch}

    monkeypatch.setattr(gradients_cuda, "_row", row)
    rows = list(gradients_cuda.measure((1, 2, 4)))
    counts = {c.name: sum(r["contestant"] == c.name for r in rows) for c in gradients_cuda.present()}
    assert counts.pop(CONTESTANTS[0].name) == counts.pop(CONTESTANTS[1].name) == 2 * 2
    assert set(counts.values()) <= {2 * 3}
    panels = gradients_figure.draw_batches(rows).axes
    assert [list(line.get_ydata()) for line in panels[0].lines][:2] == [[3], [3, gradients_cuda.PATIENCE / 2 + 1]]


def test_batches_are_timed(monkeypatch):
    """On the CPU, where the rest of the code is the same."""
    monkeypatch.setattr(gradients_cuda, "SLOTS", 2)
    taken = gradients_cuda.time_batch(CONTESTANTS[1], gradients.as_images(SMALL).expand(2, -1, -1, -1), "cpu")
    assert {kind: len(ms) for kind, ms in taken.items()} == {"forward": 3, "backward": 3}
    assert all(ms > 0 for times in taken.values() for ms in times)
