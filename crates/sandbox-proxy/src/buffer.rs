//! Copy buffers that are shared: a tunnel holds one only while bytes pass through it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

/// A small stock of equal buffers.
#[derive(Clone, Debug)]
pub(crate) struct BufferPool {
    stock: Arc<Mutex<Vec<Box<[u8]>>>>,
    size: usize,
}

/// A buffer that returns to its pool when dropped.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    bytes: Box<[u8]>,
    pool: BufferPool,
}

impl BufferPool {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            stock: Arc::new(Mutex::new(Vec::new())),
            size: size.max(1),
        }
    }

    pub(crate) fn take(&self) -> PooledBuffer {
        let kept = self
            .stock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        PooledBuffer {
            // Zeroed pages of this size are the kernel's until they are written to.
            bytes: kept.unwrap_or_else(|| vec![0; self.size].into_boxed_slice()),
            pool: self.clone(),
        }
    }
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut stock = self
            .pool
            .stock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if stock.len() < KEPT {
            stock.push(bytes);
        }
    }
}

/// More than this many buffers are in use at once only while that many peers are slow.
const KEPT: usize = 4;
