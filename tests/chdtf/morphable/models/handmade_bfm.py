"""A Basel Face Model made by hand, in the layouts that `bfm` reads: what mp468 is, on a finer mesh, in decimetres.

Nothing of the real model is in it. The face, its lids and its lips move as mp468's do, so that fits and probes that
need a face find one; vertices are in random order.
"""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from scipy.spatial import Delaunay

from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.models import mp468
from chdtf.morphable.models.bfm_transfer import BFM_2009, NUM_EXPRESSION, NUM_IDENTITY, Sizes

SMALL = Sizes(front=900, trimmed=1000, original=1100, identities=83, expressions=66)
UNIT = 0.86  # outer eye corner distance, decimetres
OFFSET = np.array([0.01, -0.08, 0.72])  # the source is not centred
AXES = np.array([1.0, -1.0, -1.0])


def front(sizes: Sizes = SMALL, seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of `BFM_model_front.mat` that are read."""
    rng = np.random.default_rng(seed)
    model = mp468.load(None)
    corners, shares = _points(model.triangles, model.mean, sizes.front, rng)

    def spread(values: np.ndarray) -> np.ndarray:  # (N, 468, 3) -> (3V, N), source axes and units
        points = np.einsum("nvcx,vc->nvx", values[:, corners], shares) * AXES * UNIT
        return points.reshape(len(values), -1).T.astype(np.float32)

    mean = spread(model.mean[None])[:, 0].reshape(-1, 3)
    extra = NUM_IDENTITY - model.num_identity
    waves = np.einsum("nf,vf->nv", rng.normal(size=(extra, 6)), np.cos(mean @ rng.normal(size=(3, 6)) * 3))
    identity = (waves[:, :, None] * rng.normal(size=(extra, 1, 3)) * 0.004).reshape(extra, -1).T
    triangles = Delaunay(mean[:, :2]).simplices
    assert np.cross(*(mean[triangles[:, i], :2] - mean[triangles[:, 0], :2] for i in (1, 2))).min() >= 0
    place = {vertex: row for row, vertex in enumerate(corners[:, 0]) if shares[row, 0] == 1}
    return {
        "meanshape": (mean + OFFSET).reshape(1, -1).astype(np.float32),
        "idBase": np.concatenate([spread(model.identity_basis), identity], axis=1).astype(np.float32),
        "exBase": spread(model.expression_basis),
        "tri": (triangles + 1).astype(np.float32),
        "keypoints": np.array([[place[vertex] + 1 for vertex in IBUG_68]], np.float32),
    }


def _points(triangles: np.ndarray, mean: np.ndarray, count: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """`count` points of the mesh as corners and shares (count, 3): its 468 vertices and others, shuffled."""
    sides = mean[triangles[:, 1:]] - mean[triangles[:, :1]]
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    inside = rng.choice(len(triangles), count - len(mean), p=areas / areas.sum())
    corners = np.concatenate([np.repeat(np.arange(len(mean))[:, None], 3, 1), triangles[inside]])
    shares = np.concatenate([np.tile([1.0, 0, 0], (len(mean), 1)), rng.dirichlet([1, 1, 1], len(inside))])
    order = rng.permutation(count)
    return corners[order], shares[order]


def write_front(path: Path, sizes: Sizes = SMALL, **changed: Any) -> dict[str, np.ndarray]:
    """Write `BFM_model_front.mat`, with some arrays exchanged (None: left out), and return its arrays."""
    arrays = {name: value for name, value in (front(sizes) | changed).items() if value is not None}
    scipy.io.savemat(path, arrays)
    return arrays


def write_full(folder: Path) -> dict[str, np.ndarray]:
    """A front model of the real one's size in a folder `bfm`, 65 MB: what `load_model("bfm")` accepts."""
    (folder / "bfm").mkdir(parents=True)
    return write_front(folder / "bfm" / "BFM_model_front.mat", BFM_2009)


def write_originals(folder: Path, sizes: Sizes = SMALL, seed: int = 0) -> dict[str, np.ndarray]:
    """The six files that a front model is made of; returns the front model that must come out."""
    rng = np.random.default_rng(seed)
    arrays = front(sizes, seed)
    trim = np.sort(rng.choice(sizes.original, sizes.trimmed, replace=False))
    index = np.sort(rng.choice(sizes.trimmed, sizes.front, replace=False))
    identity_sd, expression_sd = rng.uniform(1e2, 1e4, sizes.identities), rng.uniform(1e4, 4e5, sizes.expressions)

    shape = rng.normal(size=(sizes.original, 3, sizes.identities))
    shape[trim[index], :, :NUM_IDENTITY] = (
        arrays["idBase"].reshape(-1, 3, NUM_IDENTITY) * 1e5 / identity_sd[:NUM_IDENTITY]
    )
    mean = rng.normal(size=(sizes.original, 3))
    mean[trim[index]] = arrays["meanshape"].reshape(-1, 3) * 1e5
    expression = rng.normal(size=(sizes.expressions, sizes.trimmed, 3))
    columns = arrays["exBase"].T.reshape(NUM_EXPRESSION, -1, 3) * 1e5
    expression[:NUM_EXPRESSION, index] = columns / expression_sd[:NUM_EXPRESSION, None, None]

    flat = {
        "shapePC": shape.reshape(-1, sizes.identities),
        "shapeEV": identity_sd[:, None],
        "shapeMU": mean.reshape(-1, 1),
    }
    scipy.io.savemat(folder / "01_MorphableModel.mat", {name: value.astype(np.float32) for name, value in flat.items()})
    scipy.io.savemat(folder / "BFM_front_idx.mat", {"idx": (index + 1.0).astype(np.float32)[:, None]})
    scipy.io.savemat(folder / "BFM_exp_idx.mat", {"trimIndex": (trim + 1).astype(np.uint16)[:, None]})
    scipy.io.savemat(folder / "facemodel_info.mat", {name: arrays[name] for name in ("tri", "keypoints")})
    (folder / "std_exp.txt").write_text(" ".join(map(str, expression_sd)), encoding="utf-8")
    with (folder / "Exp_Pca.bin").open("wb") as file:
        np.array([sizes.expressions], "<i4").tofile(file)
        rng.normal(size=3 * sizes.trimmed).astype("<f4").tofile(file)  # its mean is not used
        expression.astype("<f4").tofile(file)
    return arrays
