//! Adds our entries to JSON files of another program, which hold what its person and others put there, and removes them again. All else in
//! such a file stays as it is: order, comments, spaces.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};
use serde_json::{Map, Value, json};

use super::files::NAME;
use crate::cli::output;
use crate::domain::clock::{self, Millis};
use crate::os::{self, Private, Readers};

/// Stands between the program and the event in a hook of ours.
const HOOK: &str = " hook cursor ";
/// Stands between the name of a file and the time, in the name of its backup.
const BACKUP: &str = ".team-table-";

/// What is to be done to a file.
pub(super) struct Change {
    file: PathBuf,
    after: After,
}

enum After {
    /// It has this text.
    Text(String),
    /// It is what it was before set-up, or gone if it was not there, and so are the backups that keep nothing else.
    Before(Option<String>, Vec<PathBuf>),
}

/// What a file needs to have our entries; `None` if it has them.
///
/// # Errors
/// What a person must see to; nothing is changed.
pub(super) fn adding(file: &Path, ours: &str) -> Result<Option<Change>, String> {
    let wanted: Value = serde_json::from_str(ours).map_err(|error| error.to_string())?;
    let old = read(file)?;
    let new = put(old.as_deref().unwrap_or_default(), &wanted).map_err(|problem| {
        format!(
            "{} is left as it is: {problem}. Mend that and run this again, or add this by hand:\n{ours}",
            file.display()
        )
    })?;
    let changed = old.is_none_or(|old| old != new);
    Ok(changed.then(|| Change { file: file.to_owned(), after: After::Text(new) }))
}

/// What a file needs to be without our entries; `None` if it has none. Where nothing but our entries came into it since set-up, it is what
/// it was before, byte for byte.
///
/// # Errors
/// What a person must see to; nothing is changed.
pub(super) fn removing(file: &Path) -> Result<Option<Change>, String> {
    let Some(text) = read(file)? else { return Ok(None) };
    let taken = take(&text).map_err(|problem| {
        format!("{} is left as it is: {problem}. Remove what starts {NAME} by hand", file.display())
    })?;
    let Some((rest, ours)) = taken else { return Ok(None) };
    let kept: Vec<(PathBuf, String)> = backups(file)
        .into_iter()
        .filter_map(|backup| Some((backup.clone(), fs::read_to_string(backup).ok()?)))
        .collect();
    let is_made_of =
        |text: &str, before: &str, ours: &Value| put(before, ours).is_ok_and(|after| after == text);
    let foreign = |text: &&String| matches!(take(text), Ok(None));
    let mut originals = kept.iter().map(|(_, before)| before).filter(foreign);
    let original = originals.find(|before| is_made_of(&text, before, &ours)).cloned();
    let after = if original.is_some() || is_made_of(&text, "", &ours) {
        let before = original.as_deref().unwrap_or_default();
        // The original, and what set-up made of it under other names or of another program.
        let spent = kept.iter().filter(|(_, text)| match take(text) {
            Ok(None) => text == before,
            Ok(Some((_, ours))) => is_made_of(text, before, &ours),
            Err(_) => false,
        });
        let spent = spent.map(|(backup, _)| backup.clone()).collect();
        After::Before(original, spent)
    } else {
        After::Text(rest)
    };
    Ok(Some(Change { file: file.to_owned(), after }))
}

/// The program that our server in this file starts.
pub(super) fn program(file: &Path) -> Option<PathBuf> {
    let (_, ours) = take(&fs::read_to_string(file).ok()?).ok()??;
    Some(ours.pointer(&format!("/mcpServers/{NAME}/command"))?.as_str()?.into())
}

impl Change {
    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Makes it; the backup, if the file was there and is not what a backup kept.
    ///
    /// # Errors
    /// When a file cannot be written. It has the old text or the new one, whatever happens.
    pub(super) fn make(&self, now: Millis) -> io::Result<Option<PathBuf>> {
        match &self.after {
            After::Text(text) => {
                let backup = keep(&self.file, now)?;
                replace(&self.file, text)?;
                Ok(backup)
            }
            After::Before(before, spent) => {
                match before {
                    Some(text) => replace(&self.file, text)?,
                    None => fs::remove_file(&self.file)?,
                }
                spent.iter().try_for_each(fs::remove_file)?;
                if let Some(folder) = self.file.parent() {
                    // It stays where something is in it.
                    let _ = fs::remove_dir(folder);
                }
                Ok(None)
            }
        }
    }
}

/// The text of a file; `None` if there is none.
fn read(file: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(file).is_err() => {
            Ok(None)
        }
        Err(error) => Err(format!("{} cannot be read: {error}; nothing is changed", file.display())),
    }
}

