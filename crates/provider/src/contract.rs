//! Suites that hold a provider to the contract of its trait. A fake and the real one pass the same suite.
