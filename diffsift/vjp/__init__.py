"""The derivatives by hand: the vector–Jacobian product of every stage, as plain functions of tensors.

For a stage y = f(x) and the cotangent ȳ = ∂loss/∂y,   f_vjp(ȳ, x) = Jᵀȳ = x̄,   J = ∂f/∂x.

    scalespace.py    doubling, decimation, blur and its σ, differences          linear: exact adjoints
    relax.py         gates, membership, soft clip, soft bins, B-splines         one formula each
    extrema.py       the soft extremum
    refine.py        stencils, Newton's step, the value there, edges, three gates
    planes.py        reading pixels and reading between them                    adjoint: add up what was read
    polar.py         length and angle, fused
    orientation.py   votes, smoothing, parabola and gates of the peaks
    descriptor.py    votes in a turned grid, norm – clip – norm
    pipeline.py      all of it backwards: `backward`

Nothing here asks autograd for anything.  Each file has the name of the step whose derivatives it holds, and each
docstring is the formula, with its singular points and the value taken there; docs/derivatives.md derives them.
A cotangent is written with a bar, x̄, and called `x_bar`; it has the shape of x.
"""
