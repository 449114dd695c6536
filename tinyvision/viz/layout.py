"""Where to put the boxes of a directed graph without cycles, so that arrows point down and few of them cross.

    1 layers       each box stands below all it comes from; one that comes from nothing stands right above its first use
    2 dummies      an arrow over several layers gets a narrow box of its own in each layer between, which keeps its way free
    3 order        within a layer by the mean place of the neighbours (barycentre), up and down in turns; the best order is kept
    4 coordinates  each box wants to stand under the mean of its neighbours; boxes of a layer must keep their order and distance
    5 chains       boxes that follow one another without a branch are put exactly under each other, where there is room
    6 ways         straight down through the layers, in curves between them

Step 4 for one layer: minimise sum of (x_i - wish_i)^2 with x_(i+1) - x_i >= d_i.  With the distances taken off, x_i - D_i for
D_i = d_0 + ... + d_(i-1), it asks for the nearest rising sequence, which averaging neighbours that fall finds exactly.

Sources: Sugiyama, Tagawa and Toda 1981, doi:10.1109/TSMC.1981.4308636; Gansner et al. 1993, doi:10.1109/32.221135 (dummies);
Barlow et al. 1972 (isotonic regression by pooling adjacent violators).
"""

from dataclasses import dataclass, field

SWEEPS, WIDTH = 24, 14                                    # pixels of a dummy
BETWEEN, BELOW, MARGIN = 22, 34, 16                       # pixels between boxes, between layers and around all


@dataclass
class Layout:
    """Centres of the boxes {node: (x, y)}, points of the arrows {(u, v): [(x, y), ...]}, and the size of all."""

    places: dict
    ways: dict
    width: float
    height: float


@dataclass
class Plan:
    """The graph with its dummies: `rows` of nodes, their sizes, the neighbours above and below, chains of the edges.

    side: the nodes that come from nothing and are used once, as weights are; they should not push the others around.
    """

    rows: list
    sizes: dict
    above: dict
    below: dict
    chains: dict
    dummies: set = field(default_factory=set)
    side: set = field(default_factory=set)


def arrange(sizes, edges):
    """A Layout of boxes of these sizes {node: (width, height)} and these edges [(from, to)], in pixels.

    Raises ValueError where the edges go in a circle.

    >>> layout = arrange({"a": (40, 20), "b": (40, 20)}, [("a", "b")])
    >>> layout.places
    {'a': (36.0, 26.0), 'b': (36.0, 80.0)}
    """
    edges = list(dict.fromkeys(edges))
    plan = with_dummies(layers(list(sizes), edges), dict(sizes), edges)
    order(plan)
    x, y = across(plan), down(plan)
    places = {node: (x[node], y[i][0] + y[i][1] / 2) for i, row in enumerate(plan.rows) for node in row}
    ways = {edge: way(plan, chain, places, y) for edge, chain in plan.chains.items()}
    right = max((x[node] + plan.sizes[node][0] / 2 for node in x), default=0)
    bottom = max((top + height for top, height in y), default=0)
    return Layout({node: places[node] for node in sizes}, ways, right + MARGIN, bottom + MARGIN)


def layers(nodes, edges):
    """{node: its layer}, 0 at the top."""
    after, waiting = {node: [] for node in nodes}, dict.fromkeys(nodes, 0)
    for u, v in edges:
        after[u].append(v)
        waiting[v] += 1
    sources = [node for node in nodes if not waiting[node]]
    layer, ready = dict.fromkeys(nodes, 0), list(sources)
    done = 0
    while ready:
        u = ready.pop()
        done += 1
        for v in after[u]:
            layer[v] = max(layer[v], layer[u] + 1)
            waiting[v] -= 1
            if not waiting[v]:
                ready.append(v)
    if done < len(nodes):
        raise ValueError("arrange: the edges go in a circle. Leave one out.")
    for u in sources:
        layer[u] = min((layer[v] for v in after[u]), default=1) - 1
    return layer


