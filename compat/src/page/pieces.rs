//! A long text in pieces, made when there is room for the next one. Where it is are three
//! numbers: a future that tells it holds these and one piece.
//!
//! Not here: what is told.

use core::fmt;

use super::View;

/// A row of a table, or a number.
pub(super) type Piece = heapless::String<384>;

/// Writes the piece at a place of a text, and moves that place within its part.
pub(super) type Tell = fn(&mut Pieces<'_>, &mut Piece) -> Result<Told, fmt::Error>;

/// What was written.
#[derive(PartialEq)]
pub(super) enum Told {
    /// A row; there may be more in this part.
    Row,
    /// A whole part.
    Part,
    /// This part has no more rows.
    Nothing,
    /// There are no more parts.
    End,
}

/// How far a text is told.
pub(super) struct Pieces<'a> {
    pub(super) view: View<'a>,
    tell: Tell,
    pub(super) part: u8,
    /// The lowest number that the next row may have.
    pub(super) from: u32,
    /// How many rows of this part were told.
    pub(super) rows: u32,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(view: View<'a>, tell: Tell) -> Pieces<'a> {
        Pieces {
            view,
            tell,
            part: 0,
            from: 0,
            rows: 0,
        }
    }

    /// Goes on behind the row of this number. Gives how many were before it.
    pub(super) fn row(&mut self, number: u32) -> u32 {
        self.from = number.saturating_add(1);
        self.rows += 1;
        self.rows - 1
    }

    /// Writes the next piece. False: there is none.
    #[inline(never)]
    pub(super) fn next(&mut self, to: &mut Piece) -> bool {
        loop {
            to.clear();
            // What is too long for a piece is left off as a whole; no row is.
            let told = (self.tell)(self, to).unwrap_or_else(|_| {
                debug_assert!(false, "too long: {to}");
                to.clear();
                Told::Row
            });
            match told {
                Told::End => return false,
                Told::Row => return true,
                Told::Part | Told::Nothing => {
                    (self.part, self.from, self.rows) = (self.part + 1, 0, 0);
                    if told == Told::Part {
                        return true;
                    }
                }
            }
        }
    }
}
