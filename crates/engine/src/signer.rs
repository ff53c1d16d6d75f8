//! Who signs, and by which keys signatures are believed.

use std::{error::Error, fmt};
use towpath_model::{KeyId, Signature};

/// Signs heads and anchors, with a key that is not in the store.
///
/// What [`Keys`] verifies is Ed25519 (RFC 8032). A signer may ask another process, but not for long: a run that settles
/// waits for it.
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// Which key signs.
    fn key(&self) -> KeyId;

    /// Signs a message.
    ///
    /// # Errors
    /// When it cannot. The run settles without a signature then, and a warning says so; anchors are tried again.
    fn sign(&self, message: &[u8]) -> Result<Signature, Box<dyn Error + Send + Sync>>;
}

#[cfg(feature = "sign")]
pub use local::{KeyError, Keys, LocalKey};

#[cfg(feature = "sign")]
mod local {
    use super::{Error, KeyId, Signature, Signer, fmt};
    use ring::{
        rand::{SecureRandom, SystemRandom},
        signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
    };
    use std::{
        collections::BTreeMap,
        fs::{File, OpenOptions},
        io::{Read, Write},
        path::{Path, PathBuf},
    };

    const SECRET: &str = "towpath-ed25519-secret";
    const PUBLIC: &str = "towpath-ed25519";
    /// No file of keys is larger.
    const FILE_BYTES: u64 = 1 << 20;

    /// A key file that cannot be used.
    #[derive(Debug)]
    pub struct KeyError {
        path: PathBuf,
        what: String,
    }

    impl fmt::Display for KeyError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "use the key file {}: {}", self.path.display(), self.what)
        }
    }

    impl Error for KeyError {}

    /// An Ed25519 key in a file of this machine.
    ///
    /// The file has one line, `towpath-ed25519-secret` and 64 hexadecimal digits, and is readable for its owner alone.
    pub struct LocalKey {
        pair: Ed25519KeyPair,
        id: KeyId,
    }

    impl fmt::Debug for LocalKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("LocalKey").field("id", &self.id).finish_non_exhaustive()
        }
    }

    impl LocalKey {
        /// Makes a key and writes it into a file that is not there yet.
        ///
        /// # Errors
        /// When there is a file already, or it cannot be written.
        pub fn create(path: impl AsRef<Path>) -> Result<Self, KeyError> {
            let path = path.as_ref();
            let failed = |what: String| KeyError { path: path.to_owned(), what };
            let mut seed = [0; 32];
            SystemRandom::new()
                .fill(&mut seed)
                .map_err(|_| failed("the system gives no random numbers".into()))?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(|e| failed(e.to_string()))?;
            let line = format!("{SECRET} {}\n", hex(&seed));
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
            written.map_err(|e| failed(e.to_string()))?;
            LocalKey::of(&seed).map_err(failed)
        }

        /// Reads the key from its file.
        ///
        /// # Errors
        /// When it cannot be read, others than its owner may read it, or it holds no key.
        pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyError> {
            let path = path.as_ref();
            let failed = |what: String| KeyError { path: path.to_owned(), what };
            let file = File::open(path).map_err(|e| failed(e.to_string()))?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = file.metadata().map_err(|e| failed(e.to_string()))?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(failed(format!(
                        "others may read it, its mode is {:o}: make it 600",
                        mode & 0o777
                    )));
                }
            }
            let text = read(file).map_err(|e| failed(e.to_string()))?;
            let digits = text.trim().strip_prefix(SECRET).map(str::trim);
            let seed = digits.and_then(unhex::<32>);
            let seed = seed.ok_or_else(|| failed(format!("want {SECRET} and 64 hexadecimal digits")))?;
            LocalKey::of(&seed).map_err(failed)
        }

        fn of(seed: &[u8; 32]) -> Result<Self, String> {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| "it is no key".to_owned())?;
            let id = KeyId::of(pair.public_key().as_ref());
            Ok(LocalKey { pair, id })
        }

        /// The line by which [`Keys`] knows the public key.
        pub fn public_line(&self) -> String {
            format!("{PUBLIC} {} {}", hex(self.pair.public_key().as_ref()), self.id)
        }
    }

    impl Signer for LocalKey {
        fn key(&self) -> KeyId {
            self.id
        }

        fn sign(&self, message: &[u8]) -> Result<Signature, Box<dyn Error + Send + Sync>> {
            let signature = self.pair.sign(message);
            let bytes = signature.as_ref().try_into().map_err(|_| "a signature has 64 bytes")?;
            Ok(Signature(bytes))
        }
    }

    /// Public keys by which signatures are believed: those in use, and those that were.
    #[derive(Clone, Default)]
    pub struct Keys(BTreeMap<KeyId, [u8; 32]>);

    impl fmt::Debug for Keys {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_set().entries(self.0.keys()).finish()
        }
    }

    impl Keys {
        /// Reads a file of public keys: a line for each, `towpath-ed25519`, 64 hexadecimal digits, and whatever text; empty
        /// lines and those that begin with `#` say nothing.
        ///
        /// # Errors
        /// When it cannot be read, or a line of it is no key.
        pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyError> {
            let path = path.as_ref();
            let failed = |what: String| KeyError { path: path.to_owned(), what };
            let file = File::open(path).map_err(|e| failed(e.to_string()))?;
            let text = read(file).map_err(|e| failed(e.to_string()))?;
            let mut keys = Keys::default();
            for (line, number) in text.lines().map(str::trim).zip(1..) {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let rest = line.strip_prefix(PUBLIC).and_then(|rest| rest.strip_prefix(' '));
                let digits = rest.and_then(|rest| rest.split_whitespace().next());
                let key = digits.and_then(unhex::<32>);
                let wrong = || failed(format!("line {number}: want {PUBLIC} and 64 hexadecimal digits"));
                keys.add(&key.ok_or_else(wrong)?);
            }
            Ok(keys)
        }

        /// The public key of a signer alone.
        pub fn of(key: &LocalKey) -> Self {
            let mut keys = Keys::default();
            if let Ok(public) = key.pair.public_key().as_ref().try_into() {
                keys.add(public);
            }
            keys
        }

        fn add(&mut self, public: &[u8; 32]) {
            self.0.insert(KeyId::of(public), *public);
        }

        /// These keys and those.
        #[must_use]
        pub fn and(mut self, others: Keys) -> Self {
            self.0.extend(others.0);
            self
        }

        /// Whether a key is one of them.
        pub fn knows(&self, key: KeyId) -> bool {
            self.0.contains_key(&key)
        }

        /// Whether a signature of a message is by this key, and the key is one of them.
        pub fn verifies(&self, key: KeyId, message: &[u8], signature: &Signature) -> bool {
            let public = self.0.get(&key).map(|public| UnparsedPublicKey::new(&ED25519, public));
            public.is_some_and(|public| public.verify(message, &signature.0).is_ok())
        }
    }

    fn read(file: File) -> std::io::Result<String> {
        let mut text = String::new();
        file.take(FILE_BYTES).read_to_string(&mut text)?;
        Ok(text)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
        let is_hex = digits.len() == 2 * N && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = |i: usize| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok();
        let bytes: Vec<u8> = is_hex.then(|| (0..N).map_while(byte).collect())?;
        bytes.try_into().ok()
    }
}
