//! What a policy says of its settings, for those who set them in a form: a TOML file, embedded in the component beside the cases.
//! The host makes a form of it; a native test holds it against the policy itself.
//!
//! ```toml
//! [[setting]]
//! name = "max_messages"
//! kind = "integer"        # integer, text, choice, boolean, list or json
//! min = 1                 # of an integer; left out: no limit
//! default = 30            # left out: not set, and `text` says what that means
//! text = "Messages that one agent may send in the window."
//!
//! [[setting]]
//! name = "scope"
//! kind = "choice"
//! choices = ["total", "sender"]
//! default = "total"
//! text = "Which replies count."
//! ```
//!
//! A `list` is one of texts. What is none of these kinds is `json`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Exported, configure};

/// Settings that one policy may describe.
const MAX_SETTINGS: usize = 64;
/// Characters of a setting's name and of a choice.
const MAX_NAME: usize = 64;
/// Characters of what is said of a setting.
const MAX_TEXT: usize = 500;

/// A file of settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    setting: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name in `[policy.settings]`.
    pub name: String,
    /// What values it takes.
    pub kind: Kind,
    /// What holds where it is not set; none where `text` says what holds then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for, in a sentence or two.
    pub text: String,
    /// The least integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The greatest integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// The texts to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole number, from `min` to `max`.
    Integer,
    /// A text.
    Text,
    /// One of `choices`.
    Choice,
    /// True or false.
    Boolean,
    /// Texts.
    List,
    /// Anything else that TOML can hold.
    Json,
}

/// Reads a file of settings.
///
/// # Errors
///
/// What is wrong with it, in one line.
pub fn parse(text: &str) -> Result<Vec<Setting>, String> {
    let File { setting: settings } =
        toml_edit::de::from_str(text).map_err(|error| error.to_string().trim().replace('\n', "; "))?;
    if settings.len() > MAX_SETTINGS {
        return Err(format!("{} settings are described, allowed are {MAX_SETTINGS}", settings.len()));
    }
    let mut names = HashSet::new();
    for setting in &settings {
        setting.check()?;
        if !names.insert(setting.name.as_str()) {
            return Err(format!("`{}` is described twice", setting.name));
        }
    }
    Ok(settings)
}

fn is_line(text: &str, most: usize) -> bool {
    let length = text.chars().count();
    (1..=most).contains(&length) && !text.chars().any(char::is_control)
}

