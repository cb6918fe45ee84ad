"""FLUX.2 [klein], the paper's image editor: diffusers' `Flux2KleinPipeline` with the frame as its reference.

What a reader gets wrong: the model is distilled. Four steps and no guidance are how it was trained, not a
shortcut (paper: FLUX.2-klein-9B; model card: `num_inference_steps=4, guidance_scale=1.0`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import Flux2KleinPipeline
from PIL import Image

from actors.backends.checkpoints import checkpoint_folder
from actors.backends.devices import seeded
from actors.backends.diffusion import Placement, load_pipeline, place, resized, to_frame, working_size
from actors.roles import EraseRequest, Frame, SampleError

# Beside the weights, at 1280x720. The transformer sees 2 x 3,600 tokens of picture and 512 of text; in a
# single block of the 9B model each makes 3 x 4096 + 2 x 12288 values (0.5 GiB in bfloat16), and few such
# tensors live at once: 1.5 GiB. The VAE's last blocks hold 256 channels of 1280x720 (0.44 GiB each), four or
# five of them at once: 2.2 GiB. They do not meet.
_ACTIVATIONS_GIB = 3.0


class Flux2Klein:
    """ImageEditor. Weights on the GPU in bfloat16: 9B 32.3 GiB (transformer 9.1 and Qwen3 8.2 billion
    parameters), 4B 14.9 GiB.

    Args:
        model: a folder, `s3://bucket/prefix` or hub name; "black-forest-labs/FLUX.2-klein-4B" is Apache-2.0.
        steps: denoising steps.
        guidance_scale: ignored by distilled checkpoints, 4.0 is usual for `klein-base`.
        height: rows that the model works at; None: the frame's own.
        device, dtype, offload, quantization, attention: see `Placement`.

    Raises:
        CheckpointError: the weights are not here, are pickles, or do not fit the GPU.
    """

    def __init__(
        self,
        *,
        model: str = "black-forest-labs/FLUX.2-klein-9B",
        revision: str | None = None,
        steps: int = 4,
        guidance_scale: float = 1.0,
        height: int | None = None,
        device: str = "auto",
        dtype: str = "bfloat16",
        offload: str = "none",
        quantization: str | Mapping[str, Any] | None = None,
        attention: str = "sdpa",
    ) -> None:
        placement = Placement(device, dtype, offload, quantization, attention)
        self.steps = steps
        self.guidance_scale = guidance_scale
        self.height = height
        folder = checkpoint_folder(model, revision)
        self.pipeline = load_pipeline(Flux2KleinPipeline, folder, placement, activations_gib=_ACTIVATIONS_GIB)
        place(self.pipeline, placement)

    @torch.inference_mode()
    def edit(self, image: Frame, prompt: str, *, seed: int) -> Frame:
        """The picture as `prompt` asks for it, same shape.

        The picture is resized to the nearest size whose sides are multiples of 16 (1280x720 is one), and the
        result back. Above one megapixel the model sees a reference of one megapixel (diffusers' rule).

        Raises:
            SampleError: a side is under 64 pixels, or one is over 8 times the other.
        """
        multiple = 2 * self.pipeline.vae_scale_factor  # the transformer's tokens are 2x2 latents
        height, width = working_size(image, self.height, multiple)
        reference = Image.fromarray(resized(image, height, width))
        try:
            self.pipeline.image_processor.check_image_input(reference)
        except ValueError as error:
            raise SampleError(f"FLUX.2 refuses the frame: {error}") from error
        edited = self.pipeline(
            image=reference,
            prompt=prompt,
            height=height,
            width=width,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            generator=seeded(seed),
            output_type="pt",
        ).images[0]
        return resized(to_frame(edited), *image.shape[:2])

    def erase(self, request: EraseRequest) -> Frame:
        """An edit by `removal_prompt`; boxes and the edit's history are not used."""
        return self.edit(request.image, request.removal_prompt, seed=request.seed)
