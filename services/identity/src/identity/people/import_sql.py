"""What carries an import out, set by set. import_apply runs it.

r.content is what import_store wrote: of the user and of the card the whole row as it shall be, the
version that is changed, and what is to be done. A user's groups are null if they stay.

What is joined is first read out of the JSON, by itself. Behind a wall of row-level security no
index serves a condition that might tell of hidden rows, as every cast might; and PostgreSQL knows
nothing of how many rows a plan has that was kept a moment ago. It joined by the operator, with ids
compared at the end: 12,000 rows beside 5,000 users took a minute, ten times as many a hundred.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Step:
    """statement: touches as many rows as the plan has of these actions, or the data changed."""

    what: Literal["users", "cards"]
    actions: tuple[str, ...]
    statement: str


MAKE_USERS: Final = """
insert into users (id, version, operator_id, name, email, external_id, active)
select p.id, 1, r.operator_id, p.name, p.email, p.external_id, p.active
from people_import_row r, jsonb_populate_record(cast(null as users), r.content #> '{user,row}') p
where r.import_id = :import_id and r.outcome <> 'bad' and r.content #>> '{user,action}' = 'make'
"""
CHANGE_USERS: Final = """
with planned as materialized (
  select p.id, r.operator_id, cast(r.content #>> '{user,version}' as int) as version, p.name,
    p.email, p.active
  from people_import_row r, jsonb_populate_record(cast(null as users), r.content #> '{user,row}') p
  where r.import_id = :import_id and r.outcome <> 'bad'
    and r.content #>> '{user,action}' in ('change', 'deactivate')
)
update users u
set name = p.name, email = p.email, active = p.active, version = u.version + 1
from planned p where u.id = p.id and u.operator_id = p.operator_id and u.version = p.version
"""
MAKE_CARDS: Final = """
insert into card (id, version, operator_id, uid, kind, label, active, blocked_reason, valid_from,
  valid_until, monthly_cap, user_id, company_id, cost_centre_id)
select p.id, 1, r.operator_id, p.uid, p.kind, p.label, p.active, p.blocked_reason, p.valid_from,
  p.valid_until, p.monthly_cap, p.user_id, p.company_id, p.cost_centre_id
from people_import_row r, jsonb_populate_record(cast(null as card), r.content #> '{card,row}') p
where r.import_id = :import_id and r.outcome <> 'bad' and r.content #>> '{card,action}' = 'make'
"""
CHANGE_CARDS: Final = """
with planned as materialized (
  select p.id, r.operator_id, cast(r.content #>> '{card,version}' as int) as version, p.kind,
    p.label, p.active, p.blocked_reason, p.valid_from, p.valid_until, p.monthly_cap, p.user_id,
    p.company_id, p.cost_centre_id
  from people_import_row r, jsonb_populate_record(cast(null as card), r.content #> '{card,row}') p
  where r.import_id = :import_id and r.outcome <> 'bad'
    and r.content #>> '{card,action}' in ('change', 'deactivate')
)
update card c
set kind = p.kind, label = p.label, active = p.active, blocked_reason = p.blocked_reason,
  valid_from = p.valid_from, valid_until = p.valid_until, monthly_cap = p.monthly_cap,
  user_id = p.user_id, company_id = p.company_id, cost_centre_id = p.cost_centre_id,
  own_block = c.own_block and not p.active and p.blocked_reason is not distinct from
    c.blocked_reason and p.user_id is not distinct from c.user_id,
  version = c.version + 1
from planned p where c.id = p.id and c.operator_id = p.operator_id and c.version = p.version
"""
# In the order in which they depend on each other.
STEPS: Final = (
    Step("users", ("make",), MAKE_USERS),
    Step("users", ("change", "deactivate"), CHANGE_USERS),
    Step("cards", ("make",), MAKE_CARDS),
    Step("cards", ("change", "deactivate"), CHANGE_CARDS),
)
LEAVE_GROUPS: Final = """
with planned as materialized (
  select cast(r.content #>> '{user,id}' as uuid) as id, r.operator_id,
    r.content #> '{user,groups}' as groups
  from people_import_row r
  where r.import_id = :import_id and r.outcome <> 'bad' and r.content #> '{user,groups}' <> 'null'
    and r.content #>> '{user,action}' <> 'make'
)
delete from user_group_member m using planned p
where m.operator_id = p.operator_id and m.user_id = p.id
  and not jsonb_exists(p.groups, cast(m.group_id as text))
"""
JOIN_GROUPS: Final = """
insert into user_group_member (operator_id, group_id, user_id)
select r.operator_id, cast(g as uuid), cast(r.content #>> '{user,id}' as uuid)
from people_import_row r,
  jsonb_array_elements_text(nullif(r.content #> '{user,groups}', 'null')) g
where r.import_id = :import_id and r.outcome <> 'bad'
on conflict do nothing
"""
# Whom and what is told of afterwards: first which, then so many at once what they are now.
USERS_TOUCHED: Final = """
select cast(r.content #>> '{user,id}' as uuid) from people_import_row r
where r.import_id = :import_id and r.outcome <> 'bad' and r.content -> 'user' <> 'null'
"""
CARDS_TOUCHED: Final = """
select cast(r.content #>> '{card,id}' as uuid) from people_import_row r
where r.import_id = :import_id and r.outcome <> 'bad' and r.content -> 'card' <> 'null'
"""
USERS_NOW: Final = """
select u.id as user_id, u.version, u.name, u.active,
  array(select m.group_id from user_group_member m
    where m.operator_id = u.operator_id and m.user_id = u.id order by m.group_id) as group_ids
from users u where u.id = any(:ids)
"""
# As common.events.CardState; a test compares them.
CARDS_NOW: Final = """
select c.id as card_id, c.version, c.uid, c.user_id, c.label, c.active, c.group_id, c.master_pass,
  c.company_id, c.company_master, c.cost_centre_id, c.partner_id, c.accounting_strategy_id,
  c.monthly_cap
from card c where c.id = any(:ids)
"""
