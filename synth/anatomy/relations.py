"""The relations between a person and the measures of the body, as data: mean, scatter, limits, source.

Each is evaluated in the order of the table and may use those above it. Where a source gives means by group, the line
through them is ours; "ours" alone marks a plausible rule without a measurement behind its numbers.
"""

from __future__ import annotations

import math

from synth.anatomy.build import Build
from synth.anatomy.traits import Relation, Traits

__all__ = ["RELATIONS"]

_MAN = Build()
"""The default man, from whose proportions others are scaled."""
_BOX_SHARE = 0.84
"""The chest above the diaphragm over the box cavity width × cavity depth × lung height, measured on cages drawn so: the
box's corners are empty, but the lungs also lie beside the spine and below the top of the dome."""

_ROOM = 0.88
"""Share of the total lung capacity that the rib cage is made for: CT's volumes at full inspiration are 12 % and more
below those of plethysmography (Kauczor et al. 1998, AJR 171:1091). What breath takes beyond it, the domes give."""


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


_LUNG: tuple[Relation, ...] = (
    Relation(
        "tlc_l",
        lambda t, v: t.by_sex(6.60 * t.height_m - 5.79, 7.99 * t.height_m - 7.08) * _stout_tlc(t),
        (0.60, 0.70),
        (2.5, 11.0),
        "Quanjer et al. 1993, Eur Respir J 6 Suppl 16:5; 0.5 % less a unit of BMI: Jones & Nzekwu 2006, Chest 130:827",
    ),
    Relation(
        "frc_l",
        lambda t, v: min(
            t.by_sex(2.24 * t.height_m + 0.001 * t.age - 1.00, 2.34 * t.height_m + 0.009 * t.age - 1.09)
            * math.exp(-0.02 * max(t.stout, -6.0)),
            0.65 * v["tlc_l"],
        ),
        (0.40, 0.45),
        (0.9, 6.0),
        "Quanjer et al. 1993 (SD there 0.50 and 0.60); falls with BMI as in Jones & Nzekwu 2006, our exponent",
        follows=("tlc_l", 0.6),
    ),
    Relation(
        "lung_mass_kg",
        lambda t, v: 0.125 * v["tlc_l"],
        0.07,
        (0.3, 1.4),
        "ours: tissue and small vessels of lungs that average -850 to -870 HU at full inspiration (as in Zach et al. "
        "2012, Invest Radiol 47:596)",
        relative=True,
    ),
    Relation(
        "trunk_scale",
        lambda t, v: t.height_m / 1.76 * (1 + 0.012 * t.female),
        0.02,
        (0.75, 1.3),
        "ours: in proportion to height; sitting height over height is about 1 % more in women",
    ),
    Relation(
        "lung_height_mm",
        lambda t, v: _MAN.lung_height_mm * v["trunk_scale"] * (1 - 0.003 * max(t.stout, 0.0)),
        8.0,
        (150.0, 300.0),
        "the height of the domes against the spine is the same in both sexes (Bellemare et al. 2003, Am J Respir Crit "
        "Care Med 168:305); lower by the belly's fat: ours",
        follows=("tlc_l", 0.5),
    ),
    Relation(
        "depth_over_width",
        lambda t, v: 0.515 + 0.012 * t.female + 0.007 * t.decades + 0.003 * t.stout,
        0.03,
        (0.40, 0.70),
        "rounder in women at full inspiration (Bellemare et al. 2003), with age and with BMI (Gayzik et al. 2008, J "
        "Biomech 41:1545; Shi et al. 2014, J Biomech 47:2277); slopes ours",
    ),
    Relation(
        "cavity_width_mm",
        lambda t, v: math.sqrt(
            (_lungs_ml(_ROOM * v["tlc_l"], v["lung_mass_kg"]) + 450 * t.bsa + 25 * max(t.stout, 0.0))
            * 1000
            / (_BOX_SHARE * v["lung_height_mm"] * v["depth_over_width"])
        ),
        0.0,
        (200.0, 360.0),
        "ours: room for the lungs at full inspiration and for heart and mediastinum, 450 ml a square metre of body "
        "surface and 25 ml of fat a unit of BMI",
    ),
    Relation(
        "cavity_depth_mm",
        lambda t, v: v["cavity_width_mm"] * v["depth_over_width"],
        0.0,
        (85.0, 220.0),
        "follows from width and shape",
    ),
    Relation(
        "gas_l",
        lambda t, v: (
            (v["frc_l"] + t.inspiration * (v["tlc_l"] - v["frc_l"]))
            * (1 - t.supine * (0.05 + 0.09 * (1 - t.inspiration)))
        ),
        0.0,
        (0.8, 11.0),
        "lying down takes 5 to 15 % (Yamada et al. 2020, Sci Rep 10:16203)",
    ),
    Relation(
        "lung_litres",
        lambda t, v: _lungs_ml(v["gas_l"], v["lung_mass_kg"]) / 1000,
        0.0,
        (1.2, 12.5),
        "gas and tissue of density 1.05 g/ml",
    ),
    Relation(
        "lung_hu",
        lambda t, v: 1000 * (v["lung_mass_kg"] / v["lung_litres"] - 1),
        0.0,
        (-950.0, -600.0),
        "conservation of mass: HU + 1000 is the density in mg/ml",
    ),
    Relation(
        "dome_difference_mm",
        lambda t, v: 12.0,
        7.0,
        (-10.0, 35.0),
        "the right dome stands higher by half an interspace in nine of ten (Felson 1973, Chest Roentgenology)",
    ),
)


