"""Ed25519 keys: who has the private one signs, who has the public one checks.

Source:
    RFC 8032, "Edwards-Curve Digital Signature Algorithm (EdDSA)", 2017.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_ID_DIGITS = 32  # of 64; 128 bits, so that nobody makes a second key with the same name


def new_key() -> bytes:
    """A new private key, as PEM (PKCS 8, not encrypted)."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    )


def public_of(private: bytes) -> bytes:
    """The public key of a private one, as PEM.

    Raises:
        InvalidInput: If it is no Ed25519 key.
    """
    from cryptography.hazmat.primitives import serialization as form

    public = _private(private).public_key()
    return public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def key_id(public: bytes) -> str:
    """What a key is called: `ed25519:` and 32 hex digits of the SHA-256 of its public part.

    Raises:
        InvalidInput: If it is no Ed25519 key.
    """
    digest = hashlib.sha256(_public(public).public_bytes_raw()).hexdigest()
    return f"ed25519:{digest[:_ID_DIGITS]}"


def sign(private: bytes, message: bytes) -> str:
    """The signature of a message, in base64.

    Raises:
        InvalidInput: If it is no Ed25519 key.
    """
    return base64.b64encode(_private(private).sign(message)).decode()


def is_signed(public: bytes, message: bytes, signature: str) -> bool:
    """Whether a signature is of exactly this message, by who has the private part of the key.

    Raises:
        InvalidInput: If it is no Ed25519 key.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        _public(public).verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _private(pem: bytes) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(
            "expected a private Ed25519 key in PEM", hint="cd4ml audit key makes one"
        )
    return key


def _public(pem: bytes) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("expected a public Ed25519 key in PEM", hint="a file of audit-keys/")
    return key
