//! Policies for tests, made from the text in `tests/data/guests`. All call themselves `guest`.

use std::fs;
use std::path::Path;

/// The bytes of a guest. Most files hold only a core module and are put into the frame that makes a policy of it.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    guest_with(name, "", "")
}

/// The same with another text in place of one of its own.
pub(crate) fn guest_with(name: &str, from: &str, to: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/guests");
    let read = |name: &str| fs::read_to_string(dir.join(format!("{name}.wat"))).unwrap();
    let mut text = read(name).replacen(from, to, 1);
    if text.contains("(;frame;)") {
        let module =
            text.replace("(module\n", "(core module $main\n").replace("(;frame;)", &read("frame/core"));
        text = read("frame/component").replace("(;module;)", &module);
    }
    wat::parse_str(&text).unwrap()
}

/// The same guest with one test case: an ordinary call, to which it should have no objection.
pub(crate) fn guest_with_case(name: &str) -> Vec<u8> {
    let case = "[[case]]\nname = \"an ordinary call\"\ncall = { tool = \"send_message\" }\n\
                expect = { outcome = \"abstain\" }\n";
    with_section(guest(name), "team-table:cases", case)
}

/// The same component with a custom section.
pub(crate) fn with_section(mut component: Vec<u8>, name: &str, content: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let body = [&[length], name.as_bytes(), content.as_bytes()].concat();
    component.push(0);
    component.extend(leb(body.len()));
    component.extend(body);
    component
}

/// A number as WebAssembly writes it.
fn leb(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// Those that `.ci/cross/check.py` gives to the programs of other systems, where there is no compiler of the text.
#[test]
fn the_guests_of_the_cross_check_are_made_from_their_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/cross/guests");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    fs::create_dir_all(&fresh).unwrap();
    let mut stale = Vec::new();
    for name in
        ["grows_in_call", "loops_in_call", "recurses", "returns_gigabytes", "returns_wild_pointer", "traps"]
    {
        let file = format!("{name}.wasm");
        fs::write(fresh.join(&file), guest(name)).unwrap();
        if fs::read(folder.join(&file)).ok() != Some(guest(name)) {
            stale.push(file);
        }
    }
    assert!(stale.is_empty(), "copy {stale:?} from {} to {}", fresh.display(), folder.display());
}
