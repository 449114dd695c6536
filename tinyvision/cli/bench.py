"""`tinyvision bench`: speed and memory beside other engines."""

import argparse

from .arguments import as_user_errors, whole_number

BENCH = """\
Measure tinyvision on this machine, beside PyTorch where it is installed, beside NumPy (im2col and matrix products), and beside
DeZero and HIPS autograd where they are. Times are taken in turns in one run, after every result was checked against the
reference; what counts is the ratio. Without options: training steps and a short table of layers, in about four minutes."""
BENCH_EXAMPLES = """\
Examples:
  tinyvision bench --quick                          all sizes small: see whether it works
  tinyvision bench --layers --plot roofline.png     every layer and pass, and how close each comes to the machine's limits
  tinyvision bench --steps --torch --json out.json  torch.compile as well, every figure to a file

Close other programs first: a machine that does something else tells nothing."""


def add(commands):
    bench = commands.add_parser("bench", help="measure speed and memory beside other engines", description=BENCH,
                                epilog=BENCH_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in (("layers", "every layer and pass"), ("steps", "training steps of whole networks"),
                       ("scaling", "time per operation while batch, channels, pixels grow"),
                       ("memory", "peak memory, each contender in a process of its own"),
                       ("startup", "first step of a fresh process, with empty and with warm caches")):
        bench.add_argument(f"--{name}", action="store_true", help=f"table: {text}")
    bench.add_argument("--torch", action="store_true", help="PyTorch in all its modes: torch.compile too, which is slow to start")
    bench.add_argument("--json", metavar="FILE", help="write every figure, with units")
    bench.add_argument("--plot", metavar="FILE", help="draw the layers' roofline (.png, .pdf, .svg)")
    bench.add_argument("--quick", action="store_true", help="small sizes and few rounds: less than a minute, and says little")
    bench.add_argument("--threads", type=whole_number(1), metavar="N", help="threads of every contender (as many as processors)")
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="measure a GPU instead, beside PyTorch with cuDNN")
    bench.add_argument("--tf32", action="store_true", help="with --device cuda: everybody may use TensorFloat-32 (allow_tf32)")
    bench.set_defaults(run=run)


def run(options):
    from ..backend import CudaError
    from ..bench import BenchError
    from ..bench.command import run_bench
    with as_user_errors(BenchError, ImportError, CudaError):
        run_bench(**{name: value for name, value in vars(options).items() if name != "run"})
