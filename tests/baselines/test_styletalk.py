"""StyleTalk's labels and poses come at the rate at which upstream shows its frames, whatever a clip's own is."""

from baselines.method import load_method


def test_labels_poses_and_frames_are_of_one_rate() -> None:
    method = load_method("styletalk")
    assert method.wrapped is not None
    assert method.fps == 30  # render_video's own, which no argument changes
    assert {method.wrapped.inputs[name]["fps"] for name in ("phonemes", "pose")} == {method.fps}


def test_its_style_clip_is_the_pinned_one() -> None:
    wrapped = load_method("styletalk").wrapped
    assert wrapped is not None
    style = wrapped.run.command[wrapped.run.command.index("--style_clip_path") + 1]
    assert [pinned.path for pinned in wrapped.run.pinned] == [style]