/// The backups of a file, the newest first.
fn backups(file: &Path) -> Vec<PathBuf> {
    let Some((folder, name)) = file.parent().zip(file.file_name()) else { return Vec::new() };
    let prefix = format!("{}{BACKUP}", name.to_string_lossy());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let mut found: Vec<PathBuf> = ours.map(|entry| entry.path()).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

/// Keeps what a file holds beside it, readable for those who can read the file.
fn keep(file: &Path, now: Millis) -> io::Result<Option<PathBuf>> {
    if !file.exists() {
        return Ok(None);
    }
    let mut backup = file.as_os_str().to_owned();
    backup.push(format!("{BACKUP}{}", clock::format(now).replace([':', '+'], "-")));
    let backup = PathBuf::from(backup);
    let text = fs::read(file)?;
    let mut new = os::open_private(&backup, Private::New)?;
    new.write_all(&text)?;
    os::copy_access(file, &backup)?;
    Ok(Some(backup))
}

/// Gives a file, or the one that it is a link to, a new text in one step. Who may use it stays; a new file is its owner's only.
pub(crate) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let was_there = file.exists();
    let real = if was_there { fs::canonicalize(file)? } else { file.to_owned() };
    let folder = real.parent().unwrap_or_else(|| Path::new("."));
    os::create_private_folder(folder)?;
    let mut new = os::new_beside(folder, Readers::Owner)?;
    new.write_all(text.as_bytes())?;
    if was_there {
        os::copy_access(&real, new.path())?;
    }
    new.as_file().sync_all()?;
    os::replace_file(new, &real)
}

/// The text with our entries. What is called as they are and is of somebody else is not replaced.
fn put(text: &str, ours: &Value) -> Result<String, String> {
    let (mark, root) = parse(text)?;
    let file = root.object_value_or_create().ok_or("it holds no object")?;
    for (key, wanted) in ours.as_object().into_iter().flatten() {
        let Some(entries) = wanted.as_object() else {
            match file.get(key) {
                None => drop(file.insert(0, key, input(wanted))),
                Some(found) if value(&found).as_ref() == Some(wanted) => {}
                Some(_) => return Err(format!("its {key} is not {wanted}, the only one that is known here")),
            }
            continue;
        };
        let place = file.object_value_or_create(key).ok_or_else(|| format!("its {key} is no object"))?;
        for (name, entry) in entries {
            if let Some(hook) = entry.pointer("/0").and_then(Value::as_object) {
                put_hook(&place, name, hook)?;
            } else if let Some(server) = entry.as_object() {
                put_server(&place, name, server)?;
            }
        }
    }
    Ok(format!("{mark}{root}"))
}

fn put_server(servers: &CstObject, name: &str, wanted: &Map<String, Value>) -> Result<(), String> {
    match servers.get(name) {
        None => drop(servers.append(name, input(&wanted.clone().into()))),
        Some(found) => {
            match found.object_value().filter(|_| value(&found).is_some_and(|it| is_our_server(&it))) {
                Some(server) => update(&server, wanted),
                None => return Err(format!("it has a server {name} that is not of team-table setup")),
            }
        }
    }
    Ok(())
}

fn put_hook(events: &CstObject, event: &str, wanted: &Map<String, Value>) -> Result<(), String> {
    let list = events.array_value_or_create(event).ok_or_else(|| format!("its hooks.{event} is no array"))?;
    let mut ours = list.elements().into_iter().filter(is_our_hook);
    match ours.next().and_then(|hook| hook.as_object()) {
        Some(hook) => update(&hook, wanted),
        None => drop(list.append(input(&wanted.clone().into()))),
    }
    ours.for_each(CstNode::remove);
    Ok(())
}

/// Gives an entry of ours the values that it must have; what a person added to it stays.
fn update(entry: &CstObject, wanted: &Map<String, Value>) {
    for (key, wanted) in wanted {
        match entry.get(key) {
            None => drop(entry.append(key, input(wanted))),
            Some(found) if value(&found).as_ref() == Some(wanted) => {}
            Some(found) => found.set_value(input(wanted)),
        }
    }
}

