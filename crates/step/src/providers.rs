//! Adapters to outside systems, by what they can do and under which name.

use std::{
    any::{Any, TypeId, type_name},
    collections::BTreeMap,
    fmt,
    sync::Arc,
};

/// An adapter to an outside system: says which traits it offers.
///
/// One value may offer several. Derive it, or write it by hand:
///
/// ```
/// use std::sync::Arc;
/// use towpath_step::{Offers, Provider, Providers};
///
/// trait Scanner: Send + Sync { fn critical(&self) -> u32; }
/// struct Fake;
/// impl Scanner for Fake { fn critical(&self) -> u32 { 3 } }
/// impl Provider for Fake {
///     fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
///         to.put::<dyn Scanner>(self);
///     }
/// }
///
/// let providers = Providers::new().provide("scanner", Fake);
/// let scanner = providers.get::<dyn Scanner>("scanner").expect("it was just provided");
/// assert_eq!(scanner.critical(), 3);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a provider",
    note = "say which traits it offers: #[derive(Provider)] #[offers(TheTrait)]"
)]
pub trait Provider: Send + Sync + 'static {
    /// Puts what this offers.
    fn offer(self: Arc<Self>, to: &mut Offers<'_>);
}

/// A provider that somebody else, such as a test, holds as well.
impl<P: Provider> Provider for Arc<P> {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        P::offer(Arc::clone(&self), to);
    }
}

/// Offers one trait by what implements it and cannot say so itself, since its crate does not know this one.
///
/// ```
/// use towpath_step::{Offering, Providers};
/// # trait Scanner: Send + Sync { fn critical(&self) -> u32; }
/// # struct Fake;
/// # impl Scanner for Fake { fn critical(&self) -> u32 { 3 } }
///
/// let providers = Providers::new().provide("scanner", Offering::<dyn Scanner>(std::sync::Arc::new(Fake)));
/// assert!(providers.get::<dyn Scanner>("scanner").is_some());
/// ```
pub struct Offering<P: ?Sized>(pub Arc<P>);

impl<P: ?Sized + Send + Sync + 'static> Provider for Offering<P> {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<P>(Arc::clone(&self.0));
    }
}

/// Where a provider puts what it offers.
pub struct Offers<'a> {
    name: &'a str,
    to: &'a mut BTreeMap<Slot, Offer>,
}

impl Offers<'_> {
    /// Offers the trait `P`, as in `to.put::<dyn Scanner>(self)`.
    pub fn put<P: ?Sized + Send + Sync + 'static>(&mut self, provider: Arc<P>) -> &mut Self {
        let slot = Slot { name: self.name.to_owned(), trait_id: TypeId::of::<P>() };
        self.to.insert(slot, Offer { trait_name: trait_name::<P>(), provider: Arc::new(provider) });
        self
    }
}

/// The providers that there are, by trait and name. Cheap to clone.
#[derive(Clone, Default)]
pub struct Providers(Arc<BTreeMap<Slot, Offer>>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    name: String,
    trait_id: TypeId,
}

#[derive(Clone)]
struct Offer {
    trait_name: &'static str,
    /// An `Arc<P>` of the trait object `P` whose id the slot has.
    provider: Arc<dyn Any + Send + Sync>,
}

impl Providers {
    /// No providers.
    pub fn new() -> Self {
        Providers::default()
    }

    /// These providers and this one, under `name`. What was offered of the same trait under that name is replaced.
    #[must_use]
    pub fn provide(mut self, name: &str, provider: impl Provider) -> Self {
        Arc::new(provider).offer(&mut Offers { name, to: Arc::make_mut(&mut self.0) });
        self
    }

    /// What offers the trait `P` under `name`.
    pub fn get<P: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Option<Arc<P>> {
        let slot = Slot { name: name.to_owned(), trait_id: TypeId::of::<P>() };
        self.0.get(&slot)?.provider.downcast_ref::<Arc<P>>().cloned()
    }

    /// Whether there is what `need` asks for.
    pub fn meet(&self, need: &Need) -> bool {
        self.0.contains_key(&Slot { name: need.name.clone(), trait_id: need.trait_id })
    }

    /// What is offered, as `(trait, name)`, sorted by name.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(slot, offer)| (offer.trait_name, slot.name.as_str()))
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.list().map(|(of, name)| format!("{of} as {name:?}"))).finish()
    }
}

impl fmt::Display for Providers {
    /// What is offered, for messages: `shop::Scanner as "scanner", …`, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, (of, name)) in self.list().enumerate() {
            write!(f, "{}{of} as {name:?}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A provider that a kind asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    trait_name: &'static str,
    trait_id: TypeId,
    name: String,
}

impl Need {
    /// What offers the trait `P` under `name`, as in `Need::of::<dyn Scanner>("scanner")`.
    pub fn of<P: ?Sized + Send + Sync + 'static>(name: &str) -> Self {
        Need { trait_name: trait_name::<P>(), trait_id: TypeId::of::<P>(), name: name.to_owned() }
    }

    /// The same under another name.
    pub(crate) fn named(self, name: String) -> Self {
        Need { name, ..self }
    }

    /// The trait, with its path.
    pub fn trait_name(&self) -> &'static str {
        self.trait_name
    }

    /// The id of the trait object's type.
    pub fn type_id(&self) -> TypeId {
        self.trait_id
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {:?}", self.trait_name, self.name)
    }
}

fn trait_name<P: ?Sized>() -> &'static str {
    let name = type_name::<P>();
    name.strip_prefix("dyn ").unwrap_or(name)
}
