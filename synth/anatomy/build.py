"""What a person's age, sex, height and weight mean for the body that is drawn: lengths, angles, densities."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Build"]


@dataclass(frozen=True)
class Build:
    """The measures that the parts of a phantom are drawn from; defaults are a man of 30 years, 176 cm and 75 kg.

    They are his expected values by synth.anatomy.relations, with a straight spine. Lengths of the chest are those at
    full inspiration, whatever `inspiration` says; lung_litres and lung_hu are those at that inspiration.

    Attributes:
        female: Whether sex characteristics are a woman's.
        age: Years.
        trunk_scale: Length of the trunk relative to the default (vertebral heights, z in general).
        cavity_width_mm: Largest inner width of the rib cage, at full inspiration.
        cavity_depth_mm: Inner depth of the rib cage from the breastbone to the front of the spine, at the same level.
        lung_height_mm: From the apex straight down to the top of the right dome, full inspiration.
        biacromial_mm: Breadth between the acromia.
        rib_drop_deg: Mean downward slope of the middle ribs, full inspiration.
        kyphosis_deg: Cobb angle from T4 to T12.
        scoliosis_mm: Largest sideways deviation of the thoracic spine, to the right positive.
        inspiration: Share of full inspiration, 1 at total lung capacity, 0 at functional residual capacity.
        arms_up: Arms above the head (as in CT) instead of beside.
        supine: Lying on the back instead of standing.
        trabecular_hu: Marrow of the vertebral bodies.
        cortex_mm: Thickness of a rib's cortex.
        cartilage_calcification: Share of costal cartilage that is calcified, 0 to 1.
        osteophytes: Degenerative spurs of the spine, 0 to 1.
        heart_width_mm: Greatest transverse width of the cardiac silhouette.
        heart_axis_deg: Angle of the heart's long axis below the horizontal, seen from the front (steep in slim people).
        ascending_aorta_mm: Outer diameter of the ascending aorta.
        descending_aorta_mm: Outer diameter of the descending aorta.
        aortic_unfolding: How far the arch has risen and the descending aorta swings to the left, 0 to 1.
        aortic_calcification: Share of the wall that is calcified, 0 to 1.
        pulmonary_trunk_mm: Diameter of the pulmonary trunk.
        trachea_mm: Inner coronal diameter of the trachea.
        subcutaneous_mm: Thickness of the fat below the skin over the lower chest, at the side.
        visceral_fat: Share of the abdomen's and mediastinum's free space that is fat, 0 to 1; widens the mediastinum.
        muscle: Thickness of the chest's muscles relative to the default.
        breast_ml: Volume of one breast; 0 in men.
        breast_sag_mm: How far below its root the breast's lowest point hangs.
        breast_density: Glandular share of the breast, 0 to 1; 0 in men.
        lung_hu: Mean of the lungs' parenchyma, without vessels visible by themselves.
        lung_litres: Volume of both lungs, gas and tissue: what their shapes should come to.
        dome_difference_mm: How much higher the right dome stands.
        stomach_gas_ml: Air in the stomach.
        bowel_gas: Amount of gas in the splenic and hepatic flexures, 0 to 1.
    """

    female: bool = False
    age: float = 30.0
    trunk_scale: float = 1.0
    cavity_width_mm: float = 283.0
    cavity_depth_mm: float = 146.0
    lung_height_mm: float = 226.0
    biacromial_mm: float = 416.0
    rib_drop_deg: float = 28.0
    kyphosis_deg: float = 30.0
    scoliosis_mm: float = 0.0
    inspiration: float = 1.0
    arms_up: bool = False
    supine: bool = False
    trabecular_hu: float = 213.0
    cortex_mm: float = 0.8
    cartilage_calcification: float = 0.03
    osteophytes: float = 0.04
    heart_width_mm: float = 123.0
    heart_axis_deg: float = 40.0
    ascending_aorta_mm: float = 31.4
    descending_aorta_mm: float = 22.9
    aortic_unfolding: float = 0.04
    aortic_calcification: float = 0.0
    pulmonary_trunk_mm: float = 25.6
    trachea_mm: float = 19.0
    subcutaneous_mm: float = 12.0
    visceral_fat: float = 0.3
    muscle: float = 1.0
    breast_ml: float = 0.0
    breast_sag_mm: float = 0.0
    breast_density: float = 0.0
    lung_hu: float = -888.0
    lung_litres: float = 7.81
    dome_difference_mm: float = 12.0
    stomach_gas_ml: float = 60.0
    bowel_gas: float = 0.3
