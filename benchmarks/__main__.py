"""`python -m benchmarks` lists the benchmarks, `python -m benchmarks NAME` runs one."""
import argparse
from importlib import import_module

BENCHMARKS = {
    "speed": "time of detectAndCompute against cv2.SIFT and the others, at equal threads",
    "parity": "how many keypoints and descriptors equal those of cv2.SIFT to the bit",
    "memory": "peak memory of a call, against cv2.SIFT and the formula",
    "startup": "imports, the first call, the first compilation, and what the kernel cache withstands",
    "cost": "time against pixels, keypoints and threads, with fitted exponents",
    "limit": "what the processor allows, and what share of it each stage reaches",
    "matching": "repeatability, matches and homographies, on the Oxford sequences under --data or on photographs",
    "localisation": "bias and spread of x, y and sigma on blobs whose place and size are known",
    "invariance": "repeatability and matches under rotation, scale, tilt, blur, noise, JPEG and exposure",
    "gradients": "time, memory, parity and torch.func of diffsift, forward and backward, beside kornia and cv2",
    "gradients_cuda": "the same for batches of 1 to 64 images on a GPU, beside kornia",
    "tape": "time of convolution on the tape against torch, forward and backward, at equal threads",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=BENCHMARKS, help="which one; without it they are listed")
    parser.add_argument("--quick", action="store_true", help="a minute's version")
    parser.add_argument("--data", metavar="DIR", help="folder of further photographs")
    options = parser.parse_args()
    if options.name is None:
        for name, what in BENCHMARKS.items():
            print(f"{name:14} {what}")
        return
    import_module(f"benchmarks.{options.name}").run(quick=options.quick, data=options.data)


if __name__ == "__main__":
    main()
