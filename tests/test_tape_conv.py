"""Convolution three ways: the loops, the product of matrices, torch; columns and their adjoint; what does not fit."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import tape as benchmark
from cnn.tape import OPS, Tensor, conv, grad
from cnn.tape.windows import Window, col2im, im2col, im2col_rows
from tape_cases import convolving, pooled

rngs = st.integers(0, 10_000).map(np.random.default_rng)


@given(rngs)
def test_the_loops_are_the_product_of_matrices_and_torchs_convolution(rng):
    (x, w), how = convolving(rng)
    loops = conv.conv2d_loops(x, w, **how)
    np.testing.assert_allclose(OPS["conv2d"].forward(x, w, **how), loops, atol=1e-13)
    np.testing.assert_allclose(loops, F.conv2d(torch.tensor(x), torch.tensor(w), **how).numpy(), atol=1e-13)


@given(rngs)
def test_the_three_operations_are_one_form_linear_in_three_arguments(rng):
    """⟨g, conv2d(x, w)⟩ = ⟨conv2d_input(g, w), x⟩ = ⟨conv2d_weight(g, x), w⟩."""
    (x, w), how = convolving(rng)
    y = OPS["conv2d"].forward(x, w, **how)
    g = rng.normal(size=y.shape)
    form = (g * y).sum()
    scale = 1e-13 * np.abs(g * y).sum()
    assert abs((OPS["conv2d_input"].forward(g, w, shape=x.shape, **how) * x).sum() - form) < scale
    assert abs((OPS["conv2d_weight"].forward(g, x, shape=w.shape, **how) * w).sum() - form) < scale


@given(rngs)
def test_col2im_is_the_adjoint_of_im2col(rng):
    (x, w), how = convolving(rng)
    window = Window.of(w.shape[2:], how["stride"], how["padding"], how["dilation"])
    columns = im2col(x, window)
    c = rng.normal(size=columns.shape)
    back = col2im(c, x.shape, window)
    assert back.shape == x.shape
    assert abs((columns * c).sum() - (x * back).sum()) < 1e-13 * np.abs(columns * c).sum()


@given(rngs)
def test_columns_hold_what_the_formula_reads(rng):
    (x, w), how = convolving(rng)
    window = Window.of(w.shape[2:], how["stride"], how["padding"], how["dilation"])
    columns = im2col(x, window)
    c, p, q, i, j, n = (rng.integers(length) for length in columns.shape)
    row, col = (s * at + d * tap - pad for s, at, d, tap, pad in
                zip(window.stride, (i, j), window.dilation, (p, q), window.padding))
    inside = 0 <= row < x.shape[2] and 0 <= col < x.shape[3]
    assert columns[c, p, q, i, j, n] == (x[n, c, row, col] if inside else 0)


@given(rngs)
def test_columns_of_whole_rows_are_the_columns_and_more(rng):
    (x, w), how = convolving(rng)
    window = Window.of(w.shape[2:], 1, how["padding"], how["dilation"])
    columns, rows = im2col(x, window), im2col_rows(x, window)
    assert rows.shape[4] == x.shape[3] + 2 * window.padding[1]
    np.testing.assert_array_equal(rows[:, :, :, :, :columns.shape[4]], columns)


@pytest.mark.parametrize("width, padding, stride, fits", [(28, 1, 1, True), (16, 1, 1, True), (15, 1, 1, False),
                                                          (28, 1, 2, False), (28, (1, -1), 1, False)])
def test_rows_are_copied_whole_where_at_most_a_ninth_is_dropped(width, padding, stride, fits):
    window = Window.of(3, stride)._replace(padding=padding if isinstance(padding, tuple) else (padding, padding))
    assert window.fits_rows(width) is fits


@given(rngs)
def test_turned_round_twice_is_as_before(rng):
    """The adjoint's adjoint: the window, and the filters."""
    (_, w), how = convolving(rng)
    window = Window.of(w.shape[2:], 1, how["padding"], how["dilation"])
    assert window.turned().turned() == window
    np.testing.assert_array_equal(conv._turned(conv._turned(w, how["groups"]), how["groups"]), w)