def _stout_tlc(t: Traits) -> float:
    return min(1 - 0.005 * t.stout, 1.03)


def _lungs_ml(gas_l: float, mass_kg: float) -> float:
    """Volume of both lungs."""
    return 1000 * (gas_l + mass_kg / 1.05)


_SKELETON: tuple[Relation, ...] = (
    Relation(
        "biacromial_mm",
        lambda t, v: t.by_sex(365 + 1.4 * (100 * t.height_m - 162.9), 416 + 1.4 * (100 * t.height_m - 175.6)),
        (16.0, 17.0),
        (300.0, 490.0),
        "means: Gordon et al. 2014, ANSUR II (365 and 416 mm at 162.9 and 175.6 cm); slope ours",
    ),
    Relation(
        "rib_drop_deg",
        lambda t, v: 28 + 3 * t.female - 0.8 * t.decades - 0.2 * t.stout,
        2.5,
        (14.0, 42.0),
        "steeper in women (Bellemare et al. 2003), flatter with age and BMI (Gayzik et al. 2008); numbers ours",
    ),
    Relation(
        "kyphosis_deg",
        lambda t, v: (30 + t.by_sex(3.4, 2.3) * t.decades) * (1 - 0.08 * t.supine),
        8.0,
        (18.0, 70.0),
        "our lines after Fon et al. 1980, AJR 134:979, and Katzman et al. 2010, J Orthop Sports Phys Ther 40:352; "
        "lying flattens it: ours",
    ),
    Relation(
        "scoliosis_mm",
        lambda t, v: 1.0,
        3.0,
        (-12.0, 12.0),
        "the normal spine turns a little to the right (Kouwenhoven et al. 2006, Spine 31:1467); numbers ours",
    ),
    Relation(
        "trabecular_hu",
        lambda t, v: max(226 - 2.5 * (t.age - 25), 89.0) + (8 * t.female if t.age < 50 else 0),
        (36.0, 36.0),
        (10.0, 340.0),
        "Jang et al. 2019, Radiology 291:360: L1 at 120 kV falls by 2.5 HU a year from 226 to 89, women higher until "
        "the menopause; 8 HU and the SD (there 38 to 44 within groups) ours",
    ),
    Relation(
        "cortex_mm",
        lambda t, v: 0.8 - 0.05 * t.female - t.by_sex(0.045, 0.03) * max(t.decades - 1, 0.0),
        0.08,
        (0.35, 1.2),
        "ribs lose cortex with age, women more (Stein & Granik 1976, Calcif Tissue Res 20:61); numbers ours",
    ),
    Relation(
        "cartilage_calcification",
        lambda t, v: 0.5 * _logistic((t.age - 62) / 11),
        0.5,
        (0.0, 0.9),
        "rare before 30, usual after 60 (McCormick 1980, J Forensic Sci 25:736); share ours",
        relative=True,
    ),
    Relation(
        "osteophytes",
        lambda t, v: 0.8 * _logistic((t.age - 60) / 10) * t.by_sex(0.88, 1.0),
        0.4,
        (0.0, 1.0),
        "84 % of men and 74 % of women past 50 (O'Neill et al. 1999, J Rheumatol 26:842); degree ours",
        relative=True,
    ),
)