def with_dummies(layer, sizes, edges):
    """The Plan, in the order in which the nodes came."""
    rows = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node, i in layer.items():
        rows[i].append(node)
    plan = Plan(rows, sizes, {node: [] for node in layer}, {node: [] for node in layer}, {})
    for u, v in edges:
        chain = [u, *(("dummy", u, v, i) for i in range(layer[u] + 1, layer[v])), v]
        for i, node in enumerate(chain[1:-1], layer[u] + 1):
            rows[i].append(node)
            plan.dummies.add(node)
            plan.sizes[node], plan.above[node], plan.below[node] = (WIDTH, 0), [], []
        for a, b in zip(chain, chain[1:]):
            plan.below[a].append(b)
            plan.above[b].append(a)
        plan.chains[u, v] = chain
    plan.side = {node for node in layer if not plan.above[node] and len(plan.below[node]) == 1
                 and len(plan.above[plan.below[node][0]]) > 1}
    return plan


def order(plan):
    """Sort the rows so that few edges cross."""
    best, fewest = [list(row) for row in plan.rows], crossings(plan)
    for sweep in range(SWEEPS):
        going_down = sweep % 2 == 0
        rows = plan.rows if going_down else plan.rows[::-1]
        for row, fixed in zip(rows[1:], rows):
            rank = {node: i for i, node in enumerate(fixed)}
            neighbours = plan.above if going_down else plan.below
            wish = {node: sum(rank[m] for m in neighbours[node]) / len(neighbours[node]) if neighbours[node] else i
                    for i, node in enumerate(row)}
            row.sort(key=wish.get)
        count = crossings(plan)
        if count < fewest:
            best, fewest = [list(row) for row in plan.rows], count
        if fewest == 0:
            break
    plan.rows[:] = best


def crossings(plan):
    """How many pairs of edges cross."""
    total = 0
    for upper, lower in zip(plan.rows, plan.rows[1:]):
        rank = {node: i for i, node in enumerate(lower)}
        ends = [j for node in upper for j in sorted(rank[m] for m in plan.below[node])]
        total += inversions(ends)
    return total


def inversions(values):
    """How many pairs stand in falling order (by merging sorted halves)."""
    if len(values) < 2:
        return 0
    middle = len(values) // 2
    left, right = values[:middle], values[middle:]
    count = inversions(left) + inversions(right)
    left, right, j = sorted(left), sorted(right), 0
    for value in left:
        while j < len(right) and right[j] < value:
            j += 1
        count += j
    return count


def across(plan):
    """{node: x of its centre}: every box near the mean of its neighbours, rows in order and with distance."""
    x = {}
    for row in plan.rows:
        place = 0
        for node in row:
            x[node] = place + plan.sizes[node][0] / 2
            place += plan.sizes[node][0] + BETWEEN
    for sweep in range(2 * SWEEPS):
        rows = plan.rows if sweep % 2 == 0 else plan.rows[::-1]
        for row in rows:
            # the last sweeps look both ways: a box between a wide row and a narrow one stands between both
            wish = [wished(plan, node, x, (plan.above, plan.below) if sweep >= SWEEPS else
                           (plan.above,) if sweep % 2 == 0 else (plan.below,)) for node in row]
            x.update(zip(row, spread(wish, [distance(plan, a, b) for a, b in zip(row, row[1:])],
                                     [1 if node in plan.side else 8 for node in row])))
    straighten(plan, x)
    for row in plan.rows:                                 # what stands at the side moves up to what it is for
        wish = [x[plan.below[node][0]] if node in plan.side else x[node] for node in row]
        x.update(zip(row, spread(wish, [distance(plan, a, b) for a, b in zip(row, row[1:])],
                                 [1 if node in plan.side else 1e6 for node in row])))
    left = min((x[node] - plan.sizes[node][0] / 2 for node in x), default=0)
    return {node: value - left + MARGIN for node, value in x.items()}


