"""The matrix of rank correlations."""

from __future__ import annotations

import numpy as np
import pytest

from xai_core.render.charts import agreement_matrix


@pytest.mark.parametrize("count", [2, 5, 13])
def test_the_matrix_shows_every_pair_and_nothing_where_nothing_is_known(count: int) -> None:
    values = np.corrcoef(np.random.default_rng(0).random((count, 50)))
    values[1] = values[:, 1] = np.nan
    titles = [f"map {number}" for number in range(count)]
    (heat,) = agreement_matrix(titles, values).to_plotly_json()["data"]
    np.testing.assert_allclose(np.array(heat["z"], dtype=float), values)
    assert heat["text"][0][0] == "1.00" and heat["text"][0][1] == heat["text"][1][1] == ""
    assert heat["customdata"][0][1] == "map 0, map 1"
    assert bool(heat["showscale"]) == (count > 12), "with many maps the colours have a scale instead of numbers"
