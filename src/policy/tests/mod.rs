//! Tests of the whole folder: guests that mean harm, and the life of a set.

mod guests;
mod hostile;
mod life;
mod real;
mod scope;
