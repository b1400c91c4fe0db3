"""How a webhook is signed, so that who receives it knows that it comes from this project."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from cd4ml.errors import ConfigurationError

PREFIX = "whsec_"

_LEAST = 24  # bytes of a key, as Standard Webhooks has it


def key_of(secret: str, name: str) -> bytes:
    """The bytes of a secret: of `whsec_...` what its base64 says, else the text itself.

    Args:
        secret: What two sides share.
        name: Where it stands, for messages; the secret itself is in none.

    Raises:
        ConfigurationError: If it is too short, or no base64 after `whsec_`.

    Examples:
        >>> len(key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SECRET"))
        24
    """
    hint = f'export {name}="{PREFIX}$(openssl rand -base64 32)"'
    try:
        text = secret.removeprefix(PREFIX)
        is_encoded = secret.startswith(PREFIX)
        key = base64.b64decode(text, validate=True) if is_encoded else secret.encode()
    except binascii.Error:
        msg = f"expected base64 after {PREFIX} in {name}"
        raise ConfigurationError(msg, hint=hint) from None
    if len(key) < _LEAST:
        msg = f"expected a secret of at least {_LEAST} bytes in {name}, got {len(key)}"
        raise ConfigurationError(msg, hint=hint)
    return key


def signed(key: bytes, *, id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message: HMAC-SHA256 of its id, the time in seconds, and its body.

    Source:
        Standard Webhooks 1.0.0, "Signature scheme" (symmetric, v1).

    Examples:
        >>> key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SECRET")
        >>> signed(
        ...     key,
        ...     id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        ...     timestamp=1614265330,
        ...     body=b'{"test": 2432232314}',
        ... )
        'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    message = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
