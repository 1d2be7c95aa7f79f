//! The pages for people, written on the server from the OpenAPI document.

use std::fmt::{Result, Write as _};

use serde_json::Value;

use super::html::{Escaped, Inline, Prose, framed};
use super::schema::{Named, fields, name_of, type_of};
use crate::http::state::About;

/// The docs page: everything that the document says, on one page.
pub(super) fn write(document: &Value) -> String {
    let mut body = String::new();
    // Writing to a string does not fail.
    if write_body(document, &mut body).is_err() {
        tracing::error!("the docs page was cut short");
    }
    framed("Mainstay API", &body)
}

fn write_body(document: &Value, out: &mut String) -> Result {
    let version = text(document, "/info/version");
    writeln!(
        out,
        "<h1>Mainstay API <small>{}</small></h1>",
        Escaped(version)
    )?;
    let description = text(document, "/info/description").replace("**", "");
    writeln!(out, "{}", Prose(&description))?;
    out.push_str("<p>For programs: <a href=\"/api/openapi.json\">openapi.json</a></p>\n");
    write_contents(document, out)?;
    for tag in list(document, "/tags") {
        write_tag(document, tag, out)?;
    }
    write_schemas(document, out)?;
    write_codes(document, out)
}

/// One operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    fn anchor(&self) -> String {
        text(self.value, "/operationId").to_owned()
    }
}

fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let paths = document.get("paths").and_then(Value::as_object);
    let mut found = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for (method, value) in item.as_object().into_iter().flatten() {
            if list(value, "/tags")
                .iter()
                .any(|name| name.as_str() == Some(tag))
            {
                found.push(Operation {
                    path,
                    method,
                    value,
                });
            }
        }
    }
    found
}

fn write_contents(document: &Value, out: &mut String) -> Result {
    out.push_str("<nav><ul>\n");
    for tag in list(document, "/tags") {
        for operation in operations(document, text(tag, "/name")) {
            let method = operation.method.to_uppercase();
            writeln!(
                out,
                "<li><a href=\"#{}\">{method} {}</a></li>",
                Escaped(&operation.anchor()),
                Escaped(operation.path)
            )?;
        }
    }
    out.push_str("<li><a href=\"#schemas\">Types</a></li><li><a href=\"#errors\">Error codes</a></li>\n</ul></nav>\n");
    Ok(())
}

fn write_tag(document: &Value, tag: &Value, out: &mut String) -> Result {
    let name = text(tag, "/name");
    writeln!(
        out,
        "<h2 id=\"tag-{0}\">{0}</h2>\n{1}",
        Escaped(name),
        Prose(text(tag, "/description"))
    )?;
    for operation in operations(document, name) {
        write_operation(document, &operation, out)?;
    }
    Ok(())
}

fn write_operation(document: &Value, operation: &Operation<'_>, out: &mut String) -> Result {
    let value = operation.value;
    writeln!(
        out,
        "<h3 id=\"{}\"><span class=\"method\">{}</span> <code>{}</code></h3>",
        Escaped(&operation.anchor()),
        operation.method.to_uppercase(),
        Escaped(operation.path)
    )?;
    writeln!(
        out,
        "<p>{}. <span class=\"needs\">Needs {}.</span></p>",
        Inline(text(value, "/summary")),
        Inline(text(value, "/x-needs"))
    )?;
    writeln!(out, "{}", Prose(text(value, "/description")))?;
    write_parameters(value, out)?;
    if let Some(body) = value.pointer("/requestBody/content/application~1json/schema") {
        out.push_str("<h4>Body</h4>\n");
        fields(body, &Named(document.pointer("/components/schemas")), out)?;
    }
    write_responses(value, out)
}

fn write_parameters(operation: &Value, out: &mut String) -> Result {
    let parameters = list(operation, "/parameters");
    if parameters.is_empty() {
        return Ok(());
    }
    out.push_str("<h4>Parameters</h4>\n<table><thead><tr><th>name</th><th>in</th><th>type</th><th>meaning</th></tr></thead><tbody>\n");
    for parameter in parameters {
        writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(text(parameter, "/name")),
            Escaped(text(parameter, "/in")),
            parameter.get("schema").map(type_of).unwrap_or_default(),
            Inline(text(parameter, "/description"))
        )?;
    }
    out.push_str("</tbody></table>\n");
    Ok(())
}

