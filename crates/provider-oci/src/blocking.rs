//! Work that blocks.

use towpath_provider::ProviderError;

/// Does what blocks where it may. It goes on to its end, also when nobody waits any more.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProviderError> + Send + 'static,
) -> Result<T, ProviderError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(e) => Err(ProviderError::unavailable("the process is about to end").because(e)),
        },
    }
}
