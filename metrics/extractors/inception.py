"""The InceptionV3 of FID, as clean-fid uses it.

The network is the TensorFlow graph of Heusel et al. 2017 (arXiv:1706.08500), traced to TorchScript by NVIDIA
(inception-2015-12-05.pt, stylegan2-ada-pytorch). Images are resized as in Parmar et al. 2022 (arXiv:2104.11222):
bicubic, on float channels, with the filter widened when shrinking, not rounded.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.extractors.finding import weights_folder
from synth.metrics.extractors.network import Network, choose_device, import_torch, network
from synth.metrics.extractors.protocol import file_hash
from synth.metrics.extractors.torchscript import load_torchscript
from synth.metrics.images.windowing import Window, resize_grey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["FILE_NAME", "SHA256", "URL", "clean_resize", "inception"]

FILE_NAME = "inception-2015-12-05.pt"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{FILE_NAME}"
SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
"""Of the file at URL; k-diffusion checks the same digest."""

SIZE = (299, 299)


def inception(weights: str | Path | None = None, *, window: Window = "full", device: str | None = None) -> Network:
    """FID's features: the 2048 values after the last pooling.

    Args:
        weights: The file, or its folder. Default: looked for in $SYNTH_WEIGHTS, then where clean-fid, torch and
            stylegan2-ada keep it; what is found in those must have the known SHA-256.
        window: How 16-bit grey values come to 8 bits; 8-bit images stay as they are under "full".
        device: "cpu", "cuda", …; default: the GPU where there is one.

    Raises:
        InputError: The file is not there (the message says where to put it), or is another network.
    """
    named = _named(weights)
    path = _found() if named is None else named
    device = choose_device(device)
    module, digest = load_torchscript(path, device, sha256=SHA256 if named is None else None)
    layers = _layers(module, path)
    other = f"{path}: not FID's network (SHA-256 {digest[:12]}…): its scores do not compare with published ones"
    notes = () if digest == SHA256 else (other,)

    def prepare(images: NDArray[np.uint8]) -> Any:
        torch = import_torch()
        grey = torch.from_numpy(np.stack([clean_resize(image) for image in images]))
        return grey[:, None].expand(-1, 3, -1, -1).to(device)

    def forward(batch: Any) -> Any:
        return layers((batch - 128) / 128).flatten(1)

    return network("inception", window, prepare, forward, {"weights": digest}, device=device, notes=notes)


def clean_resize(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(299, 299) float32 in 0..255 of an image (h, w): one channel of clean-fid's `build_resizer("clean")`."""
    return resize_grey(image, SIZE).clip(0, 255)


def _layers(module: Any, path: Path) -> Any:
    if not hasattr(module, "layers"):
        raise InputError(f"{path}: a TorchScript module without the part 'layers': not clean-fid's Inception network")
    return module.layers


def _named(weights: str | Path | None) -> Path | None:
    """The file that the caller or SYNTH_WEIGHTS names; it may be another network."""
    if weights is not None:
        path = Path(weights)
        path = path / FILE_NAME if path.is_dir() else path
        if not path.is_file():
            raise InputError(f"{path}: no such file; {_advice()}")
        return path
    folder = weights_folder()
    if folder is not None and (folder / FILE_NAME).is_file():
        return folder / FILE_NAME
    return None


def _found() -> Path:
    """The file in a usual place; it must be FID's network."""
    strangers = []
    for path in _usual_places():
        if path.is_file():
            if file_hash(path) == SHA256:
                return path
            strangers.append(str(path))
    found = f" ({strangers[0]} has another SHA-256 and was not used)" if strangers else ""
    raise InputError(f"FID's Inception network was not found{found}; {_advice()}")


def _usual_places() -> Iterator[Path]:
    """clean-fid's folder (the system's temporary one, or the working directory on Windows), torch's and dnnlib's.

    Others may write to some of these, so what lies there counts only with the right hash.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    torch_home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    clean_fid = (Path(tempfile.gettempdir()), Path("/tmp"), Path())
    for folder in dict.fromkeys((*clean_fid, torch_home / "hub" / "checkpoints", cache / "k-diffusion")):
        yield folder / FILE_NAME
    yield from sorted((cache / "dnnlib" / "downloads").glob(f"*_{FILE_NAME}"))


def _advice() -> str:
    return (
        f"download {URL} (95 MB, SHA-256 {SHA256}) and pass its path as weights=…, "
        "or put it into the folder that SYNTH_WEIGHTS names"
    )
