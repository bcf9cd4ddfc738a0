"""What the derivatives of SIFT are good for: one short file an application, each also a command.

    python -m diffsift                     lists them
    python -m diffsift covariance --help   says more

Each computes through `diffsift`, is judged by cv2's own SIFT where that makes sense (`judge.py`), and leaves a
figure and a JSON file (`report.py`).  docs/apps.md holds formulas, numbers and limits.
"""
