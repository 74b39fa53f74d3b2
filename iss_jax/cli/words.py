"""Lists of names on a command line: commas between, spaces around them of no account."""


def words_of(text: str) -> tuple[str, ...]:
    """The names of a list.

    >>> words_of("black bowl*, plate")
    ('black bowl*', 'plate')
    >>> words_of("")
    ()
    """
    return tuple(word for word in map(str.strip, text.split(",")) if word)
