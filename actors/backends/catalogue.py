"""The table of checkpoints: where each is published, what it weighs, under which licence, and its pin.

What a reader gets wrong: this is data about other people's repositories and was right when it was written; a
pin makes it stay right, an empty revision follows the repository.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """Weights that are published as one pickle outside of any hub.

    `models --fetch` reads them as plain tensors (`torch.load(weights_only=True)`) and writes safetensors.
    """

    url: str
    sha256: str
    architecture: str
    """Name in the library that loads them; written into config.json beside the weights."""


@dataclass(frozen=True)
class Checkpoint:
    """One repository of a model hub, or a `PublishedFile`."""

    repo: str
    licence: str
    download_gib: float
    """What `models --fetch` brings: the files of `LOADED` without `leave_out`."""
    gpu_gib: float
    """GPU memory that the backend asks for at its default options, weights and activations."""
    gated: bool = False
    """Whether the hub asks for an accepted licence and a token."""
    revision: str = ""
    """The commit that is used unless an option names another; empty: the cache's newest `main`."""
    leave_out: tuple[str, ...] = ()
    """Patterns of what is in the repository and not loaded."""
    only: tuple[str, ...] = ()
    """Patterns of what is loaded, where the repository holds much else."""
    published: PublishedFile | None = None


_TORCHVISION = "https://download.pytorch.org/models/"
_UNIMATCH = "https://s3.eu-central-1.amazonaws.com/avg-projects/unimatch/pretrained/"

# Sizes: file listings of the hub, or parameters x bytes where no listing was to be had. Revisions: the
# commit that public code pins or shows in its hub cache in November 2026, most in many projects; empty where
# none was found (`models --fetch` prints the commit that it got). Licences: the model cards. GPU memory: what
# the check before loading asks for, or the measured peak where that is more (EditScore); measured ones are in
# docs/backends.md.
CHECKPOINTS: dict[str, Checkpoint] = {
    item.repo: item
    for item in (
        Checkpoint(
            "torchvision/raft_large",
            "BSD-3-Clause",
            0.02,
            2.0,
            published=PublishedFile(
                # torchvision names the file by its first eight digits; the others: the Git LFS pointer of
                # a copy on the hub (hr16/RAFT-v2 at eaa9b80), and several projects that pin it
                f"{_TORCHVISION}raft_large_C_T_SKHT_V2-ff5fadd5.pth",
                "ff5fadd56d26b40647388883af1547351ea17868b765c05b27231e72dd16a322",
                "raft_large",
            ),
        ),
        Checkpoint(
            "torchvision/raft_small",
            "BSD-3-Clause",
            0.004,
            1.0,
            published=PublishedFile(
                f"{_TORCHVISION}raft_small_C_T_V2-01064c6d.pth",
                "01064c6dba73b0fc9fc8edf772248560a00a3acfd62ac6677e9eeebad9680e27",
                "raft_small",
            ),
        ),
        Checkpoint(
            "autonomousvision/unimatch",
            "MIT",  # of the repository; of the weights its authors say nothing more
            0.03,
            3.0,
            published=PublishedFile(
                # the authors' model zoo recommends mixdata for pictures of any kind; the digest is that of
                # the same file in the authors' own space on the hub (haofeixu/unimatch, pretrained/)
                f"{_UNIMATCH}gmflow-scale2-regrefine6-mixdata-train320x576-4e7b215d.pth",
                "4e7b215d5a25dc3b41bd2fb55cbbfe1b715a9c279bdcc8ad30bc31afe69421ca",
                "unimatch_sc2_ref6",
            ),
        ),
        Checkpoint(
            "Qwen/Qwen3-VL-32B-Instruct",
            "Apache-2.0",
            62.1,
            68.1,
            revision="0cfaf48183f594c314753d30a4c4974bc75f3ccb",
        ),
        Checkpoint(
            "Qwen/Qwen3-VL-8B-Instruct",
            "Apache-2.0",
            16.4,
            22.9,
            revision="0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
        ),
        Checkpoint("EditScore/EditScore-Qwen3-VL-8B-Instruct", "Apache-2.0", 0.4, 0.4),
        Checkpoint(
            "black-forest-labs/FLUX.2-klein-9B",
            "flux-non-commercial",
            32.0,
            35.3,
            gated=True,
            revision="92196c8e11f7b6cf2b7493e037d8c5345c559216",
            leave_out=(
                "flux-2-klein-9b.safetensors",
            ),  # the transformer once more, 18.2 GB, in another layout
        ),
        Checkpoint(
            "black-forest-labs/FLUX.2-klein-4B",
            "Apache-2.0",
            14.9,
            17.9,
            revision="e7b7dc27f91deacad38e78976d1f2b499d76a294",
            leave_out=("flux-2-klein-4b.safetensors",),
        ),
        Checkpoint(
            "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
            "Apache-2.0",
            117.6,  # both experts are published in float32
            84.9,
            revision="596658fd9ca6b7b71d5057529bbf319ecbc61d74",
        ),
        Checkpoint(
            "lightx2v/Wan2.2-Lightning",
            "Apache-2.0",
            2.3,
            2.3,
            revision="18bccf8884ec0a078eed79785eb4ef13ea16ce1e",
            only=("Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1/*.safetensors",),
        ),
        Checkpoint(
            "lightx2v/Wan2.2-Distill-Loras",
            "Apache-2.0",
            1.3,
            1.3,
            only=("wan2.2_i2v_A14b_*_noise_lora_rank64_lightx2v_4step_1022.safetensors",),
        ),
        # without its text encoder and VAE, which are pickles: those of Wan2.2-I2V-A14B-Diffusers are the same
        Checkpoint("alibaba-pai/Wan2.2-Fun-A14B-Control", "Apache-2.0", 53.3, 84.8),
        Checkpoint(
            "Wan-AI/Wan2.1-VACE-14B-diffusers",
            "Apache-2.0",
            75.7,
            60.0,
            revision="db79b90c60bbb45ceec9e41b9d5a4df934538ac4",
        ),
        Checkpoint(
            "facebook/sam2.1-hiera-tiny",
            "Apache-2.0",
            0.15,
            6.0,
            revision="de431c4043854a71d8101e17995dfe596bf101a5",
        ),
        Checkpoint(
            "facebook/sam2.1-hiera-small",
            "Apache-2.0",
            0.18,
            6.0,
            revision="ee5bba1d82bb8749febdf90f45e84b687142ba03",
        ),
        Checkpoint(
            "facebook/sam2.1-hiera-base-plus",
            "Apache-2.0",
            0.3,
            6.0,
            revision="b7320756a13354e7530a63935656d35b2f91a290",
        ),
        Checkpoint(
            "facebook/sam2.1-hiera-large",
            "Apache-2.0",
            0.84,
            8.0,
            revision="665f8e2ad61cf5f53d65644ff27c8ee525124610",
        ),
        Checkpoint(
            "facebook/sam3",
            "sam-licence",
            3.2,
            12.0,
            gated=True,
            revision="3c879f39826c281e95690f02c7821c4de09afae7",
        ),
    )
}
