"""What learns of a Stable Diffusion pipeline: its U-Net and text encoder as one network, whole or by LoRA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusers import StableDiffusionPipeline
from torch import Tensor, nn

from synth.core.errors import InputError
from synth.diffusion.training.finishing import seeded

if TYPE_CHECKING:
    from pathlib import Path

    from synth.diffusion.training.stable.settings import StableSettings

__all__ = ["LearningUNet", "save_lora"]

_UNET_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
_TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")


class LearningUNet(nn.Module):
    """The U-Net of a pipeline with its text encoder: noisy latents, times and tokens in, prediction out.

    Args:
        pipe: Its parts are changed in place: only what is trained wants gradients, and LoRA layers are added.
        settings: What is trained.
    """

    def __init__(self, pipe: StableDiffusionPipeline, settings: StableSettings) -> None:
        super().__init__()
        self.unet, self.text_encoder = pipe.unet, pipe.text_encoder
        parts = [(self.unet, _UNET_LAYERS, True), (self.text_encoder, _TEXT_LAYERS, settings.trains_text)]
        for part, layers, trained in parts:
            part.requires_grad_(trained and settings.method == "full")
            if trained and settings.method == "lora":
                _add_lora(part, layers, settings)
        if settings.checkpointing:
            self.unet.enable_gradient_checkpointing()

    def forward(self, noisy: Tensor, times: Tensor, ids: Tensor) -> Tensor:
        """Latents (n, c, h, w), times (n,) and tokens (n, l) → (n, c, h, w)."""
        predicted: Tensor = self.unet(noisy, times, self.text_encoder(ids)[0]).sample
        return predicted

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Of what is trained: the rest is in the model that training began with."""
        trained = {name for name, value in self.named_parameters() if value.requires_grad}
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in trained}


def save_lora(net: LearningUNet, folder: Path) -> None:
    """Writes the added layers as safetensors that `StableDiffusionPipeline.load_lora_weights` reads."""
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=_lora_layers(net.unet), text_encoder_lora_layers=_lora_layers(net.text_encoder)
    )


def _add_lora(part: Any, layers: tuple[str, ...], settings: StableSettings) -> None:
    from peft import LoraConfig

    config = LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules=list(layers))
    try:
        with seeded(settings.seed):
            part.add_adapter(config)
    except ValueError as error:  # transformers may ask for a newer peft, and then would not load the adapter either
        raise InputError(
            f"lora: not to be added to {type(part).__name__} ({error}); set text_encoder: false"
        ) from error


def _lora_layers(part: Any) -> dict[str, Tensor] | None:
    """An empty mapping is refused by diffusers; None is nothing."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    if not getattr(part, "peft_config", None):
        return None
    layers: dict[str, Tensor] = convert_state_dict_to_diffusers(get_peft_model_state_dict(part))
    return {name: value.detach().cpu().contiguous() for name, value in layers.items()}
