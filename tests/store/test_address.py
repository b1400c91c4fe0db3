import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.contract import Contract, Field
from cd4ml.store.address import address_of, address_of_file, address_of_record, canonical, short

# https://github.com/BLAKE3-team/BLAKE3/blob/master/test_vectors/test_vectors.json: the input of
# length n is the bytes 0, 1, ..., 250, 0, 1, ...
VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
}

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("length", VECTORS)
def test_an_address_is_the_published_blake3_digest(length: int) -> None:
    data = bytes(i % 251 for i in range(length))

    assert address_of(data) == f"blake3:{VECTORS[length]}"


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 3_000_000])
def test_a_file_has_the_address_of_its_bytes(tmp_path: Path, size: int) -> None:
    file = tmp_path / "model"
    file.write_bytes(os.urandom(size))

    assert address_of_file(file) == address_of(file.read_bytes())


def test_a_file_that_is_not_there_has_no_address(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        address_of_file(tmp_path / "nowhere")


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_the_order_in_which_keys_were_written_changes_no_address(things: dict[str, Any]) -> None:
    turned = dict(reversed(things.items()))

    assert canonical(things) == canonical(turned)
    assert address_of_record(things) == address_of(canonical(things))


@given(plain, plain)
def test_two_things_have_one_address_only_if_their_canonical_texts_are_equal(
    a: Any, b: Any
) -> None:
    assert (address_of_record(a) == address_of_record(b)) == (canonical(a) == canonical(b))


def test_a_record_and_its_plain_form_have_the_same_address() -> None:
    contract = Contract(name="flights", fields=(Field("carrier", "string"),))
    plain_form = {
        "name": "flights",
        "version": "1.0.0",
        "fields": [
            {
                "name": "carrier",
                "type": "string",
                "nullable": False,
                "minimum": None,
                "maximum": None,
                "categories": [],
                "open": False,
                "unit": "",
                "description": "",
                "pattern": "",
                "unique": False,
                "references": "",
                "finite": True,
                "optional": False,
                "on_null": "refuse",
                "on_unknown": "refuse",
                "on_outside": "refuse",
                "default": None,
            }
        ],
        "key": [],
        "event_time": "",
        "arrival_time": "",
        "minimum_rows": 0,
        "output": None,
        "description": "",
        "unique": [],
        "maximum_rows": None,
        "fresh_within_hours": None,
        "conditions": [],
        "open": False,
        "unchecked": [],
        "classes": [],
        "latency_ms": None,
        "size_mb": None,
    }

    assert address_of_record(contract) == address_of_record(plain_form)
    assert canonical(contract).startswith(
        b'{"arrival_time":"","classes":[],"conditions":[],"description":""'
    )


def test_a_short_address_is_its_first_twelve_digits() -> None:
    assert short(address_of(b"")) == "af1349b9f5f9"
