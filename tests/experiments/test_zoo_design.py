from command_line import smoke

from experiments.zoo.design import design, read_design


def test_the_documented_run_writes_the_design_and_what_of_it_is_confounded(tmp_path):
    printed = smoke("zoo_design", tmp_path)
    assert "24 recipes" in printed
    assert read_design(tmp_path / "design.csv") == design()
    assert (tmp_path / "confounding.csv").read_text().startswith("one,other,canonical_correlation")
