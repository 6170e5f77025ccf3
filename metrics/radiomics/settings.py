"""What to extract and how: the settings, the names of the features, and the settings of the FRD's two versions."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DIAGNOSTICS", "FEATURES", "Settings", "column_names", "frd_settings", "image_names", "split_name"]

_FIRST_ORDER = (
    "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum MeanAbsoluteDeviation Mean Median "
    "Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness TotalEnergy Uniformity Variance"
)
_GLCM = (
    "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation DifferenceAverage "
    "DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance JointAverage JointEnergy "
    "JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares"
)
_GLRLM = (
    "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
    "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis RunEntropy "
    "RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance ShortRunEmphasis "
    "ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis"
)
_GLDM = (
    "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
    "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
    "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
    "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis"
)
_GLSZM = (
    "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
    "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis "
    "SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
    "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance"
)
_NGTDM = "Busyness Coarseness Complexity Contrast Strength"
_SHAPE_2D = (
    "Elongation MajorAxisLength MaximumDiameter MeshSurface MinorAxisLength Perimeter PerimeterSurfaceRatio "
    "PixelSurface Sphericity"
)
_SHAPE = (
    "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
    "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea SurfaceVolumeRatio "
    "VoxelVolume"
)

FEATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shape2D": tuple(_SHAPE_2D.split()),
        "shape": tuple(_SHAPE.split()),
        "firstorder": tuple(_FIRST_ORDER.split()),
        "glcm": tuple(_GLCM.split()),
        "glrlm": tuple(_GLRLM.split()),
        "gldm": tuple(_GLDM.split()),
        "glszm": tuple(_GLSZM.split()),
        "ngtdm": tuple(_NGTDM.split()),
    }
)
"""Features of each class, by pyradiomics' names and in its order."""

DIAGNOSTICS = tuple(
    f"diagnostics_{name}"
    for name in (
        "Image-original_Mean", "Image-original_Minimum", "Image-original_Maximum", "Mask-original_VoxelNum",
        "Mask-original_VolumeNum", "Image-interpolated_Mean", "Image-interpolated_Minimum",
        "Image-interpolated_Maximum", "Mask-interpolated_VoxelNum", "Mask-interpolated_VolumeNum",
        "Mask-interpolated_Mean", "Mask-interpolated_Minimum", "Mask-interpolated_Maximum",
    )
)  # fmt: skip
"""The numbers among pyradiomics' notes on its input, which frd-score keeps among the features."""

_FRD_V1_CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "ngtdm")
_FRD_V1_GLCM = (
    "Autocorrelation JointAverage ClusterProminence ClusterShade ClusterTendency Contrast Correlation "
    "DifferenceAverage DifferenceEntropy DifferenceVariance JointEnergy JointEntropy Imc1 Imc2 Idm Idmn Id Idn "
    "InverseVariance MaximumProbability SumEntropy SumSquares"
)


@dataclass(frozen=True)
class Settings:
    """How features are extracted. The defaults are pyradiomics'; in brackets the names it has for them.

    Attributes:
        features: Columns to compute of every filtered image, in this order: class_Feature as in `FEATURES`, shape
            first. None: all of the image's dimension.
        filters: Of "original", "wavelet" (one stage of the stationary coif1 transform) and "log" (Laplacian of
            Gaussian), in this order of the columns.
        sigmas: Of the Laplacian of Gaussian, mm.
        bin_width: Width of the grey levels [binWidth], in the image's unit.
        bin_origin: Value at which grey level 1 begins; None: the edge at or below the region's minimum.
        bin_count: Number of grey levels [binCount]; takes the place of the width.
        voxel_shift: Added to values for energies and the root mean square [voxelArrayShift].
        normalise: Subtract the whole image's mean and divide by its standard deviation.
        scale: Factor after that [normalizeScale].
        clip: Standard deviations beyond which normalised values are cut off [removeOutliers].
        spacing: Voxel size to resample to, mm along (x, y) or (x, y, z) [resampledPixelSpacing]; 0 keeps an axis.
        interpolation: Of the image; the mask takes the nearest voxel.
        mask_interpolation: Of the mask; "linear" keeps voxels that are at least half inside.
        alignment: New voxels start at the image's first corner, as in pyradiomics, or lie around its centre, as in
            IBSI's manual; then the whole image is resampled.
        padding: Resampled voxels kept around the region for the filters [padDistance]; at the corner only.
        whole_values: Round resampled values to whole numbers, as Hounsfield units are.
        resegment: Range of values to keep in the region, ends included [resegmentRange]; shape ignores it.
        outliers: Standard deviations from the region's mean, after that range, beyond which values are left out
            [resegmentMode "sigma"]; shape ignores it.
        in_plane: Look for neighbours in the slice alone [force2D].
        merge: Add up the matrices of all directions, rather than average their features [weightingNorm
            "no_weighting"].
        diagnostics: Put the numbers of `DIAGNOSTICS` first.
        open_corner: Without a mask, leave the first voxel out of the region, as frd-score does.
    """

    features: tuple[str, ...] | None = None
    filters: tuple[str, ...] = ("original",)
    sigmas: tuple[float, ...] = ()
    bin_width: float = 25.0
    bin_origin: float | None = None
    bin_count: int | None = None
    voxel_shift: float = 0.0
    normalise: bool = False
    scale: float = 1.0
    clip: float | None = None
    spacing: tuple[float, ...] | None = None
    interpolation: Literal["bspline", "linear", "nearest"] = "bspline"
    mask_interpolation: Literal["nearest", "linear"] = "nearest"
    alignment: Literal["corner", "centre"] = "corner"
    padding: int = 5
    whole_values: bool = False
    resegment: tuple[float, float] | None = None
    outliers: float | None = None
    in_plane: bool = False
    merge: bool = False
    diagnostics: bool = False
    open_corner: bool = False

    def __post_init__(self) -> None:
        known = {f"{kind}_{name}" for kind, names in FEATURES.items() for name in names}
        _check_known("features", self.features or (), known)
        _check_known("filters", self.filters, {"original", "wavelet", "log"})
        _check_known("interpolation", (self.interpolation,), {"bspline", "linear", "nearest"})
        _check_known("mask_interpolation", (self.mask_interpolation,), {"nearest", "linear"})
        _check_known("alignment", (self.alignment,), {"corner", "centre"})
        if not self.bin_width > 0 or (self.bin_count is not None and self.bin_count < 1):
            raise InputError(f"bin_width, bin_count: expected above 0, got {self.bin_width}, {self.bin_count}")
        if self.padding < 0 or (self.clip is not None and not self.clip > 0):
            raise InputError(f"padding, clip: expected 0 or more and above 0, got {self.padding}, {self.clip}")
        if any(not sigma > 0 for sigma in self.sigmas) or ("log" in self.filters) != bool(self.sigmas):
            raise InputError(f"sigmas: expected widths above 0 where filters has 'log', else none, got {self.sigmas}")
        if self.spacing is not None and any(not size >= 0 for size in self.spacing):
            raise InputError(f"spacing: expected millimetres, or 0 to keep an axis, got {self.spacing}")
        if self.resegment is not None and not self.resegment[0] <= self.resegment[1]:
            raise InputError(f"resegment: expected (low, high), got {self.resegment}")
        if self.outliers is not None and not self.outliers > 0:
            raise InputError(f"outliers: expected standard deviations above 0, got {self.outliers}")


