"""Calibration and rejection, against brute force and against data whose answer is known."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnn import assess, calibrate, evaluate, unknown

RNG = torch.Generator().manual_seed(0)


def honest(n, heat, classes=10):
    """Logits and labels drawn from softmax(logits / heat): `heat` is the temperature that calibrates them."""
    scores = 4 * torch.randn(n, classes, generator=RNG, dtype=torch.float64)
    return scores, torch.multinomial(F.softmax(scores / heat, 1), 1, generator=RNG).squeeze(1)


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_of_labels_drawn_at_a_temperature_is_found(heat):
    scores, labels = honest(50_000, heat)
    assert calibrate.temperature(scores, labels) == pytest.approx(heat, rel=0.03)


@pytest.mark.parametrize("heat", [0.5, 2.0])
def test_no_other_temperature_has_a_lower_loss(heat):
    scores, labels = honest(500, heat)
    best = calibrate.temperature(scores, labels)
    losses = [F.cross_entropy(scores / t, labels).item() for t in (best, *best * np.linspace(0.2, 5, 400))]
    assert losses[0] <= min(losses[1:]) + 1e-12
    assert losses[0] < F.cross_entropy(scores / (1.01 * best), labels).item()


def test_scaled_logits_scale_the_temperature():
    scores, labels = honest(500, 1.5)
    assert calibrate.temperature(7 * scores, labels) == pytest.approx(7 * calibrate.temperature(scores, labels))


def test_a_network_that_is_never_wrong_has_no_temperature():
    with pytest.raises(ValueError, match="every image is classified rightly"):
        calibrate.temperature(torch.eye(3), torch.arange(3))
    with pytest.raises(ValueError, match="no image"):
        calibrate.temperature(torch.empty(0, 3), torch.empty(0, dtype=torch.int64))


def test_calibration_error_vanishes_for_honest_probabilities_and_shows_a_gap():
    scores, labels = honest(100_000, 1.0)
    assert calibrate.calibration_error(F.softmax(scores, 1), labels) < 0.01
    certain = torch.tensor([[0.9, 0.1]]).expand(10, 2)       # nine of ten sure, right in six
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert calibrate.calibration_error(certain, labels) == pytest.approx(0.3)
    apart = torch.tensor([[0.9, 0.1], [0.95, 0.05]])         # two bins: one wrong, one right, and neither makes up
    assert calibrate.calibration_error(apart, torch.tensor([1, 0])) == pytest.approx((0.9 + 0.05) / 2)


def test_calibration_error_is_what_loops_over_the_bins_give():
    scores, labels = honest(300, 2.0)
    p = F.softmax(scores, 1)
    total = 0.0
    for k in range(15):
        inside = [i for i in range(300) if k / 15 < p[i].max() <= (k + 1) / 15]
        if inside:
            right = sum(p[i].argmax() == labels[i] for i in inside) / len(inside)
            total += len(inside) * abs(right - sum(p[i].max() for i in inside) / len(inside))
    assert calibrate.calibration_error(p, labels) == pytest.approx(total.item() / 300)


def test_auroc_is_the_share_of_pairs_in_order():
    known, strange = torch.randint(0, 9, (40,), generator=RNG) + 2.0, torch.randint(0, 9, (30,), generator=RNG) * 1.0
    pairs = [(a > b).double() + (a == b).double() / 2 for a in known for b in strange]
    assert calibrate.auroc(known, strange) == pytest.approx(torch.stack(pairs).mean().item())
    assert calibrate.auroc(known, known) == pytest.approx(0.5)
    assert calibrate.auroc(strange, known) == pytest.approx(1 - calibrate.auroc(known, strange))


@pytest.mark.parametrize("kept", [0.5, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("n", [7, 100, 1001])
def test_the_threshold_keeps_the_part_it_promises_and_a_higher_one_would_not(kept, n):
    known = torch.randn(n, generator=RNG)
    t = calibrate.threshold(known, kept)
    assert (known >= t).double().mean() >= kept
    assert (known > t).double().mean() < kept


def test_fpr95_of_known_and_unknown_alike_is_95_percent_and_of_apart_0():
    known = torch.randn(2000, generator=RNG)
    assert calibrate.false_positives(known, known) == pytest.approx(0.95, abs=1e-3)
    assert calibrate.false_positives(known, known - 100) == 0


def test_confidences_are_the_papers():
    z = torch.tensor([[1.0, 2.0, 3.0]])
    total = sum(math.exp(k) for k in (1, 2, 3))
    assert calibrate.energy(z).item() == pytest.approx(math.log(total))
    assert calibrate.max_probability(z).item() == pytest.approx(math.exp(3) / total)
    assert assess.confidences(2.0)["max_probability"](z).item() == pytest.approx(
        math.exp(1.5) / sum(math.exp(k / 2) for k in (1, 2, 3)))


def test_temperature_and_thresholds_come_from_the_validation_part_and_accuracy_from_the_test_part(tmp_path):
    from dataclasses import asdict

    from cnn import checkpoint, manifest
    from cnn.recipes import recipe
    answers = {"validation": honest(20_000, 2.0), "test": honest(20_000, 0.5)}
    checkpoint.save_answers(answers, tmp_path / "answers.npz")
    manifest.write_json(tmp_path / "manifest.json", {"recipe": asdict(recipe("mobilenet"))})
    record = assess.assess(tmp_path)
    assert record["temperature"] == pytest.approx(2.0, rel=0.05)
    assert record["test_accuracy"] == evaluate.accuracy(*answers["test"])
    kept = calibrate.max_probability(answers["validation"][0] / record["temperature"])
    assert (kept >= record["thresholds"]["max_probability"]).double().mean().item() == pytest.approx(0.99, abs=1e-3)
    assert record["calibration_error"]["after"] > record["calibration_error"]["before"]        # it is the wrong one
    assert "unknown" not in record and manifest.read_json(tmp_path / "evaluation.json")["kept"] == 0.99


def test_risk_rises_from_the_surest_answers_to_the_error_of_all():
    scores, labels = honest(5000, 1.0)
    coverage, risk = calibrate.coverage_risk(scores, labels, calibrate.max_probability(scores))
    assert coverage[-1] == 1 and risk[-1].item() == pytest.approx(1 - evaluate.accuracy(scores, labels))
    assert risk[1000] < risk[3000] < risk[-1]


def test_students_t_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    for n in range(1, 31):
        assert evaluate.student_t(n) == pytest.approx(stats.t.ppf(0.975, n), abs=6e-5)


def test_wilson_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    for right, n in ((9, 10), (0, 5), (9920, 10_000)):
        low, high = stats.binomtest(right, n).proportion_ci(method="wilson")
        assert evaluate.wilson(right / n, n) == pytest.approx((low, high))


@pytest.mark.parametrize("kind", unknown.DRAWN)
def test_unknown_images_look_like_mnists_files(kind):
    images = unknown.DRAWN[kind](6, np.random.default_rng(0))
    assert images.shape == (6, 1, 28, 28) and images.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in images}) == 6
    assert images.amax((1, 2, 3)).min() > 150
