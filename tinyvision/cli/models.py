"""`tinyvision models`: what can be trained, on what."""

from .networks import NETWORKS, fits
from .sets import MASKS, SETS


def add(commands):
    models = commands.add_parser("models", help="list the networks and the sets that they fit",
                                 description="List networks and sets that `tinyvision train` knows, and which go together.",
                                 epilog="Example: tinyvision train unet --data cells")
    models.set_defaults(run=run)


def run(options):
    print(f"{'network':11s} {'weights':>11s}  {'what it is':62s} fits")
    for name, network in NETWORKS.items():
        sets = [data for data, source in SETS.items() if fits(name, source.shape, source.task) is None]
        model = network.build(*SETS[sets[0]].shape, 2 if network.task == MASKS else 10)
        print(f"{name:11s} {sum(p.size for p in model.parameters()):11,d}  {network.title:62s} {', '.join(sets)}")
    print("Weights are those for the first of the sets.\n")
    print(f"{'set':14s} {'pictures':10s} {'task':8s} {'epochs':>6s} {'batch':>6s} {'lr':>6s}  what it is")
    for name, source in SETS.items():
        shape = "x".join(map(str, source.shape))
        print(f"{name:14s} {shape:10s} {source.task:8s} {source.epochs:6d} {source.batch_size:6d} {source.lr:6g}  {source.title}")
