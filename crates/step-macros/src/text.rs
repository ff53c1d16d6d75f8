//! `text!`.

use crate::krate;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Error, Expr, LitStr, Result, Token,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

/// `"http://{}:{port}", &host`.
pub(crate) struct Text {
    template: LitStr,
    parts: Punctuated<Expr, Token![,]>,
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece {
    Words(String),
    /// `{}`
    Next,
    /// `{live.url}`
    Named(String),
}

impl Parse for Text {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let template = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Text { template, parts: input.parse_terminated(Expr::parse, Token![,])? })
    }
}

pub(crate) fn expand(text: &Text) -> Result<TokenStream> {
    let Text { template, parts } = text;
    let krate = krate::default();
    let pieces = pieces(&template.value()).map_err(|what| Error::new(template.span(), what))?;
    let holes = pieces.iter().filter(|piece| **piece == Piece::Next).count();
    if holes != parts.len() {
        let (n, at) = (parts.len(), parts.last().map_or(template.span(), Spanned::span));
        return Err(Error::new(
            at,
            format!("the template has {holes} `{{}}` for {n} parts: give one part for each"),
        ));
    }
    let mut next = parts.iter();
    let calls = pieces.into_iter().map(|piece| match piece {
        Piece::Words(words) => Ok(quote!(.part(#words))),
        Piece::Next => {
            let part = next.next().expect("the holes were counted");
            Ok(quote_spanned!(part.span()=> .part(&#part)))
        }
        Piece::Named(name) => {
            let part: Expr = named(&name, template.span())?;
            Ok(quote_spanned!(template.span()=> .part(&#part)))
        }
    });
    let calls: Vec<TokenStream> = calls.collect::<Result<_>>()?;
    Ok(quote!(#krate::Text::new()#(#calls)*))
}

/// A handle, or a field of one.
fn named(name: &str, span: Span) -> Result<Expr> {
    let wrong = || {
        Error::new(
            span,
            format!("`{{{name}}}` is neither a variable nor a field of one, as in `{{live.url}}`"),
        )
    };
    let expr = LitStr::new(name, span).parse::<Expr>().map_err(|_| wrong())?;
    let mut inner = &expr;
    while let Expr::Field(field) = inner {
        inner = &field.base;
    }
    if matches!(inner, Expr::Path(_)) { Ok(expr) } else { Err(wrong()) }
}

/// Takes a template apart; braces are doubled where they stand for themselves.
fn pieces(template: &str) -> std::result::Result<Vec<Piece>, String> {
    let (mut all, mut words) = (Vec::new(), String::new());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        words.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            words.push_str(brace);
            rest = after;
        } else if brace == "}" {
            return Err("a `}` has no `{` before it: write `}}` for the sign itself".into());
        } else {
            let Some((name, after)) = rest.split_once('}') else {
                return Err("a `{` is not closed: write `{{` for the sign itself".into());
            };
            if !words.is_empty() {
                all.push(Piece::Words(std::mem::take(&mut words)));
            }
            all.push(if name.is_empty() { Piece::Next } else { Piece::Named(name.to_owned()) });
            rest = after;
        }
    }
    words.push_str(rest);
    if !words.is_empty() || all.is_empty() {
        all.push(Piece::Words(words));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    #[test]
    fn templates_come_apart_at_their_braces() {
        let words = |text: &str| Piece::Words(text.to_owned());
        let named = |text: &str| Piece::Named(text.to_owned());
        assert_eq!(pieces("a").unwrap(), [words("a")]);
        assert_eq!(pieces("").unwrap(), [words("")]);
        assert_eq!(pieces("{}").unwrap(), [Piece::Next]);
        assert_eq!(
            pieces("http://{}:{port}").unwrap(),
            [words("http://"), Piece::Next, words(":"), named("port")]
        );
        assert_eq!(pieces("{{{x.y}}}").unwrap(), [words("{"), named("x.y"), words("}")]);
        assert_eq!(pieces("ü{{}}").unwrap(), [words("ü{}")]);
        assert!(pieces("{").is_err());
        assert!(pieces("a}").is_err());
    }
}
