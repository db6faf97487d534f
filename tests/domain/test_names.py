import pytest

from domain.errors import NotFoundError
from domain.families import FAMILIES, family_of
from domain.names import near, unknown

KNOWN = ("builtin", "colour", "st:Qwen/Qwen3-VL-Reranker-2B", "st:jinaai/jina-reranker-m0")


def test_near_names_come_best_first_and_once():
    assert near("bultin", KNOWN) == ("builtin",)
    assert near("BUILTIN", KNOWN) == ("builtin",)
    assert near("jina", KNOWN) == ("st:jinaai/jina-reranker-m0",)
    assert near("", KNOWN) == ()
    assert near("zzzz", KNOWN) == ()


def test_an_unknown_name_is_answered_with_the_near_ones_or_with_all():
    assert isinstance(unknown("encoder", "colur", KNOWN), NotFoundError)
    assert str(unknown("encoder", "colur", KNOWN)) == "there is no encoder 'colur'; did you mean colour?"
    assert "there are: builtin, colour" in str(unknown("encoder", "qq", KNOWN))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.checkpoint)
def test_a_family_of_the_table_says_what_a_choice_needs(family):
    assert family.licence
    assert family.checkpoint.count("/") == 1
    assert (family.dim > 0) == (family.role == "encoder")
    assert (family.published is None) == (not family.source)
    assert family.published is None or 0 < family.published < 1


def test_a_family_is_found_however_its_name_is_written():
    assert family_of("st:qwen/qwen3-vl-embedding-2b") is FAMILIES["Qwen/Qwen3-VL-Embedding-2B"]
    assert family_of("builtin") is None
