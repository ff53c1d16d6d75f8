//! What stands in `#[kind(…)]`.

use crate::step::{Need, Policy, wrong_kind};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    DeriveInput, Error, Ident, LitStr, Result, Token,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

const EXAMPLE: &str =
    "give the step a kind, stable and versioned, for plans store it: #[kind(\"shop.smoke/v1\", no_effect)]";
const IN_DOUBT: &str = "say what to do when a crash leaves open whether this step took effect: `no_effect` (it changes nothing \
     outside), `idempotent` (its effects carry keys), `observe` (look at the world, with `impl Observe`), or `ask_operator`";
const WORDS: &str = "want `undo`, `before`, `preview`, `foresee`, `claims`, `declares`, `keep`, `ask_undo`, `needs(name: dyn Trait, …)` or `local`";

/// What stands in `#[kind(…)]`.
pub(super) struct Words {
    pub(super) kind: LitStr,
    pub(super) in_doubt: Doubt,
    pub(super) policy: Policy,
    pub(super) needs: Vec<Need>,
    pub(super) local: bool,
    pub(super) observe: bool,
    pub(super) undo: bool,
    pub(super) before: bool,
    pub(super) preview: bool,
    pub(super) claims: bool,
    pub(super) foresee: bool,
    pub(super) declares: bool,
}

/// A variant of `InDoubt`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Doubt {
    NoEffect,
    Idempotent,
    Observe,
    AskOperator,
}

impl ToTokens for Doubt {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Doubt::NoEffect => quote!(NoEffect),
            Doubt::Idempotent => quote!(Idempotent),
            Doubt::Observe => quote!(Observe),
            Doubt::AskOperator => quote!(AskOperator),
        });
    }
}

impl Words {
    pub(super) fn of(input: &DeriveInput) -> Result<Self> {
        let mut attrs = input.attrs.iter().filter(|attr| attr.path().is_ident("kind"));
        let Some(attr) = attrs.next() else { return Err(Error::new_spanned(&input.ident, EXAMPLE)) };
        if let Some(second) = attrs.next() {
            return Err(Error::new_spanned(second, "a step has one kind"));
        }
        attr.parse_args()
    }

    fn next(&mut self, input: ParseStream<'_>, doubt: &mut Option<Doubt>) -> Result<()> {
        let word = input.call(Ident::parse_any)?;
        let mut doubts = |this| match doubt.replace(this) {
            None => Ok(()),
            Some(_) => {
                Err(Error::new(word.span(), "what to do in doubt is said already: keep one of the two"))
            }
        };
        match word.to_string().as_str() {
            "no_effect" => doubts(Doubt::NoEffect)?,
            "idempotent" => doubts(Doubt::Idempotent)?,
            "ask_operator" => doubts(Doubt::AskOperator)?,
            "observe" => {
                doubts(Doubt::Observe)?;
                self.observe = true;
            }
            "undo" => self.undo = true,
            "before" => self.before = true,
            "preview" => self.preview = true,
            "declares" => self.declares = true,
            "foresee" => self.foresee = true,
            "claims" => self.claims = true,
            "local" => self.local = true,
            "keep" => self.policy = Policy::Keep,
            "ask_undo" => self.policy = Policy::Ask,
            "needs" => {
                let inside;
                parenthesized!(inside in input);
                self.needs.extend(Punctuated::<Need, Token![,]>::parse_terminated(&inside)?);
            }
            other => return Err(Error::new(word.span(), format!("`{other}` means nothing here: {WORDS}"))),
        }
        Ok(())
    }
}

impl Parse for Words {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind = input.parse::<LitStr>().map_err(|e| Error::new(e.span(), EXAMPLE))?;
        if let Some(wrong) = wrong_kind(&kind.value()) {
            return Err(Error::new(kind.span(), wrong));
        }
        let mut words = Words {
            kind,
            in_doubt: Doubt::AskOperator,
            policy: Policy::Undo,
            needs: Vec::new(),
            local: false,
            observe: false,
            undo: false,
            before: false,
            preview: false,
            claims: false,
            foresee: false,
            declares: false,
        };
        let mut doubt = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                words.next(input, &mut doubt)?;
            }
        }
        words.in_doubt = doubt.ok_or_else(|| Error::new(words.kind.span(), IN_DOUBT))?;
        if doubt == Some(Doubt::NoEffect) && (words.undo || words.before) {
            let text = "a step with `no_effect` leaves nothing behind: take `undo` and `before` out";
            return Err(Error::new(words.kind.span(), text));
        }
        if words.policy == Policy::Ask && !words.undo {
            let text = "nobody can be asked about undoing this step: add `undo`, and write `impl Compensate`";
            return Err(Error::new(words.kind.span(), text));
        }
        Ok(words)
    }
}
