//! The table `placeholders`: `days = { as = "literal", default = "30" }`.

use std::fmt;

use serde_core::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::nearest::nearest;
use crate::{Placeholder, PlaceholderKind, is_placeholder_name};

/// By name.
pub(super) struct Declared(pub(super) Vec<Placeholder>);

impl<'de> Deserialize<'de> for Declared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Declared, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Declared;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table: a name, and what it stands for")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Declared, A::Error> {
                let mut out = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    let Value { kind, default } = map.next_value()?;
                    out.push(Placeholder {
                        name,
                        kind,
                        default,
                    });
                }
                out.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(Declared(out))
            }
        }
        deserializer.deserialize_map(Table)
    }
}

/// Checked while it is read, so that the message says where it stands.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let name = String::deserialize(deserializer)?;
        match is_placeholder_name(&name) {
            true => Ok(Name(name)),
            false => Err(de::Error::custom(format!(
                "`{name}` can't be a placeholder: its name begins with a small letter and has small letters, digits and `_`"
            ))),
        }
    }
}

struct Value {
    kind: PlaceholderKind,
    default: Option<String>,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`{ as = \"literal\" }` or `{ as = \"identifier\" }`, and a default where there is one")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let (mut kind, mut default) = (None, None);
                while let Some(Key(key)) = map.next_key()? {
                    match key {
                        "as" => kind = Some(map.next_value::<As>()?.0),
                        _ => default = Some(map.next_value()?),
                    }
                }
                let kind = kind.ok_or_else(|| {
                    de::Error::custom("it is not said what it becomes: write `as = \"literal\"`, or `as = \"identifier\"` for a name")
                })?;
                Ok(Value { kind, default })
            }
        }
        deserializer.deserialize_map(Table)
    }
}

struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        one_of(deserializer, ["as", "default"]).map(Key)
    }
}

struct As(PlaceholderKind);

impl<'de> Deserialize<'de> for As {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<As, D::Error> {
        let found = one_of(deserializer, ["literal", "identifier"])?;
        Ok(As(match found {
            "literal" => PlaceholderKind::Literal,
            _ => PlaceholderKind::Identifier,
        }))
    }
}

fn one_of<'de, D: Deserializer<'de>>(
    deserializer: D,
    words: [&'static str; 2],
) -> Result<&'static str, D::Error> {
    let word = String::deserialize(deserializer)?;
    words
        .into_iter()
        .find(|known| *known == word)
        .ok_or_else(|| {
            let [one, other] = words;
            let known = match nearest(&word, words) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are `{one}` and `{other}`"),
            };
            de::Error::custom(format!("`{word}` is not known here, {known}"))
        })
}
