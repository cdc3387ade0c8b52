//! Who may use a file, read from its security descriptor in Windows' own notation (SDDL, [MS-DTYP] 2.5.1). What is not understood
//! counts as access for others. Text only, so that it is tested on every system.

use super::Access;

/// The system, the administrators, and stand-ins for the owner: none of them is anybody else.
const TRUSTED: [&str; 4] = ["SY", "BA", "CO", "OW"];
/// How the number of a person or group of a domain or machine begins. All else is a group that the system makes, of more than a few.
const NAMED: &str = "S-1-5-21-";
/// How the numbers of a domain's users, guests and computers end.
const ALL_OF_DOMAIN: [&str; 3] = ["-513", "-514", "-515"];

/// Rights by their letters, with the bits of an access mask.
const RIGHTS: [(&str, u32); 22] = [
    ("GA", 0x1000_0000),
    ("GR", 0x8000_0000),
    ("GW", 0x4000_0000),
    ("GX", 0x2000_0000),
    ("FA", 0x001F_01FF),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00A0),
    ("RC", 0x0002_0000),
    ("SD", 0x0001_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("CC", 0x0001),
    ("DC", 0x0002),
    ("LC", 0x0004),
    ("SW", 0x0008),
    ("RP", 0x0010),
    ("WP", 0x0020),
    ("DT", 0x0040),
    ("LO", 0x0080),
    ("CR", 0x0100),
    ("NR", 0),
];

/// Data, attributes, permissions or owner can be changed, or the file removed: generic all and write, write data, append, write
/// extended attributes, delete a child, write attributes, delete, write the ACL, write the owner.
const WRITES: u32 =
    0x5000_0000 | 0x0002 | 0x0004 | 0x0010 | 0x0040 | 0x0100 | 0x0001_0000 | 0x0004_0000 | 0x0008_0000;
/// To look at attributes and at the permissions themselves, and to wait for the file: no access to what is in it.
const HARMLESS: u32 = 0x0080 | 0x0008 | 0x0002_0000 | 0x0010_0000;

/// Reads a descriptor with owner and ACL. `user` is this user in the same notation.
pub(super) fn access(descriptor: &str, user: &str) -> Access {
    let owner = part(descriptor, "O:").unwrap_or_default();
    let mut access = Access {
        is_ours: owner == user || owner == "BA" || owner == "SY",
        others_use: false,
        others_write: false,
        everybody_writes: false,
        shown: format!("ACL {}", part(descriptor, "D:").unwrap_or("none")),
    };
    let Some(acl) = part(descriptor, "D:").filter(|acl| !acl.contains("NO_ACCESS_CONTROL")) else {
        // Without a list everybody may do everything.
        return Access { others_use: true, others_write: true, everybody_writes: true, ..access };
    };
    for entry in acl.split('(').skip(1) {
        let entry = entry.split(')').next().unwrap_or_default();
        let fields: Vec<&str> = entry.split(';').collect();
        let (kind, flags, rights, who) = match fields.as_slice() {
            [kind, flags, rights, _, _, who, ..] => (*kind, *flags, *rights, *who),
            _ => ("?", "", "?", "?"),
        };
        // Denials take nothing away here; entries for what will be made inside say nothing of the folder itself.
        if matches!(kind, "D" | "OD" | "XD")
            || flags.as_bytes().chunks(2).any(|pair| pair == b"IO")
            || who == user
            || TRUSTED.contains(&who)
        {
            continue;
        }
        let mask = mask(rights).unwrap_or(u32::MAX);
        access.others_use |= mask & !HARMLESS != 0;
        access.others_write |= mask & WRITES != 0;
        let is_few = who.starts_with(NAMED) && !ALL_OF_DOMAIN.iter().any(|end| who.ends_with(end));
        access.everybody_writes |= mask & WRITES != 0 && (!is_few || kind != "A");
    }
    access
}

