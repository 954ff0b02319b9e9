"""Renderers are found by name in their folder."""

import pytest

from chdtf.errors import UserError
from disenttalk_ref.render import load_renderer, renderer_names
from disenttalk_ref.render.mesh_warp import MeshWarpRenderer


def test_the_folder_is_the_registry():
    assert renderer_names() == ("mesh_warp", "pirenderer")


def test_a_renderer_is_made_with_its_options():
    assert load_renderer() == MeshWarpRenderer()
    assert load_renderer("mesh_warp", face_model="ict") == MeshWarpRenderer(face_model="ict")
    with pytest.raises(TypeError, match="colour"):
        load_renderer("mesh_warp", colour="red")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match=r"oil_paint: no such renderer; there are mesh_warp"):
        load_renderer("oil_paint")