impl Setting {
    /// Whether a value is one that the setting takes, as far as its kind says.
    ///
    /// # Errors
    ///
    /// What it takes.
    pub fn takes(&self, value: &Value) -> Result<(), String> {
        match (self.kind, value) {
            (Kind::Integer, Value::Number(number)) => {
                let inside = number.as_i64().is_some_and(|number| {
                    self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
                });
                if inside { Ok(()) } else { Err(self.expected()) }
            }
            (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => Ok(()),
            (Kind::Choice, Value::String(text)) if self.choices.contains(text) => Ok(()),
            (Kind::List, Value::Array(items)) if items.iter().all(Value::is_string) => Ok(()),
            (Kind::Json, value) if !value.is_null() => Ok(()),
            _ => Err(self.expected()),
        }
    }

    /// What values it takes, in words.
    #[must_use]
    pub fn expected(&self) -> String {
        match self.kind {
            Kind::Integer => match (self.min, self.max) {
                (Some(min), Some(max)) => format!("a whole number from {min} to {max}"),
                (Some(min), None) => format!("a whole number, at least {min}"),
                (None, Some(max)) => format!("a whole number, at most {max}"),
                (None, None) => "a whole number".to_owned(),
            },
            Kind::Text => "a text".to_owned(),
            Kind::Choice => format!("one of {}", self.choices.join(", ")),
            Kind::Boolean => "true or false".to_owned(),
            Kind::List => "a list of texts".to_owned(),
            Kind::Json => "a value in JSON, not null".to_owned(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let Self { name, kind, default, text, min, max, choices } = self;
        if !is_line(name, MAX_NAME) {
            return Err(format!("the name {name:?} must be one line of 1 to {MAX_NAME} characters"));
        }
        let wrong = |what: &str| Err(format!("`{name}`: {what}"));
        if !is_line(text, MAX_TEXT) {
            return wrong(&format!("its text must be one line of 1 to {MAX_TEXT} characters"));
        }
        if *kind != Kind::Integer && (min.is_some() || max.is_some()) {
            return wrong("only an integer has min and max");
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            return wrong("min is above max");
        }
        if (*kind == Kind::Choice) == choices.is_empty() {
            return wrong("a choice, and nothing else, has choices");
        }
        if choices.iter().any(|choice| !is_line(choice, MAX_NAME)) {
            return wrong(&format!("each choice must be one line of 1 to {MAX_NAME} characters"));
        }
        match default.as_ref().map(|default| self.takes(default)) {
            Some(Err(expected)) => wrong(&format!("its default is not {expected}")),
            _ => Ok(()),
        }
    }

    /// Values that the policy must take, and values that it must refuse.
    fn examples(&self) -> (Vec<Value>, Vec<Value>) {
        let mut taken: Vec<Value> = self.default.iter().cloned().collect();
        let mut refused = Vec::new();
        match self.kind {
            Kind::Integer => {
                taken.extend([self.min, self.max].into_iter().flatten().map(Value::from));
                let below = self.min.and_then(|min| min.checked_sub(1));
                let above = self.max.and_then(|max| max.checked_add(1));
                refused.extend([below, above].into_iter().flatten().map(Value::from));
            }
            Kind::Choice => {
                taken.extend(self.choices.iter().cloned().map(Value::from));
                refused.push(self.choices.concat().into());
            }
            Kind::Boolean => taken.extend([json!(true), json!(false)]),
            Kind::List => taken.push(json!([])),
            Kind::Text | Kind::Json => {}
        }
        (taken, refused)
    }
}

/// Holds the description of a policy's settings against the policy: it takes what is described as taken and refuses what lies
/// outside, and each setting that it names itself is described. [`test_cases!`](crate::test_cases) calls it; a policy that
/// describes nothing passes.
///
/// # Panics
///
/// When it does not hold.
#[allow(clippy::panic, reason = "the body of a test")]
pub fn assert_described<P: Exported>() {
    if P::SETTINGS.is_empty() {
        return;
    }
    let settings = parse(P::SETTINGS).unwrap_or_else(|error| panic!("{}: settings: {error}", P::NAME));
    let ask = |name: &str, value: &Value| {
        let given: Map<String, Value> = [(name.to_owned(), value.clone())].into_iter().collect();
        configure::<P>(&Value::Object(given).to_string()).map(|_| ())
    };
    for setting in &settings {
        let (taken, refused) = setting.examples();
        for value in taken {
            if let Err(errors) = ask(&setting.name, &value) {
                panic!(
                    "`{}` is described to take {value}, and {} says: {}",
                    setting.name,
                    P::NAME,
                    errors.join("; ")
                );
            }
        }
        for value in refused {
            assert!(
                ask(&setting.name, &value).is_err(),
                "`{}` is described to take {}, and {} takes {value}",
                setting.name,
                setting.expected(),
                P::NAME
            );
        }
    }
    // What serde says of a name that is none names all that are.
    let Err(errors) = ask("no such setting", &Value::Null) else { return };
    let errors = errors.join("; ");
    let names = errors.split_once("expected").map_or("", |(_, names)| names);
    for name in names.split('`').skip(1).step_by(2) {
        assert!(
            settings.iter().any(|setting| setting.name == name),
            "`{name}` is a setting of {} and not described",
            P::NAME
        );
    }
    for setting in &settings {
        assert!(
            names.is_empty() || names.contains(&format!("`{}`", setting.name)),
            "`{}` is described and no setting of {}",
            setting.name,
            P::NAME
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        max: i64,
        quiet: bool,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { max: 3, quiet: false }
        }
    }

    /// A policy that describes its settings wrongly, each `N` in another way.
    struct Wrong<const N: usize>;

    impl<const N: usize> Policy for Wrong<N> {
        type Settings = Settings;

        const NAME: &'static str = "wrong";
        const VERSION: &'static str = "1";
        const SUMMARY: &'static str = "described wrongly";

        fn configure(Settings { max, .. }: Settings) -> Result<Self, Vec<String>> {
            if (1..=9).contains(&max) { Ok(Self) } else { Err(vec!["max must be from 1 to 9".into()]) }
        }
    }

    macro_rules! described {
        ($($n:literal: $test:ident, $settings:expr, $says:literal;)+) => {$(
            impl Exported for Wrong<$n> {
                const CASES: &'static str = "";
                const SETTINGS: &'static str = $settings;
            }

            #[test]
            #[should_panic(expected = $says)]
            fn $test() {
                assert_described::<Wrong<$n>>();
            }
        )+};
    }

    described! {
        1: what_is_not_described_is_named,
            "[[setting]]\nname = \"max\"\nkind = \"integer\"\nmin = 1\nmax = 9\ntext = \"t\"\n",
            "`quiet` is a setting of wrong and not described";
        2: a_setting_that_is_none_is_named,
            "[[setting]]\nname = \"min\"\nkind = \"json\"\ntext = \"t\"\n",
            "`max` is a setting of wrong and not described";
        3: a_limit_that_is_too_wide_is_named,
            "[[setting]]\nname = \"max\"\nkind = \"integer\"\nmin = 1\nmax = 10\ntext = \"t\"\n",
            "`max` is described to take 10, and wrong says: max must be from 1 to 9";
        4: a_limit_that_is_too_narrow_is_named,
            "[[setting]]\nname = \"max\"\nkind = \"integer\"\nmin = 2\nmax = 9\ntext = \"t\"\n",
            "and wrong takes 1";
        5: another_kind_is_named,
            "[[setting]]\nname = \"quiet\"\nkind = \"list\"\ntext = \"t\"\n",
            "`quiet` is described to take [], and wrong says";
        6: a_setting_too_many_is_named,
            concat!(
                "[[setting]]\nname = \"max\"\nkind = \"integer\"\ntext = \"t\"\n",
                "[[setting]]\nname = \"quiet\"\nkind = \"boolean\"\ntext = \"t\"\n",
                "[[setting]]\nname = \"loud\"\nkind = \"json\"\ntext = \"t\"\n"
            ),
            "`loud` is described and no setting of wrong";
    }

    #[test]
    fn a_description_is_read_or_refused_in_a_line() {
        let good = "[[setting]]\nname = \"max\"\nkind = \"integer\"\nmin = 1\ndefault = 30\ntext = \"At most so many.\"\n\
                    [[setting]]\nname = \"scope\"\nkind = \"choice\"\nchoices = [\"a\", \"b\"]\ntext = \"Which.\"\n";
        let settings = parse(good).unwrap();
        assert_eq!(settings[0].expected(), "a whole number, at least 1");
        assert_eq!((settings[1].expected().as_str(), &settings[1].default), ("one of a, b", &None));
        for (from, to, why) in [
            ("default = 30", "default = 0", "`max`: its default is not a whole number, at least 1"),
            ("default = 30", "default = \"x\"", "its default is not a whole number"),
            ("min = 1", "min = 9\nmax = 2", "`max`: min is above max"),
            ("kind = \"integer\"", "kind = \"number\"", "unknown variant `number`"),
            ("kind = \"integer\"", "kind = \"text\"", "`max`: only an integer has min and max"),
            ("choices = [\"a\", \"b\"]", "", "`scope`: a choice, and nothing else, has choices"),
            ("choices = [\"a\", \"b\"]", "choices = [\"\"]", "`scope`: each choice must be"),
            ("\"scope\"", "\"max\"", "`max` is described twice"),
            ("\"scope\"", "\"\"", "the name \"\" must be one line"),
            ("\"Which.\"", "\"a\\nb\"", "`scope`: its text must be one line of 1 to 500 characters"),
            ("text = \"Which.\"", "txt = \"Which.\"", "unknown field `txt`"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = parse(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(why) && !error.contains('\n'), "{to}: {error}");
        }
        let many = "[[setting]]\nname = \"N\"\nkind = \"text\"\ntext = \"t\"\n";
        let many: String = (0..=MAX_SETTINGS).map(|i| many.replace('N', &i.to_string())).collect();
        assert!(parse(&many).unwrap_err().contains("allowed are 64"));
        assert_eq!(parse("").unwrap(), []);
    }
}
