import dataclasses
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chdtf import weights
from chdtf.errors import UserError
from chdtf.morphable.models.ict_arrays import IctArrays, Sizes
from chdtf.morphable.models.ict_download import IctRecipe, fans, parse_obj
from chdtf.weights import Weights

SIZES = Sizes(vertices=6, identities=2, expressions=2, polygons=2, triangles=4)
NAMES = ("blink", "smile_L")
QUADS = [[0, 1, 2, 3], [3, 2, 4, 5]]
FILES = ("generic_neutral_mesh", "identity000", "identity001", *NAMES)


@pytest.fixture(scope="module")
def planted() -> IctArrays:
    rng = np.random.default_rng(3)
    shapes = np.round(rng.normal(size=(len(FILES), 6, 3)), 4).astype(np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3], [3, 2, 4], [3, 4, 5]], np.int32)
    deltas = shapes[1:] - shapes[0]
    return IctArrays(shapes[0], deltas[:2], deltas[2:], np.array(NAMES), triangles)


def obj_text(vertices: np.ndarray, form: str) -> bytes:
    """An OBJ as the repository has them: comments, other geometry after the face, corners in one of three forms."""
    lines = ["# a licence", "mtllib some.mtl", ""]
    lines += [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in [*vertices, (9, 9, 9), (8, 8, 8)]]
    lines += ["vt 0.5 0.5", "usemtl M_Face", "# faces"]
    lines += ["f " + " ".join(form.format(corner + 1) for corner in quad) for quad in [*QUADS, [6, 7, 0]]]
    return "\n".join([*lines, ""]).encode()


class Source:
    """A loopback server with the planted model's files; what it serves can be spoiled, and requests are counted."""

    def __init__(self, planted: IctArrays) -> None:
        shapes = [planted.mean, *(planted.mean + np.concatenate([planted.identity, planted.expression]))]
        forms = ["{}/1", "{}", "{}//1", "{}/1/1", "{}/1"]
        self.files = {
            f"/{name}.obj": obj_text(shape, form) for name, shape, form in zip(FILES, shapes, forms, strict=True)
        }
        self.torn: set[str] = set()
        self.asked: list[str] = []
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked.append(self.path)
                body = source.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                # torn within the vertices, and within a number
                self.wfile.write(body[:80] if self.path in source.torn else body)

            def log_message(self, *args: object) -> None:
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"

    def registry(self, sha256: str) -> dict[str, Weights]:
        recipe = IctRecipe(SIZES, NAMES)
        return {"ict": Weights("ict", "ict.npz", self.url, sha256, 1000, "MIT", "a test", recipe=lambda: recipe)}


@pytest.fixture
def source(planted: IctArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    source = Source(planted)
    thread = threading.Thread(target=source.httpd.serve_forever, args=(0.02,))
    thread.start()
    yield source
    source.httpd.shutdown()
    thread.join()
    source.httpd.server_close()


def test_the_planted_model_comes_back_whole(source: Source, planted: IctArrays):
    known = source.registry(planted.content_hash())
    seen: list[tuple[int, int]] = []
    path = weights.fetch("ict", lambda done, total: seen.append((done, total)), known)
    with np.load(path, allow_pickle=False) as arrays:
        for field in dataclasses.fields(planted):
            expected = getattr(planted, field.name)
            assert arrays[field.name].dtype == expected.dtype
            np.testing.assert_array_equal(arrays[field.name], expected)
    assert seen == [(number, 5) for number in range(1, 6)]
    assert [found.state for found in weights.status(known)] == ["ok"]
    assert {file.name for file in path.parent.iterdir()} == {"ict.npz", ".ict.npz.sha256.json"}
    before = len(source.asked)
    assert weights.fetch("ict", registry=known) == path
    assert len(source.asked) == before


def test_the_same_arrays_in_another_file_are_the_same_weights(source: Source, planted: IctArrays):
    known = source.registry(planted.content_hash())
    path = weights.folder() / "ict.npz"
    path.parent.mkdir()
    np.savez(path, **dataclasses.asdict(planted))  # not compressed: other bytes
    assert weights.check("ict", known).state == "ok"


@pytest.mark.parametrize("fault", ["404", "torn"])
def test_a_failed_download_leaves_no_model_and_goes_on_where_it_stopped(source: Source, planted: IctArrays, fault: str):
    known = source.registry(planted.content_hash())
    kept = source.files["/identity001.obj"]
    if fault == "404":
        del source.files["/identity001.obj"]
    else:
        source.torn.add("/identity001.obj")
    with pytest.raises(UserError, match=r"identity001.obj: (Not Found|80 of [0-9]+ bytes came)") as caught:
        weights.fetch("ict", registry=known)
    assert "\n" not in str(caught.value)
    assert weights.check("ict", known).state == "missing"
    assert not list(weights.folder().rglob("*tmp*"))
    source.files["/identity001.obj"] = kept
    source.torn.clear()
    source.asked.clear()
    assert weights.check("ict", known).weights.url == source.url
    weights.fetch("ict", registry=known)
    assert source.asked == ["/identity001.obj", "/blink.obj", "/smile_L.obj"]
    assert weights.check("ict", known).state == "ok"


def test_other_shapes_are_refused_with_both_hashes_and_not_kept(source: Source, planted: IctArrays):
    other = dataclasses.replace(planted, mean=planted.mean + 1)
    known = source.registry(other.content_hash())
    with pytest.raises(UserError) as caught:
        weights.fetch("ict", registry=known)
    assert planted.content_hash() in str(caught.value)
    assert other.content_hash() in str(caught.value)
    assert not list(weights.folder().rglob("*"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"v 1 2 3\nv 4 5 6\n", "ends after 2 vertices and 0 polygons, expected 6 vertices and 2 polygons"),
        (b"v 1 2\n", "vertex 0 is"),
        (b"v 1 2 x\n" * 6 + b"f 1 2 3\n" * 2, "could not convert"),
        (b"v 1 2 3\n" * 6 + b"f 1 2 7\n" * 2, "corners outside the first 6"),
        (b"v 1 2 3\n" * 6 + b"f 1 2\n" * 2, "fewer than 3 corners"),
        (b"<html>no such page</html>", "ends after 0 vertices"),
    ],
)
def test_what_is_no_such_mesh_is_refused_by_name(source: Source, planted: IctArrays, body: bytes, message: str):
    source.files["/generic_neutral_mesh.obj"] = body
    with pytest.raises(UserError, match=f"generic_neutral_mesh.obj: .*{message}"):
        weights.fetch("ict", registry=source.registry(planted.content_hash()))


def test_a_file_that_is_no_model_is_a_mismatch_not_an_error(source: Source, planted: IctArrays):
    path = weights.folder() / "ict.npz"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 torn")
    status = weights.check("ict", source.registry(planted.content_hash()))
    assert status.state == "mismatch"
    assert "not an .npz file" in status.detail


def test_reading_stops_behind_what_is_needed():
    def lines() -> Iterator[bytes]:
        yield from (b"v 1 2 3", b"v 4 5 6")
        pytest.fail("read on")

    vertices, polygons = parse_obj(lines(), 2, 0)
    np.testing.assert_array_equal(vertices, [[1, 2, 3], [4, 5, 6]])
    assert polygons == []


def test_polygons_are_cut_from_their_first_corner():
    np.testing.assert_array_equal(fans([[4, 5, 6], [0, 1, 2, 3]]), [[4, 5, 6], [0, 1, 2], [0, 2, 3]])
