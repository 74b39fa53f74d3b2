"""Which episodes are of which rows of a success table: joined by name or by instruction.

A table of one's own rarely names tasks as the dataset does. Names are compared as they are first,
then without their case, underscores and last full stop. What stays without a partner is named.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from iss_jax.against_success.items import Chosen, Task, frames_of
from iss_jax.against_success.options import Options
from iss_jax.against_success.rows import Key, join_success
from iss_jax.against_success.told import completed, folded, names_of
from iss_jax.data.dataset import Episodes
from iss_jax.data.success import ALL_SPLITS, Success, Table
from iss_jax.few import few

SUITE, SPLIT, SEED = "suite", "split", "seed"
# Names that a note shows.
_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Joined:
    """A success table and the episodes of its rows.

    Attributes:
        success: the rows that have episodes.
        episodes: suite, task and split -> their episodes.
        by_seed: whether an episode is of the seed that its metadata say; else of every seed.
        notes: what was forgiven, added up or left out, a sentence each.
    """

    success: dict[Key, Success]
    episodes: dict[Task, list[int]]
    by_seed: bool
    notes: tuple[str, ...]

    def chosen(self, options: Options, dataset: Episodes) -> list[Chosen]:
        """The frames that the options ask for."""
        by_seed = dataclasses.replace(options, seed_key=SEED if self.by_seed else "")
        wanted = dict(list(self.episodes.items())[: options.num_tasks or None])
        keys = [
            key
            for task in wanted
            for key in self.success
            if key[:3] == task and (not options.seeds or key[3] in options.seeds)
        ]
        return frames_of(by_seed, dataset, wanted, keys)


def join(
    table: Table,
    dataset: Episodes,
    *,
    policy_seed: int | None = None,
    splits: Sequence[str] = (),
) -> Joined:
    """Joins a table with the episodes that it is about.

    Suite, split and seed count where the table and some episodes say them: what an episode says
    must agree, and one that says nothing joins where the table leaves one way. Elsewhere trials are
    added up over splits, and every seed is of the same episodes.

    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> from iss_jax.data.success import read_table
    >>> table = read_table(embedded.success_path())
    >>> found = join(table, open_dataset(embedded.episodes_path()), policy_seed=0, splits=("far",))
    >>> len(found.episodes), found.by_seed, found.notes
    (10, True, ())

    Args:
        table: how often the policy succeeded.
        dataset: the episodes.
        policy_seed: whose rows count; those of the only policy when None.
        splits: those that count; all when empty.

    Raises:
        ValueError: no row has an episode, the table is of several policies or has none of the
            splits, a task is of several suites which the episodes do not say, or an episode does
            not say what others do and the table leaves several ways; the message names them.
    """
    rows = _of_policy(table, policy_seed)
    lines = [dataset.metadata(episode) for episode in range(len(dataset))]
    told = {
        name: name in table.columns and any(name in line for line in lines)
        for name in (SUITE, SPLIT, SEED)
    }
    where = str(dataset.root)
    if told[SPLIT]:
        lines = _of_splits(lines, splits)
    lines = completed(lines, rows, [name for name in (SUITE, SPLIT) if told[name]], where)
    if told[SPLIT]:
        lines = _of_splits(lines, splits)
    notes = []
    if splits:
        kept = _rows_of_splits(rows, splits, table)
        if not told[SPLIT] and len(kept) < len(rows):
            notes.append(f"all episodes are taken for {few(splits)}: they name no split")
        rows = kept
    names = list(dict.fromkeys(row.split for row in rows))
    if SPLIT in table.columns and not told[SPLIT] and len(names) > 1:
        notes.append(f"trials of the splits {few(names)} are added up: the episodes name no split")
    if told[SEED]:
        lines = completed(lines, rows, [name for name in told if told[name]], where)
    if not told[SUITE]:
        rows, several = _with_suites(rows, lines, table)
        if several:
            notes.append(
                f"suites count for nothing: the table names none, and {few(several, _NAMED)} are "
                "tasks of several suites"
            )
    names, forgiven = _partners(rows, lines, by_suite=told[SUITE], by_split=told[SPLIT])
    if forgiven:
        pairs = [f"{given!r} is {own!r}" for given, own in forgiven]
        notes.append(
            f"{len(pairs)} names of the table are those of episodes but for case, underscores or "
            f"a full stop: {'; '.join(pairs[:_NAMED])}{'; ...' if pairs[_NAMED:] else ''}"
        )
    success = join_success(rows, rows[0].policy_seed, by_split=told[SPLIT]) if rows else {}
    episodes: dict[Task, list[int]] = {}
    for episode, task in enumerate(names):
        if task is not None:
            episodes.setdefault(task, []).append(episode)
    seeds = {(task, lines[e].get(SEED)) for task, own in episodes.items() for e in own}
    there = {
        key: row
        for key, row in success.items()
        if key[:3] in episodes and (not told[SEED] or (key[:3], key[3]) in seeds)
    }
    lost = list(dict.fromkeys(_named(key, seed=told[SEED]) for key in success if key not in there))
    strays = [e for e, line in enumerate(lines) if line and names[e] is None]
    tasks = dict.fromkeys(str(next(iter(names_of(lines[e])), "")) for e in strays)
    without_episodes = f"{len(lost)} rows have no episodes: {few(lost, _NAMED)}"
    without_rows = f"{len(strays)} episodes have no row: {few(strays)}, of {few(tasks, _NAMED)}"
    if not there:
        reasons = [without_episodes, *([without_rows] if strays else [])]
        if not all(lines):
            kept = f"{lines.count({})} episodes are of other splits than {few(splits)}"
            reasons.append(f"{kept}: {few(list(dict.fromkeys(_splits(dataset))))}")
        if episodes:
            given = list(dict.fromkeys(seed for _, seed in seeds))
            wanted = list(dict.fromkeys(key[3] for key in success))
            reasons.append(f"episodes of the seeds {few(given)} given, {few(wanted)} wanted")
        raise ValueError(
            f"success table: none of its {len(rows)} rows is of an episode of {dataset.root}; "
            + "; ".join(reasons)
        )
    notes += [without_episodes] if lost else []
    notes += [without_rows] if strays else []
    return Joined(there, episodes, told[SEED], tuple(notes))


def _of_splits(
    lines: Sequence[Mapping[str, Any]], splits: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The metadata, empty of episodes that say another split than those that count."""
    return [
        {} if splits and SPLIT in line and line[SPLIT] not in splits else line for line in lines
    ]


