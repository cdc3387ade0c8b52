//! Whatever a policy leaves in its memory for what it says of itself: the module is loaded or refused. Each input means to
//! instrument and compile the guest anew, so these are few a second.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use team_table::domain::facts;
use team_table::policy::Loader;
use team_table_fuzz::every_panic_counts;
use team_table_fuzz::mirror::{COMPONENT, letters, patient};

static LOADER: LazyLock<Loader> = LazyLock::new(|| {
    every_panic_counts();
    Loader::new(None).expect("the engine cannot be made")
});

fuzz_target!(|data: &[u8]| {
    let Ok(module) = LOADER.load(&COMPONENT, &json!(letters(data)), patient()) else { return };
    for text in [&module.name, &module.version, &module.summary] {
        assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
    }
    for request in &module.facts {
        assert!(facts::check(request, &module.hooks).is_ok(), "{request:?}");
    }
});
