//! Compiles `cuda/*.cu` to PTX where the feature `cuda` is on. Needs `nvcc` on the path, in `NVCC` or in `CUDA_HOME`, as
//! the build of candle's own kernels does. PTX for compute capability 8.0 runs on every later GPU.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cuda");
    println!("cargo::rerun-if-env-changed=NVCC");
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut sources: Vec<PathBuf> = std::fs::read_dir("cuda")
        .expect("kernels/cuda is part of the package")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    sources.sort();
    for source in sources {
        compile(&source, &out);
    }
}

fn nvcc() -> PathBuf {
    if let Some(nvcc) = std::env::var_os("NVCC") {
        return nvcc.into();
    }
    match std::env::var_os("CUDA_HOME") {
        Some(home) => Path::new(&home).join("bin/nvcc"),
        None => "nvcc".into(),
    }
}

fn compile(source: &Path, out: &Path) {
    let name = source.file_stem().expect("a source has a name");
    let ptx = out.join(name).with_extension("ptx");
    let nvcc = nvcc();
    let status = Command::new(&nvcc)
        .args(["-ptx", "-O3", "-std=c++17", "-arch=compute_80", "-o"])
        .arg(&ptx)
        .arg(source)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{} of {} ended with {status}", nvcc.display(), source.display()),
        Err(error) => panic!(
            "cannot run {}: {error}; the feature cuda needs the CUDA toolkit (set NVCC or CUDA_HOME, or put nvcc on the path)",
            nvcc.display()
        ),
    }
}
