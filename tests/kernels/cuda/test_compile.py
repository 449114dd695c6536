"""NVRTC, the compiler that CuPy uses, takes every CUDA source for GPUs from 2018 on; it needs no GPU for that."""

from itertools import product

import numpy as np
import pytest

from tinyvision.kernels.cuda import module, pool, softmax, tile, update

ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]
FLOAT, DOUBLE = np.dtype("f4"), np.dtype("f8")


THREE = dict(T0=1, T1=3, T2=3)


def tiles(found, dtype, taps=(1, 3, 3), **more):
    return [tile.constants(one, taps, dtype) | more for one in found]


def pooling():
    """Windows whose kernels know them, and others; sums by a thread, a warp and a block; moves by index."""
    known = [dict(FIXED=1, **dict(zip(("K0", "K1", "K2", "S0", "S1", "S2"), k + s))) for k, s in sorted(pool.FIXED)]
    for window in (*known, dict(FIXED=0)):
        yield dict(KIND=pool.MAXIMUM, TAP_TYPE=np.dtype("u1"), **window)
        yield dict(KIND=pool.SUMS, TAP_TYPE=np.dtype("u1"), LANES=1, ADAPTIVE=0, **window)
    for lanes, adaptive in product((32, 256), (0, 1)):
        yield dict(KIND=pool.SUMS, TAP_TYPE=np.dtype("u1"), LANES=lanes, ADAPTIVE=adaptive, FIXED=0)
    yield dict(KIND=pool.MOVES, INDEX_TYPE=np.dtype("i8"))


SETS = {  # the constants that the launchers of a source use
    "conv": [*tiles(tile.TILES, FLOAT, BQ=4), *tiles(tile.TILES_OF_DOUBLES, DOUBLE, BQ=4), *tiles(tile.WEIGHT_TILES, FLOAT),
             *tiles(tile.WEIGHT_TILES_OF_DOUBLES, DOUBLE), *tiles(list(tile.TILES)[:1], FLOAT, (5, 5, 5), BQ=1),
             *tiles(tile.TILES, FLOAT, (1, 2, 2), BQ=4, P0=1, P1=1, P2=2, PAIR=1),
             *tiles(tile.WEIGHT_TILES, FLOAT, (1, 1, 1), DENSE=1), *tiles(tile.WEIGHT_TILES_OF_DOUBLES, DOUBLE, (1, 1, 1), DENSE=1),
             *tiles(tile.TF32_WEIGHT_TILES, FLOAT, (1, 1, 1), DENSE=1, TF32=1),
             *(one | dict(BQ=one["BK"], **more) for found, dtype, more in ((tile.TILES, FLOAT, {}), (tile.TILES_OF_DOUBLES, DOUBLE, {}),
                                                                          (tile.TF32_TILES, FLOAT, dict(TF32=1)))
               for one in tiles(found, dtype, (1, 1, 1), DENSE=1)),
             *tiles(list(tile.TILES)[1:], FLOAT, (1, 1, 1), BQ=8, P0=1, P1=2, P2=2),
             *tiles(list(tile.TF32_TILES)[3:4], FLOAT, (1, 1, 1), BQ=16, TF32=1, P0=1, P1=2, P2=2),
             *tiles(tile.TF32_TILES, FLOAT, TF32=1, BQ=16), *tiles(list(tile.TF32_TILES)[2:3], FLOAT, TF32=1, BQ=2),
             *tiles(tile.TF32_WEIGHT_TILES, FLOAT, TF32=1)],
    "conv_direct": [*(dict(TYPE=d, ROWS=r, PIXELS=2, **THREE) for d in (FLOAT, DOUBLE) for r in (1, 2, 4, 8)),
                    *(dict(TYPE=d, ROWS=r, PIXELS=p, TURNED=t, **THREE) for d in (FLOAT, DOUBLE) for r in (1, 16) for p in (2, 4) for t in (0, 1))],
    "conv_winograd": [dict(TYPE=FLOAT, **THREE)],
    "pool": [dict(TYPE=d, THREADS=256, **rest) for d in (FLOAT, DOUBLE) for rest in pooling()],
    "normalize": [dict(BACKWARD=back, TYPE=d, VEC=vec, THREADS=threads, VARIED=varied) for back, varied in product((0, 1), repeat=2)
                  for d, vec, threads in ((FLOAT, 4, 256), (FLOAT, 1, 32), (DOUBLE, 2, 32), (DOUBLE, 1, 256))],
    "softmax": [dict(TYPE=d, KIND=kind, LABEL_TYPE=np.dtype("i8"), TEAM=team, ITEMS=items, FITS=fits, THREADS=max(128, team))
                for d, kind in product((FLOAT, DOUBLE), range(3))
                for team, items, fits in {*map(softmax.teams, (1, 10, 200, 1000, 3000, 9000)), *map(softmax.alone, (8, 20, 40))}],
    "sums": [dict(TYPE=d, SUM_TYPE=d, THREADS=256) for d in (FLOAT, DOUBLE)],
    "update": [{**update.constants_of(d, c), "FACTOR_TYPE": FLOAT} for d, c in product((FLOAT, DOUBLE), (1, 2, 3, 4, 5))],
    "elementwise": [dict(TYPE=d, THREADS=256) for d in (FLOAT, DOUBLE)],
    "random": [dict(THREADS=256)],
    "resample": [dict(TYPE=d, INDEX_TYPE=np.dtype(i), VEC=vec, THREADS=256)
                 for d, i, vec in ((FLOAT, "i4", 1), (FLOAT, "i4", 4), (DOUBLE, "i4", 2), (DOUBLE, "i8", 1))],
    "sort": [dict(INDEX_TYPE=np.dtype(i), WARPS=8, ROUNDS=8) for i in ("i4", "i8")],
    "im2col": [dict(TYPE=d, THREADS=256) for d in (FLOAT, DOUBLE)],
}


