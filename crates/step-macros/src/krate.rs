//! Where `towpath` is.

use syn::{Attribute, Path, Result, Token, parse_quote};

/// The facade, unless somebody says otherwise.
pub(crate) fn default() -> Path {
    parse_quote!(::towpath)
}

/// What `#[towpath(crate = path)]` says.
pub(crate) fn of(attrs: &[Attribute]) -> Result<Path> {
    let mut krate = default();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("towpath")) {
        krate = attr.parse_args_with(|input: syn::parse::ParseStream<'_>| {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            input.call(Path::parse_mod_style)
        })?;
    }
    Ok(krate)
}
