"""What a run computes on: processes, precision and threads, chosen on purpose."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Precision", "accelerator_for", "agreed", "bf16_pays", "first_alone", "plain", "wanted_threads"]

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def accelerator_for(precision: Precision, threads: int | None = None) -> Accelerator:
    """The accelerator of this process, as accelerate's configuration and the launcher's environment say.

    Args:
        precision: "auto" is bf16 where it pays and fp32 elsewhere.
        threads: Of torch on a CPU; None: OMP_NUM_THREADS, or cores / processes.

    Raises:
        InputError: fp16 on a CPU, or a configuration that is not supported.
    """
    on_gpu = torch.cuda.is_available() and os.environ.get("ACCELERATE_USE_CPU", "false").lower() != "true"
    if precision == "fp16" and not on_gpu:
        raise InputError("precision fp16: needs a GPU; use auto, bf16 or fp32")
    chosen = ("bf16" if bf16_pays(on_gpu=on_gpu) else "fp32") if precision == "auto" else precision
    made = Accelerator(mixed_precision="no" if chosen == "fp32" else chosen)
    if made.distributed_type in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise InputError("accelerate: DeepSpeed and Megatron are not supported; choose FSDP or plain multi-GPU")
    if made.distributed_type == DistributedType.FSDP and not made.is_fsdp2:
        raise InputError("accelerate: FSDP is supported in its second version; set fsdp_version: 2")
    if not on_gpu:
        torch.set_num_threads(wanted_threads(threads, made.num_processes))
    return made


def bf16_pays(*, on_gpu: bool) -> bool:
    """Whether this machine multiplies in bfloat16 faster than in float32."""
    if on_gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities()
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))


def wanted_threads(threads: int | None, processes: int) -> int:
    """Threads of one process: those asked for, OMP_NUM_THREADS, or its share of the cores that it may use.

    Where others compute too, one thread is many times faster than two that wait for each other.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    return threads or (int(said) if said.isdigit() else 0) or max(1, len(os.sched_getaffinity(0)) // processes)


def agreed(accelerator: Accelerator, value: float) -> float:
    """The largest value of all processes, the same in each."""
    if accelerator.num_processes == 1:
        return value
    largest = torch.tensor([value], dtype=torch.float64, device=accelerator.device)
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    return float(largest)


@contextmanager
def first_alone(accelerator: Accelerator) -> Iterator[None]:
    """The main process does it first; the others then find what it made."""
    with accelerator.main_process_first():
        yield


def plain(net: Any) -> Any:
    """The network without what accelerate wrapped it in."""
    return net.module if hasattr(net, "module") else net
