import threading

import pytest
import torch

from backbone.threads import Crew


def test_pieces_are_done_in_order_each_by_one_thread_and_the_caller_keeps_its_own() -> None:
    before = torch.get_num_threads()
    found = Crew().each(lambda piece: (piece, torch.get_num_threads(), threading.get_ident()), range(6))
    assert [piece for piece, _, _ in found] == list(range(6))
    assert {threads for _, threads, _ in found} == {1}
    assert threading.get_ident() not in {ident for _, _, ident in found}
    assert torch.get_num_threads() == before


def test_a_single_piece_is_done_by_the_caller_with_one_thread() -> None:
    before = torch.get_num_threads()
    found = Crew().each(lambda _: (torch.get_num_threads(), threading.get_ident()), ["piece"])
    assert found == [(1, threading.get_ident())]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("pieces", [[0], [0, 1]])
def test_an_error_in_a_piece_reaches_the_caller(pieces: list[int]) -> None:
    before = torch.get_num_threads()

    def fail(piece: int) -> int:
        raise LookupError(f"piece {piece}")

    with pytest.raises(LookupError, match="piece 0"):
        Crew().each(fail, pieces)
    assert torch.get_num_threads() == before


def test_no_pieces_give_nothing() -> None:
    assert Crew().each(str, []) == []
