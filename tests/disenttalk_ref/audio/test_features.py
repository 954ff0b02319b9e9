import dataclasses
import json

import pytest

from chdtf.errors import UserError
from disenttalk_ref.audio import AudioFeatures, from_json, key, kinds, parse, to_json


def test_the_folder_is_the_registry():
    assert {"logmel", "hubert"} <= set(kinds())
    assert parse("logmel") == AudioFeatures()


def test_settings_survive_a_header_and_old_headers_are_logmel():
    chosen = AudioFeatures(bands=40, floor_db=-60.0)
    assert from_json(json.loads(json.dumps(to_json(chosen)))) == chosen
    old = {name: value for name, value in to_json(chosen).items() if name != "kind"}
    assert from_json(old) == chosen


@pytest.mark.parametrize(
    ("text", "match"), [("hubrt:x", "did you mean hubert"), ("", "choose one of"), ("logmel:8", "nothing behind")]
)
def test_what_is_not_known_is_refused_with_what_to_write(text: str, match: str):
    with pytest.raises(UserError, match=match):
        parse(text)


def test_a_header_of_a_newer_version_is_refused_by_its_setting():
    with pytest.raises(UserError, match="'pitch' is not known"):
        from_json({"kind": "logmel", "pitch": 3})


def test_every_setting_changes_the_key():
    keys = {key(AudioFeatures())}
    for field in dataclasses.fields(AudioFeatures):
        if field.name != "kind":
            keys.add(
                key(dataclasses.replace(AudioFeatures(), **{field.name: getattr(AudioFeatures(), field.name) + 1}))
            )
    assert len(keys) == len(dataclasses.fields(AudioFeatures))
    assert all(name.startswith("logmel-") for name in keys)
