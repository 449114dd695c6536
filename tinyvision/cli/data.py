"""`tinyvision data list|download|verify`: where data sets are on this machine, and whether they are whole."""

import argparse

from .arguments import UserError, as_user_errors

EXAMPLES = """\
Examples:
  tinyvision data list                    what there is, and where it lies
  tinyvision data download mnist          into the user's cache, or with --root DIR into a folder
  tinyvision data verify mnist            compare checksums, or open every picture"""


def add(commands):
    data = commands.add_parser("data", help="list, download and verify data sets", epilog=EXAMPLES,
                               description="List, download and verify data sets. They are looked for in --root, then in the "
                                           "folder that the variable TINYVISION_DATA names, then in the user's cache.",
                               formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = data.add_subparsers(required=True, metavar="ACTION")
    for action, text, run in (("list", "every set: task, size, where it lies", run_list),
                              ("download", "have a set on this machine", run_download),
                              ("verify", "check the files of a set", run_verify)):
        command = actions.add_parser(action, help=text, description=text[0].upper() + text[1:] + ".")
        if action != "list":
            command.add_argument("name", metavar="SET", help="its name in `tinyvision data list`")
        command.add_argument("--root", metavar="DIR", help="a folder to look into first, and to download into")
        command.set_defaults(run=run)


def run_list(options):
    from ..data.catalogue import listing
    print(f"{'set':22s} {'task':28s} {'examples':18s} {'download':>9s}  where")
    for row in listing(options.root):
        size = f"{row['megabytes']:,.0f} MB" if row["megabytes"] else "-"
        where = row["found"] or row["state"]
        where = f"{where} (in part)" if row["state"] == "in part" else where
        print(f"{row['name']:22s} {row['task']:28s} {row['examples']:18s} {size:>9s}  {where}")


def run_download(options):
    from ..data.catalogue import download
    with as_user_errors(ValueError):
        print(download(options.name, options.root))


def run_verify(options):
    from ..data.catalogue import verify
    with as_user_errors(ValueError):
        found = verify(options.name, options.root)
    wrong = [checked for checked in found if checked.state != "ok"]
    for checked in wrong if len(found) > 12 else found:
        print(f"{checked.state:8s} {checked.path}{f'  {checked.note}' if checked.note else ''}")
    if wrong:
        raise UserError(f"{len(wrong)} of {len(found)} files of {options.name} are not as they should be. Move them away and run "
                        f"`tinyvision data download {options.name}`.")
    print(f"{len(found)} files of {options.name} are right")