_HEART: tuple[Relation, ...] = (
    Relation(
        "cardiothoracic_ratio",
        lambda t, v: 0.435 + 0.012 * t.female + 0.007 * t.decades + 0.002 * t.stout,
        0.03,
        (0.34, 0.56),
        "0.42 to 0.45 in the young, more with age and in women (Brakohiapa et al. 2017, Pan Afr Med J 27:201); "
        "slopes and SD ours",
    ),
    Relation(
        "heart_width_mm",
        lambda t, v: v["cardiothoracic_ratio"] * v["cavity_width_mm"],
        0.0,
        (80.0, 180.0),
        "the ratio times the width of the chest",
    ),
    Relation(
        "heart_axis_deg",
        lambda t, v: 40 - 1.1 * t.stout - 1.5 * t.decades - 3 * t.supine,
        5.0,
        (15.0, 60.0),
        "steep in the slim, flat with weight and age (Engblom et al. 2005, Am Heart J 150:507); numbers ours",
    ),
    Relation(
        "ascending_aorta_mm",
        lambda t, v: t.by_sex(31.9 + 4.35 * (t.bsa - 1.75), 34.1 + 4.35 * (t.bsa - 2.05)) + (t.age - 51) / 10,
        (2.8, 3.0),
        (22.0, 48.0),
        "means: Rogers et al. 2013, Am J Cardiol 111:1510; 1 mm a decade and 1 mm each 0.23 m²: Turkbey et al. 2014, "
        "J Magn Reson Imaging 39:360 (compare Wolak et al. 2008, JACC Cardiovasc Imaging 1:200)",
    ),
    Relation(
        "descending_aorta_mm",
        lambda t, v: t.by_sex(23.1 + 3.0 * (t.bsa - 1.75), 25.8 + 3.0 * (t.bsa - 2.05)) + 1.2 * (t.age - 51) / 10,
        (1.8, 2.0),
        (15.0, 38.0),
        "means: Rogers et al. 2013; slopes ours, after Wolak et al. 2008 and Hager et al. 2002, J Thorac Cardiovasc "
        "Surg 123:1060",
        follows=("ascending_aorta_mm", 0.6),
    ),
    Relation(
        "aortic_unfolding",
        lambda t, v: _logistic((t.age - 65) / 11),
        0.3,
        (0.0, 1.0),
        "the arch widens and rises with age (Craiem et al. 2012, Ann Biomed Eng 40:1028); scale ours",
        relative=True,
        follows=("ascending_aorta_mm", 0.4),
    ),
    Relation(
        "aortic_calcification",
        lambda t, v: 0.35 * _logistic((t.age - 74 - 3 * t.female) / 7.5),
        0.8,
        (0.0, 0.8),
        "rare before 50, almost all past 70 (Allison et al. 2004, Arterioscler Thromb Vasc Biol 24:331); share ours",
        relative=True,
        follows=("aortic_unfolding", 0.3),
    ),
    Relation(
        "pulmonary_trunk_mm",
        lambda t, v: t.by_sex(24.0 + 2.5 * (t.bsa - 1.75), 25.9 + 2.5 * (t.bsa - 2.05)),
        2.2,
        (17.0, 36.0),
        "Truong et al. 2012, Circ Cardiovasc Imaging 5:147 (mean 25.1, 90th percentile 26.9 in women, 28.9 in men); "
        "slope ours",
        follows=("ascending_aorta_mm", 0.3),
    ),
    Relation(
        "trachea_mm",
        lambda t, v: t.by_sex(15.5, 19.0),
        (1.7, 2.0),
        (10.0, 25.0),
        "coronal: 13 to 25 mm in men, 10 to 21 in women (Breatnach et al. 1984, AJR 142:903)",
    ),
)

