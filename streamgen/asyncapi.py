"""The steering protocol as an AsyncAPI document, for tools that make clients and checks from one.

    python -m streamgen.asyncapi        # writes docs/asyncapi.json

Everything comes from the types of `streamgen.protocol`; a test holds the committed document to them.
"""

import json
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from streamgen.protocol import MAX_FRAME_BYTES, MAX_ID_CHARS, PROTOCOL_VERSION, ClientMessage, ServerMessage

ASYNCAPI: Final = "3.0.0"
DOCUMENT: Final = Path("docs/asyncapi.json")
CHANNEL: Final = "steer"
_SCHEMAS: Final = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """The document, as JSON has it."""
    asked: tuple[type[BaseModel], ...] = get_args(ClientMessage)
    told: tuple[type[BaseModel], ...] = get_args(ServerMessage)
    # What a client sends is read as it is validated, what a server sends as it is written.
    _, sent = models_json_schema([(model, "validation") for model in asked], ref_template=_SCHEMAS)
    _, written = models_json_schema([(model, "serialization") for model in told], ref_template=_SCHEMAS)
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "streamgen steering",
            "version": str(PROTOCOL_VERSION),
            "license": {"name": "Apache-2.0"},
            "description": "Steers a channel and tells what plays. docs/protocol.md says what each message means.",
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8000", "protocol": "ws"}},
        "channels": {
            CHANNEL: {
                "address": "/steer/{channel}",
                "description": f"One JSON object per text frame, of at most {MAX_FRAME_BYTES} bytes.",
                "parameters": {"channel": {"description": "Name of the channel.", "default": "main"}},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {
                            "type": "object",
                            "properties": {
                                "token": {"type": "string", "description": "Allows what its roles allow."},
                                "client": {
                                    "type": "string",
                                    "maxLength": MAX_ID_CHARS,
                                    "description": "A name of your own, so that your ids outlive a connection.",
                                },
                            },
                        },
                    }
                },
                "messages": {_name(model): _at("messages", model) for model in (*asked, *told)},
            }
        },
        "operations": {
            "ask": _operation("receive", "What a client sends.", asked),
            "tell": _operation("send", "What a server sends.", told),
        },
        "components": {
            "messages": {_name(model): _message(model) for model in (*asked, *told)},
            "schemas": {**sent["$defs"], **written["$defs"]},
        },
    }


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _name(model: type[BaseModel]) -> str:
    return str(model.model_fields["type"].default)


def _at(kind: str, model: type[BaseModel]) -> dict[str, str]:
    name = _name(model) if kind == "messages" else model.__name__
    return {"$ref": f"#/components/{kind}/{name}"}


def _message(model: type[BaseModel]) -> dict[str, Any]:
    summary, _, rest = (model.__doc__ or "").strip().partition("\n")
    found: dict[str, Any] = {"name": _name(model), "summary": summary, "payload": _at("schemas", model)}
    if rest.strip():
        found["description"] = " ".join(rest.split())
    return found


def _operation(action: str, summary: str, models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/{CHANNEL}/messages/{_name(model)}"} for model in models]
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "messages": messages,
    }


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
