"""The OpenAPI 3.1 document of a project: what its API steps take and answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from stepweave.steps import paths
from stepweave.steps.coercion import resolved
from stepweave.steps.components import Components
from stepweave.steps.file_fields import file_fields, needs_form
from stepweave.steps.model import Kind, Step

__all__ = ["Document", "document"]

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ERROR = {
    "type": "object",
    "description": "What went wrong.",
    "properties": {
        "error": {"type": "string", "description": "One sentence."},
        "issues": {
            "type": "array",
            "description": "Everything in the request that does not fit.",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"enum": ["path", "query", "body"]},
                    "path": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["in", "path", "message"],
            },
        },
        "traceId": {"type": "string", "description": "Under which the run is found."},
    },
    "required": ["error"],
}
_ERRORS = {
    400: "The request does not fit.",
    404: "There is nothing at this path.",
    413: "The body is too large.",
    415: "The body is encoded in a way that is not read.",
    500: "The handler failed.",
    503: "The handler is not available now.",
    504: "The handler took too long.",
}
_ERROR_REF = {"$ref": "#/components/schemas/Error"}


class Document(NamedTuple):
    """The document, JSON-able, and what it could not say, a sentence each."""

    content: dict[str, Any]
    omissions: tuple[str, ...]


def document(
    steps: Iterable[Step], *, title: str, version: str, servers: Iterable[str] = ()
) -> Document:
    """Describe the API steps. `servers` are URLs; the order of the steps does not matter."""
    api = sorted((step for step in steps if step.kind is Kind.API), key=_place)
    builder = _Builder(Components(Error=_ERROR))
    for step in api:
        builder.count(step)
    for derived in (False, True):
        for step in api:
            builder.add(step, derived)
    responses = {f"Error{status}": _error(text) for status, text in _ERRORS.items()}
    content: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": url} for url in servers],
        "tags": [{"name": name} for name in sorted({flow for step in api for flow in step.flows})],
        "paths": {path: builder.paths[path] for path in sorted(builder.paths)},
        "components": {"schemas": builder.components.schemas, "responses": responses},
    }
    for key in ("servers", "tags"):
        if not content[key]:
            del content[key]
    return Document(content, tuple(builder.omissions))


def _place(step: Step) -> tuple[str, str]:
    return step.route or "", step.method or ""


def _error(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ERROR_REF}}}


class _Builder:
    """Gathers the operations of the document."""

    def __init__(self, components: Components) -> None:
        self.components = components
        self.paths: dict[str, dict[str, Any]] = {}
        self.omissions: list[str] = []
        self._known: dict[str, str] = {}
        self._ids: set[str] = set()

    def count(self, step: Step) -> None:
        """Note the schemas of a step, so that those which repeat are found."""
        for validator in (step.body, *step.responses.values()):
            if validator is not None:
                self.components.count(validator.schema)

    def add(self, step: Step, derived: bool) -> None:
        """Add the operation of a step, or those without optional parts of its path."""
        method = (step.method or "").lower()
        for variant in paths.variants(step.route or "/"):
            if variant.derived is not derived:
                continue
            # Two templates that differ in the names of their parameters are one to OpenAPI.
            blank = re.sub(r"\{[^}]*\}", "{}", variant.template)
            template = self._known.setdefault(blank, variant.template)
            item = self.paths.setdefault(template, {})
            if method in item:
                if not derived:
                    self.omissions.append(
                        f"{step.relpath}: {step.method} {step.route} is left out, since OpenAPI "
                        f"cannot tell it from another {step.method} {template}"
                    )
                continue
            item[method] = self._operation(step, variant, paths.parameters(template))

    def _operation(self, step: Step, variant: paths.Variant, names: list[str]) -> dict[str, Any]:
        operation: dict[str, Any] = {"operationId": self._id(step.name, variant)}
        if step.flows:
            operation["tags"] = list(step.flows)
        if step.description:
            short = len(step.description) <= 120 and "\n" not in step.description
            operation["summary" if short else "description"] = step.description
        parameters = [*self._path_parameters(step, variant, names), *self._query(step)]
        if parameters:
            operation["parameters"] = parameters
        body = self._body(step)
        if body is not None:
            operation["requestBody"] = body
        operation["responses"] = self._responses(step, variant)
        return operation

    def _id(self, name: str, variant: paths.Variant) -> str:
        first = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_") or "operation"
        for each in variant.without:
            first += f"Without{each[:1].upper()}{each[1:]}"
        found, number = first, 2
        while found in self._ids:
            found, number = f"{first}_{number}", number + 1
        self._ids.add(found)
        return found

    def _path_parameters(
        self, step: Step, variant: paths.Variant, names: list[str]
    ) -> Iterator[dict[str, Any]]:
        fields = self._fields(step.params.schema, step.name) if step.params is not None else {}
        for (own, parameter), name in zip(variant.parameters.items(), names, strict=True):
            described = dict(parameter)
            if own in fields:
                described["schema"] = fields[own]
            yield {"name": name, "in": "path", "required": True, **described}

    def _query(self, step: Step) -> Iterator[dict[str, Any]]:
        texts = {each.name: each.description for each in step.query_params}
        schema = step.query.schema if step.query is not None else {}
        fields = self._fields(schema, step.name)
        top = resolved(schema, schema)
        required = top.get("required", ()) if isinstance(top, Mapping) else ()
        for name in dict.fromkeys((*texts, *fields)):
            field = fields.get(name, {"type": "string"})
            text = texts.get(name) or _described(field)
            one: dict[str, Any] = {"name": name, "in": "query"}
            if text:
                one["description"] = text
            if name in required:
                one["required"] = True
            one["schema"] = field
            if _is_object(resolved(field, {"components": {"schemas": self.components.schemas}})):
                one |= {"style": "deepObject", "explode": True}
            yield one

    def _fields(self, schema: Any, name: str) -> dict[str, Any]:
        """The properties of an object schema, as they stand in the document."""
        top = resolved(schema, schema)
        properties = top.get("properties") if isinstance(top, Mapping) else None
        if not isinstance(properties, Mapping):
            return {}
        shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
        return {
            field: self.components.place({**shared, **inner}, f"{name}_{field}")
            if isinstance(inner, Mapping)
            else inner
            for field, inner in properties.items()
        }

    def _body(self, step: Step) -> dict[str, Any] | None:
        if step.body is None:
            if step.method not in _WITH_BODY:
                return None
            return {"content": {"application/json": {"schema": {}}}}
        schema = self.components.place(step.body.schema, f"{step.name}Body")
        kinds = [] if needs_form(step.body.schema) else ["application/json"]
        if file_fields(step.body.schema):
            kinds.insert(0, "multipart/form-data")
        body: dict[str, Any] = {"content": {kind: {"schema": schema} for kind in kinds}}
        if not step.body.is_valid({}):
            body["required"] = True
        return body

    def _responses(self, step: Step, variant: paths.Variant) -> dict[str, Any]:
        errors = {400, 500, 503, 504}
        if variant.parameters:
            errors.add(404)
        if step.body is not None or step.method in _WITH_BODY:
            errors |= {413, 415}
        found: dict[int, dict[str, Any]] = {}
        for status, validator in step.responses.items():
            schema = self.components.place(validator.schema, f"{step.name}{status}")
            if status in errors and schema != _ERROR_REF:
                schema = {"anyOf": [schema, _ERROR_REF]}
            found[status] = {"description": _phrase(status)}
            if status not in (204, 205, 304):
                found[status]["content"] = {"application/json": {"schema": schema}}
        for status in errors - found.keys():
            found[status] = {"$ref": f"#/components/responses/Error{status}"}
        responses = {str(status): found[status] for status in sorted(found)}
        if not any(status < 400 for status in step.responses):
            # Nobody has said how it answers when all goes well.
            responses["default"] = {"description": "Whatever the handler answers."}
        return responses


def _described(schema: Any) -> str | None:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return text if isinstance(text, str) else None


def _is_object(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (
        schema.get("type") == "object" or "properties" in schema
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