def test_a_block_at_a_time_gives_the_same(monkeypatch):
    (x, w), how = convolving(np.random.default_rng(3))
    x = np.concatenate([x] * 3)[:5]
    g = np.random.default_rng(4).normal(size=OPS["conv2d"].forward(x, w, **how).shape)
    calls = [lambda: OPS["conv2d"].forward(x, w, **how),
             lambda: OPS["conv2d_input"].forward(g, w, shape=x.shape, **how),
             lambda: OPS["conv2d_weight"].forward(g, x, shape=w.shape, **how)]
    whole = [call() for call in calls]
    for images in (1, 2):
        monkeypatch.setattr(conv, "_BLOCK", images * x[0].size)
        for call, expected in zip(calls, whole):
            np.testing.assert_allclose(call(), expected, atol=1e-13)


def test_a_block_holds_as_many_images_as_fit_and_at_least_one(monkeypatch):
    monkeypatch.setattr(conv, "_BLOCK", 2 * 3 * 36)
    assert len(list(conv._blocks((5, 3, 6, 6)))) == 3
    monkeypatch.setattr(conv, "_BLOCK", 1)
    assert len(list(conv._blocks((5, 3, 6, 6)))) == 5


@pytest.mark.parametrize("name", benchmark.SHAPES)
def test_on_the_shapes_of_the_benchmark_float32_is_torchs_float64(name):
    """In fewer images; the bound is the rounding of a sum of as many products as an entry has, as a random walk."""
    sizes = benchmark.SHAPES[name]
    x, w, how = benchmark.drawn((2, *sizes[1:]))
    ours = [Tensor(a, requires_grad=True) for a in (x, w)]
    theirs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, w)]
    y, y_torch = conv.conv2d(*ours, **how), F.conv2d(*theirs, **how)
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    pairs = zip([y, *grad(y, ours, g)], [y_torch, *torch.autograd.grad(y_torch, theirs, torch.tensor(g).double())])
    for (mine, other), products in zip(pairs, (w[0].size, w[:, 0].size, g[:, 0].size)):
        gap = np.abs(mine.data - other.detach().numpy()).max()
        assert gap < 8 * np.finfo(np.float32).eps * np.sqrt(products) * max(1, np.log2(products)), gap


def test_a_convolution_by_a_shifted_point_shifts():
    x = np.random.default_rng(0).normal(size=(1, 1, 6, 6))
    w = np.zeros((1, 1, 3, 3))
    w[0, 0, 2, 1] = 1                                           # one below the centre: reads from below
    y = OPS["conv2d"].forward(x, w, padding=1)
    np.testing.assert_array_equal(y[0, 0, :-1], x[0, 0, 1:])
    assert (y[0, 0, -1] == 0).all()


@pytest.mark.parametrize("x, w, how, says", [
    ((1, 3, 8, 8), (4, 2, 3, 3), {}, "need 2 channels"),
    ((1, 4, 8, 8), (3, 2, 3, 3), {"groups": 2}, "multiple of 2 filters"),
    ((1, 4, 8, 8), (3, 2, 3, 3), {"groups": 0}, "0 groups"),
    ((4, 8, 8), (3, 4, 3, 3), {}, r"must be \(N, C, H, W\)"),
    ((1, 3, 2, 8), (4, 3, 3, 3), {}, "smaller than the window"),
    ((1, 3, 8, 8), (4, 3, 3, 3), {"dilation": 4}, "smaller than the window"),
    ((1, 3, 8, 8), (4, 3, 3, 3), {"stride": 0}, "stride=.*at least 1"),
    ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": (1, -1)}, "padding=.*at least 0"),
])
def test_what_does_not_fit_says_why(x, w, how, says):
    with pytest.raises(ValueError, match=says):
        conv.conv2d(np.ones(x), np.ones(w), **how)


@pytest.mark.parametrize("how, says", [({"kernel": 2, "padding": 2}, "more than half"), ({"kernel": 9}, "smaller"),
                                       ({"kernel": 0}, "at least 1")])
def test_a_pool_that_does_not_fit_says_why(how, says):
    from cnn.tape.pooling import max_pool2d

    with pytest.raises(ValueError, match=says):
        max_pool2d(Tensor(np.ones((1, 1, 4, 4))), **how)


@given(rngs)
def test_a_pool_of_what_is_constant_is_constant(rng):
    from cnn.tape.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d

    (x,), how = pooled(lambda rng, size: np.full(size, 2.5))(rng)
    for pool in (max_pool2d, avg_pool2d):
        assert (abs(pool(Tensor(x), how["kernel"], how["stride"]).data - 2.5) < 1e-15).all()
    assert (abs(adaptive_avg_pool2d(Tensor(x), int(rng.integers(1, 9))).data - 2.5) < 1e-14).all()
