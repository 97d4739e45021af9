import asyncio
import json
import signal
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ocpp.v16 import call  # type: ignore[import-untyped, unused-ignore]

from fleet import Faults
from fleet.cli import CannotCharge, power_for
from fleet.options import faults, parser
from fleet.roam import BadStations, read_stations

from .fake_csms import FakeCsms


async def fleet(*args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fleet",
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_charge_tells_each_step_and_the_result(csms: FakeCsms) -> None:
    process = await fleet(
        *("charge", "--url", csms.url, "--station", "DEMO-1", "--password", "pw"),
        *("--tag", "04A2B3C4", "--connector", "2", "--kwh", "12.5", "--minutes", "40"),
    )
    out, err = await process.communicate()
    lines = out.decode().splitlines()
    assert (process.returncode, err) == (0, b"")
    assert lines[0].startswith("DEMO-1: connected to ws://")
    assert "DEMO-1/2: card 04A2B3C4: Accepted" in lines
    assert "12.500 kWh in 40.0 min (Local)" in out.decode()
    assert lines[-1].startswith("charged 12.500 kWh from ")
    stop = csms.payloads("StopTransaction")[0]
    assert stop["meterStop"] - csms.payloads("StartTransaction")[0]["meterStart"] == 12_500
    contexts = [v["sampledValue"][0]["context"] for v in stop["transactionData"]]
    assert contexts == ["Transaction.Begin", "Transaction.End"]
    assert csms.statuses(2)[-1] == "Available"


async def test_a_refused_card_is_one_line_and_exit_code_1(csms: FakeCsms) -> None:
    csms.authorized["BAD"] = "Blocked"
    process = await fleet("charge", "--url", csms.url, "--station", "DEMO-1", "--tag", "BAD")
    _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"fleet: card BAD was refused: Blocked\n")


async def test_no_server_is_one_line_and_exit_code_1() -> None:
    process = await fleet(
        *("charge", "--url", "ws://127.0.0.1:1/ocpp", "--station", "X"),
        *("--tag", "T", "--patience", "0.3"),
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err.startswith(b"fleet: no connection: ") and err.count(b"\n") == 1


async def test_run_drives_sessions_at_every_station_of_a_file(
    csms: FakeCsms, tmp_path: Path
) -> None:
    file = tmp_path / "stations.json"
    file.write_text(
        json.dumps(
            [{"station": "A", "connectors": 2}, {"station": "B", "power_kw": 50, "dc": True}]
        )
    )
    process = await fleet(
        *("run", "--url", csms.url, "--stations", str(file), "--tags", "T1,T2,T3"),
        *("--sessions", "1", "--time-scale", "20000", "--seed", "1"),
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert {peer.id for peer in csms.peers} == {"A", "B"}
    assert len(csms.sent("StopTransaction")) == 3
    assert out.count(b"(Local)") == 3


async def test_idle_obeys_the_server_and_ctrl_c_stops_it_and_its_session(csms: FakeCsms) -> None:
    process = await fleet(
        "idle", "--url", csms.url, "--station", "A", "--time-scale", "100", "--seed", "1"
    )
    await csms.until("StatusNotification", 2)
    await csms.command(call.RemoteStartTransaction(id_tag="APP"))
    await csms.until("MeterValues")
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"fleet: stopped\n")
    assert len(csms.sent("StopTransaction")) == 1


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_charge_speaks_the_version_it_is_told_and_delivers_what_happened_offline(
    csms: FakeCsms, version: str
) -> None:
    process = await fleet(
        *("charge", "--url", csms.url, "--station", "DEMO-1", "--ocpp", version, "--offline"),
        *("--tag", "04A2B3C4", "--kwh", "2", "--duplicate", "--drop-answers", "1"),
        *("--clock-offset", "-3600", "--retry-delay", "0.02"),
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"charged 2.000 kWh" in out
    assert csms.requests[-1].headers["Sec-WebSocket-Protocol"] == f"ocpp{version}"
    started = csms.events("Started")
    assert len(started) == 4 and all(event["offline"] for event in started)
    assert started[0]["timestamp"] < f"{datetime.now(UTC):%Y-%m-%dT%H}"


async def test_run_keeps_charging_through_outages(csms: FakeCsms) -> None:
    process = await fleet(
        *("run", "--url", csms.url, "--station", "A", "--station", "B", "--tags", "T1,T2,T3"),
        *("--ocpp", "2.0.1", "--sessions", "2", "--time-scale", "10000", "--allow-offline"),
        *("--cut-every", "0.3", "--away", "0.2", "--retry-delay", "0.02", "--seed", "1"),
    )
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    ended = {event["transactionInfo"]["transactionId"] for event in csms.events("Ended")}
    assert len(ended) == 4
    assert len(csms.peers) > 2


def test_help_tells_of_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    said = capsys.readouterr().out
    for fault in fields(Faults):
        assert fault.metadata["about"] in said


@pytest.mark.parametrize(("options", "offset_s"), [("1970", 0), ("-3600", -3600), ("7200", 7200)])
def test_a_clock_is_off_by_seconds_or_begins_in_1970(options: str, offset_s: float) -> None:
    given = ["charge", "--station", "X", "--tag", "T", "--clock-offset", options]
    offset = faults(parser().parse_args(given)).clock_offset_s
    wrong_now = datetime.now(UTC).timestamp() + offset
    expected = offset_s if options == "1970" else datetime.now(UTC).timestamp() + offset_s
    assert abs(wrong_now - expected) < 5


@pytest.mark.parametrize(
    "options",
    [["--ocpp", "1.5"], ["--drop-answers", "-1"], ["--clock-offset", "soon"], ["--tag", ""]],
)
def test_bad_options_are_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["charge", "--station", "X", "--tag", "T", *options])


async def test_a_certificate_without_its_key_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "c.pem"
    file.write_text("x")
    process = await fleet("charge", "--station", "X", "--tag", "T", "--certificate", str(file))
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err == b"fleet: a certificate needs its key, and a key its certificate\n"


def test_the_smallest_usual_charger_that_makes_it_is_chosen() -> None:
    assert power_for(5_000, 3600) == 11_000
    assert power_for(12_500, 2400) == 22_000
    assert power_for(50_000, 3600) == 150_000
    with pytest.raises(CannotCharge, match="600 kWh in 10 minutes"):
        power_for(600_000, 600)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        '[{"id": "A"}]',
        '[{"station": "A", "power_kw": "x"}]',
        '[{"station": "A", "ocpp": "3"}]',
    ],
)
def test_a_bad_file_of_stations_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "stations.json").write_text(text)
    with pytest.raises(BadStations):
        read_stations(tmp_path / "stations.json")
