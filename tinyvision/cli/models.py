"""`tinyvision models`: what can be trained, on what."""

from .networks import NETWORKS, fits, task_of
from .sets import SETS


def add(commands):
    models = commands.add_parser("models", help="list the networks and the sets that they fit",
                                 description="List networks and sets that `tinyvision train` knows, and which go together.",
                                 epilog="Example: tinyvision train unet --data cells")
    models.set_defaults(run=run)


def run(options):
    for task in dict.fromkeys(network.task for network in NETWORKS.values()):
        names = [name for name, network in NETWORKS.items() if network.task == task]
        sets = [data for data in SETS if any(fits(name, data) is None for name in names)]
        print(f"{task}: {task_of(names[0]).gives}, on {', '.join(sets)}")
        for name in names:
            print(row(name, sets))
        print()
    print("Weights are those for the first of the sets that fit.\n")
    print(f"{'set':14s} {'pictures':10s} {'answers':8s} {'epochs':>6s} {'batch':>6s} {'lr':>6s}  what it is")
    for name, source in SETS.items():
        shape = "x".join(map(str, source.shape))
        print(f"{name:14s} {shape:10s} {source.kind:8s} {source.epochs:6d} {source.batch_size:6d} {source.lr:6g}  {source.title}")


def row(name, sets):
    """Weights and title of a network, and which of these sets it does not fit."""
    network, fitting = NETWORKS[name], [data for data in sets if fits(name, data) is None]
    model = network.build(*SETS[fitting[0]].shape, task_of(name).typical())
    others = [data for data in sets if data not in fitting]
    besides = f"; not {', '.join(others)}" if others else ""
    return f"  {name:12s} {sum(p.size for p in model.parameters()):11,d}  {network.title}{besides}"
