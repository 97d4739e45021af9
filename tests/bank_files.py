"""Bank statements as banks write them, camt.053 in its versions."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

IBAN = "DE89370400440532013000"
NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001."


def entry(
    amount: str,
    *,
    text: Sequence[str] = (),
    structured: str = "",
    incoming: bool = True,
    reversal: bool = False,
    status: str = "BOOK",
    booked: str = "2026-03-02",
    bank_reference: str = "",
    end_to_end: str = "NOTPROVIDED",
    parts: Sequence[str] = (),
    currency: str = "EUR",
    version: str = "08",
) -> str:
    newer = version >= "08"
    written = "".join(f"<Ustrd>{escape(one)}</Ustrd>" for one in text)
    if structured:
        written += f"<Strd><CdtrRefInf><Ref>{structured}</Ref></CdtrRefInf></Strd>"
    name = "<Nm>Ada Müller</Nm>"
    debtor = f"<Dbtr><Pty>{name}</Pty></Dbtr>" if newer else f"<Dbtr>{name}</Dbtr>"
    details = "".join(
        f"""<TxDtls><Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>
        {_of_part(one, currency, newer=newer)}
        <RltdPties>{debtor}<DbtrAcct><Id><IBAN>NL91ABNA0417164300</IBAN></Id></DbtrAcct></RltdPties>
        <RmtInf>{written}</RmtInf></TxDtls>"""
        for one in parts or [amount]
    )
    return f"""<Ntry><Amt Ccy="{currency}">{amount}</Amt>
    <CdtDbtInd>{"CRDT" if incoming else "DBIT"}</CdtDbtInd>
    {"<RvslInd>true</RvslInd>" if reversal else ""}
    <Sts>{f"<Cd>{status}</Cd>" if newer else status}</Sts>
    <BookgDt><Dt>{booked}</Dt></BookgDt><ValDt><Dt>{booked}</Dt></ValDt>
    <AcctSvcrRef>{bank_reference or "NONREF"}</AcctSvcrRef>
    <BkTxCd/><NtryDtls>{details}</NtryDtls></Ntry>"""


def _of_part(amount: str, currency: str, *, newer: bool) -> str:
    told = f'<Amt Ccy="{currency}">{amount}</Amt>'
    return told if newer else f"<AmtDtls><TxAmt>{told}</TxAmt></AmtDtls>"


def file(
    *entries: str,
    iban: str = IBAN,
    statement_id: str = "2026-03-02",
    version: str = "08",
) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{NAMESPACE}{version}"><BkToCstmrStmt>
<GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-03-03T04:00:00+01:00</CreDtTm></GrpHdr>
<Stmt><Id>{statement_id}</Id><ElctrncSeqNb>42</ElctrncSeqNb>
<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">0.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>
{"".join(entries)}</Stmt></BkToCstmrStmt></Document>""".encode()