/// The part of a descriptor that begins with a mark such as `O:`, up to the next one.
fn part<'a>(descriptor: &'a str, mark: &str) -> Option<&'a str> {
    let start = descriptor.find(mark)? + mark.len();
    let rest = descriptor.get(start..)?;
    let end = ["O:", "G:", "D:", "S:"].iter().filter_map(|next| rest.find(next)).min();
    rest.get(..end.unwrap_or(rest.len()))
}

/// An access mask from a number or letters; `None` when it is neither.
fn mask(rights: &str) -> Option<u32> {
    if let Some(number) = rights.strip_prefix("0x") {
        return u32::from_str_radix(number, 16).ok();
    }
    let mut mask = 0;
    let mut rest = rights;
    while !rest.is_empty() {
        let letters = rest.get(..2)?;
        mask |= RIGHTS.iter().find(|(known, _)| *known == letters)?.1;
        rest = rest.get(2..)?;
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "S-1-5-21-1-2-3-1001";

    fn summary(descriptor: &str) -> (bool, bool, bool, bool) {
        let Access { is_ours, others_use, others_write, everybody_writes, .. } = access(descriptor, ME);
        (is_ours, others_use, others_write, everybody_writes)
    }

    #[test]
    fn a_file_of_this_user_the_system_and_the_administrators_is_private() {
        let private = format!("O:{ME}G:S-1-5-21-1-2-3-513D:P(A;;FA;;;{ME})(A;;FA;;;SY)(A;;FA;;;BA)");
        assert_eq!(summary(&private), (true, false, false, false));
        assert_eq!(access(&private, ME).shown, format!("ACL P(A;;FA;;;{ME})(A;;FA;;;SY)(A;;FA;;;BA)"));
        // What an elevated process makes belongs to the administrators.
        assert!(summary("O:BAD:(A;OICIID;0x1f01ff;;;SY)(A;OICIIOID;GA;;;CO)").0);
    }

    #[test]
    fn who_else_reads_or_writes_is_seen() {
        let of = |entry: &str| summary(&format!("O:{ME}D:AI(A;ID;FA;;;{ME}){entry}"));
        let other = "S-1-5-21-1-2-3-1002";
        assert_eq!(of("(A;ID;0x1200a9;;;BU)"), (true, true, false, false), "users read");
        assert_eq!(of("(A;ID;FR;;;WD)"), (true, true, false, false));
        assert_eq!(of(&format!("(A;;FA;;;{other})")), (true, true, true, false));
        for everybody in ["WD", "AU", "BU", "DU", "S-1-5-21-1-2-3-513", "S-1-5-113"] {
            for rights in ["FA", "FW", "0x1301bf", "GW", "LC", "SD"] {
                assert_eq!(
                    of(&format!("(A;ID;{rights};;;{everybody})")),
                    (true, true, true, true),
                    "{rights}"
                );
            }
        }
        assert_eq!(of("(D;;FA;;;WD)"), (true, false, false, false), "a denial gives nothing");
        assert_eq!(of("(A;OICIIO;FA;;;WD)"), (true, false, false, false), "only what is made inside");
        assert_eq!(of("(A;CIOI;FA;;;WD)"), (true, true, true, true), "the folder, too");
        assert_eq!(of("(A;;RC;;;WD)"), (true, false, false, false), "only the permissions can be looked at");
        assert!(!summary(&format!("O:{other}D:(A;;FA;;;{ME})")).0);
    }

    #[test]
    fn what_is_not_understood_is_access_for_others() {
        for strange in ["(XA;;FA;;;WD;(x))", "(A;;ZZ;;;S-1-5-9)", "(nonsense)", "(A;;F;;;S-1-5-9)"] {
            let (_, others_use, others_write, _) = summary(&format!("O:{ME}D:{strange}"));
            assert!(others_use && others_write, "{strange}");
        }
        for open in [format!("O:{ME}"), format!("O:{ME}D:NO_ACCESS_CONTROL")] {
            assert_eq!(summary(&open), (true, true, true, true), "{open}");
        }
    }
}
