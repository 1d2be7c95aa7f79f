//! What a type's schema asks of a value, in a form that is quick to check.
//!
//! The source is the schema that utoipa derives for the OpenAPI document, read as plain JSON: the subset of JSON Schema
//! that the derive emits. References are resolved while compiling, so that checking follows no names. Rules are made
//! once a type and kept for the life of the process; the number of types is fixed when the program is built.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use dashmap::DashMap;
use serde_json::Value;
use utoipa::ToSchema;

/// References nested deeper than this are taken as "anything": request types are not recursive.
const MAX_DEPTH: usize = 32;

/// What is asked of one value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Allowed JSON types; none listed means all.
    pub(crate) types: Vec<Kind>,
    /// Alternatives, of which one must fit.
    pub(crate) any_of: Vec<Rules>,
    /// Allowed values.
    pub(crate) one_of_values: Vec<Value>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    /// In characters.
    pub(crate) min_length: Option<usize>,
    /// In characters.
    pub(crate) max_length: Option<usize>,
    pub(crate) min_items: Option<usize>,
    pub(crate) max_items: Option<usize>,
    pub(crate) max_properties: Option<usize>,
    pub(crate) format: Option<Format>,
    pub(crate) required: Vec<String>,
    pub(crate) properties: BTreeMap<String, Rules>,
    /// What fields without a rule of their own must satisfy.
    pub(crate) others: Others,
    pub(crate) items: Option<Box<Rules>>,
}

/// What is asked of fields that are not listed.
#[derive(Debug, Clone, Default)]
pub(crate) enum Others {
    #[default]
    Free,
    Refused,
    Ruled(Box<Rules>),
}

/// A JSON type as JSON Schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// A text format that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Uuid,
    DateTime,
}

static CACHE: LazyLock<DashMap<TypeId, Arc<Rules>>> = LazyLock::new(DashMap::new);

impl Rules {
    /// The rules of `T`, made at first use.
    pub(crate) fn of<T: ToSchema + 'static>() -> Arc<Self> {
        let id = TypeId::of::<T>();
        if let Some(rules) = CACHE.get(&id) {
            return Arc::clone(&rules);
        }
        let mut named = Vec::new();
        T::schemas(&mut named);
        let definitions: BTreeMap<String, Value> = named
            .into_iter()
            .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
            .collect();
        let schema = serde_json::to_value(T::schema()).unwrap_or_default();
        let rules = Arc::new(
            Compiler {
                definitions: &definitions,
            }
            .rules(&schema, 0),
        );
        CACHE.insert(id, Arc::clone(&rules));
        rules
    }

    /// The rules of a schema that refers to no other.
    pub(crate) fn of_schema(schema: &Value) -> Self {
        Compiler {
            definitions: &BTreeMap::new(),
        }
        .rules(schema, 0)
    }

    /// Whether a value of this type is allowed.
    pub(crate) fn allows(&self, kind: Kind) -> bool {
        self.types.contains(&kind) || self.any_of.iter().any(|rules| rules.allows(kind))
    }
}

struct Compiler<'a> {
    definitions: &'a BTreeMap<String, Value>,
}

impl Compiler<'_> {
    fn rules(&self, schema: &Value, depth: usize) -> Rules {
        if depth > MAX_DEPTH {
            return Rules::default();
        }
        if let Some(target) = self.referred(schema) {
            return self.rules(target, depth + 1);
        }
        let mut rules = Rules {
            types: types(schema),
            any_of: self.alternatives(schema, depth),
            one_of_values: list(schema, "enum").to_vec(),
            minimum: schema.get("minimum").and_then(Value::as_f64),
            maximum: schema.get("maximum").and_then(Value::as_f64),
            min_length: count(schema, "minLength"),
            max_length: count(schema, "maxLength"),
            min_items: count(schema, "minItems"),
            max_items: count(schema, "maxItems"),
            max_properties: count(schema, "maxProperties"),
            format: format(schema),
            required: list(schema, "required")
                .iter()
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect(),
            properties: self.properties(schema, depth),
            others: self.others(schema, depth),
            items: schema
                .get("items")
                .map(|items| Box::new(self.rules(items, depth + 1))),
        };
        for part in list(schema, "allOf") {
            rules.join(self.rules(part, depth + 1));
        }
        rules
    }

    fn referred(&self, schema: &Value) -> Option<&Value> {
        let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
        self.definitions.get(name)
    }

    fn alternatives(&self, schema: &Value, depth: usize) -> Vec<Rules> {
        let listed = list(schema, "oneOf").iter().chain(list(schema, "anyOf"));
        listed.map(|part| self.rules(part, depth + 1)).collect()
    }

    fn properties(&self, schema: &Value, depth: usize) -> BTreeMap<String, Rules> {
        let Some(Value::Object(properties)) = schema.get("properties") else {
            return BTreeMap::new();
        };
        let rules = |(name, part): (&String, &Value)| (name.clone(), self.rules(part, depth + 1));
        properties.iter().map(rules).collect()
    }

    fn others(&self, schema: &Value, depth: usize) -> Others {
        match schema.get("additionalProperties") {
            None | Some(Value::Bool(true)) => Others::Free,
            Some(Value::Bool(false)) => Others::Refused,
            Some(part) => Others::Ruled(Box::new(self.rules(part, depth + 1))),
        }
    }
}

impl Rules {
    /// Adds what another part of an `allOf` asks.
    fn join(&mut self, part: Self) {
        self.types.extend(part.types);
        self.any_of.extend(part.any_of);
        self.required.extend(part.required);
        self.properties.extend(part.properties);
        if matches!(self.others, Others::Free) {
            self.others = part.others;
        }
    }
}

fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn count(schema: &Value, key: &str) -> Option<usize> {
    schema
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|count| usize::try_from(count).ok())
}

fn format(schema: &Value) -> Option<Format> {
    match schema.get("format")?.as_str()? {
        "uuid" => Some(Format::Uuid),
        "date-time" => Some(Format::DateTime),
        _ => None,
    }
}

fn types(schema: &Value) -> Vec<Kind> {
    match schema.get("type") {
        Some(Value::String(name)) => kind(name).into_iter().collect(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(|name| kind(name.as_str()?))
            .collect(),
        _ => Vec::new(),
    }
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "string" => Kind::String,
        "array" => Kind::Array,
        "object" => Kind::Object,
        _ => return None,
    })
}
