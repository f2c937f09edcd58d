//! What commands print: JSON for programs, tables and lines for people, all from the same views.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON, or text for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one thing: a JSON object, or a line for each of its fields.
    pub fn item(&self, view: &impl Serialize) -> Result<(), Failure> {
        let value = value(view);
        if self.json {
            return self.text(&format!("{value}\n"));
        }
        let lines = match &value {
            Value::Object(fields) => {
                let width = fields.keys().map(String::len).max().unwrap_or(0);
                let line =
                    |(name, field): (&String, &Value)| format!("{name:width$}  {}\n", cell(field));
                fields.iter().map(line).collect()
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                format!("{}\n", cell(&value))
            }
        };
        self.text(&lines)
    }

    /// Prints many things: a JSON array, or a table with these of their fields.
    pub fn list(
        &self,
        views: impl IntoIterator<Item = impl Serialize>,
        columns: &[&str],
    ) -> Result<(), Failure> {
        let rows: Vec<Value> = views.into_iter().map(|view| value(&view)).collect();
        if self.json {
            return self.text(&format!("{}\n", Value::Array(rows)));
        }
        self.text(&table(&rows, columns))
    }

    /// Prints a document that is JSON anyway, in a form for people unless JSON was asked for.
    pub fn document(&self, view: &impl Serialize) -> Result<(), Failure> {
        let value = value(view);
        self.text(&if self.json {
            format!("{value}\n")
        } else {
            format!("{value:#}\n")
        })
    }

    /// Prints a text as it is.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            // A pager that was closed has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Failure::Print),
        }
    }
}

fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).expect("a view is plain data with string keys")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Object(fields) => {
            let parts = fields
                .iter()
                .map(|(name, field)| format!("{name} {}", cell(field)));
            parts.collect::<Vec<_>>().join(", ")
        }
        Value::Number(_) | Value::Array(_) => value.to_string(),
    }
}

fn table(rows: &[Value], columns: &[&str]) -> String {
    let mut lines: Vec<Vec<String>> =
        vec![columns.iter().map(|column| column.to_uppercase()).collect()];
    lines.extend(
        rows.iter()
            .map(|row| columns.iter().map(|column| cell(&row[*column])).collect()),
    );
    let letters = |text: &String| text.chars().count();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            lines
                .iter()
                .map(|line| letters(&line[column]))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_line_up_in_any_alphabet() {
        let rows = [
            json!({ "id": "s1", "name": "Магазин", "groups": null }),
            json!({ "id": "s22", "name": "B", "groups": ["x"], "more": 1 }),
            json!({ "id": "s3", "name": "C", "groups": { "tills": 2, "open": true } }),
        ];
        let expected = "ID   NAME     GROUPS\ns1   Магазин  -\ns22  B        [\"x\"]\n\
            s3   C        open yes, tills 2\n";
        assert_eq!(table(&rows, &["id", "name", "groups"]), expected);
    }
}