/// The text without our entries, and the entries; `None` if there are none.
fn take(text: &str) -> Result<Option<(String, Value)>, String> {
    let (mark, root) = parse(text)?;
    let file = root.object_value().ok_or("it holds no object")?;
    let mut ours = Map::new();
    if let Some(server) = file.object_value("mcpServers").and_then(|servers| servers.get(NAME))
        && let Some(found) = value(&server).filter(is_our_server)
    {
        ours.insert("mcpServers".into(), json!({ NAME: found }));
        server.remove();
    }
    let mut hooks = Map::new();
    for event in file.object_value("hooks").map(|events| events.properties()).unwrap_or_default() {
        let Some((name, list)) = event.decoded_name().zip(event.array_value()) else { continue };
        let of_us: Vec<CstNode> = list.elements().into_iter().filter(is_our_hook).collect();
        if of_us.is_empty() {
            continue;
        }
        hooks.insert(name, of_us.iter().filter_map(CstNode::to_serde_value).collect());
        of_us.into_iter().for_each(CstNode::remove);
        if list.elements().is_empty() && !list.children().iter().any(CstNode::is_comment) {
            event.remove();
        }
    }
    if !hooks.is_empty() {
        ours.insert("version".into(), 1.into());
        ours.insert("hooks".into(), hooks.into());
    }
    Ok((!ours.is_empty()).then(|| (format!("{mark}{root}"), ours.into())))
}

/// A file's byte order mark, if it has one, and the rest. Comments and commas at the end of a list are taken, as editors do; nothing else that
/// is no JSON.
fn parse(text: &str) -> Result<(&str, CstRootNode), String> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let (mark, rest) = text.split_at(if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 });
    let rest = if rest.trim().is_empty() { "{}\n" } else { rest };
    let root = CstRootNode::parse(rest, &options)
        .map_err(|error| format!("it is no JSON ({})", output::visible(&error.to_string())))?;
    Ok((mark, root))
}

fn value(property: &CstObjectProp) -> Option<Value> {
    property.value()?.to_serde_value()
}

fn is_ours(program: &str) -> bool {
    program.trim_matches('\'').rsplit('/').next().is_some_and(|name| name.starts_with(NAME))
}

fn is_our_server(server: &Value) -> bool {
    server.get("command").and_then(Value::as_str).is_some_and(is_ours)
}

