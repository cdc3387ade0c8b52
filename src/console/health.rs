//! Whether the table is well: its size, its growth, what runs on it.

use maud::html;

use super::frame::{Ask, View};
use super::live::Region;
use super::words;
use crate::storage;

/// The health of the table.
///
/// # Errors
/// Those of storage.
pub(super) fn view(ask: &Ask<'_>) -> storage::Result<View> {
    let size = ask.tx.size()?;
    let list = Region::new(
        "list",
        html! {
            div.grid {
                section.card { h2 { "Database" } p.stat { (words::bytes(i64::try_from(size.bytes).unwrap_or(i64::MAX))) } }
            }
        },
    );
    let body = html! { div.head { h1 { "Health" } } (list.element()) };
    Ok(View { nav: "/health", title: "Health".into(), class: "", regions: vec![list], body })
}
