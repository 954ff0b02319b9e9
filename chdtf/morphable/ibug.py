"""The 68 points of the iBUG convention as vertices of MediaPipe's mesh.

The convention: Sagonas et al., "300 Faces in-the-Wild Challenge", ICCV Workshops 2013. Eyes and mouth are those of
`chdtf.faces` (EAR, MOUTH_20). Jaw and nose bridge have no exact counterpart: of the face oval's and of the midline's
vertices, those are taken that divide jaw and bridge most evenly on mp468's mean face.
"""

from chdtf.faces import LEFT_EAR, MOUTH_20, RIGHT_EAR

JAW_17 = (127, 234, 93, 132, 172, 136, 149, 176, 152, 400, 378, 365, 397, 361, 323, 454, 356)
BROWS_10 = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
NOSE_9 = (168, 197, 5, 1, 98, 97, 2, 326, 327)
# Numbers of MediaPipe vertices in iBUG's order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, lips 48-67. Everything
# goes from the subject's right to the left.
IBUG_68: tuple[int, ...] = (*JAW_17, *BROWS_10, *NOSE_9, *RIGHT_EAR, *LEFT_EAR, *MOUTH_20)
# On the outline of the head a tracker follows the silhouette, not a point of the skin; 51 points without it.
IBUG_51: tuple[int, ...] = IBUG_68[len(JAW_17) :]