def wished(plan, node, x, sides):
    """The mean place of the neighbours; between dummies an edge pulls harder, so that long ones are straight."""
    places = [(x[m], 8 if node in plan.dummies and m in plan.dummies else 0.05 if m in plan.side else 1)
              for side in sides for m in side[node]]
    return sum(place * weight for place, weight in places) / sum(weight for _, weight in places) if places else x[node]


def distance(plan, a, b):
    """Least distance of the centres of two neighbours in a row."""
    gap = BETWEEN / 2 if a in plan.dummies or b in plan.dummies else BETWEEN
    return (plan.sizes[a][0] + plan.sizes[b][0]) / 2 + gap


def straighten(plan, x):
    """Put the members of each chain at one x, as far down as there is room for it."""
    neighbours = {}
    for row in plan.rows:
        for a, b in zip(row, row[1:]):
            neighbours.setdefault(a, {})["right"] = b
            neighbours.setdefault(b, {})["left"] = a
    for chain in straight_chains(plan):
        while chain:
            low, high, taken = float("-inf"), float("inf"), []
            for node in chain:
                beside = neighbours.get(node, {})
                left, right = beside.get("left"), beside.get("right")
                most = max(low, x[left] + distance(plan, left, node)) if left is not None else low
                least = min(high, x[right] - distance(plan, node, right)) if right is not None else high
                if most > least:
                    break
                low, high = most, least
                taken.append(node)
            taken = taken or chain[:1]                    # rounding may leave no room where it stands
            mean = sum(x[node] for node in taken) / len(taken)
            if low <= high:
                x.update(dict.fromkeys(taken, min(max(mean, low), high)))
            chain = chain[len(taken):]


def straight_chains(plan):
    """Lists of nodes, each the only one below the one before and that the only one above it, weights not counted."""
    def main_above(node):
        return [m for m in plan.above[node] if m not in plan.side]

    after = {}
    for row in plan.rows:
        for node in row:
            below = plan.below[node]
            if node not in plan.side and len(below) == 1 and len(main_above(below[0])) == 1:
                after[node] = below[0]
    heads = [node for node in after if node not in set(after.values())]
    chains = []
    for node in heads:
        chain = [node]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        chains.append(chain)
    return sorted(chains, key=len, reverse=True)


def spread(wish, distances, weights=None):
    """The places nearest to these wishes (in squares, with these weights) that keep their order and distances.

    >>> spread([0, 0, 10], [4, 4])
    [-2.0, 2.0, 10.0]
    """
    weights = weights or [1] * len(wish)
    offsets = [0]
    for d in distances:
        offsets.append(offsets[-1] + d)
    pools = []                                            # [weighted sum, weight, count] of wishes that share a place
    for value, offset, weight in zip(wish, offsets, weights):
        pools.append([weight * (value - offset), weight, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] > pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last)]
    levels = [total / weight for total, weight, count in pools for _ in range(count)]
    return [float(level + offset) for level, offset in zip(levels, offsets)]


def down(plan):
    """(top, height) of every row."""
    rows, place = [], MARGIN
    for row in plan.rows:
        height = max(plan.sizes[node][1] for node in row)
        rows.append((place, height))
        # arrows that go far across need room to do it
        place += height + BELOW + min(40, 2 * sum(len(plan.below[node]) > 1 for node in row))
    return rows


def way(plan, chain, places, rows):
    """The points of an arrow: from the lower edge of the first box to the upper edge of the last, straight through rows."""
    layer = {node: i for i, row in enumerate(plan.rows) for node in row if node in chain}
    first, last = chain[0], chain[-1]
    points = [(places[first][0], places[first][1] + plan.sizes[first][1] / 2)]
    points.append((places[first][0], sum(rows[layer[first]])))
    for node in chain[1:-1]:
        top, height = rows[layer[node]]
        points += [(places[node][0], top), (places[node][0], top + height)]
    points.append((places[last][0], rows[layer[last]][0]))
    points.append((places[last][0], places[last][1] - plan.sizes[last][1] / 2))
    return points
