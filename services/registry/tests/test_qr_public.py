"""What a scanned code leads to, whoever made it."""

import re
from typing import Any

import httpx
from stack import Issuer, Servers, one_service

from .conftest import Operator
from .qr_operator import EN, link_of, new_code, new_domain, problem, scanned, set_up, with_evse

APPS = {
    "apple_apps": ["A1B2C3D4E5.org.example.charge"],
    "android_apps": [{"package": "org.example.charge", "fingerprints": [":".join(["ab"] * 32)]}],
}


def page(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for word in words:
        assert word in answer.text, answer.text


async def test_a_genuine_code_leads_to_the_pay_page_with_code_and_tag(operator: Operator) -> None:
    await set_up(operator)
    _, code = await with_evse(operator)
    link = await link_of(operator, code)
    tag = link.rpartition("/")[2]
    for typed in (
        link,
        link.replace(code.replace("*", ""), code.lower()),
        link.replace(tag, tag.lower()),
    ):
        answer = await scanned(operator, typed, host=httpx.URL(link).host.upper() + ":443")
        assert answer.status_code == 302
        assert answer.headers["cache-control"] == "no-store"
        to = httpx.URL(answer.headers["location"])
        assert (to.scheme, to.host, to.path) == ("https", "pay.example.org", "/start")
        params = dict(to.params)
        assert params.pop("tag").upper() == tag
        assert params == {"lang": "de", "evse": code}


async def test_the_pay_page_learns_what_a_code_is_of_and_nothing_of_people(
    operator: Operator,
) -> None:
    domain = await set_up(operator)
    address = {"street": "Hauptstraße 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
    place = {"name": "P20", "address": address, "latitude": "52.5", "longitude": "13.4"}
    made = await operator.http.post("/v1/locations", json=place)
    assert made.status_code == 201, made.text
    _, code = await with_evse(operator, location_id=made.json()["id"])
    link = await link_of(operator, code)
    answer = await operator.registry.http.get(f"/v1/qr/{code}/{link.rpartition('/')[2]}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "evse_code": code,
        "operator_id": str(operator.id),
        "brand": "Stadtwerke Müllhausen",
        "domain": domain,
        "location": {"name": "P20", **address, "latitude": "52.5", "longitude": "13.4",
                     "time_zone": "Europe/Berlin"},
        "max_power_w": 22000,
        "connectors": [{"connector_id": 1, "standard": "IEC_62196_T2", "format": "SOCKET",
                        "power_type": "AC_3_PHASE", "max_voltage": None,
                        "max_amperage": None}],
    }  # fmt: skip


async def test_whatever_is_not_ours_is_one_answer(operator: Operator, stranger: Operator) -> None:
    domain, theirs = await set_up(operator), await set_up(stranger, brand="Rival")
    _, code = await with_evse(operator)
    _, rivals = await with_evse(stranger)
    link, rivals_link = await link_of(operator, code), await link_of(stranger, rivals)
    tag = link.rpartition("/")[2]
    forged = tag[:-1] + ("0" if tag[-1] != "0" else "1")
    base = f"https://{domain}/q"
    told = set()
    for false in (
        f"{base}/{code}/{forged}", f"{base}/{new_code()}/{tag}", f"{base}/{code}/x",
        f"{base}/{'Ü' * 90}/{tag}", f"{base}/*/{tag}", rivals_link.replace(theirs, domain),
        f"{base}/{rivals}/{tag}", f"{base}/{code}/{rivals_link.rpartition('/')[2]}",
    ):  # fmt: skip
        answer = await scanned(operator, false, host=domain, **EN)
        page(answer, 404, "This QR code is not one of ours", "Stadtwerke Müllhausen")
        told.add(answer.text)
        api = await operator.registry.http.get("/v1/qr/" + false.partition("/q/")[2])
        if "Rival" in api.text:  # its own code, asked without a host
            continue
        body = problem(api, 404, "qr-code-unknown")
        assert tag not in body["detail"]
    assert len(told) == 1
    page(await scanned(operator, link, host=theirs, **EN), 404, "Rival")
    for nobodys in (new_domain(), "127.0.0.1", "localhost"):
        answer = await scanned(operator, link, host=nobodys, **EN)
        page(answer, 404, "not one of ours")
        assert "<footer>" not in answer.text


async def test_a_page_repeats_nothing_that_was_sent(operator: Operator) -> None:
    domain = await set_up(operator, brand="<b>Wähl & Ström</b>")
    script = "%3Cscript%3Ealert(1)"
    answer = await scanned(operator, f"https://{domain}/q/{script}/{script}", host=domain)
    page(answer, 404, "&lt;b&gt;Wähl &amp; Ström&lt;/b&gt;")
    assert "script" not in answer.text and "<b>" not in answer.text


async def test_the_page_is_in_the_drivers_language(operator: Operator) -> None:
    domain = await set_up(operator)
    for header, language, words in (
        ("de-AT,de;q=0.9", "de", "nicht von uns"), ("en-GB", "en", "not one of ours"),
        ("tr", "de", "nicht von uns"),
    ):  # fmt: skip
        sent = {"Accept-Language": header}
        answer = await scanned(operator, f"https://{domain}/q/DEABCE1/x", **sent)
        page(answer, 404, words, f'<html lang="{language}">', "<h1>", "<main>", "<title>")
        assert answer.headers["content-language"] == language
        assert answer.headers["vary"] == "Accept-Language"
        assert len(re.findall("<h1>", answer.text)) == 1


async def test_a_superseded_code_and_a_station_out_of_service_say_so(operator: Operator) -> None:
    await set_up(operator)
    station_id, code = await with_evse(operator)
    old = await link_of(operator, code)
    await operator.http.post(f"/v1/evses/{code}/qr/reissue")
    new = await link_of(operator, code)
    page(await scanned(operator, old, **EN), 410, "no longer valid")
    api = "/v1/qr/" + old.partition("/q/")[2]
    problem(await operator.registry.http.get(api), 410, "qr-code-superseded")
    await operator.http.patch(
        f"/v1/stations/{station_id}", json={"active": False}, headers={"If-Match": "*"}
    )
    page(await scanned(operator, new, **EN), 410, "out of service")
    api = "/v1/qr/" + new.partition("/q/")[2]
    problem(await operator.registry.http.get(api), 410, "evse-out-of-service")
    page(await scanned(operator, new[:-1] + "*", **EN), 404, "not one of ours")
    page(await scanned(operator, old, **EN), 410, "no longer valid")


async def test_phones_learn_by_the_host_which_apps_open_its_links(
    operator: Operator, stranger: Operator
) -> None:
    domain, without = await set_up(operator, **APPS), await set_up(stranger)
    paths = ("/.well-known/apple-app-site-association", "/.well-known/assetlinks.json")

    async def asked(path: str, host: str) -> httpx.Response:
        return await operator.registry.http.get(path, headers={"Host": host})

    apple, android = [await asked(path, domain) for path in paths]
    for answer in (apple, android):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert "max-age" in answer.headers["cache-control"]
    [details] = apple.json()["applinks"]["details"]
    assert details["appIDs"] == APPS["apple_apps"]
    assert [one["/"] for one in details["components"]] == ["/q/*"]
    [statement] = android.json()
    assert statement["relation"] == ["delegate_permission/common.handle_all_urls"]
    assert statement["target"] == {
        "namespace": "android_app", "package_name": "org.example.charge",
        "sha256_cert_fingerprints": [":".join(["AB"] * 32)],
    }  # fmt: skip
    for path in paths:
        for host in (without, new_domain(), "127.0.0.1:8002"):
            problem(await asked(path, host), 404, "not-found")


async def test_a_network_is_bounded(servers: Servers, issuer: Issuer) -> None:
    limits: dict[str, Any] = {"qr_requests_per_minute": 3}
    async with one_service(servers, issuer, "registry", **limits) as registry:
        paths = ("/q/DEABCE1/x", "/v1/qr/DEABCE1/x", "/.well-known/assetlinks.json")
        assert [(await registry.http.get(path)).status_code for path in paths] == [404] * 3
        for path in (*paths, "/.well-known/apple-app-site-association"):
            answer = await registry.http.get(path)
            problem(answer, 429, "too-many-requests")
            assert int(answer.headers["retry-after"]) >= 1
