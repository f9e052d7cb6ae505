"""What all models of the API have in common: spelling, strictness, and rules that schema and Python share."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in two languages: CEL for the API server, a predicate for Python; both give the same message.

    It goes into `Annotated[...]` for a field, or into `rules` of a model.
    """

    cel: str
    """Expression over `self`; with `oldSelf` it is a rule on a change, which only the API server can check."""
    message: str
    """What is accepted, so that it reads well after the path of the field."""
    holds: Callable[[Any], bool] | None = None
    """The same in Python; None for a rule on a change."""
    field: str = ""
    """Path below the model that the message is about, such as `.labels`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the rule after whatever the field checks by itself."""
        return core_schema.no_info_after_validator_function(self.checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put the rule into the field's schema."""
        json = handler(schema)
        return {**json, VALIDATIONS: [*json.get(VALIDATIONS, []), self.validation()]}

    def checked(self, value: Any) -> Any:
        """`value`, if the rule holds for it."""
        if self.holds is not None and not self.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.message, "field": self.field})
        return value

    def validation(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`."""
        path = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.cel, "message": self.message, **path}


@dataclass(frozen=True, slots=True)
class MapBy:
    """Marks a list of models as a map: no two entries with the same value of `key`."""

    key: str
    """Name of a required field of the entries, as in YAML."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse a repeated key."""
        return core_schema.no_info_after_validator_function(self._keys_distinct, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say so in the schema."""
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}

    def _keys_distinct(self, entries: list["ApiModel"]) -> list["ApiModel"]:
        if len(entries) > 1:
            fields = type(entries[0]).model_fields.items()
            name = next(name for name, field in fields if field.alias == self.key)
            _distinct([getattr(entry, name) for entry in entries])
        return entries


@dataclass(frozen=True, slots=True)
class Distinct:
    """Marks a list of strings or numbers as a set."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse a repeated entry."""
        return core_schema.no_info_after_validator_function(_distinct, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say so in the schema."""
        return {**handler(schema), "x-kubernetes-list-type": "set"}


def _distinct(values: list[Any]) -> list[Any]:
    for value, times in Counter(values).items():
        if times > 1:
            text = "Duplicate value: {value}; remove one of the two"
            raise PydanticCustomError("duplicate", text, {"value": str(value)})
    return values


class ApiModel(BaseModel):
    """Part of an object: camelCase in YAML, frozen in Python; a field's docstring is its description in the CRD."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()
    """Rules that concern several fields at once."""

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself, since nobody changes it: pydantic copies defaults, which took half of the time of reading a job."""
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the model's rules after its fields; a model without any is not called back for each of its objects."""
        schema = handler(source)
        return core_schema.no_info_after_validator_function(cls._checked, schema) if cls.rules else schema

    @classmethod
    def _checked(cls, model: Self) -> Self:
        for rule in cls.rules:
            rule.checked(model)
        return model

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put the model's rules into its schema."""
        json = handler(schema)
        if cls.rules:
            handler.resolve_ref_schema(json)[VALIDATIONS] = [rule.validation() for rule in cls.rules]
        return json


def plain(model: ApiModel) -> dict[str, Any]:
    """A part of an object as the API server takes it; what is not set is left out."""
    return model.model_dump(by_alias=True, exclude_none=True, mode="json")


def timestamp(moment: datetime) -> str:
    """As metav1.Time: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Count = Annotated[int, Field(ge=0)]
"""A count."""
Time = Annotated[
    datetime, AfterValidator(lambda moment: moment.replace(microsecond=0) if moment.microsecond else moment)
]
"""A moment in whole seconds, as metav1.Time."""
OMIT_EMPTY: Final = Field(exclude_if=lambda value: not value)
"""For a field that is left out of what is written while there is nothing to say, as Go's `omitempty`."""


class Condition(ApiModel):
    """One statement about an object, as in metav1."""

    type: Annotated[str, Field(max_length=64)]
    """What is stated."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, Field(max_length=64)]
    """Why, in one word of a closed list."""
    message: Annotated[str, Field(max_length=4096)]
    """Why, for people."""
    observed_generation: Count | None = None
    """Generation of the spec that the statement speaks of."""
    last_transition_time: Time
    """When the status last flipped."""


class InvalidObject(ValueError):  # noqa: N818 - it says what is wrong
    """A stored object that this version cannot read; the text names each field and what it accepts."""


def _complaint(error: ErrorDetails) -> str:
    """One error as `path: what is accepted`, the path as the API server writes it."""
    parts = [f"[{part}]" if isinstance(part, int) or "/" in part else f".{part}" for part in error["loc"]]
    path = "".join(parts).removeprefix(".") + error.get("ctx", {}).get("field", "")
    text = re.sub(r"^(Input|String|Value|List|Dictionary) should", "must", error["msg"])
    return f"{path}: {text}"


def complaints(error: ValidationError) -> str:
    """The first few errors in one line, each as `path: what is accepted`."""
    return "; ".join(_complaint(entry) for entry in error.errors()[:8])


class Status(ApiModel):
    """A status subresource, written by the operator alone."""

    @classmethod
    def read(cls, stored: object) -> Self:
        """The status that stands in the cluster; a part that cannot be read counts as absent, and is written anew."""
        fields = dict(stored) if isinstance(stored, Mapping) else {}
        try:
            return cls.model_validate(fields, extra="ignore")
        except ValidationError as error:
            unreadable = {entry["loc"][0] for entry in error.errors()}
        return cls.model_validate({k: v for k, v in fields.items() if k not in unreadable}, extra="ignore")


class Metadata(ApiModel):
    """The part of ObjectMeta that is read."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = {}

    @property
    def created_at(self) -> datetime:
        """When it was created; the API server always says so."""
        return self.creation_timestamp or datetime.min.replace(tzinfo=UTC)


class Resource(ApiModel):
    """A whole object: what kopf and the API server hand over."""

    metadata: Metadata = Metadata()
    status: Status = Status()

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Self:
        """The object that stands in the cluster.

        Unknown fields are ignored: the API server already refused or pruned them, and an object stored under an
        older or newer schema must not stop its job. Everything else is checked again, since it may have been stored
        before a rule existed.

        Raises:
            InvalidObject: one line, `path: what is accepted; path: …`.
        """
        known = {key: stored[key] for key in ("metadata", "spec") if key in stored}
        try:
            return cls.model_validate({**known, "status": cls.read_status(stored)}, extra="ignore")
        except ValidationError as error:
            raise InvalidObject(complaints(error)) from None

    @classmethod
    def read_status(cls, stored: Mapping[str, Any]) -> Status:
        """The status of the object that stands in the cluster, whether its spec can be read or not."""
        kind = cls.model_fields["status"].annotation
        assert isinstance(kind, type)  # noqa: S101 - every kind declares its status
        assert issubclass(kind, Status)  # noqa: S101
        return kind.read(stored.get("status"))

    @classmethod
    def read_spec(cls, spec: object) -> object:
        """What an object asks for, for `parse` to take instead of `spec`; as it came where it cannot be read.

        Then `parse` says why, with the path of each field.
        """
        kind = cls.model_fields["spec"].annotation
        assert isinstance(kind, type)  # noqa: S101 - every kind declares its spec
        assert issubclass(kind, ApiModel)  # noqa: S101
        try:
            return kind.model_validate(spec, extra="ignore")
        except ValidationError:
            return spec

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Its namespace; empty for a cluster-scoped kind."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """Its uid."""
        return self.metadata.uid
