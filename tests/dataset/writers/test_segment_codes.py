import pytest
from pydicom.sr.codedict import codes

from synth.anatomy.labels import LABELS, PARTS
from synth.anatomy.vocabulary import KINDS
from synth.dataset.patients.structures import GROUPS
from synth.dataset.writers import segment_codes
from synth.dataset.writers.segment_codes import meaning_of

# Of PS3.16 CID 7151 and 244.
STRUCTURE, ABNORMAL, OBJECT, TISSUE = "91723000", "49755003", "260787004", "85756007"
LEFT, RIGHT = "7771000", "24028007"


@pytest.mark.parametrize(
    ("name", "category", "kind", "side"),
    [
        ("heart", STRUCTURE, "80891009", None),
        ("kidney_left", STRUCTURE, "64033007", LEFT),
        ("lung_upper_lobe_left", STRUCTURE, "45653009", LEFT),
        ("lung_middle_lobe_right", STRUCTURE, "72481006", None),
        ("lung_right", STRUCTURE, "39607008", RIGHT),
        ("rib_left_3", STRUCTURE, "113197003", LEFT),
        ("vertebrae_T4", STRUCTURE, "73071006", None),
        ("vertebrae_L5", STRUCTURE, "49668003", None),
        ("heart_ventricle_left", STRUCTURE, "87878005", None),
        ("brachiocephalic_trunk", STRUCTURE, "12691009", None),
        ("hip_right", STRUCTURE, STRUCTURE, RIGHT),  # the list has no hip bone
        ("vertebrae_S1", STRUCTURE, STRUCTURE, None),
        ("anything else", STRUCTURE, STRUCTURE, None),
        ("torso_fat", TISSUE, "55603005", None),
        ("gas", "91720002", "74947009", None),
        ("kidney_cyst_left", ABNORMAL, "367643001", LEFT),
        ("finding:spiculated nodule", ABNORMAL, "27925004", None),
        ("cavitary mass", ABNORMAL, "4147007", None),
        ("finding:alveolar edema", ABNORMAL, "79654002", None),
        ("finding:pneumothorax", ABNORMAL, "52988006", None),
        ("finding:endotracheal tube", OBJECT, "26412008", None),
        ("object:endotracheal tube:visible", OBJECT, "26412008", None),
        ("object:bolt", OBJECT, OBJECT, None),
        ("sternal wires", OBJECT, OBJECT, None),
        ("couch", OBJECT, "86407004", None),
    ],
)
def test_codes(name: str, category: str, kind: str, side: str | None) -> None:
    meaning = meaning_of(name)
    assert (meaning.category.value, meaning.type.value) == (category, kind)
    assert (meaning.side and meaning.side.value) == side
    assert meaning.type.scheme_designator == "SCT"


def test_every_keyword_is_of_the_standards_list() -> None:
    tables = ("_TYPES", "_SIDED", "_TISSUES", "_SUBSTANCES", "_ABNORMALITIES", "_OBJECTS")
    listed = set(codes.cid7151.dir())
    assert not [one for table in tables for one in getattr(segment_codes, table).values() if one not in listed]


def test_every_structure_of_a_phantom_has_a_meaning() -> None:
    names = [*LABELS, *PARTS, *GROUPS, *KINDS]
    plain = [name for name in names if meaning_of(name).type == meaning_of(name).category]
    assert len(plain) < len(names) / 6  # most have a type of their own
