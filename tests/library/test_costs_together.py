"""What pairs cost is written by many searches at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from library.searching import load_costs, save_costs
from rerank.budget import CostModel


def test_searches_that_end_together_all_keep_their_costs(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(save_costs, tmp_path, CostModel()) for _ in range(400)]:
            done.result()
    assert load_costs(tmp_path).to_json() == CostModel().to_json()
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]
