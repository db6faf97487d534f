import threading

import pytest
import torch

from backbone.threads import side_by_side


def test_pieces_are_done_in_order_each_by_one_thread_and_the_caller_keeps_its_own() -> None:
    before = torch.get_num_threads()
    found = side_by_side(lambda piece: (piece, torch.get_num_threads(), threading.get_ident()), range(6))
    assert [piece for piece, _, _ in found] == list(range(6))
    assert {threads for _, threads, _ in found} == {1}
    assert threading.get_ident() not in {ident for _, _, ident in found}
    assert torch.get_num_threads() == before


def test_an_error_in_a_piece_reaches_the_caller() -> None:
    def fail(piece: int) -> int:
        raise LookupError(f"piece {piece}")

    with pytest.raises(LookupError, match="piece 0"):
        side_by_side(fail, [0, 1])


def test_no_pieces_give_nothing() -> None:
    assert side_by_side(str, []) == []
