//! The one integration binary: the shape of the source tree, generated documents, the program as
//! its users meet it.

mod architecture;
mod docs;
mod source;
mod tidy;
