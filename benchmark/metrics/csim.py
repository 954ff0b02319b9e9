"""CSIM: whether the face in the generated video is still the source's."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmark import face_pairs
from benchmark.footage import paired
from benchmark.metric import Footage, MetricBase, Unscored
from chdtf import weights
from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.recogniser import ARCFACE, IMAGENET, Recogniser, aligned_face, load_recogniser


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Cosine of face embeddings, of every generated frame and the source: mean over frames, then over clips.

    The source is the reference's first frame that shows a face; `against="frame"` compares with the reference's frame
    of the same moment instead. Another encoder is another metric, so the label names it: MobileFaceNet, unless
    `model_file` gives a network of the ArcFace family. MobileFaceNet gives 0.54 and more for one person in different
    recordings, up to 0.34 for different persons. A still image of the source has 1, and methods that hardly move exceed
    the ground truth, which has some 0.8 for turning and talking: read it beside the ground truth's.
    """

    name: ClassVar[str] = "csim"
    label: ClassVar[str] = "CSIM (MobileFaceNet)"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = (
        "cosine of ArcFace embeddings (Deng et al. 2019) as talking-head papers report it; encoder MobileFaceNet (Chen "
        "et al. 2018, weights of foamliu/MobileFaceNet) on faces aligned by eyes, nose and corners of the mouth as in "
        "insightface's face_align.py"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "landmarks"})
    weights: ClassVar[tuple[str, ...]] = ("mobilefacenet",)
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, *face_pairs.PACKAGES, "onnxruntime")

    against: str = "source"  # or "frame": the reference's frame of the same moment
    min_face_share: float = 0.5
    model_file: str = ""  # ONNX of the ArcFace family, 112x112 RGB as (x - 127.5) / 127.5, instead of MobileFaceNet
    model_sha256: str = dataclasses.field(init=False, default="")

    def __post_init__(self) -> None:
        """Take in the user's network: its content and name are part of the metric. Raises `UserError`."""
        if self.against not in ("source", "frame"):
            raise UserError(f"csim against {self.against!r}: use 'source' or 'frame'")
        if self.model_file:
            path = Path(self.model_file)
            if not path.is_file():
                raise UserError(f"csim model_file {self.model_file!r}: no such file; give an ONNX file or leave it out")
            object.__setattr__(self, "model_sha256", sha256_file(path))
            object.__setattr__(self, "weights", ())
            object.__setattr__(self, "label", f"CSIM ({path.stem})")

    def load(self) -> Recogniser:
        """The encoder, on the CPU. Raises `Unscored` when its file or ONNX Runtime is absent."""
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            raise Unscored("package_missing: onnxruntime; run: pip install 'disentbench[onnx]'") from None
        if self.model_file:
            return load_recogniser(Path(self.model_file), ARCFACE)
        found = weights.check("mobilefacenet")
        if found.state == "missing":
            raise Unscored(f"weights_missing: {found.weights.filename}; {found.detail}")
        if found.state != "ok":
            raise Unscored(f"weights_mismatch: {found.weights.filename}: {found.detail}")
        return load_recogniser(found.path, IMAGENET)

    def measure(self, generated: Footage, reference: Footage | None, model: Recogniser) -> np.ndarray:
        """Float64 (T, 2): cosine of every frame (NaN without a face), and the reference's frame it is compared with."""
        if reference is None:
            raise Unscored("no_reference")
        generated.face_landmarks(self.min_face_share)
        if self.against == "frame":
            return self._by_frame(generated, reference, model)
        source = int(np.isfinite(reference.face_landmarks(0)[:, 0, 0]).argmax())
        cosines = self._embeddings(generated, model) @ _embedded(reference, slice(source, source + 1), model)[0]
        return np.stack([cosines, np.full(len(cosines), float(source))], axis=1)

    def _by_frame(self, generated: Footage, reference: Footage, model: Recogniser) -> np.ndarray:
        reference.face_landmarks(self.min_face_share)
        ours, theirs = paired(generated, reference)
        p, q = self._embeddings(generated, model)[ours], self._embeddings(reference, model)[theirs]
        cosines = (p * q).sum(axis=1)
        if np.isfinite(cosines).sum() < max(1, self.min_face_share * len(cosines)):
            raise Unscored(f"no_face: found in both in {np.isfinite(cosines).sum()} of {len(cosines)} frames")
        return np.stack([cosines, np.arange(theirs.start, theirs.stop, dtype=np.float64)], axis=1)

    def _embeddings(self, footage: Footage, model: Recogniser) -> np.ndarray:
        name = f"face embeddings {self.model_sha256 or 'mobilefacenet'}"
        return footage.once(name, lambda: _embedded(footage, slice(None), model))

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames measured and missing, the least cosine, and the first frame of the reference that was compared."""
        worst = float(np.nanmin(values[:, 0]))
        return {**face_pairs.coverage(values[:, 0]), "csim_min": worst, "reference_frame": float(values[0, 1])}


def _embedded(footage: Footage, part: slice, model: Recogniser) -> np.ndarray:
    """Embeddings of length 1 of some frames, float64 (N, D), NaN without a face. At least one must show one."""
    landmarks = footage.landmarks[part]
    found = np.isfinite(landmarks[:, 0, 0])
    faces = [aligned_face(i, p) for i, p in zip(footage.frames[part][found], landmarks[found], strict=True)]
    return face_pairs.on_frames(model.embed(np.stack(faces)).astype(np.float64), found)
