"""Audio features A at the video frame rate: one row a frame, so that row k hears what is seen in frame k.

`parse` names an extractor (`logmel`, `hubert:<hub id or folder>`), `cache` keeps what is too costly to compute while
training, `streaming` gives log-mel rows as sound arrives.
"""

from disenttalk_ref.audio.extractors.logmel import Features as AudioFeatures
from disenttalk_ref.audio.features import Features, from_json, key, kinds, parse, to_json
from disenttalk_ref.audio.loudness import normalise_loudness

__all__ = ["AudioFeatures", "Features", "from_json", "key", "kinds", "normalise_loudness", "parse", "to_json"]
