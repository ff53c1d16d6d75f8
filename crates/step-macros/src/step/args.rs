//! What stands in `#[step(…)]`.

use crate::krate;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Error, Ident, LitStr, Path, Result, Token, Type, TypeParamBound,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

const EXAMPLE: &str = "give the step a kind first, stable and versioned, for plans store it: #[step(\"shop.smoke/v1\", no_effect)]";
const IN_DOUBT: &str = "say what to do when a crash leaves open whether this step took effect: `no_effect` (it changes nothing \
     outside), `idempotent` (its effects carry keys), `observe = path` (look at the world), or `ask_operator`";
const WORDS: &str = "want `undo = path`, `before = path`, `preview = path`, `keep`, `ask_undo`, `needs(name: dyn Trait, …)`, `local` or \
     `crate = path`";

/// What stands in `#[step(…)]`.
pub(super) struct Args {
    pub(super) kind: LitStr,
    pub(super) in_doubt: InDoubt,
    pub(super) undo: Option<Path>,
    pub(super) before: Option<Path>,
    pub(super) preview: Option<Path>,
    pub(super) policy: Policy,
    pub(super) needs: Vec<Need>,
    pub(super) local: bool,
    pub(super) krate: Path,
}

pub(super) enum InDoubt {
    NoEffect,
    Idempotent,
    Observe(Path),
    AskOperator,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Policy {
    Undo,
    Keep,
    Ask,
}

impl ToTokens for Policy {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Policy::Undo => quote!(Undo),
            Policy::Keep => quote!(Keep),
            Policy::Ask => quote!(Ask),
        });
    }
}

/// `router: dyn TrafficRouter`.
pub(crate) struct Need {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

impl Parse for Need {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        let ty: Type = input.parse()?;
        let is_trait = matches!(&ty, Type::TraitObject(object)
            if object.bounds.iter().any(|bound| matches!(bound, TypeParamBound::Trait(_))));
        if is_trait {
            Ok(Need { name, ty })
        } else {
            Err(Error::new(ty.span(), "a provider is asked for by a trait: `router: dyn TrafficRouter`"))
        }
    }
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let Ok(kind) = input.parse::<LitStr>() else {
            return Err(Error::new(if input.is_empty() { Span::call_site() } else { input.span() }, EXAMPLE));
        };
        let mut errors = Errors(None);
        if let Some(wrong) = wrong_kind(&kind.value()) {
            errors.add(Error::new(kind.span(), wrong));
        }
        let mut words = Words::default();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            words.next(input, &mut errors)?;
        }
        words.finish(kind, errors)
    }
}

/// The words after the kind, as they come.
#[derive(Default)]
struct Words {
    in_doubt: Option<(InDoubt, Ident)>,
    undo: Option<(Path, Ident)>,
    before: Option<(Path, Ident)>,
    preview: Option<Path>,
    policy: Option<(Policy, Ident)>,
    needs: Vec<Need>,
    local: bool,
    krate: Option<Path>,
}

impl Words {
    fn next(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> Result<()> {
        let word = input.call(Ident::parse_any)?;
        match word.to_string().as_str() {
            "no_effect" => self.doubt(InDoubt::NoEffect, word, errors),
            "idempotent" => self.doubt(InDoubt::Idempotent, word, errors),
            "ask_operator" => self.doubt(InDoubt::AskOperator, word, errors),
            "observe" => self.doubt(InDoubt::Observe(path(input, &word)?), word, errors),
            "undo" => self.undo = Some((path(input, &word)?, word)),
            "before" => self.before = Some((path(input, &word)?, word)),
            "preview" => self.preview = Some(path(input, &word)?),
            "keep" => self.policy = Some((Policy::Keep, word)),
            "ask_undo" => self.policy = Some((Policy::Ask, word)),
            "local" => self.local = true,
            "crate" => self.krate = Some(path(input, &word)?),
            "needs" => {
                let inside;
                parenthesized!(inside in input);
                self.needs.extend(Punctuated::<Need, Token![,]>::parse_terminated(&inside)?);
            }
            other => return Err(Error::new(word.span(), format!("`{other}` means nothing here: {WORDS}"))),
        }
        Ok(())
    }

    fn doubt(&mut self, in_doubt: InDoubt, word: Ident, errors: &mut Errors) {
        match &self.in_doubt {
            Some((_, first)) => errors.add(Error::new(
                word.span(),
                format!("`{first}` says already what to do in doubt: keep one of the two"),
            )),
            None => self.in_doubt = Some((in_doubt, word)),
        }
    }

    fn finish(self, kind: LitStr, mut errors: Errors) -> Result<Args> {
        if let Some((InDoubt::NoEffect, _)) = &self.in_doubt {
            for (_, word) in [&self.undo, &self.before].into_iter().flatten() {
                let text = format!(
                    "a step with `no_effect` leaves nothing behind, so there is no `{word}`: take one out"
                );
                errors.add(Error::new(word.span(), text));
            }
        }
        if let (Some((Policy::Ask, word)), None) = (&self.policy, &self.undo) {
            errors.add(Error::new(
                word.span(),
                "nobody can be asked about undoing this step: give it `undo = path`",
            ));
        }
        let Some((in_doubt, _)) = self.in_doubt else {
            errors.add(Error::new(kind.span(), IN_DOUBT));
            return Err(errors.0.expect("an error was just added"));
        };
        if let Some(error) = errors.0 {
            return Err(error);
        }
        Ok(Args {
            kind,
            in_doubt,
            undo: self.undo.map(|(path, _)| path),
            before: self.before.map(|(path, _)| path),
            preview: self.preview,
            policy: self.policy.map_or(Policy::Undo, |(policy, _)| policy),
            needs: self.needs,
            local: self.local,
            krate: self.krate.unwrap_or_else(krate::default),
        })
    }
}

/// `= path`.
fn path(input: ParseStream<'_>, word: &Ident) -> Result<Path> {
    if !input.peek(Token![=]) {
        return Err(Error::new(word.span(), format!("say which: `{word} = path`")));
    }
    input.parse::<Token![=]>()?;
    input.call(Path::parse_mod_style)
}

/// The rule that `towpath_model::Kind` holds at run time.
pub(crate) fn wrong_kind(kind: &str) -> Option<String> {
    let versioned = kind.rsplit_once("/v").is_some_and(|(name, version)| {
        !name.is_empty()
            && !version.is_empty()
            && !version.starts_with('0')
            && version.bytes().all(|b| b.is_ascii_digit())
    });
    let plain = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    (!versioned || !plain || kind.len() > 256).then(|| {
        format!("{kind:?} is not a kind: want a name of letters, digits, `.`, `_`, `-` and `/`, and a version, as in \"scan.image/v1\"")
    })
}

/// All errors, to be reported at once.
struct Errors(Option<Error>);

impl Errors {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wrong_kind;

    #[test]
    fn kinds_are_held_to_the_rule_of_the_model() {
        for good in ["scan.image/v1", "a/b/v10", "A-b_c/v2"] {
            assert_eq!(wrong_kind(good), None);
        }
        for bad in ["", "scan", "scan/v", "scan/v0", "/v1", "scan/v1x", "sc an/v1", "ü/v1"] {
            assert!(wrong_kind(bad).is_some(), "{bad:?}");
        }
    }
}
