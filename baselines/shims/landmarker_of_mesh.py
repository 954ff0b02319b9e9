"""MediaPipe's face landmarker by its older face mesh, for runs with generated weights.

The landmarker wants a model bundle (`face_landmarker*.task`) that the package does not carry; the mesh has its models
in the wheel and gives the same 478 points of the same topology, a little less exactly. Images only, one face.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any


def install() -> None:
    """Replace the landmarker once MediaPipe's tasks are imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("mediapipe.tasks.python.vision.face_landmarker", _patch)


def _patch(module: Any) -> None:
    module.FaceLandmarker.create_from_options = staticmethod(lambda options: _Landmarker())
    module.FaceLandmarker.create_from_model_path = staticmethod(lambda path: _Landmarker())


class _Landmarker:
    """What users call of the landmarker, in a `with` or not."""

    def __init__(self) -> None:
        mediapipe = importlib.import_module("mediapipe")
        self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.3
        )

    def __enter__(self) -> _Landmarker:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.close()

    def close(self) -> None:
        """Free the mesh."""
        self._mesh.close()

    def detect(self, image: Any) -> SimpleNamespace:
        """Landmarks of a `mediapipe.Image` (RGB or RGBA): `face_landmarks` holds one list of 478, or none."""
        found = self._mesh.process(image.numpy_view()[..., :3].copy()).multi_face_landmarks or []
        faces = [list(face.landmark) for face in found]
        return SimpleNamespace(face_landmarks=faces, face_blendshapes=[], facial_transformation_matrixes=[])
