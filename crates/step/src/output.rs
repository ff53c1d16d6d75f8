//! What a step gives back.

use crate::{
    Handle,
    handle::At,
    schema::{self, Schemas},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{any::TypeId, collections::BTreeMap, time::Duration};
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

    /// The schema of a value of this type. Written by the derive.
    #[doc(hidden)]
    fn schema(_: &mut Schemas) -> Value {
        schema::anything()
    }

    /// The gates that a value of this type has passed, outermost first.
    #[doc(hidden)]
    fn gates(_: &mut Gates) {}
}

/// A gate that a value has passed.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Its name: `approved`.
    pub word: &'static str,
    /// What passed it: the type that is inside.
    pub of: TypeId,
}

impl Passed {
    pub(crate) fn of<T: 'static>(word: &'static str) -> Self {
        Passed { word, of: TypeId::of::<T>() }
    }
}

/// Gates, outermost first.
#[doc(hidden)]
pub type Gates = Vec<Passed>;

macro_rules! plain { ($($ty:ty: $schema:tt),* $(,)?) => { $(
    impl Output for $ty {
        type Fields = ();
        fn fields(_: &At) {}
        fn schema(_: &mut Schemas) -> Value {
            json!($schema)
        }
    }
)* } }

plain! {
    (): {"type": "null"},
    bool: {"type": "boolean"},
    char: {"type": "string", "minLength": 1, "maxLength": 1},
    String: {"type": "string"},
    u8: {"type": "integer", "minimum": 0, "maximum": 255},
    u16: {"type": "integer", "minimum": 0, "maximum": 65535},
    u32: {"type": "integer", "minimum": 0, "maximum": 4294967295_u32},
    u64: {"type": "integer", "minimum": 0},
    usize: {"type": "integer", "minimum": 0},
    i8: {"type": "integer", "minimum": (-128), "maximum": 127},
    i16: {"type": "integer", "minimum": (-32768), "maximum": 32767},
    i32: {"type": "integer", "minimum": (-2147483648_i64), "maximum": 2147483647},
    i64: {"type": "integer"},
    isize: {"type": "integer"},
    f32: {"type": "number"},
    f64: {"type": "number"},
    Duration: {
        "type": "object",
        "properties": {"secs": {"type": "integer", "minimum": 0}, "nanos": {"type": "integer", "minimum": 0}},
        "required": ["secs", "nanos"],
    },
    Timestamp: {"type": "integer", "minimum": 0},
    Json: {},
    serde_json::Value: {},
}

macro_rules! wholes { ($(impl<$($t:ident),*> $ty:ty: $schemas:ident => $schema:expr;)*) => { $(
    impl<$($t: Output),*> Output for $ty {
        type Fields = ();
        fn fields(_: &At) {}
        fn schema($schemas: &mut Schemas) -> Value {
            $schema
        }
    }
)* } }

wholes! {
    impl<T> Vec<T>: schemas => json!({"type": "array", "items": T::schema(schemas)});
    impl<T> Option<T>: schemas => json!({"anyOf": [T::schema(schemas), {"type": "null"}]});
    impl<T> BTreeMap<String, T>: schemas => json!({"type": "object", "additionalProperties": T::schema(schemas)});
    impl<A> (A,): schemas => schema::tuple(vec![A::schema(schemas)], 1);
    impl<A, B> (A, B): schemas => schema::tuple(vec![A::schema(schemas), B::schema(schemas)], 2);
    impl<A, B, C> (A, B, C): schemas =>
        schema::tuple(vec![A::schema(schemas), B::schema(schemas), C::schema(schemas)], 3);
}

impl<T: Output> Output for Box<T> {
    type Fields = T::Fields;
    fn fields(at: &At) -> T::Fields {
        T::fields(at)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }
}

/// The handle of the field that the output stores as `name`. For the derive.
#[doc(hidden)]
pub fn field<T: Output>(at: &At, name: &str) -> Handle<T> {
    Handle::at(at.field(name))
}
