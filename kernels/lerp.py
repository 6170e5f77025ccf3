"""Linear interpolation of sixteen neighbouring samples at a time: the inner step of the row pass in `joseph`.

Sixteen outputs that advance by less than 31/16 of a voxel read from one run of 32 voxels. With AVX-512 BW that run is
one or two registers and a permutation picks the pairs to blend, five times faster than gathering them; elsewhere a
plain loop does the same arithmetic.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["HAS_AVX512", "LANES", "MAX_STEP", "SLACK", "lerp16"]

LANES = 16
MAX_STEP = 1.9
"""Largest advance from one output to the next, voxels, for which all pairs of a run lie within 32 voxels."""
SLACK = 2 * LANES
"""Elements that must be readable beyond the last voxel."""

HAS_AVX512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512bw", False))
_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()
_Z = (16, 32)  # lanes of a 512-bit register: 32-bit and 16-bit elements


def _at(builder: Any, data: Any, offset: Any, element: Any, lanes: int) -> Any:
    return builder.bitcast(builder.gep(data, [offset]), ir.VectorType(element, lanes).as_pointer())


def _load(builder: Any, data: Any, offset: Any, element: Any, lanes: int) -> Any:
    value = builder.load(_at(builder, data, offset, element, lanes))
    value.align = element.width // 8 if isinstance(element, ir.IntType) else 4
    return value


def _prefetch(builder: Any, data: Any, offset: Any) -> None:
    byte = ir.IntType(8).as_pointer()
    prefetch = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32]), "llvm.prefetch.p0"
    )
    read, keep, of_data = (ir.Constant(_I32, value) for value in (0, 2, 1))
    builder.call(prefetch, [builder.bitcast(builder.gep(data, [offset]), byte), read, keep, of_data])


def _pairs_u16(builder: Any, source: Any, start: Any, pairs: Any) -> tuple[Any, Any]:
    """The 16 left and right neighbours from 32 voxels of 16 bits: one word permutation."""
    words, floats = ir.VectorType(_I16, 32), ir.VectorType(_F32, 16)
    permute = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(words, [words, words]), "llvm.x86.avx512.permvar.hi.512"
    )
    voxels = _load(builder, source, start, _I16, 32)
    pair = builder.bitcast(builder.call(permute, [voxels, builder.bitcast(pairs, words)]), ir.VectorType(_I32, 16))
    a = builder.sitofp(builder.and_(pair, _splat(0xFFFF)), floats)
    b = builder.sitofp(builder.lshr(pair, _splat(16)), floats)
    return a, b


def _pairs_f32(builder: Any, source: Any, start: Any, pairs: Any) -> tuple[Any, Any]:
    """The 16 left and right neighbours from two registers of 16 floats: two permutations, which heed 5 bits."""
    floats, ints = ir.VectorType(_F32, 16), ir.VectorType(_I32, 16)
    permute = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(floats, [floats, ints, floats]), "llvm.x86.avx512.vpermi2var.ps.512"
    )
    low = _load(builder, source, start, _F32, 16)
    high = _load(builder, source, builder.add(start, ir.Constant(start.type, LANES)), _F32, 16)
    a = builder.call(permute, [low, pairs, high])
    b = builder.call(permute, [low, builder.add(pairs, _splat(1)), high])
    return a, b


def _splat(value: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, 16), [value] * 16)


@intrinsic
def _lerp16_avx512(
    typing: Any, source: Any, start: Any, ahead: Any, pairs: Any, fraction: Any, i: Any, out: Any, o: Any
) -> Any:
    signature = types.void(source, start, ahead, pairs, fraction, i, out, o)
    neighbours = {types.uint16: _pairs_u16, types.float32: _pairs_f32}[source.dtype]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = [context.make_array(signature.args[n])(context, builder, args[n]).data for n in (0, 3, 4, 6)]
        _prefetch(builder, data[0], builder.add(args[1], args[2]))
        lanes = _load(builder, data[1], args[5], _I32, 16)
        a, b = neighbours(builder, data[0], args[1], lanes)
        weight = _load(builder, data[2], args[5], _F32, 16)
        value = builder.fadd(a, builder.fmul(weight, builder.fsub(b, a), flags=("contract",)), flags=("contract",))
        builder.store(value, _at(builder, data[3], args[7], _F32, 16)).align = 4
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, fastmath={"contract"}, inline="always")
def _lerp16_plain(source, start, ahead, pairs, fraction, i, out, o):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        k = start + (pairs[i + lane] & 0xFFFF)
        a, b = np.float32(source[k]), np.float32(source[k + 1])
        out[o + lane] = a + fraction[i + lane] * (b - a)


lerp16 = _lerp16_avx512 if HAS_AVX512 else _lerp16_plain
"""lerp16(source, start, ahead, pairs, fraction, i, out, o): for the lanes l = 0…15, with
k = start + (pairs[i + l] & 0xFFFF), out[o + l] = source[k] + fraction[i + l] · (source[k + 1] − source[k]).

source: (n,) uint16 or float32; pairs: int32, offset in 0…30 in the low half and offset + 1 in the high half;
fraction, out: float32; all flat and C-contiguous. What lies `ahead` elements further is asked for from memory.
"""