fn write_responses(operation: &Value, out: &mut String) -> Result {
    out.push_str("<h4>Answers</h4>\n<table><thead><tr><th>status</th><th>body</th><th>meaning</th></tr></thead><tbody>\n");
    for (status, response) in operation
        .get("responses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let contents = response.get("content").and_then(Value::as_object);
        let bodies: Vec<String> = contents
            .into_iter()
            .flatten()
            .map(|(media, content)| body_words(media, content))
            .collect();
        let meaning = Inline(text(response, "/description"));
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{meaning}</td></tr>",
            Escaped(status),
            bodies.join("<br>")
        )?;
    }
    out.push_str("</tbody></table>\n");
    Ok(())
}

fn body_words(media: &str, content: &Value) -> String {
    match content.get("schema") {
        Some(schema) if name_of(schema) == Some("ProblemBody") => {
            "<a href=\"#schema-ProblemBody\">problem</a>".to_owned()
        }
        Some(schema) => format!(
            "{} <span class=\"needs\">{}</span>",
            type_of(schema),
            Escaped(media)
        ),
        None => Escaped(media).to_string(),
    }
}

fn write_schemas(document: &Value, out: &mut String) -> Result {
    out.push_str("<h2 id=\"schemas\">Types</h2>\n");
    let named = document.pointer("/components/schemas");
    for (name, schema) in named.and_then(Value::as_object).into_iter().flatten() {
        writeln!(
            out,
            "<h3 id=\"schema-{0}\">{0}</h3>\n{1}",
            Escaped(name),
            Prose(text(schema, "/description"))
        )?;
        if schema.get("properties").is_some() {
            fields(schema, &Named(named), out)?;
        } else {
            writeln!(out, "<p>{}</p>", type_of(schema))?;
        }
    }
    Ok(())
}

fn write_codes(document: &Value, out: &mut String) -> Result {
    out.push_str("<h2 id=\"errors\">Error codes</h2>\n<p>The <code>type</code> of a problem links here.</p>\n");
    out.push_str(
        "<table><thead><tr><th>code</th><th>status</th><th>meaning</th></tr></thead><tbody>\n",
    );
    for entry in list(document, "/x-error-codes") {
        let code = Escaped(text(entry, "/code"));
        let status = entry.get("status").unwrap_or(&Value::Null);
        let meaning = Inline(text(entry, "/meaning"));
        writeln!(
            out,
            "<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{meaning}</td></tr>"
        )?;
    }
    out.push_str("</tbody></table>\n<h3 id=\"findings\">Findings</h3>\n<p>The <code>code</code> of an entry in <code>errors</code>.</p>\n");
    out.push_str("<table><thead><tr><th>code</th><th>meaning</th></tr></thead><tbody>\n");
    for entry in list(document, "/x-finding-codes") {
        let (code, meaning) = (
            Escaped(text(entry, "/code")),
            Inline(text(entry, "/meaning")),
        );
        writeln!(
            out,
            "<tr><td><code>{code}</code></td><td>{meaning}</td></tr>"
        )?;
    }
    out.push_str("</tbody></table>\n");
    Ok(())
}

/// The landing page.
pub(super) fn landing(about: &About) -> String {
    let body = format!(
        "<h1>Mainstay</h1>\n<p>One daemon that supervises every part of itself: what fails is restarted, what cannot be \
         restarted is set aside, and the status tells what you lose and why.</p>\n<p>Version {}.</p>\n<ul>\n\
         <li><a href=\"/health\">Health</a>: how well it serves</li>\n\
         <li><a href=\"/api/v1/status\">Status</a>: the whole tree</li>\n\
         <li><a href=\"/api/docs\">API</a>: every route, every field, every error code</li>\n\
         <li><a href=\"/api/openapi.json\">openapi.json</a>: the same for programs</li>\n\
         <li><a href=\"/metrics\">Metrics</a>: for Prometheus</li>\n</ul>\n\
         <p>On the command line: <code>mainstay status</code>, <code>mainstay doctor</code>, <code>mainstay --help</code>.</p>\n",
        Escaped(about.version)
    );
    framed("Mainstay", &body)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