fn is_our_hook(hook: &CstNode) -> bool {
    let command = hook.as_object().and_then(|hook| hook.get("command")).and_then(|command| value(&command));
    command.is_some_and(|command| {
        command.as_str().and_then(|line| line.split_once(HOOK)).is_some_and(|(program, _)| is_ours(program))
    })
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn servers(program: &str) -> Value {
        json!({ "mcpServers": { NAME: { "command": program, "args": ["--db", "/t.db"] } } })
    }

    fn hooks(program: &str) -> Value {
        let hook =
            |event: &str| json!([{ "command": format!("{program} hook cursor {event}"), "timeout": 5 }]);
        json!({ "version": 1, "hooks": { "stop": hook("stop"), "sessionStart": hook("start") } })
    }

    #[test]
    fn entries_of_others_order_and_comments_stay() {
        let text = "{\n  // mine\n  \"z\": 1, \"a\": [1,2],\n  \"mcpServers\": {\n    \"other\": { \"url\": \"http://x\" }, // keep\n  },\n}\n";
        let with = put(text, &servers("/bin/team-table")).unwrap();
        for part in ["// mine\n  \"z\": 1, \"a\": [1,2],", "\"other\": { \"url\": \"http://x\" }, // keep\n"]
        {
            assert!(with.contains(part), "{part}: {with}");
        }
        assert_eq!(put(&with, &servers("/bin/team-table")).unwrap(), with, "the second time");
        let (without, ours) = take(&with).unwrap().unwrap();
        assert_eq!(ours, servers("/bin/team-table"));
        assert_eq!(without, text);

        let text = "{\"version\":1,\"hooks\":{\"stop\":[{\"command\":\"./mine hook\"}]}}";
        let with = put(text, &hooks("team-table")).unwrap();
        assert!(with.contains("{\"command\":\"./mine hook\"}"), "{with}");
        assert_eq!(put(&with, &hooks("team-table")).unwrap(), with, "the second time");
        let (without, ours) = take(&with).unwrap().unwrap();
        assert_eq!(ours, hooks("team-table"));
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&without), value(text));
        assert_eq!(take(&without).unwrap(), None);
    }

    #[test]
    fn a_program_that_moved_is_replaced_and_what_a_person_added_stays() {
        for old in ["", "{}", "{\n\t\"hooks\": {\"stop\": []}\n}", "\u{feff}{\r\n}\r\n"] {
            let moved =
                put(&put(old, &hooks("'/a b/team-table'")).unwrap(), &hooks("/c/team-table")).unwrap();
            assert_eq!(moved, put(old, &hooks("/c/team-table")).unwrap(), "{old:?}");
            let moved =
                put(&put(old, &servers("/a/team-table")).unwrap(), &servers("/c/team-table")).unwrap();
            assert_eq!(moved, put(old, &servers("/c/team-table")).unwrap(), "{old:?}");
        }
        let mine = "{\"mcpServers\":{\"team-table\":{\"command\":\"team-table\",\"env\":{\"A\":\"b\"}}}}";
        let with = put(mine, &servers("/c/team-table")).unwrap();
        let with: Value = serde_json::from_str(&with).unwrap();
        let mut wanted = servers("/c/team-table");
        wanted["mcpServers"][NAME]["env"] = json!({ "A": "b" });
        assert_eq!(with, wanted);
    }

    /// A file as a person may have written it: any values, laid out in any way.
    fn written() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("1".to_owned()),
            Just("null".to_owned()),
            Just("[]".to_owned()),
            Just("{}".to_owned()),
            "[a-z/]{0,3}".prop_map(|text| format!("{{ \"command\": \"{text}\" }}")),
        ];
        let gap =
            prop_oneof![Just(""), Just(" "), Just("\n\t"), Just("\r\n  "), Just(" // x\n"), Just("/* } */")];
        let list = |open: &'static str, close: &'static str, of: BoxedStrategy<String>| {
            (prop::collection::vec((of, gap.clone(), gap.clone()), 0..3), gap.clone(), any::<bool>())
                .prop_map(move |(items, end, comma)| {
                    let comma = if comma && !items.is_empty() { "," } else { "" };
                    let items: Vec<String> =
                        items.iter().map(|(item, before, after)| format!("{before}{item}{after}")).collect();
                    format!("{open}{}{comma}{end}{close}", items.join(","))
                })
        };
        let named = |of: BoxedStrategy<String>| {
            ("[a-e]", of).prop_map(|(name, of)| format!("\"{name}\": {of}")).boxed()
        };
        let hooks = ("(stop|sessionStart|other)", list("[", "]", leaf.clone().boxed()));
        let hooks = hooks.prop_map(|(event, hooks)| format!("\"{event}\":{hooks}")).boxed();
        let servers =
            list("{", "}", named(leaf.clone().boxed())).prop_map(|of| format!("\"mcpServers\":{of}"));
        // One event each: of two with one name, either may be meant.
        let events = list("{", "}", hooks).prop_filter("one event", |of| of.matches("\":[").count() < 2);
        let events = events.prop_map(|of| format!("\"hooks\": {of}"));
        let rest = named(leaf.boxed());
        (list("{", "}", prop_oneof![servers, events, rest].boxed()), gap).prop_filter_map(
            "one of each",
            |(file, end)| {
                let once = |key: &str| file.matches(key).count() < 2;
                (once("mcpServers") && once("\"hooks\"")).then(|| format!("{file}{end}"))
            },
        )
    }

    proptest! {
        #[test]
        fn only_ours_comes_and_goes_whatever_a_file_looks_like(text in written()) {
            let value = |text: &str| parse(text).unwrap().1.to_serde_value().unwrap();
            for ours in [servers("/a b/team-table"), hooks("'/a b/team-table'")] {
                let with = put(&text, &ours).unwrap();
                prop_assert_eq!(&put(&with, &ours).unwrap(), &with);
                let (without, found) = take(&with).unwrap().unwrap();
                prop_assert_eq!(&found, &ours);
                prop_assert_eq!(take(&without).unwrap(), None);
                let (mut left, mut was) = (value(&without), value(&text));
                for side in [&mut left, &mut was] {
                    let fields = side.as_object_mut().unwrap();
                    fields.remove("version");
                    if let Some(events) = fields.get_mut("hooks").and_then(Value::as_object_mut) {
                        events.retain(|_, hooks| hooks != &json!([]));
                    }
                    fields.retain(|key, of| of != &json!({}) || !["hooks", "mcpServers"].contains(&key.as_str()));
                }
                prop_assert_eq!(left, was);
                for comment in ["// x", "/* } */"] {
                    prop_assert_eq!(with.matches(comment).count(), text.matches(comment).count(), "{}", &with);
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_or_of_another_shape_is_refused() {
        for (text, problem) in [
            ("{", "it is no JSON"),
            ("{'mcpServers': {}}", "it is no JSON"),
            ("{\"a\": 1 \"b\": 2}", "it is no JSON"),
            ("[]", "it holds no object"),
            ("{\"mcpServers\": []}", "its mcpServers is no object"),
            (
                "{\"mcpServers\": {\"team-table\": {\"url\": \"http://x\"}}}",
                "that is not of team-table setup",
            ),
            ("{\"mcpServers\": {\"team-table\": {\"command\": \"npx\"}}}", "that is not of team-table setup"),
        ] {
            let refused = put(text, &servers("team-table")).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
        for (text, problem) in [
            ("{\"version\": 2}", "its version is not 1"),
            ("{\"hooks\": {\"stop\": {}}}", "its hooks.stop is no array"),
        ] {
            let refused = put(text, &hooks("team-table")).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
    }
}