_SOFT: tuple[Relation, ...] = (
    Relation(
        "fat_percent",
        lambda t, v: 1.20 * t.bmi + 0.23 * t.age - 10.8 * (1 - t.female) - 5.4,
        4.0,
        (4.0, 60.0),
        "Deurenberg et al. 1991, Br J Nutr 65:105 (SEE 4 %)",
    ),
    Relation(
        "subcutaneous_mm",
        lambda t, v: 1.95 * v["fat_percent"] / 100 * t.weight_kg * t.by_sex(0.72, 0.8) / t.bsa,
        0.15,
        (3.0, 60.0),
        "ours: in proportion to fat mass over surface, less of it visceral but also less on the chest in women",
        relative=True,
    ),
    Relation(
        "visceral_fat",
        lambda t, v: 0.30 - 0.1 * t.female + 0.03 * t.decades + 0.022 * t.stout,
        0.06,
        (0.05, 0.95),
        "more in men, with age and weight (Enzi et al. 1986, Am J Clin Nutr 44:739); numbers ours",
        follows=("fat_percent", 0.3),
    ),
    Relation(
        "muscle",
        lambda t, v: t.by_sex(0.75, 1.0) * (1 + 0.012 * t.stout) * (1 - 0.06 * max(t.decades - 1.5, 0.0)),
        0.09,
        (0.35, 1.7),
        "upper body 40 % less mass in women, loss from 45 years on (Janssen et al. 2000, J Appl Physiol 89:81); "
        "thickness ours",
        relative=True,
        follows=("fat_percent", -0.4),
    ),
    Relation(
        "breast_ml",
        lambda t, v: t.female * 430 * math.exp(0.05 * t.stout),
        0.35,
        (0.0, 1500.0),
        "ours: near half a litre at normal weight, log-normal, half as much again every eight units of BMI",
        relative=True,
    ),
    Relation(
        "breast_sag_mm",
        lambda t, v: (
            t.female * (8 + 22 * math.sqrt(v["breast_ml"] / 500) * (1 + 0.12 * t.decades)) * (1 - 0.7 * t.supine)
        ),
        0.2,
        (0.0, 110.0),
        "ours: with volume and age, little when lying",
        relative=True,
    ),
    Relation(
        "breast_density",
        lambda t, v: t.female * 0.28 * math.exp(-0.12 * t.decades - 0.045 * t.stout),
        0.35,
        (0.0, 0.8),
        "volumetric density falls with age and weight, about 0.2 at middle age (Yaffe et al. 2009, Med Phys 36:5437); "
        "numbers ours",
        relative=True,
    ),
    Relation("stomach_gas_ml", lambda t, v: 60.0, 0.6, (0.0, 350.0), "ours", relative=True),
    Relation("bowel_gas", lambda t, v: 0.3, 0.12, (0.0, 1.0), "ours"),
)

RELATIONS: tuple[Relation, ...] = _LUNG + _SKELETON + _HEART + _SOFT
"""All relations, in the order of their evaluation."""
