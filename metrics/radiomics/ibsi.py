"""Which of IBSI's features ours are.

Tags as in the reference values of A. Zwanenburg et al., "The Image Biomarker Standardisation Initiative", Radiology
295(2), 2020, 328–338, without what says how matrices are aggregated.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IBSI_TAGS"]

_GLCM = {
    "cm_joint_max": "MaximumProbability", "cm_joint_avg": "JointAverage", "cm_joint_var": "SumSquares",
    "cm_joint_entr": "JointEntropy", "cm_diff_avg": "DifferenceAverage", "cm_diff_var": "DifferenceVariance",
    "cm_diff_entr": "DifferenceEntropy", "cm_sum_avg": "SumAverage", "cm_sum_var": "ClusterTendency",
    "cm_sum_entr": "SumEntropy", "cm_energy": "JointEnergy", "cm_contrast": "Contrast",
    "cm_dissimilarity": "DifferenceAverage", "cm_inv_diff": "Id", "cm_inv_diff_norm": "Idn", "cm_inv_diff_mom": "Idm",
    "cm_inv_diff_mom_norm": "Idmn", "cm_inv_var": "InverseVariance", "cm_corr": "Correlation",
    "cm_auto_corr": "Autocorrelation", "cm_clust_tend": "ClusterTendency", "cm_clust_shade": "ClusterShade",
    "cm_clust_prom": "ClusterProminence", "cm_info_corr1": "Imc1", "cm_info_corr2": "Imc2",
}  # fmt: skip
_GLRLM = {
    "rlm_sre": "ShortRunEmphasis", "rlm_lre": "LongRunEmphasis", "rlm_lgre": "LowGrayLevelRunEmphasis",
    "rlm_hgre": "HighGrayLevelRunEmphasis", "rlm_srlge": "ShortRunLowGrayLevelEmphasis",
    "rlm_srhge": "ShortRunHighGrayLevelEmphasis", "rlm_lrlge": "LongRunLowGrayLevelEmphasis",
    "rlm_lrhge": "LongRunHighGrayLevelEmphasis", "rlm_glnu": "GrayLevelNonUniformity",
    "rlm_glnu_norm": "GrayLevelNonUniformityNormalized", "rlm_rlnu": "RunLengthNonUniformity",
    "rlm_rlnu_norm": "RunLengthNonUniformityNormalized", "rlm_r_perc": "RunPercentage",
    "rlm_gl_var": "GrayLevelVariance", "rlm_rl_var": "RunVariance", "rlm_rl_entr": "RunEntropy",
}  # fmt: skip
_GLSZM = {
    "szm_sze": "SmallAreaEmphasis", "szm_lze": "LargeAreaEmphasis", "szm_lgze": "LowGrayLevelZoneEmphasis",
    "szm_hgze": "HighGrayLevelZoneEmphasis", "szm_szlge": "SmallAreaLowGrayLevelEmphasis",
    "szm_szhge": "SmallAreaHighGrayLevelEmphasis", "szm_lzlge": "LargeAreaLowGrayLevelEmphasis",
    "szm_lzhge": "LargeAreaHighGrayLevelEmphasis", "szm_glnu": "GrayLevelNonUniformity",
    "szm_glnu_norm": "GrayLevelNonUniformityNormalized", "szm_zsnu": "SizeZoneNonUniformity",
    "szm_zsnu_norm": "SizeZoneNonUniformityNormalized", "szm_z_perc": "ZonePercentage",
    "szm_gl_var": "GrayLevelVariance", "szm_zs_var": "ZoneVariance", "szm_zs_entr": "ZoneEntropy",
}  # fmt: skip
_GLDM = {
    "ngl_lde": "SmallDependenceEmphasis", "ngl_hde": "LargeDependenceEmphasis", "ngl_lgce": "LowGrayLevelEmphasis",
    "ngl_hgce": "HighGrayLevelEmphasis", "ngl_ldlge": "SmallDependenceLowGrayLevelEmphasis",
    "ngl_ldhge": "SmallDependenceHighGrayLevelEmphasis", "ngl_hdlge": "LargeDependenceLowGrayLevelEmphasis",
    "ngl_hdhge": "LargeDependenceHighGrayLevelEmphasis", "ngl_glnu": "GrayLevelNonUniformity",
    "ngl_dcnu": "DependenceNonUniformity", "ngl_dcnu_norm": "DependenceNonUniformityNormalized",
    "ngl_gl_var": "GrayLevelVariance", "ngl_dc_var": "DependenceVariance", "ngl_dc_entr": "DependenceEntropy",
}  # fmt: skip
_NGTDM = {
    "ngt_coarseness": "Coarseness", "ngt_contrast": "Contrast", "ngt_busyness": "Busyness",
    "ngt_complexity": "Complexity", "ngt_strength": "Strength",
}  # fmt: skip
_FIRST_ORDER = {
    "stat_mean": "Mean", "stat_var": "Variance", "stat_skew": "Skewness", "stat_kurt": "Kurtosis",
    "stat_median": "Median", "stat_min": "Minimum", "stat_p10": "10Percentile", "stat_p90": "90Percentile",
    "stat_max": "Maximum", "stat_iqr": "InterquartileRange", "stat_range": "Range", "stat_mad": "MeanAbsoluteDeviation",
    "stat_rmad": "RobustMeanAbsoluteDeviation", "stat_energy": "Energy", "stat_rms": "RootMeanSquared",
    "ih_entropy": "Entropy", "ih_uniformity": "Uniformity",
}  # fmt: skip
_SHAPE = {
    "morph_volume": "MeshVolume", "morph_vol_approx": "VoxelVolume", "morph_area_mesh": "SurfaceArea",
    "morph_av": "SurfaceVolumeRatio", "morph_sphericity": "Sphericity", "morph_diam": "Maximum3DDiameter",
    "morph_pca_maj_axis": "MajorAxisLength", "morph_pca_min_axis": "MinorAxisLength",
    "morph_pca_least_axis": "LeastAxisLength", "morph_pca_elongation": "Elongation", "morph_pca_flatness": "Flatness",
}  # fmt: skip

IBSI_TAGS: Mapping[str, str] = MappingProxyType(
    {
        tag: f"{kind}_{name}"
        for kind, tags in (
            ("shape", _SHAPE), ("firstorder", _FIRST_ORDER), ("glcm", _GLCM), ("glrlm", _GLRLM), ("glszm", _GLSZM),
            ("gldm", _GLDM), ("ngtdm", _NGTDM),
        )
        for tag, name in tags.items()
    }
)  # fmt: skip
"""Our features by IBSI's tags. IBSI's kurtosis is ours less 3."""
