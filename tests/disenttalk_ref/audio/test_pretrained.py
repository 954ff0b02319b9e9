import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from chdtf.errors import UserError
from disenttalk_ref.audio.pretrained import find_pretrained, import_transformers, load_network


@pytest.fixture
def copy(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "network"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty, and an empty folder of weights."""
    import huggingface_hub.constants

    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_hub_id_is_found_in_the_cache_with_its_commit_and_hash(base: Path, hub: Path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = hub / "models--facebook--hubert-base-ls960"
    shutil.copytree(base, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    found = find_pretrained("facebook/hubert-base-ls960")
    assert (found.name, found.revision) == ("facebook/hubert-base-ls960", commit)
    assert found.sha256 == hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()


def test_what_is_not_at_hand_is_one_line_with_the_command_and_the_folder(hub: Path):
    with pytest.raises(UserError) as caught:
        find_pretrained("facebook/hubert-base-ls960")
    message = str(caught.value)
    assert "hf download facebook/hubert-base-ls960 config.json preprocessor_config.json pytorch_model.bin" in message
    assert "name a folder" in message
    assert "\n" not in message
    for text in ("./nowhere", "hubert", "a/b/c"):
        with pytest.raises(UserError, match=r"no such folder, nor .*weights.*a hub id such as"):
            find_pretrained(text)


@pytest.mark.parametrize("name", ["facebook/hubert-base-ls960", "/home/someone/hubert-base-ls960"])
def test_a_network_among_the_projects_weights_is_found_by_the_last_part_of_its_name(base: Path, hub: Path, name: str):
    """So that a checkpoint that was trained with a folder elsewhere finds it here."""
    shutil.copytree(base, hub.parent / "weights" / "hubert-base-ls960")
    assert find_pretrained(name).sha256 == find_pretrained(str(base)).sha256


def test_weights_in_the_older_format_give_the_same_network(copy: Path):
    """pytorch_model.bin is what the published ones hold; it is read without unpickling code."""
    new = load_network(find_pretrained(str(copy)), "HubertModel").state_dict()
    state = {name.replace("parametrizations.weight.original0", "weight_g"): value for name, value in new.items()}
    state = {name.replace("parametrizations.weight.original1", "weight_v"): value for name, value in state.items()}
    (copy / "model.safetensors").unlink()
    torch.save(state, copy / "pytorch_model.bin")
    old = load_network(find_pretrained(str(copy)), "HubertModel").state_dict()
    assert set(old) == set(new)
    assert all(torch.equal(old[name], new[name]) for name in new)


def test_weights_that_do_not_fill_the_network_are_refused(copy: Path):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
    with pytest.raises(UserError, match=r"lack \d+ tensors, encoder\.layers\.3"):
        load_network(find_pretrained(str(copy)), "HubertModel")


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("config.json", "{", "not JSON"),
        ("config.json", "[]", "not an object"),
        ("config.json", None, "cannot be read"),
        ("preprocessor_config.json", None, "cannot be read"),
        ("preprocessor_config.json", '{"sampling_rate": 8000}', "hears 8000 Hz"),
        ("model.safetensors", None, "holds no weights"),
        ("model.safetensors", "not tensors", "cannot be loaded"),
    ],
)
def test_a_broken_folder_is_refused_by_its_file(copy: Path, name: str, text: str | None, match: str):
    (copy / name).unlink()
    if text is not None:
        (copy / name).write_text(text)
    with pytest.raises(UserError, match=match):
        load_network(find_pretrained(str(copy)), "HubertModel")


def test_without_transformers_the_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r'pip install "disentbench\[hubert\]"'):
        import_transformers("HubertModel")


def test_transformers_that_cannot_be_imported_says_why(monkeypatch: pytest.MonkeyPatch):
    def broken(name: str) -> Any:
        raise ImportError("no such thing\nmore")

    monkeypatch.setattr("disenttalk_ref.audio.pretrained.importlib.import_module", broken)
    with pytest.raises(UserError, match=r"cannot be imported \(no such thing\)"):
        import_transformers("HubertModel")
