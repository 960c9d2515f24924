"""Who becomes host when the last host goes: the longest present of those the policy names. Pure.

The committer chooses by what it knows; everybody else refuses only what it knows to be wrong. Since when the others
have been here a member knows of those who came after it, and is told of those who were here before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tuiconf.conference.policy import Policy
from tuiconf.conference.roster import Participant, Roster


def choose_heir(
    roster: Roster, *, leaving: Collection[int], policy: Policy, away: Callable[[int], bool]
) -> Participant | None:
    """Who is to be host, as far as we know; None: nobody stays."""
    staying = [who for leaf, who in roster.by_leaf.items() if leaf not in leaving]
    present = [who for who in staying if not away(who.leaf)] or staying
    named = [who for who in present if policy.names(who.key)] or present
    return min(named, key=lambda who: (who.here_since, who.leaf), default=None)


def is_passed_over(
    heir: Participant, roster: Roster, *, leaving: Collection[int], policy: Policy, away: Callable[[int], bool]
) -> bool:
    """Whether we know of someone who is to be host before `heir`: present, staying, named if one must be, here longer.

    Whoever is away for us may be here for the others, or the other way round, so of those nothing is known.
    """
    rivals = [
        who for leaf, who in roster.by_leaf.items() if leaf not in leaving and leaf != heir.leaf and not away(leaf)
    ]
    named = [who for who in rivals if policy.names(who.key)]
    if not policy.names(heir.key):
        if named:
            return True
        named = rivals
    return heir.here_exactly and any(who.here_since < heir.here_since for who in named)
