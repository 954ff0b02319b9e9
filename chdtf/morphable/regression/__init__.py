"""Coefficients of the Basel Face Model by regression: the ResNet-50 of Deep3DFaceRecon (Deng et al., CVPRW 2019)."""
