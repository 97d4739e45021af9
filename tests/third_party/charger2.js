// A charger of OCPP 2.0.1 or 2.1 on the npm package ocpp-rpc, in its strict mode: the package
// checks every message, in both directions, with its own copy of the official schemas.
//
// It tells of a session that it charged before it came online, and of its events once more with
// new message ids; it obeys a remote start and a remote stop; then it answers whatever it is asked
// until stdin closes. On stdout, one JSON line each: the sessions, {ready: true}, and every call
// that it got, as {action, params}. Whatever goes wrong ends it with status 1 and the reason on
// stderr.
//
// Environment: OCPP_URL (without the station id), OCPP_STATION, OCPP_PASSWORD, OCPP_ID_TAG,
// OCPP_PROTOCOL.

'use strict';

const { randomUUID } = require('node:crypto');
const { RPCClient, createValidator } = require('ocpp-rpc');
const schemas21 = require('ocpp-rpc/lib/schemas/ocpp2_1.json');

const PROTOCOL = process.env.OCPP_PROTOCOL;
const TOKEN = { idToken: process.env.OCPP_ID_TAG, type: 'ISO14443' };
const CALL_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 60_000; // for all of it, the commands too

// Version 2.2.1 of the package looks for urn:Heartbeat.req, but its schemas of 2.1 are named
// urn:HeartbeatRequest: as it comes, its strict mode refuses every message of 2.1.
// Its validator remarks on members that only objects have, in the schemas of enumerations.
const named = schemas21.map((schema) => ({
    ...schema,
    $id: schema.$id.replace(/Request$/, '.req').replace(/Response$/, '.conf'),
}));

