"""The checker measured: what it catches, names and passes, and how long it takes, beside PyTorch's gradcheck.

    python -m tests.benchmarks.gradcheck                    both, printed
    python -m tests.benchmarks.gradcheck --museum           the figures of the museum: every wrong and right layer there is
    python -m tests.benchmarks.gradcheck --speed            times, in turns with torch.autograd.gradcheck
    python -m tests.benchmarks.gradcheck --page             writes the museum's page of the documentation
"""

import argparse
import json
import sys
import time

from . import contenders, museum, page, speed


def parser():
    p = argparse.ArgumentParser(prog="python -m tests.benchmarks.gradcheck", description=__doc__.partition("\n")[0])
    p.add_argument("--museum", action="store_true", help="only the figures of the museum")
    p.add_argument("--speed", action="store_true", help="only the times")
    p.add_argument("--page", action="store_true", help=f"write {page.PATH.name} and stop")
    p.add_argument("--seeds", type=int, default=1, metavar="N", help="draw each layer N times (costly ones once; default 1)")
    p.add_argument("--only", default="", metavar="TEXT", help="only layers with TEXT in their name")
    p.add_argument("--repeats", type=int, default=speed.REPEATS, metavar="N", help="repeats of each timing (default %(default)s)")
    p.add_argument("--threads", type=int, default=1, metavar="N", help="threads of NumPy's BLAS and of PyTorch (default 1)")
    p.add_argument("--json", metavar="FILE", help="write everything that was measured")
    return p


def main(arguments=None):
    options = parser().parse_args(arguments)
    if options.page:
        page.PATH.parent.mkdir(exist_ok=True)
        page.PATH.write_text(page.text(), encoding="utf-8")
        print(f"wrote {page.PATH.name}")
        return
    both = options.museum == options.speed
    found = {"machine": speed.machine(options.threads)}
    print(found["machine"])
    with speed.limited(options.threads):
        if both or options.museum:
            found["museum"] = run_museum(options)
        if both or options.speed:
            found["speed"] = run_speed(options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(found, f, indent=1)


def run_museum(options):
    layers = [layer for layer in museum.exhibits() if options.only in layer.name]
    start = time.perf_counter()
    results = museum.examine(layers, options.seeds)
    wrong = sum(bool(layer.causes) for layer in layers)
    print(f"\nthe museum: {wrong} wrong layers, {len(layers) - wrong} right ones, {options.seeds} seeds, "
          f"{time.perf_counter() - start:.0f} s")
    print(contenders.__doc__.partition("\n\n")[2].rstrip())
    print("\n".join(museum.tables(results)))
    return [r.to_dict() for r in results]


def run_speed(options):
    rows = speed.measure(options.repeats)
    print("\n".join(speed.table(rows, options.repeats)))
    return [{"what": name, "tinyvision": a, "torch": b} for name, a, b in rows]


if __name__ == "__main__":
    sys.exit(main())
