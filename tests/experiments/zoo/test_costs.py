from experiments.zoo.costs import cost_summary


def test_a_step_costs_its_mean_and_all_policies_cost_hours():
    rows = [
        {"row": str(row), "step": step, "seconds": str(seconds), "inferences": runs}
        for row, step, seconds, runs in (
            (1, "maps", 10, "700"),
            (1, "training", 1800, ""),
            (2, "maps", 20, "720"),
            (2, "training", 5400, ""),
        )
    ]
    assert cost_summary(rows) == [
        {"step": "maps", "seconds": 15.0, "inferences": 710, "hours": 0.008, "policies": 2},
        {"step": "training", "seconds": 3600.0, "inferences": "", "hours": 2.0, "policies": 2},
    ]
    assert cost_summary([]) == []
