//! A safe door to the `gemm` crate: strided `f32` matrix views, checked when made.

use std::cell::Cell;

/// A matrix read from a slice: entry `(i, j)` lies at `i * row_stride + j * col_stride`.
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> MatRef<'a> {
    /// Rows behind one another, no gaps: `[rows, cols]`.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Rows `row_stride` entries apart, for instance one head of a `[tokens, heads, head_dim]` tensor.
    ///
    /// # Panics
    /// When the last entry lies outside the slice, or rows overlap.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// A row whose entries lie behind one another.
    #[cfg(test)]
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        assert_eq!(self.col_stride, 1);
        &self.data[row * self.row_stride..][..self.cols]
    }

    /// The transposed view; nothing is copied.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix written to a slice, rows `row_stride` entries apart.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// Rows behind one another, no gaps: `[rows, cols]`.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Rows `row_stride` entries apart.
    ///
    /// # Panics
    /// When the last entry lies outside the slice, or rows overlap.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride }
    }
}

fn check(len: usize, rows: usize, cols: usize, row_stride: usize) {
    assert!(row_stride >= cols, "rows of {cols} entries overlap at a stride of {row_stride}");
    if rows > 0 && cols > 0 {
        let needed = (rows - 1)
            .checked_mul(row_stride)
            .and_then(|n| n.checked_add(cols))
            .unwrap_or(usize::MAX);
        assert!(
            needed <= len,
            "a {rows} x {cols} matrix needs {needed} entries, the slice has {len}"
        );
    }
}

/// Whether a product may use more than the calling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// Only the calling thread: inside a parallel loop, and for small products.
    One,
    /// The threads of the current rayon pool once the product is large enough to pay for it.
    Pool,
}

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, whose products keep to the calling thread whatever they are told: so that of several pieces of work side by
/// side none waits for another. Results are the same bits.
pub fn alone<T>(work: impl FnOnce() -> T) -> T {
    /// Puts back what was there, after a panic too.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    work()
}

/// Multiplications below which a second thread costs more than it saves.
const POOL_FROM: usize = 1 << 19;

/// `out ← keep * out + factor * lhs · rhs`; with `keep` 0 the old content is never read.
///
/// Shapes: `lhs [m, k]`, `rhs [k, n]`, `out [m, n]`. Each entry is summed in an order that depends on the
/// shapes and the processor, not on the number of threads.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul(
    out: &mut MatMut<'_>,
    keep: f32,
    factor: f32,
    lhs: MatRef<'_>,
    rhs: MatRef<'_>,
    threads: Threads,
) {
    let (m, k, n) = (lhs.rows, lhs.cols, rhs.cols);
    assert!(
        rhs.rows == k && out.rows == m && out.cols == n,
        "[{m}, {k}] x [{}, {n}] does not give [{}, {}]",
        rhs.rows,
        out.rows,
        out.cols
    );
    let out_view = Out { data: out.data.as_mut_ptr(), row_stride: out.row_stride, keep };
    // SAFETY: the constructor of `out` proved that its `m` rows of `n` entries lie inside its slice, which it
    // borrows mutably, and a slice's entries are initialized.
    unsafe { product(out_view, factor, lhs, rhs, threads) };
}

/// `lhs · rhs` in a new buffer, which is not cleared first.
///
/// Shapes: `lhs [m, k]`, `rhs [k, n]`, result `[m, n]`.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul_new(lhs: MatRef<'_>, rhs: MatRef<'_>, threads: Threads) -> Vec<f32> {
    let (m, n) = (lhs.rows, rhs.cols);
    assert!(rhs.rows == lhs.cols, "[{m}, {}] x [{}, {n}] do not fit", lhs.cols, rhs.rows);
    if lhs.cols == 0 {
        return vec![0.0; m * n];
    }
    let mut out = Vec::with_capacity(m * n);
    let view = Out { data: out.as_mut_ptr(), row_stride: n, keep: 0.0 };
    // SAFETY: the buffer is new, so nothing else refers to it, and has room for `m` rows of `n` entries; they
    // are not read, because `keep` is 0. The product over an inner dimension that is not empty writes
    // each of them.
    unsafe {
        product(view, 1.0, lhs, rhs, threads);
        out.set_len(m * n);
    }
    out
}

/// Where a product goes.
#[derive(Clone, Copy)]
struct Out {
    data: *mut f32,
    row_stride: usize,
    keep: f32,
}

