// A charger on the npm package ocpp-rpc, in its strict mode: the package checks every message, in
// both directions, with its own copy of the official schemas.
//
// It tells of a session that it charged before it came online, then it obeys a remote start and a
// remote stop. Each session is one JSON line on stdout. Whatever goes wrong ends it with status 1
// and the reason on stderr.
//
// Environment: OCPP_URL (without the station id), OCPP_STATION, OCPP_PASSWORD, OCPP_ID_TAG.

'use strict';

const { RPCClient, createRPCError } = require('ocpp-rpc');

const PROTOCOL = 'ocpp1.6';
const CALL_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 20_000; // for all of it, the remote commands too

const client = new RPCClient({
    endpoint: process.env.OCPP_URL,
    identity: process.env.OCPP_STATION,
    password: process.env.OCPP_PASSWORD,
    protocols: [PROTOCOL],
    strictMode: true,
    reconnect: false,
    callTimeoutMs: CALL_TIMEOUT_MS,
    wsOpts: { handshakeTimeout: CALL_TIMEOUT_MS },
});
let leaving = false;
let doing = 'connect';

function fail(why) {
    console.error(why);
    process.exit(1);
}

setTimeout(() => fail(`${doing}: not done after ${TIMEOUT_MS} ms`), TIMEOUT_MS).unref();
client.on('strictValidationFailure', ({ method, params, result, outbound, error }) => {
    const sender = outbound ? 'our' : 'their';
    const message = JSON.stringify(result ?? params);
    fail(`strict mode refused ${sender} ${method} ${message}: ${error.message}`);
});
client.on('badMessage', ({ buffer, error }) => fail(`no OCPP: ${buffer}: ${error.message}`));
client.on('disconnect', ({ code, reason }) => {
    if (!leaving) fail(`${doing}: they closed the connection: ${code} ${reason}`);
});

async function call(action, payload) {
    doing = action;
    return await client.call(action, payload);
}

function expect(found, wanted, what) {
    if (found !== wanted) throw new Error(`${what} is ${found}, not ${wanted}`);
}

// The schema of a call is checked only if there is a handler for it.
client.handle(({ method }) => {
    throw createRPCError('NotImplemented', `this charger has no ${method}`);
});

// Accept a command once `wanted(params)`; resolves to its params after the answer has gone out.
function accepted(action, wanted) {
    return new Promise((resolve) => {
        client.handle(action, ({ params }) => {
            if (!wanted(params)) return { status: 'Rejected' };
            setImmediate(resolve, params);
            return { status: 'Accepted' };
        });
    });
}

function at(secondsAgo) {
    return new Date(Date.now() - secondsAgo * 1000).toISOString();
}

function status(connectorId, word, secondsAgo = 0) {
    const payload = { connectorId, status: word, errorCode: 'NoError', timestamp: at(secondsAgo) };
    return call('StatusNotification', payload);
}

async function start(connectorId, idTag, meterStart, timestamp) {
    const payload = { connectorId, idTag, meterStart, timestamp };
    const { transactionId, idTagInfo } = await call('StartTransaction', payload);
    expect(idTagInfo.status, 'Accepted', 'the id tag at the start');
    return transactionId;
}

async function meter(connectorId, transactionId, registerWh, powerW, timestamp) {
    const sampledValue = [
        { value: String(registerWh), measurand: 'Energy.Active.Import.Register', unit: 'Wh' },
        { value: (powerW / 1000).toFixed(1), measurand: 'Power.Active.Import', unit: 'kW' },
        { value: '48', measurand: 'SoC', unit: 'Percent', location: 'EV' },
    ];
    const meterValue = [{ timestamp, sampledValue }];
    await call('MeterValues', { connectorId, transactionId, meterValue });
}

async function stop(transactionId, idTag, meterStop, timestamp, reason) {
    const payload = { transactionId, idTag, meterStop, timestamp, reason };
    const { idTagInfo } = await call('StopTransaction', payload);
    if (idTagInfo) expect(idTagInfo.status, 'Accepted', 'the id tag at the stop');
}

function tell(session) {
    console.log(JSON.stringify(session));
}

async function comeOnline() {
    await client.connect();
    expect(client.protocol, PROTOCOL, 'the subprotocol');
    const boot = await call('BootNotification', {
        chargePointVendor: 'ocpp-rpc',
        chargePointModel: 'strict',
        firmwareVersion: '2.2.1',
    });
    expect(boot.status, 'Accepted', 'the boot');
    for (const connectorId of [0, 1, 2]) await status(connectorId, 'Available');
    await call('Heartbeat', {});
}

// 20 kWh in 30 minutes, ended two minutes before the connection.
async function chargedOffline(idTag) {
    const { idTagInfo } = await call('Authorize', { idTag });
    expect(idTagInfo.status, 'Accepted', 'the id tag');
    const id = await start(1, idTag, 500_000, at(1920));
    await status(1, 'Charging', 1920);
    await meter(1, id, 510_000, 40_000, at(1020));
    await stop(id, idTag, 520_000, at(120), 'Local');
    await status(1, 'Available', 120);
    tell({ transaction_id: String(id), energy_wh: 20_000 });
}

async function chargeByCommand() {
    const started = accepted('RemoteStartTransaction', ({ connectorId }) => connectorId === 1);
    tell({ ready: true });
    doing = 'wait for the remote start';
    const { idTag } = await started;
    const id = await start(1, idTag, 520_000, at(0));
    const stopped = accepted('RemoteStopTransaction', ({ transactionId }) => transactionId === id);
    await status(1, 'Charging');
    await meter(1, id, 520_250, 40_000, at(0));
    doing = 'wait for the remote stop';
    await stopped;
    await stop(id, idTag, 520_300, at(0), 'Remote');
    await status(1, 'Available');
    tell({ transaction_id: String(id), energy_wh: 300 });
}

async function main() {
    await comeOnline();
    await chargedOffline(process.env.OCPP_ID_TAG);
    await chargeByCommand();
    leaving = true;
    await client.close({ awaitPending: true });
}

main().catch((error) => fail(`${doing}: ${error.stack}`));
