"""A card whose account has no credit, in the words of each version."""

from typing import Any, get_args

import pytest

from common.authorize import AuthorizeAnswer, AuthorizeStatus
from csms_gateway import schemas, v16, v21, v201
from csms_gateway.v16.id_tag import id_tag_info
from csms_gateway.v201.id_token_info import id_token_info


def answer(status: AuthorizeStatus) -> AuthorizeAnswer:
    return AuthorizeAnswer(status=status, why="x")


def test_1_6_has_no_word_for_it_and_2_x_has() -> None:
    assert id_tag_info("NoCredit") == {"status": "Blocked"}
    assert id_token_info(answer("NoCredit")) == {"status": "NoCredit"}


@pytest.mark.parametrize("status", get_args(AuthorizeStatus))
def test_each_word_of_identitys_is_one_of_the_schemas(status: AuthorizeStatus) -> None:
    sent: list[tuple[Any, dict[str, Any]]] = [(v16, {"idTagInfo": id_tag_info(status)})]
    sent += [(v2, {"idTokenInfo": id_token_info(answer(status))}) for v2 in (v201, v21)]
    for version, payload in sent:
        schemas.check_outgoing(version.VERSION.schemas, "AuthorizeResponse", payload)