def frd_settings(version: Literal["v0", "v1"], dimension: Literal[2, 3]) -> Settings:
    """What frd-score 1.0.1 extracts: the columns of `column_names` are its, by name and order.

    Raises:
        InputError: Another version or dimension.
    """
    if version not in ("v0", "v1") or dimension not in (2, 3):
        raise InputError(f"version, dimension: expected 'v0' or 'v1' and 2 or 3, got {version!r}, {dimension!r}")
    if version == "v0":
        return Settings()
    glcm = tuple(_FRD_V1_GLCM.split())
    features = tuple(
        f"{kind}_{name}" for kind in _FRD_V1_CLASSES for name in (glcm if kind == "glcm" else FEATURES[kind])
    )
    return Settings(
        features=features,
        filters=("original", "wavelet") if dimension == 2 else ("original", "log", "wavelet"),
        sigmas=() if dimension == 2 else (2.0, 3.0, 4.0, 5.0),
        bin_width=5.0,
        voxel_shift=300.0,
        normalise=True,
        scale=100.0,
        spacing=(2.0,) * dimension,
        padding=10,
        diagnostics=True,
        open_corner=True,
    )


def image_names(settings: Settings, dimension: int) -> tuple[str, ...]:
    """The filtered images, in the order of their columns, by pyradiomics' names."""
    low = "L" * dimension
    bands = [f"{k:0{dimension}b}".replace("0", "L").replace("1", "H") for k in range(2**dimension)]
    wavelets = (*(f"wavelet-{band}" for band in bands if band != low), f"wavelet-{low}")
    of = {
        "original": ("original",),
        "wavelet": wavelets,
        "log": tuple(f"log-sigma-{str(float(sigma)).replace('.', '-')}-mm-3D" for sigma in settings.sigmas),
    }
    return tuple(name for kind in settings.filters for name in of[kind])


def column_names(settings: Settings, dimension: int) -> tuple[str, ...]:
    """Every column of an extraction, in order: [filter_]class_Feature, the unfiltered image's without its filter.

    Raises:
        InputError: A feature is not one of this dimension.
    """
    shape, other = ("shape2D", "shape") if dimension == 2 else ("shape", "shape2D")
    features = settings.features
    if features is None:
        features = tuple(f"{kind}_{name}" for kind, names in FEATURES.items() if kind != other for name in names)
    wrong = [name for name in features if name.startswith(f"{other}_")]
    if wrong:
        raise InputError(f"features: {wrong[0]} is not of {dimension}D images; the class is called {shape} there")
    shapes = [name for name in features if name.startswith(f"{shape}_")]
    rest = [name for name in features if not name.startswith(f"{shape}_")]
    prefixes = ["" if image == "original" else f"{image}_" for image in image_names(settings, dimension)]
    head = DIAGNOSTICS if settings.diagnostics else ()
    return (*head, *shapes, *(f"{prefix}{name}" for prefix in prefixes for name in rest))


def split_name(column: str) -> tuple[str, str, str]:
    """The filter ("original" where none is named), class and feature of a column; diagnostics are a class."""
    head, _, feature = column.rpartition("_")
    image, _, kind = head.rpartition("_")
    return ("original", *column.split("_", 1)) if column in DIAGNOSTICS else (image or "original", kind, feature)  # type: ignore[return-value]


def _check_known(argument: str, given: tuple[str, ...], known: set[str]) -> None:
    for name in given:
        if name not in known:
            listed = f"one of {', '.join(sorted(known))}" if len(known) < 10 else "names as in FEATURES"
            raise InputError(f"{argument}: {name!r} is unknown; give {listed}")
