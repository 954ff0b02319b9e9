"""Single images: identity and expression are separated by the model's Gaussian priors."""

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel
from chdtf.morphable.similarity import fit_similarity


def split_image(points: np.ndarray, model: FaceModel) -> Coefficients:
    """The MAP split of one face (468, 3) px by a model with a free identity.

    With offset = I alpha + B beta + noise, alpha and beta ~ N(0, 1) and noise ~ N(0, identity_noise^2 / weight), beta
    is the posterior mean; all that B beta does not explain stays in the identity, so the vertices are reproduced.
    """
    points = points[None].astype(np.float64)
    pose = fit_similarity(model.mean, points, model.alignment_weights)
    face = pose.undo(points)[0]
    root = np.sqrt(np.repeat(model.fit_weights.astype(np.float64), 3)) / float(model.identity_noise)
    bases = np.concatenate([model.identity_basis, model.expression_basis]).astype(np.float64)
    design = bases.reshape(len(bases), -1) * root
    offset = (face - model.mean).reshape(-1) * root
    posterior = np.linalg.solve(design @ design.T + np.eye(len(bases)), design @ offset)
    expression = posterior[None, -model.num_expression :]
    return Coefficients(
        identity=face - model.displacement(expression)[0],
        expression=expression,
        rotation=Rotation.from_matrix(pose.rotation).as_rotvec(),
        translation=pose.translation,
        scale=pose.scale,
        valid=np.ones(1, bool),
    )
