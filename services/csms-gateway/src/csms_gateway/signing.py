"""Pure: from a certificate signing request to a certificate.

Source: OCPP 2.0.1, A02 and the certificate properties A00.FR.501 to 511; 1.6 security whitepaper,
A02. Pure but for the random numbers of keys and serial numbers; the time is an argument.
"""

import base64
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from csms_gateway.client_certificates import UNREADABLE, organisations

Algorithm = Literal["rsa", "ecdsa"]
AuthorityKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

RSA_BITS_MIN: Final = 2048  # A00.FR.502: 112 bits of security
CURVES: Final = {"secp256r1", "secp384r1", "secp521r1"}
AUTHORITY_RSA_BITS: Final = 3072
AUTHORITY_LIFE: Final = timedelta(days=20 * 365)
# Chargers' clocks are late; a certificate from the future is refused.
BACKDATED: Final = timedelta(hours=1)
NAME_MAX: Final = 64  # RFC 5280, ub-common-name and ub-organization-name


class RequestRefused(Exception):
    """A signing request that is not signed; the words are for people."""


def parse_request(text: str) -> x509.CertificateSigningRequest:
    """PEM as it should be, or its base64 alone. Raises RequestRefused."""
    text = text.replace("\\n", "\n").strip()
    try:
        if text.startswith("-----"):
            request = x509.load_pem_x509_csr(text.encode())
        else:
            request = x509.load_der_x509_csr(base64.b64decode(text))
        # Garbage inside shows only when it is looked at.
        _ = request.subject, request.public_key(), request.is_signature_valid
    except UNREADABLE:
        raise RequestRefused("the signing request cannot be read") from None
    return request


def check_request(
    request: x509.CertificateSigningRequest, name: str, organisation: str | None
) -> Algorithm:
    """What kind of key it has. Raises RequestRefused.

    name: what the common name must be. organisation: the operator; None: not known, not checked.
    """
    if not request.is_signature_valid:
        raise RequestRefused("the signing request's signature is wrong")
    names = [str(one.value) for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name]:
        raise RequestRefused(f"the common name is {names}, not {name!r}")
    given = organisations(request.subject)
    # As much of it as a certificate holds; see _subject.
    ours = (organisation or "")[:NAME_MAX].strip().casefold()
    if ours and given and ours not in given:
        raise RequestRefused(f"the organisation is {sorted(given)}, not {organisation!r}")
    key = request.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS_MIN:
            raise RequestRefused(f"an RSA key of {key.key_size} bits is too short")
        return "rsa"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return "ecdsa"
    raise RequestRefused("the key is neither RSA nor on a NIST curve of 256 bits or more")


def new_key(algorithm: Algorithm) -> AuthorityKey:
    if algorithm == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=AUTHORITY_RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def _subject(common_name: str, organisation: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:NAME_MAX])]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:NAME_MAX]))
    return x509.Name(parts)


def new_authority(
    key: AuthorityKey, common_name: str, organisation: str | None, at: datetime
) -> x509.Certificate:
    """A self-signed root that signs leaves and nothing else."""
    subject = _subject(common_name, organisation)
    usage = _usage(signs_certificates=True)
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def sign(
    request: x509.CertificateSigningRequest,
    authority: x509.Certificate,
    key: AuthorityKey,
    *,
    organisation: str | None,
    server: bool,
    days: int,
    at: datetime,
) -> x509.Certificate:
    """Only name and key are the request's; what it may do is ours to say.

    server: an SECC, which is a TLS server to cars; else a TLS client to us.
    """
    (common_name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    use = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if server:
        use.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
    public = request.public_key()
    usage = _usage(encrypts_keys=isinstance(public, rsa.RSAPublicKey))
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(str(common_name.value), organisation))
        .issuer_name(authority.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(min(at + timedelta(days=days), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(use), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(above, critical=False)
        .sign(key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool = False, encrypts_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_encipherment=encrypts_keys,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=not signs_certificates and not encrypts_keys,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def key_to_bytes(key: AuthorityKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_from_bytes(encoded: bytes) -> AuthorityKey:
    """Raises ValueError."""
    key = serialization.load_der_private_key(encoded, password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("that is no key of an authority")  # noqa: TRY004 - bad data, not a bug
    return key
