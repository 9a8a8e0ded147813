"""The rights of people: access, correction, erasure, proofs and retention."""
