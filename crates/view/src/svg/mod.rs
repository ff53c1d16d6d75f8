//! Plans as SVG images.
//!
//! The layout is that of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System
//! Structures" (IEEE Transactions on Systems, Man and Cybernetics, 1981): ranks by the longest way, an order within each
//! rank by barycentres, and then places. It has no randomness: the same plan gives the same bytes.

mod draw;
mod layout;
mod order;

pub(crate) use draw::draw;
