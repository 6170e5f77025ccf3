"""Words around findings: sides, places, grades, denials, doubts, and what else steers the parser."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CUES", "PLACES", "Role"]

Role = Literal[
    "finding",  # value: tuple of Concepts
    "organ",  # heart, mediastinum, or another that may be enlarged
    "enlarged",
    "side",
    "place",  # value: (location, laterality or "")
    "half",  # "upper" in "upper and lower lobes"
    "grade",
    "tip",  # where a tube or lead ends
    "rib side",  # lateral, anterior, posterior
    "ordinal",  # of a rib
    "trait",  # what makes a nodule a spiculated nodule
    "no",  # denies what follows
    "gone",  # denies what stands before
    "maybe",  # doubts what follows
    "doubted",  # doubts what stands before
    "versus",  # doubts both
    "break",  # a new clause
    "and",
    "with",
    "verb",
    "normal",
    "state",  # stable, unchanged: what follows is there
    "the",  # this, these: what was spoken of before
    "nothing",  # swallows words that would mislead
]
"""What a term does in a sentence."""

CUES: Mapping[Role, Mapping[str, str]] = MappingProxyType(
    {
        "trait": {
            "spiculated": "spiculated; spiculation; spiculated margin; spiculate",
            "lobulated": "lobulated; lobulated margin",
            "calcified": "calcified; calcific; densely calcified",
            "ground-glass": "ground glass; groundglass; subsolid; sub solid; nonsolid; non solid",
            "cavitary": "cavitary; cavitating; central cavitation; internal cavitation",
            "linear": "linear; discoid; platelike; plate like; subsegmental; bandlike; band like; streaky",
            "tension": "tension; under tension",
            "healing": "healing; healed; old; remote; chronic; callus",
            "rib": "rib",
            "interstitial": "interstitial",
            "alveolar": "alveolar; airspace",
        },
        "tip": {
            "mid trachea": "mid trachea; above the carina; above carina; mid tracheal",
            "high": "high in the trachea; upper trachea; above the clavicles; thoracic inlet",
            "right main bronchus": "right main bronchus; right mainstem bronchus; right main stem bronchus; "
            "right main stem; right mainstem",
            "stomach": "stomach; below the diaphragm; gastric fundus; gastric body; gastric bubble",
            "distal esophagus": "distal esophagus; above the gastroesophageal junction; lower esophagus",
            "superior vena cava": "superior vena cava; svc; mid svc; upper svc; lower svc",
            "cavoatrial junction": "cavoatrial junction; caval atrial junction; svc ra junction; atriocaval junction; "
            "superior cavoatrial junction",
            "right atrium": "right atrium",
            "right ventricle": "right ventricle",
            "right atrium and right ventricle": "right atrium and right ventricle; right atrium and ventricle; "
            "right atrial and right ventricular; right atrial and ventricular",
        },
        "rib side": {"lateral": "lateral", "anterior": "anterior", "posterior": "posterior"},
        "ordinal": {
            "1st": "1 st; first",
            "2nd": "2 nd; second",
            "3rd": "3 rd; third",
            "4th": "4 th; fourth",
            "5th": "5 th; fifth",
            "6th": "6 th; sixth",
            "7th": "7 th; seventh",
            "8th": "8 th; eighth",
            "9th": "9 th; ninth",
            "10th": "10 th; tenth",
            "11th": "11 th; eleventh",
            "12th": "12 th; twelfth",
        },
        "half": {"upper": "upper", "lower": "lower", "middle": "middle"},
        "side": {
            "left": "left; left sided; lt; left side; leftward",
            "right": "right; right sided; rt; right side",
            "bilateral": "bilateral; bilaterally; both; right greater than left; left greater than right; r>l; "
            "l>r; right more than left; left more than right; left and right; right and left; each",
        },
        "grade": {
            "mild": "mild; mildly; minimal; minimally; slight; slightly; subtle; faint; borderline; low grade",
            "moderate": "moderate; moderately; moderate sized; mild to moderate; small to moderate; moderate size",
            "severe": "severe; severely; marked; markedly; extensive; moderate to severe; massive",
            "small": "small; tiny; trace; small sized; punctate; very small; subcentimeter",
            "large": "large; sizable; sizeable; moderate to large; very large; huge",
        },
        "organ": {
            "heart": "heart; heart size; cardiac silhouette; cardiac size; cardiac shadow; cardiac contour; "
            "heart shadow; heart silhouette; cardiac; size of the heart; cardiac and mediastinal silhouette; "
            "cardiac outline; cardiomediastinal silhouette; cardiopericardial silhouette",
            "mediastinum": "mediastinum; mediastinal; mediastinal contour; mediastinal silhouette; "
            "superior mediastinum; mediastinal structures; upper mediastinum",
            "other": "aorta; aortic; pulmonary artery; pulmonary arteries; pulmonary arterial; lymph node; "
            "thyroid; atrial; atrium; ventricle; vessels; vasculature; vascular; vascularity; azygos; node; "
            "hilar enlargement; enlargement of the hilum; enlarged hilum; heart border; heart failure",
        },
        "enlarged": {
            "": "enlarged; enlargement; prominent; prominence; widened; widening; increased in size; dilated; enlarging"
        },
        "no": {
            "": "no; not; without; negative for; free of; clear of; absence of; absent; resolution of; "
            "resolved; removal of; removed; never; neither; no longer; denies; none; history of; h/o; "
            "rather than; lack of; no evidence of; without evidence of; no evidence for; "
            "status post removal of; negative"
        },
        "gone": {
            "": "resolved; has resolved; have resolved; has cleared; have cleared; is absent; are absent; "
            "not seen; not identified; not present; not visualized; not visualised; not evident; "
            "not appreciated; not demonstrated; not detected; ruled out; is excluded; are excluded; unlikely; "
            "no longer seen; no longer present; no longer visible; no longer visualized; no longer identified; "
            "no longer evident; been removed; not definitely seen; disappeared"
        },
        "maybe": {
            "": "possible; possibly; questionable; question; question of; may represent; may be; may reflect; "
            "may relate; may; might; could; could represent; could be; could reflect; concern for; "
            "concerning for; worrisome for; cannot exclude; cannot rule out; difficult to exclude; rule out; "
            "r/o; to exclude; suspected; suspicion of; suspicion for; equivocal; if; evaluate for; assess for; "
            "differential; can not exclude; not exclude; should; cannot completely exclude; "
            "cannot entirely exclude; recommend; recommended; suggest follow up; ?"
        },
        "doubted": {
            "": "cannot be excluded; can not be excluded; not excluded; is possible; are possible; "
            "is suspected; are suspected; should be considered; should be excluded; cannot be ruled out; "
            "not entirely excluded; difficult to exclude; difficult to entirely exclude; "
            "difficult to completely exclude; is questioned; cannot be entirely excluded; "
            "cannot be completely excluded"
        },
        "versus": {"": "versus; vs"},
        "break": {
            "": "but; however; although; though; while; whereas; otherwise; except; except for; besides; "
            "aside from; apart from; other than; there is; there are; there has been; there was; yet; and the; "
            "with stable; with unchanged; despite; which; limited by"
        },
        "and": {"and": "and; as well as; plus; /; and / or", "or": "or; nor"},
        "with": {
            "": "with; adjacent; associated; accompanied by; accompanying; a; an; overlying; underlying; including"
        },
        "verb": {
            "": "is; are; was; were; has; have; appears; appear; shows; show; demonstrates; demonstrate; "
            "remains; remain; seen; represents; represent; reflects; suggests; noted; present; identified"
        },
        "normal": {"": "normal; clear; unremarkable; within normal limits; well aerated; normally inflated"},
        "state": {"": "stable; unchanged; persistent; again; redemonstrated; worsening; increasing; improved"},
        "the": {"": "the; this; these; that; said; previously noted; previously described"},
        "nothing": {
            "": "left ventricle; left atrium; left atrial; left ventricular; "
            "right atrial; right ventricular; right heart border; left heart border; right heart; left heart; "
            "left main bronchus; left mainstem bronchus; "
            "right upper quadrant; left upper quadrant; left innominate vein; right innominate vein; "
            "left brachiocephalic vein; right brachiocephalic vein; right paratracheal; left to right; "
            "right to left; right lung is clear; left lung is clear; right upper abdomen; left upper abdomen; "
            "pericardial effusion; subcutaneous emphysema; subcutaneous edema; soft tissue edema; "
            "soft tissue density; soft tissue densities; bone density; bone densities; low density; "
            "thoracic cavity; chest cavity; pleural cavity; bone island; body mass; vertebral collapse; "
            "compression fracture deformity; no change; no change in; no interval change; "
            "no interval change in; no significant change; no significant change in; without change; "
            "no significant interval change; no significant interval change in; without significant change; "
            "no increase in; without interval change; not significantly changed; not changed; "
            "no substantial change; not only; no acute change; cannot be; pulmonary vascularity; "
            "sternal wire fracture; fracture of the sternotomy; fracture of sternotomy; "
            "fracture of superior sternotomy; increased density of; carotid; dual lead; single lead; "
            "dual chamber; chronic obstructive; joint effusion; heart failure symptoms; skin fold; "
            "nipple shadow; fat density; metallic density; metallic densities; surgical clips; "
            "vascular marking; bronchovascular marking; pulmonary vascular marking; pulmonary marking; "
            "lung density; increased lung density; without failure"
        },
    }
)
"""Role → value → phrases."""

PLACES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("upper lobe", ""): "upper lobe; upper lung; upper lung zone; upper zone; upper lung field",
        ("middle lobe", ""): "middle lobe",
        ("lower lobe", ""): "lower lobe; lower lung; lower lung zone; lower zone; lower lung field",
        ("lingula", ""): "lingula; lingular; lingular segment",
        ("apex", ""): "apex; apical; apices; lung apex; lung apices",
        ("apex", "bilateral"): "biapical",
        ("base", ""): "base; basilar; basal; lung base",
        ("base", "bilateral"): "bibasilar; bibasal",
        ("hilum", ""): "hilum; hilar; hila; perihilar",
        ("upper lobe", "right"): "rul",
        ("middle lobe", "right"): "rml",
        ("lower lobe", "right"): "rll",
        ("upper lobe", "left"): "lul",
        ("lower lobe", "left"): "lll",
    }
)
"""(location, side or "") → phrases."""
