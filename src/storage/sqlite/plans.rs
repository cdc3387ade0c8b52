//! The test that no statement walks a big table: every SQL literal of `storage/ops` is put to
//! `EXPLAIN QUERY PLAN` against a migrated database.

use std::path::Path;

use rusqlite::Connection;

/// Tables that grow with use. Members, counters and context of one team stay small.
const BIG: [&str; 11] = [
    "messages",
    "inbox",
    "tasks",
    "task_dependencies",
    "events",
    "audit",
    "decisions",
    "tokens",
    "escalations",
    "announcements",
    "search_documents",
];

/// The string literals of a source file that are SQL statements. SQL is never put together at run time, so the
/// literals are all there is.
fn statements(source: &str) -> Vec<String> {
    source
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| {
            ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|verb| text.starts_with(verb))
        })
        .map(str::to_owned)
        .collect()
}

fn all_statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/ops");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|it| it == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            // Tests have tables of their own.
            let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            let source = source.replace("\\\"", "").replace("'\"'", "");
            found.extend(statements(&source).into_iter().map(|sql| (name.clone(), sql)));
        }
    }
    found
}

#[test]
fn every_statement_uses_an_index_on_the_big_tables() {
    let connection = Connection::open_in_memory().unwrap();
    super::open::run_migrations(&connection).unwrap();
    let all = all_statements();
    assert!(all.len() > 50, "the statements were not found: {}", all.len());
    let mut scans = Vec::new();
    for (file, sql) in all {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap_or_else(|error| panic!("{file}: {error}: {sql}"));
        let parameters = explain.parameter_count();
        let nulls = vec![rusqlite::types::Null; parameters];
        let mut rows = explain.query(rusqlite::params_from_iter(nulls)).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            let words: Vec<&str> = step.split_whitespace().collect();
            // "SCAN m", "SCAN messages": an alias is its table's initial, of a table that the statement or its view names. A
            // scan that an index bounds is a SEARCH; with the full-text index it is a SCAN that names what it looks up.
            let looks_up = step.contains("VIRTUAL TABLE INDEX") && !step.ends_with(':');
            let named = |table: &str| sql.contains(table) || sql.contains("task_rows");
            let is = |table: &str| words[1] == table || (table.starts_with(words[1]) && named(table));
            if words[0] == "SCAN" && !looks_up && BIG.iter().any(|table| is(table)) {
                scans.push(format!("{file}: {step}: {sql}"));
            }
        }
    }
    assert!(scans.is_empty(), "{}", scans.join("\n\n"));
}

#[test]
fn the_test_above_sees_a_scan() {
    let connection = Connection::open_in_memory().unwrap();
    super::open::run_migrations(&connection).unwrap();
    let plan: String = connection
        .query_row("EXPLAIN QUERY PLAN SELECT * FROM messages WHERE content = 'x'", [], |row| row.get(3))
        .unwrap();
    assert_eq!(plan, "SCAN messages");
}
