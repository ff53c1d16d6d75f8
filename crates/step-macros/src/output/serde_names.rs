//! The names under which serde stores fields.

use syn::{Attribute, Ident, LitStr, Result, ext::IdentExt, meta::ParseNestedMeta};

/// What serde was told about a type.
#[derive(Default)]
pub(crate) struct Names {
    rule: Option<String>,
    /// The rule for the fields of variants.
    fields_rule: Option<String>,
    /// Its stored form is not that of its fields.
    pub(crate) opaque: bool,
    /// Its stored form is that of its one field.
    pub(crate) transparent: bool,
    /// Nothing may stand beside its fields.
    pub(crate) closed: bool,
    /// Every field has a default.
    default: bool,
    pub(crate) tag: Option<String>,
    pub(crate) content: Option<String>,
}

/// How a field is stored.
pub(crate) struct Form {
    /// Its name; `None` when it has no place of its own.
    pub(crate) name: Option<String>,
    /// Whether it is always there.
    pub(crate) required: bool,
    /// Its fields stand among those of the whole.
    pub(crate) flat: bool,
    /// Its stored form is not that of its type.
    pub(crate) other: bool,
}

/// How a variant is stored.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) skipped: bool,
    /// What holds for its fields.
    pub(crate) inner: Names,
}

