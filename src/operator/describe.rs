//! The settings of a policy as the fields of a form, by the policy's own description of them, and back from what was typed.

use serde::Serialize;
use serde_json::{Map, Value};

use super::candidate::find;
use super::{OperatorError, Policies};
use crate::policy::{PolicyEntry, Setting, SettingKind, inspect, read_set, resolve};

/// What stands before a setting's name in a form: a setting may have any name, that of another input too.
const PREFIX: &str = "setting.";

/// A policy of the set with its settings.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    /// Its entry in the set file; a built-in policy that is not in the file has one, too.
    pub entry: PolicyEntry,
    /// Digest of the module that the entry names.
    pub digest: String,
    /// The module before that a rollback would bring back: its digest.
    pub before: Option<String>,
    /// Its settings.
    pub fields: Vec<Field>,
    /// Whether the module describes its settings. Where it does not, all of them are one field in JSON.
    pub is_described: bool,
}

/// One setting in a form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// The setting's name; empty for the one field of a module that describes nothing.
    pub name: String,
    /// What it takes.
    pub kind: FieldKind,
    /// What holds where it is not set.
    pub default: Option<Value>,
    /// What the set file says; none where it says nothing of this setting.
    pub current: Option<Value>,
    /// What it is for.
    pub description: String,
    /// What it takes, in words: "a whole number, at least 1".
    pub expected: String,
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FieldKind {
    /// A whole number.
    Integer {
        /// The least.
        min: Option<i64>,
        /// The greatest.
        max: Option<i64>,
    },
    /// A text on one line.
    Text,
    /// One of these texts.
    Choice {
        /// The texts.
        of: Vec<String>,
    },
    /// Yes or no.
    Boolean,
    /// Texts, one a line.
    List,
    /// Anything, as JSON.
    Json,
}

/// What was wrong with one field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The setting's name.
    pub name: String,
    /// What was wrong, and what it takes.
    pub problem: String,
}

impl Field {
    fn of(setting: Setting, current: Option<Value>) -> Self {
        let expected = setting.expected();
        let Setting { name, kind, default, text, min, max, choices } = setting;
        let kind = match kind {
            SettingKind::Integer => FieldKind::Integer { min, max },
            SettingKind::Text => FieldKind::Text,
            SettingKind::Choice => FieldKind::Choice { of: choices },
            SettingKind::Boolean => FieldKind::Boolean,
            SettingKind::List => FieldKind::List,
            SettingKind::Json => FieldKind::Json,
        };
        Self { name, kind, default, current, description: text, expected }
    }

    /// A setting that nothing is known of but its value.
    fn unknown(name: String, current: Value, description: &str) -> Self {
        let (kind, default) = (FieldKind::Json, None);
        let (description, expected) = (description.to_owned(), "a value in JSON, not null".to_owned());
        Self { name, kind, default, current: Some(current), description, expected }
    }

    /// The name of its input in a form.
    #[must_use]
    pub fn input(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// What its input holds at first: what the set file says, else the default. A list is one text a line.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.current.as_ref().or(self.default.as_ref()) {
            None => String::new(),
            Some(Value::String(text)) if self.kind != FieldKind::Json => text.clone(),
            Some(Value::Array(items)) if self.kind == FieldKind::List => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
            }
            Some(value) if self.kind == FieldKind::Json => {
                serde_json::to_string_pretty(value).unwrap_or_default()
            }
            Some(value) => value.to_string(),
        }
    }

    /// Whether its box is ticked at first.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.current.as_ref().or(self.default.as_ref()) == Some(&Value::Bool(true))
    }

    /// The value that was typed; none where the setting is not to be set.
    fn read(&self, typed: Option<&str>) -> Result<Option<Value>, String> {
        let trimmed = typed.unwrap_or_default().trim();
        let wrong = || Err(format!("{trimmed:?} is not {}", self.expected));
        match &self.kind {
            // A box that is not ticked is not sent.
            FieldKind::Boolean => match trimmed {
                "" | "false" => Ok(Some(false.into())),
                "on" | "true" => Ok(Some(true.into())),
                _ => wrong(),
            },
            FieldKind::List => {
                let lines = trimmed.lines().map(str::trim).filter(|line| !line.is_empty());
                Ok(Some(lines.map(str::to_owned).collect::<Vec<_>>().into()))
            }
            _ if trimmed.is_empty() => Ok(None),
            FieldKind::Integer { min, max } => match trimmed.parse::<i64>() {
                Ok(number) if min.is_none_or(|min| min <= number) && max.is_none_or(|max| number <= max) => {
                    Ok(Some(number.into()))
                }
                _ => wrong(),
            },
            FieldKind::Text => Ok(Some(trimmed.into())),
            FieldKind::Choice { of } if of.iter().any(|choice| choice == trimmed) => Ok(Some(trimmed.into())),
            FieldKind::Choice { .. } => wrong(),
            FieldKind::Json => match serde_json::from_str(trimmed) {
                Ok(Value::Null) => wrong(),
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(format!("this is not JSON: {error}")),
            },
        }
    }
}