/// `out ← keep * out + factor * lhs · rhs`, of shape `[lhs.rows, rhs.cols]`.
///
/// # Safety
/// The rows of `out` must be writable, not be reachable otherwise, and be initialized unless `keep` is 0.
/// `lhs.cols` must equal `rhs.rows`.
unsafe fn product(out: Out, factor: f32, lhs: MatRef<'_>, rhs: MatRef<'_>, threads: Threads) {
    let (m, k, n) = (lhs.rows, lhs.cols, rhs.cols);
    if m == 0 || n == 0 {
        return;
    }
    let parallelism = match threads {
        Threads::Pool
            if m * n * k >= POOL_FROM && rayon::current_num_threads() > 1 && !ALONE.get() =>
        {
            gemm::Parallelism::Rayon(0)
        }
        _ => gemm::Parallelism::None,
    };
    // SAFETY: the constructors proved that every entry (i, j) of the inputs lies inside its slice; the caller
    // answers for `out`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.data,
            1,
            out.row_stride as isize,
            out.keep != 0.0,
            lhs.data.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            out.keep,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect()
    }

    #[test]
    fn alone_ends_with_its_work() {
        assert!(alone(|| ALONE.get()) && !ALONE.get());
        assert!(alone(|| {
            alone(|| ());
            ALONE.get()
        }));
        let panicked = std::panic::catch_unwind(|| alone(|| panic!("as a test does")));
        assert!(panicked.is_err() && !ALONE.get());
    }

    #[test]
    fn strided_and_transposed_products_match_the_definition() {
        let (m, n, k) = (5, 7, 3);
        let (lhs, rhs) = (numbers(m * 8), numbers(n * k));
        let mut out = vec![1f32; m * 9];
        matmul(
            &mut MatMut::strided(&mut out, m, n, 9),
            0.5,
            2.0,
            MatRef::strided(&lhs[1..], m, k, 8),
            MatRef::new(&rhs, n, k).t(),
            Threads::One,
        );
        for i in 0..m {
            for j in 0..9 {
                let product: f32 = (0..k)
                    .map(|l| if j < n { lhs[1 + i * 8 + l] * rhs[j * k + l] } else { 0.0 })
                    .sum();
                let expected = if j < n { 0.5 + 2.0 * product } else { 1.0 };
                assert!((out[i * 9 + j] - expected).abs() < 1e-5, "({i}, {j})");
            }
        }
    }

    #[test]
    fn a_new_product_is_the_product() {
        for (m, n, k) in [(1, 1, 1), (33, 17, 40), (130, 70, 90)] {
            let (lhs, rhs) = (numbers(m * k), numbers(n * k));
            let (lhs, rhs) = (MatRef::new(&lhs, m, k), MatRef::new(&rhs, n, k).t());
            let mut out = vec![f32::NAN; m * n];
            matmul(&mut MatMut::new(&mut out, m, n), 0.0, 1.0, lhs, rhs, Threads::Pool);
            assert!(out == matmul_new(lhs, rhs, Threads::Pool));
        }
    }

    #[test]
    fn thread_count_does_not_change_a_bit() {
        let (m, n, k) = (301, 203, 517);
        let (lhs, rhs) = (numbers(m * k), numbers(n * k));
        let product = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = vec![0f32; m * n];
            pool.install(|| {
                matmul(
                    &mut MatMut::new(&mut out, m, n),
                    0.0,
                    1.0,
                    MatRef::new(&lhs, m, k),
                    MatRef::new(&rhs, n, k).t(),
                    Threads::Pool,
                );
            });
            out
        };
        let one = product(1);
        for threads in [2, 3, 7] {
            assert!(one == product(threads), "{threads} threads differ");
        }
    }

    #[test]
    fn an_empty_inner_dimension_clears_the_output() {
        let mut out = vec![3f32; 4];
        let lhs = MatRef::new(&[], 2, 0);
        matmul(
            &mut MatMut::new(&mut out, 2, 2),
            0.0,
            1.0,
            lhs,
            MatRef::new(&[], 0, 2),
            Threads::One,
        );
        assert_eq!(out, [0.0; 4]);
        let (lhs, rhs) = (MatRef::new(&[], 2, 0), MatRef::new(&[], 0, 2));
        assert_eq!(matmul_new(lhs, rhs, Threads::One), [0.0; 4]);
    }
}