impl Names {
    pub(crate) fn of(attrs: &[Attribute]) -> Result<Self> {
        let mut names = Names::default();
        each(attrs, |meta| {
            let is = |word: &str| meta.path.is_ident(word);
            if is("rename_all") {
                names.rule = serialized(meta)?.or(names.rule.take());
            } else if is("rename_all_fields") {
                names.fields_rule = serialized(meta)?.or(names.fields_rule.take());
            } else if is("tag") {
                names.tag = serialized(meta)?;
            } else if is("content") {
                names.content = serialized(meta)?;
            } else {
                let opaque = ["transparent", "from", "try_from", "into", "untagged", "remote"];
                names.opaque |= opaque.iter().any(|word| is(word));
                names.transparent |= is("transparent");
                names.closed |= is("deny_unknown_fields");
                names.default |= is("default");
                skip(meta)?;
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// The name under which a field is stored; `None` when it has no place of its own.
    pub(crate) fn field(&self, ident: &Ident, attrs: &[Attribute]) -> Result<Option<String>> {
        let (mut renamed, mut placed) = (None, true);
        each(attrs, |meta| {
            if meta.path.is_ident("rename") {
                renamed = serialized(meta)?.or(renamed.take());
            } else {
                let without =
                    ["skip", "skip_serializing", "skip_deserializing", "flatten", "with", "serialize_with"];
                placed &= !without.iter().any(|word| meta.path.is_ident(word));
                skip(meta)?;
            }
            Ok(())
        })?;
        let plain = || {
            self.rule
                .as_deref()
                .map_or_else(|| ident.unraw().to_string(), |rule| apply(rule, &ident.unraw().to_string()))
        };
        Ok(placed.then(|| renamed.unwrap_or_else(plain)))
    }
}

impl Names {
    /// How a field is stored.
    pub(crate) fn form(&self, ident: &Ident, attrs: &[Attribute]) -> Result<Form> {
        let (mut required, mut flat, mut other, mut gone) = (!self.default, false, false, false);
        let mut renamed = None;
        each(attrs, |meta| {
            let is = |word: &str| meta.path.is_ident(word);
            if is("rename") {
                renamed = serialized(meta)?.or(renamed.take());
                return Ok(());
            }
            required &= !is("default") && !is("skip_serializing_if");
            flat |= is("flatten");
            gone |= is("skip") || is("skip_serializing") || is("flatten");
            other |= is("with") || is("serialize_with") || is("deserialize_with");
            skip(meta)
        })?;
        let plain = || {
            self.rule
                .as_deref()
                .map_or_else(|| ident.unraw().to_string(), |rule| apply(rule, &ident.unraw().to_string()))
        };
        Ok(Form { name: (!gone).then(|| renamed.unwrap_or_else(plain)), required, flat, other })
    }

    /// How a variant is stored.
    pub(crate) fn variant(&self, ident: &Ident, attrs: &[Attribute]) -> Result<Variant> {
        let mut inner = Names::of(attrs)?;
        inner.rule = inner.rule.or_else(|| self.fields_rule.clone());
        let (mut renamed, mut skipped) = (None, false);
        each(attrs, |meta| {
            if meta.path.is_ident("rename") {
                renamed = serialized(meta)?.or(renamed.take());
                return Ok(());
            }
            skipped |= meta.path.is_ident("skip") || meta.path.is_ident("skip_serializing");
            skip(meta)
        })?;
        let plain = || match self.rule.as_deref() {
            // serde's rules begin with fields in snake case; a variant is brought there first.
            Some("PascalCase") | None => ident.unraw().to_string(),
            Some("lowercase") => ident.unraw().to_string().to_ascii_lowercase(),
            Some("UPPERCASE") => ident.unraw().to_string().to_ascii_uppercase(),
            Some(rule) => apply(rule, &snake(ident)),
        };
        Ok(Variant { name: renamed.unwrap_or_else(plain), skipped, inner })
    }
}

/// `TakenOver` as `taken_over`.
fn snake(ident: &Ident) -> String {
    let mut snake = String::new();
    for (i, c) in ident.unraw().to_string().chars().enumerate() {
        if i > 0 && c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn each(attrs: &[Attribute], mut look: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        attr.parse_nested_meta(|meta| look(&meta))?;
    }
    Ok(())
}

/// `rename = "x"`, or the `serialize` of `rename(serialize = "x", deserialize = "y")`.
fn serialized(meta: &ParseNestedMeta<'_>) -> Result<Option<String>> {
    if meta.input.peek(syn::Token![=]) {
        return Ok(Some(meta.value()?.parse::<LitStr>()?.value()));
    }
    let mut name = None;
    meta.parse_nested_meta(|inner| {
        let text = inner.value()?.parse::<LitStr>()?.value();
        if inner.path.is_ident("serialize") {
            name = Some(text);
        }
        Ok(())
    })?;
    Ok(name)
}

/// Passes over the rest of an attribute that does not matter here.
fn skip(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|inner| skip(&inner))?;
    }
    Ok(())
}

/// serde's rules, from the snake case of fields. An unknown rule is left for serde to report.
fn apply(rule: &str, name: &str) -> String {
    let name = name.to_owned();
    let pascal = || {
        name.split('_').fold(String::new(), |all, word| {
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            all + &first.into_iter().chain(chars).collect::<String>()
        })
    };
    match rule {
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            let mut chars = pascal.chars();
            chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect()
        }
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use syn::{Attribute, Ident, parse_quote};

    #[test]
    fn fields_are_named_as_serde_names_them() {
        let ident: Ident = parse_quote!(error_rate);
        for (rule, name) in [
            ("camelCase", "errorRate"),
            ("PascalCase", "ErrorRate"),
            ("kebab-case", "error-rate"),
            ("SCREAMING_SNAKE_CASE", "ERROR_RATE"),
            ("SCREAMING-KEBAB-CASE", "ERROR-RATE"),
            ("UPPERCASE", "ERROR_RATE"),
            ("lowercase", "error_rate"),
            ("snake_case", "error_rate"),
        ] {
            let attrs: Vec<Attribute> = vec![parse_quote!(#[serde(deny_unknown_fields, rename_all = #rule)])];
            let names = Names::of(&attrs).unwrap();
            assert_eq!(names.field(&ident, &[]).unwrap().as_deref(), Some(name), "{rule}");
            let own: Vec<Attribute> =
                vec![parse_quote!(#[serde(default, rename(serialize = "x", deserialize = "y"))])];
            assert_eq!(names.field(&ident, &own).unwrap().as_deref(), Some("x"));
        }
        let skipped: Vec<Attribute> = vec![parse_quote!(#[serde(skip)])];
        assert_eq!(Names::default().field(&ident, &skipped).unwrap(), None);
        let raw: Ident = parse_quote!(r#type);
        assert_eq!(Names::default().field(&raw, &[]).unwrap().as_deref(), Some("type"));
    }
}
