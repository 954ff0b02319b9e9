"""AniPortrait: its command takes a configuration file, which names the pictures and, for each, the speech.

The head follows upstream's committed pose sequence instead of one that its own network makes: that network draws a
person at random without a seed, and fails on speech of 5 s or less. It writes
`output/DATE/TIME--seed_S-WxH/PICTURE_SPEECH_HxW_CFG_TIME.mp4` at 30 frames/s: picture | landmarks | result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from upstream_run import Task, run

CONFIG = "configs/inference/inference_v2.yaml"
FULL, REDUCED = "temporal_attention_dim_div: 1", "temporal_attention_dim_div: 8"


def prepare(task: Task) -> None:
    """Write the configuration; with generated weights, narrow the motion module in upstream's own."""
    weights = "pretrained_model/"
    settings = {
        "pretrained_base_model_path": weights + "stable-diffusion-v1-5",
        "pretrained_vae_path": weights + "sd-vae-ft-mse",
        "image_encoder_path": weights + "image_encoder",
        "denoising_unet_path": weights + "denoising_unet.pth",
        "reference_unet_path": weights + "reference_unet.pth",
        "pose_guider_path": weights + "pose_guider.pth",
        "motion_module_path": weights + "motion_module.pth",
        "audio_inference_config": "configs/inference/inference_audio.yaml",
        "inference_config": CONFIG,
        "weight_dtype": "fp16" if task.device == "cuda" else "fp32",  # few of PyTorch's CPU kernels take halves
        "pose_temp": "configs/inference/head_pose_temp/pose_temp.npy",
        "test_cases": {task.inputs["image"]: [task.inputs["audio"]]},
    }
    task.write("configs/prompts/{name}.yaml", json.dumps(settings, indent=1))  # JSON is YAML
    if task.generated:
        text = task.path(CONFIG).read_text(encoding="utf-8")
        task.write(CONFIG, text.replace(FULL, REDUCED))


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
