//! Query parameters as a typed value, held to the same rules as a body.
//!
//! The parameters are read into a JSON object by the types that the OpenAPI document gives them, then checked like a
//! body. Their pointer is `/name`, as if the query were that object.

use std::any::TypeId;
use std::sync::{Arc, LazyLock};

use axum::extract::FromRequestParts;
use dashmap::DashMap;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use supervisor::Finding;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::ParameterIn;

use super::body::typed;
use super::check::{Findings, Pointer, check};
use super::rules::{Kind, Others, Rules};
use crate::http::problem::Problem;

/// Query parameters that were read, checked and found right.
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + IntoParams + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string as a `T`.
///
/// # Errors
/// 422 with all findings.
pub(crate) fn parse<T: DeserializeOwned + IntoParams + 'static>(query: &str) -> Result<T, Problem> {
    let rules = rules_of::<T>();
    let mut findings = Findings::default();
    let mut fields = Map::new();
    for (name, text) in pairs(query) {
        if fields.contains_key(&name) {
            let at = Pointer::Key(&Pointer::Root, &name).text();
            findings.push(Finding::new(
                at,
                "duplicate",
                "the parameter is given twice",
            ));
            continue;
        }
        let value = value(text, rules.properties.get(&name));
        fields.insert(name, value);
    }
    let fields = Value::Object(fields);
    check(&fields, &rules, Pointer::Root, &mut findings);
    if findings.is_empty() {
        return typed(fields);
    }
    Err(Problem::invalid(findings.into_vec()))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(pair)
        .collect()
}

fn pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decoded(name), decoded(value))
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte; what is not UTF-8 becomes U+FFFD, which no
/// parameter of ours accepts silently as something else.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(nibble(*high) << 4 | nibble(*low));
                rest = tail;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// The value that a parameter's text stands for; text of another form stays text, and the check then refuses it.
fn value(text: String, rules: Option<&Rules>) -> Value {
    let Some(rules) = rules else {
        return Value::String(text);
    };
    let is_number = rules.allows(Kind::Integer) || rules.allows(Kind::Number);
    if is_number && let Ok(Value::Number(number)) = serde_json::from_str(&text) {
        return Value::Number(number);
    }
    match text.as_str() {
        "true" if rules.allows(Kind::Boolean) => Value::Bool(true),
        "false" if rules.allows(Kind::Boolean) => Value::Bool(false),
        _ => Value::String(text),
    }
}

static CACHE: LazyLock<DashMap<TypeId, Arc<Rules>>> = LazyLock::new(DashMap::new);

fn rules_of<T: IntoParams + 'static>() -> Arc<Rules> {
    let id = TypeId::of::<T>();
    if let Some(rules) = CACHE.get(&id) {
        return Arc::clone(&rules);
    }
    let mut rules = Rules {
        types: vec![Kind::Object],
        others: Others::Refused,
        ..Rules::default()
    };
    for parameter in T::into_params(|| Some(ParameterIn::Query)) {
        if parameter.required == Required::True {
            rules.required.push(parameter.name.clone());
        }
        let schema = parameter
            .schema
            .and_then(|schema| serde_json::to_value(schema).ok())
            .unwrap_or_default();
        rules
            .properties
            .insert(parameter.name, Rules::of_schema(&schema));
    }
    let rules = Arc::new(rules);
    CACHE.insert(id, Arc::clone(&rules));
    rules
}
