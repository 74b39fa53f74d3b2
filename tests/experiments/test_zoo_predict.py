import json

from command_line import smoke


def test_the_documented_run_finds_what_is_true_of_a_made_up_zoo(tmp_path):
    printed = smoke("zoo_predict", tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["summary"]["policies"] == 24
    best = min(content["correlations"], key=lambda row: row["r"])
    assert best["predictor"] == "nuisance_share" and best["r"] < -0.9
    assert "nuisance share by effect" in printed
    for name in ("predicted", "axes", "pairs"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 10_000
