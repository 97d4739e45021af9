"""What carries an import out, set by set. import_apply runs it.

r.content is what import_store wrote: of the user and of the card the whole row as it shall be, the
version that is changed, and what is to be done. A user's groups are null if they stay.
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
with p as materialized (
  select p.*, cast(r.content #>> '{user,version}' as int) as seen, r.operator_id as of_operator
  from people_import_row r, jsonb_populate_record(cast(null as users), r.content #> '{user,row}') p
  where r.import_id = :import_id and r.outcome <> 'bad'
    and r.content #>> '{user,action}' in ('change', 'deactivate')
)
update users u
set name = p.name, email = p.email, active = p.active, version = u.version + 1
from p where u.id = p.id and u.operator_id = p.of_operator and u.version = p.seen
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
with p as materialized (
  select p.*, cast(r.content #>> '{card,version}' as int) as seen, r.operator_id as of_operator
  from people_import_row r, jsonb_populate_record(cast(null as card), r.content #> '{card,row}') p
  where r.import_id = :import_id and r.outcome <> 'bad'
    and r.content #>> '{card,action}' in ('change', 'deactivate')
)
update card c
set kind = p.kind, label = p.label, active = p.active, blocked_reason = p.blocked_reason,
  own_block = c.own_block and not p.active and p.blocked_reason is not distinct from
    c.blocked_reason and p.user_id is not distinct from c.user_id,
  valid_from = p.valid_from, valid_until = p.valid_until, monthly_cap = p.monthly_cap,
  user_id = p.user_id, company_id = p.company_id, cost_centre_id = p.cost_centre_id,
  version = c.version + 1
from p where c.id = p.id and c.operator_id = p.of_operator and c.version = p.seen
"""
# In the order in which they depend on each other.
STEPS: Final = (
    Step("users", ("make",), MAKE_USERS),
    Step("users", ("change", "deactivate"), CHANGE_USERS),
    Step("cards", ("make",), MAKE_CARDS),
    Step("cards", ("change", "deactivate"), CHANGE_CARDS),
)
LEAVE_GROUPS: Final = """
delete from user_group_member m using people_import_row r
where r.import_id = :import_id and r.outcome <> 'bad' and r.content #> '{user,groups}' <> 'null'
  and m.operator_id = r.operator_id and m.user_id = cast(r.content #>> '{user,id}' as uuid)
  and not jsonb_exists(r.content #> '{user,groups}', cast(m.group_id as text))
"""
JOIN_GROUPS: Final = """
insert into user_group_member (operator_id, group_id, user_id)
select r.operator_id, cast(g as uuid), cast(r.content #>> '{user,id}' as uuid)
from people_import_row r,
  jsonb_array_elements_text(nullif(r.content #> '{user,groups}', 'null')) g
where r.import_id = :import_id and r.outcome <> 'bad'
on conflict do nothing
"""
USERS_NOW: Final = """
with touched as materialized (
  select cast(r.content #>> '{user,id}' as uuid) as id from people_import_row r
  where r.import_id = :import_id and r.outcome <> 'bad'
)
select u.id as user_id, u.version, u.name, u.active,
  array(select m.group_id from user_group_member m
    where m.operator_id = u.operator_id and m.user_id = u.id order by m.group_id) as group_ids
from touched t join users u on u.id = t.id
"""
# As common.events.CardState; a test compares them.
CARDS_NOW: Final = """
with touched as materialized (
  select cast(r.content #>> '{card,id}' as uuid) as id from people_import_row r
  where r.import_id = :import_id and r.outcome <> 'bad'
)
select c.id as card_id, c.version, c.uid, c.user_id, c.label, c.active, c.group_id, c.master_pass,
  c.company_id, c.company_master, c.cost_centre_id, c.partner_id, c.accounting_strategy_id,
  c.monthly_cap
from touched t join card c on c.id = t.id
"""
