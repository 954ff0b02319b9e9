"""EchoMimic: its command takes a configuration file, which names the pictures and, for each, the speech.

It makes frames until the speech ends or `-L` are made (1200 unless told), at 24 frames/s, and one or two more than the
speech has; `{frames}` is what the clip needs. It writes the video twice, without sound and, `_withaudio`, with it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from upstream_run import Task, run

CLIP_FPS, FPS = 25, 24


def prepare(task: Task) -> None:
    """Write the configuration; count the frames."""
    weights = "pretrained_weights/"
    settings = {
        "pretrained_base_model_path": weights + "sd-image-variations-diffusers",
        "pretrained_vae_path": weights + "sd-vae-ft-mse",
        "audio_model_path": weights + "audio_processor/whisper_tiny.pt",
        "denoising_unet_path": weights + "denoising_unet.pth",
        "reference_unet_path": weights + "reference_unet.pth",
        "face_locator_path": weights + "face_locator.pth",
        "motion_module_path": weights + "motion_module.pth",
        "inference_config": "configs/inference/inference_v2.yaml",
        "weight_dtype": "fp16" if task.device == "cuda" else "fp32",  # few of PyTorch's CPU kernels take halves
        "test_cases": {task.inputs["image"]: [task.inputs["audio"]]},
    }
    task.write("configs/prompts/{name}.yaml", json.dumps(settings, indent=1))  # JSON is YAML
    task.values["frames"] = str(-(-int(task.values["num_frames"]) * FPS // CLIP_FPS))  # rounded up


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