def nvrtc():
    compiler = pytest.importorskip("cupy", reason="CuPy is not installed").cuda.nvrtc
    try:
        compiler.getVersion()
    except Exception as error:                            # CuPy without the toolkit's library
        pytest.skip(f"NVRTC is not installed: {error}")
    return compiler


def test_every_source_is_compiled_here():
    assert sorted(SETS) == sorted(path.stem for path in module.FOLDER.glob("*.cu"))


def compile_all(file, architecture, sets):
    compiler = nvrtc()
    for constants in sets:
        if "TF32" in constants and architecture == "sm_75":
            continue                                      # which has no such instructions: see tf32.wanted
        program = compiler.createProgram(module.source(file), f"{file}.cu", (), ())
        options = [f"--gpu-architecture={architecture}", *module.options(tuple(constants.items()))]
        try:
            compiler.compileProgram(program, options)
        except compiler.NVRTCError as error:
            raise AssertionError(f"{file}.cu for {architecture} with {constants}: {error}\n{compiler.getProgramLog(program)}")
        assert len(compiler.getCUBIN(program) if hasattr(compiler, "getCUBIN") else compiler.getPTX(program)) > 1000
        if "TF32" in constants:
            expected = constants["TM"] // 2 * (constants["TN"] // 2) * (constants["BK"] // 8)
            assert str(compiler.getPTX(program)).count("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32") == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", sorted(SETS))
def test_nvrtc_compiles(file, architecture):
    """Every eighth set, others for each architecture."""
    compile_all(file, architecture, SETS[file][ARCHITECTURES.index(architecture)::8] or SETS[file][:1])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", sorted(SETS))
def test_nvrtc_compiles_with_every_constant(file, architecture):
    compile_all(file, architecture, SETS[file])


def test_the_time_to_compile_is_that_of_a_compilation(monkeypatch):
    """NVRTC keeps what it has compiled: a source it has seen takes it no time."""
    compiler, codes = nvrtc(), []
    create = compiler.createProgram
    monkeypatch.setattr(compiler, "createProgram", lambda code, *rest: codes.append(code) or create(code, *rest))
    assert all(0.01 < module.seconds_to_compile("conv", "sm_90") < 30 for _ in range(2))
    assert codes[0] != codes[1]


@pytest.mark.parametrize("error", [MemoryError("full"), RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access")])
def test_what_others_did_is_not_the_compilers_fault(monkeypatch, error):
    """Else all kernels would be turned off for it, for a wrong reason."""
    def make(code, options):
        raise error
    monkeypatch.setattr(module.compiler, "make", make)
    monkeypatch.setattr(module.compiler, "device", lambda: 99)
    with pytest.raises(type(error), match=str(error)[:4]) as caught:
        module.function("sums", "sum_parts", TYPE=FLOAT, SUM_TYPE=FLOAT, THREADS=64)
    assert caught.value is error