impl Described {
    /// The settings that a form asks for. `typed` gives what was typed into the input of a name, which is none for a box that
    /// is not ticked. What is left empty, and what is as it would be anyway and not in the set file, is not set.
    ///
    /// # Errors
    /// Everything that is wrong, field by field.
    pub fn read_form<'a>(
        &self,
        typed: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Map<String, Value>, Vec<FieldError>> {
        let (mut settings, mut errors) = (Map::new(), Vec::new());
        for field in &self.fields {
            match field.read(typed(&field.input())) {
                Ok(None) => {}
                Ok(Some(Value::Object(all))) if field.name.is_empty() => settings = all,
                Ok(Some(_)) if field.name.is_empty() => {
                    let problem = "the settings are one JSON object, {\"name\": value, …}".to_owned();
                    errors.push(FieldError { name: String::new(), problem });
                }
                Ok(Some(value)) => {
                    let is_default = field.default.as_ref() == Some(&value);
                    if !is_default || field.current.as_ref() == Some(&value) {
                        settings.insert(field.name.clone(), value);
                    }
                }
                Err(problem) => errors.push(FieldError { name: field.name.clone(), problem }),
            }
        }
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }
}

/// The fields of a module that describes its settings so.
fn fields(described: Vec<Setting>, current: &Map<String, Value>) -> Vec<Field> {
    if described.is_empty() {
        let all = Value::Object(current.clone());
        let text = "The module does not describe its settings: these are all of them, as one JSON object.";
        return vec![Field::unknown(String::new(), all, text)];
    }
    let known: Vec<String> = described.iter().map(|setting| setting.name.clone()).collect();
    let fields = described.into_iter().map(|setting| {
        let current = current.get(&setting.name).cloned();
        Field::of(setting, current)
    });
    // What the file says and the module does not describe must not be lost.
    let others = current.iter().filter(|(name, _)| !known.contains(name));
    let text = "The module does not describe this setting.";
    let others = others.map(|(name, value)| Field::unknown(name.clone(), value.clone(), text));
    fields.chain(others).collect()
}

