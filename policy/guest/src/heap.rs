//! The allocator: the ordinary one until the settings are prepared, then one that only hands out.
//!
//! fedcar's engine gives every request a fresh instance of the prepared memory and throws it away, so giving memory back
//! is work for nothing (`docs/performance.md`). Under Kubewarden the
//! settings come with each request and `fedcar.prepare` is never called; there the ordinary allocator stays, because a
//! host may use an instance again.

#![expect(unsafe_code, reason = "the contract of GlobalAlloc")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Memory is taken from the ordinary allocator in pieces of at least this size: what a pod of 10 KB with one sidecar
/// needs, so that its instance never has to grow.
const PIECE_BYTES: usize = 96 * 1024;

#[global_allocator]
static HEAP: Heap = Heap { hands_out: Cell::new(false), next: Cell::new(0), end: Cell::new(0) };

struct Heap {
    /// Whether memory is only handed out.
    hands_out: Cell<bool>,
    /// The free rest of the current piece, as addresses.
    next: Cell<usize>,
    end: Cell<usize>,
}

/// From now on memory is only handed out. Called once, when the settings are prepared; the first piece is taken now, so
/// that it is there in every copy of the memory.
pub(crate) fn hand_out() {
    let _ = HEAP.take_from_new_piece(Layout::new::<u8>());
    HEAP.hands_out.set(true);
}

// SAFETY: a module built for wasm32-unknown-unknown without threads has one.
unsafe impl Sync for Heap {}

impl Heap {
    /// The next free place for a layout, where the current piece has one.
    #[inline]
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let start = self.next.get().checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        (end <= self.end.get()).then(|| {
            self.next.set(end);
            std::ptr::with_exposed_provenance_mut(start)
        })
    }

    /// Takes a new piece that is large enough for a layout; what was left of the old one is lost.
    #[cold]
    #[inline(never)]
    fn take_from_new_piece(&self, layout: Layout) -> Option<*mut u8> {
        let size = layout.size().checked_add(layout.align())?.max(PIECE_BYTES);
        let piece = Layout::from_size_align(size, size_of::<usize>()).ok()?;
        // SAFETY: the size is not zero.
        let start = unsafe { System.alloc(piece) };
        if start.is_null() {
            return None;
        }
        self.next.set(start.expose_provenance());
        self.end.set(start.expose_provenance() + size);
        self.take(layout)
    }
}

// SAFETY: every place is handed out once: `next` only grows within a piece, and pieces come from `System`.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !self.hands_out.get() {
            // SAFETY: the caller's contract.
            return unsafe { System.alloc(layout) };
        }
        self.take(layout).or_else(|| self.take_from_new_piece(layout)).unwrap_or(std::ptr::null_mut())
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if !self.hands_out.get() {
            // SAFETY: the caller's contract; nothing was handed out by us yet.
            unsafe { System.dealloc(place, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.hands_out.get() {
            // SAFETY: the caller's contract.
            return unsafe { System.realloc(place, layout, size) };
        }
        // What was handed out last can grow where it stands.
        if place.addr() + layout.size() == self.next.get() && size <= self.end.get() - place.addr() {
            self.next.set(place.addr() + size);
            return place;
        }
        // SAFETY: the caller promises that the size is not zero and fits the alignment; both places hold the shorter size.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(place, moved, layout.size().min(size));
            }
            moved
        }
    }
}
