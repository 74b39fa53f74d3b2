import re

import pytest

from iss_jax.viz.page import page_html


def test_no_text_ends_the_element_that_it_stands_in():
    page = page_html("gallery_page", {"name": "</script><b>"}, title="a < b", said="")
    assert "<title>a &lt; b</title>" in page and "</script><b>" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        page_html("gallery_page", float("nan"), title="", said="")