impl Policies {
    /// A policy of the set with its settings, or a built-in policy that the set file does not name.
    ///
    /// # Errors
    /// `NoSuchPolicy`, and what is wrong with its module's file.
    pub fn describe(&self, policy: &str) -> Result<Described, OperatorError> {
        let entries = read_set(&self.dir)?;
        let entry = find(&entries, policy)?;
        let (record, bytes) = resolve(&self.dir, entry)?;
        let gated = inspect(&bytes, record.limits)?;
        // A module that decides may have a description that cannot be read: it came in before descriptions were looked at.
        let described = gated.described().unwrap_or_default();
        let is_described = !described.is_empty();
        Ok(Described {
            entry: entry.clone(),
            before: self.kept()?.before(policy, &record.module)?,
            digest: record.module,
            fields: fields(described, &entry.settings),
            is_described,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(current: Value) -> Described {
        let setting = |name: &str, kind, default: Value| Setting {
            name: name.to_owned(),
            kind,
            default: Some(default).filter(|it| !it.is_null()),
            text: "what it is for".to_owned(),
            min: (kind == SettingKind::Integer).then_some(1),
            max: None,
            choices: if kind == SettingKind::Choice { vec!["a".into(), "b".into()] } else { Vec::new() },
        };
        let Value::Object(current) = current else { panic!("not an object") };
        let all = vec![
            setting("max", SettingKind::Integer, json!(30)),
            setting("cap", SettingKind::Integer, json!(null)),
            setting("scope", SettingKind::Choice, json!("a")),
            setting("on", SettingKind::Boolean, json!(true)),
            setting("roles", SettingKind::List, json!(["admin"])),
            setting("rules", SettingKind::Json, json!({})),
            setting("word", SettingKind::Text, json!("hello")),
        ];
        Described {
            entry: PolicyEntry::new("p", "p.wasm"),
            digest: String::new(),
            before: None,
            fields: fields(all, &current),
            is_described: true,
        }
    }

    /// What the form says when nothing is touched, with these inputs changed.
    fn form(described: &Described, changed: &[(&str, Option<&str>)]) -> Result<Value, Vec<String>> {
        let mut typed: Vec<(String, Option<String>)> = described
            .fields
            .iter()
            .map(|field| {
                let is_box = field.kind == FieldKind::Boolean;
                let shown = if is_box { field.is_on().then(|| "on".to_owned()) } else { Some(field.shown()) };
                (field.input(), shown)
            })
            .collect();
        for (name, value) in changed {
            let field = typed.iter_mut().find(|(input, _)| *input == format!("setting.{name}")).unwrap();
            field.1 = value.map(str::to_owned);
        }
        let of = |name: &str| {
            typed.iter().find(|(input, _)| input == name).and_then(|(_, value)| value.as_deref())
        };
        let read = described.read_form(of).map(Value::Object);
        read.map_err(|errors| errors.into_iter().map(|it| format!("{}: {}", it.name, it.problem)).collect())
    }

    #[test]
    fn a_form_that_is_sent_as_it_came_changes_nothing() {
        for current in [
            json!({}),
            json!({ "max": 30, "cap": 3, "on": false, "roles": [], "rules": { "*": { "deny": ["x"] } } }),
            json!({ "scope": "b", "word": "bye", "roles": ["a", "b c"], "old": [1, { "x": null }] }),
        ] {
            assert_eq!(form(&described(current.clone()), &[]), Ok(current));
        }
    }

    #[test]
    fn what_was_typed_becomes_a_value_of_its_kind() {
        let fresh = described(json!({}));
        for (name, typed, value) in [
            ("max", Some(" 20 "), json!({ "max": 20 })),
            ("cap", Some("7"), json!({ "cap": 7 })),
            ("scope", Some("b"), json!({ "scope": "b" })),
            ("on", None, json!({ "on": false })),
            ("roles", Some("lead\r\n\n ops \n"), json!({ "roles": ["lead", "ops"] })),
            ("roles", Some(""), json!({ "roles": [] })),
            ("rules", Some("{\"a\": [1]}"), json!({ "rules": { "a": [1] } })),
            ("word", Some("bye"), json!({ "word": "bye" })),
            ("word", Some(""), json!({})),
            // As it would be anyway.
            ("max", Some("30"), json!({})),
        ] {
            assert_eq!(form(&fresh, &[(name, typed)]), Ok(value), "{name} {typed:?}");
        }
        assert_eq!(form(&described(json!({ "cap": 7 })), &[("cap", Some(""))]), Ok(json!({})));
    }

    #[test]
    fn every_field_that_is_wrong_says_what_it_takes() {
        let wrong = [
            ("max", Some("0")),
            ("cap", Some("ten")),
            ("scope", Some("c")),
            ("on", Some("maybe")),
            ("rules", Some("{")),
        ];
        let errors = form(&described(json!({})), &wrong).unwrap_err();
        assert_eq!(
            errors[..4],
            [
                "max: \"0\" is not a whole number, at least 1",
                "cap: \"ten\" is not a whole number, at least 1",
                "scope: \"c\" is not one of a, b",
                "on: \"maybe\" is not true or false",
            ]
        );
        assert!(errors.len() == 5 && errors[4].starts_with("rules: this is not JSON: "), "{errors:?}");
        assert!(form(&described(json!({})), &[("rules", Some("null"))]).is_err());
        assert!(form(&described(json!({})), &[("max", Some("99999999999999999999"))]).is_err());
    }

    #[test]
    fn settings_that_nobody_describes_are_one_field() {
        let current = json!({ "a": 1, "b": { "c": [true] } });
        let Value::Object(settings) = current.clone() else { panic!() };
        let plain =
            Described { fields: fields(Vec::new(), &settings), is_described: false, ..described(json!({})) };
        assert_eq!(form(&plain, &[]), Ok(current));
        assert_eq!(form(&plain, &[("", Some("{\"a\": 2}"))]), Ok(json!({ "a": 2 })));
        assert_eq!(form(&plain, &[("", Some(""))]), Ok(json!({})));
        assert!(form(&plain, &[("", Some("[1]"))]).unwrap_err()[0].contains("one JSON object"));
    }
}