const client = new RPCClient({
    endpoint: process.env.OCPP_URL,
    identity: process.env.OCPP_STATION,
    password: process.env.OCPP_PASSWORD,
    protocols: [PROTOCOL],
    strictMode: true,
    strictModeValidators: [createValidator('ocpp2.1', named)],
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

function tell(line) {
    console.log(JSON.stringify(line));
}

function at(secondsAgo) {
    return new Date(Date.now() - secondsAgo * 1000).toISOString();
}

// --- what it is asked ------------------------------------------------------------------------

function variable({ component, variable, attributeType }) {
    return { component, variable, attributeType, attributeStatus: 'Accepted' };
}

// Where {status: 'Accepted'} is no answer or not all of it.
const ANSWERS = {
    ClearTariffs: () => ({ clearTariffsResult: [{ status: 'Accepted' }] }),
    ClearVariableMonitoring: ({ id }) => ({
        clearMonitoringResult: id.map((one) => ({ id: one, status: 'Accepted' })),
    }),
    CostUpdated: () => ({}),
    GetLocalListVersion: () => ({ versionNumber: 7 }),
    GetPeriodicEventStream: () => ({}),
    GetTransactionStatus: () => ({ messagesInQueue: false }),
    GetVariables: ({ getVariableData }) => ({
        getVariableResult: getVariableData.map((one) => ({
            ...variable(one),
            attributeValue: '42',
        })),
    }),
    NotifyWebPaymentStarted: () => ({}),
    SetVariableMonitoring: ({ setMonitoringData }) => ({
        setMonitoringResult: setMonitoringData.map(
            ({ type, severity, component, variable }, number) => ({
                id: number + 1,
                status: 'Accepted',
                type,
                severity,
                component,
                variable,
            }),
        ),
    }),
    SetVariables: ({ setVariableData }) => ({ setVariableResult: setVariableData.map(variable) }),
    UnlockConnector: () => ({ status: 'Unlocked' }),
    UnpublishFirmware: () => ({ status: 'Unpublished' }),
};
const wanted = new Map(); // action: who waits for it

client.handle(({ method, params }) => {
    setImmediate(() => {
        tell({ action: method, params });
        wanted.get(method)?.(params);
    });
    return (ANSWERS[method] ?? (() => ({ status: 'Accepted' })))(params);
});

function asked(action) {
    return new Promise((resolve) => wanted.set(action, resolve));
}

// --- what it tells ---------------------------------------------------------------------------

async function comeOnline() {
    await client.connect();
    expect(client.protocol, PROTOCOL, 'the subprotocol');
    const chargingStation = {
        vendorName: 'ocpp-rpc',
        model: 'strict',
        firmwareVersion: '2.2.1',
        serialNumber: 'S-1',
    };
    const boot = await call('BootNotification', { reason: 'PowerUp', chargingStation });
    expect(boot.status, 'Accepted', 'the boot');
    for (const evseId of [1, 2]) {
        await call('StatusNotification', {
            timestamp: at(0),
            evseId,
            connectorId: 1,
            connectorStatus: 'Available',
        });
    }
    await call('Heartbeat', {});
    const vendor = await call('DataTransfer', { vendorId: 'nobody.example', data: { a: 1 } });
    expect(vendor.status, 'UnknownVendorId', 'the answer to an unknown vendor');
}

// The register in Wh, and what the meter has signed of it (OCMF's place in 2.x).
function reading(wh, context, timestamp, signed) {
    const sampledValue = [
        { value: wh, context, measurand: 'Energy.Active.Import.Register' },
        {
            value: 40.5,
            context,
            measurand: 'Power.Active.Import',
            unitOfMeasure: { unit: 'W', multiplier: 3 },
        },
        { value: 48, context, measurand: 'SoC', location: 'EV', unitOfMeasure: { unit: 'Percent' } },
    ];
    if (signed) {
        sampledValue[0].signedMeterValue = {
            signedMeterData: Buffer.from(`OCMF|{"RD":[{"RV":${wh}}]}|{"SD":"00"}`).toString('base64'),
            signingMethod: 'ECDSA-secp256r1-SHA256',
            encodingMethod: 'OCMF',
            publicKey: '',
        };
    }
    return [{ timestamp, sampledValue }];
}

function transaction(evseId, common) {
    const transactionId = randomUUID();
    let seqNo = 0;
    return {
        transactionId,
        next: (eventType, triggerReason, timestamp, info, members) => ({
            eventType,
            triggerReason,
            timestamp,
            seqNo: seqNo++,
            transactionInfo: { transactionId, ...info },
            evse: { id: evseId, connectorId: 1 },
            ...common,
            ...members,
        }),
    };
}

async function event(payload) {
    const answer = await call('TransactionEvent', payload);
    if (payload.idToken) expect(answer.idTokenInfo.status, 'Accepted', 'the token of an event');
    return answer;
}

// 20 kWh in 30 minutes, ended two minutes before the connection.
async function chargedOffline() {
    const { idTokenInfo } = await call('Authorize', { idToken: TOKEN });
    expect(idTokenInfo.status, 'Accepted', 'the token');
    const { transactionId, next } = transaction(1, { offline: true });
    const [from, middle, to] = [at(1920), at(1020), at(120)];
    const events = [
        next('Started', 'Authorized', from, { chargingState: 'EVConnected' }, {
            idToken: TOKEN,
            meterValue: reading(500_000, 'Transaction.Begin', from, true),
        }),
        next('Updated', 'ChargingStateChanged', from, { chargingState: 'Charging' }, {}),
        next('Updated', 'MeterValuePeriodic', middle, { chargingState: 'Charging' }, {
            meterValue: reading(510_000, 'Sample.Periodic', middle, false),
        }),
        next('Ended', 'StopAuthorized', to, { chargingState: 'EVConnected', stoppedReason: 'Local' }, {
            idToken: TOKEN,
            meterValue: reading(520_000, 'Transaction.End', to, true),
        }),
    ];
    for (const payload of events) await event(payload);
    // Its answers were lost: the same again, under new message ids.
    for (const payload of events) await event(payload);
    tell({ transaction_id: transactionId, energy_wh: 20_000 });
}

async function chargeByCommand() {
    const started = asked('RequestStartTransaction');
    tell({ ready: true });
    doing = 'wait for the remote start';
    const { idToken, remoteStartId } = await started;
    const { transactionId, next } = transaction(1, {});
    const now = at(0);
    const first = next('Started', 'RemoteStart', now, { chargingState: 'Charging', remoteStartId }, {
        idToken,
        meterValue: reading(520_000, 'Transaction.Begin', now, true),
    });
    const stopped = asked('RequestStopTransaction');
    await event(first);
    await event(next('Updated', 'MeterValuePeriodic', at(0), { chargingState: 'Charging' }, {
        meterValue: reading(520_250, 'Sample.Periodic', at(0), false),
    }));
    doing = 'wait for the remote stop';
    const stop = await stopped;
    expect(stop.transactionId, transactionId, 'the transaction to stop');
    await event(next('Ended', 'RemoteStop', at(0), { chargingState: 'Idle', stoppedReason: 'Remote' }, {
        meterValue: reading(520_300, 'Transaction.End', at(0), true),
    }));
    tell({ transaction_id: transactionId, energy_wh: 300 });
}

async function main() {
    await comeOnline();
    await chargedOffline();
    await chargeByCommand();
    doing = 'answer commands';
    await new Promise((resolve) => process.stdin.on('end', resolve).resume());
    leaving = true;
    await client.close({ awaitPending: true });
}

main().catch((error) => fail(`${doing}: ${error.stack}`));