def _rows_of_splits(rows: Sequence[Success], splits: Sequence[str], table: Table) -> list[Success]:
    kept = [row for row in rows if row.split in splits]
    if not kept:
        there = f"has the splits {few(list(dict.fromkeys(row.split for row in rows)))}"
        raise ValueError(
            f"success table: --splits {few(splits)} given, it "
            f"{there if SPLIT in table.columns else 'has no column split'}"
        )
    return kept


def _splits(dataset: Episodes) -> list[Any]:
    lines = (dataset.metadata(episode) for episode in range(len(dataset)))
    return [line[SPLIT] for line in lines if SPLIT in line]


def _of_policy(table: Table, policy_seed: int | None) -> list[Success]:
    policies = sorted({row.policy_seed for row in table.rows})
    if policy_seed is None and len(policies) > 1:
        raise ValueError(
            f"success table: rows of the policies {few(policies)}; say whose count by policy_seed"
        )
    wanted = policies[:1] if policy_seed is None else [policy_seed]
    if not set(wanted) & set(policies):
        raise ValueError(
            f"success table: no row of policy_seed {policy_seed}, only of {few(policies)}"
        )
    return [row for row in table.rows if row.policy_seed in wanted]


def _with_suites(
    rows: Sequence[Success], lines: Sequence[Mapping[str, Any]], table: Table
) -> tuple[list[Success], list[str]]:
    """Suites that one side alone says: the table's, else the episodes' where every task is of one.

    Returns:
        The rows; and the tasks of several suites, because of which no row has one.
    """
    if "suite" in table.columns:
        suites: dict[str, set[str]] = {}
        for row in rows:
            suites.setdefault(row.task, set()).add(row.suite)
        several = [task for task, own in suites.items() if len(own) > 1]
        if several:
            raise ValueError(
                f"success table: {few(several, 3)} are of several suites, such as "
                f"{few(sorted(suites[several[0]]))}, and the episodes do not say their suite"
            )
        return list(rows), []
    found: dict[str, set[str]] = {folded(row.task): set() for row in rows}
    for line in lines:
        for name in map(folded, names_of(line)):
            if name in found:
                found[name] |= {str(line[SUITE])} if SUITE in line else set()
    ambiguous = [row.task for row in rows if len(found[folded(row.task)]) > 1]
    if ambiguous:
        return list(rows), list(dict.fromkeys(ambiguous))
    own = {name: next(iter(suites), "") for name, suites in found.items()}
    return [row._replace(suite=own[folded(row.task)]) for row in rows], []


def _partners(
    rows: Iterable[Success],
    lines: Sequence[Mapping[str, Any]],
    *,
    by_suite: bool,
    by_split: bool,
) -> tuple[list[Task | None], list[tuple[str, str]]]:
    """Of each episode its task as the table names it; pairs of names that were forgiven."""
    exact: dict[tuple[str, ...], set[Task]] = {}
    loose: dict[tuple[str, ...], set[Task]] = {}
    for row in rows:
        split = row.split if by_split else ALL_SPLITS
        place = (row.suite if by_suite else "", split)
        task = (row.suite, row.task, split)
        exact.setdefault((row.task, *place), set()).add(task)
        loose.setdefault(tuple(map(folded, (row.task, *place))), set()).add(task)
    found: list[Task | None] = []
    forgiven: dict[tuple[str, str], None] = {}
    for line in lines:
        place = (
            str(line.get("suite", "")) if by_suite else "",
            str(line.get(SPLIT, "")) if by_split else ALL_SPLITS,
        )
        partner: Task | None = None
        for name in names_of(line):
            own = exact.get((name, *place), set())
            if len(own) == 1:
                partner = next(iter(own))
                break
        else:
            for name in names_of(line):
                own = loose.get(tuple(map(folded, (name, *place))), set())
                if len(own) == 1:
                    partner = next(iter(own))
                    if partner[1] != name:
                        forgiven[partner[1], name] = None
                    break
        found.append(partner)
    return found, list(forgiven)


def _named(key: Key, *, seed: bool) -> str:
    suite, task, split, number = key
    text = "/".join(part for part in (suite, task) if part)
    text += "" if split == ALL_SPLITS else f" ({split})"
    return f"{text}, seed {number}" if seed else text
