from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.morphable.coefficients import landmarks_of
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.mat import write_mat
from chdtf.morphable.model import FaceModel
from disenttalk_ref.disentangle.evidence import ratios
from disenttalk_ref.disentangle.measure import measure
from disenttalk_ref.disentangle.pairs import from_pairs
from disenttalk_ref.disentangle.points import Points
from disenttalk_ref.subspaces import choose

FRAMES = 60


@pytest.fixture
def videos(plant: Any, model: FaceModel, tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A folder of named files, and what a tracker finds in each: landmarks (T, 478, 3)."""
    rng = np.random.default_rng(1)
    tracks: dict[str, np.ndarray] = {}
    for name in ("li_a", "wu_b"):
        expression = rng.normal(size=(FRAMES, plant.NUM))
        for suffix, dims in (("", ()), (".lip", plant.LIP), (".eye", plant.EYE)):
            edited = expression.copy()
            edited[:, list(dims)] = -2.0
            points = landmarks_of(plant.coefficients_of(model, edited), model)
            tracks[f"{name}{suffix}.mp4"] = np.pad(points, ((0, 0), (0, 10), (0, 0)))
            (tmp_path / f"{name}{suffix}.mp4").touch()
    return tmp_path, tracks


def told_by(tracks: dict[str, np.ndarray]) -> Callable[[Path], np.ndarray]:
    return lambda path: tracks[path.name]


def test_pairs_of_videos_find_the_planted_dimensions(plant: Any, model: FaceModel, videos: Any) -> None:
    folder, tracks = videos
    tracks["wu_b.lip.mp4"][5] = np.nan  # a frame without a face is left out
    pairs = from_pairs(folder, Points(model), tracker=told_by(tracks))
    found = pairs.found
    assert (pairs.source.clip_ids, pairs.source.frames, len(pairs.source.fingerprint)) == (("li_a", "wu_b"), 120, 64)
    assert [(one.clip_id, one.speaker_id) for one in found] == [("li_a", "li"), ("wu_b", "wu")]
    assert [one.changed.tolist() for one in found] == [[FRAMES, FRAMES], [FRAMES - 1, FRAMES]]
    assert choose(*ratios(found), 3, 2) == plant.PLANTED
    # Delta itself: original minus edited, with the original's identity
    assert ratios(found)[0][list(plant.LIP)] == pytest.approx(np.sqrt(5), rel=0.15)  # E[(x + 2)^2] of a normal x


def test_one_region_for_an_original_is_enough_but_each_region_needs_one(model: FaceModel, videos: Any) -> None:
    folder, tracks = videos
    (folder / "li_a.eye.mp4").unlink()
    assert len(from_pairs(folder, Points(model), tracker=told_by(tracks)).found) == 2
    (folder / "wu_b.eye.mp4").unlink()
    with pytest.raises(UserError, match="no pair for the region 'eye'"):
        from_pairs(folder, Points(model), tracker=told_by(tracks))


@pytest.mark.parametrize("shift", [-4, -1, 2, 5])
def test_shifted_frames_are_refused_with_their_shift(model: FaceModel, videos: Any, shift: int) -> None:
    folder, tracks = videos
    tracks["li_a.lip.mp4"] = np.roll(tracks["li_a.lip.mp4"], shift, axis=0)
    late = f"{abs(shift)} frames {'late' if shift > 0 else 'early'}"
    with pytest.raises(UserError, match=f"li_a.lip.mp4 is {late} against li_a.mp4"):
        from_pairs(folder, Points(model), tracker=told_by(tracks))


def test_other_lengths_and_lonely_files_are_refused_by_name(model: FaceModel, videos: Any) -> None:
    folder, tracks = videos
    shorter = {**tracks, "wu_b.eye.mp4": tracks["wu_b.eye.mp4"][:-3]}
    with pytest.raises(UserError, match=r"wu_b.eye.mp4 has 57 frames, wu_b.mp4 60"):
        from_pairs(folder, Points(model), tracker=told_by(shorter))
    (folder / "extra.mp4").touch()
    with pytest.raises(UserError, match=r"extra.mp4: has no edited partner"):
        from_pairs(folder, Points(model), tracker=told_by(tracks))
    (folder / "extra.mp4").rename(folder / "gone.lip.mp4")
    with pytest.raises(UserError, match=r"gone.lip.mp4: its original gone.mp4 is missing"):
        from_pairs(folder, Points(model), tracker=told_by(tracks))


def test_a_video_without_a_face_and_an_empty_folder_are_refused(model: FaceModel, videos: Any, tmp_path: Path) -> None:
    folder, tracks = videos
    tracks["li_a.mp4"][:] = np.nan
    with pytest.raises(UserError, match=r"li_a.mp4: no face in 60 frames"):
        from_pairs(folder, Points(model), tracker=told_by(tracks))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no pairs; expected X.mp4 with X.lip.mp4"):
        from_pairs(tmp_path / "empty", Points(model))


def test_files_that_are_no_videos_are_refused(model: FaceModel, videos: Any) -> None:
    with pytest.raises(UserError, match=r"li_a.mp4: unreadable"):
        from_pairs(videos[0], Points(model))


def test_pairs_of_coefficient_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    full = rng.normal(size=(FRAMES, 257)).astype(np.float32)
    for suffix, dims in (("", []), (".lip", [80 + 4, 80 + 9]), (".eye", [80 + 20])):
        edited = full.copy()
        edited[:, dims] -= 3
        write_mat(tmp_path / f"li_a{suffix}.mat", BfmCoefficients.from_array(edited, "257"))
    found = from_pairs(tmp_path, None).found
    assert choose(*ratios(found), 2, 1) == ((4, 9), (20,))


def test_pairs_of_datasets(plant: Any, hand: Any, tmp_path: Path) -> None:
    """Edited datasets hold clips of the same ids; here edits of lips and eyes are made on mp468's own dimensions."""
    from chdtf.morphable.model import load_model
    from disenttalk_ref.subspaces import load_subspaces

    model = load_model("mp468")
    bundled = load_subspaces(model)
    rng = np.random.default_rng(4)
    expressions = [rng.normal(size=(30, 64)) for _ in range(2)]
    for folder, dims in (("plain", ()), ("pairs/lip", bundled.lip), ("pairs/eye", bundled.eye)):
        root, rows = tmp_path / folder, []
        for number, expression in enumerate(expressions):
            edited = expression.copy()
            edited[:, list(dims)] = -2.0
            points = np.pad(landmarks_of(plant.coefficients_of(model, edited), model), ((0, 0), (0, 10), (0, 0)))
            rows.append(hand.finished_row(root, number, "train", 30, landmarks=points.reshape(30, -1)))
        from pipelines.publication.publish import publish

        publish(root, [hand.write_rows(root, 0, rows)], [], hand.SCHEMA, hand.SETTINGS)
    found = from_pairs(tmp_path / "pairs", Points(model), [tmp_path / "plain"]).found
    assert choose(*ratios(found)) == (bundled.lip, bundled.eye)
    with pytest.raises(UserError, match="has no original in the data"):
        from_pairs(tmp_path / "pairs", Points(model), [])


def test_pairs_are_the_data_of_what_they_choose(plant: Any, model: FaceModel, material: Any, videos: Any) -> None:
    folder, tracks = videos
    pairs = from_pairs(folder, Points(model), tracker=told_by(tracks))
    measured = measure(material, plant.CHOICE, pairs, seeds=2, draws=2)
    found = measured.ways["pairs"].subspaces
    assert measured.ways["pairs"].chosen == plant.PLANTED
    assert [data["clip_ids"] for data in found.data] == [["li_a", "wu_b"]]
    same = [row.overlap for row in measured.stability if row.comparison == "two ways"]
    assert same == [1.0] * 12  # six pairs of ways, two regions
    halves = [row for row in measured.stability if row.way == "pairs" and "second half" in row.comparison]
    assert [row.reason for row in halves] == ["pairs are measured on whole clips"] * 2
