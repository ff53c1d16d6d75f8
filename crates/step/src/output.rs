//! What a step gives back.

use crate::{Handle, handle::At};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Json, Timestamp};

/// What a step can give back, and a parameter can be.
///
/// Derive it: then the fields of a [`Handle`] to such a value are handles themselves.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use serde::{Deserialize, Serialize};
/// use towpath_step::{Handle, Output, Pipeline};
///
/// #[derive(Serialize, Deserialize, Output)]
/// struct Image { digest: String }
///
/// let p = Pipeline::new("checkout");
/// let image: Handle<Image> = p.param("image");
/// let digest: &Handle<String> = &image.digest;
/// # let _ = digest;
/// ```
///
/// The derive follows the names that serde gives the fields (`rename`, `rename_all`); a field that serde skips or
/// flattens has no handle, and neither have the parts of enums, tuples and lists.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of a step",
    label = "not an output",
    note = "derive what is stored of it: #[derive(Serialize, Deserialize, Output)]"
)]
pub trait Output: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The handles of its fields: what a `Handle<Self>` dereferences to.
    type Fields: Send + Sync + 'static;

    /// Makes the handles of the fields of the value at `at`. Written by the derive.
    #[doc(hidden)]
    fn fields(at: &At) -> Self::Fields;

    /// The gates that a value of this type has passed, outermost first.
    #[doc(hidden)]
    fn gates(_: &mut Gates) {}
}

/// Names of gates.
#[doc(hidden)]
pub type Gates = Vec<&'static str>;

macro_rules! plain { ($($ty:ty),* $(,)?) => { $(
    impl Output for $ty {
        type Fields = ();
        fn fields(_: &At) {}
    }
)* } }

plain!((), bool, char, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, usize, isize, String);
plain!(Duration, Timestamp, Json, serde_json::Value);

macro_rules! wholes { ($(impl<$($t:ident),*> $ty:ty;)*) => { $(
    impl<$($t: Output),*> Output for $ty {
        type Fields = ();
        fn fields(_: &At) {}
    }
)* } }

wholes! {
    impl<T> Vec<T>;
    impl<T> Option<T>;
    impl<T> BTreeMap<String, T>;
    impl<A> (A,);
    impl<A, B> (A, B);
    impl<A, B, C> (A, B, C);
}

impl<T: Output> Output for Box<T> {
    type Fields = T::Fields;
    fn fields(at: &At) -> T::Fields {
        T::fields(at)
    }
}

/// The handle of the field that the output stores as `name`. For the derive.
#[doc(hidden)]
pub fn field<T: Output>(at: &At, name: &str) -> Handle<T> {
    Handle::at(at.field(name))
}
