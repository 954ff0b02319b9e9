from pathlib import Path

import numpy as np

from chdtf import weights
from chdtf.morphable.model import load_model, save_model
from chdtf.morphable.models import ict, mp468
from chdtf.morphable.models.ict_landmarks import save_map


def assert_same(one: Path, other: Path) -> None:
    """The same arrays; compressed bytes may differ with the version of zlib."""
    with np.load(one, allow_pickle=False) as a, np.load(other, allow_pickle=False) as b:
        assert list(a) == list(b)
        for name in a:
            assert a[name].dtype == b[name].dtype
            np.testing.assert_array_equal(a[name], b[name])


def test_the_card_of_mp468_is_of_the_bundled_file_and_the_file_is_what_save_model_writes(tmp_path: Path):
    model = load_model("mp468")
    assert f"hash `{model.hash}`" in mp468.FILE.with_suffix(".md").read_text(encoding="utf-8")
    save_model(model, tmp_path / "again.npz")
    assert_same(tmp_path / "again.npz", mp468.FILE)
    assert model.licence == "Apache-2.0; its card lists the footage"


def test_the_card_of_ict_names_the_content_that_is_fetched_and_the_bundled_map_is_what_save_map_writes(tmp_path: Path):
    card = ict.MAP_FILE.with_name("ict.md").read_text(encoding="utf-8")
    entry = weights.get_weights("ict")
    assert entry.sha256 in card
    assert entry.url.split("/")[-2] in card  # the commit
    save_map(ict.read_map(), tmp_path / "again.npz")
    assert_same(tmp_path / "again.npz", ict.MAP_FILE)
